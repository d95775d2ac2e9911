"""Opcodes out of a seekable file, through a bounded window.

Arguments are read as CPython's unpicklers read them, which is not always what `pickletools` does:
numbers follow Python's literal rules, names are UTF-8, lines end at a line feed. A literal longer
than LONG is not read but given as a View.

A read that crosses the end of a FRAME has two meanings: the C unpickler reads on linearly where
its input has `peek`, and otherwise drops the rest of the frame and reads the same amount after
it (`_Unpickler_ReadFromFile`, `_Unpickler_Readline` in Modules/_pickle.c). Such places are kept
in `crossings`; those in `dropping` are read the second way.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import BinaryIO, Final

from supplyguard.errors import MalformedError, SupplyguardError
from supplyguard.limits import KIB, MIB
from supplyguard.pickles.decoders import unescaped
from supplyguard.pickles.opcodes import ARGUMENT, LENGTH_BYTES, Argument, Op
from supplyguard.pickles.values import View

WINDOW: Final = 2 * MIB
LONG: Final = 4 * KIB
"""Literals of more bytes than this stay in the file."""
MAX_DIGITS: Final = 4_300
"""Decimal texts longer than this are not converted (that costs quadratic time)."""
MAX_NAME: Final = 64 * KIB
"""A module or attribute name of more bytes is refused; nothing writes them."""

FARTHEST: Final = 1 << 62
"""No file is as long."""

_VIEW_KINDS: Final = {
    Op.BINBYTES8: "bytes",
    Op.BINBYTES: "bytes",
    Op.SHORT_BINBYTES: "bytes",
    Op.BYTEARRAY8: "bytearray",
    Op.LONG1: "int",
    Op.LONG4: "int",
}

Literal = None | bool | int | float | str | bytes | View | tuple[str, str]


class Stream:
    """A cursor over the opcodes of one file. `position` is that of the next byte to read."""

    __slots__ = (
        "_base",
        "_file",
        "_known",
        "_size",
        "_window",
        "crossings",
        "dropping",
        "error",
        "frame_end",
        "position",
    )

    def __init__(
        self, file: BinaryIO, *, window: int = WINDOW, dropping: frozenset[int] = frozenset()
    ) -> None:
        self._file = file
        self._size = window
        self._window = b""
        self._base = 0
        self._known = 0
        self.position = 0
        self.frame_end: int | None = None
        self.crossings: list[int] = []
        self.dropping = dropping
        self.error: SupplyguardError | None = None

    def window(self, wanted: int) -> tuple[bytes, int]:
        """Give the bytes read last and the index of `position` in them; `wanted` more follow if there are."""
        index = self.position - self._base
        if index < 0 or index + wanted > len(self._window):
            self._fill(self.position, max(wanted, self._size))
            index = 0
        return self._window, index

    def peek(self, position: int, length: int) -> bytes:
        """Give up to `length` bytes at `position`, without moving."""
        index = position - self._base
        if index < 0 or index + length > len(self._window):
            if length <= self._size:
                self._fill(position, self._size)
                return self._window[:length]
            return self._read(position, length)
        return self._window[index : index + length]

    def has(self, position: int) -> bool:
        """Whether there is a byte at `position`."""
        if position >= FARTHEST:
            return False
        if position >= self._known and self._read(position, 1):
            self._known = position + 1
        return position < self._known

    def enter_frame(self, length: int) -> None:
        """Start a frame of `length` bytes.

        Inside an open frame, one that ends there changes nothing, for its bytes are already read; one
        that reaches further is read in two ways.
        """
        end = self.frame_end
        if end is not None and self.position + length <= end:
            return
        if end is not None and self.position < end < self.position + length:
            if self.position in self.dropping:
                self.position = end
            elif self.has(end):
                self.crossings.append(self.position)
        self.frame_end = self.position + length

    def _fill(self, position: int, length: int) -> None:
        self._window = self._read(position, length)
        self._base = position
        self._known = max(self._known, position + len(self._window))

    def _read(self, position: int, length: int) -> bytes:
        """Read until `length` bytes, the end, or an error, which is kept for when bytes are missed."""
        parts: list[bytes] = []
        if position >= FARTHEST:  # the end of a frame may be said to be anywhere
            return b""
        try:
            self._file.seek(position)
            while length > 0 and (data := self._file.read(length)):
                parts.append(data)
                length -= len(data)
        except SupplyguardError as error:
            self.error = error
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def truncated(self, position: int) -> SupplyguardError:
        """Make the error for bytes that are not there."""
        return self.error or MalformedError("the pickle ends early", offset=position)

    def _cross(self, length: int) -> None:
        """Mind the frame before `length` bytes are read."""
        end = self.frame_end
        if end is None:
            return
        if self.position >= end:
            self.frame_end = None
        elif self.position + length > end:
            if self.position in self.dropping:
                self.position = end
            elif self.has(end):
                self.crossings.append(self.position)
            self.frame_end = None

    def take(self, length: int) -> bytes:
        """Read exactly `length` bytes; raises MalformedError when there are fewer."""
        if self.frame_end is not None:
            self._cross(length)
        data = self.peek(self.position, length)
        if len(data) < length:
            raise self.truncated(self.position)
        self.position += length
        return data

    def skip(self, length: int) -> int:
        """Go past `length` bytes without reading them; gives where they start."""
        if self.frame_end is not None:
            self._cross(length)
        start = self.position
        if length and not self.has(start + length - 1):
            raise self.truncated(start)
        self.position = start + length
        return start

    def line(self) -> tuple[int, int]:
        """Read a text line; gives its offset and its length without the line feed."""
        start = self.position
        length = self._line_length(start)
        if self.frame_end is not None:
            self._cross(length + 1)
            if self.position != start:
                start = self.position
                length = self._line_length(start)
        self.position = start + length + 1
        return start, length

    def _line_length(self, start: int) -> int:
        place = start
        while True:
            index = place - self._base
            if not 0 <= index < len(self._window):
                self._fill(place, self._size)
                index = 0
            if not self._window:
                raise self.truncated(start)
            found = self._window.find(b"\n", index)
            if found >= 0:
                return self._base + found - start
            place = self._base + len(self._window)

    def next(self) -> tuple[int, Literal]:
        """Read one opcode; gives its byte and its argument (None when it has none)."""
        start = self.position
        base, window, end = self._base, self._window, self.frame_end
        index = start - base
        if 0 <= index < len(window) - 1:
            code = window[index]
            short = _SHORT[code]
            stop = index + short if short != _TEXT else index + 2 + window[index + 1]
            if short and stop <= len(window) and (end is None or base + stop <= end):
                if short == 1:
                    self.position = start + 1
                    return code, None
                if short == 2:
                    self.position = start + 2
                    return code, window[index + 1]
                try:
                    text = window[index + 2 : stop].decode()
                except UnicodeDecodeError:  # surrogates, or no text at all
                    return self._next(start)
                self.position = base + stop
                return code, text
        return self._next(start)

    def _next(self, start: int) -> tuple[int, Literal]:
        code = self.take(1)[0]
        argument = ARGUMENT.get(code)
        if argument is Argument.NONE:
            return code, None
        if argument is None:
            self.position = start
            raise MalformedError(f"0x{code:02x} is not a pickle opcode", offset=start)
        number = _NUMBERS.get(argument)
        if number is not None:
            return code, number.unpack(self.take(number.size))[0]
        if argument is Argument.PAIR:
            return code, (self._name(start), self._name(start))
        if argument is Argument.LINE:
            return code, self._text(code, start)
        return code, self._counted(code, argument, start)

    def _name(self, start: int) -> str:
        offset, length = self.line()
        if length > MAX_NAME:
            raise MalformedError("a global's name is longer than any that is real", offset=start)
        return self.peek(offset, length).decode("utf-8", "surrogateescape")

    def _text(self, code: int, start: int) -> Literal:
        offset, length = self.line()
        if length > LONG:
            return View("str" if code in _STRINGS else "int", offset, length)
        text = self.peek(offset, length)
        try:
            return _TEXTS[code](text)
        except (ValueError, OverflowError) as error:
            raise MalformedError(f"the argument of {Op(code).name} cannot be read", offset=start) from error

    def _counted(self, code: int, argument: Argument, start: int) -> Literal:
        width = LENGTH_BYTES[argument]
        length = int.from_bytes(self.take(width), "little", signed=argument is Argument.BYTES4S)
        if length < 0:
            raise MalformedError(f"the length of {Op(code).name} is negative", offset=start)
        if length > LONG or code == Op.BYTEARRAY8:
            return View(_VIEW_KINDS.get(Op(code), "str"), self.skip(length), length)
        data = self.take(length)
        kind = _VIEW_KINDS.get(Op(code))
        if kind == "bytes":
            return data
        if kind == "int":
            return int.from_bytes(data, "little", signed=True)
        if code in _OLD_STRINGS:
            return data.decode("latin-1")
        try:
            return data.decode("utf-8", "surrogatepass")
        except UnicodeDecodeError as error:
            raise MalformedError(f"the text of {Op(code).name} is not UTF-8", offset=start) from error


_NUMBERS: Final = {
    Argument.U1: struct.Struct("<B"),
    Argument.U2: struct.Struct("<H"),
    Argument.I4: struct.Struct("<i"),
    Argument.U4: struct.Struct("<I"),
    Argument.U8: struct.Struct("<Q"),
    Argument.F8: struct.Struct(">d"),
}
_TEXT: Final = 3
_SHORT: Final = [0] * 256
for _code, _argument in ARGUMENT.items():
    _SHORT[_code] = 1 if _argument is Argument.NONE else 2 if _argument is Argument.U1 else 0
_SHORT[Op.SHORT_BINUNICODE] = _TEXT
"""How an opcode is read quickly: no argument, one byte, a short text; 0 when not at all."""
_OLD_STRINGS: Final = frozenset({Op.BINSTRING, Op.SHORT_BINSTRING})
_STRINGS: Final = frozenset({Op.STRING, Op.UNICODE, Op.PERSID})


def _integer(text: bytes) -> int:
    """Read a number as a Python literal; C's strtol also takes leading zeros."""
    if len(text) > MAX_DIGITS:
        return 0
    try:
        return int(text, 0)
    except ValueError:
        return int(text)


def _int(text: bytes) -> int | bool:
    stripped = text.strip()
    return stripped == b"01" if stripped in {b"00", b"01"} else _integer(stripped)


def _long(text: bytes) -> int:
    return _integer(text.strip().removesuffix(b"L"))


def _index(text: bytes) -> int:
    return int(text)


def _string(text: bytes) -> str:
    text = text.strip()
    if len(text) < 2 or text[:1] != text[-1:] or text[:1] not in {b"'", b'"'}:
        raise ValueError("not quoted")
    text = text[1:-1]
    if b"\\" in text:
        text = unescaped(text)
    return text.decode("latin-1")


def _unicode(text: bytes) -> str:
    return text.decode("raw-unicode-escape")


def _identifier(text: bytes) -> str:
    return text.decode("ascii", "surrogateescape")


_TEXTS: Final[dict[int, Callable[[bytes], Literal]]] = {
    Op.INT: _int,
    Op.LONG: _long,
    Op.FLOAT: float,
    Op.STRING: _string,
    Op.UNICODE: _unicode,
    Op.GET: _index,
    Op.PUT: _index,
    Op.PERSID: _identifier,
}
