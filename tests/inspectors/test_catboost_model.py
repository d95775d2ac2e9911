"""CatBoost: cores and trees that do not fit, notes, what follows, and honest models."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fixtures.make_catboost_model import model, trees
from supplyguard.errors import BudgetExceededError, MalformedError, UnsupportedError
from supplyguard.finding import Evidence
from supplyguard.inspectors import catboost_model as inspector
from supplyguard.inventory import Member
from supplyguard.limits import Budget, Limits
from tests.examined import content, findings, gaps, part_of, probe, yielded
from tests.fuzzing import cuts, mutations, survives

ROOT = Path(__file__).parents[2] / "fixtures"
FIXTURES = ROOT / "catboost_model"
EXPECTED = json.loads((FIXTURES / "expected.json").read_text(encoding="utf-8"))
HONEST = [*sorted((ROOT / "honest" / "catboost").iterdir()), *sorted((ROOT / "honest").glob("boosters/cat*"))]


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_fixtures(name: str) -> None:
    found = {each.rule.id for each in findings(part_of(FIXTURES / name))}
    assert found == {each["rule"] for each in EXPECTED[name]}


@pytest.mark.parametrize("path", HONEST, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_what_the_library_writes_is_silent(path: Path) -> None:
    part = part_of(path)
    assert (findings(part), gaps(part)) == ([], [])


def test_recognised_by_content() -> None:
    assert inspector.recognizes(probe(model(), "model.bin"))
    assert not inspector.recognizes(probe(b"CBM2", "model.cbm"))


def test_other_versions_are_unread() -> None:
    with pytest.raises(UnsupportedError):
        list(yielded(inspector, model(version="FlabuffersModel_v9")))


def test_what_follows_is_a_member() -> None:
    items = list(yielded(inspector, model(after=b"\x80\x04N.")))
    (member,) = (item for item in items if isinstance(item, Member))
    assert content(member) == b"\x80\x04N."
    assert list(yielded(inspector, model(after=bytes(64)))) == []


def test_parts_that_are_named_may_follow_unless_they_are_unknown() -> None:
    data = bytearray((ROOT / "honest" / "catboost" / "texts.cbm").read_bytes())
    assert list(yielded(inspector, bytes(data))) == []
    place = data.index(b"text_process_v2")
    data[place : place + 4] = b"nest"
    (found, member) = yielded(inspector, bytes(data))
    assert isinstance(found, Evidence)
    assert found.facts["parts"] == ("nest_process_v2",)
    assert isinstance(member, Member)


def test_evidence_before_a_fault_is_kept() -> None:
    sizes = struct.pack("<Iii", 2, 1, 1)
    data = model(trees(), {"a": "#!/bin/sh"}).replace(sizes, b"\xff" + sizes[1:3] + b"\x7f" + sizes[4:])
    stream = yielded(inspector, data)
    kinds = [next(stream), next(stream)]
    assert [isinstance(each, Evidence) and each.kind for each in kinds] == ["catboost-text", "catboost-flaw"]
    with pytest.raises(MalformedError):
        next(stream)


def test_limits_hold() -> None:
    with pytest.raises(BudgetExceededError):
        list(yielded(inspector, model(), budget=Budget(Limits(nodes=3))))


def test_cut_and_changed_files_are_survived() -> None:
    data = model()
    for piece in [*cuts(data), *mutations(data, 300)]:
        survives(inspector, piece)


@given(st.binary(max_size=200))
@settings(max_examples=150, deadline=None)
def test_any_bytes_are_survived(data: bytes) -> None:
    survives(inspector, b"CBM1" + data)
