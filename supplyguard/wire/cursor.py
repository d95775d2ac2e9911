"""A bounded byte cursor: numbers and strings in a row, every length checked before it is used."""

from __future__ import annotations

import struct
from typing import BinaryIO, Final, Literal

from supplyguard.errors import MalformedError
from supplyguard.wire.window import Window

Order = Literal["<", ">"]
"""Byte order, as struct writes it."""

_SIZES: Final = {code: struct.calcsize(f"<{code}") for code in "bBhHiIqQefd"}


class Cursor:
    """Reads on from `position`, in bytes from the stream's start; never past `end`."""

    __slots__ = ("_window", "order", "position")

    def __init__(self, stream: BinaryIO, start: int, end: int, order: Order = "<") -> None:
        self._window = Window(stream, start, end)
        self.position = start
        self.order = order

    @classmethod
    def over(cls, window: Window, start: int, end: int, order: Order = "<") -> Cursor:
        """Read [start, end) of a window, sharing its pages."""
        cursor = cls.__new__(cls)
        cursor._window = window.part(start, end)  # noqa: SLF001 - of the same class
        cursor.position = start
        cursor.order = order
        return cursor

    def part(self, start: int, end: int) -> Cursor:
        """Give a cursor over [start, end), which lies in what this one reads."""
        return Cursor.over(self._window, start, end, self.order)

    @property
    def end(self) -> int:
        """The first position that cannot be read."""
        return self._window.end

    @property
    def remaining(self) -> int:
        """How many bytes are left."""
        return self._window.end - self.position

    def number(self, code: str) -> int:
        """Read one integer; `code` is struct's letter."""
        size = _SIZES[code]
        value: int = struct.unpack(self.order + code, self.take(size))[0]
        return value

    def sized(self, size: int) -> int:
        """Read one unsigned integer of any number of bytes."""
        return int.from_bytes(self.take(size), "little" if self.order == "<" else "big")

    def real(self, code: str) -> float:
        """Read one floating-point number; `code` is "e", "f" or "d"."""
        value: float = struct.unpack(self.order + code, self.take(_SIZES[code]))[0]
        return value

    def take(self, length: int) -> bytes:
        """Read `length` bytes; raises MalformedError when there are fewer."""
        data = self._window.read(self.position, length)
        self.position += length
        return data

    def skip(self, length: int) -> None:
        """Go on `length` bytes without reading them; raises MalformedError past the end."""
        if length < 0 or length > self.remaining:
            raise MalformedError(f"{length:,} bytes expected, {self.remaining:,} left", offset=self.position)
        self.position += length

    def text(self, length: int, most: int) -> str:
        """Read UTF-8 text of `length` bytes and keep the first `most`; bad bytes become U+FFFD."""
        if length < 0 or length > self.remaining:
            raise MalformedError(f"text of {length:,} bytes, {self.remaining:,} left", offset=self.position)
        data = self.take(min(length, most))
        self.skip(length - len(data))
        return data.decode("utf-8", "replace")
