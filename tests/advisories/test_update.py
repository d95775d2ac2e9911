from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from supplyguard import fetch
from supplyguard.advisories import update as module
from supplyguard.advisories.store import Store
from supplyguard.advisories.update import ZipLimits, update
from supplyguard.errors import FetchError, StoreError
from supplyguard.finding import Audit, AuditStatus
from supplyguard.inventory import Dependency, Location
from tests.stand_in import Answer, Asked, nobody, serve


def record(identifier: str, name: str = "x", ecosystem: str = "PyPI", **fields: Any) -> dict[str, Any]:
    affected = [{"package": {"ecosystem": ecosystem, "name": name}, "versions": ["1"]}]
    return {"id": identifier, "modified": "2026-02-03T00:00:00Z", "affected": affected, **fields}


def zipped(*documents: object, method: int = zipfile.ZIP_DEFLATED, **raw: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for count, document in enumerate(documents):
            archive.writestr(f"R-{count}.json", json.dumps(document))
        for name, content in raw.items():
            archive.writestr(f"{name}.json", content)
        archive.writestr("README.txt", "not a record")
    return buffer.getvalue()


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "cache" / "advisories.sqlite3"


def local(tmp_path: Path, content: bytes) -> str:
    path = tmp_path / "all.zip"
    path.write_bytes(content)
    return str(path)


def test_from_a_file(tmp_path: Path, place: Path) -> None:
    said: list[str] = []
    documents = (
        record("A-1"),
        record("A-2", ecosystem="npm"),
        record("A-3", withdrawn="2026-01-01T00:00:00Z"),
    )
    data = update(place, local(tmp_path, zipped(*documents)), progress=said.append)
    assert (data.records, data.origin) == (1, str(tmp_path / "all.zip"))
    assert said == ["importing advisories: 0 of 3"]


def test_a_file_that_is_not_there(place: Path) -> None:
    with pytest.raises(StoreError, match=r"no such file: nowhere\.zip"):
        update(place, "nowhere.zip")


def test_from_an_address(place: Path) -> None:
    asked: list[Asked] = []
    said: list[str] = []

    def reply(request: Asked) -> Answer:
        asked.append(request)
        if request.headers.get("If-None-Match") == '"v1"':
            return Answer(status=304)
        return Answer(body=zipped(record("A-1")), headers={"ETag": '"v1"'})

    with serve(reply) as base:
        first = update(place, f"{base}/PyPI/all.zip", progress=said.append)
        imported = place.read_bytes()
        again = update(place, f"{base}/PyPI/all.zip")
        elsewhere = update(place, f"{base}/other.zip")
    assert first == again
    assert first.origin == f"{base}/PyPI/all.zip"
    assert elsewhere.origin == f"{base}/other.zip"
    assert [one.path for one in asked] == [
        "/PyPI/all.zip",
        "/PyPI/modified_id.csv",
        "/PyPI/all.zip",
        "/other.zip",
    ]
    assert "If-None-Match" not in asked[3].headers, "another source has other ETags"
    assert imported
    assert said[0] == "fetching all advisories: there is no usable store"
    assert said[1].startswith("downloading advisories: 0.0 of 0.0 MiB")
    assert not list((place.parent / "downloads").glob("*.part"))


def test_the_default_is_osv(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    urls: list[str] = []

    def download(url: str, *_args: object, **_more: object) -> None:
        urls.append(url)
        raise FetchError("stop")

    monkeypatch.setattr(fetch, "download", download)
    with pytest.raises(FetchError):
        update(place)
    assert urls == ["https://osv-vulnerabilities.storage.googleapis.com/PyPI/all.zip"]


def test_the_size_may_be_unknown() -> None:
    assert module._amount(1024 * 1024, None) == "downloading advisories: 1.0 MiB"


def test_a_damaged_store_is_replaced(place: Path) -> None:
    place.parent.mkdir()
    place.write_bytes(b"junk")
    with serve(lambda _: Answer(body=zipped(record("A-1")))) as base:
        assert update(place, base).records == 1
    assert Store(place).meta["etag"] == ""


@pytest.mark.parametrize(
    "answer",
    [
        Answer(status=404),
        Answer(status=200, body=b"<html>sign in</html>"),
        Answer(body=zipped(record("NEW-1"))[:-30]),
        Answer(status=302, headers={"Location": "https://elsewhere.example/all.zip"}),
    ],
    ids=["not there", "a page instead", "cut off", "elsewhere"],
)
def test_a_failed_update_leaves_the_old_store(answer: Answer, tmp_path: Path, place: Path) -> None:
    update(place, local(tmp_path, zipped(record("OLD-1"))))
    before = place.read_bytes()
    with serve(lambda _: answer) as base, pytest.raises((FetchError, StoreError)):
        update(place, base)
    assert place.read_bytes() == before


def test_nobody_answers(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)
    with nobody() as base, pytest.raises(FetchError, match="connection failed"):
        update(place, base)
    assert not place.exists()


def test_a_page_instead_of_a_zip_is_not_kept(place: Path) -> None:
    with serve(lambda _: Answer(body=b"<html>", headers={"ETag": '"x"'})) as base:
        with pytest.raises(StoreError, match="not a usable zip of advisories"):
            update(place, base)
        with pytest.raises(StoreError, match="not a usable zip of advisories"):
            update(place, base)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "not a zip"),
        (b"PK\x05\x06" + b"\0" * 18, "no advisory of a PyPI package"),
        (zipped(record("A-1", ecosystem="npm")), "no advisory of a PyPI package"),
        (zipped(a=b"{"), "not JSON"),
        (zipped(a=b"[" * 100_000), "nested too deeply"),
        (zipped(a=b"[]"), "not a JSON object"),
        (zipped({"id": "A-1"}), "modified is not a time"),
        (zipped(record("A-1"), a=b" " * 10_001), "larger than 10,000 bytes"),
        (zipped(*[record(f"A-{n}") for n in range(30)]), "30 members"),
        (
            zipped(record("A-1"), record("A-2", details="x" * 9_000), record("A-3", details="x" * 9_000)),
            "inflated",
        ),
        (
            zipped(record("A-1"), method=zipfile.ZIP_STORED, a=b"x" * 9_000) + b"\0" * 60_000,
            "larger than 50,000",
        ),
    ],
)
def test_hostile_zips(content: bytes, reason: str, tmp_path: Path, place: Path) -> None:
    limits = ZipLimits(archive=50_000, members=20, member=10_000, total=15_000)
    if reason == "nested too deeply":
        limits = ZipLimits()
    with pytest.raises(StoreError, match=reason):
        update(place, local(tmp_path, content), limits=limits)
    assert not place.exists()


