"""Marshalled code objects: the names and constants of a function, without unmarshalling it.

Format: CPython's Python/marshal.c. The fields of a code object differ between versions and the bytes
do not say which one wrote them, so each layout is tried and the one that consumes the bytes exactly
is kept. CPython's own reader is not memory safe on forged input.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final

from supplyguard.errors import MalformedError
from supplyguard.limits import Budget, Resource

MOST_DEPTH: Final = 2000
"""CPython's own MAX_MARSHAL_STACK_DEPTH is 2,000 on most systems."""
CODE_STARTS: Final = (b"\xe3", b"c")
"""TYPE_CODE with and without FLAG_REF."""
_REF: Final = 0x80
_NUMBER: Final = "#"
"""In a layout: a 32-bit integer that is no object."""
_SKIPPED: Final = ""
LAYOUTS: Final[tuple[tuple[str, tuple[str, ...]], ...]] = (
    (
        "3.11 or later",
        (
            *(_NUMBER,) * 5,
            *("code", "consts", "names", "varnames", _SKIPPED, "filename", "name", _SKIPPED),
            *(_NUMBER, _SKIPPED, _SKIPPED),
        ),
    ),
    (
        "3.8 to 3.10",
        (
            *(_NUMBER,) * 6,
            *("code", "consts", "names", "varnames", _SKIPPED, _SKIPPED, "filename", "name"),
            *(_NUMBER, _SKIPPED),
        ),
    ),
    (
        "3.0 to 3.7",
        (
            *(_NUMBER,) * 5,
            *("code", "consts", "names", "varnames", _SKIPPED, _SKIPPED, "filename", "name"),
            *(_NUMBER, _SKIPPED),
        ),
    ),
    (
        "2.3 to 2.7",
        (
            *(_NUMBER,) * 4,
            *("code", "consts", "names", "varnames", _SKIPPED, _SKIPPED, "filename", "name"),
            *(_NUMBER, _SKIPPED),
        ),
    ),
)
"""Fields of a code object in order, by the Python versions that write them."""


@dataclass(frozen=True, kw_only=True, slots=True)
class CodeSummary:
    """What a code object and all code nested in it mention.

    names: globals, attributes and imported modules (co_names). constants: texts among the
    constants, and byte strings as Latin-1 text. functions: names of the code objects, the outer one
    first. version: the Python versions whose layout fits.
    """

    names: tuple[str, ...]
    constants: tuple[str, ...]
    functions: tuple[str, ...]
    filename: str
    version: str


@dataclass(slots=True, eq=False)
class _Code:
    fields: dict[str, object] = field(default_factory=dict)


@dataclass(slots=True, eq=False)
class _Frame:
    """A container being filled: how many objects are still to come, and where they go."""

    value: list[object] | _Code
    left: int
    """-1 for a dictionary, which ends with a null."""
    layout: Iterator[str] | None = None
    slot: str = _SKIPPED


def read_code(data: bytes, budget: Budget) -> CodeSummary:
    """Read a marshalled code object; raises MalformedError when no version could have written it."""
    if not data.startswith(CODE_STARTS):
        raise MalformedError("no marshalled code object", offset=0)
    reason = MalformedError("no marshalled code object", offset=0)
    for version, layout in LAYOUTS:
        reader = _Reader(data, layout, budget)
        try:
            root = reader.read()
        except MalformedError as error:
            reason = max(reason, error, key=lambda each: each.offset or 0)
            continue
        if reader.position == len(data) and isinstance(root, _Code):
            return _summary(root, version)
        longer = MalformedError("more bytes than the code object needs", offset=reader.position)
        reason = max(reason, longer, key=lambda each: each.offset or 0)
    raise reason


