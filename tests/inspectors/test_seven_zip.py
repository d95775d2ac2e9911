"""Archives that no model loader reads are named, and never called clean."""

from __future__ import annotations

import json
import struct
import zlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fixtures.make_seven_zip import seven_zip
from supplyguard.errors import MalformedError
from supplyguard.finding import Evidence, Notification
from supplyguard.inspectors import seven_zip as inspector
from tests.examined import findings, gaps, part_of, probe, yielded

FIXTURES = Path(__file__).parents[2] / "fixtures" / "seven_zip"
EXPECTED = json.loads((FIXTURES / "expected.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_fixtures(name: str) -> None:
    part = part_of(FIXTURES / name)
    assert {each.rule.id for each in findings(part)} == {each["rule"] for each in EXPECTED[name]}
    assert bool(gaps(part)) == bool(EXPECTED[name])


def test_under_its_own_name_it_is_only_not_examined() -> None:
    items = list(yielded(inspector, seven_zip(b"\x01\0"), "data.7z"))
    assert [(item.code, item.incomplete) for item in items if isinstance(item, Notification)] == [
        ("not-unpacked", True)
    ]
    assert len(items) == 1


def test_an_empty_archive_is_read() -> None:
    data = seven_zip(b"", b"")
    assert all(isinstance(item, Evidence | Notification) for item in yielded(inspector, data, "x.pt"))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (seven_zip(b"\x01\0")[:20], "cut"),
        (seven_zip(b"\x01\0")[:12] + b"\xff" * 20, "signature header's checksum"),
        (seven_zip(b"\x01\0")[:-1], "outside"),
        (seven_zip(b"\x01\0")[:-1] + b"\1", "header's checksum"),
        (b"nothing", "no archive"),
    ],
)
def test_broken_headers_are_malformed(data: bytes, message: str) -> None:
    with pytest.raises(MalformedError, match=message):
        list(yielded(inspector, data, "x.pt"))


@given(st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1), st.binary(max_size=60))
@settings(deadline=None, max_examples=100)
def test_any_header_place_is_bounded(offset: int, length: int, rest: bytes) -> None:
    start = struct.pack("<QQI", offset, length, 0)
    data = b"7z\xbc\xaf\x27\x1c\x00\x04" + struct.pack("<I", zlib.crc32(start)) + start + rest
    assert inspector.recognizes(probe(data, "x.pt"))
    try:
        items = list(yielded(inspector, data, "x.pt"))
    except MalformedError:
        return
    assert items


def test_names_of_the_format_itself_are_passed_over() -> None:
    assert not inspector.recognizes(probe(b"!<arch>\nxxx", "libz.a"))
    assert inspector.recognizes(probe(b"!<arch>\nxxx", "model.bin"))
    assert not inspector.recognizes(probe(b"text", "model.7z"))
