"""pyproject.toml: what a project says it needs.

Formats: PEP 621 (dependencies, optional-dependencies), PEP 735 (dependency-groups), PEP 518
(build-system.requires).
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from supplyguard.aspect import Aspect
from supplyguard.errors import MalformedError
from supplyguard.finding import Evidence, Level, Notification
from supplyguard.inventory import Artifact, Dependency, Location
from supplyguard.limits import MIB, Budget, Resource
from supplyguard.sources.requirement_lines import Option
from supplyguard.sources.requirements import include
from supplyguard.sources.statements import (
    Statement,
    installs,
    option_evidence,
    options_in,
    read_statement,
    unparsed,
)
from supplyguard.sources.text import Lines, read_bytes
from supplyguard.sources.toml_positions import KeyPath, Positions, find_positions

NAME: Final = "pyproject"
ASPECT: Final = Aspect.DEPENDENCIES
FILE_SIZE: Final = 4 * MIB
DEPTH: Final = 64
BUILD: Final = "build-system"
IN_STRING: Final = "dependency-string"
"""Where an option stands that should be a requirement."""

Found = Dependency | Evidence | Notification


def claims(name: str) -> bool:
    """Whether a file is called pyproject.toml."""
    return name == "pyproject.toml"


def collect(artifact: Artifact, budget: Budget) -> Iterator[Found]:
    """Yield the project's dependencies, each with its place; raises MalformedError for what is not TOML."""
    raw = read_bytes(artifact.path, min(FILE_SIZE, budget.limits.document_bytes))
    try:
        text = raw.decode("utf-8-sig")
        positions = find_positions(text)
        if positions.too_deep:
            raise MalformedError("not read as TOML: nested too deep")
        document = tomllib.loads(text)
    except UnicodeDecodeError as error:
        raise MalformedError(f"not UTF-8: {error.reason}", offset=error.start) from error
    except (ValueError, RecursionError) as error:
        raise MalformedError(f"not TOML: {error}") from error
    places = _Places(artifact.uri, text, positions)
    for entry in _entries(document, places):
        budget.spend(Resource.NODES)
        budget.check_time()
        yield from [entry] if isinstance(entry, Notification) else _read(entry)
    yield from _dynamic(document, places, artifact, budget)


class _Places:
    """Finds the Location of a value by its path."""

    def __init__(self, uri: str, text: str, positions: Positions) -> None:
        self.uri = uri
        self.lines = Lines(text)
        self.text = text
        self.positions = positions

    def of(self, path: KeyPath, value: str) -> Location:
        """Give the place of a string; of its table or key when the string's own is not known."""
        span = self.positions.strings.get(path)
        if span is not None:
            written = self.text[span.start : span.end]
            if not span.plain:
                return self.lines.location(self.uri, span.start, span.end)
            if written == value or written.replace("\r\n", "\n") == value:
                lead = len(written) - len(written.lstrip())
                end = max(lead, len(written.rstrip()))
                return self.lines.location(self.uri, span.start + lead, span.start + end)
        return self.table(path)

    def table(self, path: KeyPath) -> Location:
        """Give the place of the nearest key or table header on the way to `path`."""
        while path:
            span = self.positions.tables.get(path)
            if span is not None:
                return self.lines.location(self.uri, span.start, span.end)
            path = path[:-1]
        return Location(uri=self.uri, line=1, column=1, end_line=1, end_column=1)


def _entries(document: Mapping[str, Any], places: _Places) -> Iterator[Statement | Notification]:
    """Find every requirement string in the tables that hold them."""
    project = _table(document, ("project",))
    yield from _list(project.get("dependencies", []), ("project", "dependencies"), places, None, "project")
    optional = project.get("optional-dependencies", {})
    groups = document.get("dependency-groups", {})
    for tables, path, place in (
        (optional, ("project", "optional-dependencies"), "project"),
        (groups, ("dependency-groups",), "group"),
    ):
        if not isinstance(tables, dict):
            yield unparsed(path[-1], places.table(path), "expected a table")
            continue
        for name, requirements in tables.items():
            yield from _list(requirements, (*path, name), places, name, place)
    yield from _include_problems(groups, places)
    build = _table(document, (BUILD,))
    yield from _list(build.get("requires", []), (BUILD, "requires"), places, BUILD, BUILD)


def _list(
    value: Any, path: KeyPath, places: _Places, group: str | None, place: str
) -> Iterator[Statement | Notification]:
    if not isinstance(value, list):
        yield unparsed(str(path[-1]), places.table(path), "expected a list of texts")
        return
    for index, text in enumerate(value):
        here = (*path, index)
        if isinstance(text, str):
            yield Statement(text=text.strip(), location=places.of(here, text), place=place, group=group)
        elif not (place == "group" and isinstance(text, dict) and set(text) == {"include-group"}):
            yield unparsed(str(text)[:80], places.table(here), "expected a text")


