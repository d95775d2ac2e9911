"""Live look-up: PyPI's and OSV's services, asked through pip-audit's clients.

The one module that knows pip-audit (2.10). Its clients ask for one package at a time; here many are
asked at once, under a deadline. Two of their ways are not taken over: a package that PyPI answers
404 for is skipped there, and is not audited here; and what breaks off in the middle is an exception
of many kinds there, and a stated reason here.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

from supplyguard import fetch
from supplyguard.advisories import evidence, matcher, osv
from supplyguard.advisories.judge import NO_VERSION, NOT_A_VERSION, problem_of
from supplyguard.advisories.severity import UNKNOWN
from supplyguard.errors import FetchError, MalformedError
from supplyguard.finding import AdvisoryData, Audit, AuditStatus, Evidence, Notification
from supplyguard.inventory import Dependency
from supplyguard.limits import MIB
from supplyguard.resources import cache_folder

if TYPE_CHECKING:
    import requests
    from pip_audit._service.interface import VulnerabilityResult  # type: ignore[import-untyped]

NAME: Final = "live"
PYPI_URL: Final = "https://pypi.org"
OSV_URL: Final = "https://api.osv.dev"
_GIVE_UP: Final = 3
"""Packages in a row that cannot be asked for before a service counts as down."""

Question = tuple[str, str]
"""A normalised package name and a version without local part."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Service:
    """One service to ask: "pypi" or "osv", and its address."""

    name: str
    url: str


SERVICES: Final = (Service(name="pypi", url=PYPI_URL), Service(name="osv", url=OSV_URL))


@dataclass(frozen=True, kw_only=True, slots=True)
class _Answer:
    """What a service said of a question; `failure` is why it said nothing, "" otherwise."""

    problems: tuple[evidence.Problem, ...] = ()
    failure: str = ""


_Answers = queue.SimpleQueue[tuple[Question, _Answer]]


class _Asker(Protocol):
    """Ask one question; raises FetchError when there is no usable answer."""

    def __call__(self, name: str, version: str) -> tuple[evidence.Problem, ...]: ...


class LiveDatabase:
    """The services as one Database.

    seconds: for all questions together. timeout: for one answer. workers: questions at a time.
    cache: folder of the HTTP cache; the default is in supplyguard's own cache folder.
    """

    def __init__(
        self,
        services: Sequence[Service] = SERVICES,
        *,
        cache: Path | None = None,
        seconds: float = 60.0,
        timeout: float = 10.0,
        workers: int = 8,
        exploited: evidence.Exploited = evidence.nothing_known,
    ) -> None:
        self._exploited = exploited
        self._services = tuple(services)
        self._cache = cache
        self._seconds = seconds
        self._timeout = timeout
        self._workers = workers

    def data(self) -> AdvisoryData:
        """Say which services are asked; their data has no date and no count of its own."""
        return AdvisoryData(
            name=NAME,
            updated=None,
            records=None,
            origin=", ".join(fetch.shown(service.url) for service in self._services),
        )

    def audit(self, dependencies: Sequence[Dependency]) -> Iterator[Evidence | Audit | Notification]:
        """Ask every service for every pinned version, then yield Evidence and one Audit for each.

        A dependency is affected when a service says so, clean when every service answered, and not
        audited otherwise. A service that did not answer everything is one Notification.
        """
        questions = {dependency: _question(dependency) for dependency in dependencies}
        wanted = list(dict.fromkeys(question for question in questions.values() if question is not None))
        deadline = time.monotonic() + self._seconds
        begun = [(service, self._start(service, wanted, deadline)) for service in self._services]
        answers = {service.name: self._collect(done, wanted, deadline) for service, done in begun}
        for dependency in dependencies:
            question = questions[dependency]
            if question is None:
                reason = NO_VERSION if dependency.version is None else NOT_A_VERSION
                yield Audit(
                    dependency=dependency, status=AuditStatus.NOT_AUDITED, database=NAME, reason=reason
                )
                continue
            yield from _judged(dependency, {name: said[question] for name, said in answers.items()})
        for service in self._services:
            yield from _notices(service, answers[service.name])

    def _start(self, service: Service, wanted: Sequence[Question], deadline: float) -> _Answers:
        """Begin to ask one service everything, with several threads; gives where answers come out."""
        todo: queue.SimpleQueue[Question] = queue.SimpleQueue()
        for question in wanted:
            todo.put(question)
        done: _Answers = queue.SimpleQueue()
        run = _Run(service=service, todo=todo, done=done, deadline=deadline, timeout=self._timeout)
        folder = self._cache if self._cache is not None else cache_folder() / "http"
        for _ in range(min(self._workers, len(wanted))):
            # daemons: an answer that never ends must not keep the process from ending
            threading.Thread(target=run.work, args=(folder,), daemon=True).start()
        return done

    def _collect(
        self, done: _Answers, wanted: Sequence[Question], deadline: float
    ) -> dict[Question, _Answer]:
        """Wait for the answers of one service until the deadline; what is late is a failure."""
        late = _Answer(failure=f"no answer within {self._seconds:g} s")
        answers = dict.fromkeys(wanted, late)
        for _ in wanted:
            try:
                question, answer = done.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                break
            answers[question] = answer
        return answers


