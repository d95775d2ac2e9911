"""MessagePack without making objects: every value is named and measured, bodies are left where they are.

Format: https://github.com/msgpack/msgpack/blob/master/spec.md. All numbers are big-endian.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, Final

from supplyguard.errors import MalformedError
from supplyguard.limits import KIB, Budget, Resource
from supplyguard.wire.cursor import Cursor

ARRAY: Final = "array"
MAP: Final = "map"
TEXT: Final = "text"
BYTES: Final = "bytes"
EXTENSION: Final = "extension"
INTEGER: Final = "integer"
FLOAT: Final = "float"
BOOLEAN: Final = "boolean"
NIL: Final = "nil"
MOST_DEPTH: Final = 128
CHECK_TIME_EVERY: Final = 4096
_KEY: Final = 4 * KIB
_SHOWN_KEY: Final = 80
_LENGTHS: Final = {
    0xC4: (BYTES, 1),
    0xC5: (BYTES, 2),
    0xC6: (BYTES, 4),
    0xC7: (EXTENSION, 1),
    0xC8: (EXTENSION, 2),
    0xC9: (EXTENSION, 4),
    0xD9: (TEXT, 1),
    0xDA: (TEXT, 2),
    0xDB: (TEXT, 4),
    0xDC: (ARRAY, 2),
    0xDD: (ARRAY, 4),
    0xDE: (MAP, 2),
    0xDF: (MAP, 4),
}
_FIXED: Final = {code: 1 << (code - 0xD4) for code in range(0xD4, 0xD9)}
_NUMBERS: Final = {
    0xCC: "B",
    0xCD: "H",
    0xCE: "I",
    0xCF: "Q",
    0xD0: "b",
    0xD1: "h",
    0xD2: "i",
    0xD3: "q",
}
_REALS: Final = {0xCA: 4, 0xCB: 8}
_CONSTANTS: Final = {0xC0: (NIL, 0), 0xC2: (BOOLEAN, 0), 0xC3: (BOOLEAN, 1)}


@dataclass(frozen=True, slots=True)
class Item:
    """One value. offset: of its first byte; start: of its body.

    length: bytes of a body, entries of an array or map. value: of an integer or boolean, the code of an
    extension. repeated: a key that its map already has.
    """

    kind: str
    offset: int
    start: int
    length: int = 0
    value: int = 0
    is_key: bool = False
    repeated: bool = False


class _Open:
    """A container that is being read. left: values still to come, a map's keys among them."""

    __slots__ = ("is_map", "key", "keys", "left")

    def __init__(self, left: int, *, is_map: bool) -> None:
        self.left = left
        self.is_map = is_map
        self.key = ""
        self.keys: set[tuple[str, int, bytes]] = set()


class Walk:
    """The values of [start, end) of a stream in order, whatever they are nested in; no recursion.

    `path` names where the value that was yielded last is. Raises MalformedError where it breaks.
    """

    def __init__(self, stream: BinaryIO, start: int, end: int, budget: Budget) -> None:
        self._cursor = Cursor(stream, start, end, ">")
        self._budget = budget
        self._open: list[_Open] = []

    @property
    def path(self) -> str:
        """The keys that lead to the current value."""
        return "/".join(each.key for each in self._open if each.key)

    def body(self, item: Item, most: int) -> bytes:
        """Read at most the first `most` bytes of a value's body, without moving on."""
        at = self._cursor.position
        self._cursor.position = item.start
        try:
            return self._cursor.take(min(item.length, most))
        finally:
            self._cursor.position = at

    def __iter__(self) -> Iterator[Item]:
        """Yield every value; one after another where several follow each other."""
        count = 0
        while self._open or self._cursor.remaining:
            count += 1
            self._budget.spend(Resource.NODES)
            if count % CHECK_TIME_EVERY == 0:
                self._budget.check_time()
            item = self._next()
            yield item
            if item.kind in {ARRAY, MAP} and item.length:
                if len(self._open) >= MOST_DEPTH:
                    raise MalformedError(f"nested more than {MOST_DEPTH} deep", offset=item.offset)
                twice = 2 if item.kind == MAP else 1
                self._open.append(_Open(item.length * twice, is_map=item.kind == MAP))
            while self._open and self._open[-1].left == 0:
                self._open.pop()

    def _next(self) -> Item:
        item = self._read()
        if not self._open:
            return item
        top = self._open[-1]
        is_key = top.is_map and top.left % 2 == 0
        top.left -= 1
        if not is_key:
            return item
        if item.kind in {ARRAY, MAP}:
            raise MalformedError("a container as a key", offset=item.offset)
        raw = self.body(item, _KEY)
        top.key = raw[:_SHOWN_KEY].decode("utf-8", "replace") if item.kind == TEXT else str(item.value)
        identity = (item.kind, item.length or item.value, raw)
        repeated = identity in top.keys
        top.keys.add(identity)
        return Item(item.kind, item.offset, item.start, item.length, item.value, True, repeated)

    def _read(self) -> Item:
        """Read one value's head and pass over its body."""
        cursor = self._cursor
        at = cursor.position
        code = cursor.number("B")
        if code < 0x80 or code >= 0xE0:
            return Item(INTEGER, at, cursor.position, value=code if code < 0x80 else code - 256)
        if code < 0xA0:
            return self._sized(MAP if code < 0x90 else ARRAY, at, code & 0x0F)
        if code < 0xC0:
            return self._sized(TEXT, at, code & 0x1F)
        if code in _CONSTANTS:
            kind, value = _CONSTANTS[code]
            return Item(kind, at, cursor.position, value=value)
        if code in _NUMBERS:
            return Item(INTEGER, at, at + 1, value=cursor.number(_NUMBERS[code]))
        if code in _REALS:
            return self._sized(FLOAT, at, _REALS[code])
        if code in _FIXED:
            return self._sized(EXTENSION, at, _FIXED[code])
        if code not in _LENGTHS:
            raise MalformedError(f"{code:#04x} begins no value", offset=at)
        kind, size = _LENGTHS[code]
        return self._sized(kind, at, cursor.sized(size))

    def _sized(self, kind: str, at: int, length: int) -> Item:
        """Check a length against what is left, and pass over a body."""
        cursor = self._cursor
        value = cursor.number("b") if kind == EXTENSION else 0
        least = length * (2 if kind == MAP else 1)
        if least > cursor.remaining:
            text = f"{kind} of {length:,} entries or bytes, {cursor.remaining:,} bytes are left"
            raise MalformedError(text, offset=at)
        start = cursor.position
        if kind not in {ARRAY, MAP}:
            cursor.skip(length)
        return Item(kind, at, start, length, value)
