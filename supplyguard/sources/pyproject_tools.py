"""What tools say in their own tables of pyproject.toml: Poetry, uv, PDM and Hatch.

Formats: Poetry's documentation, "The pyproject.toml file"; uv's, "Settings" and "Managing
dependencies"; PDM's, "PEP 621 and build configuration"; Hatch's, "Environment configuration".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from supplyguard.finding import Evidence
from supplyguard.inventory import DependencyKind
from supplyguard.sources.constraints import poetry_specifier
from supplyguard.sources.end_of_life import asked
from supplyguard.sources.named_tables import Style, read_named, source_address
from supplyguard.sources.references import read_reference
from supplyguard.sources.statements import Statement, option_evidence, reference_evidence, unparsed
from supplyguard.sources.toml_document import Found, Places, listed, read_entry, table_at
from supplyguard.sources.toml_positions import KeyPath

POETRY: Final = Style(place="poetry", specifier=poetry_specifier, skipped=frozenset({"python"}), python=True)
UV: Final = "uv"
STRATEGY: Final = ("tool", "uv", "index-strategy")


@dataclass(frozen=True, slots=True)
class _Lists:
    """Lists of PEP 508 texts: one at `path`, or one for each key below it.

    inner: keys that lead from there to the list. group: for a single list.
    """

    path: tuple[str, ...]
    place: str
    group: str | None = None
    many: bool = False
    inner: tuple[str, ...] = ()
    kind: DependencyKind = DependencyKind.REQUIREMENT


LISTS: Final = (
    _Lists(("tool", "uv", "dev-dependencies"), "group", "dev"),
    _Lists(("tool", "uv", "constraint-dependencies"), UV, kind=DependencyKind.CONSTRAINT),
    _Lists(("tool", "uv", "override-dependencies"), UV, kind=DependencyKind.CONSTRAINT),
    _Lists(("tool", "uv", "build-constraint-dependencies"), UV, kind=DependencyKind.CONSTRAINT),
    _Lists(("tool", "pdm", "dev-dependencies"), "group", many=True),
    _Lists(("tool", "hatch", "envs"), "group", many=True, inner=("dependencies",)),
    _Lists(("tool", "hatch", "envs"), "group", many=True, inner=("extra-dependencies",)),
)


@dataclass(frozen=True, slots=True)
class _Indexes:
    """Where a tool lists package indexes: an address, or a list of addresses or tables with "url"."""

    path: tuple[str, ...]
    option: str
    place: str


INDEXES: Final = (
    _Indexes(("tool", "uv", "index"), "--extra-index-url", UV),
    _Indexes(("tool", "uv", "index-url"), "--index-url", UV),
    _Indexes(("tool", "uv", "extra-index-url"), "--extra-index-url", UV),
    _Indexes(("tool", "uv", "find-links"), "--find-links", UV),
    _Indexes(("tool", "uv", "pip", "index-url"), "--index-url", UV),
    _Indexes(("tool", "uv", "pip", "extra-index-url"), "--extra-index-url", UV),
    _Indexes(("tool", "uv", "pip", "find-links"), "--find-links", UV),
    _Indexes(("tool", "uv", "allow-insecure-host"), "--trusted-host", UV),
    _Indexes(("tool", "poetry", "source"), "--extra-index-url", "poetry"),
    _Indexes(("tool", "pdm", "source"), "--extra-index-url", "pdm"),
)


def own_statements(document: Mapping[str, Any], places: Places) -> Iterator[Found]:
    """Yield the dependencies and indexes in the tools' own tables."""
    yield from _poetry(document, places)
    for each in LISTS:
        yield from _lists(each, document, places)
    yield from _uv_sources(document, places)
    for index in INDEXES:
        yield from _index(index, document, places)
    strategy = table_at(document, STRATEGY[:-1]).get(STRATEGY[-1])
    if isinstance(strategy, str):
        place = places.of(STRATEGY, strategy)
        yield option_evidence("--index-strategy", strategy, place, place=UV)


def _poetry(document: Mapping[str, Any], places: Places) -> Iterator[Found]:
    poetry: KeyPath = ("tool", "poetry")
    table = table_at(document, ("tool", "poetry"))
    optional = {
        name: str(extra)
        for extra, names in table_at(table, ("extras",)).items()
        for name in (names if isinstance(names, list) else [])
        if isinstance(name, str)
    }
    main = table_at(table, ("dependencies",))
    wanted = main.get("python")
    python = poetry_specifier(wanted) if isinstance(wanted, str) else None
    if python is not None:
        place = places.of((*poetry, "dependencies", "python"), str(wanted))
        yield asked(python, place, f"python {wanted}")
    for name, value in main.items():
        in_extra = isinstance(value, dict) and value.get("optional") is True
        group = optional.get(name) if in_extra else None
        yield from read_named({name: value}, (*poetry, "dependencies"), places, POETRY, group)
    dev = table_at(table, ("dev-dependencies",))
    yield from read_named(dev, (*poetry, "dev-dependencies"), places, POETRY, "dev")
    for group in table_at(table, ("group",)):
        path = ("group", group, "dependencies")
        yield from read_named(table_at(table, path), (*poetry, *path), places, POETRY, group)


def _lists(each: _Lists, document: Mapping[str, Any], places: Places) -> Iterator[Found]:
    parent = table_at(document, each.path[:-1])
    if each.path[-1] not in parent:
        return
    found = parent[each.path[-1]]
    lists: list[tuple[Any, KeyPath, str | None]] = [(found, each.path, each.group)]
    if each.many:
        lists = []
        for key, value in found.items() if isinstance(found, dict) else ():
            for step in each.inner:
                value = value.get(step) if isinstance(value, dict) else None  # noqa: PLW2901 - a walk down
            if value is not None:
                lists.append((value, (*each.path, key, *each.inner), key))
    for value, path, group in lists:
        for item in listed(value, path, places, group, each.place):
            if isinstance(item, Statement):
                yield from read_entry(replace(item, kind=each.kind))
            else:
                yield item


def _uv_sources(document: Mapping[str, Any], places: Places) -> Iterator[Evidence]:
    """Describe the packages that uv takes from an address or path; their names are said elsewhere."""
    path: KeyPath = ("tool", "uv", "sources")
    for name, value in table_at(document, ("tool", "uv", "sources")).items():
        for entry in value if isinstance(value, list) else [value]:
            address = source_address(entry) if isinstance(entry, dict) else None
            if address is not None:
                reference = replace(read_reference(address), name=name)
                yield reference_evidence(reference, places.key((*path, name)), place=UV)


def _index(index: _Indexes, document: Mapping[str, Any], places: Places) -> Iterator[Found]:
    found = table_at(document, index.path[:-1]).get(index.path[-1])
    for number, entry in enumerate(found if isinstance(found, list) else [found]):
        path: KeyPath = (*index.path, number) if isinstance(found, list) else index.path
        if isinstance(entry, dict) and isinstance(entry.get("url"), str):
            default = entry.get("default") is True or entry.get("priority") in {"default", "primary"}
            option = "--index-url" if default else index.option
            url = entry["url"]
            yield option_evidence(option, url, places.of((*path, "url"), url), place=index.place)
        elif isinstance(entry, str):
            yield option_evidence(index.option, entry, places.of(path, entry), place=index.place)
        elif entry is not None:
            yield unparsed(str(index.path[-1]), places.table(path), "expected an address")
