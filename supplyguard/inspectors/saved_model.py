"""TensorFlow graphs: SavedModel, MetaGraph, frozen GraphDef, and Keras' metadata beside a SavedModel.

What an operation can do decides, not what its name sounds like. Constants are looked at by their
first bytes only. Messages: tensorflow/core/protobuf/{saved_model,meta_graph,saved_object_graph}.proto,
keras/protobuf/saved_metadata.proto.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import BinaryIO, Final

from supplyguard.archives.signs import embedded_format
from supplyguard.errors import MalformedError, UnsupportedError
from supplyguard.finding import Evidence, Fact, Notification
from supplyguard.inspectors.keras_config import Text, capped, examine_config
from supplyguard.inspectors.tensorflow_ops import operations, uses
from supplyguard.inventory import Member, Probe
from supplyguard.limits import KIB, Budget
from supplyguard.streams import buffered, size_of
from supplyguard.wire.protobuf import BYTES, VARINT, Message
from supplyguard.wire.protobuf_probe import inner_fields, top_fields
from supplyguard.wire.tensorflow_graph import Body, Node, bodies, entry, only_bytes, tensor_parts

FORMAT: Final = "saved_model"

SAVED_MODEL: Final = "saved_model.pb"
METADATA: Final = "keras_metadata.pb"
TEXT_FORM: Final = "saved_model.pbtxt"
_META_GRAPH: Final = dict.fromkeys(range(1, 8), BYTES)
_META_INFO: Final = {**dict.fromkeys(range(1, 9), BYTES), 7: VARINT}
_GRAPH: Final = {1: BYTES, 2: BYTES, 3: VARINT, 4: BYTES, 5: BYTES}
_NODE: Final = dict.fromkeys(range(1, 8), BYTES)
_KERAS_NODE: Final = {1: VARINT, 2: VARINT, 3: BYTES, 4: BYTES, 5: BYTES, 6: BYTES}
_OP: Final = re.compile(rb"[A-Za-z_][A-Za-z0-9_.>]*")
_HEAD: Final = 64


@dataclass(slots=True)
class _Meta:
    """What a MetaGraph says besides its graph. replaced: constants that the loader sets itself."""

    graphs: list[Message] = field(default_factory=list)
    replaced: set[str] = field(default_factory=set)
    assets: list[tuple[str, int]] = field(default_factory=list)


def recognizes(probe: Probe) -> bool:
    """Whether the first messages are those of a graph, or the name is one that TensorFlow reads."""
    return _kind(probe) != ""


def _kind(probe: Probe) -> str:
    """Name the message that the file is, "" when it is none of TensorFlow's."""
    name = probe.name.lower()
    if name in {SAVED_MODEL, METADATA, TEXT_FORM}:
        return name
    if probe.head[:1] not in {b"\x08", b"\x0a", b"\x12", b"\x22"}:
        return ""
    top = top_fields(probe, {1: VARINT, 2: BYTES})
    if top and top[0].number == 1 and len(top) > 1:
        return SAVED_MODEL if inner_fields(probe, top[1], _META_GRAPH) else ""
    nodes = top_fields(probe, _GRAPH)
    for each in nodes or ():
        if each.number == 1 and _is_node(probe.head[each.offset : each.offset + each.length]):
            return "graph"
    top = top_fields(probe, _META_GRAPH)
    if top and top[0].number == 1:
        if name.endswith(".meta") or any(each.number == 2 for each in top):
            inner = inner_fields(probe, top[0], _META_INFO)
            return "meta" if inner and inner[0].number in {2, 4, 5} else ""
        keras = inner_fields(probe, top[0], _KERAS_NODE)
        return METADATA if keras and b"_tf_keras" in probe.head[:4096] else ""
    return "graph" if nodes and name.endswith(".pb") and any(each.number == 2 for each in nodes) else ""


