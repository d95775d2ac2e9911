"""Patterns of paths to leave out, as .gitignore writes them."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from supplyguard.errors import UsageError
from supplyguard.finding import Level, Notification
from supplyguard.inventory import Location
from supplyguard.limits import KIB

if TYPE_CHECKING:
    from pathspec import GitIgnoreSpec

FILE: Final = ".gitignore"
FILE_SIZE: Final = 256 * KIB
WILDCARDS: Final = 4
"""Stars in one part of a pattern; each multiplies the time that a long name can cost."""


def compile_patterns(lines: Sequence[str]) -> GitIgnoreSpec:
    """Compile patterns; raises UsageError for one that git would refuse."""
    from pathspec import GitIgnoreSpec  # noqa: PLC0415 - heavy: most scans exclude nothing

    try:
        return GitIgnoreSpec.from_lines(lines)
    except (ValueError, re.error) as error:
        raise UsageError(f"not a pattern: {error}", hint="patterns are written as in .gitignore") from error


class Patterns:
    """One list of patterns, compiled when first needed."""

    __slots__ = ("_compiled", "_lines", "active")

    def __init__(self, lines: Sequence[str]) -> None:
        self._lines = tuple(lines)
        self._compiled: GitIgnoreSpec | None = None
        self.active = any(line.strip() and not line.startswith("#") for line in lines)

    def check(self, path: str, *, folder: bool) -> bool | None:
        """Whether `path` (with "/" separators) is left out; None when no pattern names it."""
        if not self.active:
            return None
        if self._compiled is None:
            self._compiled = compile_patterns(self._lines)
        return self._compiled.check_file(f"{path}/" if folder else path).include

    def excludes(self, path: str, *, folder: bool) -> bool:
        """Whether `path` is left out."""
        return self.check(path, folder=folder) is True


class IgnoreFiles:
    """The .gitignore files that hold for a folder: its own, those above and those below it."""

    __slots__ = ("_by_folder", "_prefix")

    def __init__(self, target: Path) -> None:
        self._by_folder: dict[str, Patterns] = {}
        real = Path(os.path.realpath(target))
        repository = next((each for each in (real, *real.parents) if (each / ".git").exists()), real)
        self._prefix = "" if repository == real else f"{real.relative_to(repository).as_posix()}/"
        above = [each for each in real.parents if each.is_relative_to(repository)]
        for folder in above:
            below = folder.relative_to(repository).as_posix()
            lines, _refused = _lines(str(folder))
            self._by_folder["" if below == "." else f"{below}/"] = Patterns(lines)

    def enter(self, path: str, below: str, uri: str) -> Iterator[Notification]:
        """Read the .gitignore of the folder at `path`; `below` is its path from the target."""
        lines, refused = _lines(path)
        if lines:
            self._by_folder[self._prefix + below] = Patterns(lines)
        if refused:
            place = Location(uri=f"{uri}{FILE}")
            yield Notification(code="gitignore", message=refused, level=Level.NOTE, location=place)

    def ignores(self, path: str, *, folder: bool) -> bool:
        """Whether git would leave `path`, from the target, out; the nearest file decides."""
        whole = self._prefix + path
        cut = whole.rfind("/") + 1
        while True:
            patterns = self._by_folder.get(whole[:cut])
            answer = patterns.check(whole[cut:], folder=folder) if patterns is not None else None
            if answer is not None:
                return answer
            if cut == 0:
                return False
            cut = whole.rfind("/", 0, cut - 1) + 1


def _lines(folder: str) -> tuple[list[str], str]:
    """Read the usable lines of a folder's .gitignore, and why others are not used."""
    path = Path(folder, FILE)
    try:
        if path.is_symlink() or not path.is_file():
            return [], ""
        with path.open("rb") as stream:
            raw = stream.read(FILE_SIZE + 1)
    except OSError as error:
        return [], f"not honoured: {error.strerror}"
    if len(raw) > FILE_SIZE:
        return [], f"not honoured: larger than {FILE_SIZE:,} bytes"
    lines = raw.decode("utf-8-sig", "surrogateescape").splitlines()
    good = [line for line in lines if _usable(line)]
    refused = len(lines) - len(good)
    return good, f"{refused} of its patterns are not honoured" if refused else ""


def _usable(line: str) -> bool:
    """Whether a pattern is one that git knows and that cannot cost much time."""
    if any(part.count("*") > WILDCARDS for part in line.split("/")):
        return False
    try:
        compile_patterns((line,))
    except UsageError:
        return False
    return True
