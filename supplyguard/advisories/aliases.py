"""Which advisory ids name the same problem, and which of them to show.

Aliases are symmetric and transitive (OSV format, "aliases"), so ids that are joined by any chain
of records are one problem.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

_PREFERENCE: Final = ("CVE-", "GHSA-", "PYSEC-", "MAL-")
"""Best first: the CVE id is the one that every other database, VEX statement and report knows."""


def preferred(ids: Iterable[str]) -> tuple[str, ...]:
    """Order ids: CVE, GHSA, PYSEC, MAL, then others; by text inside each kind; each once."""

    def rank(one: str) -> tuple[int, str]:
        kind = next((place for place, prefix in enumerate(_PREFERENCE) if one.startswith(prefix)), None)
        return (len(_PREFERENCE) if kind is None else kind, one)

    return tuple(sorted(set(ids), key=rank))


def groups(id_sets: Sequence[Iterable[str]]) -> list[list[int]]:
    """Join the sets that share an id, transitively (union-find); gives their positions, in order."""
    parents = list(range(len(id_sets)))

    def root(place: int) -> int:
        while parents[place] != place:
            parents[place] = parents[parents[place]]
            place = parents[place]
        return place

    first_with: dict[str, int] = {}
    for place, ids in enumerate(id_sets):
        for one in ids:
            other = root(first_with.setdefault(one, place))
            mine = root(place)
            parents[max(mine, other)] = min(mine, other)
    joined: dict[int, list[int]] = {}
    for place in range(len(id_sets)):
        joined.setdefault(root(place), []).append(place)
    return list(joined.values())
