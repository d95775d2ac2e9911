"""The Evidence of a known problem in a dependency: how it is made, and how several are merged."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from supplyguard.advisories import aliases, matcher
from supplyguard.advisories.severity import LABELS
from supplyguard.finding import Audit, AuditStatus, Evidence, Fact
from supplyguard.inventory import Dependency, Location

KIND: Final = "dependency-advisory"
NO_MATCH: Final = "no match in the embedded data, which is not complete"
"""Why the embedded data leaves a dependency not audited."""

Exploited = Callable[[Collection[str]], tuple[float | None, bool]]
"""Give what is known of a problem's use by attackers, by its ids: EPSS (0 to 1), whether it is in KEV."""

_NO_FIX: Final = "no fixed version known"
_NO_SUMMARY: Final = "no summary is given"
_NO_VERSION: Final = "(any version)"
_MALICE: Final = "(malicious)"
_STATUS_ORDER: Final = (AuditStatus.NOT_AUDITED, AuditStatus.CLEAN, AuditStatus.AFFECTED)


@dataclass(frozen=True, kw_only=True, slots=True)
class Problem:
    """One known problem of a package at a version, as one or several databases tell it.

    ids: every id of it, in any order. score: of the CVSS vector that gave the severity.
    fixed: fixed versions after this one, ascending. upgrade: the first that clears the problem.
    target: the first version that clears every problem of the package that has a fix, as far as
        the database knows. epss: probability (0 to 1) that it is used within 30 days. kev: it is
        in CISA's catalogue of known exploited vulnerabilities.
    """

    ids: frozenset[str]
    severity: str
    score: float | None
    summary: str
    fixed: tuple[str, ...]
    upgrade: str | None
    malicious: bool
    databases: frozenset[str]
    target: str | None = None
    epss: float | None = None
    kev: bool = False


def nothing_known(_ids: Collection[str]) -> tuple[float | None, bool]:
    """Tell nothing of exploitation."""
    return None, False


def rated(problem: Problem, exploited: Exploited) -> Problem:
    """Add what is known of a problem's use by attackers."""
    epss, kev = exploited(problem.ids)
    return replace(problem, epss=epss, kev=kev or problem.kev)


def make_all(
    package: str, version: str | None, location: Location, problems: Sequence[Problem]
) -> Iterator[Evidence]:
    """Make the Evidence of every problem of a package at a version; they share one remedy.

    Every fact that a message quotes is text that is not empty.
    """
    honest = [one for one in problems if not one.malicious]
    fixable = [one for one in honest if one.upgrade is not None]
    target = (ascending(v for one in fixable for v in (one.upgrade, one.target) if v) or (None,))[-1]
    whole = target if len(fixable) == len(honest) else None
    number = f"all {len(honest)}" if whole is not None else f"{len(fixable)} of {len(honest)}"
    shared = f"upgrade to {target}" + (f" (clears {number})" if len(honest) > 1 else "")
    for problem in problems:
        if problem.malicious:
            remedy = "remove it"
        else:
            remedy = shared if problem.upgrade is not None else "no fixed version is known"
        yield _make(package, version, location, problem, {"remedy": remedy, "upgrade_all": whole or _NO_FIX})


def _make(
    package: str, version: str | None, location: Location, problem: Problem, advice: Mapping[str, Fact]
) -> Evidence:
    """Make the Evidence of one problem."""
    ids = aliases.preferred(problem.ids)
    facts: dict[str, Fact] = {
        "package": package,
        "version": version if version is not None else _NO_VERSION,
        "id": ids[0],
        "aliases": ids,
        "severity": problem.severity,
        "score": problem.score,
        "summary": problem.summary or _NO_SUMMARY,
        "fixed": problem.fixed,
        "upgrade": problem.upgrade or _NO_FIX,
        **advice,
        "target": problem.target,
        "malicious": problem.malicious,
        "epss": problem.epss,
        "kev": problem.kev,
        "databases": tuple(sorted(problem.databases)),
    }
    return Evidence(kind=KIND, location=location, facts=facts, symbol=f"{package}:{ids[0]}")


def worst(ratings: Iterable[tuple[str, float | None]]) -> tuple[str, float | None]:
    """Give the gravest of several (label, score) pairs."""
    return max(ratings, key=lambda rating: (LABELS.index(rating[0]), rating[1] or 0.0))


