from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from supplyguard.advisories import osv
from supplyguard.errors import MalformedError

RECORD: dict[str, Any] = {
    "id": "PYSEC-2024-1",
    "modified": "2024-10-09T08:07:06.5Z",
    "aliases": ["CVE-2024-1", "CVE-2024-1", "PYSEC-2024-1", "not an id"],
    "summary": "A short line.",
    "severity": [{"type": "CVSS_V3", "score": "CVSS:3.1/AV:N"}, {"type": "CVSS_V3"}, 7],
    "database_specific": {"severity": " HIGH "},
    "affected": [
        {
            "package": {"ecosystem": "PyPI", "name": "Some_Package"},
            "ranges": [
                {"type": "GIT", "repo": "https://x", "events": [{"introduced": "0"}]},
                {"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "1.2"}]},
            ],
            "versions": ["1.0", "1.1"],
            "ecosystem_specific": {"severity": "LOW"},
        },
        {"package": {"ecosystem": "npm", "name": "@other/thing"}, "versions": ["1"]},
        {"ranges": [{"type": "GIT", "events": []}]},
    ],
}


def changed(**fields: Any) -> dict[str, Any]:
    return {**RECORD, **fields}


def entry(**fields: Any) -> dict[str, Any]:
    return changed(affected=[{"package": {"ecosystem": "PyPI", "name": "x"}, **fields}])


def test_a_record_is_read() -> None:
    record = osv.parse(RECORD)
    assert record.id == "PYSEC-2024-1"
    assert record.modified == datetime(2024, 10, 9, 8, 7, 6, tzinfo=UTC)
    assert record.aliases == ("CVE-2024-1",)
    assert record.summary == "A short line"
    assert record.ratings == (osv.Rating(type="CVSS_V3", score="CVSS:3.1/AV:N"),)
    assert record.word == "high"
    assert not record.withdrawn
    assert not record.malicious
    assert record.names == {"some-package"}
    (affected,) = record.affected
    events = (osv.Event(kind="introduced", version="0"), osv.Event(kind="fixed", version="1.2"))
    assert affected.ranges == (osv.Range(type="ECOSYSTEM", events=events),)
    assert affected.versions == {"1.0", "1.1"}
    assert affected.word == "low"


def test_a_year_of_one_digit_occurs_in_real_data() -> None:
    assert osv.parse(changed(modified="1-01-01T00:00:00Z")).modified.year == 1


@pytest.mark.parametrize(
    "fields",
    [
        {"id": "MAL-2024-1"},
        {"aliases": ["MAL-2024-1"]},
        {"database_specific": {"malicious-packages-origins": []}},
    ],
)
def test_records_of_malice(fields: dict[str, Any]) -> None:
    assert osv.parse(changed(**fields)).malicious


def test_the_summary_is_one_printable_line() -> None:
    text = "first\nline \x1b[31mred\x00 \ud800 " + "long " * 100
    summary = osv.parse(changed(summary="  ", details=text)).summary
    assert summary.startswith("first line [31mred ? long")
    assert len(summary) <= 200
    assert summary.endswith("…")
    assert osv.parse(changed(summary=None, details=5)).summary == ""


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        ([], "not a JSON object"),
        ({}, "no usable id"),
        (changed(id=7), "no usable id"),
        (changed(id="../../etc/passwd"), "no usable id"),
        (changed(id="X" * 101), "no usable id"),
        (changed(modified=None), "modified is not a time"),
        (changed(modified="yesterday"), "modified is not a time"),
        (changed(modified="2024-13-01T00:00:00Z"), "modified is not a time"),
        (changed(modified="0-01-01T00:00:00Z"), "modified is not a time"),
        (changed(affected="all"), "affected is not a list"),
        (changed(affected=[7]), "affected has an entry"),
        (changed(affected=[{"package": {"ecosystem": "PyPI"}}]), "package.name"),
        (changed(affected=[{"package": {"ecosystem": "PyPI", "name": "a b"}}]), "package.name"),
        (changed(aliases=["CVE-1"] * 501), "aliases has 501 items"),
        (changed(severity={}), "severity is not a list"),
        (entry(versions=[1]), "item that is not text"),
        (entry(versions=["1"] * 100_001), "versions has 100,001 items"),
        (entry(ranges=[{}]), "entry without a type"),
        (entry(ranges=["ECOSYSTEM"]), "entry without a type"),
        (entry(ranges=[{"type": "ECOSYSTEM", "events": ["0"]}]), "entry that is not an object"),
        (entry(ranges=[{"type": "ECOSYSTEM", "events": [{"fixed": 2}]}]), "fixed is not a version"),
        (entry(ranges=[{"type": "ECOSYSTEM", "events": [{"limit": "1" * 201}]}]), "limit is not a version"),
    ],
)
def test_broken_records_are_refused(document: object, reason: str) -> None:
    with pytest.raises(MalformedError, match=reason):
        osv.parse(document)


@pytest.mark.parametrize(
    "text", [b"", b"{", b"[" * 200_000, b'{"a": ' * 100_000, b"\xff\xfe", b"1" * 5_000, b'{"id": "\\ud8"}']
)
def test_what_is_not_usable_json_is_refused(text: bytes) -> None:
    with pytest.raises(MalformedError):
        osv.load(text)


def test_names_are_had_even_from_refused_records() -> None:
    broken = changed(modified=None)
    broken["affected"] = [*broken["affected"], 7, {"package": {"ecosystem": "PyPI", "name": 8}}]
    assert osv.named_packages(broken) == {"some-package"}
    assert osv.named_packages([]) == frozenset()
    assert osv.named_packages({"affected": 5}) == frozenset()


@pytest.mark.parametrize(
    "document",
    [
        RECORD,
        changed(withdrawn="2024-01-01T00:00:00Z"),
        changed(id="MAL-1", database_specific={"malicious-packages-origins": [{}], "severity": "LOW"}),
        changed(database_specific={"malicious-packages-origins": []}),
        entry(),
    ],
)
def test_what_is_written_is_read_back(document: dict[str, Any]) -> None:
    record = osv.parse(document)
    assert osv.parse(osv.load(osv.dump(record))) == record


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@given(st.data())
@settings(deadline=None, max_examples=150)
def test_any_json_gives_a_record_or_a_refusal(data: st.DataObject) -> None:
    document = json.loads(json.dumps(RECORD))
    for _ in range(data.draw(st.integers(1, 3))):
        place: Any = document
        while isinstance(place, dict | list) and place:
            keys = list(place) if isinstance(place, dict) else list(range(len(place)))
            key = data.draw(st.sampled_from(keys))
            if not isinstance(place[key], dict | list) or not place[key] or data.draw(st.booleans()):
                place[key] = data.draw(json_values)
                break
            place = place[key]
    try:
        record = osv.parse(document)
    except MalformedError:
        osv.named_packages(document)
    else:
        assert osv.parse(osv.load(osv.dump(record))) == record


def test_texts_too_long_for_a_version_are_left_out() -> None:
    (affected,) = osv.parse(entry(versions=["1", "2" * 201])).affected
    assert affected.versions == {"1"}
