"""What uv.lock's edges say of each package: whether the project names it, for which group, and when."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

ROOTS: Final = frozenset({"editable", "virtual", "directory"})
MARKERS: Final = 8
"""Different markers of one package's edges that are joined; with more, none is given."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Seen:
    """What all edges to a package say together."""

    direct: bool
    group: str | None
    extras: tuple[str, ...]
    marker: str | None


@dataclass(kw_only=True, slots=True)
class _Node:
    direct: bool = False
    extras: set[str] = field(default_factory=set)
    markers: set[str | None] = field(default_factory=set)
    groups: set[str | None] = field(default_factory=set)
    edges: list[str] = field(default_factory=list)


def read_graph(packages: list[Any]) -> Mapping[str, Seen]:
    """Follow the edges from the project's own packages; those of several versions are taken together."""
    nodes: dict[str, _Node] = {}
    starts: dict[str | None, list[str]] = {}
    for package in packages:
        if not isinstance(package, dict) or not isinstance(package.get("name"), str):
            continue
        source = package.get("source")
        is_root = isinstance(source, dict) and not ROOTS.isdisjoint(source)
        parent = nodes.setdefault(package["name"], _Node())
        for group, edge in _edges(package):
            node = nodes.setdefault(edge["name"], _Node())
            marker = edge.get("marker")
            node.markers.add(marker if isinstance(marker, str) else None)
            if is_root:
                node.direct = True
                extra = edge.get("extra")
                found = extra if isinstance(extra, list) else []
                node.extras.update(each for each in found if isinstance(each, str))
                starts.setdefault(group, []).append(edge["name"])
            else:
                parent.edges.append(edge["name"])
    for group, names in starts.items():
        _reach(names, group, nodes)
    return {name: _seen(node) for name, node in nodes.items()}


def _edges(package: Mapping[str, Any]) -> Iterator[tuple[str | None, Mapping[str, Any]]]:
    """Yield a package's edges with the extra or group that they belong to."""
    lists: list[tuple[str | None, Any]] = [(None, package.get("dependencies"))]
    for key in ("optional-dependencies", "dev-dependencies"):
        table = package.get(key)
        lists += table.items() if isinstance(table, dict) else []
    for group, entries in lists:
        for entry in entries if isinstance(entries, list) else []:
            if isinstance(entry, dict) and isinstance(entry.get("name"), str):
                yield group, entry


def _reach(names: list[str], group: str | None, nodes: Mapping[str, _Node]) -> None:
    work = list(names)
    while work:
        node = nodes[work.pop()]
        if group not in node.groups:
            node.groups.add(group)
            work.extend(node.edges)


def _seen(node: _Node) -> Seen:
    group = None
    if node.groups and None not in node.groups:
        group = min(each for each in node.groups if each is not None)
    markers = sorted(each for each in node.markers if each is not None)
    marker = None
    if None not in node.markers and 0 < len(markers) <= MARKERS:
        marker = " or ".join(f"({each})" for each in markers) if len(markers) > 1 else markers[0]
    return Seen(direct=node.direct, group=group, extras=tuple(sorted(node.extras)), marker=marker)
