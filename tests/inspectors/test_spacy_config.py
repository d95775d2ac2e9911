"""spaCy configurations: functions of others, callbacks, paths and templates are named."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fixtures.make_spacy_config import CORE
from supplyguard.errors import BudgetExceededError, MalformedError
from supplyguard.finding import Evidence
from supplyguard.inspectors import spacy_config as inspector
from tests.examined import findings, gaps, part_of, probe, yielded
from tests.fuzzing import cuts, mutations, survives

FIXTURES = Path(__file__).parents[2] / "fixtures" / "spacy_config"
EXPECTED = json.loads((FIXTURES / "expected.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_fixtures(name: str) -> None:
    part = part_of(FIXTURES / name)
    assert {each.rule.id for each in findings(part)} == {each["rule"] for each in EXPECTED[name]}
    assert gaps(part) == []


def test_recognition() -> None:
    assert inspector.recognizes(probe(CORE.encode(), "model/Config.cfg"))
    assert not inspector.recognizes(probe(b"[metadata]\nname = x\n", "setup.cfg"))
    assert not inspector.recognizes(probe(b"[nlp]\nlang = en\n", "config.cfg"))
    assert not inspector.recognizes(probe(CORE.encode(), "config.txt"))


def test_the_line_is_given_and_values_need_no_quotes() -> None:
    data = b"[nlp]\n\n[components.x]\nfactory = payload\n@architectures = [1]\n"
    (found,) = yielded(inspector, data, "config.cfg")
    assert isinstance(found, Evidence)
    assert (found.location.line, found.facts["value"]) == (4, "payload")


def test_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(MalformedError):
        list(yielded(inspector, b"[nlp]\n\xff", "config.cfg"))
    monkeypatch.setattr(inspector, "LARGEST", 8)
    with pytest.raises(BudgetExceededError):
        list(yielded(inspector, CORE.encode(), "config.cfg"))


def test_cuts_and_changes_are_survived() -> None:
    data = CORE.encode()
    for changed in (*cuts(data, 150), *mutations(data, 100)):
        survives(inspector, changed, "config.cfg")


@given(st.binary(max_size=200))
@settings(deadline=None, max_examples=80)
def test_any_bytes_are_survived(data: bytes) -> None:
    survives(inspector, data, "config.cfg")
