"""The lines of a requirements file, as pip reads them, each with its place in the file.

pip's documentation, "Requirements File Format", says what a line may be. pip splits lines where
`str.splitlines` does, so a requirement can follow U+2028 in what an editor shows as a comment.
"""

from __future__ import annotations

import json
import re
from bisect import bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from supplyguard.resources import rules_folder

COMMENT: Final = re.compile(r"(?:^|\s)#")
ONLY_COMMENT: Final = re.compile(r"\s*#")
OPTIONS: Final = re.compile(r"(?:^|[ \t])-")
WORD: Final = re.compile(r"""(?:[^\s"'\\]|\\.|"(?:[^"\\]|\\.)*"|'[^']*')+""", re.DOTALL)
"""One word as a POSIX shell reads it."""
QUOTED: Final = re.compile(r"""\\(.)|"((?:[^"\\]|\\.)*)"|'([^']*)'""", re.DOTALL)


@dataclass(frozen=True, kw_only=True, slots=True)
class Option:
    """An option and its value; name is the long form, with dashes, or as written when unknown."""

    name: str
    value: str
    start: int
    end: int
    problem: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Line:
    """One logical line: a requirement (may be empty) and options. Offsets are in the file's text."""

    text: str
    start: int
    end: int
    options: tuple[Option, ...] = ()


def read_lines(text: str) -> Iterator[Line]:
    """Yield every logical line that says something."""
    for joined in _join(text):
        line = _split(joined)
        if line is not None:
            yield line


@cache
def known_options() -> Mapping[str, Any]:
    """Load what pip's options mean (rules/formats/pip_options.json)."""
    options: dict[str, Any] = json.loads((rules_folder() / "formats" / "pip_options.json").read_bytes())
    return options


def long_name(written: str) -> str | None:
    """Give the long name of an option; pip takes any beginning that is not ambiguous."""
    table = known_options()
    if written in table:
        return str(table[written].get("same", written))
    for name, option in table.items():
        if option.get("short") == written:
            return name
    if not written.startswith("--"):
        return None
    names = {str(option.get("same", name)) for name, option in table.items() if name.startswith(written)}
    return names.pop() if len(names) == 1 else None


@dataclass(frozen=True, slots=True)
class _Joined:
    """Text joined from several lines. starts and sources: where each piece is, here and in the file."""

    text: str
    starts: list[int]
    sources: list[int]

    def source(self, index: int) -> int:
        piece = bisect_right(self.starts, index) - 1
        return self.sources[piece] + index - self.starts[piece]

    def span(self, start: int, end: int) -> tuple[int, int]:
        return self.source(start), self.source(end - 1) + 1


def _join(text: str) -> Iterator[_Joined]:
    """Join lines that end in a backslash, and leave comments out."""
    pieces: list[str] = []
    starts: list[int] = []
    sources: list[int] = []
    offset = length = 0
    for whole in text.splitlines(keepends=True):
        line = whole.splitlines()[0]
        only_comment = ONLY_COMMENT.match(line) is not None
        goes_on = line.endswith("\\") and not only_comment
        kept = "" if only_comment else line
        if goes_on:
            kept = line.strip("\\")
        starts.append(length)
        sources.append(offset + (len(line) - len(line.lstrip("\\")) if goes_on else 0))
        pieces.append(kept)
        length += len(kept)
        offset += len(whole)
        if not goes_on:
            yield _Joined("".join(pieces), starts, sources)
            pieces, starts, sources, length = [], [], [], 0
    if pieces:
        yield _Joined("".join(pieces), starts, sources)


def _split(joined: _Joined) -> Line | None:
    comment = COMMENT.search(joined.text)
    text = joined.text if comment is None else joined.text[: comment.start()]
    if not text.strip():
        return None
    found = OPTIONS.search(text)
    cut = found.end() - 1 if found is not None else len(text)
    said = text[:cut]
    start = len(said) - len(said.lstrip())
    end = max(start, len(said.rstrip()))
    options = tuple(_options(joined, text, cut))
    if start == end:
        first, last = options[0].start, options[-1].end
        return Line(text="", start=first, end=last, options=options)
    first, last = joined.span(start, end)
    return Line(text=text[start:end], start=first, end=last, options=options)


def _options(joined: _Joined, text: str, start: int) -> Iterator[Option]:
    """Read "--name=value", "--name value", "-xvalue" and "-x value" from `start` on."""
    words = _words(text, start)
    index = 0
    while index < len(words):
        word, first, last = words[index]
        index += 1
        written, value, has_value = word, "", False
        if word.startswith("--"):
            written, equals, value = word.partition("=")
            has_value = bool(equals)
        elif word.startswith("-"):
            written, value = word[:2], word[2:]
            has_value = bool(value)
        name = long_name(written)
        problem = ""
        if name is None:
            name, problem = written, "an unknown option"
            if index < len(words) and not words[index][0].startswith("-"):
                last = words[index][2]
                index += 1
        elif known_options()[name]["value"] and not has_value:
            if index < len(words):
                value, last = words[index][0], words[index][2]
                index += 1
            else:
                problem = "an option without its value"
        begin, end = joined.span(first, last)
        yield Option(name=name, value=value, start=begin, end=end, problem=problem)


def _words(text: str, start: int) -> list[tuple[str, int, int]]:
    """Split into shell words with their places; an unclosed quote makes the rest one word."""
    words: list[tuple[str, int, int]] = []
    while start < len(text):
        if text[start].isspace():
            start += 1
            continue
        match = WORD.match(text, start)
        end = match.end() if match is not None else len(text)
        if end < len(text) and not text[end].isspace():
            end = len(text)
        words.append((QUOTED.sub(_unquoted, text[start:end]), start, end))
        start = end
    return words


def _unquoted(match: re.Match[str]) -> str:
    plain, double, single = match.groups()
    if double is not None:
        return re.sub(r'\\(["\\])', r"\1", double)
    return plain if plain is not None else str(single)
