"""Which inspectors may recognise a file: looked up by first byte and name, not asked one by one.

Most files in a tree are no models. Each costs a handful of look-ups here, however many formats there are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

from supplyguard.inventory import Probe

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """A first look at a file: any of its parts says yes.

    magics: first bytes. endings: ends of the name, in lower case. others: anything else, as functions.
    """

    magics: tuple[bytes, ...] = ()
    endings: tuple[str, ...] = ()
    others: tuple[Callable[[Probe], bool], ...] = ()

    def __call__(self, probe: Probe) -> bool:
        """Whether any part says yes."""
        return (
            probe.head.startswith(self.magics)
            or probe.name.lower().endswith(self.endings)
            or any(other(probe) for other in self.others)
        )


def joined(looks: Iterable[Callable[[Probe], bool]]) -> Look:
    """Make one look of several."""
    parts = [look if isinstance(look, Look) else Look(others=(look,)) for look in looks]
    return Look(
        magics=tuple(magic for part in parts for magic in part.magics),
        endings=tuple(ending for part in parts for ending in part.endings),
        others=tuple(other for part in parts for other in part.others),
    )


class Shortlist(Generic[T]):
    """The candidates among entries that each have a first look, or None for those without one."""

    def __init__(self, entries: Iterable[tuple[T, Callable[[Probe], bool] | None]]) -> None:
        self._entries: list[T] = []
        self._always: list[int] = []
        self._magics: dict[int, list[tuple[bytes, int]]] = {}
        self._named: list[tuple[str, int]] = []
        others: dict[Callable[[Probe], bool], list[int]] = {}
        for number, (entry, look) in enumerate(entries):
            self._entries.append(entry)
            if look is None:
                self._always.append(number)
                continue
            part = joined([look])
            for magic in part.magics:
                self._magics.setdefault(magic[0], []).append((magic, number))
            self._named += ((ending, number) for ending in part.endings)
            for other in part.others:  # formats of one container share a look
                others.setdefault(other, []).append(number)
        self._endings = tuple(ending for ending, _ in self._named)
        self._others = tuple(others.items())

    def candidates(self, probe: Probe) -> list[T]:
        """Give the entries whose first look says yes, in their order."""
        head = probe.head
        found = set(self._always)
        if head:
            found.update(n for magic, n in self._magics.get(head[0], ()) if head.startswith(magic))
        name = probe.name.lower()
        if name.endswith(self._endings):
            found.update(number for ending, number in self._named if name.endswith(ending))
        for other, numbers in self._others:
            if other(probe):
                found.update(numbers)
        return [self._entries[number] for number in sorted(found)] if found else []
