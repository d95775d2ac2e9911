"""The network: the one module that opens a socket, and the limits that every answer is held to.

Only https is spoken, except with the loopback host (a local mirror, tests). A redirect may not lead
to another host unless that is allowed. Every body has a greatest size, every exchange a deadline.
Proxies and certificate bundles are taken from the environment, as `requests` does; passwords of
~/.netrc are not sent.
"""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar
from urllib.parse import urljoin, urlsplit

from supplyguard.errors import FetchError
from supplyguard.limits import MIB

if TYPE_CHECKING:
    import requests

_T = TypeVar("_T")

_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})
_TRANSIENT: Final = frozenset({429, 500, 502, 503, 504})
_CHUNK: Final = 64 * 1024
_LONGEST_WAIT: Final = 20.0
"""Seconds that a server may make us wait with Retry-After."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """What one exchange may cost.

    size: bytes of the body. seconds: of the whole exchange, retries included. timeout: seconds for
    one answer of the socket. hosts: further hosts that a redirect may lead to.
    """

    size: int = 64 * MIB
    seconds: float = 120.0
    timeout: float = 20.0
    redirects: int = 3
    attempts: int = 3
    hosts: frozenset[str] = frozenset()


@dataclass(frozen=True, kw_only=True, slots=True)
class Download:
    """A file that was fetched: where it is, and the server's name of this version of it."""

    path: Path
    etag: str | None
    size: int


class _TransientError(FetchError):
    """A failure that may pass; `wait` is what the server asks for, in seconds."""

    wait: float = 0.0


def check_url(url: str) -> str:
    """Give the host of an address that may be spoken to; raises FetchError for any other."""
    try:
        parts = urlsplit(url)
        host, scheme = (parts.hostname or "").lower(), parts.scheme.lower()
        parts.port  # noqa: B018 - raises ValueError when it is not a number
    except ValueError as error:
        raise FetchError(f"not an address: {url!r}: {error}") from None
    if not host or scheme not in ("https", "http"):
        raise FetchError(f"not a web address: {url!r}", hint="give an https:// address or a file")
    if scheme == "http" and host not in _LOOPBACK:
        raise FetchError(f"{shown(url)} is not encrypted", hint="give an https:// address")
    return host


