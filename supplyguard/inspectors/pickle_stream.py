"""Pickles, protocols 0 to 5, whatever their file is called: examined by `supplyguard.pickles`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from supplyguard.finding import Evidence, Notification
from supplyguard.inventory import Member, Probe
from supplyguard.limits import Budget
from supplyguard.pickles.knowledge import current_knowledge
from supplyguard.pickles.programs import examine
from supplyguard.pickles.recognition import pickle_start

FORMAT: Final = "pickle_stream"


def recognizes(probe: Probe) -> bool:
    """Whether the bytes are a pickle, or one behind padding or a little junk."""
    whole = probe.size is not None and probe.size <= len(probe.head)
    return pickle_start(probe.head, whole=whole) is not None


def inspect(member: Member, budget: Budget) -> Iterator[Evidence | Member | Notification]:
    """Yield what loading the pickle would do."""
    yield from examine(member, budget, current_knowledge())