class _Reader:
    """One attempt with one layout; a stack instead of recursion."""

    def __init__(self, data: bytes, layout: tuple[str, ...], budget: Budget) -> None:
        self._data = data
        self._layout = layout
        self._budget = budget
        self._references: list[object] = []
        self._stack: list[_Frame] = []
        self.position = 0

    def read(self) -> object:
        """Give the first object."""
        value, frame = self._object()
        if frame is None:
            return value
        self._stack.append(frame)
        while self._stack:
            if len(self._stack) > MOST_DEPTH:
                raise MalformedError("nested too deep", offset=self.position)
            top = self._stack[-1]
            if not self._wants(top):
                self._stack.pop()
                continue
            if top.left == -1 and self._data[self.position : self.position + 1] == b"0":
                self.position += 1
                top.left = 0
                continue
            item, below = self._object()
            self._put(top, item)
            if below is not None:
                self._stack.append(below)
        return value

    def _wants(self, frame: _Frame) -> bool:
        """Whether an object comes next; numbers of a code object are read on the way."""
        if frame.layout is None:
            return frame.left != 0
        for slot in frame.layout:
            if slot == _NUMBER:
                self._number("<i")
                continue
            frame.slot = slot
            return True
        return False

    def _put(self, frame: _Frame, item: object) -> None:
        if isinstance(frame.value, _Code):
            frame.value.fields[frame.slot] = item
            return
        frame.value.append(item)
        frame.left -= frame.left > 0

    def _object(self) -> tuple[object, _Frame | None]:
        """Read one object; a container comes with the frame in which its items are still missing."""
        self._budget.spend(Resource.NODES)
        at = self.position
        byte = self._take(1)[0]
        kind = chr(byte & ~_REF)
        place = None
        if byte & _REF:
            place = len(self._references)
            self._references.append(None)
        value: object
        frame = None
        if kind == "c":
            value = _Code()
            frame = _Frame(value=value, left=0, layout=iter(self._layout))
        elif kind in _COUNTED:
            count = self._count(kind)
            if count > len(self._data) - self.position:
                raise MalformedError(f"{count:,} items beyond the end", offset=at)
            items: list[object] = []
            value = items
            frame = _Frame(value=items, left=count)
        elif kind == "{":
            items = []
            value = items
            frame = _Frame(value=items, left=-1)
        elif kind in _NUMBERS:
            self._take(_NUMBERS[kind])
            value = None
        elif kind in _PLAIN:
            value = _PLAIN[kind](self)
        else:
            raise MalformedError(f"marshal type {kind!r}", offset=at)
        if place is not None:
            self._references[place] = value
        return value, frame

    def _take(self, length: int) -> bytes:
        data = self._data[self.position : self.position + length]
        if length < 0 or len(data) < length:
            raise MalformedError("ends early", offset=self.position)
        self.position += length
        return data

    def _number(self, code: str) -> int:
        value: int = struct.unpack(code, self._take(struct.calcsize(code)))[0]
        return value

    def _count(self, kind: str) -> int:
        if kind == ":":  # a slice (3.14): start, stop, step
            return 3
        return self._take(1)[0] if kind == ")" else self._size()

    def _size(self) -> int:
        size = self._number("<i")
        if size < 0:
            raise MalformedError("a negative size", offset=self.position - 4)
        return size

    def _text(self, length: int, encoding: str = "latin-1") -> str:
        return self._take(length).decode(encoding, "replace")

    def nothing(self) -> None:
        """Read a singleton, which is its type byte."""

    def long_integer(self) -> None:
        """Pass over a long integer: digits of 15 bits, the sign in their count."""
        self._take(2 * abs(self._number("<i")))

    def float_text(self) -> None:
        """Pass over a float written as text."""
        self._take(self._take(1)[0])

    def complex_text(self) -> None:
        """Pass over two floats written as text."""
        self.float_text()
        self.float_text()

    def raw(self) -> bytes:
        """Read bytes."""
        return self._take(self._size())

    def ascii_text(self) -> str:
        """Read ASCII text."""
        return self._text(self._size())

    def short_text(self) -> str:
        """Read ASCII text of at most 255 bytes."""
        return self._text(self._take(1)[0])

    def utf8_text(self) -> str:
        """Read UTF-8 text."""
        return self._text(self._size(), "utf-8")

    def interned_text(self) -> str:
        """Read interned text; Python 2 refers back to it without saying so in the type byte."""
        text = self.utf8_text()
        if self._layout is LAYOUTS[-1][1]:
            self._references.append(text)
        return text

    def reference(self) -> object:
        """Read a reference to an object before."""
        index = self._number("<i")
        if not 0 <= index < len(self._references):
            raise MalformedError("a reference to nothing", offset=self.position - 4)
        return self._references[index]


_COUNTED: Final = frozenset(")([<>:")
_NUMBERS: Final = {"i": 4, "I": 8, "g": 8, "y": 16}
_PLAIN: Final[dict[str, Callable[[_Reader], object]]] = {
    **dict.fromkeys("NTFS.", _Reader.nothing),
    "l": _Reader.long_integer,
    "f": _Reader.float_text,
    "x": _Reader.complex_text,
    "s": _Reader.raw,
    "t": _Reader.interned_text,
    "u": _Reader.utf8_text,
    **dict.fromkeys("aA", _Reader.ascii_text),
    **dict.fromkeys("zZ", _Reader.short_text),
    **dict.fromkeys("rR", _Reader.reference),
}


def _summary(root: _Code, version: str) -> CodeSummary:
    """Collect over nested code; what is shared or refers to itself is looked at once."""
    names: dict[str, None] = {}
    constants: dict[str, None] = {}
    functions: list[str] = []
    seen: set[int] = set()
    pending: list[tuple[object, dict[str, None]]] = [(root, constants)]
    while pending:
        value, into = pending.pop()
        if isinstance(value, str):
            into[value] = None
        elif isinstance(value, bytes):
            into[value.decode("latin-1")] = None
        elif isinstance(value, _Code | list):
            if id(value) in seen:
                continue
            seen.add(id(value))
            if isinstance(value, list):
                pending += ((item, into) for item in reversed(value))
                continue
            functions.append(str(value.fields.get("name")))
            pending.append((value.fields.get("consts"), constants))
            pending.append((value.fields.get("names"), names))
    filename = root.fields.get("filename")
    return CodeSummary(
        names=tuple(names),
        constants=tuple(constants),
        functions=tuple(functions),
        filename=filename if isinstance(filename, str) else "",
        version=version,
    )
