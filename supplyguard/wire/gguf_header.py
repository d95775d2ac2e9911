"""The header of a GGUF file: keys, values and tensor entries, checked as ggml's own reader checks them.

Format: docs/gguf.md of github.com/ggml-org/ggml; limits: ggml/src/gguf.cpp (2026). Every deviation is a
Flaw; where one makes the rest unreadable, MalformedError follows. Strings of arrays are passed over,
but for the vocabulary's.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from math import prod
from typing import Any, BinaryIO, Final, Literal

from supplyguard.errors import MalformedError, UnsupportedError
from supplyguard.limits import GIB, KIB, Budget, Resource
from supplyguard.resources import format_data
from supplyguard.wire.cursor import Cursor

NUMBERS: Final = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "B", 10: "Q", 11: "q", 12: "d"}
"""struct's letter, by value type."""
SIZES: Final = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}
UINT32: Final = 4
STRING: Final = 8
ARRAY: Final = 9
MOST_ELEMENTS: Final = 1 << 30
LEAST_KEY, LEAST_TENSOR = 13, 24
"""Bytes of the smallest key and tensor entry."""
MOST_DIMS: Final = 4
LONGEST_NAME: Final = 64
KEPT: Final = 64 * KIB + 1
MOST_STARTS: Final = 20_000
MOST_FLAWS: Final = 200
_BYTE: Final = re.compile(rb"<0x[0-9A-Fa-f]{2}>")
_BYTE_TOKEN: Final = 6
TOKENS, MERGES, KINDS = "tokenizer.ggml.tokens", "tokenizer.ggml.merges", "tokenizer.ggml.token_type"


@dataclass(frozen=True, slots=True)
class Flaw:
    """A deviation. what: its kind; name: the key or tensor; detail: in words."""

    what: str
    name: str
    detail: str
    offset: int


@dataclass(frozen=True, slots=True)
class Value:
    """One value. count, start: an array's elements and where they begin; of a string, its bytes."""

    kind: int
    offset: int
    value: Any = None
    element: int = 0
    count: int = 0
    start: int = 0


@dataclass(slots=True)
class Header:
    """What was read.

    starts: names, first bytes and ends of tensors, from where the data begins. data: where tensor data
    begins; end: where it ends; both 0 when not reached.
    """

    version: int = 0
    order: Literal["<", ">"] = "<"
    values: dict[str, Value] = field(default_factory=dict)
    flaws: list[Flaw] = field(default_factory=list)
    tensors: int = 0
    starts: list[tuple[str, int, int]] = field(default_factory=list)
    data: int = 0
    end: int = 0

    def flaw(self, what: str, name: str, detail: str, offset: int) -> None:
        """Note a deviation; beyond some hundreds they are dropped."""
        if len(self.flaws) < MOST_FLAWS:
            self.flaws.append(Flaw(what, name, detail, offset))


