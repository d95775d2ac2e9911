"""Protocol buffers without a schema: the fields of a message, their bodies left where they are.

Wire format: https://protobuf.dev/programming-guides/encoding/. Groups (wire types 3 and 4) are refused:
no model format that is inspected here uses them.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, Final

from supplyguard.errors import MalformedError
from supplyguard.limits import Budget, Resource
from supplyguard.wire.window import Window

VARINT: Final = 0
FIXED64: Final = 1
BYTES: Final = 2
FIXED32: Final = 5
MOST_VARINT_BYTES: Final = 10
MOST_DEPTH: Final = 100
CHECK_TIME_EVERY: Final = 4096
_SIGN: Final = 1 << 63
_WRAP: Final = 1 << 64


@dataclass(frozen=True, slots=True)
class Field:
    """One field. value: of a number (unsigned), 0 for bytes. offset, length: of the body."""

    number: int
    wire: int
    value: int
    offset: int
    length: int

    @property
    def signed(self) -> int:
        """The value of an int32 or int64 field, which is stored in two's complement of 64 bits."""
        return self.value - _WRAP if self.value >= _SIGN else self.value


class Message:
    """A message at [start, end) of a stream. Reading its fields does not read their bodies."""

    __slots__ = ("_budget", "_window", "depth", "end", "start")

    def __init__(self, window: Window, start: int, end: int, budget: Budget, depth: int = 0) -> None:
        if depth > MOST_DEPTH:
            raise MalformedError(f"messages nested more than {MOST_DEPTH} deep", offset=start)
        self._window = window
        self._budget = budget
        self.start = start
        self.end = end
        self.depth = depth

    @classmethod
    def of(cls, stream: BinaryIO, start: int, end: int, budget: Budget) -> Message:
        """Take the bytes [start, end) of a seekable stream as a message."""
        return cls(Window(stream, start, end), start, end, budget)

    def __iter__(self) -> Iterator[Field]:
        """Yield the fields in order; raises MalformedError where they end to make sense."""
        position, count = self.start, 0
        while position < self.end:
            count += 1
            self._budget.spend(Resource.NODES)
            if count % CHECK_TIME_EVERY == 0:
                self._budget.check_time()
            at = position
            tag, position = self._varint(position)
            number, wire = tag >> 3, tag & 7
            if number == 0:
                raise MalformedError("a field without a number", offset=at)
            field = self._field(number, wire, position)
            position = field.offset + field.length
            yield field

    def message(self, field: Field) -> Message:
        """Take a field's body as a message."""
        return Message(self._window, field.offset, field.offset + field.length, self._budget, self.depth + 1)

    def body(self, field: Field, most: int) -> bytes:
        """Read at most the first `most` bytes of a field's body."""
        return self._window.read(field.offset, min(field.length, most))

    def text(self, field: Field) -> str:
        """Read a string, cut at the Budget's `string_bytes`; bad UTF-8 becomes U+FFFD."""
        return self.body(field, self._budget.limits.string_bytes).decode("utf-8", "replace")

    def numbers(self, field: Field) -> Iterator[int]:
        """Yield the varints of a repeated field, packed or not."""
        if field.wire == VARINT:
            yield field.value
            return
        position, end = field.offset, field.offset + field.length
        while position < end:
            self._budget.spend(Resource.NODES)
            value, position = self._varint(position)
            yield value

    def _field(self, number: int, wire: int, position: int) -> Field:
        if wire == VARINT:
            value, after = self._varint(position)
            return Field(number, wire, value, position, after - position)
        if wire == BYTES:
            length, body = self._varint(position)
            if length > self.end - body:
                raise MalformedError(
                    f"field {number} claims {length:,} bytes, {self.end - body:,} are left", offset=position
                )
            return Field(number, wire, 0, body, length)
        if wire in {FIXED64, FIXED32}:
            size, code = (8, "<Q") if wire == FIXED64 else (4, "<I")
            if position + size > self.end:
                raise MalformedError(f"field {number} ends early", offset=position)
            (value,) = struct.unpack(code, self._window.read(position, size))
            return Field(number, wire, value, position, size)
        raise MalformedError(f"wire type {wire} in field {number}", offset=position)

    def _varint(self, position: int) -> tuple[int, int]:
        """Read a varint: seven bits a byte, the least first, at most ten bytes."""
        data = self._window.read(position, min(MOST_VARINT_BYTES, self.end - position))
        value = 0
        for index, byte in enumerate(data):
            value |= (byte & 0x7F) << (7 * index)
            if byte < 0x80:
                return value & (_WRAP - 1), position + index + 1
        raise MalformedError("a number without an end", offset=position)
