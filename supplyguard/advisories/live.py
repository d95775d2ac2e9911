"""Live look-up: PyPI's and OSV's services, asked side by side under one deadline, and merged."""

from __future__ import annotations

import queue
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from supplyguard import fetch
from supplyguard.advisories import evidence, matcher, osv, osv_service, pypi_service
from supplyguard.advisories.answers import Answer, Answers, Question, Start, Terms
from supplyguard.advisories.judge import NO_VERSION, NOT_A_VERSION, problems_of
from supplyguard.finding import AdvisoryData, Audit, AuditStatus, Evidence, Fact, Notification
from supplyguard.inventory import Dependency
from supplyguard.resources import cache_folder

NAME: Final = "live"
YANKED: Final = "dependency-yanked"
_GRACE: Final = 1.0
"""Seconds beyond the deadline in which an answer that is there already is still taken."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Service:
    """One service to ask: "pypi" or "osv", and its address."""

    name: str
    url: str


SERVICES: Final = (
    Service(name="pypi", url=pypi_service.URL),
    Service(name="osv", url=osv_service.URL),
)
_STARTS: Final[Mapping[str, Start]] = {"pypi": pypi_service.start, "osv": osv_service.start}


class LiveDatabase:
    """The services as one Database.

    seconds: for all questions together. timeout: for one answer. workers: questions at a time.
    cache: folder for answers that stay true; the default is supplyguard's own cache folder.
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
        self._services = tuple(services)
        self._cache = cache
        self._seconds = seconds
        self._timeout = timeout
        self._workers = workers
        self._exploited = exploited

    def data(self) -> AdvisoryData:
        """Say which services are asked; their data has no date and no count of its own."""
        return AdvisoryData(
            name=NAME,
            updated=None,
            records=None,
            origin=", ".join(fetch.shown(service.url) for service in self._services),
        )

    def audit(self, dependencies: Sequence[Dependency]) -> Iterator[Evidence | Audit | Notification]:
        """Ask every service about every package, then yield Evidence and one Audit for each dependency.

        A dependency is affected when a service says so, clean when every service answered, and not
        audited otherwise. A service that did not answer everything is one Notification.
        """
        wanted = list(dict.fromkeys(map(_question, dependencies)))
        terms = Terms(
            timeout=self._timeout,
            deadline=time.monotonic() + self._seconds,
            workers=self._workers,
            cache=self._cache if self._cache is not None else cache_folder(),
        )
        begun = [(service, _STARTS[service.name](service.url, wanted, terms)) for service in self._services]
        answers = {service.name: self._collect(done, wanted, terms) for service, done in begun}
        for dependency in dependencies:
            said = {name: given[_question(dependency)] for name, given in answers.items()}
            yield from self._judged(dependency, said)
        for service in self._services:
            yield from _notices(service, answers[service.name])

    def _collect(self, done: Answers, wanted: Sequence[Question], terms: Terms) -> dict[Question, Answer]:
        """Wait for the answers of one service until the deadline; what is late is a failure."""
        late = Answer(failure=f"no answer within {self._seconds:g} s")
        answers = dict.fromkeys(wanted, late)
        for _ in wanted:
            try:
                question, answer = done.get(timeout=max(0.0, terms.deadline + _GRACE - time.monotonic()))
            except queue.Empty:
                break
            answers[question] = answer
        return answers

    def _judged(self, dependency: Dependency, said: Mapping[str, Answer]) -> Iterator[Evidence | Audit]:
        """Join what the services said of one dependency."""
        name, version = dependency.name, _public(dependency)
        problems = [problem for answer in said.values() for problem in answer.problems]
        for service, answer in said.items():
            hits = answer.records if version is not None else _malicious(answer, dependency)
            problems += problems_of(hits, answer.records, name, version, database=service)
        found = [evidence.rated(problem, self._exploited) for problem in evidence.join(problems)]
        yield from evidence.make_all(name, dependency.version, dependency.location, found)
        yield from _yanked(dependency, said)
        failures = dict.fromkeys(answer.failure for answer in said.values() if answer.failure)
        status, reason = AuditStatus.CLEAN, ""
        if found:
            status = AuditStatus.AFFECTED
        elif version is None:
            status = AuditStatus.NOT_AUDITED
            reason = NO_VERSION if dependency.version is None else NOT_A_VERSION
        elif failures:
            status, reason = AuditStatus.NOT_AUDITED, "; ".join(failures)
        yield Audit(dependency=dependency, status=status, database=NAME, reason=reason)


def _yanked(dependency: Dependency, said: Mapping[str, Answer]) -> Iterator[Evidence]:
    """Say that a release was withdrawn; what comes from an address or is a local build is another one."""
    reasons = [answer.yanked for answer in said.values() if answer.yanked is not None]
    version = matcher.parse_version(dependency.version) if dependency.version is not None else None
    if reasons and dependency.url is None and version is not None and version.local is None:
        facts: dict[str, Fact] = {
            "package": dependency.name,
            "version": dependency.version,
            "reason": reasons[0] or "no reason is given",
        }
        yield Evidence(
            kind=YANKED,
            location=dependency.location,
            facts=facts,
            symbol=f"{dependency.name}:{dependency.version}",
        )


def _public(dependency: Dependency) -> str | None:
    """Give the version to ask for: without the local part, which is of no index; None for no version."""
    version = matcher.parse_version(dependency.version) if dependency.version is not None else None
    return None if version is None else version.public


def _question(dependency: Dependency) -> Question:
    """Give what to ask for a dependency."""
    return dependency.name, _public(dependency)


def _malicious(answer: Answer, dependency: Dependency) -> list[osv.Record]:
    """Give the records that cover every version of a package."""
    return [
        record for record in answer.records if matcher.matches(record, dependency.name, dependency.version)
    ]


def _notices(service: Service, answers: Mapping[Question, Answer]) -> Iterator[Notification]:
    """Say once how much a service left unanswered, and why."""
    failures = [answer.failure for answer in answers.values() if answer.failure]
    if failures:
        text = (
            f"{service.name} gave no answer on {len(failures)} of {len(answers)} packages: {failures[0]}; "
            "supplyguard db update makes a local copy of the advisories"
        )
        yield Notification(code="advisories-unreachable", message=text, incomplete=True)
