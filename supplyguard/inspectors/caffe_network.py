"""Caffe and Caffe2 networks: layers that are Python classes, which the loader imports by name.

Formats: caffe.proto of github.com/BVLC/caffe (NetParameter, as protobuf text and binary; a layer of the
type Python imports `module`: layer_factory.cpp), caffe2.proto (NetDef). Blobs are passed over.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing
from typing import BinaryIO, Final

from supplyguard.errors import BudgetExceededError, MalformedError
from supplyguard.finding import Evidence, Fact, Notification
from supplyguard.inspectors.keras_config import capped
from supplyguard.inventory import Location, Member, Probe
from supplyguard.limits import MIB, Budget, Resource
from supplyguard.resources import format_data
from supplyguard.streams import buffered, read_at, size_of
from supplyguard.wire.line_count import LineCount
from supplyguard.wire.protobuf import BYTES, VARINT, Field, Message
from supplyguard.wire.protobuf_probe import top_fields

FORMAT: Final = "caffe_network"

LARGEST_TEXT: Final = 16 * MIB
MOST_DEPTH: Final = 100
_SHOWN: Final = 200
_HEAD: Final = 4096
_LONGEST: Final = 4096
_NET: Final = {1: BYTES, 2: BYTES, 3: BYTES, 4: VARINT, 5: VARINT, 6: BYTES, 7: VARINT, 8: BYTES, 100: BYTES}
_TOKEN: Final = re.compile(
    r"""#[^\n]*|"((?:[^"\\\n]|\\.)*+)"|'((?:[^'\\\n]|\\.)*+)'|([^\s{}<>:;,\[\]"'#]+)|([{}<>:,])"""
)
_ESCAPE: Final = re.compile(r"\\(?:x([0-9A-Fa-f]{1,2})|([0-7]{1,3})|(.))")
_WORD: Final = re.compile(rb"\s*(#|[A-Za-z_][A-Za-z0-9_]*\s*[:{<])")
_LAYER: Final = re.compile(rb"\blayers?\s{0,9}:?\s{0,9}[{<][^}]{0,400}?\btype\s*:\s*[\"'A-Z]")
_FIRST: Final = re.compile(rb"\s*(#[^\n]*\n\s*)*(name|layers?|input|input_dim|input_shape|state)\s*[:{<]")


def recognizes(probe: Probe) -> bool:
    """Whether it is named as a network, or has a layer where Caffe's messages keep it."""
    name, head = probe.name.lower(), probe.head
    if name.endswith(tuple(format_data(FORMAT)["names"])):
        return bool(head)
    if b"python_param" in head and b"\0" not in head and _FIRST.match(head) and _LAYER.search(head):
        return True
    likely = head[:1] in {b"\n", b"\xa2"} and b"\xa2\x06" in head[:512]
    fields = top_fields(probe, _NET) if likely else None
    return any(field.number == 100 for field in fields or ())


def inspect(member: Member, budget: Budget) -> Iterator[Evidence | Member | Notification]:
    """Yield each layer that is Python; raises MalformedError where the network breaks."""
    yield from capped(_network(member, budget), member.at())


def _network(member: Member, budget: Budget) -> Iterator[Evidence]:
    with closing(buffered(member.open())) as stream:
        size = size_of(stream)
        head = read_at(stream, 0, min(size, _HEAD))
        seen = Probe(head=head, tail=b"", name=member.name, size=size)
        binary = top_fields(seen, dict.fromkeys((1, 2, 100), BYTES), strict=False) is not None
        if _WORD.match(head):
            if size > LARGEST_TEXT and not binary:
                raise BudgetExceededError("document_bytes", LARGEST_TEXT)
            text = read_at(stream, 0, min(size, LARGEST_TEXT)).decode("utf-8", "replace")
            yield from _text(member, text, budget)
            if not binary:
                return
        second = member.name.lower().endswith(tuple(format_data(FORMAT)["second_names"]))
        yield from _binary(member, stream, size, budget, second=second)


def _see(where: Location, kind: str, name: str, parameters: dict[str, str]) -> Iterator[Evidence]:
    """Yield the Evidence of a layer whose type is one that runs Python."""
    if kind not in format_data(FORMAT)["python_types"]:
        return
    facts: dict[str, Fact] = {"type": kind, "name": name[:_SHOWN]}
    facts |= {key: parameters.get(key, "")[:_SHOWN] for key in ("module", "layer")}
    yield Evidence(kind="caffe-python-layer", location=where, facts=facts, symbol=f"{kind}:{name[:_SHOWN]}")


