"""A folder or a file on disk: which files there are to examine, and what was skipped and why."""

from __future__ import annotations

import json
import os
import stat
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Final

from supplyguard.errors import UsageError
from supplyguard.finding import Level, Notification
from supplyguard.inventory import Artifact, Location
from supplyguard.resources import rules_folder
from supplyguard.sources.ignored import IgnoreFiles, Patterns

ENVIRONMENT: Final = "pyvenv.cfg"
"""Marks a virtual environment (PEP 405) when a folder of programs lies beside it."""
PROGRAMS: Final = frozenset({"bin", "Scripts"})


@dataclass(frozen=True, kw_only=True, slots=True)
class WalkOptions:
    """What to leave out. exclude: patterns as .gitignore writes them, of paths below the target."""

    exclude: tuple[str, ...] = ()
    use_gitignore: bool = False


@dataclass(kw_only=True, slots=True)
class Tally:
    """Counts what a walk left out; `reasons` says why, files and folders together."""

    skipped_files: int = 0
    skipped_folders: int = 0
    reasons: Counter[str] = field(default_factory=Counter)

    def file(self, reason: str) -> None:
        """Count one skipped file or link."""
        self.skipped_files += 1
        self.reasons[reason] += 1

    def folder(self, reason: str) -> None:
        """Count one skipped folder; what lies in it is not counted."""
        self.skipped_folders += 1
        self.reasons[reason] += 1


def walk(
    target: Path, *, uri_of: Callable[[Path], str], options: WalkOptions, tally: Tally
) -> Iterator[Artifact | Notification]:
    """Yield every file of a folder, in a stable order, or the one file that `target` is.

    uri_of names the target; names below it are added to that. Links are not followed, but for the
    target itself; a link to a file of the same tree that is not visited otherwise (an annexed
    file in .git) is yielded under the link's name. Special files are never opened. Raises
    UsageError for a target that does not exist.
    """
    try:
        status = target.stat()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise UsageError(
            f"{_printable(str(target))}: {reason}", hint="give files or folders that exist"
        ) from error
    uri = _printable(uri_of(target))
    if stat.S_ISDIR(status.st_mode):
        yield from _Walk(target, "" if uri == "." else uri, options, tally).run()
    elif not stat.S_ISREG(status.st_mode):
        raise UsageError(f"{uri}: not a file or folder", hint="devices, pipes and sockets are not read")
    elif Patterns(options.exclude).excludes(uri.lstrip("/"), folder=False):
        tally.file("excluded")
    else:
        yield Artifact(uri=uri, path=target, size=status.st_size, root=_root_of(target))


def _root_of(file: Path) -> Path:
    """Give the tree that a file named by itself belongs to: the working folder, or its own."""
    absolute = Path(os.path.abspath(file))  # noqa: PTH100 - resolve() would follow links
    here = Path.cwd()
    return here if absolute.is_relative_to(here) else absolute.parent


@dataclass(frozen=True, slots=True)
class _Folder:
    """A folder to visit. uri ends in "/" or is empty; below: its path from the target, likewise."""

    path: str
    uri: str
    below: str


