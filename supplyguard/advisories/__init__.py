"""Which known problems the project's packages have: OSV records, their stores and their matcher."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

from supplyguard.advisories.evidence import merge, merge_audits
from supplyguard.finding import AdvisoryData, Audit, Evidence, Notification
from supplyguard.inventory import Dependency


class Database(Protocol):
    """A source of advisories: the embedded records, a local store, or a live service."""

    def data(self) -> AdvisoryData:
        """Say which data it is, how new and how much; raises SupplyguardError when it is damaged."""
        ...

    def audit(self, dependencies: Sequence[Dependency]) -> Iterator[Evidence | Audit | Notification]:
        """Yield exactly one Audit for each dependency, after the Evidence found for it.

        Evidence is of kind "dependency-advisory"; its facts are described in docs/advisories.md.
        """
        ...


__all__ = ["Database", "merge", "merge_audits"]
