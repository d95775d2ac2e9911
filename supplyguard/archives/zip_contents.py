"""What is in a zip archive when every reading of it counts: members, disagreements and leftovers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import BinaryIO, Final

from supplyguard.archives.zip_directory import (
    END_SIGNATURE,
    LOCAL_SIGNATURE,
    Entry,
    Local,
    Reading,
    end_records,
    read_local,
    read_readings,
)
from supplyguard.errors import BudgetExceededError, MalformedError
from supplyguard.limits import KIB, Budget
from supplyguard.streams import read_at

SLACK: Final = 64
"""A gap up to this size is padding or a data descriptor (12 to 24 bytes), whatever is in it."""
ALIGNMENT: Final = 64 * KIB
"""Zero bytes up to this length are alignment."""
_TIME_STEP: Final = 1024
_Key = tuple[int, bytes, int, int, int, int, int]


@dataclass(frozen=True, kw_only=True, slots=True)
class Item:
    """A member as the directory lists it. disagreements: fields in which its local header differs."""

    entry: Entry
    local: Local | None
    disagreements: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Span:
    """Bytes [start, end) of the archive that belong to nothing the directory lists."""

    start: int
    end: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Contents:
    """An archive.

    ambiguities: why two readers can see different members ("offsets", "end records", "zip64",
    "entry count", "joined archives"). prefix: bytes before the first member. gaps: bytes between
    members; unlisted: local headers found there. trailer: bytes after the end record. overlaps:
    members whose bytes another member also claims.
    """

    size: int
    items: tuple[Item, ...]
    ambiguities: tuple[str, ...]
    problems: tuple[str, ...]
    prefix: Span
    gaps: tuple[Span, ...]
    unlisted: tuple[Local, ...]
    trailer: Span
    overlaps: tuple[Item, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """Every member's name, in the directory's order."""
        return tuple(item.entry.name for item in self.items)


def read_contents(stream: BinaryIO, size: int, budget: Budget) -> Contents:
    """Read end records, directories and local headers; raises MalformedError when no directory fits."""
    readings, extra = _all_readings(stream, size, budget)
    items = _items(stream, size, [*readings, *extra], budget)
    last = readings[0].record
    covered = sorted(_covered(items, [*readings, *extra]))
    prefix, gaps = _uncovered(stream, covered)
    ambiguities = list(_ambiguities(readings, extra))
    if prefix.end and _is_archive(stream, prefix):
        ambiguities.append("joined archives")
    return Contents(
        size=size,
        items=tuple(items),
        ambiguities=tuple(ambiguities),
        problems=tuple(reading.problem for reading in readings if reading.problem is not None),
        prefix=prefix,
        gaps=tuple(gaps),
        unlisted=tuple(local for gap in gaps for local in walk_locals(stream, gap, budget)),
        trailer=_trailer(stream, min(last.end, size), size),
        overlaps=tuple(_overlaps(items, readings[0].start)),
    )


def walk_locals(stream: BinaryIO, span: Span, budget: Budget) -> Iterator[Local]:
    """Follow local headers from the start of a span, each to the next, as a streaming reader does.

    A header without sizes takes the rest of the span.
    """
    place = span.start
    count = 0
    while (local := read_local(stream, place, span.end)) is not None:
        if local.sizes_follow and not local.compressed:
            rest = span.end - local.data
            local = replace(local, compressed=rest, size=rest if local.method == 0 else 0)
        yield local
        count += 1
        if count > budget.limits.members:
            raise BudgetExceededError("members", budget.limits.members)
        place = local.data + local.compressed


def split_archives(stream: BinaryIO, size: int, budget: Budget) -> list[Span]:
    """Cut a concatenation into its archives, from the last end record to the first, and what is between.

    Distributed checkpoints of PyTorch (torch.distributed.checkpoint) are such files; they are read
    by offset and length. Gives one span that is all of the file when it is one archive.
    """
    spans: list[Span] = []
    stop = size
    while stop > 0:
        base, end = _last_archive(stream, stop, budget)
        if end < stop:
            spans.append(Span(start=end, end=stop))
        if base < end:
            spans.append(Span(start=base, end=end))
        if len(spans) > budget.limits.members:
            raise BudgetExceededError("members", budget.limits.members)
        stop = base
    return spans[::-1]


def _last_archive(stream: BinaryIO, stop: int, budget: Budget) -> tuple[int, int]:
    """Find where the last archive before `stop` begins and ends; (0, 0) when there is none."""
    for variants in end_records(stream, stop):
        for record in variants:
            for reading in read_readings(stream, record, budget):
                adjusted = reading.start + record.directory_size == record.anchor
                if reading.entries and adjusted and reading.shift >= 0:
                    return reading.shift, min(record.end, stop)
    return 0, 0


def _all_readings(stream: BinaryIO, size: int, budget: Budget) -> tuple[list[Reading], list[Reading]]:
    """Give the readings of the end record that loaders take, and those of other ones outside members."""
    readings: list[Reading] = []
    extra: list[Reading] = []
    for variants in end_records(stream, size):
        found = [reading for record in variants for reading in read_readings(stream, record, budget)]
        if not readings:
            readings = found
        elif found and not _inside_member(stream, size, found[0].record.offset, readings):
            extra += found
    if not readings:
        raise MalformedError("no end record with a directory that fits", offset=max(0, size - 22))
    return readings, extra


def _inside_member(stream: BinaryIO, size: int, offset: int, readings: Sequence[Reading]) -> bool:
    """Whether `offset` lies in a member's data: the end record of an archive stored in this one."""
    for reading in readings:
        for entry in reading.entries:
            if entry.target < offset <= entry.target + 30 + 0x20000 + entry.compressed:
                local = read_local(stream, entry.target, size)
                if local is not None and local.data <= offset < local.data + entry.compressed:
                    return True
    return False


