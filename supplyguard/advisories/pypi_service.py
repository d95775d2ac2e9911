"""PyPI's JSON service (https://docs.pypi.org/api/json/), asked through pip-audit's client.

The one module that knows pip-audit (2.10). Its client asks for one package at a time; here many are
asked at once, under a deadline. Two of its ways are not taken over: a package that PyPI answers 404
for is skipped there, and is not audited here; and what breaks off in the middle is an exception of
many kinds there, and a stated reason here.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final, Protocol

from supplyguard import fetch
from supplyguard.advisories import evidence, matcher, osv
from supplyguard.advisories.answers import Answer, Answers, Question, Terms
from supplyguard.advisories.severity import UNKNOWN
from supplyguard.errors import FetchError
from supplyguard.limits import MIB

if TYPE_CHECKING:
    import requests
    from pip_audit._service.interface import VulnerabilityResult  # type: ignore[import-untyped]

URL: Final = "https://pypi.org"
_GIVE_UP: Final = 3
"""Packages in a row that cannot be asked for before the service counts as down."""


class _Asker(Protocol):
    """Ask one question; raises FetchError when there is no usable answer."""

    def __call__(self, name: str, version: str) -> Answer: ...


def start(base: str, wanted: Sequence[Question], terms: Terms) -> Answers:
    """Begin to ask the service at `base` everything that has a version."""
    run = _Run(base, wanted, terms)
    for _ in range(min(terms.workers, len(wanted))):
        # daemons: an answer that never ends must not keep the process from ending
        threading.Thread(target=run.work, daemon=True).start()
    return run.done


class _Run:
    """The questions, shared by threads."""

    def __init__(self, base: str, wanted: Sequence[Question], terms: Terms) -> None:
        self.done: Answers = queue.SimpleQueue()
        self._base = base
        self._terms = terms
        self._todo: queue.SimpleQueue[tuple[str, str]] = queue.SimpleQueue()
        for name, version in wanted:
            if version is None:
                self.done.put(((name, None), Answer()))
            else:
                self._todo.put((name, version))
        self._failures = 0
        self._down = ""

    def expired(self) -> bool:
        """Whether the time is over."""
        return time.monotonic() > self._terms.deadline

    def work(self) -> None:
        """Answer questions until there are none, with a client of this thread's own."""
        ask: _Asker | None
        try:
            ask = _asker(self._base, self._terms, self.expired)
        except (FetchError, OSError) as error:
            self._down = str(error)
            ask = None
        while not self.expired():
            try:
                question = self._todo.get_nowait()
            except queue.Empty:
                return
            self.done.put((question, self._answer(ask, question)))

    def _answer(self, ask: _Asker | None, question: tuple[str, str]) -> Answer:
        """Ask one question; a service that failed several times in a row is not asked again."""
        if ask is None or self._down:
            return Answer(failure=self._down)
        try:
            answer = ask(*question)
        except _NotFoundError as error:
            self._failures = 0
            return Answer(failure=error.message)
        except FetchError as error:
            self._failures += 1
            if self._failures >= _GIVE_UP:
                self._down = error.message
            return Answer(failure=error.message)
        self._failures = 0
        return answer


class _NotFoundError(FetchError):
    """The service does not know the package or the version."""


class _Window:
    """The part of a requests session that pip-audit's client uses, turned to another address.

    last: the newest response; pip-audit's client looks only at its vulnerabilities.
    """

    def __init__(self, session: requests.Session, base: str) -> None:
        self._session = session
        self._base = base
        self.last: requests.Response | None = None

    def get(self, *, url: str, timeout: float) -> requests.Response:
        """Fetch, from the same path at our address."""
        self.last = None
        self.last = self._session.get(self._base + url.removeprefix(URL), timeout=timeout)
        return self.last


def _asker(base: str, terms: Terms, expired: Callable[[], bool]) -> _Asker:
    """Make a pip-audit client that is held to our rules, and whose failures are FetchErrors."""
    import requests  # noqa: PLC0415 - heavy
    from packaging.version import Version  # noqa: PLC0415 - as pip-audit wants it
    from pip_audit._service import PyPIService  # type: ignore[import-untyped] # noqa: PLC0415 - heavy
    from pip_audit._service.interface import ResolvedDependency, ServiceError  # noqa: PLC0415 - heavy

    # its timeout is declared as a whole number, but handed to requests as it is
    service = PyPIService(cache_dir=terms.cache / "http", timeout=terms.timeout)
    fetch.police(service.session, base, fetch.Limits(size=32 * MIB, timeout=terms.timeout), expired)
    window = _Window(service.session, base)
    service.session = window
    host = fetch.shown(base)

    def ask(name: str, version: str) -> Answer:
        try:
            answered, results = service.query(ResolvedDependency(name, Version(version)))
            if answered.is_skipped():
                raise _NotFoundError(f"{host} does not know this version")
            problems = tuple(_problem(one, version) for one in results)
            return Answer(problems=problems, yanked=_yanked(window.last))
        except FetchError:
            raise
        except ServiceError as error:
            raise FetchError(f"{host}: {str(error) or error.__cause__}") from error
        except requests.exceptions.SSLError as error:
            raise FetchError(f"{host}: the secure connection failed (certificate)") from error
        except requests.ConnectionError as error:  # after several attempts; a timeout is one too
            raise FetchError(f"{host}: the connection failed, or no answer in time") from error
        # what pip-audit trips over when an answer is not JSON, or not of the agreed shape
        except (
            requests.RequestException,
            ValueError,
            LookupError,
            TypeError,
            AttributeError,
            RecursionError,
        ) as error:
            raise FetchError(f"{host}: an answer that cannot be used: {error}") from error

    return ask


def _yanked(response: requests.Response | None) -> str | None:
    """Give why a release was withdrawn (PEP 592), None when it was not; raises ValueError.

    Format: PyPI's JSON API, "info" of a release: yanked, yanked_reason. A release of which only some
    files are yanked is not.
    """
    document = response.json() if response is not None else {}
    info = document.get("info") or {}
    if not isinstance(info, dict) or not isinstance(info.get("yanked", False), bool):
        raise ValueError("its word on whether the release is yanked is none")  # noqa: TRY004 - one kind
    if not info.get("yanked", False):
        return None
    reason = info.get("yanked_reason")
    return osv.one_line(reason) if isinstance(reason, str) else ""


def _problem(result: VulnerabilityResult, version: str) -> evidence.Problem:
    """Make a Problem of what pip-audit hands on; PyPI gives no severity."""
    ids = frozenset(one for one in (result.id, *result.aliases) if osv.is_id(one))
    if not ids:
        raise ValueError("an advisory without a usable id")
    current = matcher.parse_version(version)
    fixed = evidence.ascending(str(one) for one in result.fix_versions if current is None or one > current)
    malicious = any(one.startswith(osv.MALICIOUS_PREFIX) for one in ids)
    return evidence.Problem(
        ids=ids,
        severity="critical" if malicious else UNKNOWN,
        score=None,
        summary=osv.one_line(result.description),
        fixed=fixed,
        upgrade=fixed[0] if fixed else None,
        malicious=malicious,
        databases=frozenset({"pypi"}),
    )
