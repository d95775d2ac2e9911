"""uv as a program: the one module on a scan's path that starts a process.

It is started by an absolute path that lies outside of everything scanned, in an empty folder of its
own, with an environment of its own, and for a limited time. Options: `uv pip compile --help` of
uv 0.13. --no-build: no source archive, folder or repository is built, whatever names it; so no code
of a package runs.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from supplyguard.errors import UnsupportedError
from supplyguard.limits import MIB

NAME: Final = "uv.exe" if os.name == "nt" else "uv"
KEPT: Final = (
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "all_proxy",
    "no_proxy",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "SYSTEMROOT",
)
"""What uv sees of our environment: how to reach the network."""
OUTPUT: Final = 4 * MIB
STEP: Final = 0.25
"""Seconds between two looks at a running uv."""
CONSTRAINTS: Final = "constraints.txt"
WHEELS: Final = "wheels"


@dataclass(frozen=True, kw_only=True, slots=True)
class Question:
    """What to resolve: PEP 508 lines, those that only constrain, and files for a folder of wheels."""

    lines: tuple[str, ...]
    constraints: tuple[str, ...] = ()
    wheels: Mapping[str, bytes]


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """What uv printed, and whether it found a solution."""

    solved: bool
    output: str
    errors: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Program:
    """uv, and what stays the same from question to question."""

    path: Path
    index: str
    cache: Path
    python_version: str = ""
    python_platform: str = ""

    def ask(self, question: Question, deadline: float, tick: Callable[[], None]) -> Answer:
        """Run uv once; raises UnsupportedError when it cannot be run or the time is over."""
        with tempfile.TemporaryDirectory(prefix="supplyguard-") as made:
            top = Path(os.path.realpath(made))
            folders = {name: top / name for name in ("work", "home", "given")}
            for folder in folders.values():
                folder.mkdir()
            given = folders["given"]
            (given / "lines").write_text("".join(f"{each}\n" for each in question.lines), encoding="ascii")
            command = [str(self.path), *self._options(question, given)]
            return _run(command, self._environment(folders["home"]), folders, deadline, tick)

    def _options(self, question: Question, given: Path) -> Iterator[str]:
        """Give the arguments; the requirements themselves come on standard input."""
        yield from ("pip", "compile", "-")
        yield from ("--no-build", "--no-config", "--no-sources", "--no-python-downloads")
        yield from ("--python", sys.executable, "--cache-dir", str(self.cache))
        yield from ("--keyring-provider", "disabled", "--no-progress", "--color", "never")
        yield from ("--no-header", "--annotation-style", "line")
        if self.python_version:
            yield from ("--python-version", self.python_version)
        if self.python_platform:
            yield from ("--python-platform", self.python_platform)
        if question.constraints:
            path = given / CONSTRAINTS
            path.write_text("".join(f"{each}\n" for each in question.constraints), encoding="ascii")
            yield from ("--constraints", str(path))
        if question.wheels:
            folder = given / WHEELS
            folder.mkdir()
            for name, content in question.wheels.items():
                (folder / name).write_bytes(content)
            yield from ("--find-links", str(folder))

    def _environment(self, home: Path) -> dict[str, str]:
        """Give a new environment: no variable of uv, pip or Python, no search path, an empty home."""
        kept = {name: os.environ[name] for name in KEPT if os.environ.get(name)}
        bundle = os.environ.get("REQUESTS_CA_BUNDLE")
        if bundle and "SSL_CERT_FILE" not in kept:
            kept["SSL_CERT_FILE"] = bundle
        # as a variable: an address may hold a password, which a list of processes would show
        return {**kept, "HOME": str(home), "UV_DEFAULT_INDEX": self.index, "UV_HTTP_TIMEOUT": "20"}


def find_program(forbidden: Sequence[Path]) -> Path | None:
    """Find uv: beside the interpreter that runs us, else on the absolute folders of PATH.

    A program below a forbidden folder is not taken, unless we ourselves run from there already.
    """
    own = Path(sysconfig.get_path("scripts"), NAME)
    if own.is_absolute() and _runs(own):
        return own
    roots = [Path(os.path.realpath(each)) for each in (*forbidden, Path.cwd())]
    for entry in os.environ.get("PATH", "").split(os.pathsep):
        found = Path(entry, NAME)
        if entry and found.is_absolute() and _runs(found):
            places = (Path(os.path.normpath(found)), Path(os.path.realpath(found)))
            if not any(place.is_relative_to(root) for place in places for root in roots):
                return found
    return None


def _runs(path: Path) -> bool:
    return path.is_file() and os.access(path, os.X_OK)


def _run(
    command: Sequence[str],
    environment: Mapping[str, str],
    folders: Mapping[str, Path],
    deadline: float,
    tick: Callable[[], None],
) -> Answer:
    given = folders["given"]
    with (
        (given / "lines").open("rb") as lines,
        (given / "out").open("wb") as out,
        (given / "err").open("wb") as err,
    ):
        try:
            process = subprocess.Popen(  # noqa: S603 - an absolute path, arguments of our own making
                command,
                stdin=lines,
                stdout=out,
                stderr=err,
                cwd=folders["work"],
                env=dict(environment),
                start_new_session=True,
            )
        except OSError as error:
            raise UnsupportedError(f"uv cannot be started: {error.strerror}") from error
        try:
            _wait(process, deadline, tick)
        finally:
            _end(process)
    output, errors = (_text(given / name) for name in ("out", "err"))
    return Answer(solved=process.returncode == 0, output=output, errors=errors)


def _wait(process: subprocess.Popen[bytes], deadline: float, tick: Callable[[], None]) -> None:
    """Wait for the end; raises UnsupportedError at the deadline."""
    while True:
        try:
            process.wait(timeout=max(0.0, min(STEP, deadline - time.monotonic())))
        except subprocess.TimeoutExpired:
            if time.monotonic() >= deadline:
                raise UnsupportedError("the time for resolving is over") from None
            tick()
        else:
            return


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a process that still runs, with what it started."""
    if process.poll() is None:
        if sys.platform == "win32":
            process.kill()
        else:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _text(path: Path) -> str:
    with path.open("rb") as stream:
        return stream.read(OUTPUT).decode("utf-8", "replace")
