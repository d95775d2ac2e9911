"""Single compressed streams: gzip, bzip2, xz, lzma, zlib, lz4 frames, zstd and joblib's old Z-files.

Each yields one Member with the content. Concatenated streams are one content, as loaders read them.
"""

from __future__ import annotations

import lzma
import re
import struct
import zlib
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Final

from supplyguard.archives.chunk_store import in_chunk_store
from supplyguard.archives.codecs import (
    BZIP2,
    GZIP,
    LZ4,
    LZ4_MAGIC,
    LZMA,
    SKIPPABLE,
    XZ,
    XZ_MAGIC,
    ZLIB,
    ZSTD,
    ZSTD_MAGIC,
    NamedCodec,
    unread,
)
from supplyguard.errors import BudgetExceededError, MalformedError, SupplyguardError, UnsupportedError
from supplyguard.finding import Evidence, Fact, Notification
from supplyguard.inventory import Member, Probe
from supplyguard.limits import KIB, MIB, Budget
from supplyguard.streams import Allowance, Decompressor, Inflation, SliceReader, read_at, size_of

FORMAT: Final = "compressed"

TRIED: Final = 16 * KIB
"""Formats with weak magics are recognised by inflating so much of their head."""
_STEP: Final = 4 * MIB
_PADDING: Final = 64 * KIB
_SUFFIXES: Final = (".gz", ".gzip", ".bz2", ".xz", ".lzma", ".zlib", ".z", ".lz4", ".zst", ".zstd")
_MAGICS: Final[tuple[tuple[re.Pattern[bytes], NamedCodec], ...]] = tuple(
    (re.compile(pattern, re.DOTALL), codec)
    for pattern, codec in (
        (rb"\x1f\x8b\x08[\x00-\x1f].{6}", GZIP),
        (rb"BZh[1-9](1AY&SY|\x17rE8P\x90)", BZIP2),
        (re.escape(XZ_MAGIC), XZ),
        (re.escape(LZ4_MAGIC) + rb"[\x40-\x7f]", LZ4),
        (re.escape(ZSTD_MAGIC) + rb"[^\x08-\x0f\x18-\x1f\x28-\x2f\x38-\x3f]", ZSTD),
        (rb"\x02\x21\x4c\x18", unread("legacy lz4")),
        (rb"\xff\x06\x00\x00sNaPpY", unread("snappy")),
        (rb"\x89LZO\x00\r\n\x1a\n", unread("lzop")),
        (rb"LZIP\x01", unread("lzip")),
        (rb"\x1f\x9d[\x80-\x90]", unread("compress")),
    )
)
"""Magics with the bits that must follow (RFC 1952, RFC 8878, LZ4 frame format), in any order."""
_ZFILE: Final = re.compile(rb"ZF0x[0-9a-fA-F]+L? *")
_ZFILE_LENGTHS: Final = (21, 22, 20)
"""Bytes of a Z-file's header: ZF and a hex number padded to 19 characters (Python 2: 20)."""


def recognizes(probe: Probe) -> bool:
    """Whether a stream of one of the formats begins."""
    return _kind(probe.head) is not None


def inspect(member: Member, budget: Budget) -> Iterator[Evidence | Member | Notification]:
    """Inflate, then yield the content, what follows it, and how it ended.

    Raises BudgetExceededError, MalformedError or UnsupportedError after what was there was yielded.
    """
    with closing(member.open()) as stream:
        size = size_of(stream)
        kind = _kind(read_at(stream, 0, min(size, TRIED)))
    if kind is None:
        raise MalformedError("no compressed stream begins here", offset=0)
    codec, start = kind
    length = size - start

    def source() -> SliceReader:
        return SliceReader(member.open(), start, length)

    inflation = Inflation(source, length, codec, budget, Allowance(budget, length))
    error = _inflate(inflation)
    if isinstance(error, BudgetExceededError) and error.resource in ("inflate_ratio", "inflated_bytes"):
        facts: dict[str, Fact] = {"codec": codec.name, "size": inflation.produced, "limit": error.resource}
        yield Evidence(kind="compressed-expansion", location=member.at(0), facts=facts, symbol=codec.name)
    if isinstance(error, UnsupportedError):
        yield Evidence(
            kind="compressed-unread", location=member.at(0), facts={"codec": codec.name}, symbol=codec.name
        )
        raise error
    yield Member(
        artifact=member.artifact,
        path=(*member.path, _content_name(member.name)),
        open=inflation.open,
        size=inflation.produced if error is None else None,
    )
    if error is not None:
        raise error
    if inflation.end is not None:
        yield from _trailing(member, start + inflation.end, size)


