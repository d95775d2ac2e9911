"""What is resolved together: the declarations of one file, as requirements that hold nothing else."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from supplyguard.inventory import Dependency, DependencyKind
from supplyguard.resolution import When
from supplyguard.resources import format_data

BUILD: Final = "build-system"
"""The group of what builds a project: it is installed apart from the project."""
PLAIN: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(?:\[[A-Za-z0-9._,-]*\])?[A-Za-z0-9._!+*<>=~, ]*")
MARKER: Final = re.compile(r"""[A-Za-z0-9 _.<>=!~'"(),*+-]*""")
LENGTH: Final = 2000

Settled = frozenset[tuple[str, str]]
"""(folder or file, name) of what a lock or a compiled file says already."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Unit:
    """The declarations of one file that are installed together.

    lines: one PEP 508 text each, in the order of `declared`. left_out: raw name and reason of what
    is not handed on.
    """

    uri: str
    declared: tuple[Dependency, ...]
    lines: tuple[str, ...]
    constraints: tuple[str, ...]
    left_out: tuple[tuple[Dependency, str], ...]

    def only(self, groups: frozenset[str | None]) -> Unit:
        """Give the part of it that belongs to some groups."""
        kept = [pair for pair in zip(self.declared, self.lines, strict=True) if pair[0].group in groups]
        return Unit(
            uri=self.uri,
            declared=tuple(each for each, _line in kept),
            lines=tuple(line for _each, line in kept),
            constraints=self.constraints,
            left_out=(),
        )


def units_of(dependencies: Sequence[Dependency], when: When) -> tuple[Unit, ...]:
    """Group what has to be resolved; a file that is locked or pinned throughout is left out.

    With ALWAYS, what pins and has no lock is resolved too: it says nothing of what comes with it.
    """
    settled = settled_names(dependencies)
    files: dict[tuple[str, bool], list[Dependency]] = {}
    constraints: dict[str, list[str]] = {}
    for each in dependencies:
        folder = _folder(each.location.uri)
        if each.kind is DependencyKind.CONSTRAINT and (line := line_of(each)):
            constraints.setdefault(folder, []).append(line)
        elif each.kind is DependencyKind.REQUIREMENT and each.direct and _resolvable(each):
            files.setdefault((each.location.uri, each.group == BUILD), []).append(each)
    found = []
    for (uri, _build), declared in files.items():
        open_ones = [each for each in declared if each.url is None and not _is_settled(each, settled)]
        if when is When.AUTO:
            open_ones = [each for each in open_ones if each.version is None]
        if open_ones:
            found.append(_unit(uri, declared, tuple(dict.fromkeys(constraints.get(_folder(uri), ())))))
    return tuple(unit for unit in found if unit.lines)


def settled_names(dependencies: Iterable[Dependency]) -> Settled:
    """Say which names a lock settles in its folder, and a compiled requirements file beside its source."""
    settled: set[tuple[str, str]] = set()
    for each in dependencies:
        if each.kind is DependencyKind.LOCKED and (each.version is not None or each.url is not None):
            settled.add((_folder(each.location.uri), each.name))
        elif each.version is not None and each.location.uri.endswith(".txt"):
            settled.add((each.location.uri.removesuffix(".txt") + ".in", each.name))
    return frozenset(settled)


def line_of(dependency: Dependency) -> str | None:
    """Write a dependency anew as PEP 508; None when it holds anything unusual.

    Nothing of this can be read as an option or as another requirement.
    """
    extras = f"[{','.join(dependency.extras)}]" if dependency.extras else ""
    text = f"{dependency.name}{extras}{dependency.specifier}"
    marker = dependency.marker or ""
    plain = PLAIN.fullmatch(text) is not None and MARKER.fullmatch(marker) is not None
    if not plain or " -" in f" {marker}" or "--" in text + marker or len(text) + len(marker) > LENGTH:
        return None
    return f"{text} ; {marker}" if marker else text


def _unit(uri: str, declared: Sequence[Dependency], constraints: tuple[str, ...]) -> Unit:
    kept: list[tuple[Dependency, str]] = []
    left_out: list[tuple[Dependency, str]] = []
    for each in declared:
        line = line_of(each)
        if each.url is not None:
            left_out.append((each, "from an address or a path"))
        elif line is None:
            left_out.append((each, "a version or marker that is not handed on"))
        else:
            kept.append((each, line))
    return Unit(
        uri=uri,
        declared=tuple(each for each, _line in kept),
        lines=tuple(line for _each, line in kept),
        constraints=constraints,
        left_out=tuple(left_out),
    )


def _is_settled(dependency: Dependency, settled: Settled) -> bool:
    uri, name = dependency.location.uri, dependency.name
    return (_folder(uri), name) in settled or (uri, name) in settled


def _resolvable(dependency: Dependency) -> bool:
    """Whether what a file says is installed from a package index by pip or uv."""
    name = dependency.location.uri.rpartition("/")[2]
    return not any(pattern.fullmatch(name) for pattern in _foreign())


def _folder(uri: str) -> str:
    return uri.rpartition("/")[0] + "/"


@cache
def _foreign() -> tuple[re.Pattern[str], ...]:
    data: Mapping[str, Any] = format_data("resolution")
    return tuple(re.compile(pattern, re.IGNORECASE) for pattern in data["not_resolved"])
