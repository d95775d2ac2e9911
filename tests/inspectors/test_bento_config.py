"""BentoML's files: build steps, sources and paths are named; ordinary ones are silent."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fixtures.make_bento_config import PLAIN
from supplyguard.errors import BudgetExceededError, MalformedError
from supplyguard.inspectors import bento_config as inspector
from tests.examined import findings, gaps, part_of, probe, yielded
from tests.fuzzing import cuts, mutations, survives

FIXTURES = Path(__file__).parents[2] / "fixtures" / "bento_config"
EXPECTED = json.loads((FIXTURES / "expected.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_fixtures(name: str) -> None:
    part = part_of(FIXTURES / name)
    assert {each.rule.id for each in findings(part)} == {each["rule"] for each in EXPECTED[name]}
    assert gaps(part) == []


def test_recognition() -> None:
    assert inspector.recognizes(probe(PLAIN.encode(), "x/Bentofile.yaml"))
    assert not inspector.recognizes(probe(b"a: 1", "bento.yaml"))
    assert not inspector.recognizes(probe(PLAIN.encode(), "x.yaml"))


def test_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(MalformedError):
        list(yielded(inspector, b"service: [", "bento.yaml"))
    monkeypatch.setattr(inspector, "LARGEST", 8)
    with pytest.raises(BudgetExceededError):
        list(yielded(inspector, PLAIN.encode(), "bento.yaml"))


def test_cuts_and_changes_are_survived() -> None:
    data = PLAIN.encode()
    for changed in (*cuts(data, 100), *mutations(data, 80)):
        survives(inspector, changed, "bento.yaml")


@given(st.binary(max_size=200))
@settings(deadline=None, max_examples=60)
def test_any_bytes_are_survived(data: bytes) -> None:
    survives(inspector, data, "bento.yaml")
