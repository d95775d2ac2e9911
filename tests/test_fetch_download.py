from __future__ import annotations

from pathlib import Path

import pytest

from supplyguard import fetch
from supplyguard.errors import FetchError
from tests.stand_in import Answer, Asked, answering, serve

CONTENT = bytes(range(256)) * 1000
QUICK = fetch.Limits(seconds=5.0, timeout=2.0, attempts=1)
AGAIN = fetch.Limits(seconds=10.0, timeout=2.0, attempts=3)


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)


def ranged(request: Asked, etag: str = '"v1"') -> Answer:
    """Serve CONTENT the way a good server does."""
    if request.headers.get("If-None-Match") == etag:
        return Answer(status=304)
    wanted = request.headers.get("Range")
    if wanted and request.headers.get("If-Range") == etag:
        start = int(wanted.removeprefix("bytes=").removesuffix("-"))
        if start >= len(CONTENT):
            return Answer(status=416, headers={"Content-Range": f"bytes */{len(CONTENT)}"})
        span = f"bytes {start}-{len(CONTENT) - 1}/{len(CONTENT)}"
        return Answer(status=206, body=CONTENT[start:], headers={"ETag": etag, "Content-Range": span})
    return Answer(body=CONTENT, headers={"ETag": etag})


def test_downloads_a_file(tmp_path: Path) -> None:
    seen: list[tuple[int, int | None]] = []
    with serve(ranged) as base:
        got = fetch.download(base, tmp_path / "d", limits=QUICK, progress=lambda *both: seen.append(both))
    assert got is not None
    assert got.path.read_bytes() == CONTENT
    assert (got.etag, got.size) == ('"v1"', len(CONTENT))
    assert seen[-1] == (len(CONTENT), len(CONTENT))


def test_what_is_unchanged_is_not_fetched_again(tmp_path: Path) -> None:
    with serve(ranged) as base:
        assert fetch.download(base, tmp_path, limits=QUICK, etag='"v1"') is None
        assert fetch.download(base, tmp_path, limits=QUICK, etag='"v0"') is not None


def test_a_broken_download_goes_on_where_it_stopped(tmp_path: Path) -> None:
    asked: list[Asked] = []

    def reply(request: Asked) -> Answer:
        asked.append(request)
        if len(asked) == 1:
            return Answer(body=CONTENT[:100_000], length=len(CONTENT), headers={"ETag": '"v1"'})
        return ranged(request)

    with serve(reply) as base:
        with pytest.raises(FetchError, match="broke off"):
            fetch.download(base, tmp_path, limits=QUICK)
        got = fetch.download(base, tmp_path, limits=QUICK)
    assert got is not None
    assert got.path.read_bytes() == CONTENT
    assert asked[1].headers["Range"] == "bytes=100000-"
    assert asked[1].headers["If-Range"] == '"v1"'


def test_a_broken_download_goes_on_within_one_call(tmp_path: Path) -> None:
    asked: list[Asked] = []

    def reply(request: Asked) -> Answer:
        asked.append(request)
        if len(asked) == 1:
            return Answer(body=CONTENT[:100_000], length=len(CONTENT), headers={"ETag": '"v1"'})
        return ranged(request)

    with serve(reply) as base:
        got = fetch.download(base, tmp_path, limits=AGAIN)
    assert got is not None
    assert got.path.read_bytes() == CONTENT
    assert len(asked) == 2


def test_what_came_before_a_break_is_kept(tmp_path: Path) -> None:
    broken = Answer(body=b"old" * 10, length=100, headers={"ETag": '"v0"'})
    with serve(lambda _: broken) as base, pytest.raises(FetchError, match="broke off"):
        fetch.download(base, tmp_path, limits=QUICK)
    assert next(tmp_path.glob("*.part")).read_bytes() == b"old" * 10


def test_another_version_is_fetched_from_the_start(tmp_path: Path) -> None:
    part = fetch._Part(tmp_path / "x")
    part.begin('"v0"')
    part.path.write_bytes(b"old")
    with serve(ranged) as base:
        got = fetch._continue(fetch._Exchange.begin(base, QUICK), part, None, fetch._silent)
    assert got is not None
    assert got.path.read_bytes() == CONTENT


@pytest.mark.parametrize(
    "wrong",
    [
        Answer(status=206, body=b"zz", headers={"Content-Range": "bytes 7-8/9", "ETag": '"v1"'}),
        Answer(status=206, body=b"zz", headers={"ETag": '"v1"'}),
        Answer(status=206, body=b"zz", headers={"Content-Range": "bytes 3-4/5", "ETag": '"v2"'}),
        Answer(status=416),
    ],
    ids=["another start", "no range said", "another version", "cannot continue"],
)
def test_a_wrong_part_is_dropped(wrong: Answer, tmp_path: Path) -> None:
    asked: list[Asked] = []

    def reply(request: Asked) -> Answer:
        asked.append(request)
        return wrong if len(asked) == 1 else ranged(request)

    part = fetch._Part(tmp_path / "x")
    part.begin('"v1"')
    part.path.write_bytes(CONTENT[:3])
    with serve(reply) as base:
        exchange = fetch._Exchange.begin(base, AGAIN)
        got = fetch._retried(lambda: fetch._continue(exchange, part, None, fetch._silent), exchange)
    assert got is not None
    assert got.path.read_bytes() == CONTENT
    assert "Range" not in asked[1].headers


def test_a_part_that_is_whole_already(tmp_path: Path) -> None:
    with serve(ranged) as base:
        first = fetch.download(base, tmp_path, limits=QUICK)
        again = fetch.download(base, tmp_path, limits=QUICK)
    assert first is not None
    assert again == first


def test_without_a_strong_etag_nothing_is_continued(tmp_path: Path) -> None:
    reply, asked = answering(
        Answer(body=b"half", length=8, headers={"ETag": 'W/"weak"'}), Answer(body=b"complete", headers={})
    )
    with serve(reply) as base:
        got = fetch.download(base, tmp_path, limits=AGAIN)
    assert got is not None
    assert (got.path.read_bytes(), got.etag) == (b"complete", None)
    assert "Range" not in asked[1].headers


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (Answer(body=CONTENT, headers={"Content-Encoding": "gzip"}), "not with the file as it is"),
        (Answer(status=404), "answered 404"),
        (Answer(body=b"x", length=10**12), "larger than"),
        (Answer(status=304), "answered 304"),
    ],
)
def test_downloads_that_are_refused(answer: Answer, reason: str, tmp_path: Path) -> None:
    part = fetch._Part(tmp_path / "x")
    part.begin('"v1"')
    part.path.write_bytes(b"abc")
    with serve(lambda _: answer) as base:
        exchange = fetch._Exchange.begin(base, QUICK)
        with pytest.raises(FetchError, match=reason):
            fetch._continue(exchange, part, None, fetch._silent)


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with serve(ranged) as base, pytest.raises(FetchError, match="cannot write the download"):
        fetch.download(base, tmp_path / "file" / "d", limits=QUICK)
