from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from supplyguard.advisories import osv, store_build
from supplyguard.advisories.local import UNUSABLE, LocalDatabase
from supplyguard.config import Settings
from supplyguard.errors import StoreError
from supplyguard.finding import Audit, AuditStatus, Evidence, Notification, Report, Verdict
from supplyguard.inventory import Dependency, Location
from supplyguard.wiring import run_scan, store_status, update_store

NOW = datetime(2026, 3, 1, tzinfo=UTC)
NEWEST = datetime(2026, 2, 3, tzinfo=UTC)


def dependency(name: str) -> Dependency:
    return Dependency(
        name=name, raw_name=name, version="1", location=Location(uri="requirements.txt", line=1)
    )


def make_store(path: Path) -> None:
    affected = [{"package": {"ecosystem": "PyPI", "name": "x"}, "versions": ["1"]}]
    document = {
        "id": "GHSA-1",
        "modified": "2026-02-03T00:00:00Z",
        "aliases": ["CVE-1"],
        "affected": affected,
    }
    store_build.build(path, [osv.parse(document)], source="all.zip")


def junk(path: Path) -> None:
    path.write_bytes(b"not a database" * 100)


def other_version(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 77")
    connection.close()


def no_metadata(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("DELETE FROM meta")
    connection.commit()
    connection.close()


def damaged_bodies(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("UPDATE record SET body = x'00'")
    connection.commit()
    connection.close()


DAMAGES = [junk, other_version, no_metadata, damaged_bodies]


def test_a_whole_store_is_asked(tmp_path: Path) -> None:
    make_store(tmp_path / "s")
    database = LocalDatabase(tmp_path / "s")
    found = list(database.audit([dependency("x"), dependency("y")]))
    assert [type(one) for one in found] == [Evidence, Audit, Audit]
    assert database.data().records == 1


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_store_leaves_nothing_clean(damage: Callable[[Path], None], tmp_path: Path) -> None:
    make_store(tmp_path / "s")
    damage(tmp_path / "s")
    database = LocalDatabase(tmp_path / "s")
    found = list(database.audit([dependency("x"), dependency("z")]))
    audits = [one for one in found if isinstance(one, Audit)]
    assert {(one.status, one.reason) for one in audits} == {(AuditStatus.NOT_AUDITED, UNUSABLE)}
    assert [one.dependency.name for one in audits] == ["x", "z"]
    (note,) = (one for one in found if isinstance(one, Notification))
    assert (note.code, note.incomplete) == ("advisory-store-unusable", True)
    assert "run: supplyguard db update" in note.message
    assert database.data().name == "osv"


@pytest.mark.parametrize("damage", [junk, other_version, no_metadata])
def test_without_dependencies_a_damaged_store_is_only_said(
    damage: Callable[[Path], None], tmp_path: Path
) -> None:
    make_store(tmp_path / "s")
    damage(tmp_path / "s")
    (note,) = LocalDatabase(tmp_path / "s", max_age=1, now=NOW).audit([])
    assert isinstance(note, Notification)
    assert not note.incomplete


def project(tmp_path: Path, text: str) -> Path:
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "requirements.txt").write_text(text)
    return folder


def scanned(tmp_path: Path, folder: Path, **more: int) -> Report:
    return run_scan([folder], Settings(offline=True, db=tmp_path / "s", hub_cache=tmp_path / "none", **more))  # type: ignore[arg-type]


@pytest.mark.parametrize("damage", DAMAGES)
def test_the_scan_goes_on_and_an_update_mends(
    damage: Callable[[Path], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = project(tmp_path, "torch==2.5.1\nx==1\n")
    make_store(tmp_path / "s")
    damage(tmp_path / "s")
    report = scanned(tmp_path, folder)
    assert report.verdict is Verdict.FAIL, "the embedded data knows torch"
    assert {one.dependency.name: one.status for one in report.audits} == {
        "torch": AuditStatus.AFFECTED,
        "x": AuditStatus.NOT_AUDITED,
    }
    assert "advisory-store-unusable" in {one.code for one in report.notifications if one.incomplete}
    if damage is not damaged_bodies:
        with pytest.raises(StoreError):
            list(store_status(Settings(db=tmp_path / "s")))
    mending(tmp_path)
    report = scanned(tmp_path, folder)
    assert {one.status for one in report.audits} == {AuditStatus.AFFECTED}


def mending(tmp_path: Path) -> None:
    import zipfile  # noqa: PLC0415

    affected = [{"package": {"ecosystem": "PyPI", "name": "x"}, "versions": ["1"]}]
    document = {"id": "GHSA-1", "modified": "2026-02-03T00:00:00Z", "affected": affected}
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        archive.writestr("GHSA-1.json", json.dumps(document))
    update_store(Settings(db=tmp_path / "s"), str(tmp_path / "all.zip"))


def test_without_findings_a_damaged_store_makes_the_scan_incomplete(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = project(tmp_path, "x==1\n")
    junk(tmp_path / "s")
    assert scanned(tmp_path, folder).verdict is Verdict.INCOMPLETE


def test_a_store_that_was_asked_for_and_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    report = scanned(tmp_path, project(tmp_path, "x==1\n"))
    assert report.verdict is Verdict.PASS
    (note,) = (one for one in report.notifications if one.code == "advisory-store-missing")
    assert "db update" in note.message


@pytest.mark.parametrize(
    ("max_age", "age", "warned"), [(7, 8, True), (7, 7, False), (0, 900, False), (1, 400, True)]
)
def test_old_data_is_warned_of(max_age: int, age: int, warned: bool, tmp_path: Path) -> None:
    make_store(tmp_path / "s")
    now = NEWEST + timedelta(days=age, hours=3)
    database = LocalDatabase(tmp_path / "s", max_age=max_age, now=now)
    notes = [one for one in database.audit([dependency("y")]) if isinstance(one, Notification)]
    assert [one.code for one in notes] == ["advisories-old"] * warned
    for note in notes:
        assert not note.incomplete
        assert f"{age} days old (newest record of 2026-02-03, at most {max_age} day" in note.message
    assert not list(database.audit([]))


def test_a_store_without_records_has_no_age(tmp_path: Path) -> None:
    store_build.build(tmp_path / "s", [], source="nothing")
    (audit,) = LocalDatabase(tmp_path / "s", max_age=1, now=NOW).audit([dependency("y")])
    assert isinstance(audit, Audit)


def test_old_data_does_not_change_the_verdict(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    make_store(tmp_path / "s")
    folder = project(tmp_path, "y==1\n")
    report = scanned(tmp_path, folder, max_db_age=1)
    assert report.verdict is Verdict.PASS
    assert "advisories-old" in {one.code for one in report.notifications}
    (data,) = (one for one in report.advisory_data if one.name == "osv")
    assert (data.updated, data.records) == (NEWEST, 1)
    report = scanned(tmp_path, folder, max_db_age=0)
    assert "advisories-old" not in {one.code for one in report.notifications}


def test_damage_that_others_meet_is_told(tmp_path: Path) -> None:
    make_store(tmp_path / "s")
    store_build.amend(tmp_path / "s", lambda c: store_build.put_exploited(c, kev=("2026-01-01", ["CVE-1"])))
    database = LocalDatabase(tmp_path / "s")
    assert database.exploited(["CVE-1"]) == (None, True)
    connection = sqlite3.connect(tmp_path / "s")
    connection.execute("DROP TABLE kev")
    connection.commit()
    connection.close()
    assert database.exploited(["CVE-1"]) == (None, False)
    found = list(database.audit([dependency("y")]))
    assert [one.code for one in found if isinstance(one, Notification)] == ["advisory-store-unusable"]
    assert LocalDatabase(tmp_path / "none").exploited(["CVE-1"]) == (None, False)
