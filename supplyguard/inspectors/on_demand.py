"""Inspectors that are imported when the first file comes along that may be of their format.

Importing all of them takes longer than scanning a small file. A first look may say yes too often, never
no too often: a test holds it against every fixture.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib import import_module
from typing import TYPE_CHECKING

from supplyguard.finding import Evidence, Notification
from supplyguard.inventory import Member, Probe
from supplyguard.limits import Budget

if TYPE_CHECKING:
    from supplyguard.inspectors import Inspector

FirstLook = Callable[[Probe], bool]


class OnDemand:
    """Stands in for the inspector module `stem` until a file passes the first look."""

    __slots__ = ("FORMAT", "_first_look", "_module")

    def __init__(self, stem: str, first_look: FirstLook) -> None:
        self.FORMAT = stem
        self._first_look = first_look
        self._module: Inspector | None = None

    def recognizes(self, probe: Probe) -> bool:
        """Take the first look, then ask the inspector."""
        return self._first_look(probe) and self.module.recognizes(probe)

    def inspect(self, member: Member, budget: Budget) -> Iterator[Evidence | Member | Notification]:
        """Hand over to the inspector."""
        return self.module.inspect(member, budget)

    @property
    def module(self) -> Inspector:
        """The inspector itself."""
        if self._module is None:
            found: Inspector = import_module(f"supplyguard.inspectors.{self.FORMAT}")
            self._module = found
        return self._module


def begins(*magics: bytes, at: int = 0) -> FirstLook:
    """Make a first look: one of these bytes at a place."""
    return lambda probe: probe.head.startswith(magics, at)


def named(*endings: str) -> FirstLook:
    """Make a first look: the name ends like this, in any case."""
    return lambda probe: probe.name.lower().endswith(endings)


def either(*looks: FirstLook) -> FirstLook:
    """Make a first look of several: any of them."""
    return lambda probe: any(look(probe) for look in looks)


def holds(*pieces: bytes, within: int = 1 << 16) -> FirstLook:
    """Make a first look: one of these pieces among the first bytes."""
    return lambda probe: any(piece in probe.head[:within] for piece in pieces)
