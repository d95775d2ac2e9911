"""Parquet: the footer is read within bounds, and the schema inside it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fixtures.raw_arrow import parquet
from supplyguard.errors import BudgetExceededError, MalformedError, UnsupportedError
from supplyguard.inspectors import parquet as inspector
from supplyguard.limits import Budget, Limits
from tests.examined import findings, gaps, part_of, yielded
from tests.fuzzing import cuts, mutations, survives

FIXTURES = Path(__file__).parents[2] / "fixtures" / "parquet"
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
    survives(inspector, b"PAR1" + data, "a.parquet")


def test_what_is_not_read_is_said() -> None:
    with pytest.raises(UnsupportedError):
        list(yielded(inspector, b"PARE" + bytes(12) + b"PARE"))
    with pytest.raises(MalformedError):
        list(yielded(inspector, b"PAR1PAR1"))
    with pytest.raises(BudgetExceededError):
        list(yielded(inspector, parquet(bytes(20)), budget=Budget(Limits(document_bytes=4))))
