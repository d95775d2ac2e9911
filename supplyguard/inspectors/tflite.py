"""TensorFlow Lite models: operations outside of the built-in ones, and references that lead nowhere.

The native interpreter trusts much of what a file says. Slots are those of
tensorflow/compiler/mlir/lite/schema/schema.fbs (version 3c); constants are not read.
"""

from __future__ import annotations

import json
import struct
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import cache
from typing import Any, BinaryIO, Final

from supplyguard.archives.signs import embedded_format
from supplyguard.archives.zip_directory import END_REACH, is_zip
from supplyguard.errors import RuleError
from supplyguard.finding import Evidence, Fact, Notification
from supplyguard.inspectors.keras_config import capped
from supplyguard.inspectors.tensorflow_ops import operations
from supplyguard.inventory import Member, Probe
from supplyguard.limits import KIB, Budget, Resource
from supplyguard.resources import rules_folder
from supplyguard.streams import SliceReader, buffered, read_at, size_of
from supplyguard.wire.flatbuffer import Buffer, Table, Vector

FORMAT: Final = "tflite"

MAGIC: Final = b"TFL3"
CUSTOM: Final = 32
FLEX: Final = "Flex"
OPTIONAL: Final = -1
"""An operator's input that is left out."""
SLACK: Final = KIB
"""Bytes after the last thing that is referred to which may be tables that are not visited."""
_OUTSIDE: Final = 1
"""An `offset` up to this says that a buffer's bytes are within the flat buffer."""


@dataclass(slots=True)
class _Model:
    """What is needed of the whole while its parts are looked at."""

    codes: list[tuple[int, str | None]] = field(default_factory=list)
    buffers: list[int] = field(default_factory=list)
    calls: dict[int, set[int]] = field(default_factory=dict)
    subgraphs: int = 0
    end: int = 0


def recognizes(probe: Probe) -> bool:
    """Whether the file identifier is TFL3."""
    return probe.head[4:8] == MAGIC


def inspect(member: Member, budget: Budget) -> Iterator[Evidence | Member | Notification]:
    """Yield what the model needs and where it is wrong; raises MalformedError past that."""
    with closing(buffered(member.open())) as stream:
        size = size_of(stream)
        buffer = Buffer(stream, 0, size, budget)
        model = _Model()
        yield from capped(_model(member, buffer.root(), model, size, budget), member.at())
        yield from _appended(member, stream, model.end, size)


def _see(member: Member, kind: str, offset: int, symbol: str, **facts: Fact) -> Evidence:
    return Evidence(kind=kind, location=member.at(offset), facts=facts, symbol=symbol)


def _flaw(member: Member, offset: int, what: str, place: str) -> Evidence:
    return _see(member, "tflite-flaw", offset, f"{place}:{what}", what=what, place=place)


def _model(member: Member, root: Table, model: _Model, size: int, budget: Budget) -> Iterator[Evidence]:
    for code in root.tables(6):
        name = code.text(6)
        _reach(model, code)
        model.codes.append((max(code.scalar(4, "b"), code.scalar(10, "i")), name))
    yield from _operations(member, root, model)
    for index, each in enumerate(root.tables(12)):
        yield from _buffer(member, each, index, model, size)
    model.subgraphs = root.vector(8, 4).count
    for index, graph in enumerate(root.tables(8)):
        yield from _subgraph(member, graph, index, model, budget)
    for metadata in root.tables(16):
        _reach(model, metadata)
        if metadata.scalar(6, "I") >= len(model.buffers):
            yield _flaw(member, metadata.position, "refers to a buffer that there is not", "metadata")
    for signature in root.tables(18):
        _reach(model, signature)
        if signature.scalar(12, "I") >= model.subgraphs:
            yield _flaw(member, signature.position, "refers to a subgraph that there is not", "signature")
    cycle = _cycle(model.calls)
    if cycle is not None:
        yield _see(member, "tflite-call-cycle", root.position, str(cycle), subgraph=cycle)


def _reach(model: _Model, table: Table, *vectors: Vector) -> None:
    """Note how far the file is used."""
    ends = (each.start + each.count * each.size for each in vectors)
    model.end = max(model.end, table.position + table.size, table.vtable + table.vtable_size, *ends)


def _operations(member: Member, root: Table, model: _Model) -> Iterator[Evidence]:
    """Yield operations that are not built in: TensorFlow's own, and those of other libraries."""
    table = operations()
    counts = Counter(name for code, name in model.codes if code == CUSTOM and name)
    if any(code == CUSTOM and not name for code, name in model.codes):
        yield _flaw(member, root.position, "is a custom operation without a name", "an operator code")
    for name in counts:
        op = name.removeprefix(FLEX)
        capability = table.capabilities.get(op)
        if name.startswith(FLEX) and op in table.registry:
            group = capability.group if capability is not None else "none"
            yield _see(member, "tflite-flex-op", root.position, name, op=op, group=group)
        else:
            known = any(fnmatchcase(name, pattern) for pattern in _lists().known_custom)
            yield _see(member, "tflite-custom-op", root.position, name, op=name[:500], known=known)


def _buffer(member: Member, table: Table, index: int, model: _Model, size: int) -> Iterator[Evidence]:
    """Note a buffer's length; its bytes may be behind the flat buffer."""
    data = table.vector(4, 1)
    offset, length = table.scalar(6, "Q"), table.scalar(8, "Q")
    if offset > _OUTSIDE:
        if offset + length > size:
            what = f"ends at {offset + length:,}, beyond the file"
            yield _flaw(member, table.position, what, f"buffer {index}")
        model.buffers.append(length)
        _reach(model, table, Vector(offset, min(length, max(0, size - offset)), 1))
    else:
        model.buffers.append(data.count)
        _reach(model, table, data)


