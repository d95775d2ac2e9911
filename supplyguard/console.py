"""The terminal and the files: reports out, messages and progress on stderr."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from types import TracebackType
from typing import Final, Self, TextIO

from supplyguard.errors import OutputError, UsageError
from supplyguard.finding import Report
from supplyguard.reporters import REPORTERS, RenderOptions, Reporter
from supplyguard.reporters.escape import for_terminal

FIRST_PROGRESS: Final = 1.0
"""Seconds before progress is shown at all, and between two updates of it."""
PROGRESS_INTERVAL: Final = 0.1


class ColorChoice(StrEnum):
    """When to use colours; NO_COLOR and FORCE_COLOR count for AUTO."""

    AUTO = "auto"
    ALWAYS = "always"
    NEVER = "never"


@dataclass(frozen=True, kw_only=True, slots=True)
class Output:
    """One place that a report goes to; path None is stdout."""

    reporter: Reporter
    path: Path | None


def outputs_of(format_: str | None, paths: Sequence[Path]) -> tuple[Output, ...]:
    """Give the outputs asked for: stdout by name (text when no file is asked for), files by suffix."""
    outputs = [Output(reporter=_by_suffix(path), path=path) for path in paths]
    if format_ is not None or not paths:
        outputs.append(Output(reporter=_by_name(format_ or "text"), path=None))
    return tuple(outputs)


class Console:
    """stderr for people: one progress line while it lasts, then messages."""

    def __init__(
        self,
        *,
        color: ColorChoice = ColorChoice.AUTO,
        quiet: bool = False,
        verbose: bool = False,
        progress: bool = False,
    ) -> None:
        self.color = color
        self.quiet = quiet
        self.verbose = verbose
        self._shows_progress = progress and sys.stderr.isatty()
        self._next = time.monotonic() + FIRST_PROGRESS
        self._on_screen = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._on_screen:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()

    def progress(self, what: str) -> None:
        """Show what is being looked at, at most ten times a second, on a terminal only."""
        if not self._shows_progress or time.monotonic() < self._next:
            return
        self._next = time.monotonic() + PROGRESS_INTERVAL
        width = shutil.get_terminal_size().columns - 1
        sys.stderr.write("\r\x1b[K" + for_terminal(what)[:width])
        sys.stderr.flush()
        self._on_screen = True

    def error(self, message: str, hint: str = "") -> None:
        """Print one failure, and what to do about it."""
        text = f"supplyguard: error: {for_terminal(message)}"
        if hint:
            text += f" ({for_terminal(hint)})"
        print(text, file=sys.stderr)  # noqa: T201 - this is the console

    def colors(self, stream: TextIO) -> bool:
        """Whether `stream` gets colours."""
        if self.color is not ColorChoice.AUTO:
            return self.color is ColorChoice.ALWAYS
        if os.environ.get("NO_COLOR"):
            return False
        return bool(os.environ.get("FORCE_COLOR")) or stream.isatty()


def emit(
    report: Report,
    outputs: Sequence[Output],
    console: Console,
    *,
    show_suppressed: bool = False,
    category: str | None = None,
) -> None:
    """Write the report everywhere it should go; raises OutputError after all other places are served."""
    failures: list[OutputError] = []
    for output in outputs:
        options = RenderOptions(
            color=output.path is None and console.colors(sys.stdout),
            width=shutil.get_terminal_size((100, 24)).columns,
            quiet=console.quiet,
            verbose=console.verbose,
            show_suppressed=show_suppressed,
            category=category,
        )
        text = output.reporter.render(report, options)
        if output.path is None:
            _print(text)
            continue
        try:
            _write(output.path, text)
        except OSError as error:
            failures.append(
                OutputError(
                    f"cannot write {output.path}: {error.strerror or error}",
                    hint="the report is not there; any older file is as it was",
                )
            )
    if failures:
        raise failures[0]


def _print(text: str) -> None:
    """Write to stdout; a reader that went away (`| head`) is no failure of the scan."""
    try:
        sys.stdout.buffer.write(text.encode("utf-8", "backslashreplace"))
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _write(path: Path, text: str) -> None:
    """Write beside the target, then rename: an older report stays whole when the disk is full."""
    if path.exists() and not path.is_file():  # /dev/stdout, a pipe
        path.write_text(text, encoding="utf-8")
        return
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="\n") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        umask = os.umask(0)
        os.umask(umask)
        Path(temporary).chmod(0o666 & ~umask)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def _by_name(name: str) -> Reporter:
    for reporter in REPORTERS:
        if reporter.name == name:
            return reporter
    raise UsageError(f"no format is called {name!r}", hint=f"one of {', '.join(r.name for r in REPORTERS)}")


def _by_suffix(path: Path) -> Reporter:
    for reporter in REPORTERS:
        if path.suffix.lower() == reporter.suffix:
            return reporter
    known = ", ".join(reporter.suffix for reporter in REPORTERS)
    raise UsageError(f"cannot tell the format of {path} from its name", hint=f"known endings: {known}")
