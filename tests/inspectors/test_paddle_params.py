"""PaddlePaddle's combined parameters: records that do not fit are seen."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fixtures.make_paddle_params import tensor
from supplyguard.errors import MalformedError, UnsupportedError
from supplyguard.finding import Evidence
from supplyguard.inspectors import paddle_params as inspector
from tests.examined import findings, gaps, part_of, probe, yielded
from tests.fuzzing import cuts, mutations, survives

ROOT = Path(__file__).parents[2] / "fixtures"
FIXTURES = ROOT / "paddle_params"
EXPECTED = json.loads((FIXTURES / "expected.json").read_text(encoding="utf-8"))
HONEST = sorted((ROOT / "honest" / "paddle").glob("*.pdiparams"))


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_fixtures(name: str) -> None:
    found = {each.rule.id for each in findings(part_of(FIXTURES / name))}
    assert found == {each["rule"] for each in EXPECTED[name]}


def test_honest_files_are_silent() -> None:
    assert HONEST
    for path in HONEST:
        part = part_of(path)
        assert inspector.recognizes(probe(path.read_bytes(), "params"))
        assert not findings(part), path
        assert not gaps(part), path


def test_cut_and_changed_files_are_survived() -> None:
    for number, name in enumerate(sorted(EXPECTED)):
        data = (FIXTURES / name).read_bytes()
        for piece in [*cuts(data, 300), *mutations(data, 40, number)]:
            survives(inspector, piece, name)


@given(st.binary(max_size=300))
def test_any_bytes_are_survived(data: bytes) -> None:
    survives(inspector, data)
    survives(inspector, bytes(16) + data)


def test_the_record_that_does_not_fit_is_told() -> None:
    items = yielded(inspector, tensor(2, 3) + tensor(2, 3)[:-1])
    found = next(items)
    assert isinstance(found, Evidence)
    assert found.facts["number"] == 2
    with pytest.raises(MalformedError):
        next(items)


def test_unknown_types_are_said_to_be_unread() -> None:
    with pytest.raises(UnsupportedError):
        list(yielded(inspector, tensor(2, kind=25)))


def test_zeros_and_pickles_are_not_recognised() -> None:
    assert not inspector.recognizes(probe(bytes(400), "a.bin"))
    assert not inspector.recognizes(probe(b"\x80\x04}.", "a.pdiparams"))
