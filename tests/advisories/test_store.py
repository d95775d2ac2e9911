from __future__ import annotations

import os
import sqlite3
import sys
import threading
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from supplyguard.advisories import osv, store, store_build
from supplyguard.advisories.store import Refused, Store
from supplyguard.errors import StoreError
from supplyguard.finding import Audit, AuditStatus, Evidence
from supplyguard.inventory import Dependency, Location

HERE = Location(uri="requirements.txt", line=1)


def dependency(name: str, version: str | None) -> Dependency:
    return Dependency(name=name, raw_name=name, version=version, location=HERE)


def record(identifier: str, name: str = "x", fixed: str = "2", **fields: Any) -> osv.Record:
    events = [{"introduced": "0"}, {"fixed": fixed}]
    affected = {
        "package": {"ecosystem": "PyPI", "name": name},
        "ranges": [{"type": "ECOSYSTEM", "events": events}],
    }
    return osv.parse({"id": identifier, "modified": "2026-02-03T00:00:00Z", "affected": [affected], **fields})


@pytest.fixture
def path(tmp_path: Path) -> Path:
    place = tmp_path / "cache" / "advisories.sqlite3"
    items: list[osv.Record | Refused] = [
        record("PYSEC-1", aliases=["CVE-1"]),
        record("GHSA-1", fixed="3", aliases=["CVE-1"], database_specific={"severity": "HIGH"}),
        record("GHSA-2", name="y"),
        record("PYSEC-2", name="y", aliases=["GHSA-2"], withdrawn="2026-01-01T00:00:00Z"),
        Refused(id="PYSEC-9", names=frozenset({"z", "y"}), reason="PYSEC-9: modified is not a time"),
    ]
    store_build.build(place, items, source="https://example/all.zip", etag='"e"')
    return place


def audits(path: Path, *wanted: Dependency) -> dict[str, Audit]:
    return {one.dependency.name: one for one in Store(path).audit(wanted) if isinstance(one, Audit)}


def test_what_the_store_is(path: Path) -> None:
    data = Store(path).data()
    assert (data.name, data.records, data.origin) == ("osv", 3, "https://example/all.zip")
    assert data.updated is not None
    assert data.updated.isoformat() == "2026-02-03T00:00:00+00:00"
    assert Store(path).meta["etag"] == '"e"'
    assert [one.name for one in path.parent.iterdir()] == ["advisories.sqlite3"]


def test_every_package_is_covered(path: Path) -> None:
    found = audits(path, dependency("x", "3"), dependency("never-heard-of", "1"), dependency("x-2", None))
    assert found["x"].status is AuditStatus.CLEAN
    assert found["never-heard-of"].status is AuditStatus.CLEAN
    assert found["x-2"].reason == "no exact version"


def test_one_problem_is_one_evidence(path: Path) -> None:
    evidence, audit = Store(path).audit([dependency("x", "1")])
    assert isinstance(evidence, Evidence)
    assert evidence.facts["aliases"] == ("CVE-1", "GHSA-1", "PYSEC-1")
    assert evidence.facts["severity"] == "high"
    assert evidence.facts["upgrade"] == "3"
    assert isinstance(audit, Audit)
    assert audit.status is AuditStatus.AFFECTED


def test_aliases_come_from_the_whole_group(path: Path) -> None:
    evidence, _ = Store(path).audit([dependency("x", "2.5")])
    assert isinstance(evidence, Evidence)
    assert evidence.facts["aliases"] == ("CVE-1", "GHSA-1", "PYSEC-1"), "PYSEC-1 itself does not match 2.5"


def test_packages_of_refused_records_are_never_clean(path: Path) -> None:
    found = audits(path, dependency("z", "1"), dependency("y", "1"), dependency("y", "5"))
    assert found["z"].status is AuditStatus.NOT_AUDITED
    assert found["z"].reason == "PYSEC-9: modified is not a time could not be read"
    assert found["y"].status is AuditStatus.NOT_AUDITED
    evidence, audit = Store(path).audit([dependency("y", "1")])
    assert isinstance(evidence, Evidence)
    assert isinstance(audit, Audit)
    assert audit.status is AuditStatus.AFFECTED


def test_many_dependencies_are_answered_in_order(path: Path) -> None:
    wanted = [dependency("x", f"1.{count}") for count in range(600)]
    answers = [one for one in Store(path).audit(wanted) if isinstance(one, Audit)]
    assert [one.dependency for one in answers] == wanted


def test_one_record_of_two_packages(tmp_path: Path) -> None:
    document = {
        "id": "GHSA-1",
        "modified": "2026-02-03T00:00:00Z",
        "affected": [
            {"package": {"ecosystem": "PyPI", "name": name}, "versions": ["1"]} for name in ("a", "b")
        ],
    }
    store_build.build(tmp_path / "s", [osv.parse(document)], source="x")
    found = audits(tmp_path / "s", dependency("a", "1"), dependency("b", "1.0"))
    assert {one.status for one in found.values()} == {AuditStatus.AFFECTED}