def _read(statement: Statement) -> Iterator[Found]:
    """Read one requirement; an option in its place is evidence and never a requirement."""
    options = list(options_in(statement.text))
    if not options:
        yield from read_statement(statement)
        return
    for option in options:
        yield _option(option, statement)
    yield unparsed(statement.text, statement.location, "holds an option for an installer")


def _option(option: Option, statement: Statement) -> Evidence:
    evidence = option_evidence(option.name, option.value, statement.location, place=IN_STRING)
    if installs(option.name):
        return Evidence(
            kind=evidence.kind,
            location=evidence.location,
            facts={**evidence.facts, "installs": True},
            symbol=evidence.symbol,
        )
    return evidence


def _include_problems(groups: Any, places: _Places) -> Iterator[Notification]:
    """Say which included groups are missing or include themselves (PEP 735 forbids both)."""
    if not isinstance(groups, dict):
        return
    from packaging.utils import canonicalize_name  # noqa: PLC0415 - heavy: few projects have groups

    includes: dict[str, list[tuple[str, KeyPath]]] = {}
    for name, entries in groups.items():
        found = includes.setdefault(canonicalize_name(name), [])
        for index, entry in enumerate(entries if isinstance(entries, list) else []):
            target = entry.get("include-group") if isinstance(entry, dict) else None
            if isinstance(target, str):
                found.append((canonicalize_name(target), ("dependency-groups", name, index)))
    for name, targets in includes.items():
        for target, path in targets:
            if target not in includes:
                message = f"includes the group {target!r}, which does not exist"
                yield Notification(code="include-unread", message=message, location=places.table(path))
            elif name in _reached(target, includes):
                message = f"the group {name!r} includes itself"
                yield Notification(code="include-loop", message=message, location=places.table(path))


def _reached(start: str, includes: Mapping[str, list[tuple[str, KeyPath]]]) -> set[str]:
    """Give every group that `start` leads to, itself included."""
    reached: set[str] = set()
    work = [start]
    while work:
        name = work.pop()
        if name not in reached:
            reached.add(name)
            work.extend(target for target, _path in includes.get(name, ()))
    return reached


@dataclass(frozen=True, slots=True)
class _Unread:
    """A table that says dependencies in a way that is not read; why is for people."""

    path: tuple[str, ...]
    why: str


UNREAD: Final = (
    _Unread(("tool", "poetry", "dependencies"), "Poetry's own format"),
    _Unread(("tool", "poetry", "group"), "Poetry's own format"),
    _Unread(("tool", "poetry", "dev-dependencies"), "Poetry's own format"),
    _Unread(("tool", "pdm", "dev-dependencies"), "PDM's own format"),
    _Unread(("tool", "uv", "dev-dependencies"), "uv's own format"),
)


def _dynamic(
    document: Mapping[str, Any], places: _Places, artifact: Artifact, budget: Budget
) -> Iterator[Found]:
    """Follow or mention what the project says elsewhere."""
    for each in UNREAD:
        if _table(document, each.path):
            message = f"dependencies in [{'.'.join(each.path)}] were not read: {each.why}"
            place = places.table(each.path)
            yield Notification(code="dependencies-unread", message=message, location=place, incomplete=True)
    dynamic = _table(document, ("project",)).get("dynamic", [])
    for field_name in ("dependencies", "optional-dependencies"):
        if not isinstance(dynamic, list) or field_name not in dynamic:
            continue
        table = _table(document, ("tool", "setuptools", "dynamic"))
        files = list(_dynamic_files(table.get(field_name)))
        for path, name in files:
            whole: KeyPath = ("tool", "setuptools", "dynamic", field_name, *path)
            yield from include(name, artifact, places.of(whole, name), budget)
        if not files:
            message = f"its {field_name} are computed when it is built, which was not done"
            place = places.table(("project", "dynamic"))
            yield Notification(
                code="dependencies-unread",
                message=message,
                level=Level.NOTE,
                location=place,
                incomplete=True,
            )


def _dynamic_files(value: Any) -> Iterator[tuple[KeyPath, str]]:
    """Find setuptools' {file = ...} in one field, or in each extra of one."""
    if not isinstance(value, dict):
        return
    file = value.get("file")
    if isinstance(file, str):
        yield ("file",), file
    elif isinstance(file, list):
        yield from ((("file", index), each) for index, each in enumerate(file) if isinstance(each, str))
    else:
        for name, inner in value.items():
            if isinstance(inner, dict) and "file" in inner:
                yield from (((name, *path), each) for path, each in _dynamic_files(inner))


def _table(document: Mapping[str, Any], path: tuple[str, ...]) -> Mapping[str, Any]:
    value: Any = document
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    return value if isinstance(value, dict) else {}
