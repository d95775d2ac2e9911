"""FlatBuffers with every step checked: root, tables, vtables, vectors, strings.

Layout: https://flatbuffers.dev/internals/. Field slots are byte positions in the vtable: 4 is the first
field, 6 the second, and so on. Google's Python runtime checks nothing, so it is not used.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, Final

from supplyguard.errors import MalformedError
from supplyguard.limits import Budget, Resource
from supplyguard.wire.window import Window

MOST_DEPTH: Final = 64
_SIZES: Final = {code: struct.calcsize(f"<{code}") for code in "bBhHiIqQfd"}


@dataclass(frozen=True, slots=True)
class Vector:
    """A vector's elements: `count` of `size` bytes each, the first at `start`."""

    start: int
    count: int
    size: int

    def at(self, index: int) -> int:
        """Give the position of one element."""
        return self.start + index * self.size


class Buffer:
    """The flat buffer in [start, end) of a seekable stream; positions count from the stream's 0."""

    __slots__ = ("_window", "budget", "end", "start")

    def __init__(self, stream: BinaryIO, start: int, end: int, budget: Budget) -> None:
        self._window = Window(stream, start, end)
        self.budget = budget
        self.start = start
        self.end = end

    def root(self) -> Table:
        """Give the root table; raises MalformedError when its offset leads nowhere."""
        return self.table_at(self.start + self.scalar(self.start, "I"), depth=0)

    def scalar(self, position: int, code: str) -> int:
        """Read one integer; `code` is struct's letter."""
        value: int = struct.unpack(f"<{code}", self._window.read(position, _SIZES[code]))[0]
        return value

    def raw(self, position: int, length: int) -> bytes:
        """Read bytes."""
        return self._window.read(position, length)

    def table_at(self, position: int, depth: int) -> Table:
        """Check and give the table at a position; every visit counts."""
        self.budget.spend(Resource.NODES)
        self.budget.check_time()
        if depth > MOST_DEPTH:
            raise MalformedError(f"tables nested more than {MOST_DEPTH} deep", offset=position)
        vtable = position - self.scalar(position, "i")
        size = self.scalar(vtable, "H")
        span = self.scalar(vtable + 2, "H")
        if size < 4 or size % 2 or vtable + size > self.end or span < 4 or position + span > self.end:
            raise MalformedError("a table whose description makes no sense", offset=position)
        return Table(self, position, vtable, size, span, depth)

    def vector_at(self, position: int, size: int) -> Vector:
        """Check and give the vector at a position."""
        count = self.scalar(position, "I")
        if count * size > self.end - position - 4:
            raise MalformedError(f"a vector claims {count:,} elements beyond the end", offset=position)
        return Vector(position + 4, count, size)

    def follow(self, position: int) -> int:
        """Follow the unsigned offset stored at a position."""
        target = position + self.scalar(position, "I")
        if target >= self.end:
            raise MalformedError("an offset beyond the end", offset=position)
        return target

    def text_at(self, position: int) -> str:
        """Read the string at a position, cut at the Budget's `string_bytes`."""
        vector = self.vector_at(position, 1)
        length = min(vector.count, self.budget.limits.string_bytes)
        return self.raw(vector.start, length).decode("utf-8", "replace")


@dataclass(frozen=True, slots=True)
class Table:
    """One table; absent fields give the default."""

    buffer: Buffer
    position: int
    vtable: int
    vtable_size: int
    size: int
    depth: int

    def field(self, slot: int) -> int | None:
        """Give the position of a field, None when it is absent."""
        if slot + 2 > self.vtable_size:
            return None
        offset = self.buffer.scalar(self.vtable + slot, "H")
        if offset == 0:
            return None
        if offset >= self.size:
            raise MalformedError("a field outside of its table", offset=self.position)
        return self.position + offset

    def scalar(self, slot: int, code: str, default: int = 0) -> int:
        """Read an integer field."""
        position = self.field(slot)
        return default if position is None else self.buffer.scalar(position, code)

    def text(self, slot: int) -> str | None:
        """Read a string field."""
        position = self.field(slot)
        return None if position is None else self.buffer.text_at(self.buffer.follow(position))

    def vector(self, slot: int, size: int) -> Vector:
        """Give a vector field, empty when absent."""
        position = self.field(slot)
        if position is None:
            return Vector(self.position, 0, size)
        return self.buffer.vector_at(self.buffer.follow(position), size)

    def table(self, slot: int) -> Table | None:
        """Give a table field (or the table of a union's value)."""
        position = self.field(slot)
        if position is None:
            return None
        return self.buffer.table_at(self.buffer.follow(position), self.depth + 1)

    def tables(self, slot: int) -> Iterator[Table]:
        """Yield the tables of a vector of tables."""
        vector = self.vector(slot, 4)
        for index in range(vector.count):
            yield self.buffer.table_at(self.buffer.follow(vector.at(index)), self.depth + 1)
