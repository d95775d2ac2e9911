"""What the machine saw of one program: each thing once, with how often and where first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from supplyguard.finding import Fact
from supplyguard.pickles.knowledge import DANGEROUS, Effect
from supplyguard.pickles.values import Global, Value

MAX_SEEN: Final = 50
"""Different sightings of one kind that are kept apart; the others are counted together."""
OTHERS: Final = "and others"
"""The symbol under which sightings beyond MAX_SEEN are counted."""
MAX_NAMES: Final = 50
"""Names that one aggregated Evidence lists."""
MAX_CALLS: Final = 20_000
"""Calls kept for whoever wants to read them all."""

UNREVIEWED: Final = frozenset({Effect.UNKNOWN, Effect.UNKNOWN_STDLIB})


@dataclass(slots=True)
class Sighting:
    """One kind of thing, seen `count` times, first at `offset`."""

    kind: str
    symbol: str
    offset: int
    facts: dict[str, Fact]
    count: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class CallSeen:
    """One call: the opcode's name, the callable and its arguments as text."""

    offset: int
    opcode: str
    callable: str
    arguments: str


class Record:
    """Collects sightings; `globals` holds every imported object by its mapped name."""

    def __init__(self, *, keep_calls: bool = False) -> None:
        self.sightings: dict[tuple[str, str], Sighting] = {}
        self.globals: dict[tuple[str, str], Global] = {}
        self.persistent_ids: list[Value] = []
        self.calls: list[CallSeen] = []
        self.keep_calls = keep_calls
        self._kinds: Counter[str] = Counter()

    def add_persistent(self, identifier: Value) -> None:
        """Keep a persistent id."""
        if len(self.persistent_ids) < MAX_CALLS:
            self.persistent_ids.append(identifier)

    def add(self, kind: str, symbol: str, offset: int, **facts: Fact) -> None:
        """Note something; the same kind and symbol again only counts."""
        known = self.sightings.get((kind, symbol))
        if known is None and self._kinds[kind] >= MAX_SEEN:
            symbol = OTHERS
            known = self.sightings.get((kind, symbol))
        if known is not None:
            known.count += 1
            return
        self._kinds[kind] += 1
        self.sightings[kind, symbol] = Sighting(kind, symbol, offset, facts)

    @property
    def alarming(self) -> bool:
        """Whether the program imports anything that reaches outside it."""
        return any(each.effect in DANGEROUS for each in self.globals.values())

    def summary(self) -> Iterator[Sighting]:
        """Yield all sightings, and what follows from the imports as a whole."""
        for each in self.sightings.values():
            if each.kind == "pickle-computed-call":
                each.facts["alarming"] = self.alarming
            yield each
        yield from self._imports()

    def _imports(self) -> Iterator[Sighting]:
        unreviewed: list[Global] = []
        for each in self.globals.values():
            if each.effect in UNREVIEWED:
                unreviewed.append(each)
            elif each.effect in DANGEROUS and not each.called:
                facts: dict[str, Fact] = {"callable": each.dotted, "effect": each.effect.value}
                yield Sighting("pickle-import", each.dotted, each.offset, facts | _reason(each))
            elif each.effect is Effect.UNKNOWN_MODULE:
                yield Sighting(
                    "pickle-module", each.dotted, each.offset, {"callable": each.dotted, **_reason(each)}
                )
        if unreviewed:
            names = tuple(sorted({each.dotted for each in unreviewed}))
            shown = ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
            listed: dict[str, Fact] = {"symbols": names[:MAX_NAMES], "distinct": len(names), "names": shown}
            yield Sighting("pickle-unreviewed-import", "", min(each.offset for each in unreviewed), listed)


def _reason(imported: Global) -> dict[str, Fact]:
    return {"library": imported.judgement.library, "reason": imported.judgement.reason}
