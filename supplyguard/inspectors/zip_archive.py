"""Zip archives: what their directory and local headers say, and every member as each loader reads it.

Only end records, the central directory and local headers are read, and small members that steer a
loader, for their CRC. Members follow as slices of the archive or as inflated streams.
"""

from __future__ import annotations

import zlib
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from typing import BinaryIO, Final

from supplyguard.archives.member_names import Segments, folded, unsafe_reasons
from supplyguard.archives.zip_contents import Contents, Item, Span, read_contents, split_archives, walk_locals
from supplyguard.archives.zip_directory import Header, Local, is_zip
from supplyguard.archives.zip_layouts import OTHER, Layout, is_concatenation, is_control, layout_of
from supplyguard.archives.zip_members import DEFLATED, STORED, Archive
from supplyguard.errors import MalformedError, SupplyguardError
from supplyguard.finding import Evidence, Fact, Level, Notification
from supplyguard.inventory import Member, Probe
from supplyguard.limits import MIB, Budget
from supplyguard.streams import Allowance, buffered, size_of

FORMAT: Final = "zip_archive"

CHECKED_SIZE: Final = 4 * MIB
"""Control members up to this size have their CRC checked."""
SHOWN: Final = 50
"""At most so many Evidences of one kind from one archive; a Notification says how many more."""

_TYPES: Final = {
    0xA000: "symbolic link",
    0x2000: "character device",
    0x6000: "block device",
    0x1000: "fifo",
    0xC000: "socket",
}
"""The type in the top four bits of a Unix mode that is neither a file nor a folder."""
_SETUID_FILE: Final = 0o104000
"""A regular file with the set-user-id bit; old build tools set that bit on folders."""
_SLACK: Final = 64


def recognizes(probe: Probe) -> bool:
    """Whether there is a local header at the start or a plausible end record near the end."""
    return is_zip(probe)


def inspect(member: Member, budget: Budget) -> Iterator[Evidence | Member | Notification]:
    """Yield what is odd about the archive, then its members; raises MalformedError without directory."""
    with closing(buffered(member.open())) as stream:
        size = size_of(stream)
        archive = Archive(member=member, size=size, budget=budget, allowance=Allowance(budget, size))
        if is_concatenation(member.name) and len(spans := split_archives(stream, size, budget)) > 1:
            segments = Segments()
            yield from (_raw(archive, span, segments) for span in spans)
            return
        try:
            contents = read_contents(stream, size, budget)
        except MalformedError:
            yield from _streamed(archive, stream)
            raise
        layout = layout_of(contents.names)
        yield from _limited(member, _evidence(archive, contents, layout))
        yield from _gaps_in_reading(member, contents)
        yield from _members(archive, contents, layout)


def _limited(member: Member, items: Iterator[Evidence]) -> Iterator[Evidence | Notification]:
    """Pass on at most SHOWN of a kind, and say how many were left out."""
    counts: Counter[str] = Counter()
    for item in items:
        counts[item.kind] += 1
        if counts[item.kind] <= SHOWN:
            yield item
    for kind, count in counts.items():
        if count > SHOWN:
            text = f"{count - SHOWN:,} more of {kind} in this archive are not listed"
            yield Notification(code="not-listed", message=text, level=Level.NOTE, location=member.at())


def _evidence(archive: Archive, contents: Contents, layout: Layout) -> Iterator[Evidence]:
    yield from _structure(archive.member, contents, layout)
    yield from _duplicates(archive.member, contents, layout)
    for item in contents.items:
        yield from _entry(archive.member, item, layout)
    yield from _expansion(archive, contents)
    for item in contents.items:
        yield from _checksum(archive, item)


def _see(member: Member, kind: str, offset: int | None, symbol: str, **facts: Fact) -> Evidence:
    return Evidence(kind=kind, location=member.at(offset), facts=facts, symbol=symbol)