def _is_node(body: bytes) -> bool:
    """Whether a message begins like a NodeDef: a name, and an operation."""
    fields = top_fields(Probe(head=body, tail=b"", name="", size=len(body)), _NODE)
    if not fields or [each.number for each in fields[:2]] != [1, 2]:
        return False
    op = body[fields[1].offset : fields[1].offset + fields[1].length]
    return _OP.fullmatch(op) is not None


def inspect(member: Member, budget: Budget) -> Iterator[Evidence | Member | Notification]:
    """Yield what the graphs can do; raises MalformedError where the messages end to make sense."""
    with closing(buffered(member.open())) as stream:
        size = size_of(stream)
        kind = _kind(_probe(member, stream, size))
        if kind == TEXT_FORM:
            raise UnsupportedError("a SavedModel in text form")
        message = Message.of(stream, 0, size, budget)
        if size == 0:
            raise MalformedError("an empty file", offset=0)
        yield from capped(_parts(member, message, kind, budget), member.at())


def _probe(member: Member, stream: BinaryIO, size: int) -> Probe:
    stream.seek(0)
    return Probe(head=stream.read(64 * KIB), tail=b"", name=member.name, size=size)


def _parts(
    member: Member, message: Message, kind: str, budget: Budget
) -> Iterator[Evidence | Member | Notification]:
    if kind == METADATA:
        for each in only_bytes(message):
            if each.number == 1:
                yield from _keras(member, message.message(each), 5, budget)
    elif kind == "graph":
        yield from _graph(member, message, frozenset())
    elif kind == "meta":
        yield from _meta_graph(member, message, budget)
    else:
        for each in only_bytes(message):
            if each.number == 2:
                yield from _meta_graph(member, message.message(each), budget)


def _see(member: Member, kind: str, offset: int, symbol: str, **facts: Fact) -> Evidence:
    return Evidence(kind=kind, location=member.at(offset), facts=facts, symbol=symbol)


def _meta_graph(
    member: Member, message: Message, budget: Budget
) -> Iterator[Evidence | Member | Notification]:
    meta = _Meta()
    for each in only_bytes(message):
        part = message.message(each)
        if each.number == 2:
            meta.graphs.append(part)
        elif each.number == 3:  # SaverDef: the tensor that is fed with the checkpoint's path
            meta.replaced |= {_tensor(part.text(text)) for text in only_bytes(part) if text.number in (1, 2)}
        elif each.number == 4:
            yield from _collection(member, part)
        elif each.number == 6:
            _asset(part, meta)
        elif each.number == 7:
            for node in only_bytes(part):
                if node.number == 1:
                    yield from _saved_object(member, part.message(node), budget)
    yield from _assets(member, meta)
    for graph in meta.graphs:
        yield from _graph(member, graph, frozenset(meta.replaced))


def _tensor(name: str) -> str:
    return name.partition(":")[0]


def _asset(message: Message, meta: _Meta) -> None:
    """Read an AssetFileDef: the tensor that gets the path, and the file's name."""
    for each in only_bytes(message):
        if each.number == 1:
            info = message.message(each)
            meta.replaced |= {_tensor(info.text(part)) for part in only_bytes(info) if part.number == 1}
        elif each.number == 2:
            meta.assets.append((message.text(each), each.offset))


def _assets(member: Member, meta: _Meta) -> Iterator[Evidence | Notification]:
    """Yield assets that lead out of the folder, and say which are not there."""
    for name, offset in meta.assets:
        where = operations().where(name)
        if where in {"absolute", "parent", "url"}:
            yield _see(member, "tensorflow-asset", offset, name, name=name, where=where)
        elif not member.path and member.name == SAVED_MODEL:
            folder = member.artifact.path.parent / "assets"
            if "\0" not in name and not (folder / name).exists():
                text = f"the asset {name[:200]!r} is not there"
                yield Notification(
                    code="missing-file", message=text, location=member.at(offset), incomplete=True
                )


