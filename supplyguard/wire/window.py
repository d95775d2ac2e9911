"""Random reads of small pieces through a few cached pages, so that a large file costs what is looked at."""

from __future__ import annotations

from collections import OrderedDict
from typing import BinaryIO, Final

from supplyguard.errors import MalformedError
from supplyguard.limits import KIB
from supplyguard.streams import read_at

PAGE: Final = 64 * KIB
PAGES: Final = 16


class Window:
    """The bytes [start, end) of a seekable stream, addressed from the stream's own 0.

    Not shared between threads. The caller closes the stream.
    """

    __slots__ = ("_pages", "_stream", "end", "start")

    def __init__(self, stream: BinaryIO, start: int, end: int) -> None:
        self._stream = stream
        self.start = start
        self.end = end
        self._pages: OrderedDict[int, bytes] = OrderedDict()

    def read(self, offset: int, length: int) -> bytes:
        """Read `length` bytes at `offset`; raises MalformedError when they do not lie in the window."""
        if offset < self.start or length < 0 or offset + length > self.end:
            raise MalformedError(f"{length:,} bytes expected, beyond the end", offset=offset)
        if length > PAGE:
            return read_at(self._stream, offset, length)
        number, skip = divmod(offset, PAGE)
        piece = self._page(number)[skip : skip + length]
        if len(piece) < length:
            piece += self._page(number + 1)[: length - len(piece)]
        if len(piece) < length:
            raise MalformedError(f"ends early: {length:,} bytes expected", offset=offset)
        return piece

    def part(self, start: int, end: int) -> Window:
        """Give a narrower window on the same pages; raises MalformedError when it is not inside this one."""
        if not self.start <= start <= end <= self.end:
            raise MalformedError(f"{end - start:,} bytes expected, beyond the end", offset=start)
        part = Window(self._stream, start, end)
        part._pages = self._pages
        return part

    def _page(self, number: int) -> bytes:
        page = self._pages.get(number)
        if page is None:
            self._stream.seek(number * PAGE)
            page = self._stream.read(PAGE)
            self._pages[number] = page
            if len(self._pages) > PAGES:
                self._pages.popitem(last=False)
        else:
            self._pages.move_to_end(number)
        return page
