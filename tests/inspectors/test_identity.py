"""Identity: names that lie, two formats in one file, and files with nothing in them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supplyguard.inspectors import identity as inspector
from tests.examined import findings, gaps, part_of, probe
from tests.fuzzing import cuts, mutations, survives

FIXTURES = Path(__file__).parents[2] / "fixtures" / "identity"
EXPECTED = json.loads((FIXTURES / "expected.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_fixtures(name: str) -> None:
    part = part_of(FIXTURES / name)
    assert {each["rule"] for each in EXPECTED[name]} <= {each.rule.id for each in findings(part)}
    if not EXPECTED[name]:
        assert findings(part) == []
        assert not gaps(part)


def test_cut_and_changed_files_are_survived() -> None:
    for number, name in enumerate(sorted(EXPECTED)):
        data = (FIXTURES / name).read_bytes()
        for piece in [*cuts(data, 400), *mutations(data, 60, number)]:
            survives(inspector, piece, name)


@given(st.binary(max_size=200))
def test_any_bytes_are_survived(data: bytes) -> None:
    survives(inspector, b"" + data, "a.safetensors")


def test_an_empty_model_is_a_gap() -> None:
    assert gaps(part_of(FIXTURES / "malicious" / "empty.safetensors"))


def test_an_end_record_has_to_be_the_very_end() -> None:
    data = (FIXTURES / "malicious" / "two.gguf").read_bytes()
    assert inspector.recognizes(probe(data, "a"))
    assert not inspector.recognizes(probe(data + b"\0", "a"))
    assert not inspector.recognizes(probe(b"GGUF" + bytes(20) + b"PK\5\6" + bytes(18), "a"))
