"""Tables whose keys are package names: Poetry's and Pipenv's.

Formats: Poetry's documentation, "Dependency specification"; Pipenv's, "Pipfile specification".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from supplyguard.inventory import Dependency, DependencyKind, Location
from supplyguard.sources.constraints import exact_version
from supplyguard.sources.package_names import disguised
from supplyguard.sources.references import mask, read_reference
from supplyguard.sources.statements import LENGTH, reference_evidence, unparsed
from supplyguard.sources.toml_document import Found, Places
from supplyguard.sources.toml_positions import KeyPath

NAMED: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?", re.ASCII)
SCP: Final = re.compile(r"(?P<user>[\w.-]+@)?(?P<host>[\w.-]+):(?!//)(?P<path>.+)", re.ASCII)
"""The short form of an ssh address that git takes."""
REVISIONS: Final = ("rev", "ref", "tag", "branch", "revision")
PLACES: Final = ("url", "file", "path")
TRUE_OF: Final = ("sys_platform", "os_name", "platform_machine", "platform_system", "python_version")
"""Environment markers that Pipenv takes as keys, with "== 'win32'" as their value."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Style:
    """How a tool writes such a table. skipped: keys that are no packages. place: for rules."""

    place: str
    specifier: Callable[[str], str | None]
    skipped: frozenset[str] = frozenset()
    python: bool = False


def read_named(
    table: Mapping[str, Any], path: KeyPath, places: Places, style: Style, group: str | None
) -> Iterator[Found]:
    """Yield the dependencies of one table, and what is odd about them."""
    for name, value in table.items():
        if name in style.skipped:
            continue
        location = places.key((*path, name))
        for each in value if isinstance(value, list) else [value]:
            entry = {"version": each} if isinstance(each, str) else each
            if isinstance(entry, dict):
                yield from read_one(name, entry, location, style, group)
            else:
                yield unparsed(name, location, "expected a version or a table")


def source_address(entry: Mapping[str, Any]) -> str | None:
    """Give the address or path that an entry names instead of a version, as pip would write it."""
    repository = _text(entry, "git")
    if repository is not None:
        short = SCP.fullmatch(repository)
        if short is not None and "://" not in repository:
            repository = f"ssh://{short['user'] or ''}{short['host']}/{short['path']}"
        revision = next((entry[key] for key in REVISIONS if isinstance(entry.get(key), str)), None)
        prefix = "" if repository.startswith("git+") else "git+"
        return f"{prefix}{repository}" + (f"@{revision}" if revision is not None else "")
    return next((entry[key] for key in PLACES if isinstance(entry.get(key), str)), None)


def read_one(
    name: str, entry: Mapping[str, Any], location: Location, style: Style, group: str | None
) -> Iterator[Found]:
    """Yield the dependency that one key and its table say, and what is odd about it."""
    from packaging.utils import canonicalize_name  # noqa: PLC0415 - heavy: few projects have such tables

    if NAMED.fullmatch(name) is None:
        yield from disguised(name[:LENGTH], location)
        yield unparsed(name, location, "not a package's name")
        return
    version = entry.get("version", "")
    specifier = style.specifier(version) if isinstance(version, str) else None
    if specifier is None:
        yield unparsed(f"{name} {version}"[:LENGTH], location, "not a version constraint")
        return
    url = source_address(entry)
    reference = read_reference(url) if url is not None else None
    exact = exact_version(specifier)
    listed = entry.get("extras")
    extras = listed if isinstance(listed, list) else []
    dependency = Dependency(
        name=canonicalize_name(name),
        raw_name=name,
        location=location,
        version=exact if exact is not None or reference is None else reference.version,
        specifier=specifier,
        extras=tuple(sorted(each for each in extras if isinstance(each, str))),
        marker=_marker(entry, style),
        group=group,
        url=mask(url) if url is not None else None,
        kind=DependencyKind.REQUIREMENT,
    )
    yield dependency
    if reference is not None:
        named = replace(reference, name=dependency.name)
        yield reference_evidence(named, location, place=style.place)


def _marker(entry: Mapping[str, Any], style: Style) -> str | None:
    """Join everything that says when a dependency applies."""
    parts = [each for each in (_text(entry, "markers"), _text(entry, "marker")) if each]
    parts += [f"{key} {value}" for key in TRUE_OF if (value := _text(entry, key)) is not None]
    platform = _text(entry, "platform")
    if platform is not None:
        parts.append(f'sys_platform == "{platform}"')
    python = _text(entry, "python") if style.python else None
    specifier = style.specifier(python) if python is not None else None
    if specifier:
        compared = (re.match(r"([<>=!~]+)(.*)", each) for each in specifier.split(","))
        parts.append(" and ".join(f'python_version {each[1]} "{each[2]}"' for each in compared if each))
    return " and ".join(f"({part})" for part in parts) if len(parts) > 1 else (parts[0] if parts else None)


def _text(entry: Mapping[str, Any], key: str) -> str | None:
    value = entry.get(key)
    return value if isinstance(value, str) and len(value) <= LENGTH else None
