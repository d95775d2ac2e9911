from __future__ import annotations

import io
import json
import sqlite3
import zipfile
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from supplyguard.advisories import incremental
from supplyguard.advisories.store import Store
from supplyguard.advisories.update import update
from supplyguard.errors import FetchError
from supplyguard.finding import Audit, AuditStatus, Evidence
from supplyguard.inventory import Dependency, Location
from tests.stand_in import Answer, Asked, serve

Documents = dict[str, dict[str, Any]]


def record(identifier: str, day: int = 1, name: str = "x", **fields: Any) -> dict[str, Any]:
    affected = [{"package": {"ecosystem": "PyPI", "name": name}, "versions": ["1"]}]
    return {"id": identifier, "modified": f"2026-02-{day:02}T00:00:00.123Z", "affected": affected, **fields}


class Export:
    """OSV's export of one ecosystem: the zip may be older than the list and the single files."""

    def __init__(self, *documents: dict[str, Any]) -> None:
        self.now: Documents = {one["id"]: one for one in documents}
        self.zipped: Documents = dict(self.now)
        self.asked: list[str] = []
        self.fault: Callable[[Asked], Answer | None] = lambda _asked: None

    def put(self, *documents: dict[str, Any]) -> None:
        self.now.update({one["id"]: one for one in documents})

    def lines(self) -> str:
        rows = sorted(((one["modified"], one["id"]) for one in self.now.values()), reverse=True)
        return "".join(f"{time},{identifier}\n" for time, identifier in rows)

    def archive(self) -> bytes:
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            for identifier, document in self.zipped.items():
                archive.writestr(f"{identifier}.json", json.dumps(document))
        return buffer.getvalue()

    def __call__(self, asked: Asked) -> Answer:
        name = asked.path.removeprefix("/PyPI/")
        self.asked.append(name)
        given = self.fault(asked)
        if given is not None:
            return given
        if name == "all.zip":
            return Answer(body=self.archive())
        if name == "modified_id.csv":
            return Answer(body=self.lines().encode())
        document = self.now.get(name.removesuffix(".json"))
        return Answer(status=404) if document is None else Answer(body=json.dumps(document).encode())

    def asked_for(self) -> list[str]:
        """What was asked for since the last time, in order of name."""
        names, self.asked = sorted(self.asked), []
        return names


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "cache" / "advisories.sqlite3"


def statuses(place: Path, *names: str) -> list[AuditStatus]:
    here = Location(uri="requirements.txt")
    wanted = [Dependency(name=name, raw_name=name, version="1", location=here) for name in names]
    return [one.status for one in Store(place).audit(wanted) if isinstance(one, Audit)]


AFFECTED, CLEAN = AuditStatus.AFFECTED, AuditStatus.CLEAN
OLD = [record(f"OLD-{count}", name=f"old{count}") for count in range(20)]


def test_only_what_is_new_is_fetched(place: Path) -> None:
    export = Export(*OLD, record("A-1"))
    with serve(export) as base:
        origin = f"{base}/PyPI/all.zip"
        update(place, origin)
        assert export.asked_for() == ["all.zip"]
        update(place, origin)
        assert export.asked_for() == ["modified_id.csv"]
        export.put(
            record("A-1", 3, name="y"),
            record("A-2", 4, name="z", aliases=["OLD-1"]),
            record("OLD-2", 5, name="old2", withdrawn="2026-02-05T00:00:00Z"),
            record("A-3", 6, name="npm-only", affected=[]),
        )
        data = update(place, origin)
        assert export.asked_for() == ["A-1.json", "A-2.json", "A-3.json", "OLD-2.json", "modified_id.csv"]
        assert update(place, origin) == data
        assert export.asked_for() == ["modified_id.csv"]
    assert data.records == 21
    assert data.updated == datetime(2026, 2, 6, tzinfo=UTC)
    assert statuses(place, "x", "y", "z", "old1", "old2", "old3") == [
        CLEAN,
        AFFECTED,
        AFFECTED,
        AFFECTED,
        CLEAN,
        AFFECTED,
    ]
    dependency = Dependency(name="old1", raw_name="old1", version="1", location=Location(uri="r.txt"))
    evidence = next(iter(Store(place).audit([dependency])))
    assert isinstance(evidence, Evidence)
    assert evidence.facts["aliases"] == ("A-2", "OLD-1"), "the new record joins the old one"
    assert not list((place.parent / "downloads").rglob("*.json"))


def test_the_result_is_that_of_a_whole_import(place: Path, tmp_path: Path) -> None:
    export = Export(*OLD)
    with serve(export) as base:
        origin = f"{base}/PyPI/all.zip"
        update(place, origin)
        export.put(*(record(f"OLD-{n}", 2, name=f"old{n}", aliases=[f"OLD-{n + 1}"]) for n in range(5)))
        update(place, origin)
        export.zipped = export.now
        update(tmp_path / "whole", origin, full=True)
    assert problems(place) == problems(tmp_path / "whole")
    assert Store(place).data() == Store(tmp_path / "whole").data()


def problems(path: Path) -> list[list[tuple[str, str]]]:
    connection = sqlite3.connect(path)
    rows = connection.execute(
        "SELECT r.problem, r.id, p.name FROM record r JOIN package p ON p.record = r.number"
    ).fetchall()
    connection.close()
    joined: dict[int, list[tuple[str, str]]] = {}
    for problem, identifier, name in rows:
        joined.setdefault(problem, []).append((identifier, name))
    return sorted(sorted(group) for group in joined.values())


