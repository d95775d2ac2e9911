"""Our own reader of zip directories: end records, central records, local headers, and ranges.

Python's zipfile shows one reading of an archive; loaders differ in theirs (joined archives,
prefixed data, zip64 records, duplicate names). This reader gives every reading that parses.
Field layouts are those of PKWARE's APPNOTE.TXT 6.3.10, sections 4.3.7 to 4.3.16. All integers are
compared with the bytes that remain before anything is read.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, Final

from supplyguard.errors import BudgetExceededError
from supplyguard.inventory import Probe
from supplyguard.limits import Budget
from supplyguard.streams import read_at

LOCAL_SIGNATURE: Final = b"PK\x03\x04"
CENTRAL_SIGNATURE: Final = b"PK\x01\x02"
END_SIGNATURE: Final = b"PK\x05\x06"
_END64_SIGNATURE: Final = b"PK\x06\x06"
_LOCATOR_SIGNATURE: Final = b"PK\x06\x07"

_END: Final = struct.Struct("<4s4H2LH")
_END64: Final = struct.Struct("<4sQ2H2L4Q")
_LOCATOR: Final = struct.Struct("<4sLQL")
_CENTRAL: Final = struct.Struct("<4s6H3L5H2L")
_LOCAL: Final = struct.Struct("<4s5H3L2H")

END_REACH: Final = _END.size + 0xFFFF
"""How far from the file's end an end record can begin: its size and the longest comment."""
_SATURATED: Final = 0xFFFFFFFF
_UTF8: Final = 0x800
_ZIP64_EXTRA: Final = 0x0001
_TIME_STEP: Final = 1024


@dataclass(frozen=True, kw_only=True, slots=True)
class Header:
    """What the central record and the local header both say of a member."""

    offset: int
    raw_name: bytes
    flags: int
    method: int
    crc: int
    compressed: int
    size: int

    @property
    def name(self) -> str:
        """The name as zipfile decodes it: UTF-8 when flag bit 11 says so, code page 437 otherwise."""
        return self.raw_name.decode("utf-8" if self.flags & _UTF8 else "cp437", "backslashreplace")

    @property
    def encrypted(self) -> bool:
        """Flag bit 0."""
        return bool(self.flags & 1)

    @property
    def sizes_follow(self) -> bool:
        """Flag bit 3: sizes and CRC are in a data descriptor after the data."""
        return bool(self.flags & 8)


@dataclass(frozen=True, kw_only=True, slots=True)
class Local(Header):
    """A local header; `data` is where the member's bytes begin."""

    data: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry(Header):
    """A central record; `target` is where its local header is, `mode` the Unix mode or 0."""

    target: int
    mode: int


@dataclass(frozen=True, kw_only=True, slots=True)
class EndRecord:
    """Where a directory is, as one end record tells it. counted: entries it claims."""

    offset: int
    comment: int
    counted: int
    directory_size: int
    directory_offset: int
    anchor: int
    zip64: bool

    @property
    def end(self) -> int:
        """The first byte after the record and its comment."""
        return self.offset + _END.size + self.comment


@dataclass(frozen=True, kw_only=True, slots=True)
class Reading:
    """A central directory as one kind of reader finds it.

    shift: bytes added to every stored offset (0: offsets are taken as absolute, as miniz does;
    otherwise the directory is taken to end where the end record begins, as zipfile does).
    problem: why the directory could not be walked to its end.
    """

    record: EndRecord
    start: int
    shift: int
    entries: tuple[Entry, ...]
    problem: str | None = None


def is_zip(probe: Probe) -> bool:
    """Whether a local header is at the start, or a plausible end record near the end."""
    if probe.head.startswith(LOCAL_SIGNATURE) and len(probe.head) >= _LOCAL.size:
        return True
    if probe.size is None:
        return False
    base = probe.size - len(probe.tail)
    return any(_plausible(probe.tail, place, base + place) for place in _places(probe.tail))


def end_records(stream: BinaryIO, size: int) -> list[list[EndRecord]]:
    """Find the end records before `size`, the last first; each in the ways its fields can be taken."""
    reach = min(size, END_REACH)
    base = size - reach
    tail = read_at(stream, base, reach)
    found: list[list[EndRecord]] = []
    for place in reversed(_places(tail)):
        variants = list(_variants(stream, tail[place : place + _END.size], base + place))
        if variants:
            found.append(variants)
        if len(found) >= 8:  # a tail strewn with signatures; the first few decide
            break
    return found


def read_readings(stream: BinaryIO, record: EndRecord, budget: Budget) -> list[Reading]:
    """Parse the directory of one end record, with absolute offsets and with adjusted ones."""
    adjusted = record.anchor - record.directory_size
    shifts = {0: record.directory_offset, adjusted - record.directory_offset: adjusted}
    readings: list[Reading] = []
    for shift, start in shifts.items():
        if start < 0 or start + record.directory_size > record.anchor:
            continue
        entries, problem = _walk(stream, record, start, shift, budget)
        if entries or not (record.counted or record.directory_size):
            readings.append(
                Reading(record=record, start=start, shift=shift, entries=tuple(entries), problem=problem)
            )
    return readings


def read_local(stream: BinaryIO, offset: int, size: int) -> Local | None:
    """Read the local header at `offset`; None when there is none or it does not fit."""
    if not 0 <= offset <= size - _LOCAL.size:
        return None
    fixed = _LOCAL.unpack(read_at(stream, offset, _LOCAL.size))
    signature, _needed, flags, method, _time, _date, crc, compressed, plain, name_size, extra_size = fixed
    data = offset + _LOCAL.size + name_size + extra_size
    if signature != LOCAL_SIGNATURE or data > size:
        return None
    rest = read_at(stream, offset + _LOCAL.size, name_size + extra_size)
    plain, compressed, _ = _widen(rest[name_size:], plain, compressed, 0)
    return Local(
        offset=offset,
        raw_name=rest[:name_size],
        flags=flags,
        method=method,
        crc=crc,
        compressed=compressed,
        size=plain,
        data=data,
    )


