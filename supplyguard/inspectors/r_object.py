"""R objects and workspaces (.rds, .rda, .RData): promises, code that they carry, compact vectors.

Reading a file makes promises; R runs the code of one when its value is first asked for. Compressed
files are members of the stream that the compression's inspector yields. Format: src/main/serialize.c
of R. Lists of functions are rules/formats/r_object.json.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing
from typing import Final

from supplyguard.errors import MalformedError
from supplyguard.finding import Evidence, Fact, Level, Notification
from supplyguard.inventory import Member, Probe
from supplyguard.limits import Budget
from supplyguard.resources import format_data
from supplyguard.streams import buffered, read_at, size_of
from supplyguard.wire.r_reader import MAGIC, reader_of
from supplyguard.wire.r_serialization import Compact, Finalizer, Pointer, Region, Seen, Walk

FORMAT: Final = "r_object"

_HEAD: Final = 64
_SHOWN: Final = 50
_NAMES: Final = 20
_POINTER: Final = "r-pointer"
_OUTSIDE: Final = frozenset({"top", "element"})


def recognizes(probe: Probe) -> bool:
    """Whether a serialized object or workspace begins."""
    return MAGIC.match(probe.head) is not None


def inspect(member: Member, budget: Budget) -> Iterator[Evidence | Notification]:
    """Yield what acts; what is left open when the file breaks off is yielded before the error."""
    with closing(buffered(member.open())) as stream:
        size = size_of(stream)
        reader, _ = reader_of(stream, size, read_at(stream, 0, min(size, _HEAD)))
        walk = Walk(reader, budget)
        counts: dict[str, int] = {}
        try:
            for seen in walk.seen():
                yield from _limited(_judged(member, seen), counts)
        except MalformedError as error:
            for region in walk.pending:
                yield from _limited(_judged(member, region), counts)
            facts: dict[str, Fact] = {"detail": error.message}
            yield Evidence(kind="r-length", location=member.at(error.offset), facts=facts)
            raise
        for kind, count in counts.items():
            if count > _SHOWN:
                text = f"{count - _SHOWN:,} more of {kind} are not listed"
                yield Notification(code="not-listed", message=text, level=Level.NOTE, location=member.at())
        if reader.remaining:
            yield from _rest(member, reader.position, size)


def _rest(member: Member, start: int, size: int) -> Iterator[Evidence]:
    """Yield what follows the object, which R does not read."""
    with closing(member.open()) as stream:
        if not read_at(stream, start, min(size - start, 4096)).strip(b"\0\r\n \t"):
            return
    facts: dict[str, Fact] = {"length": size - start}
    yield Evidence(kind="r-trailing", location=member.at(start, size - start), facts=facts)


def _limited(items: Iterator[Evidence], counts: dict[str, int]) -> Iterator[Evidence]:
    """Pass on the first of a kind; of pointers, of which reference objects have many, one of each sort."""
    for item in items:
        if item.kind == _POINTER and f" {item.symbol}" in counts:
            continue
        if item.kind == _POINTER:
            counts[f" {item.symbol}"] = 1
        counts[item.kind] = counts.get(item.kind, 0) + 1
        if counts[item.kind] <= _SHOWN:
            yield item


def _judged(member: Member, seen: Seen) -> Iterator[Evidence]:
    """Turn what the walk saw into Evidence."""
    lists = format_data(FORMAT)
    place = member.at(seen.offset)
    if isinstance(seen, Region):
        yield from _region(member, seen)
    elif isinstance(seen, Pointer):
        yield Evidence(kind=_POINTER, location=place, facts={"what": seen.kind}, symbol=seen.kind)
    elif isinstance(seen, Finalizer):
        yield Evidence(kind="r-finalizer", location=place, symbol="finalize")
    elif isinstance(seen, Compact):
        known = re.fullmatch(lists["compact_classes"], seen.name) and seen.package == lists["compact_package"]
        if not known:
            maps = re.fullmatch(lists["file_classes"], seen.name) is not None
            facts: dict[str, Fact] = {"class": seen.name, "package": seen.package, "maps_file": maps}
            yield Evidence(kind="r-compact", location=place, facts=facts, symbol=seen.name)


def _region(member: Member, region: Region) -> Iterator[Evidence]:
    lists = format_data(FORMAT)
    promise = region.kind == "promise"
    strict = [name for name in lists["names"] if name in region.called]
    if promise or region.kind == "bytecode" or strict:
        strict = [name for name in lists["names"] if name in region.called or name in region.named]
    wide = [name for name in lists["calls"] if name in region.called] if promise else []
    names = tuple(dict.fromkeys([*strict, *wide]))[:_NAMES]
    symbol = names[0] if names else region.kind
    place = member.at(region.offset)
    if not promise:
        if names:
            facts: dict[str, Fact] = {"what": region.kind, "names": names}
            yield Evidence(kind="r-code", location=place, facts=facts, symbol=symbol)
        return
    if region.forced:
        return
    planted = region.place in _OUTSIDE or not region.environment
    if planted or region.code:
        facts = {
            "place": region.place,
            "planted": planted,
            "acts": bool(names),
            "names": names or ("code",),
            "environment": region.environment,
        }
        yield Evidence(kind="r-promise", location=place, facts=facts, symbol=symbol)