def _graph(member: Member, message: Message, replaced: frozenset[str]) -> Iterator[Evidence]:
    functions: set[str] = set()
    custom: dict[str, tuple[int, int]] = {}
    for body in bodies(message):
        functions.add(body.name)
        for node in body.nodes.values():
            yield from _operation(member, body, node, replaced)
            if node.op not in operations().registry:
                first, count = custom.get(node.op, (node.offset, 0))
                custom[node.op] = first, count + 1
        if body.name:
            yield from _odd_name(member, body.name, message.start, "function")
    for op, (offset, count) in custom.items():
        if op not in functions:
            known = operations().family(op)
            yield _see(member, "tensorflow-custom-op", offset, op, op=op, count=count, known=known)


def _operation(member: Member, body: Body, node: Node, replaced: frozenset[str]) -> Iterator[Evidence]:
    """Yield what one node does, where it runs, and what its constant holds."""
    function = body.name or "the graph"
    for group, where, path in dict.fromkeys(uses(body, node, replaced)):
        symbol = f"{node.op}:{function}:{path}"[:500]
        facts: dict[str, Fact] = {"op": node.op, "path": path[:500], "function": function, "node": node.name}
        yield _see(member, "tensorflow-operation", node.offset, symbol, group=group, where=where, **facts)
        if where == "url":
            yield _see(member, "tensorflow-remote-path", node.offset, symbol, **facts)
    if node.device and not operations().local_device.search(node.device):
        facts = {"device": node.device[:200], "op": node.op}
        yield _see(member, "tensorflow-device", node.offset, node.device[:200], **facts)
    yield from _odd_name(member, node.name, node.offset, "node")
    if node.op == "Const" and "value" in node.attributes:
        yield from _constant(member, node)


def _odd_name(member: Member, name: str, offset: int, what: str) -> Iterator[Evidence]:
    if name and not operations().name.search(name):
        yield _see(member, "tensorflow-odd-name", offset, name[:200], name=name, what=what)


def _constant(member: Member, node: Node) -> Iterator[Evidence]:
    """Yield constants whose first bytes are those of a program, script or pickle."""
    value = node.attributes["value"]
    for each in only_bytes(value):
        if each.number == 8:
            for tensor, part in tensor_parts(value, each):
                found = embedded_format(tensor.body(part, _HEAD))
                if found is not None:
                    facts: dict[str, Fact] = {"node": node.name, "format": found}
                    yield _see(member, "tensorflow-constant", part.offset, node.name, **facts)
                    return


def _collection(member: Member, message: Message) -> Iterator[Evidence]:
    """Yield collections that hold objects of a kind TensorFlow does not write."""
    key, value = entry(message)
    kinds: Counter[str] = Counter()
    if value is None:
        return
    for each in only_bytes(value):
        if each.number == 2 and key not in operations().collections:
            kinds["bytes"] += 1
        elif each.number == 5:
            for item in only_bytes(value.message(each)):
                url = next(
                    (value.text(part) for part in only_bytes(value.message(item)) if part.number == 1), ""
                )
                if not any(fnmatchcase(url, pattern) for pattern in operations().any_types):
                    kinds[url or "an object without type"] += 1
    for kind in kinds:
        yield _see(member, "tensorflow-collection", message.start, f"{key}:{kind}", key=key, holds=kind)


def _saved_object(
    member: Member, message: Message, budget: Budget
) -> Iterator[Evidence | Member | Notification]:
    for each in only_bytes(message):
        if each.number == 4:
            yield from _keras(member, message.message(each), 3, budget)


def _keras(
    member: Member, message: Message, number: int, budget: Budget
) -> Iterator[Evidence | Member | Notification]:
    """Examine a node's metadata, which is the JSON of a Keras object."""
    for each in only_bytes(message):
        if each.number == number and each.length > 1:
            data = message.body(each, budget.limits.document_bytes)
            place = member.at(each.offset, each.length)
            try:
                yield from examine_config(Text(data, member, place, "saved-model"), budget)
            except MalformedError as error:
                raise MalformedError(f"Keras metadata: {error.message}", offset=each.offset) from error
