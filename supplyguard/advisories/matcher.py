"""Whether a version of a package is affected by a record: PEP 440 over OSV events.

The algorithm is that of the OSV format (https://ossf.github.io/osv-schema/#evaluation), with the
local part of a version left out: 2.5.1+cu121 is 2.5.1 for every advisory. Specifiers (`<2.6.0`) are
not used: they refuse pre-releases and post-releases that the ranges include.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from itertools import groupby
from typing import TYPE_CHECKING, Final

from supplyguard.advisories.osv import Affected, Event, Range, Record

if TYPE_CHECKING:
    from packaging.version import Version

    _Turns = tuple[tuple[Version | None, tuple[Event, ...]], ...]

_BEGIN: Final = re.compile(r"\s*[vV]?0*([0-9]*)(?:\.0*([0-9]*))?")
_LONGEST: Final = 200
"""Characters of a version that is parsed."""


@lru_cache(maxsize=65_536)
def parse_version(text: str) -> Version | None:
    """Parse a PEP 440 version; None when it is not one."""
    from packaging.version import Version  # noqa: PLC0415 - heavy: many scans meet no dependency

    if len(text) > _LONGEST:
        return None
    try:
        return Version(text)
    except ValueError:  # InvalidVersion, and int() on very many digits
        return None


@lru_cache(maxsize=16_384)
def public_version(version: Version) -> Version:
    """Leave out the local part."""
    return type(version)(version.public) if version.local is not None else version


@lru_cache(maxsize=65_536)
def _key(text: str) -> tuple[object, ...] | None:
    """Give what tells versions apart, cheaper to compare than the versions; None for no version."""
    version = parse_version(text)
    if version is None:
        return None
    release = version.release
    while len(release) > 1 and release[-1] == 0:
        release = release[:-1]
    return version.epoch, release, version.pre, version.post, version.dev, version.local


@lru_cache(maxsize=65_536)
def _begin(text: str) -> tuple[str, str] | None:
    """Give the first two numbers of a release, without zeros in front; None where it takes parsing.

    Equal versions have equal beginnings, and this is much cheaper than parsing.
    """
    found = _BEGIN.match(text) if text.isascii() and "!" not in text else None
    return None if found is None else (found[1], found[2] or "")


def is_affected(affected: Affected, raw: str) -> bool | None:
    """Whether version `raw` is affected; None when that cannot be told.

    It cannot where `raw` is not a PEP 440 version and not enumerated as it stands, nor where a
    range has an event that is not one and the record enumerates no versions.
    """
    if raw in affected.versions:
        return True
    version = parse_version(raw)
    if version is None:
        return None
    public = public_version(version)
    undecided = False
    for span in affected.ranges:
        inside = _in_range(span, public)
        if inside:
            return True
        undecided = undecided or inside is None
    begin = _begin(raw)
    if begin is None:
        alike = list(affected.versions)
    else:
        major, minor = begin[0] or "0", begin[1]  # an equal version has these digits somewhere
        alike = [
            one
            for one in affected.versions
            if major in one and minor in one and (_begin(one) or begin) == begin
        ]
    if alike and not {_key(raw), _key(str(public))}.isdisjoint(map(_key, alike)):
        return True
    return None if undecided and not affected.versions else False


def _in_range(span: Range, version: Version) -> bool | None:
    """Whether `version` lies in one of the intervals of a range; None when it cannot be told."""
    placed = _sorted_events(span)
    if placed is None:
        return None
    limits, turns = placed
    if limits and not any(limit is None or version < limit for limit in limits):
        return False
    inside = False
    for point, events in turns:
        if point is not None and version < point:
            break
        # one event at a version, as nearly always, needs no order
        for event in events if len(events) == 1 else _in_order(events, inside=inside):
            if event.kind == "introduced":
                inside = True
            elif event.kind == "fixed" or point is None or version > point:
                inside = False
    return inside


def _in_order(events: Iterable[Event], *, inside: bool) -> list[Event]:
    """Order the events at one version: inside an interval its end comes first, else the beginning.

    So two intervals that touch are one, and an interval that ends where it begins is empty.
    """
    return sorted(events, key=lambda event: (event.kind == "introduced") == inside)


@lru_cache(maxsize=8_192)
def _sorted_events(span: Range) -> tuple[tuple[Version | None, ...], _Turns] | None:
    """Sort a range's events by version; None when one is not a PEP 440 version.

    Gives the limits (None is "*", no limit) and the other events grouped by version (None is "0",
    before every version). The events of a record need not be in order.
    """
    limits: list[Version | None] = []
    start: list[Event] = []
    rest: list[tuple[Version, Event]] = []
    for event in span.events:
        if event.kind == "introduced" and event.version == "0":
            start.append(event)
            continue
        if event.kind == "limit" and event.version == "*":
            limits.append(None)
            continue
        version = parse_version(event.version)
        if version is None:
            return None
        if event.kind == "limit":
            limits.append(version)
        else:
            rest.append((version, event))
    rest.sort(key=lambda pair: pair[0])
    turns: list[tuple[Version | None, tuple[Event, ...]]] = [(None, tuple(start))] if start else []
    turns += [
        (point, tuple(event for _, event in group)) for point, group in groupby(rest, lambda pair: pair[0])
    ]
    return tuple(limits), tuple(turns)


def covers_every_version(affected: Affected) -> bool:
    """Whether the entry says "all versions": an interval from "0" without end, or nothing at all."""
    if not affected.ranges:
        return not affected.versions
    return any(
        {event.kind for event in span.events} == {"introduced"} and any(e.version == "0" for e in span.events)
        for span in affected.ranges
    )


def entries_for(record: Record, name: str) -> Iterator[Affected]:
    """Give the entries of a record for a package (normalised name)."""
    return (entry for entry in record.affected if entry.name == name)


def matches(record: Record, name: str, version: str | None) -> bool | None:
    """Whether a record that is not withdrawn affects a package at a version; None: cannot be told.

    Without a version only a malicious-package record that covers every version can match; the
    same record also matches a version that is not PEP 440.
    """
    if record.withdrawn:
        return False
    answers: list[bool | None] = []
    for entry in entries_for(record, name):
        if record.malicious and covers_every_version(entry):
            return True
        answers.append(False if version is None else is_affected(entry, version))
    if True in answers:
        return True
    return None if None in answers else False


def fixed_versions(records: Iterable[Record], name: str, version: str | None) -> tuple[str, ...]:
    """Give the fixed versions of the records that are greater than `version`, in PEP 440 order."""
    current = parse_version(version) if version is not None else None
    found: dict[Version, str] = {}
    for record in records:
        for entry in entries_for(record, name):
            for event in (event for span in entry.ranges for event in span.events):
                candidate = parse_version(event.version) if event.kind == "fixed" else None
                if candidate is not None and (current is None or candidate > public_version(current)):
                    found.setdefault(candidate, event.version)
    return tuple(found[candidate] for candidate in sorted(found))


def smallest_upgrade(records: Iterable[Record], name: str, fixed: Iterable[str]) -> str | None:
    """Give the first of the `fixed` versions (ascending) that none of the records affects."""
    kept = list(records)
    return next((candidate for candidate in fixed if clears(kept, name, candidate)), None)


def clears(records: list[Record], name: str, candidate: str) -> bool:
    """Whether none of the records affects a version; the one that does is moved to the front.

    Versions are mostly asked for in order, and one that is still affected is so by the same record.
    """
    for place, record in enumerate(records):
        if matches(record, name, candidate) is not False:
            records.insert(0, records.pop(place))
            return False
    return True
