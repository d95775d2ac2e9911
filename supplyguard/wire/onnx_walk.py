"""ONNX models as a flat run of parts: every node, tensor and text, whatever graph it lies in.

Field numbers: onnx/onnx.proto3 of github.com/onnx/onnx, 1.20. Graphs nest through attributes and are
walked with a list. Weights are passed over by their lengths.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, Literal

from supplyguard.errors import MalformedError
from supplyguard.wire.protobuf import BYTES, VARINT, Field, Message

Kind = Literal["model", "graph", "node", "attribute", "tensor", "sparse", "function", "training"]

CHILDREN: Final[dict[Kind, dict[int, Kind]]] = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "function": {7: "node", 11: "attribute"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
    "tensor": {},
}
"""Which fields of a message hold which messages."""
TEXTS: Final[dict[Kind, dict[int, str]]] = {
    "model": {2: "producer_name", 4: "domain", 6: "doc_string"},
    "training": {},
    "function": {1: "name", 8: "doc_string", 10: "domain", 13: "overload"},
    "graph": {2: "name", 10: "doc_string"},
    "node": {3: "name", 4: "op_type", 6: "doc_string", 7: "domain", 8: "overload"},
    "attribute": {1: "name"},
    "sparse": {},
    "tensor": {8: "name", 12: "doc_string"},
}
PAIRS: Final[dict[Kind, dict[int, str]]] = {
    "model": {14: "metadata_props"},
    "function": {14: "metadata_props"},
    "graph": {16: "metadata_props"},
    "node": {9: "metadata_props"},
    "tensor": {13: "external_data", 16: "metadata_props"},
}
"""Fields of key (1) and value (2)."""
RAW_DATA: Final = 9
MOST_VALUE: Final = 4096
"""How much of an attribute's text is kept, in bytes."""


@dataclass(slots=True)
class Part:
    """One message of the model.

    owner: the function that it lies in, as `function_key` names it; empty outside of functions.
    attributes: of a node, by name.
    pairs: (field, key, value, offset). values: an attribute's texts. raw: the bytes of a tensor's
    raw_data or of an attribute's text. repeated: fields that occur twice and should not.
    """

    kind: Kind
    offset: int
    length: int
    owner: str = ""
    attributes: dict[str, Part] = field(default_factory=dict)
    texts: dict[str, str] = field(default_factory=dict)
    pairs: list[tuple[str, str, str, int]] = field(default_factory=list)
    numbers: dict[int, int] = field(default_factory=dict)
    values: list[str] = field(default_factory=list)
    dims: list[int] = field(default_factory=list)
    raw: Field | None = None
    seen: set[int] = field(default_factory=set)
    repeated: set[int] = field(default_factory=set)
    unknown: list[Field] = field(default_factory=list)

    def text(self, name: str) -> str:
        """Give a text, empty when absent."""
        return self.texts.get(name, "")


ONCE: Final[dict[Kind, frozenset[int]]] = {
    "model": frozenset({7}),
    "node": frozenset({4, 7}),
    "tensor": frozenset({8, 9}),
    "attribute": frozenset({1, 5, 6}),
}
"""Fields that decoders resolve to the last one, or merge, when they occur twice."""
KNOWN_TOP: Final = frozenset({1, 2, 3, 4, 5, 6, 7, 8, 14, 20, 25, 26})


def walk(model: Message) -> Iterator[Part]:
    """Yield every part, a message before those inside it, in the order of the file.

    Raises MalformedError where the bytes stop making sense, after what was read before that.
    """
    work: list[tuple[Message, Kind, str]] = [(model, "model", "")]
    faults: list[MalformedError] = []
    while work:
        message, kind, owner = work.pop()
        part, children = _read(message, kind, owner, faults)
        if kind == "function":
            owner = function_key(part)
            part.owner = owner
        if kind == "node":
            # attributes are read with their node: what it means depends on all of them
            for each in children:
                attribute, inner = _read(*each, owner, faults)
                part.attributes[attribute.text("name")] = attribute
                work.extend((message, kind, owner) for message, kind in reversed(inner))
        else:
            work.extend((message, kind, owner) for message, kind in reversed(children))
        yield part
    if faults:
        raise faults[0]


def _read(
    message: Message, kind: Kind, owner: str, faults: list[MalformedError]
) -> tuple[Part, list[tuple[Message, Kind]]]:
    """Read the fields of one message, and give the messages inside it unread."""
    part = Part(kind, message.start, message.end - message.start, owner)
    children: list[tuple[Message, Kind]] = []
    try:
        for each in message:
            _take(part, message, each, children)
    except MalformedError as error:
        faults.append(error)
    return part, children


def function_key(part: Part) -> str:
    """Name a function, or the operator of a node, with its domain and overload."""
    name = part.text("op_type") if part.kind == "node" else part.text("name")
    overload = part.text("overload")
    domain = part.text("domain")
    return f"{domain}::{name}" + (f":{overload}" if overload else "")


def _take(part: Part, message: Message, each: Field, children: list[tuple[Message, Kind]]) -> None:
    """Put one field where it belongs."""
    number, kind = each.number, part.kind
    if number in ONCE.get(kind, ()):
        if number in part.seen:
            part.repeated.add(number)
        part.seen.add(number)
    if kind == "tensor" and number == 1:
        part.dims.extend(_signed(value) for value in message.numbers(each))
    elif each.wire == VARINT:
        part.numbers[number] = each.signed
    elif each.wire == BYTES:
        _take_bytes(part, message, each, children)


def _take_bytes(part: Part, message: Message, each: Field, children: list[tuple[Message, Kind]]) -> None:
    number, kind = each.number, part.kind
    if (child := CHILDREN[kind].get(number)) is not None:
        children.append((message.message(each), child))
    elif (name := TEXTS[kind].get(number)) is not None:
        part.texts[name] = message.text(each)
    elif (name := PAIRS.get(kind, {}).get(number)) is not None:
        part.pairs.append((name, *_pair(message.message(each)), each.offset))
    elif kind == "tensor" and number == RAW_DATA:
        part.raw = each
    elif kind == "attribute" and number in {4, 9}:
        part.values.append(message.body(each, MOST_VALUE).decode("utf-8", "replace"))
        part.raw = each
    elif kind == "model" and number not in KNOWN_TOP:
        part.unknown.append(each)


def _pair(entry: Message) -> tuple[str, str]:
    texts = {1: "", 2: ""}
    for each in entry:
        if each.wire == BYTES and each.number in texts:
            texts[each.number] = entry.text(each)
    return texts[1], texts[2]


def _signed(value: int) -> int:
    return value - (1 << 64) if value >= 1 << 63 else value
