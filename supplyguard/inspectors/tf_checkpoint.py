"""TensorFlow checkpoints: the index of tensors, and the text file that names the newest one.

Weights are not read; configurations of Keras layers that are kept beside them are. Messages:
tensorflow/core/protobuf/tensor_bundle.proto; strings: tensorflow/core/util/tensor_bundle/tensor_bundle.cc.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from supplyguard.errors import MalformedError, UnreadableError
from supplyguard.finding import Evidence, Fact, Notification
from supplyguard.inspectors.keras_config import Text, capped, examine_config
from supplyguard.inspectors.tensorflow_ops import operations
from supplyguard.inventory import Member, Probe
from supplyguard.limits import MIB, Budget
from supplyguard.streams import buffered, read_at, size_of
from supplyguard.wire.protobuf import BYTES, VARINT, Message
from supplyguard.wire.sstable import MAGIC, entries, lengths

FORMAT: Final = "tf_checkpoint"

STATE: Final = "checkpoint"
"""The text file that names the newest checkpoint (CheckpointState)."""
SUFFIX: Final = ".index"
CONFIG: Final = b"/.ATTRIBUTES/OBJECT_CONFIG_JSON"
STRING: Final = 7
SIZES: Final = {
    **dict.fromkeys((4, 6, 10, 11, 12, 24, 25), 1),
    **dict.fromkeys((5, 14, 15, 16, 17, 19), 2),
    **dict.fromkeys((1, 3, 13, 22), 4),
    **dict.fromkeys((2, 8, 9, 23), 8),
    18: 16,
}
"""Bytes of one element by DataType (tensorflow/core/framework/types.proto)."""
MOST_SHARDS: Final = 100_000
_PATH: Final = re.compile(r'^\s*(?:all_)?model_checkpoint_paths?\s*:\s*"((?:[^"\\]|\\.)*)"', re.MULTILINE)
_ESCAPE: Final = re.compile(r"\\(?:([0-7]{1,3})|[xX]([0-9A-Fa-f]{1,2})|(.))", re.DOTALL)
_STATE_SIZE: Final = MIB
_CHECKSUM: Final = 4


@dataclass(frozen=True, slots=True)
class _Tensor:
    """One entry of the index. at: where it is there; offset, size: of its bytes in the shard."""

    key: bytes
    at: int
    kind: int
    shape: tuple[int, ...]
    shard: int
    offset: int
    size: int
    sliced: bool


def recognizes(probe: Probe) -> bool:
    """Whether it ends like a table, or is the text file that names checkpoints."""
    if probe.tail.endswith(MAGIC):
        return True
    return probe.name == STATE and b"model_checkpoint_path" in probe.head


def inspect(member: Member, budget: Budget) -> Iterator[Evidence | Member | Notification]:
    """Yield tensors that do not fit their shards, paths that lead out, and configurations with code."""
    with closing(buffered(member.open())) as stream:
        size = size_of(stream)
        tail = read_at(stream, max(0, size - len(MAGIC)), min(size, len(MAGIC)))
        if tail != MAGIC:
            text = read_at(stream, 0, min(size, _STATE_SIZE)).decode("utf-8", "replace")
            yield from _state(member, text)
            return
        tensors: list[_Tensor] = []
        shards = None
        for key, value, at in entries(stream, size, budget):
            message = Message.of(io.BytesIO(value), 0, len(value), budget)
            if key == b"" and shards is None:
                shards = _shards(message)
                if shards == 0:
                    return  # the first generation of checkpoints keeps its tensors in the table itself
            elif shards is None:
                return  # a table of another program
            else:
                tensors.append(_tensor(key, message, at))
    yield from capped(_tensors(member, tensors, shards or 0, budget), member.at())


def _state(member: Member, text: str) -> Iterator[Evidence]:
    for found in _PATH.finditer(text):
        path = _ESCAPE.sub(_unescaped, found[1])
        where = operations().where(path)
        if where in {"absolute", "parent", "url"}:
            facts: dict[str, Fact] = {"path": path[:500], "where": where}
            place = member.at(len(text[: found.start(1)].encode()))
            yield Evidence(kind="tensorflow-checkpoint-path", location=place, facts=facts, symbol=path[:500])


def _unescaped(found: re.Match[str]) -> str:
    if found[1] is not None:
        return chr(int(found[1], 8) & 0xFF)
    return chr(int(found[2], 16)) if found[2] is not None else str(found[3])


def _shards(message: Message) -> int:
    """Read the number of shards from the header, 0 when it is that of the first generation."""
    for each in message:
        if each.number == 1:
            return each.value if each.wire == VARINT else 0
    return 1


def _tensor(key: bytes, message: Message, at: int) -> _Tensor:
    """Read a BundleEntryProto."""
    numbers = {1: 0, 3: 0, 4: 0, 5: 0}
    shape: list[int] = []
    sliced = False
    for each in message:
        if each.wire == VARINT and each.number in numbers:
            numbers[each.number] = each.value
        elif each.wire == BYTES and each.number == 2:
            for part in message.message(each):
                if part.wire == BYTES and part.number == 2:
                    dims = message.message(each).message(part)
                    shape.append(next((dim.signed for dim in dims if dim.number == 1), 0))
        elif each.number == 7:
            sliced = True
    kind, shard, offset, size = numbers.values()
    return _Tensor(key, at, kind, tuple(shape), shard, offset, size, sliced)


def _tensors(
    member: Member, tensors: list[_Tensor], shards: int, budget: Budget
) -> Iterator[Evidence | Member | Notification]:
    sizes = _shard_sizes(member, tensors, shards)
    for number, each in sizes.items():
        if each is None:
            text = f"shard {number} of {shards} is not there"
            yield Notification(code="missing-file", message=text, location=member.at(), incomplete=True)
    ends: dict[int, tuple[int, bytes]] = {}
    for tensor in sorted(tensors, key=lambda each: (each.shard, each.offset, each.size)):
        for what in _flaws(tensor, sizes, shards, ends):
            name = tensor.key.decode("utf-8", "replace")[:500]
            place = member.at(tensor.at)
            facts: dict[str, Fact] = {"name": name, "what": what}
            yield Evidence(kind="tensorflow-tensor", location=place, facts=facts, symbol=f"{what}:{name}")
        if tensor.key.endswith(CONFIG) and tensor.kind == STRING:
            yield from _config(member, tensor, shards, sizes.get(tensor.shard), budget)


def _flaws(
    tensor: _Tensor, sizes: dict[int, int | None], shards: int, ends: dict[int, tuple[int, bytes]]
) -> Iterator[str]:
    """Say what does not fit: the shard, the tensor before, its shape."""
    if tensor.shard >= shards:
        yield "is in a shard that there is not"
        return
    size = sizes.get(tensor.shard)
    if size is not None and tensor.offset + tensor.size > size:
        yield "ends beyond its shard"
    end, _ = ends.get(tensor.shard, (0, b""))
    if tensor.size and tensor.offset < end:
        yield "overlaps the one before"
    ends[tensor.shard] = max(end, tensor.offset + tensor.size), tensor.key
    if any(each < 0 for each in tensor.shape):
        yield "has a negative size"
    elif tensor.kind in SIZES and not tensor.sliced:
        wanted = SIZES[tensor.kind]
        for each in tensor.shape:
            wanted *= each
        if wanted != tensor.size:
            yield "has another size than its shape"


def _path(member: Member, shard: int, shards: int) -> Path:
    name = member.artifact.path.name.removesuffix(SUFFIX)
    return member.artifact.path.with_name(f"{name}.data-{shard:05}-of-{shards:05}")


def _shard_sizes(member: Member, tensors: list[_Tensor], shards: int) -> dict[int, int | None]:
    """Measure the shards beside a file on disk; None for those that are not there."""
    if member.path or not member.name.endswith(SUFFIX):
        return {}
    sizes: dict[int, int | None] = {}
    for number in sorted({each.shard for each in tensors if each.shard < min(shards, MOST_SHARDS)}):
        path = _path(member, number, shards)
        sizes[number] = path.stat().st_size if path.is_file() else None
    return sizes


def _config(
    member: Member, tensor: _Tensor, shards: int, size: int | None, budget: Budget
) -> Iterator[Evidence | Member | Notification]:
    """Examine a layer's configuration, which is a text tensor in a shard."""
    place = member.at(tensor.at)
    name = tensor.key.decode("utf-8", "replace")[:200]
    if size is None or tensor.offset + tensor.size > size or tensor.size > budget.limits.document_bytes:
        text = f"the configuration {name!r} could not be read"
        yield Notification(code="not-examined", message=text, location=place, incomplete=True)
        return
    try:
        with _path(member, tensor.shard, shards).open("rb") as shard:
            data = read_at(shard, tensor.offset, tensor.size)
    except OSError as error:
        raise UnreadableError(f"a shard cannot be read: {error.strerror or error}") from error
    (length,), start = lengths(data, 1)
    text_bytes = data[start + _CHECKSUM : start + _CHECKSUM + length]
    try:
        yield from examine_config(Text(text_bytes, member, place, "checkpoint"), budget)
    except MalformedError as error:
        raise MalformedError(f"configuration {name!r}: {error.message}", offset=tensor.at) from error