def test_a_lock_file_of_other_content(tmp_path: Path) -> None:
    (tmp_path / "s.lock").write_bytes(b"something else" * 100)
    with pytest.raises(StoreError, match="cannot write"), store.lock(tmp_path / "s"):
        pass


def test_an_empty_store_has_no_date(tmp_path: Path) -> None:
    store_build.build(tmp_path / "s", [], source="nothing")
    assert Store(tmp_path / "s").data().updated is None


def test_a_missing_store(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="no advisory store") as caught:
        Store(tmp_path / "none")
    assert caught.value.hint == "run: supplyguard db update"


@pytest.mark.parametrize("content", [b"", b"not a database" * 100, b"SQLite format 3\0" + b"\xff" * 4000])
def test_other_files_are_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "s"
    path.write_bytes(content)
    with pytest.raises(StoreError, match=r"is damaged|is not an advisory store"):
        Store(path)


def test_another_version_is_refused(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version = 1")
    connection.close()
    with pytest.raises(StoreError, match="of version 1, not 2"):
        Store(path)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE meta SET value = 'soon' WHERE key = 'updated'",
        "UPDATE meta SET value = 'many' WHERE key = 'records'",
        "DELETE FROM meta WHERE key = 'source'",
    ],
)
def test_damaged_metadata(statement: str, path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute(statement)
    connection.close()
    with pytest.raises(StoreError, match="is damaged"):
        Store(path).data()


@pytest.mark.parametrize(
    "body", [b"", b"junk", zlib.compress(b"{}"), zlib.compress(b"{" * 99), zlib.compress(b"x")[:-2], 7]
)
def test_damaged_records(body: object, path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE record SET body = ?", (body,))
    connection.close()
    with pytest.raises(StoreError, match="is damaged"):
        list(Store(path).audit([dependency("x", "1")]))


def test_a_torn_store(path: Path) -> None:
    whole = path.read_bytes()
    path.write_bytes(whole[:4096] + b"\0" * (len(whole) - 4096))
    with pytest.raises(StoreError, match="is damaged"):
        list(Store(path).audit([dependency("x", "1")]))


def test_a_failed_build_leaves_the_old_store(path: Path) -> None:
    before = path.read_bytes()

    def broken() -> Iterator[osv.Record]:
        yield record("NEW-1")
        raise StoreError("the zip ends here")

    with pytest.raises(StoreError, match="the zip ends here"):
        store_build.build(path, broken(), source="x")
    assert path.read_bytes() == before
    assert [one.name for one in path.parent.iterdir()] == ["advisories.sqlite3"]


def test_a_full_disk_leaves_the_old_store(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = path.read_bytes()

    def full(*_args: object) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr(store_build, "put", full)
    with pytest.raises(StoreError, match="disk is full") as caught:
        store_build.build(path, [], source="x")
    assert caught.value.hint is not None
    assert path.read_bytes() == before
    assert [one.name for one in path.parent.iterdir()] == ["advisories.sqlite3"]


def test_a_store_is_read_while_another_takes_its_place(path: Path) -> None:
    reading = Store(path).audit([dependency("x", str(count)) for count in range(600)])
    next(reading)
    store_build.build(path, [record("NEW-1", fixed="9999")], source="x")
    assert sum(isinstance(one, Audit) for one in reading) == 600


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    place = tmp_path / "file" / "s.sqlite3"
    with pytest.raises(StoreError, match="cannot write the advisory store"), store.lock(place):
        pass
    with pytest.raises(StoreError, match="cannot write the advisory store"):
        store_build.build(place, [], source="x")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_folder(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(StoreError, match="cannot write the advisory store"), store.lock(tmp_path / "s"):
        pass


def test_two_updates_at_once(tmp_path: Path) -> None:
    place = tmp_path / "s"
    with store.lock(place), pytest.raises(StoreError, match="another update"), store.lock(place):
        pass
    with store.lock(place):
        pass


def test_the_lock_holds_between_threads(tmp_path: Path) -> None:
    failures: list[str] = []

    def second() -> None:
        try:
            with store.lock(tmp_path / "s"):
                pass
        except StoreError as error:
            failures.append(error.message)

    with store.lock(tmp_path / "s"):
        thread = threading.Thread(target=second)
        thread.start()
        thread.join()
    assert len(failures) == 1


def test_a_lock_file_that_is_no_database(tmp_path: Path) -> None:
    (tmp_path / "s.lock").mkdir()
    with pytest.raises(StoreError, match="cannot write"), store.lock(tmp_path / "s"):
        pass


def test_a_path_with_odd_characters(tmp_path: Path) -> None:
    place = tmp_path / ("a ?%23#&" if sys.platform != "win32" else "a %23#&") / "s"
    store_build.build(place, [record("A-1")], source="x")
    assert Store(place).data().records == 1