def _places(tail: bytes) -> list[int]:
    """Where end records could begin, in ascending order."""
    places: list[int] = []
    place = tail.find(END_SIGNATURE)
    while 0 <= place <= len(tail) - _END.size:
        places.append(place)
        place = tail.find(END_SIGNATURE, place + 1)
    return places


def _plausible(tail: bytes, place: int, offset: int) -> bool:
    """Whether an end record's directory fits before it; in random bytes it does not.

    Disk numbers, counts and the comment's length prove nothing: zipfile goes by size and offset alone.
    """
    _, disk, _, here, total, size, start, comment = _END.unpack_from(tail, place)
    locator = place - _LOCATOR.size
    if locator >= 0 and tail.startswith(_LOCATOR_SIGNATURE, locator):
        return True
    if not size:
        rest = len(tail) - place - _END.size
        return not (disk or here or total) and start <= offset and comment <= rest
    directory = place - size
    if size < _CENTRAL.size or size + start > offset:
        return False
    return directory < 0 or tail.startswith(CENTRAL_SIGNATURE, directory)


def _variants(stream: BinaryIO, data: bytes, offset: int) -> Iterator[EndRecord]:
    """Yield the zip64 readings of an end record, and the plain one where it tells something else."""
    _, _, _, _, *plain, comment = _END.unpack(data)
    wide: list[tuple[int, ...]] = []
    for anchor in _zip64_anchors(stream, offset):
        fields = _END64.unpack(read_at(stream, anchor, _END64.size))[7:10]
        if fields not in wide:
            wide.append(fields)
            yield _end_record(offset, comment, fields, anchor, zip64=True)
    limits = (0xFFFF, _SATURATED, _SATURATED)
    for fields in wide:
        if all(small in (large, limit) for small, large, limit in zip(plain, fields, limits, strict=True)):
            return
    yield _end_record(offset, comment, tuple(plain), offset, zip64=False)


def _end_record(offset: int, comment: int, fields: tuple[int, ...], anchor: int, *, zip64: bool) -> EndRecord:
    counted, size, start = fields
    return EndRecord(
        offset=offset,
        comment=comment,
        counted=counted,
        directory_size=size,
        directory_offset=start,
        anchor=anchor,
        zip64=zip64,
    )


def _zip64_anchors(stream: BinaryIO, offset: int) -> list[int]:
    """Where readers look for the zip64 record: before its locator (zipfile), where that points (miniz)."""
    place = offset - _LOCATOR.size
    if place < 0:
        return []
    signature, _disk, target, _disks = _LOCATOR.unpack(read_at(stream, place, _LOCATOR.size))
    if signature != _LOCATOR_SIGNATURE:
        return []
    anchors: list[int] = []
    for anchor in (place - _END64.size, target):
        fits = 0 <= anchor <= place - _END64.size and anchor not in anchors
        if fits and read_at(stream, anchor, 4) == _END64_SIGNATURE:
            anchors.append(anchor)
    return anchors


def _walk(
    stream: BinaryIO, record: EndRecord, start: int, shift: int, budget: Budget
) -> tuple[list[Entry], str | None]:
    """Read central records from `start` to the directory's stated end."""
    entries: list[Entry] = []
    place = start
    end = start + record.directory_size
    while place < end:
        entry, after = _read_entry(stream, place, end, shift)
        if entry is None:
            return entries, f"central record {len(entries) + 1} is broken"
        entries.append(entry)
        if len(entries) > budget.limits.members:
            raise BudgetExceededError("members", budget.limits.members)
        if len(entries) % _TIME_STEP == 0:
            budget.check_time()
        place = after
    return entries, None if place == end else "the last central record runs over the directory's end"


def _read_entry(stream: BinaryIO, place: int, end: int, shift: int) -> tuple[Entry | None, int]:
    if end - place < _CENTRAL.size:
        return None, place
    fields = _CENTRAL.unpack(read_at(stream, place, _CENTRAL.size))
    (signature, _made, _needed, flags, method, _time, _date, crc, compressed, plain) = fields[:10]
    name_size, extra_size, comment_size, _disk, _internal, external, target = fields[10:]
    after = place + _CENTRAL.size + name_size + extra_size + comment_size
    if signature != CENTRAL_SIGNATURE:
        return None, place
    # zipfile takes a last record whose name, extra field or comment runs over the end
    there = min(name_size + extra_size, end - place - _CENTRAL.size)
    rest = read_at(stream, place + _CENTRAL.size, there)
    plain, compressed, target = _widen(rest[name_size:], plain, compressed, target)
    entry = Entry(
        offset=place,
        raw_name=rest[:name_size],
        flags=flags,
        method=method,
        crc=crc,
        compressed=compressed,
        size=plain,
        target=target + shift,
        mode=external >> 16,
    )
    return entry, after


def _widen(extra: bytes, plain: int, compressed: int, target: int) -> tuple[int, int, int]:
    """Replace saturated 32-bit fields by those of the zip64 extra field (4.5.3), in its order."""
    values = [plain, compressed, target]
    place = 0
    while place + 4 <= len(extra):
        kind, length = struct.unpack_from("<HH", extra, place)
        place += 4
        if kind == _ZIP64_EXTRA:
            stop = min(place + length, len(extra))
            for index in range(3):
                if values[index] == _SATURATED and place + 8 <= stop:
                    values[index] = struct.unpack_from("<Q", extra, place)[0]
                    place += 8
            break
        place += length
    return values[0], values[1], values[2]
