"""Core ML: custom classes, linked models, weights and package items outside of the package, odd metadata.

Format: mlmodel/format/*.proto of github.com/apple/coremltools (version 9), whose field numbers are below;
`Manifest.json` of a `.mlpackage` lists its items by paths within `Data`. Weights are not read. A library
or program inside of a package is what the executable inspector reports.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing
from functools import cache
from typing import Any, Final

from supplyguard.archives.referenced_paths import path_facts
from supplyguard.archives.signs import text_signs
from supplyguard.errors import BudgetExceededError
from supplyguard.finding import Evidence, Fact, Level, Notification
from supplyguard.inventory import Member, Probe
from supplyguard.limits import Budget
from supplyguard.resources import format_data
from supplyguard.streams import read_at, size_of
from supplyguard.wire.json_document import parse_json
from supplyguard.wire.protobuf import BYTES, VARINT, Field, Message
from supplyguard.wire.protobuf_probe import top_fields

FORMAT: Final = "coreml"

SHOWN: Final = 50
MANIFEST: Final = "manifest.json"
_TYPES: Final = range(200, 3001)
_TOP: Final = {1: VARINT, 2: BYTES, 10: VARINT, **dict.fromkeys(_TYPES, BYTES)}
_URL: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]{1,20}://")
_VALUES: Final = {2: "value"}
_SCHEMA: Final[dict[str, dict[int, str]]] = {
    "model": {
        2: "description",
        200: "wrapped",
        201: "wrapped",
        202: "pipeline",
        303: "network",
        403: "network",
        500: "network",
        502: "program",
        555: "custom",
        556: "linked",
        3000: "serialized",
    },
    "description": {100: "metadata"},
    "metadata": {100: "note"},
    "wrapped": {1: "pipeline"},
    "pipeline": {1: "model"},
    "network": {1: "layer"},
    "layer": {500: "custom", 605: "branch", 615: "loop"},
    "branch": {1: "network", 2: "network"},
    "loop": {3: "network", 4: "network"},
    "program": {2: "function entry", 4: "value entry"},
    "function entry": {2: "function"},
    "function": {3: "block entry", 4: "value entry"},
    "block entry": {2: "block"},
    "block": {3: "operation", 4: "value entry"},
    "operation": {2: "input entry", 4: "block", 5: "value entry"},
    "input entry": {2: "argument"},
    "argument": {1: "binding"},
    "binding": _VALUES,
    "value entry": _VALUES,
    "value": {5: "blob"},
}
"""Which fields of a message are looked into, and as what."""


def recognizes(probe: Probe) -> bool:
    """Whether it is a package's manifest, or the first fields are a version, a description and a model."""
    name = probe.name.lower()
    if name == MANIFEST:
        return b'"itemInfoEntries"' in probe.head
    if name.endswith(".mlmodel"):
        return bool(probe.head)
    fields = top_fields(probe, _TOP) if probe.head[:1] == b"\x08" else None
    numbers = {field.number for field in fields or ()}
    return {1, 2} <= numbers and any(number in _TYPES for number in numbers)


def inspect(member: Member, budget: Budget) -> Iterator[Evidence | Notification]:
    """Yield what needs code or leads outside; raises MalformedError where the message breaks."""
    shown = 0
    with closing(member.open()) as stream:
        size = size_of(stream)
        if member.name.lower() == MANIFEST:
            if size > budget.limits.document_bytes:
                raise BudgetExceededError("document_bytes", budget.limits.document_bytes)
            yield from _manifest(member, parse_json(read_at(stream, 0, size), budget))
            return
        for item in _Reader(member).read(Message.of(stream, 0, size, budget)):
            shown += isinstance(item, Evidence)
            if shown <= SHOWN or isinstance(item, Notification):
                yield item
    if shown > SHOWN:
        text = f"more than {SHOWN} findings: the others are not listed"
        yield Notification(code="not-listed", message=text, level=Level.NOTE, location=member.at())


def _manifest(member: Member, document: Any) -> Iterator[Evidence]:
    entries = document.get("itemInfoEntries") if isinstance(document, dict) else None
    for entry in entries.values() if isinstance(entries, dict) else ():
        path = entry.get("path") if isinstance(entry, dict) else None
        if isinstance(path, str):
            facts = path_facts(path[:1000])
            yield Evidence(kind="coreml-item", location=member.at(), facts=facts, symbol=path[:200])


