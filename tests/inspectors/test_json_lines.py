"""JSON lines: values that lead out, encoded code and hidden text are seen, ordinary rows are silent."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supplyguard.finding import Evidence, Notification
from supplyguard.inspectors import json_lines as inspector
from tests.examined import findings, gaps, part_of, yielded
from tests.fuzzing import cuts, mutations, survives

FIXTURES = Path(__file__).parents[2] / "fixtures" / "json_lines"
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
    survives(inspector, b"{" + data, "a.jsonl")


def test_many_values_and_long_files_are_cut_short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inspector, "SEARCHED", 2000)
    items = list(yielded(inspector, b'{"path": "file:///a"}\n' * 200, "a.jsonl"))
    assert sum(isinstance(item, Evidence) for item in items) == inspector.SHOWN
    notes = [item for item in items if isinstance(item, Notification)]
    assert [note.code for note in notes] == ["not-listed", "not-searched"]
    assert not any(note.incomplete for note in notes)
