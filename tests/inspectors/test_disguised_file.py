"""Names that say data over bytes that act: the contradiction is seen, honest names are silent."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fixtures.raw_zip import plain_pickle
from supplyguard.inspectors import disguised_file as inspector
from tests.examined import findings, part_of, probe, yielded
from tests.fuzzing import survives

FIXTURES = Path(__file__).parents[2] / "fixtures" / "disguised_file"
EXPECTED = json.loads((FIXTURES / "expected.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_fixtures(name: str) -> None:
    found = {each.rule.id for each in findings(part_of(FIXTURES / name))}
    assert {each["rule"] for each in EXPECTED[name]} <= found
    assert bool(EXPECTED[name]) == bool(found)


def test_recognition() -> None:
    assert inspector.recognizes(probe(plain_pickle(), "a.JSON"))
    assert not inspector.recognizes(probe(plain_pickle(), "a.bin"))
    assert not inspector.recognizes(probe(b"{}", "a.json"))
    assert not inspector.recognizes(probe(b"\x80\x02", "a.json"))
    assert list(yielded(inspector, b"{}", "a.json")) == []


@given(st.binary(max_size=80), st.sampled_from(["a.json", "a.png", "a.txt"]))
@settings(deadline=None, max_examples=60)
def test_any_bytes_are_survived(data: bytes, name: str) -> None:
    survives(inspector, b"\x80\x04" + data, name)
    survives(inspector, b"PK\x03\x04" + data, name)
