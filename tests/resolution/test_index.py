"""What an index says, and what it may say wrongly."""

from __future__ import annotations

import json

import pytest
from packaging.version import Version

from supplyguard.errors import FetchError
from supplyguard.fetch import connection
from supplyguard.resolution.index import Index, Target, check_index
from tests.stand_in import Answer, answering, serve


def ask(body: bytes, target: Target) -> list[tuple[str, bool, bool]]:
    reply, asked = answering(Answer(body=body))
    with serve(reply) as base, connection() as session:
        index = Index(url=f"{base}/simple/", target=target, seconds=lambda: 5.0)
        found = index.releases("a-b", session)
    assert asked[0].path == "/simple/a-b/"
    assert asked[0].headers["Accept"] == "application/vnd.pypi.simple.v1+json"
    return [(str(each.version), each.source, target.has_wheel(each)) for each in found]


def test_releases() -> None:
    files: list[object] = [
        {"filename": "a_b-1.0.tar.gz", "requires-python": ">=3.8"},
        {"filename": "a_b-1.0-py3-none-any.whl", "yanked": False},
        {"filename": "a_b-2.0.zip", "yanked": "broken"},
        {"filename": "a_b-3.0.tar.gz", "requires-python": ">=3.99"},
        {"filename": "a_b-4.0.tar.gz", "requires-python": "nonsense"},
        {"filename": "a_b-4.0-py3-none-win_arm64.whl"},
        {"filename": "a_b-4.0-bad.whl"},
        {"filename": "a_b-x.tar.gz"},
        {"filename": 7},
        "text",
        {"filename": "a_b-5" + "0" * 400},
    ]
    body = json.dumps({"files": files}).encode()
    assert ask(body, Target(python="3.11", native=True)) == [("4.0", True, False), ("1.0", True, True)]
    assert ask(body, Target(python="3.11", native=False))[0] == ("4.0", True, True)


@pytest.mark.parametrize("body", [b"<html>", b"[]", b"{}", b"[" * 5000, b'{"files": 1}'])
def test_what_is_no_list_of_files(body: bytes) -> None:
    with pytest.raises(FetchError):
        ask(body, Target(python="3.11", native=True))


@pytest.mark.parametrize("url", ["ftp://x/simple", "http://x.test/simple", "https://x.test/simple?a=b"])
def test_addresses_that_are_not_asked(url: str) -> None:
    with pytest.raises(FetchError):
        check_index(url)


def test_an_index_without_json_beside_it() -> None:
    index = Index(
        url="https://x.test/pypi/web", target=Target(python="3.11", native=True), seconds=lambda: 1.0
    )
    with connection() as session, pytest.raises(FetchError, match="no JSON of releases"):
        index.requires("a", Version("1"), session)
