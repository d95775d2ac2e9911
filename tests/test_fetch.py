from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
import requests

from supplyguard import fetch
from supplyguard.errors import FetchError
from tests.stand_in import Answer, Asked, answering, nobody, self_signed, serve

CONTENT = bytes(range(256)) * 1000
QUICK = fetch.Limits(seconds=5.0, timeout=2.0, attempts=1)
AGAIN = fetch.Limits(seconds=10.0, timeout=2.0, attempts=3)


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    waits: list[float] = []
    # only the module's own clock: threads of other tests may still be waiting
    monkeypatch.setattr(fetch, "time", SimpleNamespace(monotonic=time.monotonic, sleep=waits.append))
    return waits


@pytest.mark.parametrize(
    "url", ["https://osv.dev/x", "http://127.0.0.1:1/x", "http://localhost/x", "http://[::1]/"]
)
def test_speaks_https_and_to_the_loopback_host(url: str) -> None:
    fetch.check_url(url)


@pytest.mark.parametrize(
    "url",
    [
        "http://osv.dev/x",
        "ftp://osv.dev/x",
        "file:///etc/passwd",
        "osv.dev",
        "https:///x",
        "https://a:b/",
        "https://[x/",
    ],
)
def test_refuses_other_addresses(url: str) -> None:
    with pytest.raises(FetchError):
        fetch.read(url)


def test_a_shown_address_has_no_secrets() -> None:
    assert fetch.shown("https://user:secret@host:8443/a/b?token=1#x") == "https://host:8443/a/b"


def test_reads_a_document() -> None:
    with serve(lambda _: Answer(body=CONTENT)) as base:
        assert fetch.read(base, limits=QUICK) == CONTENT


def test_sends_no_netrc_password(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login me password secret\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    reply, asked = answering(Answer(body=b"x"))
    with serve(reply) as base:
        fetch.read(base, limits=QUICK)
    assert "Authorization" not in asked[0].headers


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 204])
def test_other_statuses_are_said_at_once(status: int) -> None:
    reply, asked = answering(Answer(status=status))
    with serve(reply) as base, pytest.raises(FetchError, match=f"answered {status}"):
        fetch.read(base, limits=AGAIN)
    assert len(asked) == 1


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_passing_failures_are_tried_again(status: int, no_waiting: list[float]) -> None:
    reply, asked = answering(Answer(status=status), Answer(status=status), Answer(body=b"at last"))
    with serve(reply) as base:
        assert fetch.read(base, limits=AGAIN) == b"at last"
    assert len(asked) == 3
    assert no_waiting == [0.5, 1.0]


def test_retry_after_is_heeded_within_reason(no_waiting: list[float]) -> None:
    answers = [
        Answer(status=429, headers={"Retry-After": text}) for text in ("3", "Wed, 21 Oct 2026 07:28:00 GMT")
    ]
    reply, _ = answering(*answers, Answer(body=b"x"))
    with serve(reply) as base:
        fetch.read(base, limits=AGAIN)
    assert no_waiting == [3.0, 1.0]


def test_gives_up_after_the_attempts() -> None:
    reply, asked = answering(Answer(status=503))
    with serve(reply) as base, pytest.raises(FetchError, match="answered 503"):
        fetch.read(base, limits=AGAIN)
    assert len(asked) == 3


def test_does_not_wait_beyond_the_deadline(no_waiting: list[float]) -> None:
    reply, asked = answering(Answer(status=503, headers={"Retry-After": "1000"}))
    with serve(reply) as base, pytest.raises(FetchError, match="answered 503"):
        fetch.read(base, limits=AGAIN)
    assert len(asked) == 1
    assert no_waiting == []


def test_nobody_listens() -> None:
    with nobody() as base, pytest.raises(FetchError, match="connection failed") as caught:
        fetch.read(base, limits=QUICK)
    assert caught.value.hint is not None
    assert "--offline" in caught.value.hint


def test_a_slow_answer() -> None:
    limits = fetch.Limits(seconds=5.0, timeout=0.2, attempts=1)
    with serve(lambda _: Answer(delay=5.0)) as base, pytest.raises(FetchError, match="no answer in time"):
        fetch.read(base, limits=limits)


def test_a_trickle_cannot_outlast_the_deadline() -> None:
    limits = fetch.Limits(seconds=0.4, timeout=2.0, attempts=1)
    dripping = Answer(pieces=(b"x",) * 200, pause=0.05)
    with serve(lambda _: dripping) as base, pytest.raises(FetchError, match=r"took longer than 0\.4 s"):
        fetch.read(base, limits=limits)


def test_no_time_at_all() -> None:
    with serve(lambda _: Answer()) as base, pytest.raises(FetchError, match="took longer"):
        fetch.read(base, limits=fetch.Limits(seconds=0.0, attempts=1))


