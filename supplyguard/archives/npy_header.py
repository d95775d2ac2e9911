"""The header of an npy file: a Python literal of str, int, bool, None, tuples, lists and one dict.

Read by a tokenizer with a bounded stack, because `ast.literal_eval` exhausts itself on hostile
nesting. Types are numpy's array protocol strings (numpy/doc: "The array interface protocol").
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final

from supplyguard.errors import MalformedError
from supplyguard.limits import Limits

KEYS: Final = {"descr", "fortran_order", "shape"}
_TOKEN: Final = re.compile(
    r"\s*(?:(?P<mark>[()\[\]{},:])|(?P<number>-?[0-9]{1,20})L?|(?P<word>True|False|None)"
    r"|(?P<text>[bu]?(?:'(?:[^'\\\n]|\\.)*+'|\"(?:[^\"\\\n]|\\.)*+\")))"
)
_CODE: Final = re.compile(r"[<>|=]?([?bBhHiIlLqQefdgFDGSUVOmMatcpPnN])([0-9]{0,10})(\[[A-Za-z0-9]{1,12}\])?")

_DEFAULTS: Final = {
    "?": 1,
    "b": 1,
    "B": 1,
    "h": 2,
    "H": 2,
    "e": 2,
    "f": 4,
    "d": 8,
    "F": 8,
    "D": 16,
    "q": 8,
    "Q": 8,
    "i": 4,
    "I": 4,
    "l": 8,
    "L": 8,
    "g": 16,
    "G": 32,
    "m": 8,
    "M": 8,
    "c": 1,
}
_FIXED: Final = {"O": 8, "m": 8, "M": 8}
_PER_CHARACTER: Final = {"S": 1, "a": 1, "V": 1, "U": 4}
_CLOSING: Final = {")": "(", "]": "[", "}": "{"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Layout:
    """What a header promises. itemsize: None when it is not known."""

    shape: tuple[int, ...]
    objects: bool
    itemsize: int | None

    @property
    def nbytes(self) -> int | None:
        """Bytes of the data section."""
        if self.itemsize is None:
            return None
        total = self.itemsize
        for size in self.shape:
            total *= size
        return total

    @property
    def overflows(self) -> bool:
        """Whether a size is negative or the total does not fit 63 bits."""
        total = self.itemsize or 1
        for size in self.shape:
            if size < 0:
                return True
            total *= max(size, 1)
        return total >= 1 << 63

    @property
    def shape_text(self) -> str:
        """The shape as numpy writes it."""
        return str(self.shape)


def parse_npy_header(text: bytes, limits: Limits) -> Layout:
    """Parse; raises MalformedError when it is no dict with exactly the three keys."""
    value = _literal(text.decode("utf-8", "backslashreplace"), limits)
    if not isinstance(value, dict) or set(value) != KEYS:
        raise MalformedError("the header is no dict of descr, fortran_order and shape")
    shape = value["shape"]
    if not isinstance(shape, tuple) or not all(type(each) is int for each in shape):
        raise MalformedError("the shape is no tuple of integers")
    if len(shape) > 64:
        raise MalformedError("the shape has more than 64 dimensions")
    if not isinstance(value["fortran_order"], bool):
        raise MalformedError("fortran_order is no boolean")
    itemsize, objects = _measure(value["descr"])
    return Layout(shape=shape, objects=objects, itemsize=itemsize)


def _literal(text: str, limits: Limits) -> Any:
    """Read one literal without recursion: a stack of open brackets, each with its values."""
    stack: list[tuple[str, list[Any]]] = [("", [])]
    place = 0
    text = text.rstrip(" \n\0")
    while place < len(text):
        found = _TOKEN.match(text, place)
        if found is None:
            raise MalformedError(f"the header holds {text[place : place + 20]!r}, which is no plain literal")
        place = found.end()
        mark = found["mark"]
        if mark is None:
            stack[-1][1].append(_atom(found))
        elif mark in "([{":
            if len(stack) > limits.document_depth:
                raise MalformedError(f"the header nests more than {limits.document_depth} deep")
            stack.append((mark, []))
        elif mark in _CLOSING:
            bracket, values = stack.pop()
            if bracket != _CLOSING[mark] or not stack:
                raise MalformedError("the header's brackets do not match")
            stack[-1][1].append(_built(bracket, values))
    if len(stack) != 1 or len(stack[0][1]) != 1:
        raise MalformedError("the header is not one literal")
    return stack[0][1][0]


def _atom(found: re.Match[str]) -> Any:
    if found["number"] is not None:
        return int(found["number"])
    if found["word"] is not None:
        return {"True": True, "False": False, "None": None}[found["word"]]
    text: str = found["text"]
    return text[text.index(text[-1]) + 1 : -1]


def _built(bracket: str, values: list[Any]) -> Any:
    if bracket == "(":
        return tuple(values)
    if bracket == "[":
        return values
    keys = values[::2]
    if len(values) % 2 or not all(isinstance(key, str) for key in keys) or len(set(keys)) != len(keys):
        raise MalformedError("the header's dict is broken")
    return dict(zip(keys, values[1::2], strict=True))


def _measure(descr: Any) -> tuple[int | None, bool]:
    """Give an item's bytes (None: not known) and whether it has objects, at any depth of fields."""
    total: int | None = 0
    objects = False
    work: list[tuple[Any, int]] = [(descr, 1)]
    while work:
        value, count = work.pop()
        if isinstance(value, str):
            size, holds = _coded(value)
        elif isinstance(value, list):
            work.extend(_column(each, count) for each in value)
            continue
        elif isinstance(value, tuple) and len(value) == 2:  # (type, shape)
            work.append((value[0], count * _repeat(value[1])))
            continue
        else:
            raise MalformedError("the dtype is of no known form")
        objects = objects or holds
        total = None if total is None or size is None else total + size * count
    return total, objects


def _column(value: Any, count: int) -> tuple[Any, int]:
    """Take a field (name, type) or (name, type, shape) of a structured type."""
    if not isinstance(value, tuple) or len(value) not in (2, 3):
        raise MalformedError("a field of the dtype is of no known form")
    return value[1], count * (_repeat(value[2]) if len(value) == 3 else 1)


def _repeat(shape: Any) -> int:
    sizes = shape if isinstance(shape, tuple) else (shape,)
    total = 1
    for size in sizes:
        if type(size) is not int or size < 0:
            raise MalformedError("a field's shape is of no known form")
        total *= size
    return total


def _coded(code: str) -> tuple[int | None, bool]:
    """Give the bytes of one type string, and whether it is or may be an object."""
    found = _CODE.fullmatch(code)
    if found is None:
        return None, "O" in code or "object" in code
    letter, digits = found[1], found[2]
    fixed = _FIXED.get(letter)
    if fixed is not None:
        return fixed, letter == "O"
    if letter in _PER_CHARACTER:
        return _PER_CHARACTER[letter] * int(digits or 0), False
    return int(digits) if digits else _DEFAULTS.get(letter), False