def _unescaped(text: str) -> str:
    return _ESCAPE.sub(
        lambda found: (
            chr(int(found[1], 16)) if found[1] else chr(int(found[2], 8) & 0xFF) if found[2] else found[3]
        ),
        text,
    )


def _keep(values: dict[tuple[str, ...], str], place: tuple[str, ...], value: str, *, joined: bool) -> None:
    """Keep a value of a layer, or add to it; deeper ones say nothing about the layer."""
    if len(place) <= 2:
        before = values.get(place, "") if joined else ""
        values[place] = (before + value)[:_LONGEST]


def _text(member: Member, text: str, budget: Budget) -> Iterator[Evidence]:
    """Walk protobuf text: `key: value` and `key { ... }`; strings that follow one another are one."""
    lines = LineCount(text)
    stack: list[str] = []
    values: dict[tuple[str, ...], str] = {}
    key, start, value_next, joined = "", 0, False, False
    for found in _TOKEN.finditer(text):
        budget.spend(Resource.NODES)
        word, mark = found[3], found[4]
        if mark in {"{", "<"}:
            if not stack:
                start, values = found.start(), {}
            stack.append(key)
            if len(stack) > MOST_DEPTH:
                raise MalformedError(f"blocks nested more than {MOST_DEPTH} deep", offset=found.start())
            value_next = joined = False
        elif mark in {"}", ">"}:
            if not stack:
                raise MalformedError("a block ends that did not begin", offset=found.start())
            if len(stack) == 1:
                yield from _layer(member, lines, start, stack[0], values)
            stack.pop()
        elif mark is not None:
            value_next, joined = mark == ":", False
        elif found[1] is not None or found[2] is not None or (word and value_next):
            value = word or _unescaped(found[1] or found[2] or "")
            place = (*stack[1:], key)
            _keep(values, place, value, joined=joined)
            value_next, joined = False, not word
        elif word:
            key, joined = word, False
    if stack:
        yield from _layer(member, lines, start, stack[0], values)
        raise MalformedError("a block that does not end", offset=start)


def _layer(
    member: Member, lines: LineCount, start: int, block: str, values: dict[tuple[str, ...], str]
) -> Iterator[Evidence]:
    kind = values.get(("type",), "")
    if block not in {"layer", "layers", "op"} or kind not in format_data(FORMAT)["python_types"]:
        return
    where = Location(uri=member.artifact.uri, member=member.path, line=lines.at(start))
    parameters = {
        key[1]: value for key, value in values.items() if len(key) == 2 and key[0] == "python_param"
    }
    yield from _see(where, kind, values.get(("name",), ""), parameters)


def _binary(
    member: Member, stream: BinaryIO, size: int, budget: Budget, *, second: bool
) -> Iterator[Evidence]:
    """Walk the layers of a NetParameter, or the operators of Caffe2's NetDef."""
    if size == 0:
        raise MalformedError("an empty file", offset=0)
    net = Message.of(stream, 0, size, budget)
    wanted, named, typed = (2, 3, 4) if second else (100, 1, 2)
    for field in net:
        if field.number != wanted or field.wire != BYTES:
            continue
        layer = net.message(field)
        strings: dict[int, str] = {}
        parameters: dict[str, str] = {}
        for part in layer:
            if part.wire == BYTES and part.number in {named, typed}:
                strings[part.number] = layer.body(part, _SHOWN).decode("utf-8", "replace")
            elif part.wire == BYTES and part.number == 130 and not second:
                parameters |= _python(layer, part)
        where = member.at(field.offset, field.length)
        yield from _see(where, strings.get(typed, ""), strings.get(named, ""), parameters)


def _python(layer: Message, part: Field) -> dict[str, str]:
    """Read a PythonParameter's module and class."""
    inner = layer.message(part)
    names = {1: "module", 2: "layer"}
    return {
        names[each.number]: inner.body(each, _SHOWN).decode("utf-8", "replace")
        for each in inner
        if each.number in names and each.wire == BYTES
    }
