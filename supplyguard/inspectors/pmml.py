"""PMML: declarations in the XML, functions that name classes, extensions with code, references to networks.

Format: https://dmg.org/pmml, versions 3 to 4.4. Some evaluators resolve a function that PMML does not
define as the name of a Java class. Elements go by one at a time; nothing is resolved.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import closing
from typing import Final

from supplyguard.archives.signs import text_signs
from supplyguard.finding import Evidence, Fact, Level, Notification
from supplyguard.inventory import Member, Probe
from supplyguard.limits import KIB, Budget
from supplyguard.resources import format_data
from supplyguard.wire.xml_events import DECLARATIONS, Event, Kind, root_names, xml_events

FORMAT: Final = "pmml"

SHOWN: Final = 50
DEPTH: Final = 1024
"""Trees nest one element a level."""
_CLASS: Final = re.compile(r"[A-Za-z_$][\w$]*(\.[A-Za-z_$][\w$]*)+")


def recognizes(probe: Probe) -> bool:
    """Whether the root is `PMML`, or XML comes under its ending and hides its root."""
    names = root_names(probe.head)
    return "PMML" in names or (not names and probe.name.lower().endswith(".pmml"))


def inspect(member: Member, budget: Budget) -> Iterator[Evidence | Notification]:
    """Yield what evaluators may follow; raises SupplyguardError where the document cannot be read."""
    reader, shown = _Reader(member), 0
    with closing(member.open()) as stream:
        for event in xml_events(stream, budget, depth=DEPTH):
            for evidence in reader.take(event):
                shown += 1
                if shown <= SHOWN:
                    yield evidence
    yield from list(reader.at_end())[:SHOWN]
    if shown > SHOWN:
        text = f"more than {SHOWN} findings: the others are not listed"
        yield Notification(code="not-listed", message=text, level=Level.NOTE, location=member.at())


class _Reader:
    """What is needed of the whole while its elements go by."""

    def __init__(self, member: Member) -> None:
        self._member = member
        self._extensions = 0
        self._defining = ""
        self._calls: dict[str, set[str]] = {}
        self._classes: dict[str, Event] = {}

    def take(self, event: Event) -> Iterator[Evidence]:
        """Yield what one event tells."""
        if event.kind is Kind.INSTRUCTION:
            yield self._see("pmml-reference", event, "instruction", what=event.name, target=event.text)
        elif event.kind in DECLARATIONS:
            yield self._see("pmml-declaration", event, event.name, what=event.kind.value, target=event.text)
        elif event.kind is Kind.START:
            yield from self._element(event)
        elif event.kind is Kind.END:
            self._extensions -= event.name == "Extension"
            if event.name == "DefineFunction":
                self._defining = ""
        elif self._extensions:
            yield from self._texts(event, event.text)

    def at_end(self) -> Iterator[Evidence]:
        """Yield functions that the document uses and does not define, and those that call themselves."""
        for name, event in self._classes.items():
            if name not in self._calls:
                yield self._see("pmml-function", event, name, function=name)
        cycle = cycle_in(self._calls)
        if cycle is not None:
            facts: dict[str, Fact] = {"function": cycle[:200]}
            yield Evidence(kind="pmml-cycle", location=self._member.at(), facts=facts, symbol=cycle[:200])

    def _element(self, event: Event) -> Iterator[Evidence]:
        given = event.attributes
        self._extensions += event.name == "Extension"
        if event.name == "DefineFunction":
            self._defining = given.get("name", "")
            self._calls.setdefault(self._defining, set())
        elif event.name == "Apply":
            called = given.get("function", "")
            if self._defining:
                self._calls[self._defining].add(called)
            if _CLASS.fullmatch(called) and len(self._classes) < SHOWN:
                self._classes.setdefault(called, event)
        elif event.name == "include":
            yield self._see("pmml-reference", event, "include", what="include", target=given.get("href", ""))
        yield from self._locations(event)
        if self._extensions:
            for value in given.values():
                yield from self._texts(event, value)

    def _locations(self, event: Event) -> Iterator[Evidence]:
        """Yield addresses of schemas that are not PMML's own."""
        table = format_data(FORMAT)
        for key, value in event.attributes.items():
            if key.rpartition(":")[2] in table["location_attributes"]:
                for each in value[: 64 * KIB].split():
                    if "://" in each and re.fullmatch(table["own_hosts"], each) is None:
                        yield self._see("pmml-reference", event, each, what="schema", target=each)

    def _texts(self, event: Event, text: str) -> Iterator[Evidence]:
        """Yield what a text inside of an extension holds."""
        part = text[: 64 * KIB]
        signs = list(text_signs(part))
        if re.search(format_data(FORMAT)["code"], part):
            signs.append("code")
        for what in signs:
            yield self._see("pmml-extension", event, what, what=what)

    def _see(self, kind: str, event: Event, symbol: str, **facts: str) -> Evidence:
        short: dict[str, Fact] = {key: value[:200] for key, value in facts.items()}
        if kind == "pmml-declaration":
            short["name"] = event.name[:200]
        return Evidence(kind=kind, location=self._member.at(event.offset), facts=short, symbol=symbol[:200])


def cycle_in(calls: Mapping[str, set[str]]) -> str | None:
    """Find a function that is called, directly or not, by itself."""
    done: set[str] = set()
    for start in calls:
        active: set[str] = set()
        pending = [(start, False)]
        while pending:
            name, leaving = pending.pop()
            if leaving:
                active.discard(name)
                done.add(name)
            elif name in active:
                return name
            elif name not in done:
                active.add(name)
                pending.append((name, True))
                pending += ((each, False) for each in sorted(calls.get(name, ())))
    return None
