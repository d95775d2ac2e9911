"""SQLite: statements that act are seen, wherever the schema keeps them."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fixtures.make_sqlite_database import schema, tree
from supplyguard.errors import MalformedError
from supplyguard.finding import Evidence, Notification
from supplyguard.inspectors import sqlite_database as inspector
from tests.examined import findings, gaps, part_of, yielded
from tests.fuzzing import cuts, mutations, survives

FIXTURES = Path(__file__).parents[2] / "fixtures" / "sqlite_database"
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
    survives(inspector, b"SQLite format 3\\0" + data, "a.db")


@pytest.mark.parametrize("pages", [[1, 1], [2, 2], [0, 2], [99, 2]])
def test_pages_that_lead_nowhere_or_in_circles(pages: list[int]) -> None:
    row = ("table", "rows", "CREATE TABLE rows (a)")
    with pytest.raises(MalformedError):
        list(yielded(inspector, tree(pages, row)))


def test_what_python_writes_is_read(tmp_path: Path) -> None:
    place = tmp_path / "a.db"
    connection = sqlite3.connect(place)
    connection.execute("pragma encoding = 'UTF-16'")
    for number in range(300):
        connection.execute(f"create table table_{number} (a, b)")
    connection.execute("create trigger t after insert on table_1 begin select load_extension('echo'); end")
    connection.commit()
    connection.close()
    assert [each.rule.id for each in findings(part_of(place))] == ["sqlite-statement-reaches-out"]


def test_many_statements_are_cut_short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inspector, "SHOWN", 1)
    row = ("view", "v", "CREATE VIEW v AS SELECT edit(a) FROM rows")
    items = list(yielded(inspector, schema(row, row)))
    assert [type(item) for item in items] == [Evidence, Notification]
