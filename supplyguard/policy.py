"""Policy: which findings count, and what follows from them (threshold, ignores, baseline)."""

from __future__ import annotations

import fnmatch
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from pathlib import Path
from typing import Any, Final

from supplyguard.errors import ConfigError
from supplyguard.finding import (
    Confidence,
    Finding,
    Notification,
    Severity,
    Suppression,
    SuppressionKind,
    Verdict,
)
from supplyguard.inventory import Location

INLINE: Final = re.compile(
    r"(?:#|//|<!--)\s*supplyguard:\s*ignore\[(?P<rules>[a-z0-9-]+(?:\s*,\s*[a-z0-9-]+)*)\](?P<reason>[^\r\n]*)"
)
ADVISORY_KIND: Final = "dependency-advisory"
"""The kind of Evidence that VEX statements are about."""
JUSTIFICATIONS: Final = (
    "component_not_present",
    "vulnerable_code_not_present",
    "vulnerable_code_not_in_execute_path",
    "vulnerable_code_cannot_be_controlled_by_adversary",
    "inline_mitigations_already_exist",
)
"""Why something is not affected, in OpenVEX 0.2.0's words."""
CODE_BEFORE: Final = re.compile(r"[^\s\"',]")
"""A line that has something besides blanks and JSON quotes before the comment holds code."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Ignore:
    """A configured decision that certain findings are accepted.

    rule: a rule's id. path: glob over the artifact's path ("*" crosses "/"). member: glob over the
    member path joined with "!". sha256: only this content. advisory: only findings that name this
    advisory id or alias. origin: where it was written. expires: last day on which it holds.
    justification: why the project is not affected, in OpenVEX's words, for `supplyguard vex`.
    """

    rule: str
    reason: str
    path: str = "*"
    member: str | None = None
    sha256: str | None = None
    advisory: str | None = None
    expires: date | None = None
    justification: str | None = None
    origin: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class VexStatement:
    """What a VEX document says of one vulnerability in some packages.

    ids: of the vulnerability. products: (normalised name, version or None: every version) of PyPI
    packages. accepts: the products are not affected, or fixed. issued: later statements override
    earlier ones.
    """

    ids: frozenset[str]
    products: frozenset[tuple[str, str | None]]
    accepts: bool
    reason: str
    issued: datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class InlineIgnore:
    """A comment in a text file that accepts findings on its line, or the next when it stands alone."""

    uri: str
    line: int
    covers: int
    rules: tuple[str, ...]
    reason: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Policy:
    """What is reported (min_*), and what gates (fail_on; None: nothing does).

    fail_on_kev: any vulnerability that attackers are known to use gates too. fail_on_epss: so does
    one whose EPSS probability is at least this.
    """

    fail_on: Severity | None = Severity.HIGH
    fail_on_kev: bool = False
    fail_on_epss: float | None = None
    min_severity: Severity = Severity.INFO
    min_confidence: Confidence = Confidence.LOW
    allow_incomplete: bool = False
    ignores: tuple[Ignore, ...] = ()
    vex: tuple[VexStatement, ...] = ()
    baseline: frozenset[tuple[str, str]] = frozenset()


@dataclass(frozen=True, kw_only=True, slots=True)
class Decision:
    """What the policy makes of the findings."""

    verdict: Verdict
    findings: tuple[Finding, ...]
    suppressed: tuple[Finding, ...]
    below_threshold: int
    notifications: tuple[Notification, ...]


def decide(
    findings: Iterable[Finding],
    notifications: Sequence[Notification],
    policy: Policy,
    *,
    inline: Sequence[InlineIgnore] = (),
    digests: Mapping[str, str] | None = None,
    report_unused: bool = True,
    today: date,
) -> Decision:
    """Apply ignores, thresholds and the gate.

    digests: sha256 (hex) by artifact URI, for ignores that name one. report_unused: false where
    only a part of the project was looked at. Gating looks at every finding that is not suppressed,
    whether or not it is reported.
    """
    ignores = _Ignores(policy=policy, inline=inline, digests=digests or {}, today=today)
    kept: list[Finding] = []
    suppressed: list[Finding] = []
    for finding in sorted(findings, key=_order):
        suppression = _suppression(finding, ignores)
        if suppression is None:
            kept.append(finding)
        else:
            suppressed.append(replace(finding, suppression=suppression))
    gated = [finding for finding in kept if _exploited(finding, policy)]
    said = (
        *notifications,
        *_ignore_notices(ignores, report_unused=report_unused),
        *_gate_notice(gated),
    )
    shown = tuple(
        finding
        for finding in kept
        if finding.severity >= policy.min_severity and finding.rule.confidence >= policy.min_confidence
    )
    return Decision(
        verdict=Verdict.FAIL if gated else _verdict(kept, said, policy),
        findings=shown,
        suppressed=tuple(suppressed),
        below_threshold=len(kept) - len(shown),
        notifications=said,
    )


def parse_inline(uri: str, text: str) -> list[InlineIgnore]:
    """Find `supplyguard: ignore[rule-id, ...] reason` comments in a text file."""
    found: list[InlineIgnore] = []
    if "supplyguard:" not in text:
        return found
    for number, line in enumerate(text.splitlines(), start=1):
        match = INLINE.search(line)
        if match is None:
            continue
        alone = CODE_BEFORE.search(line[: match.start()]) is None
        found.append(
            InlineIgnore(
                uri=uri,
                line=number,
                covers=number + 1 if alone else number,
                rules=tuple(each.strip() for each in match["rules"].split(",")),
                reason=match["reason"].removesuffix("-->").strip(" \t\"',\\").removesuffix("\\n").strip(),
            )
        )
    return found


def read_baseline(path: Path) -> frozenset[tuple[str, str]]:
    """Read (rule id, fingerprint) pairs from an earlier JSON or SARIF report; raises ConfigError."""
    try:
        document = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise ConfigError(f"cannot read the baseline {path}: {error}") from error
    try:
        if "runs" in document:
            return frozenset(
                (str(result["ruleId"]), str(result["partialFingerprints"]["supplyguard/v1"]))
                for run in document["runs"]
                for result in run["results"]
            )
        return frozenset((str(each["rule_id"]), str(each["fingerprint"])) for each in document["findings"])
    except (KeyError, TypeError) as error:
        raise ConfigError(
            f"the baseline {path} is not a report of supplyguard ({error} is missing)",
            hint="give a file written with --format json or --format sarif",
        ) from error


def parse_ignore(entry: Any, where: str) -> Ignore:
    """Read one `[[ignore]]` table; raises ConfigError with the path to the bad key."""
    if not isinstance(entry, dict):
        raise ConfigError(f"{where}: expected a table")
    allowed = {"rule", "reason", "path", "member", "sha256", "advisory", "expires", "justification"}
    for key in entry:
        if key not in allowed:
            raise ConfigError(f"{where}.{key}: unknown key", hint=f"one of {', '.join(sorted(allowed))}")
    expires = entry.get("expires")
    if isinstance(expires, str):
        try:
            expires = date.fromisoformat(expires)
        except ValueError as error:
            raise ConfigError(f"{where}.expires: not a date of the form YYYY-MM-DD") from error
    if expires is not None and type(expires) is not date:
        raise ConfigError(f"{where}.expires: not a date of the form YYYY-MM-DD")
    for key in ("rule", "reason"):
        if not isinstance(entry.get(key), str) or not entry[key].strip():
            raise ConfigError(f"{where}.{key}: required, a text")
    for key in ("path", "member", "sha256", "advisory", "justification"):
        if key in entry and not isinstance(entry[key], str):
            raise ConfigError(f"{where}.{key}: expected a text")
    if entry.get("justification", JUSTIFICATIONS[0]) not in JUSTIFICATIONS:
        raise ConfigError(f"{where}.justification: not one of {', '.join(JUSTIFICATIONS)}")
    return Ignore(**{**entry, "expires": expires, "origin": where})


def _order(finding: Finding) -> tuple[object, ...]:
    where = finding.location
    return (
        -finding.severity,
        where.uri,
        where.line or 0,
        where.column or 0,
        where.member,
        where.offset or 0,
        finding.rule.id,
        finding.symbol,
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class _Ignores:
    """All ignores of a run; `used` collects the identities of those that matched."""

    policy: Policy
    inline: Sequence[InlineIgnore]
    digests: Mapping[str, str]
    today: date
    used: set[int] = field(default_factory=set)

    def holds(self, ignore: Ignore) -> bool:
        return ignore.expires is None or self.today <= ignore.expires


def _suppression(finding: Finding, ignores: _Ignores) -> Suppression | None:
    where = finding.location
    for comment in ignores.inline:
        if comment.uri != where.uri or finding.rule.id not in comment.rules or not comment.reason:
            continue
        if where.line is not None and where.line <= comment.covers <= (where.end_line or where.line):
            ignores.used.add(id(comment))
            place = Location(uri=comment.uri, line=comment.line)
            return Suppression(kind=SuppressionKind.INLINE, reason=comment.reason, location=place)
    for ignore in ignores.policy.ignores:
        if covers(ignore, finding, ignores.digests):
            ignores.used.add(id(ignore))
            if ignores.holds(ignore):
                return Suppression(kind=SuppressionKind.CONFIGURED, reason=ignore.reason)
    statement = _vex_of(finding, ignores.policy.vex)
    if statement is not None and statement.accepts:
        return Suppression(kind=SuppressionKind.VEX, reason=statement.reason)
    if (finding.rule.id, finding.fingerprint) in ignores.policy.baseline:
        return Suppression(kind=SuppressionKind.BASELINE, reason="in the baseline")
    return None


def _vex_of(finding: Finding, statements: Iterable[VexStatement]) -> VexStatement | None:
    """Give the latest statement on an advisory's finding; of the same moment, the last one."""
    if finding.rule.kind != ADVISORY_KIND:
        return None
    package, version = finding.facts.get("package"), finding.facts.get("version")
    names = set(_advisory_ids(finding))
    fitting = [
        each
        for each in statements
        if not each.ids.isdisjoint(names)
        and not each.products.isdisjoint({(package, None), (package, version)})
    ]
    return max(reversed(fitting), key=lambda each: each.issued, default=None)


