"""Triton configurations: backends, environments and paths are named; ordinary ones are silent."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fixtures.make_triton_config import ONNX
from supplyguard.errors import BudgetExceededError
from supplyguard.finding import Evidence
from supplyguard.inspectors import triton_config as inspector
from tests.examined import findings, gaps, part_of, probe, yielded
from tests.fuzzing import cuts, mutations, survives

FIXTURES = Path(__file__).parents[2] / "fixtures" / "triton_config"
EXPECTED = json.loads((FIXTURES / "expected.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_fixtures(name: str) -> None:
    part = part_of(FIXTURES / name)
    assert {each.rule.id for each in findings(part)} == {each["rule"] for each in EXPECTED[name]}
    assert gaps(part) == []


def test_recognition() -> None:
    assert inspector.recognizes(probe(ONNX.encode(), "repo/flowers/config.pbtxt"))
    assert not inspector.recognizes(probe(ONNX.encode(), "saved_model.pbtxt"))
    assert not inspector.recognizes(probe(b"\0", "config.pbtxt"))


def test_the_line_is_given() -> None:
    (found,) = yielded(inspector, b"# backend: 'x'\n\nbackend: 'python'\n", "config.pbtxt")
    assert isinstance(found, Evidence)
    assert found.location.line == 3


def test_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inspector, "LARGEST", 8)
    with pytest.raises(BudgetExceededError):
        list(yielded(inspector, ONNX.encode(), "config.pbtxt"))


def test_cuts_and_changes_are_survived() -> None:
    data = ONNX.encode()
    for changed in (*cuts(data, 150), *mutations(data, 100)):
        survives(inspector, changed, "config.pbtxt")


@given(st.binary(max_size=200))
@settings(deadline=None, max_examples=80)
def test_any_bytes_are_survived(data: bytes) -> None:
    survives(inspector, data, "config.pbtxt")
