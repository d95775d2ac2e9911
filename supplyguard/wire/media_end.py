"""Where an image or sound ends by its own structure: PNG, JPEG, GIF and RIFF, without decoding anything.

Formats: PNG, https://www.w3.org/TR/png-3/ section 5; JPEG, ITU-T T.81 annex B; GIF89a; RIFF (WebP, WAV, AVI):
u32 lengths after four characters, padded to even.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import BinaryIO, Final

from supplyguard.errors import MalformedError
from supplyguard.limits import KIB, MIB, Budget, Resource
from supplyguard.streams import read_at
from supplyguard.wire.cursor import Cursor

PNG: Final = b"\x89PNG\r\n\x1a\n"
JPEG: Final = b"\xff\xd8\xff"
GIF: Final = (b"GIF87a", b"GIF89a")
RIFF: Final = b"RIFF"
TEXTS: Final = (b"tEXt",)
LONGEST_TEXT: Final = 64 * KIB
MOST_TEXTS: Final = 64
_STANDALONE: Final = frozenset({0x01, *range(0xD0, 0xD8)})
_STREAMED: Final = 0x7FFF_FF00
_SCAN: Final = 0xDA
_END: Final = 0xD9
_FRAMES: Final = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_MARKER: Final = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")


@dataclass(slots=True)
class Media:
    """What was read. end: the first byte after it; pixels: as declared; texts: offset and content."""

    kind: str
    end: int = 0
    pixels: int = 0
    texts: list[tuple[int, bytes]] = field(default_factory=list)


def read_media(stream: BinaryIO, size: int, budget: Budget) -> Media | None:
    """Walk to the end; None for other formats. Raises MalformedError where the structure breaks."""
    head = read_at(stream, 0, min(12, size))
    cursor = Cursor(stream, 0, size)
    if head.startswith(PNG):
        return _png(cursor, budget)
    if head.startswith(JPEG):
        return _jpeg(cursor, stream, budget)
    if head.startswith(GIF):
        return _gif(cursor, budget)
    if head.startswith(RIFF) and len(head) == 12:
        (length,) = struct.unpack_from("<I", head, 4)
        if length >= _STREAMED:  # written to a pipe, whose length was not known before
            length = size - 8
        if length + 8 > size:
            raise MalformedError(f"claims {length:,} bytes", offset=4)
        return Media(kind=head[8:12].decode("latin-1").strip(), end=min(size, 8 + length + length % 2))
    return None


def _png(cursor: Cursor, budget: Budget) -> Media:
    media = Media("PNG")
    cursor.order = ">"
    cursor.skip(8)
    while True:
        budget.spend(Resource.NODES)
        length, name = cursor.number("I"), cursor.take(4)
        start = cursor.position
        if name == b"IHDR" and length >= 8:
            media.pixels = cursor.number("I") * cursor.number("I")
        elif name in TEXTS and len(media.texts) < MOST_TEXTS:
            media.texts.append((start, cursor.take(min(length, LONGEST_TEXT, cursor.remaining))))
        cursor.skip(start + length - cursor.position)
        cursor.skip(4)
        if name == b"IEND":
            media.end = cursor.position
            return media


def _jpeg(cursor: Cursor, stream: BinaryIO, budget: Budget) -> Media:
    media = Media("JPEG")
    cursor.order = ">"
    cursor.skip(2)
    while True:
        budget.spend(Resource.NODES)
        if cursor.number("B") != 0xFF:
            raise MalformedError("no marker where one is due", offset=cursor.position - 1)
        marker = cursor.number("B")
        while marker == 0xFF:
            budget.spend(Resource.NODES)
            marker = cursor.number("B")
        if marker == _END:
            media.end = cursor.position
            return media
        if marker in _STANDALONE:
            continue
        start = cursor.position
        length = cursor.number("H")
        if marker in _FRAMES and length >= 7:
            cursor.skip(1)
            media.pixels = max(media.pixels, cursor.number("H") * cursor.number("H"))
        cursor.skip(start + length - cursor.position)
        if marker == _SCAN:
            cursor.position = _after_scan(stream, cursor.position, cursor.end, budget)
            if cursor.position == cursor.end:  # cut short, as downloads often are; all of it was seen
                media.end = cursor.end
                return media


def _after_scan(stream: BinaryIO, start: int, end: int, budget: Budget) -> int:
    """Find the marker after compressed data, where FF is followed by 00 or a restart; `end` without one."""
    stream.seek(start)
    kept = b""
    while start < end:
        budget.check_time()
        data = kept + stream.read(min(MIB, end - start - len(kept)))
        found = _MARKER.search(data)
        if found is not None:
            return start + found.start()
        if len(data) <= len(kept):
            break
        kept = data[-1:]
        start += len(data) - 1
    return end


def _gif(cursor: Cursor, budget: Budget) -> Media:
    media = Media("GIF")
    cursor.skip(6)
    media.pixels = cursor.number("H") * cursor.number("H")
    _colours(cursor, 2)
    while True:
        budget.spend(Resource.NODES)
        block = cursor.number("B")
        if block == 0x3B:
            media.end = cursor.position
            return media
        if block == 0x2C:
            cursor.skip(8)
            _colours(cursor, 0)
            cursor.skip(1)
        elif block == 0x21:
            cursor.skip(1)
        else:
            raise MalformedError(f"a block of the type {block:#x}", offset=cursor.position - 1)
        for length in _pieces(cursor):
            budget.spend(Resource.NODES)
            cursor.skip(length)


def _colours(cursor: Cursor, between: int) -> None:
    """Pass over flags, `between` bytes and the table of colours that the flags announce."""
    flags = cursor.number("B")
    cursor.skip(between)
    if flags & 0x80:
        cursor.skip(3 << (flags & 7) + 1)


def _pieces(cursor: Cursor) -> Iterator[int]:
    while length := cursor.number("B"):
        yield length