class _Reader:
    """A walk over the messages of one file."""

    def __init__(self, member: Member) -> None:
        self._member = member
        self._seen: set[tuple[str, str]] = set()

    def read(self, model: Message) -> Iterator[Evidence | Notification]:
        """Yield what the messages hold, outer ones first."""
        deepest = format_data(FORMAT)["deepest_pipeline"]
        work: list[tuple[str, Message, int]] = [("model", model, 0)]
        while work:
            kind, message, pipelines = work.pop()
            if kind == "pipeline":
                pipelines += 1
                if pipelines == deepest + 1:
                    yield from self._see("coreml-deep", message.start, "deep", depth=pipelines)
            inner = _SCHEMA.get(kind)
            if inner is None:
                yield from self._leaf(kind, message)
                continue
            for field in message:
                if field.wire == BYTES and field.number in inner:
                    work.append((inner[field.number], message.message(field), pipelines))
                elif kind == "operation" and field.number == 1 and field.wire == BYTES:
                    yield from self._operation(message, field)

    def _operation(self, message: Message, field: Field) -> Iterator[Evidence]:
        name = message.text(field)[:200]
        if name not in _operations():
            yield from self._see("coreml-operation", field.offset, name, type=name)

    def _leaf(self, kind: str, message: Message) -> Iterator[Evidence | Notification]:
        if kind == "serialized":
            text = "holds a serialized model, which is not read here"
            yield Notification(
                code="unsupported", message=text, location=self._member.at(message.start), incomplete=True
            )
        elif kind == "custom":
            yield from self._custom(message)
        elif kind == "linked":
            path = "/".join(reversed([text for text in _linked(message) if text]))
            yield from self._see("coreml-linked", message.start, path[:200], **path_facts(path[:1000]))
        elif kind == "note":
            yield from self._note(message)
        elif kind == "blob":
            for field in message:
                if field.number == 1 and field.wire == BYTES:
                    path = message.text(field)[:1000]
                    if re.fullmatch(format_data(FORMAT)["blob_files"], path) is None:
                        yield from self._see("coreml-blob", field.offset, path[:200], path=path[:200])

    def _custom(self, message: Message) -> Iterator[Evidence]:
        """Yield the class that a custom layer or model needs, and parameters that hold more than a value."""
        name = ""
        for field in message:
            if field.wire != BYTES:
                continue
            if field.number == 10:
                name = message.text(field)[:200]
            elif field.number == 30:
                key, value = _pair(message.message(field), 20)
                signs = [*text_signs(value), *(["an address"] if _URL.match(value) else [])]
                for what in signs:
                    yield from self._see(
                        "coreml-parameter", field.offset, key[:200], key=key[:200], what=what
                    )
        yield from self._see("coreml-custom", message.start, name, name=name)

    def _note(self, message: Message) -> Iterator[Evidence]:
        key, value = _pair(message, None)
        signs = list(text_signs(value))
        if not signs and re.search(format_data(FORMAT)["blob"], value):
            signs = ["encoded content"]
        for what in signs:
            yield from self._see("coreml-note", message.start, key[:200], key=key[:200], what=what)

    def _see(self, kind: str, offset: int, symbol: str, **facts: Fact) -> Iterator[Evidence]:
        """Yield one Evidence of a kind and symbol, however often it is there."""
        if (kind, symbol) not in self._seen:
            self._seen.add((kind, symbol))
            yield Evidence(kind=kind, location=self._member.at(offset), facts=facts, symbol=symbol)


def _pair(entry: Message, number: int | None) -> tuple[str, str]:
    """Read an entry of a map: its key, and its text or the text in field `number` of its message."""
    key = value = ""
    for field in entry:
        if field.wire != BYTES:
            continue
        if field.number == 1:
            key = entry.text(field)
        elif field.number == 2 and number is None:
            value = entry.text(field)
        elif field.number == 2:
            message = entry.message(field)
            for inner in message:
                if inner.number == number and inner.wire == BYTES:
                    value = message.text(inner)
    return key, value


def _linked(message: Message) -> Iterator[str]:
    """Yield a linked model's file name and search path (LinkedModelFile's StringParameters)."""
    work = [(message, 0)]
    while work:
        part, level = work.pop(0)
        for field in part:
            if field.wire != BYTES:
                continue
            if level == 2 and field.number == 1:
                yield part.text(field)
            elif level < 2 and field.number in {1, 2}:
                work.append((part.message(field), level + 1))


@cache
def _operations() -> frozenset[str]:
    return frozenset(format_data(FORMAT)["operations"])
