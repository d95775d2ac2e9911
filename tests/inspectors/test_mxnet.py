"""MXNet: operators that act and records that do not fit are seen."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from fixtures.make_mxnet import array, parameters
from supplyguard.errors import BudgetExceededError, MalformedError, UnsupportedError
from supplyguard.inspectors import mxnet as inspector
from supplyguard.limits import Budget, Limits
from tests.examined import findings, part_of, probe, yielded
from tests.fuzzing import cuts, mutations, survives

FIXTURES = Path(__file__).parents[2] / "fixtures" / "mxnet"
EXPECTED = json.loads((FIXTURES / "expected.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_fixtures(name: str) -> None:
    found = {each.rule.id for each in findings(part_of(FIXTURES / name))}
    assert found == {each["rule"] for each in EXPECTED[name]}


def test_cut_and_changed_files_are_survived() -> None:
    for number, name in enumerate(sorted(EXPECTED)):
        data = (FIXTURES / name).read_bytes()
        for piece in [*cuts(data, 400), *mutations(data, 40, number)]:
            survives(inspector, piece, name)


@pytest.mark.parametrize(
    "record",
    [b"\1\2\3\4", array()[:4] + b"\1\0\0\0", array(kind=77)],
)
def test_unknown_records_are_said_to_be_unread(record: bytes) -> None:
    with pytest.raises(UnsupportedError):
        list(yielded(inspector, parameters([record], [b"a"])))


def test_other_json_is_not_recognised() -> None:
    assert not inspector.recognizes(probe(b'{"nodes": []}', "a.json"))
    assert not inspector.recognizes(probe(b'{"nodes": [], "arg_nodes": [], "heads": []}', "a.txt"))
    with pytest.raises(MalformedError):
        list(yielded(inspector, b'{"nodes": 3, "arg_nodes": [], "heads": []}', "a.json"))
    assert list(yielded(inspector, b'{"nodes": [3, {}], "arg_nodes": [], "heads": []}', "a.json")) == []
    with pytest.raises(BudgetExceededError):
        list(yielded(inspector, b"{}" * 9, "a.json", Budget(Limits(document_bytes=4))))
