"""Text files: bounded reading, decoding, and where in them something stands."""

from __future__ import annotations

import codecs
import re
from bisect import bisect_right
from pathlib import Path
from typing import Final

from supplyguard.errors import BudgetExceededError, UnreadableError
from supplyguard.inventory import Location

LINE_END: Final = re.compile(r"\r\n|\r|\n")
COOKIE: Final = re.compile(rb"^[ \t\f]*#.*?coding[:=][ \t]*([-\w.]+)")
"""An encoding declaration in one of the first two lines (PEP 263)."""
MARKS: Final = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
"""Byte order marks; that of UTF-32 begins with that of UTF-16."""


def read_bytes(path: Path, limit: int) -> bytes:
    """Read a whole file of at most `limit` bytes.

    Raises UnreadableError, or BudgetExceededError for a larger file.
    """
    try:
        with path.open("rb") as stream:
            raw = stream.read(limit + 1)
    except OSError as error:
        raise UnreadableError(f"cannot be read: {error.strerror or error}") from error
    if len(raw) > limit:
        raise BudgetExceededError("document_bytes", limit)
    return raw


def declared_encoding(raw: bytes) -> tuple[str, int]:
    """Give the encoding that a mark or a PEP 263 comment declares, and the mark's length."""
    for mark, encoding in MARKS:
        if raw.startswith(mark):
            return encoding, len(mark)
    for line in raw.split(b"\n", 2)[:2]:
        match = COOKIE.match(line)
        if match is not None:
            return match[1].decode("ascii", "replace"), 0
        if line.strip() and not line.lstrip().startswith(b"#"):
            break
    return "utf-8", 0


def decode(raw: bytes) -> tuple[str, str | None]:
    """Decode as declared, else as UTF-8, else as Latin-1 (which takes any bytes).

    Gives the text and, when it is not what was declared, why.
    """
    encoding, skip = declared_encoding(raw)
    problem = None
    try:
        return _decoded(raw[skip:], encoding), None
    except (LookupError, ValueError) as error:
        problem = f"not {encoding}: {error}"
    return raw.decode("latin-1"), problem


def _decoded(raw: bytes, encoding: str) -> str:
    # codecs such as zlib or rot13 are not text encodings; CodecInfo says so
    info = codecs.lookup(encoding)
    if not info._is_text_encoding:  # noqa: SLF001 - the only place where this is said
        raise LookupError(f"{encoding} is not a text encoding")
    return raw.decode(encoding)


class Lines:
    """Turns offsets in a text into lines and columns, both counted from 1."""

    __slots__ = ("_starts",)

    def __init__(self, text: str) -> None:
        self._starts = [0, *(match.end() for match in LINE_END.finditer(text))]

    def position(self, offset: int) -> tuple[int, int]:
        """Give line and column of the character at `offset`."""
        line = bisect_right(self._starts, offset)
        return line, offset - self._starts[line - 1] + 1

    def offset(self, line: int, column: int) -> int:
        """Give the offset of a line and column."""
        return self._starts[line - 1] + column - 1

    def location(self, uri: str, start: int, end: int) -> Location:
        """Make the Location of the characters from `start` to before `end`."""
        line, column = self.position(start)
        end_line, end_column = self.position(end)
        return Location(uri=uri, line=line, column=column, end_line=end_line, end_column=end_column)