def _inflate(inflation: Inflation) -> SupplyguardError | None:
    """Inflate to the end, so that how it ends is known; the content is kept for whoever reads it."""
    with inflation.open():
        while not inflation.finished and inflation.error is None:
            inflation.advance(inflation.produced + _STEP)
    return inflation.error


def _trailing(member: Member, start: int, size: int) -> Iterator[Evidence | Member]:
    """Yield what follows the last stream, unless it is zero padding."""
    if start >= size:
        return
    with closing(member.open()) as stream:
        if size - start <= _PADDING and not read_at(stream, start, size - start).strip(b"\0"):
            return
    facts: dict[str, Fact] = {"length": size - start, "store": in_chunk_store(member)}
    yield Evidence(kind="compressed-trailing", location=member.at(start, size - start), facts=facts)
    yield Member(
        artifact=member.artifact,
        path=(*member.path, f"(bytes from {start})"),
        open=lambda: SliceReader(member.open(), start, size - start),
        size=size - start,
    )


def _content_name(name: str) -> str:
    """Name the content: without the compression's suffix, where there is one."""
    lower = name.lower()
    for suffix in _SUFFIXES:
        if lower.endswith(suffix) and len(name) > len(suffix):
            return name[: -len(suffix)]
    return f"{name}.tar" if lower.endswith((".tgz", ".tbz2", ".txz")) else name


def _kind(head: bytes) -> tuple[NamedCodec, int] | None:
    """Find the codec of a stream, and where it begins."""
    for pattern, codec in _MAGICS:
        if pattern.match(head):
            return codec, 0
    return _after_skippable(head) if head.startswith(SKIPPABLE) else _weak(head)


def _after_skippable(head: bytes) -> tuple[NamedCodec, int] | None:
    """Find the codec after skippable frames: u32 magic, u32 length, content."""
    place = 0
    while head.startswith(SKIPPABLE, place) and place + 8 <= len(head):
        place += 8 + struct.unpack_from("<I", head, place + 4)[0]
    if head.startswith(ZSTD_MAGIC, place):
        return ZSTD, 0
    return (LZ4, 0) if head.startswith(LZ4_MAGIC, place) else None


def _weak(head: bytes) -> tuple[NamedCodec, int] | None:
    """Recognise formats with short magics by inflating what is there of them."""
    if len(head) >= 8 and head[0] == 0x78 and not (head[0] << 8 | head[1]) % 31 and not head[1] & 0x20:
        return (ZLIB, 0) if _inflates(head, ZLIB.new) else None
    if head.startswith(b"\x5d\0\0") and len(head) >= 18:
        dictionary, plain = struct.unpack_from("<IQ", head, 1)
        likely = dictionary & (dictionary - 1) == 0 or dictionary % 3 == 0
        if likely and (plain == (1 << 64) - 1 or plain < 1 << 40) and _inflates(head, LZMA.new):
            return LZMA, 0
    if _ZFILE.match(head):
        for length in _ZFILE_LENGTHS:
            if head[length : length + 1] == b"\x78" and _inflates(head[length:], ZLIB.new):
                return ZLIB, length
    return None


def _inflates(head: bytes, new: Callable[[], Decompressor]) -> bool:
    """Whether the head inflates without an error, to something."""
    decoder = new()
    try:
        return bool(decoder.decompress(head[:TRIED], TRIED)) or decoder.eof
    except (zlib.error, lzma.LZMAError, EOFError):
        return False