class HeaderReader:
    """Reads one header; what was read before an error stays in `header`."""

    def __init__(self, stream: BinaryIO, size: int, budget: Budget) -> None:
        self.header = Header()
        self._size = size
        self._budget = budget
        self._cursor = Cursor(stream, 4, size)
        self._odd_tokens: list[int] = []
        self._wide = "Q"

    def read(self) -> None:
        """Read all of it; raises MalformedError or UnsupportedError where it cannot go on."""
        header, cursor = self.header, self._cursor
        version = cursor.number("I")
        if version and version & 0xFFFF == 0:
            header.order = cursor.order = ">"
            version = int.from_bytes(version.to_bytes(4, "little"), "big")
        header.version = version
        if version not in {1, 2, 3}:
            raise UnsupportedError(f"GGUF version {version}, which is not read here")
        self._wide = "I" if version == 1 else "Q"
        tensors, keys = cursor.number(self._wide), cursor.number(self._wide)
        for name, count, least in (("tensors", tensors, LEAST_TENSOR), ("keys", keys, LEAST_KEY)):
            if count > cursor.remaining // (least if version > 1 else least // 2):
                header.flaw("count", name, f"claims {count:,} {name} in {self._size:,} bytes", 8)
                raise MalformedError(f"claims {count:,} {name}", offset=8)
        for _ in range(keys):
            self._key()
        self._vocabulary()
        self._tensors(tensors)

    def _length(self, what: str) -> int:
        at = self._cursor.position
        length = self._cursor.number(self._wide)
        if length > min(GIB, self._cursor.remaining):
            self.header.flaw("length", what, f"has a length of {length:,} bytes", at)
            raise MalformedError(f"a string of {length:,} bytes in {what}", offset=at)
        return length

    def _key(self) -> None:
        """Read one key and its value."""
        self._budget.spend(Resource.NODES)
        cursor, header = self._cursor, self.header
        at = cursor.position
        length = self._length("a key")
        name = cursor.text(length, KIB)
        if not name:
            header.flaw("key", "", "is empty", at)
        if name in header.values:
            header.flaw("key", name, "occurs twice", at)
        kind = cursor.number("I")
        if kind in NUMBERS:
            code = NUMBERS[kind]
            number = cursor.real(code) if code in "fd" else cursor.number(code)
            value = Value(kind, at, number)
        elif kind == STRING:
            length = self._length(name)
            start = cursor.position
            value = Value(kind, at, cursor.text(length, KEPT), count=length, start=start)
        elif kind == ARRAY:
            value = self._array(name, at)
        else:
            header.flaw("key", name, f"has the unknown type {kind}", at)
            raise MalformedError(f"the key {name} has the unknown type {kind}", offset=at)
        header.values[name] = value

    def _array(self, name: str, at: int) -> Value:
        cursor, header = self._cursor, self.header
        element = cursor.number("I")
        count = cursor.number(self._wide)
        if element not in SIZES and element != STRING:
            header.flaw("key", name, f"is an array of the type {element}", at)
            raise MalformedError(f"the key {name} is an array of the type {element}", offset=at)
        least = SIZES.get(element, 4 if self._wide == "I" else 8)
        if count > MOST_ELEMENTS or count * least > cursor.remaining:
            header.flaw("length", name, f"has {count:,} elements", at)
            raise MalformedError(f"{count:,} elements in {name}", offset=at)
        start = cursor.position
        if element == STRING:
            self._budget.check_time()
            self._budget.spend(Resource.NODES, count)
            self._strings(name, count)
        else:
            cursor.skip(count * least)
        return Value(ARRAY, at, element=element, count=count, start=start)

    def _strings(self, name: str, count: int) -> None:
        """Pass over an array of strings, looking at byte tokens and merges."""
        cursor = self._cursor
        for index in range(count):
            at = cursor.position
            length = self._length(name)
            if name not in {TOKENS, MERGES}:
                cursor.skip(length)
                continue
            text = cursor.take(min(length, KIB))
            cursor.skip(length - len(text))
            if name == TOKENS and text.startswith(b"<0x") and not _BYTE.fullmatch(text):
                self._odd_tokens.append(index)
            if name == MERGES and b" " not in text[1:]:
                self.header.flaw("vocabulary", name, f"has the entry {index} without two parts", at)

    def _vocabulary(self) -> None:
        """Check what is indexed by token numbers."""
        table, header = format_data("gguf"), self.header
        tokens = header.values.get(TOKENS)
        if tokens is None or tokens.kind != ARRAY:
            return
        for name in table["per_token"]:
            other = header.values.get(name)
            if other is not None and other.kind == ARRAY and other.count != tokens.count:
                detail = f"has {other.count:,} entries for {tokens.count:,} tokens"
                header.flaw("vocabulary", name, detail, other.offset)
        kinds = header.values.get(KINDS)
        for index in self._odd_tokens:
            if kinds is not None and SIZES.get(kinds.element) == 4 and index < kinds.count:
                place = self._cursor.position
                self._cursor.position = kinds.start + 4 * index
                if self._cursor.number("i") == _BYTE_TOKEN:
                    header.flaw("vocabulary", TOKENS, f"has the malformed byte token {index}", tokens.offset)
                self._cursor.position = place
        for name, value in header.values.items():
            if re.fullmatch(table["special"], name) and isinstance(value.value, int):
                unset = value.value in table["unset_token"]
                if not unset and not 0 <= value.value < tokens.count:
                    header.flaw(
                        "special token", name, f"is {value.value:,} of {tokens.count:,}", value.offset
                    )

    def _alignment(self) -> int:
        value = self.header.values.get("general.alignment")
        if value is None:
            return 32
        number = value.value
        if value.kind != UINT32 or not number or number & (number - 1):
            detail = f"is {number!r} of the type {value.kind}"
            self.header.flaw("alignment", "general.alignment", detail, value.offset)
            return 32
        if number > format_data("gguf")["largest_alignment"]:
            self.header.flaw("large alignment", "general.alignment", f"is {number:,}", value.offset)
        return int(number)

    def _tensors(self, count: int) -> None:
        """Read the tensor entries, and follow their ranges."""
        header, cursor = self.header, self._cursor
        alignment = self._alignment()
        names: set[str] = set()
        running: int | None = 0
        for _ in range(count):
            self._budget.spend(Resource.NODES)
            at = cursor.position
            length = self._length("a tensor's name")
            name = cursor.text(length, KIB)
            if length >= LONGEST_NAME or name in names:
                why = f"has a name of {length} bytes" if length >= LONGEST_NAME else "occurs twice"
                header.flaw("layout", name, why, at)
            names.add(name)
            dims = cursor.number("I")
            if dims > MOST_DIMS:
                header.flaw("tensor", name, f"has {dims:,} dimensions", at)
                raise MalformedError(f"the tensor {name} has {dims:,} dimensions", offset=at)
            shape = [cursor.number(self._wide) for _ in range(dims)]
            size = self._tensor_size(name, shape, cursor.number("I"), at)
            offset = cursor.number("Q")
            if running is not None and offset != running:
                header.flaw("layout", name, f"begins at {offset:,} of the data, not {running:,}", at)
            running = None if size is None else -(-(offset + size) // alignment) * alignment
            header.tensors += 1
            if size and len(header.starts) < MOST_STARTS:
                header.starts.append((name, offset, offset + size))
            header.end = max(header.end, offset + (size or 0))
        self._place_data(alignment, count)

    def _place_data(self, alignment: int, count: int) -> None:
        header = self.header
        position = self._cursor.position
        header.data = -(-position // alignment) * alignment if count else position
        header.end += header.data
        if header.end > self._size and count:
            detail = f"end at byte {header.end:,} of {self._size:,}"
            header.flaw("layout", "the tensors", detail, header.data)
        elif self._size - header.end > max(alignment, 64):
            header.flaw("trailing", "", f"{self._size - header.end:,} bytes", header.end)

    def _tensor_size(self, name: str, shape: list[int], kind: int, at: int) -> int | None:
        """Compute the bytes of a tensor, None when that is not possible."""
        table, header = format_data("gguf"), self.header
        elements = prod(shape)
        row = table["types"].get(str(kind))
        if any(each >= 1 << 63 for each in shape) or elements >= 1 << 63:
            header.flaw("tensor", name, f"has the shape {'x'.join(map(str, shape))}", at)
            return None
        if row is None:
            removed = kind in table["removed"]
            header.flaw("tensor" if removed else "tensor type", name, f"has the type {kind}", at)
            return None
        title, block, size = row
        if (shape[0] if shape else 1) % block:
            header.flaw("tensor", name, f"has rows of {shape[0]:,} elements, not of whole {title} blocks", at)
            return None
        total: int = elements // block * size
        if total >= 1 << 63:
            header.flaw("tensor", name, f"has {total:,} bytes", at)
            return None
        return total
