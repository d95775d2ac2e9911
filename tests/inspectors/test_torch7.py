"""Torch7: functions are seen in both forms; lengths beyond the file and unknown objects end the walk."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from fixtures.make_torch7 import Binary, Text, function, instance, model, number, table
from supplyguard.errors import BudgetExceededError, MalformedError
from supplyguard.finding import Evidence, Notification
from supplyguard.inspectors import torch7 as inspector
from supplyguard.limits import Budget, Limits
from tests.examined import findings, gaps, part_of, probe, yielded
from tests.fuzzing import cuts, mutations, survives

FIXTURES = Path(__file__).parents[2] / "fixtures" / "torch7"
EXPECTED = json.loads((FIXTURES / "expected.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_fixtures(name: str) -> None:
    part = part_of(FIXTURES / name)
    assert [each.rule.id for each in findings(part)] == [each["rule"] for each in EXPECTED[name]]
    assert gaps(part) == []


def test_cut_and_changed_files_are_survived() -> None:
    for number_, name in enumerate(sorted(EXPECTED)):
        data = (FIXTURES / name).read_bytes()
        for piece in [*cuts(data, 150), *mutations(data, 30, number_)]:
            survives(inspector, piece, name)


def test_a_function_says_what_it_names() -> None:
    (found,) = yielded(inspector, function(Binary, 1))
    assert isinstance(found, Evidence)
    assert found.facts["words"] == ("os", "execute")
    assert found.facts["form"] == "LuaJIT bytecode"
    assert found.location.offset == 0


def test_a_function_before_a_fault_is_kept() -> None:
    walk = yielded(inspector, function(Binary, 1) + b"\x63\0\0\0")
    assert isinstance(next(walk), Evidence)
    with pytest.raises(MalformedError):
        next(walk)


def test_a_function_met_again_is_told_once() -> None:
    pairs = [(number(Binary, 1.0), function(Binary, 2)), (number(Binary, 2.0), Binary.integers(8, 2))]
    assert len(list(yielded(inspector, table(Binary, 1, *pairs)))) == 1


def test_many_functions_are_not_all_listed() -> None:
    data = b"".join(function(Binary, 2 * index + 1) for index in range(60))
    found = list(yielded(inspector, data))
    assert len(found) == 51
    assert isinstance(found[-1], Notification)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        Binary.integers(3, 1, 1 << 30),
        Binary.integers(3, 1, -1),
        Binary.integers(2, -5),
        Binary.integers(8, 1, 1 << 30),
        Binary.integers(77),
        instance(Binary, 1, b"torch.FloatStorage", Binary.longs(1 << 60)),
        instance(Binary, 1, b"torch.FloatStorage", Binary.longs(3) + bytes(8)),
        instance(Binary, 1, b"torch.CudaTensor", Binary.integers(1 << 30)),
        b"".join(Binary.integers(3, index, 3) for index in range(8)),
        b"3\n1\n99999\n",
        b"2\n50\nabc\n",
        b"2\nx\n",
        b"1\n*\n",
    ],
)
def test_bombs_and_nonsense_end_at_once(data: bytes) -> None:
    with pytest.raises(MalformedError):
        list(yielded(inspector, data, "a.t7"))


def test_deep_tables_are_walked_without_recursion() -> None:
    depth = 5000
    data = b"".join(Binary.integers(3, index, 1, 5, 1) for index in range(depth)) + Binary.integers(0)
    assert list(yielded(inspector, data)) == []


def test_recognised_by_content() -> None:
    for data in (
        model(Binary),
        model(Text),
        function(Binary, 1),
        function(Text, 1, 6),
        function(Binary, 1, 6),
    ):
        assert inspector.recognizes(probe(data, "weights"))
    for other in (b"", b"3\n1\n5\n2\n4\n", b"4\n1\n3\n", b"\4\0\0\0\1\0\0\0", b"1 2\n3 4\n", bytes(40)):
        assert not inspector.recognizes(probe(other, "weights"))


def test_a_large_text_is_not_read() -> None:
    with pytest.raises(BudgetExceededError):
        list(yielded(inspector, model(Text), "a.t7", Budget(Limits(document_bytes=8))))


def test_versionless_classes_are_read() -> None:
    data = Binary.integers(4, 1) + Binary.characters(b"nn.Old") + table(Binary, 2)
    assert list(yielded(inspector, data)) == []
