"""UBJSON as XGBoost writes it, with bounds: objects and lists are built, arrays of numbers stay in the file.

Format: https://ubjson.org (draft 12), big-endian. Containers with a type are read where the type is a
number of fixed size, which is all that XGBoost's reader (src/common/json.cc, UBJReader) takes.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any, Final

from supplyguard.errors import BudgetExceededError, MalformedError, UnsupportedError
from supplyguard.limits import Budget, Resource
from supplyguard.wire.cursor import Cursor

CHECK_TIME_EVERY: Final = 4096
_INTEGERS: Final = {b"i": "b", b"U": "B", b"I": "h", b"l": "i", b"L": "q"}
_REALS: Final = {b"d": "f", b"D": "d"}
_CONSTANTS: Final = {b"Z": None, b"T": True, b"F": False}
_NOTHING: Final = b"N"


@dataclass(frozen=True, slots=True)
class TypedArray:
    """Numbers of one type that were not read: struct's letter, where the first is, how many."""

    code: str
    start: int
    count: int

    @property
    def width(self) -> int:
        """Bytes of one number."""
        return struct.calcsize(f">{self.code}")


@dataclass(slots=True)
class _Open:
    """A container that is being filled. left: how many values are still to come, None: up to the end mark."""

    into: dict[str, Any] | list[Any]
    left: int | None


class UbjReader:
    """Reads one value from a big-endian cursor on.

    root: what was read so far, also when `read` raised.
    """

    __slots__ = ("_budget", "_cursor", "root")

    def __init__(self, cursor: Cursor, budget: Budget) -> None:
        self._cursor = cursor
        self._budget = budget
        self.root: Any = None

    def read(self) -> Any:
        """Give dicts, lists, texts, numbers and TypedArrays; of repeated keys the last counts.

        Raises MalformedError where a length or mark makes no sense, UnsupportedError for types that
        XGBoost does not read, BudgetExceededError past a limit.
        """
        holder: list[Any] = []
        stack = [_Open(holder, 1)]
        count = 0
        while stack:
            top = stack[-1]
            if top.left == 0:
                stack.pop()
                continue
            count += 1
            self._budget.spend(Resource.NODES)
            if count % CHECK_TIME_EVERY == 0:
                self._budget.check_time()
            opened = self._step(top, stack)
            if holder and self.root is None:
                self.root = holder[0]
            if opened is not None:
                stack.append(opened)
                if len(stack) - 1 > self._budget.limits.document_depth:
                    raise BudgetExceededError("document_depth", self._budget.limits.document_depth)
        return holder[0]

    def numbers(self, array: TypedArray) -> tuple[int | float, ...]:
        """Read the numbers of an array."""
        here = self._cursor.position
        self._cursor.position = array.start
        data = self._cursor.take(array.count * array.width)
        self._cursor.position = here
        return struct.unpack(f">{array.count}{array.code}", data)

    def _step(self, top: _Open, stack: list[_Open]) -> _Open | None:
        """Read one entry of the innermost container; gives the container that it opens."""
        mark = self._cursor.take(1)
        if top.left is None and mark == (b"}" if isinstance(top.into, dict) else b"]"):
            stack.pop()
            return None
        if mark == _NOTHING:
            return None
        key = ""
        if isinstance(top.into, dict):
            key = self._text(mark)
            mark = self._cursor.take(1)
        if top.left is not None:
            top.left -= 1
        value, opened = self._value(mark)
        if isinstance(top.into, dict):
            top.into[key] = value
        else:
            top.into.append(value)
        return opened

    def _value(self, mark: bytes) -> tuple[Any, _Open | None]:
        """Read what follows a mark; a container comes empty, with what is to fill it."""
        if mark in _INTEGERS:
            return self._cursor.number(_INTEGERS[mark]), None
        if mark in _REALS:
            return self._cursor.real(_REALS[mark]), None
        if mark in _CONSTANTS:
            return _CONSTANTS[mark], None
        if mark in {b"S", b"H"}:
            return self._text(self._cursor.take(1)), None
        if mark == b"C":
            return self._cursor.text(1, 1), None
        if mark == b"{":
            made = _Open({}, None)
            return made.into, made
        if mark == b"[":
            return self._array()
        raise MalformedError(f"a mark {mark!r} that there is not", offset=self._cursor.position - 1)

    def _array(self) -> tuple[Any, _Open | None]:
        at = self._cursor.position
        mark = self._cursor.take(1)
        code = ""
        if mark == b"$":
            kind = self._cursor.take(1)
            code = _INTEGERS.get(kind, "") or _REALS.get(kind, "")
            if not code:
                raise UnsupportedError(f"UBJSON arrays of the type {kind!r}, which XGBoost does not read")
            mark = self._cursor.take(1)
            if mark != b"#":
                raise MalformedError("an array with a type and no length", offset=at)
        if mark != b"#":
            self._cursor.position = at
            made = _Open([], None)
            return made.into, made
        count = self._length(self._cursor.take(1))
        least = struct.calcsize(f">{code}") if code else 1
        if count > self._cursor.remaining // least:
            left = self._cursor.remaining
            raise MalformedError(f"an array claims {count:,} values in {left:,} bytes", offset=at)
        if code:
            array = TypedArray(code, self._cursor.position, count)
            self._cursor.skip(count * least)
            return array, None
        made = _Open([], count)
        return made.into, made

    def _length(self, mark: bytes) -> int:
        code = _INTEGERS.get(mark)
        if code is None:
            raise MalformedError(f"a length begins with {mark!r}", offset=self._cursor.position - 1)
        length = self._cursor.number(code)
        if length < 0:
            raise MalformedError("a negative length", offset=self._cursor.position)
        return length

    def _text(self, mark: bytes) -> str:
        return self._cursor.text(self._length(mark), self._budget.limits.string_bytes)
