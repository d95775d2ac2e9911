"""The schema table of a SQLite database, read page by page without SQLite.

Format: https://www.sqlite.org/fileformat2.html: sections 1.3 (header), 1.6 (b-tree pages), 2.1 (records). The
table sqlite_schema has its root on page 1; its columns are type, name, tbl_name, rootpage, sql.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, Final

from supplyguard.errors import MalformedError
from supplyguard.limits import KIB, Budget, Resource
from supplyguard.wire.window import Window

MAGIC: Final = b"SQLite format 3\0"
HEADER: Final = 100
INTERIOR, LEAF = 5, 13
"""Types of table b-tree pages."""
LONGEST: Final = 64 * KIB
"""How much of one row is read."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One row. kind: "table", "index", "view" or "trigger"; cut: `sql` goes on beyond what was read."""

    kind: str
    name: str
    sql: str
    offset: int
    cut: bool


class SchemaReader:
    """Reads the rows of one database."""

    def __init__(self, stream: BinaryIO, size: int, budget: Budget) -> None:
        self._window = Window(stream, 0, size)
        self._budget = budget
        (page,) = struct.unpack(">H", self._window.read(16, 2))
        self.page = 65536 if page == 1 else page
        if self.page < 512 or self.page & (self.page - 1):
            raise MalformedError(f"a page size of {page:,}", offset=16)
        self._usable = self.page - self._window.read(20, 1)[0]
        if self._usable < 480:
            raise MalformedError("pages without room", offset=20)
        encoding = int.from_bytes(self._window.read(56, 4), "big")
        self._encoding = {2: "utf-16-le", 3: "utf-16-be"}.get(encoding, "utf-8")

    def entries(self) -> Iterator[Entry]:
        """Yield the rows; raises MalformedError for pages that lead nowhere or in circles."""
        work, seen = [1], {1}
        while work:
            number = work.pop()
            self._budget.spend(Resource.NODES)
            self._budget.check_time()
            start = (number - 1) * self.page
            head = start + (HEADER if number == 1 else 0)
            kind, _, cells = struct.unpack(">BHH", self._window.read(head, 5))
            if kind not in {INTERIOR, LEAF}:
                raise MalformedError(f"a page of the type {kind} in the schema", offset=head)
            table = head + (12 if kind == INTERIOR else 8)
            if table + 2 * cells > start + self.page:
                raise MalformedError(f"claims {cells:,} cells on a page", offset=head)
            below: list[int] = []
            for index in range(cells):
                self._budget.spend(Resource.NODES)
                (cell,) = struct.unpack(">H", self._window.read(table + 2 * index, 2))
                if kind == LEAF:
                    yield self._entry(start + cell)
                else:
                    below.append(self._number(start + cell))
            if kind == INTERIOR:
                below.append(self._number(head + 8))
            for page in below:
                if page in seen or page == 0:
                    raise MalformedError("pages of the schema in a circle", offset=head)
                seen.add(page)
            work.extend(reversed(below))

    def _number(self, position: int) -> int:
        return int.from_bytes(self._window.read(position, 4), "big")

    def _entry(self, offset: int) -> Entry:
        # two varints of at most nine bytes: the row's length and its number
        head = self._window.read(offset, min(18, self._window.end - offset))
        length, place = _varint(head, 0, offset)
        _, place = _varint(head, place, offset)
        row = self._payload(offset + place, length)
        texts, cut = self._columns(row, offset, whole=len(row) >= length)
        return Entry(texts[0], texts[1], texts[4], offset, cut)

    def _payload(self, place: int, length: int) -> bytes:
        """Read a row's first LONGEST bytes: what is on the page, then overflow pages."""
        usable = self._usable
        local = length
        if length > usable - 35:
            least = (usable - 12) * 32 // 255 - 23
            local = least + (length - least) % (usable - 4)
            local = least if local > usable - 35 else local
        data = self._window.read(place, local)
        page = self._number(place + local) if local < length else 0
        while page and len(data) < min(length, LONGEST):
            self._budget.spend(Resource.NODES)
            start = (page - 1) * self.page
            data += self._window.read(start + 4, min(usable - 4, length - len(data)))
            page = self._number(start)
        return data

    def _columns(self, row: bytes, offset: int, *, whole: bool) -> tuple[list[str], bool]:
        """Give the five columns as texts; numbers are left empty."""
        size, place = _varint(row, 0, offset)
        texts: list[str] = []
        position = size
        cut = False
        while place < size and len(texts) < 5:
            code, place = _varint(row, place, offset)
            width = (
                (0, 1, 2, 3, 4, 6, 8, 8, 0, 0)[code] if code < 10 else (code - 12) // 2 if code >= 12 else 0
            )
            piece = row[position : position + width]
            cut = cut or len(piece) < width
            position += width
            texts.append(piece.decode(self._encoding, "replace") if code >= 13 and code % 2 else "")
        if len(texts) < 5 or (cut and whole):
            raise MalformedError("a row of the schema that makes no sense", offset=offset)
        return texts, cut


def _varint(data: bytes, place: int, offset: int) -> tuple[int, int]:
    """Read up to nine bytes, seven bits of each, eight of the last; gives the position after it."""
    value = 0
    for count, byte in enumerate(data[place : place + 9], 1):
        if count == 9:
            return value << 8 | byte, place + 9
        value = value << 7 | byte & 127
        if byte < 128:
            return value, place + count
    raise MalformedError("a row that ends early", offset=offset)
