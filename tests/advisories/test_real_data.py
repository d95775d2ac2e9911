"""The matcher and the store against the PyPA advisory database of October 2024."""

from __future__ import annotations

import dataclasses
import json
import time
import zipfile
from collections import Counter, defaultdict
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from supplyguard.advisories import matcher, osv
from supplyguard.advisories.store import Store
from supplyguard.advisories.update import update
from supplyguard.finding import Audit, AuditStatus, Evidence
from supplyguard.inventory import Dependency, Location

ZIP = Path(__file__).parents[3] / "shared" / "data" / "pysec-2024-10.zip"

pytestmark = pytest.mark.skipif(
    not ZIP.is_file(), reason="needs the PyPA advisory database as a zip beside the checkout"
)


@cache
def documents() -> tuple[dict[str, Any], ...]:
    with zipfile.ZipFile(ZIP) as archive:
        return tuple(json.loads(archive.read(name)) for name in archive.namelist())


def test_every_enumerated_version_is_matched() -> None:
    asked, missed = 0, []
    for document in documents():
        record = osv.parse(document)
        for raw, entry in zip(document["affected"], record.affected, strict=True):
            for version in raw.get("versions", ()):
                asked += 1
                if matcher.is_affected(entry, version) is not True:
                    missed.append((record.id, version))
    assert asked == 140_847
    assert missed == []


def test_the_ranges_alone_say_the_same_but_for_known_records() -> None:
    """Nine versions of three records are enumerated although their own ranges leave them out."""
    outside: Counter[str] = Counter()
    unparsed = 0
    for document in documents():
        record = osv.parse(document)
        for entry in record.affected:
            alone = dataclasses.replace(entry, versions=frozenset())
            for version in entry.versions if entry.ranges else ():
                answer = matcher.is_affected(alone, version)
                unparsed += answer is None
                outside[record.id] += answer is False
    assert unparsed == 108
    assert sum(outside.values()) == 9
    assert set(+outside) == {"PYSEC-2021-114", "PYSEC-2023-61", "PYSEC-2023-177"}


def test_versions_of_other_records_are_matched_by_ranges_only() -> None:
    """What is not enumerated is affected only where a range, looked at naively, holds it."""
    known: defaultdict[str, set[str]] = defaultdict(set)
    records = [osv.parse(document) for document in documents()]
    for record in records:
        for entry in record.affected:
            known[entry.name] |= entry.versions
    compared = 0
    for record in records[::5]:
        for entry in record.affected:
            for version in known[entry.name] - entry.versions:
                parsed = matcher.parse_version(version)
                if parsed is not None and matcher.public_version(parsed) not in map(
                    matcher.parse_version, entry.versions
                ):
                    compared += 1
                    expected = any(naive(span, version) for span in entry.ranges)
                    assert bool(matcher.is_affected(entry, version)) is expected, (record.id, version)
    assert compared > 10_000


def naive(span: osv.Range, version: str) -> bool:
    """Pair each "introduced" with the nearest end after it."""
    points = [(event.kind, matcher.parse_version(event.version)) for event in span.events]
    wanted = matcher.parse_version(version)
    if wanted is None or any(point is None for _, point in points):
        return False
    for kind, start in points:
        ends = [
            (end, other)
            for other, end in points
            if start
            and end
            and ((other == "fixed" and end > start) or (other == "last_affected" and end >= start))
        ]
        if kind == "introduced" and start is not None and (str(start) == "0" or start <= wanted):
            end, how = min(ends, default=(None, ""), key=lambda pair: pair[0])
            if end is None or wanted < end or (how == "last_affected" and wanted == end):
                return True
    return False


def test_the_import_is_fast_and_whole(tmp_path: Path) -> None:
    begin = time.process_time()
    data = update(tmp_path / "store.sqlite3", str(ZIP))
    assert time.process_time() - begin < 3.0
    assert data.records == 2_651  # 2,661 less 10 withdrawn
    assert data.updated is not None
    assert data.updated.isoformat() == "2024-10-10T17:22:00+00:00"


def test_the_store_says_what_the_records_say(tmp_path: Path) -> None:
    update(tmp_path / "store.sqlite3", str(ZIP))
    records = [osv.parse(document) for document in documents()]
    expected: defaultdict[str, set[str]] = defaultdict(set)
    pins = {
        "django": "3.2.1",
        "tensorflow": "2.5.0",
        "pillow": "8.0",
        "flask": "2.2.5",
        "urllib3": "1.26.4",
        "six": "1",
    }
    for record in records:
        for name, version in pins.items():
            if matcher.matches(record, name, version):
                expected[name].add(record.id)
    place = Location(uri="requirements.txt")
    wanted = [Dependency(name=n, raw_name=n, version=v, location=place) for n, v in pins.items()]
    found: defaultdict[str, set[str]] = defaultdict(set)
    statuses = {}
    for item in Store(tmp_path / "store.sqlite3").audit(wanted):
        if isinstance(item, Audit):
            statuses[item.dependency.name] = item.status
        else:
            assert isinstance(item, Evidence)
            aliases = item.facts["aliases"]
            assert isinstance(aliases, tuple)
            found[str(item.facts["package"])].update(aliases)
    own = {name: {record.id for record in records if name in record.names} for name in pins}
    assert {name: ids & own[name] for name, ids in found.items()} == expected
    assert {name for name, status in statuses.items() if status is AuditStatus.CLEAN} == {"flask", "six"}