def shown(url: str) -> str:
    """Give an address as it may be printed: without password, query and fragment."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


@dataclass(frozen=True, kw_only=True, slots=True)
class _Exchange:
    """One thing to fetch: its address, what it may cost, and when it has to be over."""

    url: str
    limits: Limits
    deadline: float

    @classmethod
    def begin(cls, url: str, limits: Limits | None) -> _Exchange:
        bounds = limits if limits is not None else Limits()
        check_url(url)
        return cls(url=url, limits=bounds, deadline=time.monotonic() + bounds.seconds)


def read(
    url: str,
    *,
    limits: Limits | None = None,
    body: bytes | None = None,
    accept: str | None = None,
    session: requests.Session | None = None,
) -> bytes:
    """Fetch a document whole; raises FetchError.

    body: JSON to send with it (POST). accept: the media type that is wanted; the size is then that
    of the document, which may come compressed. session: one of `connection`, to be used again.
    """
    exchange = _Exchange.begin(url, limits)
    headers = {"Content-Type": "application/json"} if body is not None else {}
    if accept is not None:
        headers |= {"Accept": accept, "Accept-Encoding": "gzip"}

    def attempt() -> bytes:
        with _answer(exchange, headers, body=body, session=session) as response:
            if response.status_code != 200:
                raise FetchError(f"{shown(url)} answered {response.status_code}")
            return b"".join(_body(response, exchange))

    return _retried(attempt, exchange)


@contextmanager
def connection() -> Iterator[requests.Session]:
    """Keep connections open between several calls of `read`, in one thread."""
    import requests  # noqa: PLC0415 - heavy

    with requests.Session() as session:
        session.auth = _no_auth
        yield session


Progress = Callable[[int, int | None], None]
"""Told of the bytes so far and of the bytes in all, None when that is not known."""


def download(
    url: str,
    folder: Path,
    *,
    limits: Limits | None = None,
    etag: str | None = None,
    progress: Progress | None = None,
) -> Download | None:
    """Fetch a file into `folder`; None when its ETag is still `etag`. Raises FetchError.

    What a broken download left there ("<hash>.part") is completed by a range request, provided
    that the server says it is the same version (If-Range).
    """
    exchange = _Exchange.begin(url, limits)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        part = _Part(folder / hashlib.sha256(url.encode()).hexdigest()[:24])
        return _retried(lambda: _continue(exchange, part, etag, progress or _silent), exchange)
    except OSError as error:
        hint = "check the folder and its free space"
        raise FetchError(f"cannot write the download in {folder}: {error}", hint=hint) from error


def _silent(_done: int, _total: int | None) -> None:
    """Show nothing."""


class _Part:
    """An unfinished download: its bytes, and beside them the version that they are of."""

    def __init__(self, stem: Path) -> None:
        self.path = stem.with_suffix(".part")
        self._note = stem.with_suffix(".etag")

    def state(self) -> tuple[int, str]:
        """Give the size and the ETag; (0, "") when there is nothing that can be continued."""
        try:
            return self.path.stat().st_size, self._note.read_text(encoding="ascii")
        except (FileNotFoundError, UnicodeDecodeError):
            return 0, ""

    def begin(self, etag: str) -> None:
        """Start afresh; only a strong ETag allows to continue later (RFC 9110, 13.1.5)."""
        self._note.unlink(missing_ok=True)
        self.path.write_bytes(b"")
        if etag and not etag.startswith("W/") and etag.isascii():
            self._note.write_text(etag, encoding="ascii")

    def drop(self) -> None:
        """Forget it."""
        self._note.unlink(missing_ok=True)
        self.path.unlink(missing_ok=True)


def _continue(exchange: _Exchange, part: _Part, known: str | None, progress: Progress) -> Download | None:
    """Fetch what is missing of a file, in one exchange."""
    have, version = part.state()
    headers: dict[str, str] = {}
    if have:
        headers = {"Range": f"bytes={have}-", "If-Range": version}
    elif known:
        headers = {"If-None-Match": known}
    place = shown(exchange.url)
    with _answer(exchange, headers) as response:
        status = response.status_code
        if status == 304 and not have:
            return None
        if status == 416 and have and response.headers.get("Content-Range") == f"bytes */{have}":
            return Download(path=part.path, etag=version, size=have)
        etag, total = response.headers.get("ETag", ""), _total(response, have)
        if status == 416 or (status == 206 and (total is None or etag not in ("", version))):
            part.drop()
            raise _TransientError(f"{place} gave another part than was asked for")
        if status not in (200, 206) or response.headers.get("Content-Encoding", "identity") != "identity":
            raise FetchError(f"{place} answered {status}, not with the file as it is")
        if total is not None and total > exchange.limits.size:
            raise FetchError(f"{place} is larger than {exchange.limits.size:,} bytes")
        if status == 200:
            have = 0
            part.begin(etag)
        with part.path.open("ab") as file:
            for chunk in _body(response, exchange, have=have):
                file.write(chunk)
                have += len(chunk)
                progress(have, total)
        return Download(path=part.path, etag=etag or version or None, size=have)


def _total(response: requests.Response, have: int) -> int | None:
    """Give the size of the whole file; None when it is not said, or not what was asked for."""
    if response.status_code == 206:
        found = re.fullmatch(
            r"bytes (\d{1,18})-\d{1,18}/(\d{1,18})", response.headers.get("Content-Range", "")
        )
        return int(found[2]) if found is not None and int(found[1]) == have else None
    length = response.headers.get("Content-Length", "")
    return int(length) if re.fullmatch(r"\d{1,18}", length) else None


def _retried(attempt: Callable[[], _T], exchange: _Exchange) -> _T:
    """Repeat while the failure may pass, waiting longer each time."""
    for count in range(1, exchange.limits.attempts):
        try:
            return attempt()
        except _TransientError as error:
            wait = max(error.wait, 0.25 * 2**count)
            if time.monotonic() + wait >= exchange.deadline:
                raise
            time.sleep(wait)
    return attempt()


@contextmanager
def _answer(
    exchange: _Exchange,
    headers: Mapping[str, str],
    *,
    body: bytes | None = None,
    session: requests.Session | None = None,
) -> Iterator[requests.Response]:
    """Ask, following redirects within the limits; the body of the answer is not read yet."""
    url, limits = exchange.url, exchange.limits
    home = check_url(url)
    with connection() if session is None else nullcontext(session) as line, _explained(url):
        for _ in range(limits.redirects + 1):
            left = exchange.deadline - time.monotonic()
            if left <= 0:
                raise FetchError(f"{shown(url)} took longer than {limits.seconds:g} s")
            response = line.request(
                "GET" if body is None else "POST",
                url,
                data=body,
                headers={"Accept-Encoding": "identity", **headers},
                stream=True,
                allow_redirects=False,
                timeout=min(limits.timeout, left),
            )
            with response:
                target = _redirect_of(response, home, limits)
                if target is None:
                    _check_status(response)
                    yield response
                    return
                url = target
        raise FetchError(f"{shown(url)}: more than {limits.redirects} redirects")


def _no_auth(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """Add no credentials: without this, requests would send those of ~/.netrc."""
    return request


def _redirect_of(response: requests.Response, home: str, limits: Limits) -> str | None:
    """Give where a redirect leads; raises FetchError when that is not allowed."""
    if not response.is_redirect:
        return None
    target = urljoin(response.url, response.headers["location"])
    host = check_url(target)
    if host != home and host not in limits.hosts:
        text = f"{shown(response.url)} redirects to another host, {host}"
        raise FetchError(text, hint="give the address itself, if you trust it")
    return target


def _check_status(response: requests.Response) -> None:
    """Raise _TransientError for an answer that may be better later."""
    if response.status_code in _TRANSIENT:
        error = _TransientError(f"{shown(response.url)} answered {response.status_code}")
        asked = response.headers.get("Retry-After", "")
        error.wait = min(float(asked), _LONGEST_WAIT) if re.fullmatch(r"\d{1,9}", asked) else 0.0
        raise error


def _body(response: requests.Response, exchange: _Exchange, *, have: int = 0) -> Iterator[bytes]:
    """Read a body as it comes in, within the size and the time; `have` counts towards the size."""
    # read1, unlike iter_content, gives what there is: a trickle cannot outlast the deadline
    while chunk := response.raw.read1(_CHUNK, decode_content=True):
        have += len(chunk)
        if have > exchange.limits.size:
            raise FetchError(f"{shown(response.url)} is larger than {exchange.limits.size:,} bytes")
        if time.monotonic() > exchange.deadline:
            raise FetchError(f"{shown(response.url)} took longer than {exchange.limits.seconds:g} s")
        yield chunk


@contextmanager
def _explained(url: str) -> Iterator[None]:
    """Turn the errors of requests into FetchErrors that say in a few words what happened."""
    import requests  # noqa: PLC0415 - heavy
    import urllib3  # noqa: PLC0415 - heavy

    place = shown(url)
    try:
        yield
    except requests.exceptions.SSLError as error:
        hint = "behind an intercepting proxy, set REQUESTS_CA_BUNDLE to its certificate"
        raise FetchError(f"{place}: the secure connection failed (certificate)", hint=hint) from error
    except requests.Timeout as error:
        raise _TransientError(f"{place}: no answer in time") from error
    # urllib3's own errors come from reading a body
    except (requests.ConnectionError, urllib3.exceptions.HTTPError) as error:
        hint = "check the network, or work with --offline"
        raise _TransientError(f"{place}: the connection failed or broke off", hint=hint) from error
    except requests.RequestException as error:
        raise FetchError(f"{place}: {error}") from error


def police(session: requests.Session, home: str, limits: Limits, expired: Callable[[], bool]) -> None:
    """Hold a session that a library uses to the same rules: scheme, redirects, size and time.

    home: the only host that redirects may lead to, beside `limits.hosts`. expired: whether the
    time of the whole work is over; bodies still coming in are then given up.
    """
    from urllib3.util import Retry  # noqa: PLC0415 - heavy

    check_url(home)
    session.auth = _no_auth
    session.max_redirects = limits.redirects
    session.hooks["response"].append(partial(_hold, home=check_url(home), limits=limits, expired=expired))
    for adapter in session.adapters.values():
        adapter.max_retries = Retry(  # type: ignore[attr-defined] # of HTTPAdapter, not of its base
            total=limits.attempts - 1,
            status_forcelist=sorted(_TRANSIENT),
            backoff_factor=0.2,
            allowed_methods=None,
            raise_on_status=False,
            respect_retry_after_header=False,
        )


def _hold(
    response: requests.Response,
    *_args: Any,
    home: str,
    limits: Limits,
    expired: Callable[[], bool],
    **_more: Any,
) -> None:
    """Check one answer of a policed session and read its body within the limits."""
    _redirect_of(response, home, limits)
    chunks: list[bytes] = []
    size = 0
    for chunk in response.iter_content(_CHUNK):
        size += len(chunk)
        if size > limits.size:
            raise FetchError(f"{shown(response.url)} is larger than {limits.size:,} bytes")
        if expired():
            raise FetchError(f"{shown(response.url)}: no time left")
        chunks.append(chunk)
    # requests has no public way to hand over a body that was read under a limit
    response._content = b"".join(chunks)  # noqa: SLF001
