"""Requirements and constraints files as pip reads them, and the files that they include.

Format: pip's documentation, "Requirements File Format"; PEP 508 for the requirements.
"""

from __future__ import annotations

import os
import posixpath
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from supplyguard.aspect import Aspect
from supplyguard.errors import SupplyguardError
from supplyguard.finding import Evidence, Level, Notification
from supplyguard.inventory import Artifact, Dependency, DependencyKind, Location
from supplyguard.limits import MIB, Budget, Resource
from supplyguard.sources.references import read_reference
from supplyguard.sources.requirement_lines import Line, Option, known_options, read_lines
from supplyguard.sources.statements import (
    Statement,
    option_evidence,
    read_statement,
    referred,
    unparsed,
)
from supplyguard.wire.text import Lines, decode, read_bytes

NAME: Final = "requirements"
ASPECT: Final = Aspect.DEPENDENCIES
NAMES: Final = re.compile(r"(?:.*[-_.])?(requirement|constraint)s?(?:\d*|[-_.].*)\.(?:txt|in)", re.IGNORECASE)
FILE_SIZE: Final = 4 * MIB
REMOTE: Final = re.compile(r"[a-z][a-z0-9+.-]+:", re.IGNORECASE)
PLACE: Final = "requirements"

Found = Dependency | Evidence | Notification


def claims(name: str) -> bool:
    """Whether a file's name is that of a requirements or constraints file."""
    return NAMES.fullmatch(name) is not None


def collect(artifact: Artifact, budget: Budget) -> Iterator[Found]:
    """Yield the dependencies of a file and of those that it includes, and what is odd about them."""
    constraints = NAMES.fullmatch(artifact.path.name)
    is_constraints = constraints is not None and constraints[1].lower() == "constraint"
    kind = DependencyKind.CONSTRAINT if is_constraints else DependencyKind.REQUIREMENT
    return read_files([_File(path=artifact.path, uri=artifact.uri, kind=kind)], artifact, budget)


@dataclass(frozen=True, kw_only=True, slots=True)
class _File:
    """A file to read; via: the real paths of the files that lead to it, itself left out."""

    path: Path
    uri: str
    kind: DependencyKind
    via: tuple[str, ...] = ()
    included: Location | None = None


@dataclass(kw_only=True, slots=True)
class _Held:
    """What can be judged only when all files are read."""

    unpinned: list[Evidence] = field(default_factory=list)
    index_options: list[tuple[Option, Location]] = field(default_factory=list)
    pinned: set[str] = field(default_factory=set)
    seen: set[tuple[str, DependencyKind]] = field(default_factory=set)
    requirements: int = 0
    hashed: int = 0
    require_hashes: bool = False

    def evidence(self) -> Iterator[Evidence]:
        for each in self.unpinned:
            if each.facts["name"] not in self.pinned:
                yield each
        checked = self.require_hashes or 0 < self.requirements == self.hashed
        for option, place in self.index_options:
            yield option_evidence(option.name, option.value, place, place=PLACE, hashed=checked)


def include(name: str, artifact: Artifact, place: Location, budget: Budget) -> Iterator[Found]:
    """Read a requirements file that another manifest names."""
    target = _target(name, artifact.path, artifact.uri, artifact, place)
    if isinstance(target, Notification):
        yield target
        return
    path, uri = target
    file = _File(path=path, uri=uri, kind=DependencyKind.REQUIREMENT, included=place)
    yield from read_files([file], artifact, budget)


def read_files(work: list[_File], artifact: Artifact, budget: Budget) -> Iterator[Found]:
    """Read files and what they include, each once. Raises for the first; the others are noted."""
    held = _Held()
    try:
        while work:
            yield from _read_one(work.pop(), artifact, budget, held, work)
    except SupplyguardError:
        yield from held.evidence()
        raise
    yield from held.evidence()


def _read_one(
    file: _File, artifact: Artifact, budget: Budget, held: _Held, work: list[_File]
) -> Iterator[Found]:
    real = os.path.realpath(file.path)
    if real in file.via:
        message = "includes itself"
        yield Notification(code="include-loop", message=message, location=file.included)
        return
    if (real, file.kind) in held.seen:
        return
    held.seen.add((real, file.kind))
    try:
        raw = read_bytes(file.path, min(FILE_SIZE, budget.limits.document_bytes))
    except SupplyguardError as error:
        if file.included is None:
            raise
        message = f"{file.uri}: {error.message}"
        yield Notification(code="unreadable", message=message, location=file.included, incomplete=True)
        return
    text, problem = decode(raw)
    if problem is not None:
        place = Location(uri=file.uri)
        yield Notification(code="encoding", message=problem, level=Level.NOTE, location=place)
    lines = Lines(text)
    includes: list[_File] = []
    for line in read_lines(text):
        budget.spend(Resource.NODES)
        budget.check_time()
        yield from _line(line, lines, _Context(file, artifact, held, includes, (*file.via, real)))
    work.extend(reversed(includes))