class _Walk:
    """One walk through one folder, with an explicit stack: trees may be deeper than Python's."""

    def __init__(self, target: Path, uri: str, options: WalkOptions, tally: Tally) -> None:
        self.root = target
        self.tally = tally
        self.top = _Folder(str(target), f"{uri.rstrip('/')}/" if uri else "", "")
        self.exclude = Patterns(options.exclude)
        self.ignores = IgnoreFiles(target) if options.use_gitignore else None
        self.filtered = self.exclude.active or options.use_gitignore
        self.skip = _skipped_names()
        self.real_root = os.path.realpath(target)
        self.links: list[tuple[_Folder, str]] = []
        self.visited: set[tuple[int, int]] = set()
        self.inodes: set[tuple[int, int]] = set()

    def run(self) -> Iterator[Artifact | Notification]:
        work = [self.top]
        while work:
            folder = work.pop()
            try:
                status = os.stat(folder.path)  # noqa: PTH116 - speed
                with os.scandir(folder.path) as listing:
                    entries = sorted(listing, key=lambda entry: entry.name)
            except OSError as error:
                yield _note("unreadable", f"cannot be listed: {error.strerror}", folder.uri, incomplete=True)
                continue
            identity = (status.st_dev, status.st_ino)
            if identity in self.visited:
                self.tally.folder("visited before")
                continue
            self.visited.add(identity)
            if folder is not self.top and _is_environment(entries):
                self.tally.folder("virtual environment")
                continue
            if self.ignores is not None:
                yield from self.ignores.enter(folder.path, folder.below, folder.uri)
            below: list[_Folder] = []
            for entry in entries:
                item = self._entry(entry, folder, below)
                if item is not None:
                    yield item
            work.extend(reversed(below))
        yield from self._followed_links()

    def _entry(
        self, entry: os.DirEntry[str], folder: _Folder, below: list[_Folder]
    ) -> Artifact | Notification | None:
        name = entry.name
        try:
            is_link = entry.is_symlink()
            is_folder = not is_link and entry.is_dir(follow_symlinks=False)
            if is_folder and name in self.skip:
                self.tally.folder(self.skip[name])
            elif self.filtered and self._left_out(folder, name, is_folder=is_folder):
                pass
            elif is_folder:
                below.append(
                    _Folder(entry.path, f"{folder.uri}{_printable(name)}/", f"{folder.below}{name}/")
                )
            elif is_link:
                self.links.append((folder, name))
            else:
                return self._file(entry, folder)
        except OSError as error:
            uri = folder.uri + _printable(name)
            return _note("unreadable", f"cannot be read: {error.strerror}", uri, incomplete=True)
        return None

    def _file(self, entry: os.DirEntry[str], folder: _Folder) -> Artifact | Notification:
        uri = folder.uri + _printable(entry.name)
        status = entry.stat(follow_symlinks=False)
        if not stat.S_ISREG(status.st_mode):
            self.tally.file("special file")
            return _note("special-file", "not opened: a pipe, socket or device", uri)
        self.inodes.add((status.st_dev, status.st_ino))
        return Artifact(uri=uri, path=Path(entry.path), size=status.st_size, root=self.root)

    def _left_out(self, folder: _Folder, name: str, *, is_folder: bool) -> bool:
        count = self.tally.folder if is_folder else self.tally.file
        places = {folder.below + name, (folder.uri + _printable(name)).lstrip("/")}
        if any(self.exclude.excludes(place, folder=is_folder) for place in places):
            count("excluded")
            return True
        if self.ignores is not None and self.ignores.ignores(folder.below + name, folder=is_folder):
            count(".gitignore")
            return True
        return False

    def _followed_links(self) -> Iterator[Artifact | Notification]:
        """Look at the links, once it is known which files were visited."""
        for folder, name in self.links:
            uri = folder.uri + _printable(name)
            path = f"{folder.path}{os.sep}{name}"
            try:
                real = os.path.realpath(path, strict=True)
                status = os.stat(real)  # noqa: PTH116 - speed
            except (OSError, ValueError):
                self.tally.file("broken link")
                continue
            inside = real == self.real_root or real.startswith(self.real_root.rstrip(os.sep) + os.sep)
            identity = (status.st_dev, status.st_ino)
            if not inside:
                self.tally.file("link out of the tree")
                yield _note("link-outside", "a link that leads out of the tree; not followed", uri)
            elif stat.S_ISREG(status.st_mode) and identity not in self.inodes:
                self.inodes.add(identity)
                yield Artifact(uri=uri, path=Path(path), size=status.st_size, root=self.root)
            else:
                self.tally.file("link")


def _is_environment(entries: list[os.DirEntry[str]]) -> bool:
    names = {entry.name for entry in entries}
    return ENVIRONMENT in names and not names.isdisjoint(PROGRAMS)


def _printable(name: str) -> str:
    r"""Give a name that any output can hold: bytes that are not UTF-8 are shown as \xff."""
    if name.isascii():
        return name
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def _note(code: str, message: str, uri: str, *, incomplete: bool = False) -> Notification:
    level = Level.WARNING if incomplete else Level.NOTE
    place = Location(uri=uri.rstrip("/") or ".")
    return Notification(code=code, message=message, level=level, location=place, incomplete=incomplete)


@cache
def _skipped_names() -> Mapping[str, str]:
    """Folder names that are never entered, and why (rules/formats/folders.json)."""
    rows: dict[str, list[str]] = json.loads((rules_folder() / "formats" / "folders.json").read_bytes())
    return {name: reason for reason, names in rows.items() for name in names}
