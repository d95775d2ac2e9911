"""MLIR bytecode: its sections, strings, attributes and properties, as far as names need them.

Format: https://mlir.llvm.org/docs/BytecodeFormat/. Operations and resources are passed over.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

from supplyguard.errors import MalformedError
from supplyguard.limits import Budget, Resource
from supplyguard.wire.cursor import Cursor

MAGIC: Final = b"ML\xefR"
STRINGS, DIALECTS, ATTRIBUTES, OFFSETS = range(4)
PROPERTIES: Final = 8
_LAST_SECTION: Final = 15
_MOST_PRODUCER: Final = 256
_ALIGNED: Final = 0x80
_PADDING: Final = 1 << 16


class Attribute(NamedTuple):
    """Where an attribute is. custom: in the bytes of its dialect, not as text."""

    dialect: int
    start: int
    end: int
    custom: bool


def number(cursor: Cursor) -> int:
    """Read a number whose first byte's trailing zeros count the bytes that follow."""
    first = cursor.number("B")
    if first == 0:
        return cursor.number("Q")
    more = (first & -first).bit_length() - 1
    return int.from_bytes(bytes([first]) + cursor.take(more), "little") >> (more + 1)


def sections(cursor: Cursor) -> Iterator[tuple[int, Cursor]]:
    """Yield each section's id and a cursor over its bytes; raises MalformedError for what does not fit."""
    cursor.skip(len(MAGIC))
    number(cursor)
    for _ in range(_MOST_PRODUCER):
        if cursor.number("B") == 0:
            break
    else:
        raise MalformedError("the producer's name does not end", offset=cursor.position)
    while cursor.remaining:
        at = cursor.position
        tag = cursor.number("B")
        length = number(cursor)
        if tag & _ALIGNED:
            alignment = number(cursor)
            if not 0 < alignment <= _PADDING:
                raise MalformedError(f"a section aligned to {alignment:,}", offset=at)
            cursor.skip(-cursor.position % alignment)
        if tag & ~_ALIGNED > _LAST_SECTION:
            raise MalformedError(f"a section of the kind {tag & ~_ALIGNED}", offset=at)
        start = cursor.position
        cursor.skip(length)
        yield tag & ~_ALIGNED, cursor.part(start, start + length)


def count(cursor: Cursor, budget: Budget) -> int:
    """Read how many entries follow; each has a byte at least."""
    at, value = cursor.position, number(cursor)
    if value > cursor.remaining:
        raise MalformedError(f"{value:,} entries in {cursor.remaining:,} bytes", offset=at)
    budget.spend(Resource.NODES, value)
    return value


def strings(cursor: Cursor, budget: Budget, most: int) -> list[str]:
    """Read the strings, cut after `most` bytes: their sizes come first, the last one's first."""
    sizes = [number(cursor) for _ in range(count(cursor, budget))]
    return [cursor.text(size, most).rstrip("\0") for size in reversed(sizes)]


def dialects(cursor: Cursor, budget: Budget) -> list[int]:
    """Read which string names each dialect."""
    found = []
    for _ in range(count(cursor, budget)):
        name = number(cursor)
        found.append(name >> 1)
        if name & 1:
            cursor.number("B")
            cursor.skip(number(cursor))
    return found


def attributes(offsets: Cursor, body: Cursor, budget: Budget) -> list[Attribute]:
    """Read where the attributes are; types, which follow them, are left out."""
    total = number(offsets)
    number(offsets)
    found: list[Attribute] = []
    while len(found) < total:
        dialect = number(offsets)
        for _ in range(count(offsets, budget)):
            size = number(offsets)
            start = body.position
            body.skip(size >> 1)
            found.append(Attribute(dialect, start, body.position, bool(size & 1)))
    return found


def properties(cursor: Cursor, budget: Budget) -> Iterator[Cursor]:
    """Yield a cursor over each operation's properties."""
    for _ in range(count(cursor, budget)):
        size = number(cursor)
        start = cursor.position
        cursor.skip(size)
        yield cursor.part(start, cursor.position)
