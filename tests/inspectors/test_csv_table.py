"""Tables: formulas are seen once a file, ordinary cells are silent, and work is bounded."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supplyguard.finding import Evidence, Notification
from supplyguard.inspectors import csv_table as inspector
from supplyguard.wire.text_pieces import OVERLAP, PIECE
from tests.examined import findings, part_of, probe, yielded
from tests.fuzzing import cuts, mutations, survives

FIXTURES = Path(__file__).parents[2] / "fixtures" / "csv_table"
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


@given(st.binary(max_size=200))
def test_any_bytes_are_survived(data: bytes) -> None:
    survives(inspector, data, "a.csv")
    survives(inspector, b"\xff\xfe" + data, "a.csv")


@pytest.mark.parametrize("back", [0, 1, 5, 20, OVERLAP])
def test_a_cell_across_pieces_is_seen_at_its_place(back: int) -> None:
    before = b"1,-2\n" * ((PIECE + 3 - back) // 5)
    (seen,) = yielded(inspector, before + b"=HYPERLINK(A1)\n", "a.csv")
    assert isinstance(seen, Evidence)
    assert seen.location.offset == len(before)


def test_what_is_not_searched_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inspector, "SEARCHED", 1000)
    (note,) = yielded(inspector, b"a,b\n" * 300 + b"=HYPERLINK(A1)\n", "a.csv")
    assert isinstance(note, Notification)
    assert not note.incomplete


def test_names_decide() -> None:
    assert inspector.recognizes(probe(b"a,b", "A.CSV"))
    assert not inspector.recognizes(probe(b"a,b", "a.txt"))
    assert not inspector.recognizes(probe(b"a\0b", "a.csv"))
