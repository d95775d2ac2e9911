"""The three encodings of R's serialization: big-endian, native little-endian, and text.

Format: src/main/serialize.c of R (InInteger, InString, OutFormat); "R Internals", Serialization Formats.
"""

from __future__ import annotations

import re
from typing import BinaryIO, Final, Protocol

from supplyguard.errors import MalformedError
from supplyguard.wire.cursor import Cursor

NAME: Final = 256
"""Characters of a name that are kept."""
MAGIC: Final = re.compile(
    rb"(?:RD([XAB])[23]\n)?(?:X\n\0\0\0[\x02\x03]|B\n[\x02\x03]\0\0\0|A\n[23]\n[0-9]{5,7}\n[0-9]{5,7}\n)"
)
_SPACE: Final = b" \t\r\n"
_WORD: Final = 64


class Reader(Protocol):
    """Reads numbers and strings in a row."""

    @property
    def position(self) -> int:
        """Where it is, in bytes from the stream's start."""
        ...

    @property
    def remaining(self) -> int:
        """Bytes left."""
        ...

    def integer(self) -> int:
        """Read a signed integer of 32 bits."""
        ...

    def text(self, length: int) -> str:
        """Read a string of `length` bytes and keep its start."""
        ...

    def pass_over(self, count: int, width: int) -> None:
        """Go past `count` numbers of `width` bytes; raises MalformedError when there are fewer."""
        ...


class Binary:
    """Big-endian ("X") or little-endian ("B") numbers."""

    __slots__ = ("_cursor",)

    def __init__(self, cursor: Cursor) -> None:
        self._cursor = cursor

    @property
    def position(self) -> int:
        """Where it is, in bytes from the stream's start."""
        return self._cursor.position

    @property
    def remaining(self) -> int:
        """Bytes left."""
        return self._cursor.remaining

    def integer(self) -> int:
        """Read a signed integer of 32 bits."""
        return self._cursor.number("i")

    def text(self, length: int) -> str:
        """Read a string of `length` bytes and keep its start."""
        return self._cursor.text(length, NAME)

    def pass_over(self, count: int, width: int) -> None:
        """Go past `count` numbers of `width` bytes."""
        self._cursor.skip(count * width)


class Text:
    """Words between white space ("A"); strings have C's escapes."""

    __slots__ = ("_cursor",)

    def __init__(self, cursor: Cursor) -> None:
        self._cursor = cursor

    @property
    def position(self) -> int:
        """Where it is, in bytes from the stream's start."""
        return self._cursor.position

    @property
    def remaining(self) -> int:
        """Bytes left."""
        return self._cursor.remaining

    def integer(self) -> int:
        """Read a word as a number; NA is the least integer."""
        at = self.position
        word = self._word()
        if word == b"NA":
            return -(1 << 31)
        if re.fullmatch(rb"-?[0-9]{1,10}", word) is None:
            raise MalformedError("a number expected", offset=at)
        return int(word)

    def text(self, length: int) -> str:
        """Read a string whose `length` counts characters after their escapes."""
        if length < 0 or length > self.remaining:
            raise MalformedError(f"text of {length:,} bytes, {self.remaining:,} left", offset=self.position)
        kept = bytearray()
        byte = self._after_space() if length else b""
        for number in range(length):
            if number:
                byte = self._cursor.take(1)
            if byte == b"\\":
                byte = self._escape()
            if len(kept) < NAME:
                kept += byte
        return kept.decode("utf-8", "replace")

    def pass_over(self, count: int, width: int) -> None:
        """Go past `count` numbers: a word each, two for a complex one."""
        words = count * 2 if width == 16 else count
        if words > self.remaining:
            raise MalformedError(f"{count:,} numbers, {self.remaining:,} bytes left", offset=self.position)
        for _ in range(words):
            self._word()

    def _after_space(self) -> bytes:
        byte = self._cursor.take(1)
        while byte in _SPACE:
            byte = self._cursor.take(1)
        return byte

    def _word(self) -> bytes:
        word = bytearray(self._after_space())
        while self.remaining:
            byte = self._cursor.take(1)
            if byte in _SPACE:
                break
            word += byte
            if len(word) > _WORD:
                raise MalformedError("a word too long for a number", offset=self.position)
        return bytes(word)

    def _escape(self) -> bytes:
        """Read what follows a backslash: up to three octal digits, or one character."""
        byte = self._cursor.take(1)
        if byte not in b"01234567":
            return byte
        digits = byte
        while len(digits) < 3 and self.remaining:
            byte = self._cursor.take(1)
            if byte not in b"01234567":
                self._cursor.position -= 1
                break
            digits += byte
        return bytes([int(digits, 8) & 0xFF])


def reader_of(stream: BinaryIO, size: int, head: bytes) -> tuple[Reader, bool]:
    """Give a reader that stands at the version number, and whether it is a workspace.

    Raises MalformedError for other bytes.
    """
    found = MAGIC.match(head)
    if found is None:
        raise MalformedError("no serialized R object begins here", offset=0)
    start = 5 if found[1] else 0
    kind = head[start : start + 1]
    if kind == b"A":
        return Text(Cursor(stream, start + 2, size)), bool(start)
    order: Final = ">" if kind == b"X" else "<"
    return Binary(Cursor(stream, start + 2, size, order)), bool(start)