def test_a_body_larger_than_allowed() -> None:
    limits = fetch.Limits(size=1000, attempts=1)
    with serve(lambda _: Answer(body=CONTENT)) as base, pytest.raises(FetchError, match="larger than 1,000"):
        fetch.read(base, limits=limits)


def test_a_body_that_breaks_off() -> None:
    with (
        serve(lambda _: Answer(body=b"half", length=8)) as base,
        pytest.raises(FetchError, match="broke off"),
    ):
        fetch.read(base, limits=QUICK)


def test_sends_a_body_and_keeps_the_connection() -> None:
    reply, asked = answering(Answer(body=b"1"))
    with serve(reply) as base, fetch.connection() as session:
        assert fetch.read(base, body=b"{}", session=session) == b"1"
        assert fetch.read(base, session=session) == b"1"
    assert [(one.method, one.body) for one in asked] == [("POST", b"{}"), ("GET", b"")]
    assert asked[0].headers["Content-Type"] == "application/json"


def test_follows_a_redirect_on_the_same_host() -> None:
    def reply(asked: Asked) -> Answer:
        if asked.path == "/old":
            return Answer(status=302, headers={"Location": "/new"})
        return Answer(body=asked.path.encode())

    with serve(reply) as base:
        assert fetch.read(f"{base}/old", limits=QUICK) == b"/new"


def test_redirects_in_a_circle() -> None:
    with (
        serve(lambda _: Answer(status=302, headers={"Location": "/"})) as base,
        pytest.raises(FetchError, match="more than 3 redirects"),
    ):
        fetch.read(base, limits=QUICK)


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        ("https://elsewhere.example/x", "another host, elsewhere.example"),
        ("http://elsewhere.example/x", "not encrypted"),
        ("file:///etc/passwd", "not a web address"),
    ],
)
def test_redirects_elsewhere_are_refused(target: str, reason: str) -> None:
    with (
        serve(lambda _: Answer(status=302, headers={"Location": target})) as base,
        pytest.raises(FetchError, match=reason),
    ):
        fetch.read(base, limits=QUICK)


def test_a_redirect_to_an_allowed_host() -> None:
    with serve(lambda _: Answer(body=b"there")) as other:
        port = other.rpartition(":")[2]
        moved = Answer(status=302, headers={"Location": f"http://localhost:{port}/"})
        with serve(lambda _: moved) as base:
            limits = fetch.Limits(seconds=5.0, attempts=1, hosts=frozenset({"localhost"}))
            assert fetch.read(base, limits=limits) == b"there"


def test_a_certificate_that_nobody_vouches_for(tmp_path: Path) -> None:
    with (
        serve(lambda _: Answer(), tls=self_signed(tmp_path)) as base,
        pytest.raises(FetchError, match="certificate") as caught,
    ):
        fetch.read(base, limits=QUICK)
    assert caught.value.hint is not None
    assert "REQUESTS_CA_BUNDLE" in caught.value.hint


def test_plain_http_on_a_secure_address() -> None:
    with serve(lambda _: Answer(body=b"x")) as base, pytest.raises(FetchError):
        fetch.read(base.replace("http:", "https:"), limits=QUICK)


def test_another_failure_of_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_args: object, **_more: object) -> None:
        raise requests.exceptions.InvalidHeader("odd")

    monkeypatch.setattr(requests.Session, "request", fail)
    with pytest.raises(FetchError, match="odd"):
        fetch.read("https://osv.dev/", limits=QUICK)


def police(base: str, *, size: int = 1000, expired: Callable[[], bool] = lambda: False) -> requests.Session:
    session = requests.Session()
    fetch.police(session, base, fetch.Limits(size=size, attempts=2), expired)
    return session


def test_a_policed_session_works() -> None:
    with serve(lambda _: Answer(body=b'{"a": 1}')) as base, police(base) as session:
        assert session.get(base, timeout=2).json() == {"a": 1}


def test_a_policed_session_refuses_what_is_too_large() -> None:
    with (
        serve(lambda _: Answer(body=b"x" * 1001)) as base,
        police(base) as session,
        pytest.raises(FetchError, match="larger than 1,000"),
    ):
        session.get(base, timeout=2)


def test_a_policed_session_stops_at_the_deadline() -> None:
    with (
        serve(lambda _: Answer(body=b"x")) as base,
        police(base, expired=lambda: True) as session,
        pytest.raises(FetchError, match="no time left"),
    ):
        session.get(base, timeout=2)


def test_a_policed_session_is_not_led_elsewhere() -> None:
    with (
        serve(lambda _: Answer(status=301, headers={"Location": "https://elsewhere.example/"})) as base,
        police(base) as session,
        pytest.raises(FetchError, match="another host"),
    ):
        session.get(base, timeout=2)


def test_a_policed_session_tries_again() -> None:
    reply, asked = answering(Answer(status=500), Answer(body=b"x"))
    with serve(reply) as base, police(base) as session:
        assert session.post(base, data="{}", timeout=2).content == b"x"
    assert len(asked) == 2