def _subgraph(member: Member, graph: Table, index: int, model: _Model, budget: Budget) -> Iterator[Evidence]:
    tensors = graph.vector(4, 4).count
    _reach(model, graph)
    for number, tensor in enumerate(graph.tables(4)):
        place = f"tensor {number} of subgraph {index}"
        for what in _tensor(tensor, model, budget):
            yield _flaw(member, tensor.position, what, place)
    for slot in (6, 8):
        if any(not 0 <= each < tensors for each in _integers(graph, slot, budget)):
            yield _flaw(
                member, graph.position, "has inputs or outputs that there are not", f"subgraph {index}"
            )
    calls = model.calls.setdefault(index, set())
    for number, operator in enumerate(graph.tables(10)):
        place = f"operator {number} of subgraph {index}"
        for what in _operator(operator, tensors, model, calls, budget):
            yield _flaw(member, operator.position, what, place)


def _integers(table: Table, slot: int, budget: Budget) -> tuple[int, ...]:
    """Read a vector of 32-bit integers."""
    vector = table.vector(slot, 4)
    budget.spend(Resource.NODES, vector.count)
    return struct.unpack(f"<{vector.count}i", table.buffer.raw(vector.start, 4 * vector.count))


def _tensor(tensor: Table, model: _Model, budget: Budget) -> Iterator[str]:
    """Say what is wrong with a tensor: its buffer, its shape, and both together."""
    shape = _integers(tensor, 4, budget)
    number = tensor.scalar(8, "I")
    _reach(model, tensor, tensor.vector(4, 4), tensor.vector(10, 1))
    if number >= len(model.buffers):
        yield "refers to a buffer that there is not"
        return
    if any(each < 0 for each in shape):
        yield "has a negative size"
        return
    bits = _lists().type_bits.get(tensor.scalar(6, "b"), 0)
    for each in shape:
        bits *= each
    length = model.buffers[number]
    sparse = tensor.field(16) is not None
    if length and not sparse and (bits + 7) // 8 > length:
        yield f"needs {(bits + 7) // 8:,} bytes of a buffer of {length:,}"
    elif bits >= 1 << 66:
        yield "has a size that overflows 64 bits"


def _operator(operator: Table, tensors: int, model: _Model, calls: set[int], budget: Budget) -> Iterator[str]:
    """Say what is wrong with an operator, and note which subgraphs it calls."""
    _reach(model, operator, operator.vector(6, 4), operator.vector(8, 4), operator.vector(14, 1))
    code = operator.scalar(4, "I")
    if code >= len(model.codes):
        yield "refers to an operator code that there is not"
        return
    if any(not OPTIONAL <= each < tensors for each in _integers(operator, 6, budget)):
        yield "has an input that there is not"
    if any(not 0 <= each < tensors for each in _integers(operator, 8, budget)):
        yield "has an output that there is not"
    offset, length = operator.scalar(22, "Q"), operator.scalar(24, "Q")
    if offset > _OUTSIDE:
        if offset + length > operator.buffer.end:
            yield "has options beyond the file"
        else:
            _reach(model, operator, Vector(offset, length, 1))
    called = _lists().calls.get(model.codes[code][0])
    if called is None:
        return
    options = operator.table(12)
    if options is None:
        yield "calls subgraphs without saying which"
        return
    for index in range(called):
        target = options.scalar(4 + 2 * index, "i")
        calls.add(target)
        if not 0 <= target < model.subgraphs:
            yield "calls a subgraph that there is not"


def _cycle(calls: Mapping[int, set[int]]) -> int | None:
    """Find a subgraph that is called, directly or not, by itself."""
    done: set[int] = set()
    for start in calls:
        active: set[int] = set()
        pending = [(start, False)]
        while pending:
            node, leaving = pending.pop()
            if leaving:
                active.discard(node)
                done.add(node)
            elif node in active:
                return node
            elif node not in done:
                active.add(node)
                pending.append((node, True))
                pending += ((each, False) for each in calls.get(node, ()))
    return None


def _appended(member: Member, stream: BinaryIO, end: int, size: int) -> Iterator[Evidence | Member]:
    """Yield what follows the model, unless it is the zip archive that the metadata convention puts there."""
    if size - end <= SLACK:
        return
    reach = min(size, END_REACH)
    if is_zip(Probe(head=b"", tail=read_at(stream, size - reach, reach), name="", size=size)):
        return
    head = read_at(stream, end, min(size - end, 64 * KIB))
    if size - end <= len(head) and not head.strip(b"\0\xff"):
        return
    facts: dict[str, Fact] = {"length": size - end, "format": embedded_format(head.lstrip(b"\0")) or "data"}
    yield _see(member, "tflite-appended", end, "appended", **facts)
    yield Member(
        artifact=member.artifact,
        path=(*member.path, "(after the model)"),
        open=lambda: SliceReader(member.open(), end, size - end),
        size=size - end,
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class _Lists:
    """known_custom: patterns. calls: built-in operation -> how many subgraphs it calls."""

    known_custom: tuple[str, ...]
    calls: Mapping[int, int]
    type_bits: Mapping[int, int]


@cache
def _lists() -> _Lists:
    path = rules_folder() / "formats" / "tflite.json"
    try:
        rows: dict[str, Any] = json.loads(path.read_bytes())
        return _Lists(
            known_custom=tuple(rows["known_custom"]),
            calls={int(op): len(names) for op, names in rows["calls"].items()},
            type_bits={int(kind): bits for kind, bits in rows["type_bits"].items()},
        )
    except (OSError, ValueError, KeyError) as error:
        raise RuleError(f"cannot read {path}: {error!r}") from error