def _question(dependency: Dependency) -> Question | None:
    """Give what to ask for a dependency: the local part of a version is of no index."""
    version = matcher.parse_version(dependency.version) if dependency.version is not None else None
    return None if version is None else (dependency.name, version.public)


class _Run:
    """The questions to one service, shared by its threads."""

    def __init__(
        self,
        *,
        service: Service,
        todo: queue.SimpleQueue[Question],
        done: _Answers,
        deadline: float,
        timeout: float,
    ) -> None:
        self._service = service
        self._todo = todo
        self._done = done
        self._deadline = deadline
        self._timeout = timeout
        self._failures = 0
        self._down = ""

    def expired(self) -> bool:
        """Whether the time is over."""
        return time.monotonic() > self._deadline

    def work(self, cache: Path) -> None:
        """Answer questions until there are none, with a client of this thread's own."""
        ask: _Asker | None
        try:
            ask = _ASKERS[self._service.name](self._service.url, cache, self._timeout, self.expired)
        except (FetchError, OSError) as error:
            self._down = str(error)
            ask = None
        while not self.expired():
            try:
                question = self._todo.get_nowait()
            except queue.Empty:
                return
            self._done.put((question, self._answer(ask, question)))

    def _answer(self, ask: _Asker | None, question: Question) -> _Answer:
        """Ask one question; a service that failed several times in a row is not asked again."""
        if ask is None or self._down:
            return _Answer(failure=self._down)
        try:
            problems = ask(*question)
        except _NotFoundError as error:
            self._failures = 0
            return _Answer(failure=error.message)
        except FetchError as error:
            self._failures += 1
            if self._failures >= _GIVE_UP:
                self._down = error.message
            return _Answer(failure=error.message)
        self._failures = 0
        return _Answer(problems=problems)


class _NotFoundError(FetchError):
    """The service does not know the package or the version."""


class _Window:
    """The part of a requests session that pip-audit's clients use, turned to another address.

    last: the parsed answer to the last question, which tells more than pip-audit hands on.
    """

    def __init__(self, session: requests.Session, *, replace: str, base: str) -> None:
        self._session = session
        self._replace = replace
        self._base = base
        self.last: Mapping[str, Any] = {}

    def get(self, *, url: str, timeout: float) -> requests.Response:
        """Fetch, from the same path at our address."""
        return self._kept(self._session.get(self._base + url.removeprefix(self._replace), timeout=timeout))

    def post(self, *, url: str, data: str, timeout: float) -> requests.Response:
        """Send a query."""
        return self._kept(self._session.post(url, data=data, timeout=timeout))

    def _kept(self, response: requests.Response) -> requests.Response:
        """Keep a good answer; raises ValueError when it is not JSON, FetchError when there is more."""
        self.last = {}
        if response.status_code == 200:
            answer = response.json()
            if not isinstance(answer, dict):
                raise FetchError("the answer is not a JSON object")
            if answer.get("next_page_token"):
                raise FetchError("the answer has further pages")
            self.last = answer
        return response