def _items(stream: BinaryIO, size: int, readings: Sequence[Reading], budget: Budget) -> list[Item]:
    """Pair each distinct entry of all readings with its local header."""
    items: list[Item] = []
    seen: set[tuple[int, _Key]] = set()
    for reading in readings:
        for entry in reading.entries:
            # two readings of one record can be the same member; two records never are
            identity = (entry.offset, _key(entry))
            if identity in seen:
                continue
            seen.add(identity)
            local = read_local(stream, entry.target, size)
            items.append(Item(entry=entry, local=local, disagreements=_disagreements(entry, local)))
            if len(items) % _TIME_STEP == 0:
                budget.check_time()
    return items


def _key(entry: Entry) -> _Key:
    return (
        entry.target,
        entry.raw_name,
        entry.method,
        entry.compressed,
        entry.size,
        entry.crc,
        entry.flags & 1,
    )


def _disagreements(entry: Entry, local: Local | None) -> tuple[str, ...]:
    """Name the fields in which the two headers differ; bit 3 excuses zero sizes and CRC."""
    if local is None:
        return ("local header",)
    found = []
    if entry.raw_name != local.raw_name:
        found.append("name")
    if entry.method != local.method:
        found.append("method")
    if entry.encrypted != local.encrypted:
        found.append("encryption")
    for field, ours, theirs in (
        ("compressed size", entry.compressed, local.compressed),
        ("size", entry.size, local.size),
        ("CRC", entry.crc, local.crc),
    ):
        if ours != theirs and not (local.sizes_follow and theirs == 0):
            found.append(field)
    return tuple(found)


def _ambiguities(readings: Sequence[Reading], extra: Sequence[Reading]) -> Iterator[str]:
    first = readings[0]
    views = {frozenset(_key(entry) for entry in reading.entries) for reading in readings}
    if len(views) > 1:
        if any(reading.record is not first.record for reading in readings):
            yield "zip64"
        if any(reading.record is first.record and reading.shift != first.shift for reading in readings):
            yield "offsets"
    if extra:
        yield "end records"
    counted = first.record.counted
    modulo = 1 << (64 if first.record.zip64 else 16)
    if counted != len(first.entries) % modulo:
        yield "entry count"


def _covered(items: Sequence[Item], readings: Sequence[Reading]) -> Iterator[tuple[int, int]]:
    for item in items:
        if item.local is not None:
            yield item.local.offset, item.local.data + item.entry.compressed
    for reading in readings:
        yield reading.start, reading.start + reading.record.directory_size
        yield reading.record.anchor, reading.record.end


def _uncovered(stream: BinaryIO, covered: Sequence[tuple[int, int]]) -> tuple[Span, list[Span]]:
    """Find the bytes before the first range, and what lies between ranges and is no padding."""
    gaps: list[Span] = []
    end = covered[0][0]
    for start, stop in covered:
        if start - end > SLACK and not _is_padding(stream, end, start):
            gaps.append(Span(start=_after_descriptor(stream, end), end=start))
        end = max(end, stop)
    return Span(start=0, end=covered[0][0]), gaps


def _is_padding(stream: BinaryIO, start: int, end: int) -> bool:
    length = end - start
    return length <= ALIGNMENT and not read_at(stream, start, length).strip(b"\0")


def _after_descriptor(stream: BinaryIO, start: int) -> int:
    """Skip a data descriptor: 16 bytes, or 24 with zip64 sizes, when it has its usual signature."""
    head = read_at(stream, start, 28)
    if not head.startswith(b"PK\x07\x08"):
        return start
    for length in (16, 24):
        if head.startswith(LOCAL_SIGNATURE, length):
            return start + length
    return start + 16


def _trailer(stream: BinaryIO, start: int, end: int) -> Span:
    """Give what follows the last end record, unless it is short or padding of one byte value."""
    if end - start <= SLACK:
        return Span(start=end, end=end)
    if end - start <= ALIGNMENT:
        data = read_at(stream, start, end - start)
        if not data.strip(b"\0") or not data.strip(b"\xff"):
            return Span(start=end, end=end)
    return Span(start=start, end=end)


def _is_archive(stream: BinaryIO, span: Span) -> bool:
    """Whether the span begins with a local header and has an end record."""
    if span.end - span.start < 52 or read_at(stream, span.start, 4) != LOCAL_SIGNATURE:
        return False
    reach = min(span.end - span.start, 22 + 0xFFFF)
    return END_SIGNATURE in read_at(stream, span.end - reach, reach)


def _overlaps(items: Sequence[Item], directory: int) -> Iterator[Item]:
    """Yield each member that begins before an earlier one ended, or runs into the directory."""
    placed = [
        (item.local.offset, item.local.data + item.entry.compressed, item) for item in items if item.local
    ]
    placed.sort(key=lambda each: each[:2])
    reached = -1
    for start, end, item in placed:
        if start < reached or start < directory < end:
            yield item
        reached = max(reached, end)