def _advisory_ids(finding: Finding) -> tuple[object, ...]:
    """Give every id of the advisory that a finding is of; none for other findings."""
    aliases = finding.facts.get("aliases")
    return (*(aliases if isinstance(aliases, tuple) else ()), finding.facts.get("id"))


def covers(ignore: Ignore, finding: Finding, digests: Mapping[str, str]) -> bool:
    """Whether an ignore is of a finding, whether or not it has expired."""
    where = finding.location
    if ignore.rule != finding.rule.id or not fnmatch.fnmatchcase(where.uri, ignore.path):
        return False
    if ignore.member is not None and not fnmatch.fnmatchcase("!".join(where.member), ignore.member):
        return False
    if ignore.sha256 is not None and digests.get(where.uri) != ignore.sha256.lower():
        return False
    return ignore.advisory is None or ignore.advisory in _advisory_ids(finding)


def _ignore_notices(ignores: _Ignores, *, report_unused: bool) -> Iterable[Notification]:
    for ignore in ignores.policy.ignores:
        if not ignores.holds(ignore):
            text = f"{ignore.origin}: the ignore of {ignore.rule} expired on {ignore.expires}"
            yield Notification(code="ignore-expired", message=text)
        elif report_unused and id(ignore) not in ignores.used:
            text = f"{ignore.origin}: the ignore of {ignore.rule} matches nothing"
            yield Notification(code="ignore-unused", message=text)
    for comment in ignores.inline:
        place = Location(uri=comment.uri, line=comment.line)
        names = ", ".join(comment.rules)
        if not comment.reason:
            text = f"the ignore of {names} gives no reason and is not honoured"
            yield Notification(code="ignore-without-reason", message=text, location=place)
        elif report_unused and id(comment) not in ignores.used:
            text = f"the ignore of {names} matches nothing"
            yield Notification(code="ignore-unused", message=text, location=place)


def _exploited(finding: Finding, policy: Policy) -> bool:
    """Whether what is known of attacks gates a finding."""
    if policy.fail_on_kev and finding.facts.get("kev") is True:
        return True
    epss = finding.facts.get("epss")
    return policy.fail_on_epss is not None and isinstance(epss, float) and epss >= policy.fail_on_epss


def _gate_notice(gated: Sequence[Finding]) -> Iterable[Notification]:
    """Say which findings failed the run by what is known of attacks, whatever their severity."""
    if gated:
        names = ", ".join(dict.fromkeys(str(finding.facts.get("id")) for finding in gated[:8]))
        more = f" and {len(gated) - 8:,} more" if len(gated) > 8 else ""
        text = f"failed by --fail-on-kev or --fail-on-epss: {names}{more}"
        yield Notification(code="exploitation-gate", message=text)


def _verdict(findings: Sequence[Finding], notifications: Sequence[Notification], policy: Policy) -> Verdict:
    if policy.fail_on is not None and any(each.severity >= policy.fail_on for each in findings):
        return Verdict.FAIL
    if not policy.allow_incomplete and any(each.incomplete for each in notifications):
        return Verdict.INCOMPLETE
    return Verdict.PASS