def _structure(member: Member, contents: Contents, layout: Layout) -> Iterator[Evidence]:
    """Yield what is odd about the whole: readings, leftovers, overlaps."""
    for reason in contents.ambiguities:
        yield _see(member, "zip-ambiguous", None, reason, reason=reason, layout=layout.name)
    if contents.overlaps:
        names = tuple(item.entry.name for item in contents.overlaps)
        offset = contents.overlaps[0].entry.target
        yield _see(member, "zip-overlap", offset, "", names=names, count=len(names))
    for local in contents.unlisted:
        yield _see(member, "zip-unlisted-member", local.offset, local.name, name=local.name)
    places = [("between its members", span) for span in _leftover(contents)]
    places += [("after its end record", contents.trailer)]
    if layout.model:
        places += [("before its first member", contents.prefix)]
    for place, span in places:
        if span.end > span.start:
            length = span.end - span.start
            yield _see(member, "zip-hidden-data", span.start, place, place=place, length=length)


def _duplicates(member: Member, contents: Contents, layout: Layout) -> Iterator[Evidence]:
    """Yield names that two readers can take for one another."""
    groups: dict[str, list[Item]] = defaultdict(list)
    for item in contents.items:
        groups[folded(item.entry.name)].append(item)
    for items in groups.values():
        names = tuple(dict.fromkeys(item.entry.name for item in items))
        if len(items) == 1:
            continue
        how = "exact" if len(names) < len(items) else "folded"
        yield _see(
            member,
            "zip-duplicate-name",
            items[1].entry.offset,
            names[0],
            name=names[0],
            names=names,
            count=len(items),
            how=how,
            model=layout.model,
        )


def _entry(member: Member, item: Item, layout: Layout) -> Iterator[Evidence]:
    """Yield what is odd about one member's headers."""
    entry = item.entry
    name = entry.name
    if item.disagreements:
        local = "(none)" if item.local is None else item.local.name
        yield _see(
            member,
            "zip-header-mismatch",
            entry.target,
            name,
            name=name,
            local_name=local,
            fields=item.disagreements,
            crc_only=item.disagreements == ("CRC",),
        )
    if reasons := unsafe_reasons(name):
        yield _see(
            member,
            "zip-unsafe-name",
            entry.offset,
            name,
            name=name,
            reason=reasons,
            extracted=layout.extracted,
        )
    special = _TYPES.get(entry.mode & 0xF000)
    if entry.mode & (0xF000 | _SETUID_FILE) == _SETUID_FILE:
        special = "setuid file"
    if special is not None:
        yield _see(member, "zip-special-member", entry.offset, name, name=name, type=special)
    if entry.encrypted:
        yield _see(member, "zip-encrypted", entry.offset, name, name=name, model=layout.model)
    storage = layout.inert(name) is not None
    if layout.name.startswith("torch") and (
        entry.method not in (STORED, DEFLATED) or (storage and entry.method != STORED)
    ):
        yield _see(member, "zip-method", entry.offset, name, name=name, method=entry.method, storage=storage)


def _expansion(archive: Archive, contents: Contents) -> Iterator[Evidence]:
    """Yield the declared expansion when it is over the limits."""
    limits = archive.budget.limits
    packed = [item.entry for item in contents.items if item.entry.method != STORED]
    total = sum(entry.size for entry in packed)
    largest = max(packed, key=lambda entry: entry.size, default=None)
    if largest is None or total <= limits.ratio_floor:
        return
    sizes = ((largest.size, largest.compressed, largest.name), (total, archive.size, "(all members)"))
    for size, source, name in sizes:
        ratio = size // max(1, source)
        if size > limits.ratio_floor and ratio > limits.inflate_ratio:
            yield _see(
                archive.member, "zip-expansion", largest.offset, name, name=name, size=size, ratio=ratio
            )
            return


