"""Where the strings of a JSON document stand; the standard library's parser does not say.

Only positions are found here, in a document that json has read before.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

KeyPath = tuple[str | int, ...]

ARRAY: Final = "["
OBJECT: Final = "{"
COMMA: Final = ","
CLOSERS: Final = frozenset("]}")
SEPARATORS: Final = frozenset(",:")
TOKEN: Final = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"|[\[\]{}:,]|[^\s"\[\]{}:,]+', re.DOTALL)
ESCAPE: Final = re.compile(
    r"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|\\u[0-9a-fA-F]{4}|\\."
)
"""One character that is written with a backslash; a surrogate pair is one."""


@dataclass(slots=True)
class _Open:
    """An object or array that is being read; key: what its next value is called."""

    path: KeyPath
    is_object: bool
    key: str | int
    wants_key: bool


def find_starts(text: str, wanted: Callable[[KeyPath], bool]) -> Mapping[KeyPath, int]:
    """Give the offset at which each value whose path is `wanted` starts (a string's quote).

    Where a key is repeated, the last value counts, as for json.
    """
    starts: dict[KeyPath, int] = {}
    stack: list[_Open] = []
    for match in TOKEN.finditer(text):
        mark = match[0]
        top = stack[-1] if stack else None
        if mark in CLOSERS:
            del stack[-1:]
        elif mark in SEPARATORS:
            _separate(mark, top)
        elif top is not None and top.wants_key:
            top.key = _key(mark)
        else:
            path: KeyPath = (*top.path, top.key) if top is not None else ()
            if wanted(path):
                starts[path] = match.start()
            if mark == ARRAY:
                stack.append(_Open(path, is_object=False, key=0, wants_key=False))
            elif mark == OBJECT:
                stack.append(_Open(path, is_object=True, key="", wants_key=True))
    return starts


def _separate(mark: str, top: _Open | None) -> None:
    """Go on to the next value: after a comma a key or an index, after a colon a value."""
    if top is None:
        return
    if top.is_object:
        top.wants_key = mark == COMMA
    elif mark == COMMA and isinstance(top.key, int):
        top.key += 1


def _key(mark: str) -> str:
    if "\\" not in mark:
        return mark.strip('"')
    try:
        return str(json.loads(mark, strict=False))
    except ValueError:
        return mark


def raw_offset(text: str, start: int, index: int) -> int:
    """Give the offset of character `index` of the string whose quote is at `start`."""
    at = start + 1
    while index > 0:
        escape = text.find("\\", at, at + index)
        if escape < 0:
            return at + index
        index -= escape - at + 1
        match = ESCAPE.match(text, escape)
        at = match.end() if match is not None else escape + 1
    return at
