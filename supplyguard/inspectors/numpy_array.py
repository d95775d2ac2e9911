"""npy files: a magic, a header that is a Python literal, and raw numbers or a pickle.

Format: numpy/lib/format.py. The header is read by a small tokenizer for literals, never evaluated.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import closing
from typing import BinaryIO, Final

from supplyguard.archives.npy_header import Layout, parse_npy_header
from supplyguard.archives.signs import embedded_format
from supplyguard.errors import MalformedError
from supplyguard.finding import Evidence, Fact
from supplyguard.inventory import Member, Probe
from supplyguard.limits import KIB, Budget
from supplyguard.streams import SliceReader, read_at, size_of

FORMAT: Final = "numpy_array"

MAGIC: Final = b"\x93NUMPY"
ORDINARY_HEADER: Final = 10_000
"""numpy refuses longer headers unless told otherwise."""
LARGEST_HEADER: Final = 64 * KIB
_PREVIEW: Final = 8192


def recognizes(probe: Probe) -> bool:
    """Whether the magic is there."""
    return probe.head.startswith(MAGIC)


def inspect(member: Member, budget: Budget) -> Iterator[Evidence | Member]:
    """Yield what the header says against what is there, and the pickle of an object array."""
    with closing(member.open()) as stream:
        size = size_of(stream) if member.size is None else member.size
        start, length = _header_place(stream)
        if length > ORDINARY_HEADER:
            yield _flaw(member, f"is {length:,} bytes long", start, length)
        if length > min(LARGEST_HEADER, size - start):
            raise MalformedError(f"a header of {length:,} bytes", offset=start)
        data = start + length
        try:
            layout = parse_npy_header(read_at(stream, start, length), budget.limits)
        except MalformedError as error:
            yield _flaw(member, error.message, start, length)
            raise MalformedError(error.message, offset=start) from error
        if layout.objects:
            # a pickle is no finding by itself; what it does is judged where it is read
            yield _rest(member, "(pickle)", data, size - data)
            return
        yield from _data(member, stream, layout, data, size)


def _header_place(stream: BinaryIO) -> tuple[int, int]:
    """Give where the header begins and its length: u16 in version 1, u32 in 2 and 3."""
    major = read_at(stream, 6, 1)[0]
    if major == 1:
        return 10, int(struct.unpack("<H", read_at(stream, 8, 2))[0])
    if major in (2, 3):
        return 12, int(struct.unpack("<I", read_at(stream, 8, 4))[0])
    raise MalformedError(f"the format version {major} is not known", offset=6)


def _data(
    member: Member, stream: BinaryIO, layout: Layout, data: int, size: int
) -> Iterator[Evidence | Member]:
    """Yield data that is too short, too long, or another format."""
    there = size - data
    place = member.at(data)
    if layout.overflows:
        yield Evidence(kind="npy-overflow", location=place, facts={"shape": layout.shape_text})
    elif layout.nbytes is not None and there < layout.nbytes:
        facts: dict[str, Fact] = {"stated": layout.nbytes, "there": there}
        yield Evidence(kind="npy-short", location=place, facts=facts)
    end = size if layout.nbytes is None or layout.overflows else data + layout.nbytes
    if end < size and not _is_zero(stream, end, size):
        if read_at(stream, end, min(len(MAGIC), size - end)) != MAGIC:  # numpy.save called twice is usual
            facts = {"length": size - end}
            yield Evidence(kind="npy-trailing", location=member.at(end, size - end), facts=facts)
        yield _rest(member, f"(bytes from {end})", end, size - end)
    found = embedded_format(read_at(stream, data, min(_PREVIEW, there)))
    if found is not None:
        yield Evidence(kind="npy-second-format", location=place, facts={"what": found}, symbol=found)
        yield _rest(member, "(data)", data, there)


def _is_zero(stream: BinaryIO, start: int, end: int) -> bool:
    return end - start <= LARGEST_HEADER and not read_at(stream, start, end - start).strip(b"\0")


def _flaw(member: Member, detail: str, start: int, length: int) -> Evidence:
    facts: dict[str, Fact] = {"detail": detail}
    return Evidence(kind="npy-header", location=member.at(start, length), facts=facts, symbol=detail)


def _rest(member: Member, segment: str, start: int, length: int) -> Member:
    return Member(
        artifact=member.artifact,
        path=(*member.path, segment),
        open=lambda: SliceReader(member.open(), start, length),
        size=length,
    )
