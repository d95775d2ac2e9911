"""PMML: declarations, functions, extensions, references, and honest exports."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fixtures.make_pmml import define, document, extension
from supplyguard.errors import BudgetExceededError, MalformedError
from supplyguard.finding import Evidence, Notification
from supplyguard.inspectors import pmml as inspector
from supplyguard.limits import Budget, Limits
from tests.examined import findings, gaps, part_of, probe, yielded
from tests.fuzzing import cuts, mutations, survives

ROOT = Path(__file__).parents[2] / "fixtures"
FIXTURES = ROOT / "pmml"
EXPECTED = json.loads((FIXTURES / "expected.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_fixtures(name: str) -> None:
    found = {each.rule.id for each in findings(part_of(FIXTURES / name))}
    wanted = {each["rule"] for each in EXPECTED[name]}
    assert wanted <= found
    assert found - wanted <= {"pmml-declaration"}


@pytest.mark.parametrize("path", sorted((ROOT / "honest" / "pmml").iterdir()), ids=lambda path: path.name)
def test_what_exporters_write_is_silent(path: Path) -> None:
    part = part_of(path)
    assert (part.evidence, gaps(part)) == ([], [])


def test_recognised_by_content() -> None:
    assert inspector.recognizes(probe(document(), "model.xml"))
    assert inspector.recognizes(probe(b"", "model.pmml"))
    assert not inspector.recognizes(probe(b"<html>PMML</html>", "a.xml"))
    with pytest.raises(MalformedError):
        list(yielded(inspector, b"no xml"))


def test_functions_that_are_defined_later_are_fine() -> None:
    data = document(function="a.b").replace(b"</PMML>", define("a.b", "+").encode() + b"</PMML>")
    assert list(yielded(inspector, data)) == []


def test_longer_cycles_and_shared_functions() -> None:
    assert inspector.cycle_in({"a": {"b", "c"}, "b": {"c"}, "c": set()}) is None
    assert inspector.cycle_in({"a": {"b"}, "b": {"c"}, "c": {"b"}}) == "b"


def test_text_outside_of_extensions_is_plain() -> None:
    assert list(yielded(inspector, document("<X>import os</X>"))) == []


def test_many_findings_are_listed_up_to_a_number() -> None:
    items = list(yielded(inspector, document(extension("", "eval(x)") * 99)))
    assert len([item for item in items if isinstance(item, Evidence)]) == inspector.SHOWN
    assert isinstance(items[-1], Notification)


def test_evidence_before_a_fault_is_kept() -> None:
    data = document(extension("", "eval(x)"))
    stream = yielded(inspector, data[: data.index(b"</PMML>")])
    assert isinstance(next(stream), Evidence)
    with pytest.raises(MalformedError):
        list(stream)


def test_limits_hold() -> None:
    with pytest.raises(BudgetExceededError):
        list(yielded(inspector, b"<PMML>" + b"<Node>" * 5000))
    with pytest.raises(BudgetExceededError):
        list(yielded(inspector, document(), budget=Budget(Limits(nodes=9))))


def test_cut_and_changed_files_are_survived() -> None:
    data = document(define("f", "g") + extension("<a>import os</a>"))
    for piece in [*cuts(data), *mutations(data, 200)]:
        survives(inspector, piece)


@given(st.binary(max_size=200))
@settings(max_examples=150, deadline=None)
def test_any_bytes_are_survived(data: bytes) -> None:
    survives(inspector, b"<PMML>" + data)
