"""Limits: how much work one artifact may cost, whatever its bytes claim."""

from __future__ import annotations

import time
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from supplyguard.errors import BudgetExceededError

KIB: Final = 1024
MIB: Final = 1024 * KIB
GIB: Final = 1024 * MIB


class Resource(StrEnum):
    """A countable resource; the value is the name of its field in `Limits`."""

    INFLATED_BYTES = "inflated_bytes"
    MEMBERS = "members"
    ACTIONS = "actions"
    PICKLES = "pickles"
    NODES = "nodes"


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """The limits of one artifact's examination. All are totals over its whole member tree.

    inflated_bytes: bytes that decompressors may produce.
    inflate_ratio: produced / consumed bytes of one stream, looked at above `ratio_floor` bytes.
    members: members of all containers together.
    depth: containers inside containers.
    actions: pickle operations that can act (calls, imports, builds, forks).
    pickles: pickle programs, nested ones included; pickle_depth: nesting of those.
    nodes: nodes of parsed documents (JSON, YAML, XML, syntax trees).
    document_bytes, document_depth: one parsed document. string_bytes: one name or string kept.
    seconds: wall time.
    """

    inflated_bytes: int = 4 * GIB
    inflate_ratio: int = 200
    ratio_floor: int = 16 * MIB
    members: int = 100_000
    depth: int = 5
    actions: int = 2_000_000
    pickles: int = 10_000
    pickle_depth: int = 8
    nodes: int = 5_000_000
    document_bytes: int = 100 * MIB
    document_depth: int = 64
    string_bytes: int = MIB
    seconds: float = 120.0


class Budget:
    """What is left of a `Limits` for one artifact. Not shared between threads."""

    __slots__ = ("__weakref__", "_deadline", "_spent", "limits")

    def __init__(self, limits: Limits | None = None) -> None:
        self.limits = limits if limits is not None else Limits()
        self._deadline = time.monotonic() + self.limits.seconds
        self._spent: dict[Resource, int] = {}

    def spend(self, resource: Resource, amount: int = 1) -> None:
        """Count `amount` of `resource`; raises BudgetExceededError once the limit is passed."""
        spent = self._spent[resource] = self._spent.get(resource, 0) + amount
        limit: int = getattr(self.limits, resource.value)
        if spent > limit:
            raise BudgetExceededError(resource.value, limit)

    def spent(self, resource: Resource) -> int:
        """How much of `resource` has been used so far."""
        return self._spent.get(resource, 0)

    def check_time(self) -> None:
        """Raise BudgetExceededError when the wall time is used up; call it every few thousand steps."""
        if time.monotonic() > self._deadline:
            raise BudgetExceededError("seconds", self.limits.seconds)