def _checksum(archive: Archive, item: Item) -> Iterator[Evidence]:
    """Yield a wrong CRC or size of a small member that steers a loader."""
    entry = item.entry
    if item.local is None or entry.encrypted or entry.size > CHECKED_SIZE or not is_control(entry.name):
        return
    opener, _ = archive.content(entry, item.local.data)
    try:
        with closing(opener()) as stream:
            data = stream.read(CHECKED_SIZE + 1)
    except SupplyguardError:
        # the member itself is yielded too, and reading it says the same
        return
    if len(data) != entry.size or zlib.crc32(data) != entry.crc:
        what = "size" if len(data) != entry.size else "CRC"
        yield _see(archive.member, "zip-checksum", entry.target, entry.name, name=entry.name, what=what)


def _gaps_in_reading(member: Member, contents: Contents) -> Iterator[Notification]:
    """Yield what could not be read."""
    for problem in contents.problems:
        yield _gap(member, "malformed", problem)
    for item in contents.items:
        if item.local is None:
            yield _gap(member, "malformed", f"{item.entry.name!r} has no local header where it should be")
        elif item.entry.encrypted:
            yield _gap(member, "encrypted", f"{item.entry.name!r} is encrypted")


def _gap(member: Member, code: str, message: str) -> Notification:
    return Notification(code=code, message=message, location=member.at(), incomplete=True)


def _members(archive: Archive, contents: Contents, layout: Layout) -> Iterator[Member]:
    """Yield every instance of every member, and what the directory does not list."""
    segments = Segments()
    for item in contents.items:
        entry = item.entry
        if item.local is None or (entry.name.endswith("/") and not entry.compressed):
            continue
        for header in _views(entry, item.local, item.disagreements):
            yield _member(archive, header, item.local.data, segments, layout)
    for local in contents.unlisted:
        yield _member(archive, local, local.data, segments, OTHER)
    for span in (*_leftover(contents), contents.trailer):
        if span.end > span.start:
            yield _raw(archive, span, segments)
    if "joined archives" in contents.ambiguities:
        yield _raw(archive, contents.prefix, segments)


def _views(entry: Header, local: Local, disagreements: tuple[str, ...]) -> Iterator[Header]:
    """Yield the central view of a member, and the local one where it finds other bytes."""
    if not entry.encrypted:
        yield entry
    elif not local.encrypted:
        yield replace(entry, flags=entry.flags & ~1)
    if {"method", "compressed size"} & set(disagreements) and not (local.encrypted or local.sizes_follow):
        yield local


def _member(archive: Archive, header: Header, data: int, segments: Segments, layout: Layout) -> Member:
    opener, size = archive.content(header, data)
    return Member(
        artifact=archive.member.artifact,
        path=(*archive.member.path, segments.take(header.name)),
        open=opener,
        size=size,
        inert=layout.inert(header.name),
    )


def _raw(archive: Archive, span: Span, segments: Segments) -> Member:
    """Make a Member of bytes that belong to no entry."""
    return Member(
        artifact=archive.member.artifact,
        path=(*archive.member.path, segments.take(f"(bytes from {span.start})")),
        open=archive.slice(span.start, span.end - span.start),
        size=span.end - span.start,
    )


def _leftover(contents: Contents) -> Iterator[Span]:
    """Yield the gaps between members, without the unlisted members found in them."""
    for gap in contents.gaps:
        inside = [local for local in contents.unlisted if gap.start <= local.offset < gap.end]
        start = max((local.data + local.compressed for local in inside), default=gap.start)
        if gap.end - start > _SLACK:
            yield Span(start=start, end=gap.end)


def _streamed(archive: Archive, stream: BinaryIO) -> Iterator[Member]:
    """Yield members by their local headers alone, as far as those lead: there is no directory."""
    segments = Segments()
    for local in walk_locals(stream, Span(start=0, end=archive.size), archive.budget):
        if local.compressed and not local.encrypted:
            yield _member(archive, local, local.data, segments, OTHER)