def _pypi_asker(base: str, cache: Path, timeout: float, expired: Callable[[], bool]) -> _Asker:
    """Make a client of PyPI's JSON service (https://docs.pypi.org/api/json/)."""
    from pip_audit._service import PyPIService  # type: ignore[import-untyped] # noqa: PLC0415 - heavy

    service = PyPIService(cache_dir=cache, timeout=timeout)
    return _asker(service, PYPI_URL, base, expired)


def _osv_asker(base: str, cache: Path, timeout: float, expired: Callable[[], bool]) -> _Asker:
    """Make a client of OSV's query service (https://google.github.io/osv.dev/post-v1-query/)."""
    from pip_audit._service import OsvService  # noqa: PLC0415 - heavy

    service = OsvService(cache_dir=cache, timeout=timeout, osv_url=f"{base}/v1/query")
    return _asker(service, OSV_URL, base, expired)


_ASKERS: Final = {"pypi": _pypi_asker, "osv": _osv_asker}


def _asker(service: Any, replace: str, base: str, expired: Callable[[], bool]) -> _Asker:
    """Hold a pip-audit client to our rules, and make its failures FetchErrors."""
    import requests  # noqa: PLC0415 - heavy
    from packaging.version import Version  # noqa: PLC0415 - as pip-audit wants it
    from pip_audit._service.interface import ResolvedDependency, ServiceError  # noqa: PLC0415 - heavy

    limits = fetch.Limits(size=32 * MIB, timeout=service.timeout)
    fetch.police(service.session, base, limits, expired)
    window = _Window(service.session, replace=replace, base=base)
    service.session = window
    host = fetch.shown(base)

    def ask(name: str, version: str) -> tuple[evidence.Problem, ...]:
        try:
            answered, results = service.query(ResolvedDependency(name, Version(version)))
            if answered.is_skipped():
                raise _NotFoundError(f"{host} does not know {name} {version}")
            records = _known_problems(window.last, name, version)
            return tuple(records.get(one.id) or _problem(one, version) for one in results)
        except FetchError:
            raise
        except ServiceError as error:
            raise FetchError(f"{host}: {str(error) or error.__cause__}") from error
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


def _known_problems(answer: Mapping[str, Any], name: str, version: str) -> dict[str, evidence.Problem]:
    """Read OSV's own records out of an answer, by every id: they tell severity and ranges."""
    known: dict[str, evidence.Problem] = {}
    for document in answer.get("vulns") or ():
        try:
            record = osv.parse(document)
        except MalformedError:  # pip-audit read enough of it; severity is then unknown
            continue
        if name in record.names:
            problem = problem_of(record, name, version, "osv", {})
            known.update(dict.fromkeys((record.id, *record.aliases), problem))
    return known


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


def _judged(dependency: Dependency, said: Mapping[str, _Answer]) -> Iterator[Evidence | Audit]:
    """Join what the services said of one dependency."""
    problems = evidence.join(problem for answer in said.values() for problem in answer.problems)
    yield from evidence.make_all(dependency.name, dependency.version, dependency.location, problems)
    failures = "; ".join(answer.failure for answer in said.values() if answer.failure)
    status = AuditStatus.CLEAN
    if problems:
        status, failures = AuditStatus.AFFECTED, ""
    elif failures:
        status = AuditStatus.NOT_AUDITED
    yield Audit(dependency=dependency, status=status, database=NAME, reason=failures)


def _notices(service: Service, answers: Mapping[Question, _Answer]) -> Iterator[Notification]:
    """Say once how much a service left unanswered, and why."""
    failures = [answer.failure for answer in answers.values() if answer.failure]
    if failures:
        text = (
            f"{service.name} gave no answer on {len(failures)} of {len(answers)} packages: {failures[0]}; "
            "supplyguard db update makes a local copy of the advisories"
        )
        yield Notification(code="advisories-unreachable", message=text, incomplete=True)
