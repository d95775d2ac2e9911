"""pyproject.toml: what a project says it needs.

Formats: PEP 621 (dependencies, optional-dependencies), PEP 735 (dependency-groups), PEP 518
(build-system.requires). The tables of tools are in pyproject_tools.py.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from supplyguard.aspect import Aspect
from supplyguard.finding import Evidence, Level, Notification
from supplyguard.inventory import Artifact, Dependency
from supplyguard.limits import MIB, Budget, Resource
from supplyguard.sources.end_of_life import asked
from supplyguard.sources.pyproject_tools import own_statements
from supplyguard.sources.requirements import include
from supplyguard.sources.statements import Statement, unparsed
from supplyguard.sources.toml_document import (
    Found,
    Places,
    listed,
    parse_toml,
    read_entry,
    read_places,
    read_toml_text,
    table_at,
)
from supplyguard.sources.toml_positions import KeyPath

NAME: Final = "pyproject"
ASPECT: Final = Aspect.DEPENDENCIES
FILE_SIZE: Final = 4 * MIB
BUILD: Final = "build-system"


def claims(name: str) -> bool:
    """Whether a file is called pyproject.toml."""
    return name == "pyproject.toml"


def collect(artifact: Artifact, budget: Budget) -> Iterator[Found]:
    """Yield the project's dependencies, each with its place; raises MalformedError for what is not TOML."""
    text = read_toml_text(artifact, budget, FILE_SIZE)
    places = read_places(artifact.uri, text)
    document = parse_toml(text)
    own = _own_name(document)
    for item in _statements(document, places, budget):
        # "name[extra]" of the project itself, in one of its lists, only joins lists
        if not (own is not None and _name_of(item) == own):
            yield item
    yield from _dynamic(document, places, artifact, budget)


def _statements(document: Mapping[str, Any], places: Places, budget: Budget) -> Iterator[Found]:
    for entry in _entries(document, places):
        budget.spend(Resource.NODES)
        budget.check_time()
        yield from [entry] if isinstance(entry, Notification) else read_entry(entry)
    yield from own_statements(document, places)
    wanted = table_at(document, ("project",)).get("requires-python")
    if isinstance(wanted, str):
        yield asked(wanted, places.of(("project", "requires-python"), wanted))


def _own_name(document: Mapping[str, Any]) -> str | None:
    """Give the project's own name, normalised."""
    name = table_at(document, ("project",)).get("name")
    if not isinstance(name, str):
        return None
    from packaging.utils import canonicalize_name  # noqa: PLC0415 - heavy: not for every project

    return canonicalize_name(name)


def _name_of(item: Found) -> str | None:
    """Give the package that an item is about, unless it comes from an address."""
    if isinstance(item, Dependency):
        return item.name if item.url is None else None
    if isinstance(item, Evidence) and item.kind == "dependency-unpinned":
        return str(item.facts["name"])
    return None


def _entries(document: Mapping[str, Any], places: Places) -> Iterator[Statement | Notification]:
    """Find every requirement string in the tables that hold them."""
    project = table_at(document, ("project",))
    yield from listed(project.get("dependencies", []), ("project", "dependencies"), places, None, "project")
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
            yield from listed(requirements, (*path, name), places, name, place)
    yield from _include_problems(groups, places)
    build = table_at(document, (BUILD,))
    yield from listed(build.get("requires", []), (BUILD, "requires"), places, BUILD, BUILD)


def _include_problems(groups: Any, places: Places) -> Iterator[Notification]:
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


def _dynamic(
    document: Mapping[str, Any], places: Places, artifact: Artifact, budget: Budget
) -> Iterator[Found]:
    """Follow or mention what the project says elsewhere."""
    dynamic = table_at(document, ("project",)).get("dynamic", [])
    for field_name in ("dependencies", "optional-dependencies"):
        if not isinstance(dynamic, list) or field_name not in dynamic:
            continue
        table = table_at(document, ("tool", "setuptools", "dynamic"))
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
