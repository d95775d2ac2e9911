"""The answer on one dependency, given every record of its package."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace

from supplyguard.advisories import evidence, matcher
from supplyguard.advisories.osv import Record
from supplyguard.advisories.severity import severity_of
from supplyguard.finding import Audit, AuditStatus, Evidence
from supplyguard.inventory import Dependency

NO_VERSION = "no exact version"
NOT_A_VERSION = "not a PEP 440 version"


def judge(
    dependency: Dependency,
    records: Sequence[Record],
    *,
    database: str,
    more_ids: Mapping[str, Collection[str]] | None = None,
    gap: str | None = None,
    exploited: evidence.Exploited = evidence.nothing_known,
) -> Iterator[Evidence | Audit]:
    """Yield the Evidence of each problem, then the Audit.

    records: those that name the package. more_ids: further aliases by record id. gap: why the
    records may not be all there are; then nothing is called clean. exploited: what is known of a
    problem's use by attackers.
    """
    name, version = dependency.name, dependency.version
    answers = [(record, matcher.matches(record, name, version)) for record in records]
    hits = [record for record, answer in answers if answer]
    problems = problems_of(hits, records, name, version, database=database, more_ids=more_ids)
    found = [evidence.rated(problem, exploited) for problem in problems]
    yield from evidence.make_all(name, version, dependency.location, found)
    undecided = [record.id for record, answer in answers if answer is None]
    status, reason = AuditStatus.NOT_AUDITED, ""
    if hits:
        status = AuditStatus.AFFECTED
    elif version is None:
        reason = NO_VERSION
    elif matcher.parse_version(version) is None:
        reason = NOT_A_VERSION
    elif undecided:
        reason = f"{undecided[0]} gives versions that cannot be compared"
    elif gap is not None:
        reason = gap
    else:
        status = AuditStatus.CLEAN
    yield Audit(dependency=dependency, status=status, database=database, reason=reason)


def problems_of(
    hits: Sequence[Record],
    records: Sequence[Record],
    name: str,
    version: str | None,
    *,
    database: str,
    more_ids: Mapping[str, Collection[str]] | None = None,
) -> list[evidence.Problem]:
    """Say which problems the matching records tell of, and which upgrade clears them.

    records: all of the package that are known, `hits` among them.
    """
    told = [_problem_of(record, name, version, database, more_ids or {}) for record in hits]
    joined = [_cleared(problem, hits, name) for problem in evidence.join(told)]
    target = _target(joined, records, hits, name, version) if hits else None
    return [replace(problem, target=target) for problem in joined]


def _problem_of(
    record: Record,
    name: str,
    version: str | None,
    database: str,
    more_ids: Mapping[str, Collection[str]],
) -> evidence.Problem:
    """Say what one matching record says of a package at a version."""
    severity, score = evidence.worst(
        severity_of(record, entry) for entry in matcher.entries_for(record, name)
    )
    if record.malicious:
        severity = "critical"
    fixed = matcher.fixed_versions([record], name, version)
    return evidence.Problem(
        ids=frozenset({record.id, *record.aliases, *more_ids.get(record.id, ())}),
        severity=severity,
        score=score,
        summary=record.summary,
        fixed=fixed,
        upgrade=matcher.smallest_upgrade([record], name, fixed),
        malicious=record.malicious,
        databases=frozenset({database}),
        kev=record.exploited,
    )


def _cleared(problem: evidence.Problem, hits: Sequence[Record], name: str) -> evidence.Problem:
    """Make the upgrade one that clears every record of the problem."""
    records = [record for record in hits if record.id in problem.ids]
    if len(records) < 2:
        return problem
    upgrade = matcher.smallest_upgrade(records, name, problem.fixed) or problem.upgrade
    return replace(problem, upgrade=upgrade)


def _target(
    problems: Sequence[evidence.Problem],
    records: Sequence[Record],
    hits: Sequence[Record],
    name: str,
    version: str | None,
) -> str | None:
    """Give the smallest version that clears every problem that has a fix, and has no other problem.

    Where there is no such version, one that clears them but has a problem of its own.
    """
    hopeless = frozenset().union(*(one.ids for one in problems if one.upgrade is None))
    wanted = [record for record in hits if record.id not in hopeless]
    if not wanted:
        return None
    others = [record for record in records if record.id not in hopeless]
    first = None
    for candidate in matcher.fixed_versions(records, name, version):
        if matcher.clears(wanted, name, candidate):
            if matcher.clears(others, name, candidate):
                return candidate
            first = first or candidate
    return first