@dataclass(frozen=True, slots=True)
class _Context:
    """Where a line stands."""

    file: _File
    artifact: Artifact
    held: _Held
    includes: list[_File]
    via: tuple[str, ...]


def _line(line: Line, lines: Lines, context: _Context) -> Iterator[Found]:
    uri = context.file.uri
    hashes = tuple(
        option.value.replace("=", ":", 1) if ":" not in option.value else option.value
        for option in line.options
        if option.name == "--hash"
    )
    if line.text:
        place = lines.location(uri, line.start, line.end)
        statement = Statement(
            text=line.text, location=place, place=PLACE, kind=context.file.kind, hashes=hashes
        )
        yield from _requirement(statement, context.held)
    for option in line.options:
        place = lines.location(uri, option.start, option.end)
        yield from _option(option, place, context, hashes)


def _requirement(statement: Statement, held: _Held) -> Iterator[Found]:
    constraint = statement.kind is DependencyKind.CONSTRAINT
    if not constraint:
        held.requirements += 1
        held.hashed += bool(statement.hashes)
    for item in read_statement(statement):
        if isinstance(item, Evidence) and item.kind == "dependency-unpinned":
            held.unpinned.append(item)
            continue
        if isinstance(item, Dependency) and constraint and item.version is not None:
            held.pinned.add(item.name)
        yield item


def _option(option: Option, place: Location, context: _Context, hashes: tuple[str, ...]) -> Iterator[Found]:
    if option.problem:
        yield unparsed(option.name, place, option.problem)
    elif option.name in {"--requirement", "--constraint"}:
        target = _target(option.value, context.file.path, context.file.uri, context.artifact, place)
        if isinstance(target, Notification):
            yield target
            return
        path, uri = target
        constraint = option.name == "--constraint"
        kind = DependencyKind.CONSTRAINT if constraint else DependencyKind.REQUIREMENT
        context.includes.append(_File(path=path, uri=uri, kind=kind, via=context.via, included=place))
    elif option.name == "--editable":
        context.held.requirements += 1
        statement = Statement(
            text=option.value, location=place, place=PLACE, kind=context.file.kind, hashes=hashes
        )
        yield from _editable(statement)
    elif option.name == "--require-hashes":
        context.held.require_hashes = True
    elif known_options()[option.name].get("index"):
        context.held.index_options.append((option, place))


def _editable(statement: Statement) -> Iterator[Found]:
    """Read "-e": an address, a path (with extras), or "name @ address"."""
    text = statement.text.strip()
    named = re.match(r"[A-Za-z0-9][A-Za-z0-9._-]*\s*(?:\[[^\]]*\])?\s*@\s", text)
    if named is not None:
        yield from read_statement(statement)
    else:
        yield from referred(statement, read_reference(text))


def _target(
    name: str, file: Path, uri: str, artifact: Artifact, place: Location
) -> tuple[Path, str] | Notification:
    """Find an included file; only regular files of the same tree are read."""
    if REMOTE.match(name) or not name or "\0" in name:
        return _outside(name, "an address, not fetched", place)
    path = Path(file.parent, name)
    root = os.path.realpath(artifact.root if artifact.root is not None else artifact.path.parent)
    real = Path(os.path.realpath(path))
    if not real.is_relative_to(root):
        return _outside(name, "outside of the scanned tree", place)
    if not real.is_file():
        return _outside(name, "there is no such file", place)
    scheme, separator, rest = uri.rpartition("://")
    joined = posixpath.normpath(posixpath.join(posixpath.dirname(rest), Path(name).as_posix()))
    return path, f"{scheme}{separator}{joined}"


def _outside(name: str, reason: str, place: Location) -> Notification:
    shown = read_reference(name).address.shown if name else "(nothing)"
    message = f"includes {shown}, which was not read: {reason}"
    return Notification(code="include-unread", message=message, location=place, incomplete=True)