def join(problems: Iterable[Problem]) -> list[Problem]:
    """Join the problems of one package at one version that share an id, transitively.

    Records of malice are one problem too: they tell of the same release, mostly without aliases.
    """
    known = list(problems)
    id_sets = [one.ids | ({_MALICE} if one.malicious else frozenset()) for one in known]
    return [_joined([known[place] for place in places]) for places in aliases.groups(id_sets)]


def _joined(same: list[Problem]) -> Problem:
    """Make one problem of several: the gravest severity, all ids, fixes and databases.

    The upgrade is the greatest of theirs: each is the first version that clears its own.
    """
    severity, score = worst((one.severity, one.score) for one in same)
    return Problem(
        ids=frozenset().union(*(one.ids for one in same)),
        severity=severity,
        score=score,
        summary=next((one.summary for one in same if one.summary), ""),
        fixed=ascending(fixed for one in same for fixed in one.fixed),
        upgrade=(ascending(one.upgrade for one in same if one.upgrade is not None) or (None,))[-1],
        malicious=any(one.malicious for one in same),
        databases=frozenset().union(*(one.databases for one in same)),
        target=(ascending(one.target for one in same if one.target is not None) or (None,))[-1],
        epss=max((one.epss for one in same if one.epss is not None), default=None),
        kev=any(one.kev for one in same),
    )


def ascending(versions: Iterable[str]) -> tuple[str, ...]:
    """Order PEP 440 versions, each once; others are left out."""
    parsed = {found: text for text in versions if (found := matcher.parse_version(text)) is not None}
    return tuple(parsed[version] for version in sorted(parsed))


def merge(evidence: Iterable[Evidence]) -> list[Evidence]:
    """Join what several databases say of the same statement in the same place.

    Evidence of other kinds passes through. The order is that of first appearance.
    """
    others: list[Evidence] = []
    by_statement: dict[tuple[Location, str, str], list[Problem]] = {}
    for one in evidence:
        if one.kind != KIND:
            others.append(one)
            continue
        key = (one.location, str(one.facts["package"]), str(one.facts["version"]))
        by_statement.setdefault(key, []).append(_problem_of(one.facts))
    merged = [
        one
        for (location, package, version), problems in by_statement.items()
        for one in make_all(package, None if version == _NO_VERSION else version, location, join(problems))
    ]
    return others + merged


def _texts(fact: Fact) -> tuple[str, ...]:
    """Give a tuple fact; other values do not occur."""
    return fact if isinstance(fact, tuple) else ()


def _problem_of(facts: Mapping[str, Fact]) -> Problem:
    """Read back what `make` wrote."""
    score, target, epss = facts["score"], facts["target"], facts["epss"]
    return Problem(
        ids=frozenset(_texts(facts["aliases"])),
        severity=str(facts["severity"]),
        score=score if isinstance(score, float) else None,
        summary="" if facts["summary"] == _NO_SUMMARY else str(facts["summary"]),
        fixed=_texts(facts["fixed"]),
        upgrade=None if facts["upgrade"] == _NO_FIX else str(facts["upgrade"]),
        malicious=facts["malicious"] is True,
        databases=frozenset(_texts(facts["databases"])),
        target=target if isinstance(target, str) else None,
        epss=epss if isinstance(epss, float) else None,
        kev=facts["kev"] is True,
    )


def merge_audits(audits: Iterable[Audit]) -> list[Audit]:
    """Give one Audit for each dependency: affected over clean over not audited.

    Equal answers name all their databases; reasons are kept only where nothing was found out, and
    that the embedded data has no match only where there is no other reason.
    """
    by_dependency: dict[Dependency, list[Audit]] = {}
    for audit in audits:
        by_dependency.setdefault(audit.dependency, []).append(audit)
    merged = []
    for dependency, answers in by_dependency.items():
        status = max((answer.status for answer in answers), key=_STATUS_ORDER.index)
        same = [answer for answer in answers if answer.status is status]
        reasons = dict.fromkeys(answer.reason for answer in same if answer.reason)
        if len(reasons) > 1:
            reasons.pop(NO_MATCH, None)
        merged.append(
            Audit(
                dependency=dependency,
                status=status,
                database=", ".join(dict.fromkeys(answer.database for answer in same)),
                reason="; ".join(reasons),
            )
        )
    return merged
