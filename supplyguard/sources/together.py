"""What shows only when all files are read, or by the day: drift, odd names, ended support."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date

from supplyguard.finding import Evidence
from supplyguard.inventory import Dependency
from supplyguard.sources.drift import compare, mark_direct, unsettled
from supplyguard.sources.end_of_life import ended, ended_packages
from supplyguard.sources.package_names import questionable


def settled(dependencies: Sequence[Dependency]) -> list[Dependency]:
    """Give the dependencies with what their files say of each other: locked ones that are direct."""
    return list(mark_direct(dependencies))


def compared(late: Sequence[Evidence], dependencies: Sequence[Dependency], today: date) -> Iterator[Evidence]:
    """Yield what the files say together. late: Evidence that waited for the other files."""
    yield from ended(unsettled(late, dependencies), today)
    yield from ended_packages(dependencies, today)
    yield from compare(dependencies)
    yield from questionable(dependencies)
