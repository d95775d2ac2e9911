"""The report as JSON, for programs and for later runs' baselines; docs/report.md describes it."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from supplyguard.finding import AuditStatus, Fact, Finding, Notification, Report, Rule, Severity
from supplyguard.inventory import Location
from supplyguard.reporters.escape import shorten
from supplyguard.reporters.json_text import dump

Json = dict[str, Any]

SCHEMA_VERSION: Final = "1.1"
"""MAJOR.MINOR: a minor version adds fields, a major one changes or removes some."""

STRING_CHARS: Final = 10_000
"""The most characters of a string from a scanned file; a longer one ends in "…"."""

# the integers that every JSON reader holds exactly (RFC 8259, section 6)
_EXACT: Final = 2**53 - 1


def render(report: Report) -> str:
    """Write everything that the report holds."""
    return dump(
        {
            "schema_version": SCHEMA_VERSION,
            "tool": {"name": "supplyguard", "version": report.tool_version},
            "started": _moment(report.started),
            "seconds": round(report.seconds, 3),
            "targets": [_text(target) for target in report.targets],
            "root_prefix": _text(report.root_prefix),
            "offline": report.offline,
            "verdict": report.verdict.value,
            "fail_on": report.fail_on.label if report.fail_on is not None else None,
            "summary": _summary(report),
            "findings": [_finding(finding) for finding in report.findings],
            "suppressed": [_finding(finding) for finding in report.suppressed],
            "notifications": [_notification(notification) for notification in report.notifications],
            "rules": _rules((*report.findings, *report.suppressed)),
            "artifacts": [
                {
                    "uri": _text(artifact.uri),
                    "size": artifact.size,
                    "sha256": sha256,
                    "origin": _location(artifact.origin),
                }
                for artifact, sha256 in report.artifacts
            ],
            "dependencies": _dependencies(report),
            "model_references": _model_references(report),
            "advisory_data": [
                {
                    "name": _text(data.name),
                    "updated": _moment(data.updated) if data.updated is not None else None,
                    "records": data.records,
                    "origin": _text(data.origin),
                }
                for data in report.advisory_data
            ],
        }
    )


def _summary(report: Report) -> Json:
    severities = Counter(finding.severity for finding in report.findings)
    statuses = Counter(audit.status for audit in report.audits)
    counts = report.counts
    return {
        "findings": {severity.label: severities[severity] for severity in sorted(Severity, reverse=True)},
        "suppressed": len(report.suppressed),
        "below_threshold": report.below_threshold,
        "not_examined": sum(notification.incomplete for notification in report.notifications),
        "files": {
            "inspected": counts.inspected,
            "manifests": counts.manifests,
            "not_recognised": counts.not_recognised,
            "other": counts.other_files,
            "skipped": counts.skipped_files,
            "skipped_folders": counts.skipped_folders,
        },
        "members": {"inspected": counts.members, "inert": counts.inert_members},
        "dependencies": {_word(status): statuses[status] for status in AuditStatus},
    }


def _finding(finding: Finding) -> Json:
    suppression = finding.suppression
    return {
        "rule_id": finding.rule.id,
        "severity": finding.severity.label,
        "confidence": finding.rule.confidence.label,
        "message": _text(finding.message),
        "location": _location(finding.location),
        "related": [_location(location) for location in finding.related],
        "symbol": _text(finding.symbol),
        "facts": {_text(name): _fact(value) for name, value in finding.facts.items()},
        "fingerprint": finding.fingerprint,
        "suppression": None
        if suppression is None
        else {
            "kind": suppression.kind.value,
            "reason": _text(suppression.reason),
            "location": _location(suppression.location),
        },
    }


def _location(location: Location | None) -> Json | None:
    if location is None:
        return None
    return {
        "uri": _text(location.uri),
        "member": [_text(name) for name in location.member],
        "offset": location.offset,
        "length": location.length,
        "line": location.line,
        "column": location.column,
        "end_line": location.end_line,
        "end_column": location.end_column,
    }


def _notification(notification: Notification) -> Json:
    return {
        "code": notification.code,
        "level": notification.level.value,
        "message": _text(notification.message),
        "location": _location(notification.location),
        "incomplete": notification.incomplete,
    }


def _rules(findings: Iterable[Finding]) -> Json:
    """Describe the rules that fired, by id."""
    fired = {finding.rule.id: finding.rule for finding in findings}
    return {rule_id: _rule(fired[rule_id]) for rule_id in sorted(fired)}


def _rule(rule: Rule) -> Json:
    return {
        "name": rule.name,
        "severity": rule.severity.label,
        "confidence": rule.confidence.label,
        "help": {"what": rule.help.what, "why": rule.help.why, "fix": rule.help.fix},
        "cwe": list(rule.cwe),
        "atlas": list(rule.atlas),
        "references": list(rule.references),
        "tags": list(rule.tags),
    }


def _dependencies(report: Report) -> list[Json]:
    return [
        {
            "name": _text(audit.dependency.name),
            "raw_name": _text(audit.dependency.raw_name),
            "version": _optional(audit.dependency.version),
            "specifier": _text(audit.dependency.specifier),
            "extras": _texts(audit.dependency.extras),
            "marker": _optional(audit.dependency.marker),
            "group": _optional(audit.dependency.group),
            "url": _optional(audit.dependency.url),
            "hashes": _texts(audit.dependency.hashes),
            "direct": audit.dependency.direct,
            "kind": audit.dependency.kind.value,
            "via": _texts(audit.dependency.via),
            "location": _location(audit.dependency.location),
            "audit": {
                "status": _word(audit.status),
                "database": _text(audit.database),
                "reason": _text(audit.reason),
            },
        }
        for audit in report.audits
    ]


def _model_references(report: Report) -> list[Json]:
    return [
        {
            "loader": _text(reference.loader),
            "repo": _optional(reference.repo),
            "repo_type": reference.repo_type,
            "revision": _optional(reference.revision),
            "revision_kind": reference.revision_kind.value,
            "location": _location(reference.location),
        }
        for reference in report.model_refs
    ]


def _fact(value: Fact) -> Any:
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, tuple):
        return _texts(value)
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, int):
        # hex, because Python refuses to write very large integers in decimal
        return value if abs(value) <= _EXACT else _text(hex(value))
    return value if math.isfinite(value) else str(value)


def _word(status: AuditStatus) -> str:
    return status.value.replace(" ", "_")


def _text(text: str) -> str:
    return shorten(text, STRING_CHARS)


def _texts(texts: Sequence[str]) -> list[str]:
    return [_text(text) for text in texts]


def _optional(text: str | None) -> str | None:
    return None if text is None else _text(text)


def _moment(moment: datetime) -> str:
    in_utc = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    return in_utc.isoformat(timespec="seconds").replace("+00:00", "Z")
