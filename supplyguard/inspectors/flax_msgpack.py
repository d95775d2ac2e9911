"""Flax checkpoints in MessagePack: arrays whose types and sizes do not fit, odd extensions, other formats.

Format: flax/serialization.py of github.com/google/flax (extension 1 ndarray, 2 complex, 3 NumPy scalar;
an array is MessagePack of shape, dtype name and bytes). The bytes of arrays are passed over.
"""

from __future__ import annotations

import io
import re
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from math import prod
from typing import Final

from supplyguard.archives.signs import embedded_format
from supplyguard.errors import MalformedError, SupplyguardError
from supplyguard.finding import Evidence, Fact, Level, Notification
from supplyguard.inventory import Member, Probe
from supplyguard.limits import KIB, Budget, Limits
from supplyguard.resources import format_data
from supplyguard.streams import SliceReader, buffered, size_of
from supplyguard.wire import msgpack
from supplyguard.wire.msgpack import Item, Walk

FORMAT: Final = "flax_msgpack"

SHOWN: Final = 50
MOST_DIMS: Final = 64
_PREVIEW: Final = 8 * KIB
_SHOWN_TEXT: Final = 200
_NODES_OF_A_LOOK: Final = 2000
_ARRAY_OF_THREE: Final = b"\x93"


def recognizes(probe: Probe) -> bool:
    """Whether it is a map with one of Flax's extensions near its start, or named as MessagePack."""
    head = probe.head
    if probe.name.lower().endswith(tuple(format_data(FORMAT)["names"])):
        return bool(head)
    if not (0x81 <= head[0] <= 0x8F or head[0] in {0xDE, 0xDF}) if head else True:
        return False
    size = max(len(head), probe.size or len(head))
    walk = Walk(io.BytesIO(head), 0, size, Budget(Limits(nodes=_NODES_OF_A_LOOK)))
    arrays = format_data(FORMAT)["arrays"]
    try:
        for item in walk:
            if item.kind == msgpack.EXTENSION:
                return item.value in arrays and walk.body(item, 1) == _ARRAY_OF_THREE
            if item.is_key and item.kind not in {msgpack.TEXT, msgpack.BYTES, msgpack.INTEGER}:
                return False
    except SupplyguardError:
        return False
    return False


def inspect(member: Member, budget: Budget) -> Iterator[Evidence | Member | Notification]:
    """Yield what does not fit; raises MalformedError where the values break."""
    counts: Counter[str] = Counter()
    with closing(buffered(member.open())) as stream:
        walk = Walk(stream, 0, size_of(stream), budget)
        for item in walk:
            for found in _item(member, walk, item, budget):
                if isinstance(found, Evidence):
                    counts[found.kind] += 1
                    if counts[found.kind] == SHOWN + 1:
                        text = f"more than {SHOWN} of {found.kind}: the others are not listed"
                        yield Notification(
                            code="not-listed", message=text, level=Level.NOTE, location=member.at()
                        )
                    if counts[found.kind] > SHOWN:
                        continue
                yield found


def _item(member: Member, walk: Walk, item: Item, budget: Budget) -> Iterator[Evidence | Member]:
    if item.repeated:
        yield _see(member, "flax-repeated-key", item.offset, walk.path)
    if item.kind == msgpack.EXTENSION:
        table = format_data(FORMAT)
        if item.value in table["arrays"]:
            yield from _array(member, walk, item, budget)
        elif item.value not in {table["complex"], table["timestamp"]}:
            yield _see(member, "flax-extension", item.offset, walk.path, code=item.value)
    elif item.kind in {msgpack.TEXT, msgpack.BYTES}:
        yield from _embedded(member, walk, item)


def _see(member: Member, kind: str, offset: int, path: str, **facts: Fact) -> Evidence:
    name = path[:_SHOWN_TEXT]
    return Evidence(kind=kind, location=member.at(offset), facts={"name": name, **facts}, symbol=name)


def _embedded(member: Member, walk: Walk, item: Item) -> Iterator[Evidence | Member]:
    """Yield a value that begins like another format, and the value itself to be looked into."""
    found = embedded_format(walk.body(item, _PREVIEW))
    if found is None:
        return
    yield _see(member, "flax-other-format", item.start, walk.path, what=found)
    yield Member(
        artifact=member.artifact,
        path=(*member.path, walk.path[:_SHOWN_TEXT] or f"({item.kind} at {item.start})"),
        open=lambda: SliceReader(member.open(), item.start, item.length),
        size=item.length,
    )


def _array(member: Member, walk: Walk, item: Item, budget: Budget) -> Iterator[Evidence | Member]:
    """Look at one array's shape, type and size."""
    with closing(buffered(member.open())) as stream:
        inner = Walk(stream, item.start, item.start + item.length, budget)
        try:
            shape, dtype, data = _record(inner, item)
        except MalformedError as error:
            yield _see(member, "flax-array", item.offset, walk.path, detail=error.message)
            return
        for kind, facts in _misfits(shape, dtype, data.length):
            yield _see(member, kind, item.offset, walk.path, **facts)
        head = inner.body(data, _PREVIEW)
    found = embedded_format(head)
    if found is not None:
        yield _see(member, "flax-other-format", data.start, walk.path, what=found)


def _record(inner: Walk, item: Item) -> tuple[list[int], str, Item]:
    """Read an array's shape, the name of its type and where its bytes are."""
    parts = iter(inner)
    if next(parts, item).kind != msgpack.ARRAY:
        raise MalformedError("no list of shape, type and bytes", offset=item.start)
    sizes = next(parts, item)
    if sizes.kind != msgpack.ARRAY or sizes.length > MOST_DIMS:
        raise MalformedError("no shape", offset=item.start)
    shape = []
    for _ in range(sizes.length):
        size = next(parts, item)
        if size.kind != msgpack.INTEGER or size.value < 0:
            raise MalformedError("no shape", offset=size.offset)
        shape.append(size.value)
    kind = next(parts, item)
    data = next(parts, item)
    if not {kind.kind, data.kind} <= {msgpack.TEXT, msgpack.BYTES}:
        raise MalformedError("no type or no bytes", offset=kind.offset)
    extra = next(parts, None)
    if extra is not None:
        raise MalformedError("more than shape, type and bytes", offset=extra.offset)
    return shape, inner.body(kind, _SHOWN_TEXT).decode("utf-8", "replace"), data


def _misfits(shape: list[int], dtype: str, length: int) -> Iterator[tuple[str, dict[str, Fact]]]:
    table = format_data(FORMAT)
    width = table["bytes"].get(dtype)
    if width is None:
        if re.fullmatch(table["plain"], dtype) is None:
            role = "objects" if re.fullmatch(table["objects"], dtype) else "unknown"
            yield "flax-dtype", {"dtype": dtype, "role": role}
        return
    needed = prod(shape) * width
    if needed != length:
        detail = f"has {length:,} bytes for a shape that needs {min(needed, 1 << 66):,}"
        yield "flax-array", {"detail": detail}