def test_full_fetches_everything(place: Path) -> None:
    export = Export(*OLD)
    with serve(export) as base:
        update(place, f"{base}/PyPI/all.zip")
        update(place, f"{base}/PyPI/all.zip", full=True)
    assert export.asked_for() == ["all.zip", "all.zip"]


def test_an_interrupted_update_goes_on(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)
    export = Export(*OLD)
    with serve(export) as base:
        origin = f"{base}/PyPI/all.zip"
        update(place, origin)
        before = place.read_bytes()
        export.put(*(record(f"N-{count}", 3) for count in range(9)))
        export.fault = lambda asked: (
            Answer(status=404) if asked.path.endswith(("N-4.json", "all.zip")) else None
        )
        with pytest.raises(FetchError):
            update(place, origin)
        assert place.read_bytes() == before
        export.asked_for()
        export.fault = lambda _asked: None
        update(place, origin)
        assert export.asked_for() == ["N-4.json", "modified_id.csv"]
    assert statuses(place, "x") == [AFFECTED]


def later(export: Export, **faults: Answer) -> None:
    export.put(record("A-9", 9, name="new"))
    export.zipped = export.now
    named: Mapping[str, Answer] = faults
    export.fault = lambda asked: next(
        (answer for part, answer in named.items() if part in asked.path.replace("-", "_")), None
    )


@pytest.mark.parametrize(
    "faults",
    [
        {"modified_id": Answer(status=404)},
        {"modified_id": Answer(body=b"")},
        {"modified_id": Answer(body=b"<html>")},
        {"modified_id": Answer(body="2026-02-09T00:00:00Z,é\n".encode())},
        {"modified_id": Answer(body=b"2026-99-09T00:00:00Z,A-9\n")},
        {"modified_id": Answer(body=b"2026-02-01T00:00:00Z,OLD-1\n2026-02-09T00:00:00Z,A-9\n")},
        {"modified_id": Answer(body=b"2026-02-09T00:00:00Z,A-9\n2026-02-01T00:00:00Z,OLD-1\n")},
        {"modified_id": Answer(body=b"2026-02-09T00:00:00Z,A-9\n", length=9_999)},
        {"modified_id": Answer(status=302, headers={"Location": "https://elsewhere.example/"})},
        {"A_9": Answer(status=404)},
        {"A_9": Answer(body=b"{")},
        {"A_9": Answer(body=json.dumps(record("A-8")).encode())},
    ],
    ids=lambda faults: next(iter(faults)),
)
def test_whatever_is_odd_means_the_whole_zip(
    faults: dict[str, Answer], place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)
    export = Export(*OLD)
    said: list[str] = []
    with serve(export) as base:
        origin = f"{base}/PyPI/all.zip"
        update(place, origin)
        later(export, **faults)
        export.asked_for()
        update(place, origin, progress=said.append)
    assert "all.zip" in export.asked_for()
    assert any(text.startswith("fetching all advisories: ") for text in said)
    assert statuses(place, "new", "old3") == [AFFECTED, AFFECTED]


def test_a_record_that_breaks_the_format_concerns_its_packages(place: Path) -> None:
    export = Export(*OLD)
    with serve(export) as base:
        origin = f"{base}/PyPI/all.zip"
        update(place, origin)
        broken = record("OLD-1", 9, name="old1", aliases=7)
        export.put(broken)
        update(place, origin)
        assert statuses(place, "old1", "old2") == [AuditStatus.NOT_AUDITED, AFFECTED]
        export.asked_for()
        update(place, origin)
        assert export.asked_for() == ["modified_id.csv"], "it is not fetched again"
        export.put(record("OLD-1", 10, name="old1"))
        update(place, origin)
    assert statuses(place, "old1") == [AFFECTED]


def test_too_many_mean_the_whole_zip(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(incremental, "_MOST", 3)
    export = Export(*OLD)
    with serve(export) as base:
        origin = f"{base}/PyPI/all.zip"
        update(place, origin)
        export.put(*(record(f"N-{count}", 3) for count in range(4)))
        export.asked_for()
        update(place, origin)
    assert export.asked_for() == ["all.zip", "modified_id.csv"]


@pytest.mark.parametrize(
    "value",
    [(datetime.now(UTC) - timedelta(days=31)).isoformat(), "", "some day"],
    ids=["old", "none", "odd"],
)
def test_a_whole_import_now_and_then(value: str, place: Path) -> None:
    export = Export(*OLD)
    with serve(export) as base:
        origin = f"{base}/PyPI/all.zip"
        update(place, origin)
        connection = sqlite3.connect(place)
        connection.execute("UPDATE meta SET value = ? WHERE key = 'full'", (value,))
        connection.commit()
        connection.close()
        export.asked_for()
        update(place, origin)
    assert export.asked_for() == ["all.zip"]


def test_another_source_or_name_means_the_whole_zip(place: Path) -> None:
    export = Export(*OLD)
    with serve(export) as base:
        update(place, f"{base}/PyPI/all.zip")
        export.fault = lambda asked: (
            Answer(body=export.archive()) if asked.path.endswith(("a.zip", "b/all.zip")) else None
        )
        export.asked_for()
        update(place, f"{base}/PyPI/a.zip")
        update(place, f"{base}/PyPI/b/all.zip")
    assert export.asked_for() == ["a.zip", "b/all.zip"]
