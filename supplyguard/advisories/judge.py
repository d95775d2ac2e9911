"""The answer on one dependency, given every record of its package."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence

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
) -> Iterator[Evidence | Audit]:
    """Yield the Evidence of each problem, then the Audit.

    records: those that name the package. more_ids: further aliases by record id. gap: why the
    records may not be all there are; then nothing is called clean.
    """
    name, version = dependency.name, dependency.version
    answers = [(record, matcher.matches(record, name, version)) for record in records]
    hits = [record for record, answer in answers if answer]
    problems = [problem_of(record, name, version, database, more_ids or {}) for record in hits]
    joined = evidence.join(problems)
    for problem in joined:
        yield evidence.make(name, version, dependency.location, _cleared(problem, hits, name))
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


def problem_of(
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
    )


def _cleared(problem: evidence.Problem, hits: Sequence[Record], name: str) -> evidence.Problem:
    """Make the upgrade one that clears every record of the problem."""
    records = [record for record in hits if record.id in problem.ids]
    if len(records) < 2:
        return problem
    return evidence.Problem(
        ids=problem.ids,
        severity=problem.severity,
        score=problem.score,
        summary=problem.summary,
        fixed=problem.fixed,
        upgrade=matcher.smallest_upgrade(records, name, problem.fixed) or problem.upgrade,
        malicious=problem.malicious,
        databases=problem.databases,
    )
