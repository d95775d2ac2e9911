"""Where the strings of a TOML document stand; the standard library's parser does not say.

Only positions are found here: what the document means is for tomllib to say, and a caller checks
one against the other. Never fails: on text that is not TOML it stops and gives what it has.
Format: TOML 1.0.0.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

KeyPath = tuple[str | int, ...]
"""Keys and array indices that lead to a value."""

BLANK: Final = re.compile(r"(?:[ \t\r\n]+|#[^\n]*)+")
BARE: Final = re.compile(r"[A-Za-z0-9_-]+")
SCALAR: Final = re.compile(r"[^\s,\]}#]+(?: [0-9:.+Zz-]+)?")
STRINGS: Final = (
    re.compile(r'"""(?P<text>(?:[^"\\]|\\.|"{1,2}(?!"))*"{0,2})"""', re.DOTALL),
    re.compile(r"'''(?P<text>(?:[^']|'{1,2}(?!'))*'{0,2})'''", re.DOTALL),
    re.compile(r'"(?P<text>(?:[^"\\\n]|\\.)*)"'),
    re.compile(r"'(?P<text>[^'\n]*)'"),
)
DEPTH: Final = 100


@dataclass(frozen=True, slots=True)
class Span:
    """The characters of a string between its quotes. plain: it has no escapes, so text equals value."""

    start: int
    end: int
    plain: bool


@dataclass(frozen=True, slots=True)
class Positions:
    """Where strings and tables stand.

    whole: the scan came to the end of the document. too_deep: it stopped at a key of too many
    parts or at arrays in too many arrays, on which tomllib would take long.
    """

    strings: Mapping[KeyPath, Span]
    tables: Mapping[KeyPath, Span]
    whole: bool
    too_deep: bool = False


def find_positions(text: str) -> Positions:
    """Find every string value, every table header and every key."""
    scanner = _Scanner(text)
    whole = scanner.run()
    return Positions(scanner.strings, scanner.tables, whole=whole, too_deep=scanner.too_deep)


@dataclass(slots=True)
class _Open:
    """An array or inline table that is being read."""

    path: KeyPath
    closer: str
    index: int = 0


class _Scanner:
    """One pass over the text; `stack` holds the open arrays and inline tables."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.table: KeyPath = ()
        self.stack: list[_Open] = []
        self.counts: dict[KeyPath, int] = {}
        self.strings: dict[KeyPath, Span] = {}
        self.tables: dict[KeyPath, Span] = {}
        self.too_deep = False

    def run(self) -> bool:
        """Scan; whether the end was reached."""
        while True:
            self._skip()
            if self.at >= len(self.text):
                return not self.stack
            if not (self._inside() if self.stack else self._top()):
                return False

    def _top(self) -> bool:
        """Read a table header or a key with its value."""
        if self.text.startswith("[", self.at):
            return self._header()
        return self._pair(self.table)

    def _header(self) -> bool:
        start = self.at
        double = self.text.startswith("[[", self.at)
        self.at += 2 if double else 1
        keys = self._keys()
        closer = "]]" if double else "]"
        if keys is None or not self.text.startswith(closer, self.at):
            return False
        self.at += len(closer)
        path = self._through_arrays(keys[:-1])
        last: KeyPath = (*path, keys[-1])
        if double:
            self.counts[last] = self.counts.get(last, -1) + 1
        self.table = (*last, self.counts[last]) if last in self.counts else last
        self.tables[self.table] = Span(start, self.at, plain=True)
        return True

    def _through_arrays(self, keys: KeyPath) -> KeyPath:
        """Lead a header's keys into the newest table of every array of tables on the way."""
        path: KeyPath = ()
        for key in keys:
            path = (*path, key)
            if path in self.counts:
                path = (*path, self.counts[path])
        return path

    def _inside(self) -> bool:
        """Read the next element of the innermost array or inline table, or its end."""
        innermost = self.stack[-1]
        if self.text.startswith(",", self.at):
            self.at += 1
            innermost.index += 1
            return True
        if self.text.startswith(innermost.closer, self.at):
            self.at += 1
            self.stack.pop()
            return True
        if innermost.closer == "}":
            return self._pair(innermost.path)
        return self._value((*innermost.path, innermost.index))

    def _pair(self, parent: KeyPath) -> bool:
        start = self.at
        keys = self._keys()
        if keys is None or not self.text.startswith("=", self.at):
            return False
        path = (*parent, *keys)
        self.tables.setdefault(path, Span(start, self.at, plain=True))
        self.at += 1
        self._skip()
        return self._value(path)

    def _value(self, path: KeyPath) -> bool:
        if len(self.stack) >= DEPTH:
            self.too_deep = True
            return False
        opener = self.text[self.at : self.at + 1]
        if opener in {"[", "{"}:
            self.stack.append(_Open(path, "]" if opener == "[" else "}"))
            self.at += 1
            return True
        for pattern in STRINGS:
            match = pattern.match(self.text, self.at)
            if match is not None:
                self.strings[path] = _span(match)
                self.at = match.end()
                return True
        scalar = SCALAR.match(self.text, self.at)
        if scalar is None or opener in {'"', "'"}:
            return False
        self.at = scalar.end()
        return True

    def _keys(self) -> KeyPath | None:
        """Read a dotted key; stands behind it and the blanks that follow."""
        keys: list[str] = []
        while len(keys) < DEPTH:
            self._skip()
            bare = BARE.match(self.text, self.at)
            quoted = (
                None
                if bare
                else (STRINGS[2].match(self.text, self.at) or STRINGS[3].match(self.text, self.at))
            )
            match = bare or quoted
            if match is None:
                return None
            # a key with escapes does not lead to a dependency; its path only has to be some other
            keys.append(match[0] if bare is not None else match["text"])
            self.at = match.end()
            self._skip()
            if not self.text.startswith(".", self.at):
                return tuple(keys)
            self.at += 1
        self.too_deep = True
        return None

    def _skip(self) -> None:
        match = BLANK.match(self.text, self.at)
        if match is not None:
            self.at = match.end()


def _span(match: re.Match[str]) -> Span:
    start, end = match.span("text")
    text = match["text"]
    multiline = match[0][:3] in {'"""', "'''"} and len(match[0]) > len(text) + 2
    if multiline:
        # a line end right after the opening quotes is not part of the value
        lead = re.match(r"\r?\n", text)
        start += lead.end() if lead is not None else 0
    escaped = match[0].startswith('"') and "\\" in text
    return Span(start, end, plain=not escaped)
