"""PaddlePaddle's programs: operators that act and odd attributes are seen, in both forms."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fixtures.make_paddle_program import operator, pir, program
from supplyguard.errors import BudgetExceededError, MalformedError
from supplyguard.finding import Evidence, Notification
from supplyguard.inspectors import paddle_program as inspector
from supplyguard.limits import Budget, Limits
from tests.examined import findings, gaps, part_of, probe, yielded
from tests.fuzzing import cuts, mutations, survives

ROOT = Path(__file__).parents[2] / "fixtures"
FIXTURES = ROOT / "paddle_program"
EXPECTED = json.loads((FIXTURES / "expected.json").read_text(encoding="utf-8"))
HONEST = [*(ROOT / "honest" / "paddle").glob("*.pdmodel"), *(ROOT / "honest" / "paddle").glob("*.json")]


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_fixtures(name: str) -> None:
    part = part_of(FIXTURES / name)
    assert {each.rule.id for each in findings(part)} == {each["rule"] for each in EXPECTED[name]}
    assert not gaps(part)


def test_honest_files_are_silent() -> None:
    assert len(HONEST) >= 3
    for path in HONEST:
        part = part_of(path)
        assert inspector.recognizes(probe(path.read_bytes(), "model"))
        assert not findings(part), path
        assert not gaps(part), path


def test_cut_and_changed_files_are_survived() -> None:
    for number, name in enumerate(sorted(EXPECTED)):
        data = (FIXTURES / name).read_bytes()
        for piece in [*cuts(data, 200), *mutations(data, 40, number)]:
            survives(inspector, piece, name)


@given(st.binary(max_size=300))
def test_any_bytes_are_survived(data: bytes) -> None:
    survives(inspector, b"\n" + data, "__model__")
    survives(inspector, b'{"base_code":{"magic":"pir"},' + data)


def test_other_files_are_not_recognised() -> None:
    assert inspector.recognizes(probe(program(), "any"))
    assert not inspector.recognizes(probe(b"\n\x03abc", "any"))
    assert not inspector.recognizes(probe(b'{"base_code": 3}', "a.json"))


def test_a_document_may_begin_with_a_line_end() -> None:
    found = list(yielded(inspector, b"\n" + pir("1.py_func"), "a.pdmodel"))
    assert [type(each) for each in found] == [Evidence]


def test_what_came_before_a_fault_is_kept() -> None:
    items = yielded(inspector, program(operator("py_func")) + b"\x0a\x7f")
    assert isinstance(next(items), Evidence)
    with pytest.raises(MalformedError):
        list(items)


def test_no_more_than_some_are_listed() -> None:
    assert len(list(yielded(inspector, program(*[operator("mine")] * 90)))) == 1
    found = list(yielded(inspector, program(*[operator(f"mine{n}") for n in range(90)])))
    assert len(found) == inspector.SHOWN + 1
    assert isinstance(found[-1], Notification)


def test_documents_without_a_program_or_beyond_the_limits_are_refused() -> None:
    with pytest.raises(MalformedError):
        list(yielded(inspector, b'{"base_code": {"magic": "pir"}, "program": 3}'))
    with pytest.raises(BudgetExceededError):
        list(yielded(inspector, pir("1.relu"), "a.json", Budget(Limits(document_bytes=4))))


@pytest.mark.parametrize("attributes", [3, [3, {"N": "a"}, {"AT": {"D": [{"D": 3}]}}]])
def test_odd_attributes_are_passed_over(attributes: object) -> None:
    document = {"base_code": {"magic": "pir"}, "program": {"#": "1.relu", "A": attributes}}
    assert not list(yielded(inspector, json.dumps(document).encode()))
