"""Git LFS pointers are told from text, and are never clean."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fixtures.make_lfs_pointer import OID, POINTER
from supplyguard.finding import Evidence, Notification
from supplyguard.inspectors import lfs_pointer
from tests.examined import findings, gaps, part_of, probe, yielded

FIXTURES = Path(__file__).parents[2] / "fixtures" / "lfs_pointer"
EXPECTED = json.loads((FIXTURES / "expected.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_fixtures(name: str) -> None:
    part = part_of(FIXTURES / name)
    assert {each.rule.id for each in findings(part)} == {each["rule"] for each in EXPECTED[name]}
    assert bool(gaps(part)) == bool(EXPECTED[name])


def test_a_pointer_tells_oid_and_size() -> None:
    evidence, note = yielded(lfs_pointer, POINTER.encode())
    assert isinstance(evidence, Evidence)
    assert evidence.facts == {"oid": OID.removeprefix("sha256:"), "size": "133"}
    assert isinstance(note, Notification)
    assert note.incomplete


def test_the_older_name_of_the_format_is_known() -> None:
    text = POINTER.replace("git-lfs.github.com", "hawser.github.com")
    assert [item.kind for item in yielded(lfs_pointer, text.encode()) if isinstance(item, Evidence)] == [
        "lfs-pointer"
    ]


@pytest.mark.parametrize(
    ("text", "odd"),
    [
        (POINTER.replace(OID, "md5:1"), "no sha256 oid"),
        (POINTER.replace("size 133", "size many"), "no size"),
        (POINTER.replace("oid", "\noid"), "a line that is no key and value: ''"),
        (POINTER + "size 7\n", "size twice"),
        (POINTER + "ext-0-foo x\n", "the key ext-0-foo"),
    ],
)
def test_what_is_odd_is_named(text: str, odd: str) -> None:
    (found,) = (
        item
        for item in yielded(lfs_pointer, text.encode())
        if isinstance(item, Evidence) and item.kind == "lfs-pointer-odd"
    )
    assert found.facts["odd"] == (odd,)


@given(st.binary(max_size=300))
@settings(deadline=None, max_examples=100)
def test_any_text_after_the_first_line_is_read(text: bytes) -> None:
    data = b"version https://git-lfs.github.com/spec/v1\noid " + text
    assert lfs_pointer.recognizes(probe(data))
    items = list(yielded(lfs_pointer, data))
    assert any(isinstance(item, Notification) for item in items)


def test_other_files_are_not_claimed() -> None:
    assert not lfs_pointer.recognizes(probe(b""))
    assert not lfs_pointer.recognizes(probe(b"version 3\n"))
    assert not lfs_pointer.recognizes(probe(POINTER.encode() + b"x" * 2000))