def test_a_member_that_lies_about_its_size(tmp_path: Path, place: Path) -> None:
    content = bytearray(zipped(a=b'{"x": "' + b"y" * 5_000 + b'"}'))
    for signature, at in ((b"PK\x01\x02", 24), (b"PK\x03\x04", 22)):
        start = content.index(signature) + at
        content[start : start + 4] = (100).to_bytes(4, "little")
    with pytest.raises(StoreError, match="not a usable zip"):
        update(place, local(tmp_path, bytes(content)))


def test_an_encrypted_member(tmp_path: Path, place: Path) -> None:
    content = bytearray(zipped(record("A-1")))
    for signature, at in ((b"PK\x01\x02", 8), (b"PK\x03\x04", 6)):
        content[content.index(signature) + at] |= 1
    with pytest.raises(StoreError, match="not a usable zip"):
        update(place, local(tmp_path, bytes(content)))


def test_an_unknown_compression(tmp_path: Path, place: Path) -> None:
    content = bytearray(zipped(record("A-1")))
    for signature, at in ((b"PK\x01\x02", 10), (b"PK\x03\x04", 8)):
        content[content.index(signature) + at] = 77
    with pytest.raises(StoreError, match="not a usable zip"):
        update(place, local(tmp_path, bytes(content)))


def test_a_refused_record_only_concerns_its_packages(tmp_path: Path, place: Path) -> None:
    broken = record("A-2", name="Broken_One", modified="soon")
    data = update(place, local(tmp_path, zipped(record("A-1"), broken)))
    assert data.records == 1
    here = Location(uri="requirements.txt")
    wanted = [Dependency(name=n, raw_name=n, version="5", location=here) for n in ("x", "broken-one")]
    statuses = [one.status for one in Store(place).audit(wanted) if isinstance(one, Audit)]
    assert statuses == [AuditStatus.CLEAN, AuditStatus.NOT_AUDITED]


GOOD = zipped(record("A-1"), record("A-2", name="y"))


@given(data=st.data())
@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_damage_gives_a_store_or_a_store_error(data: st.DataObject, tmp_path: Path) -> None:
    content = bytearray(GOOD)
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    content = content[: data.draw(st.integers(0, len(content)))] if data.draw(st.booleans()) else content
    place = tmp_path / "s.sqlite3"
    place.unlink(missing_ok=True)
    try:
        update(place, local(tmp_path, bytes(content)))
    except StoreError:
        assert not place.exists()
    else:
        assert Store(place).data().records is not None
