from __future__ import annotations

import time

import pytest

from supplyguard import fetch
from supplyguard.advisories.parallel import read_many
from supplyguard.errors import FetchError
from tests.stand_in import Answer, Asked, nobody, serve


def test_everything_is_fetched_once() -> None:
    asked: list[Asked] = []

    def reply(request: Asked) -> Answer:
        asked.append(request)
        return Answer(body=request.path.encode())

    with serve(reply) as base:
        urls = [f"{base}/{count}" for count in range(40)]
        found = dict(read_many([*urls, *urls[:3]], workers=4))
    assert found == {url: url.removeprefix(base).encode() for url in urls}
    assert len(asked) == 40


def test_nothing_to_fetch() -> None:
    assert list(read_many([])) == []


def test_one_failure_is_one_failure() -> None:
    with serve(lambda one: Answer(status=404 if one.path == "/3" else 200)) as base:
        found = dict(read_many([f"{base}/{count}" for count in range(9)], workers=2))
    assert [url for url, one in found.items() if isinstance(one, FetchError)] == [f"{base}/3"]


def test_a_service_that_is_down_is_given_up_on() -> None:
    asked: list[Asked] = []

    def reply(request: Asked) -> Answer:
        asked.append(request)
        return Answer(status=404)

    with serve(reply) as base:
        found = list(read_many([f"{base}/{count}" for count in range(200)], workers=2))
    assert len(found) == 200
    assert all(isinstance(one, FetchError) for _, one in found)
    assert len(asked) <= 4


def test_nobody_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)
    with nobody() as base:
        ((_, outcome),) = read_many([f"{base}/1"])
    assert isinstance(outcome, FetchError)


def test_the_deadline_holds() -> None:
    begin = time.monotonic()
    with serve(lambda _: Answer(delay=20.0)) as base:
        limits = fetch.Limits(timeout=20.0, attempts=1)
        found = list(
            read_many([f"{base}/{count}" for count in range(5)], limits=limits, seconds=0.2, workers=2)
        )
    assert time.monotonic() - begin < 2
    assert len(found) == 5
    assert all(isinstance(one, FetchError) for _, one in found)


def test_what_comes_too_late_is_not_there() -> None:
    with serve(lambda _: Answer(pieces=(b"x",) * 100, pause=0.05)) as base:
        ((_, outcome),) = read_many([f"{base}/1"], seconds=0.0)
    assert isinstance(outcome, FetchError)
    assert "no time left" in str(outcome)
