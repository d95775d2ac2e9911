"""Sorted string tables, as TensorFlow's checkpoint index and LevelDB write them.

Format: https://github.com/google/leveldb/blob/main/doc/table_format.md; TensorFlow's copy is
tensorflow/core/lib/io/table_format.txt. Checksums are not verified.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import BinaryIO, Final

from supplyguard.errors import BudgetExceededError, MalformedError, UnsupportedError
from supplyguard.limits import Budget, Resource
from supplyguard.streams import read_at

MAGIC: Final = bytes.fromhex("57fb808b247547db")
FOOTER: Final = 48
TRAILER: Final = 5
"""A block is followed by its compression and a checksum."""
MOST_VARINT_BYTES: Final = 10


def entries(stream: BinaryIO, size: int, budget: Budget) -> Iterator[tuple[bytes, bytes, int]]:
    """Yield (key, value, position of the value) in order of keys."""
    if size < FOOTER:
        raise MalformedError("shorter than a footer", offset=0)
    footer = read_at(stream, size - FOOTER, FOOTER)
    if not footer.endswith(MAGIC):
        raise MalformedError("no table: its last bytes are others", offset=size - len(MAGIC))
    position = 0
    for _ in range(2):  # the meta index, which nobody fills, is passed over
        _, position = _varint(footer, position, size - FOOTER)
    for _, handle, at in _block(stream, size, footer[position:], size - FOOTER + position, budget):
        yield from _block(stream, size, handle, at, budget)


def _block(
    stream: BinaryIO, size: int, handle: bytes, at: int, budget: Budget
) -> Iterator[tuple[bytes, bytes, int]]:
    """Yield the entries of the block that a handle at `at` points to."""
    start, place = _varint(handle, 0, at)
    length, _ = _varint(handle, place, at)
    if start + length + TRAILER > size - FOOTER:
        raise MalformedError("a block outside of the table", offset=at)
    if length > budget.limits.document_bytes:
        raise BudgetExceededError("document_bytes", budget.limits.document_bytes)
    data = read_at(stream, start, length + 1)
    if data[length]:
        raise UnsupportedError(f"a compressed block (method {data[length]})")
    budget.check_time()
    yield from _entries(data[:length], start, budget)


def _entries(data: bytes, start: int, budget: Budget) -> Iterator[tuple[bytes, bytes, int]]:
    """Yield what a block holds: each key shares a prefix with the one before."""
    if len(data) < 4:
        raise MalformedError("a block without its restarts", offset=start)
    (restarts,) = struct.unpack_from("<I", data, len(data) - 4)
    end = len(data) - 4 * (restarts + 1)
    if end < 0:
        raise MalformedError("more restarts than the block has room for", offset=start)
    position, key = 0, b""
    while position < end:
        budget.spend(Resource.NODES)
        at = start + position
        shared, position = _varint(data, position, start)
        unshared, position = _varint(data, position, start)
        length, position = _varint(data, position, start)
        if shared > len(key) or unshared + length > end - position:
            raise MalformedError("an entry that does not fit its block", offset=at)
        key = key[:shared] + data[position : position + unshared]
        if len(key) > budget.limits.string_bytes:
            raise MalformedError("a key that is too long", offset=at)
        position += unshared
        yield key, data[position : position + length], start + position
        position += length


def _varint(data: bytes, position: int, start: int) -> tuple[int, int]:
    value = 0
    for index, byte in enumerate(data[position : position + MOST_VARINT_BYTES]):
        value |= (byte & 0x7F) << (7 * index)
        if byte < 0x80:
            return value, position + index + 1
    raise MalformedError("a number without an end", offset=start + position)


def lengths(data: bytes, count: int) -> tuple[list[int], int]:
    """Read `count` varints from the start of `data`; give them and where they end."""
    found, position = [], 0
    for _ in range(count):
        value, position = _varint(data, position, 0)
        found.append(value)
    return found, position
