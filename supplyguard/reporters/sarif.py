"""SARIF 2.1.0, as GitHub code scanning takes it.

Checked against the OASIS schema, Microsoft's validator and GitHub's documented limits; see
"SARIF support for code scanning" in GitHub's documentation.
"""

from __future__ import annotations

import re
import zlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal

from supplyguard.finding import Finding, Level, Notification, Report, Rule, Suppression, SuppressionKind
from supplyguard.fingerprint import distinct_primary, primary_of
from supplyguard.reporters.escape import for_terminal
from supplyguard.reporters.json_text import dump
from supplyguard.reporters.sarif_places import Places
from supplyguard.reporters.sarif_rules import LEVELS, descriptor, notification_descriptor

Json = dict[str, Any]
Profile = Literal["github", "strict"]

_SCHEMA: Final = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
_INFORMATION: Final = "https://pypi.org/project/supplyguard/"
_RULES: Final = 25_000
_COMPRESSED_BYTES: Final = 10_000_000
_SEMANTIC_VERSION: Final = re.compile(r"(\d+\.\d+\.\d+)(?:[-.+]?([0-9A-Za-z.+-]+))?")
_LINK: Final = re.compile(r"\]\s*\(")
_PLACEHOLDER: Final = re.compile(r"\{(\d+)\}")


@dataclass(frozen=True, kw_only=True, slots=True)
class _Room:
    """How many entries of each kind fit into a log."""

    results: int = 25_000
    artifacts: int = 10_000
    notifications: int = 1_000

    def halved(self) -> _Room:
        return _Room(
            results=self.results // 2, artifacts=self.artifacts // 2, notifications=self.notifications // 2
        )


def render(
    report: Report, *, profile: Profile = "github", show_suppressed: bool = False, category: str | None = None
) -> str:
    """Write a SARIF log.

    profile: "github" puts findings in binaries on line 1, which GitHub needs; "strict" writes
        byte offsets only, as the standard wants it.
    show_suppressed: write suppressed findings too, with their suppressions. GitHub would open
        alerts for them.
    category: `automationDetails.id`; it wins over the category that an uploader sets.

    What passes GitHub's limits is left out, the least severe first, and a notification says so.
    """
    room = _Room()
    while True:
        text = dump(_log(report, room, profile, category, show_suppressed=show_suppressed))
        if len(text) <= _COMPRESSED_BYTES or not room.results:
            return text
        if len(zlib.compress(text.encode("ascii"))) <= _COMPRESSED_BYTES:
            return text
        room = room.halved()


def _log(
    report: Report, room: _Room, profile: Profile, category: str | None, *, show_suppressed: bool
) -> Json:
    everything = report.findings + (report.suppressed if show_suppressed else ())
    findings = sorted(everything, key=lambda finding: -finding.severity)[: room.results]
    rules = _catalogue(report.rules, findings)
    places = Places(report, strict=profile == "strict")
    results = _results(findings, rules, places, show_suppressed=show_suppressed)
    notifications = _notifications(
        report, room, findings=len(everything) - len(findings), places=places.left_out
    )
    execution = [_notification(notification, places) for notification in notifications]
    places.add([artifact for artifact, _ in report.artifacts[: room.artifacts]])
    codes = sorted({notification.code for notification in notifications})
    run: Json = {
        "tool": {
            "driver": {
                "name": "supplyguard",
                "version": report.tool_version,
                "semanticVersion": _semantic_version(report.tool_version),
                "informationUri": _INFORMATION,
                "rules": [descriptor(rule) for rule in rules],
                "notifications": [notification_descriptor(code) for code in codes],
            }
        },
        "invocations": [_invocation(report, execution)],
        "columnKind": "unicodeCodePoints",
        "originalUriBaseIds": places.bases,
        "artifacts": places.artifacts,
        "results": results,
        "properties": {
            "verdict": report.verdict.value,
            "failOn": report.fail_on.label if report.fail_on is not None else None,
        },
    }
    if category is not None:
        run["automationDetails"] = {"id": category}
    return {"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]}


def _catalogue(rules: Sequence[Rule], findings: Sequence[Finding]) -> list[Rule]:
    fired = {finding.rule.id: finding.rule for finding in findings}
    known = fired | {rule.id: rule for rule in rules}
    chosen = known if len(known) <= _RULES else fired
    return [chosen[rule_id] for rule_id in sorted(chosen)]


def _results(
    findings: Sequence[Finding], rules: Sequence[Rule], places: Places, *, show_suppressed: bool
) -> list[Json]:
    indexes = {rule.id: index for index, rule in enumerate(rules)}
    keys = [
        (finding.rule.id, places.primary_place(finding).uri, primary_of(finding.fingerprint))
        for finding in findings
    ]
    seen = Counter(keys)
    results = []
    for finding, key in zip(findings, keys, strict=True):
        location, related = places.locations(finding)
        # one line can have two findings of one rule (two advisories): they are two alerts
        primary = key[2] if seen[key] == 1 else distinct_primary(finding.fingerprint)
        result: Json = {
            "ruleId": finding.rule.id,
            "ruleIndex": indexes[finding.rule.id],
            "level": LEVELS[finding.severity],
            "message": {"text": _message(finding)},
            "locations": [location],
            "partialFingerprints": {
                "primaryLocationLineHash": primary,
                "supplyguard/v1": finding.fingerprint,
            },
            "properties": {
                "severity": finding.severity.label,
                "confidence": finding.rule.confidence.label,
            },
        }
        if related:
            result["relatedLocations"] = related
        if show_suppressed:
            result["suppressions"] = (
                [_suppression(finding.suppression, places)] if finding.suppression else []
            )
        results.append(result)
    return results


def _message(finding: Finding) -> str:
    """Make the message; GitHub takes its first sentence for a title."""
    title = f"{finding.rule.name.rstrip('.')}: {for_terminal(finding.message)}."
    # the reader would make links and arguments of these (SARIF 2.1.0, 3.11.5 and 3.11.6)
    if _LINK.search(title):
        title = title.replace("[", "\\[").replace("]", "\\]")
    title = _PLACEHOLDER.sub(r"{{\1}}", title)
    return f"{title} In {for_terminal(str(finding.location))}."


def _suppression(suppression: Suppression, places: Places) -> Json:
    entry: Json = {
        "kind": "inSource" if suppression.kind is SuppressionKind.INLINE else "external",
        "status": "accepted",
        "justification": for_terminal(suppression.reason),
    }
    if suppression.location is not None:
        entry["location"] = places.of_suppression(suppression.location)
    return entry


def _notifications(report: Report, room: _Room, *, findings: int, places: int) -> list[Notification]:
    """Give the notifications that fit, the gravest first, after those about what does not fit.

    findings, places: how many of these were left out.
    """
    order = {Level.ERROR: 0, Level.WARNING: 1, Level.NOTE: 2}
    ranked = sorted(report.notifications, key=lambda entry: (not entry.incomplete, order[entry.level]))
    cut = {
        "findings": findings,
        "related places": places,
        "notifications": len(ranked) - room.notifications,
        "files": len(report.artifacts) - room.artifacts,
    }
    about = [
        Notification(
            code="report-truncated",
            message=f"{noun} left out of this log, which has all that code scanning takes: {count:,} "
            "(the least severe ones go first; other formats of the report have them)",
        )
        for noun, count in cut.items()
        if count > 0
    ]
    return [*about, *ranked[: room.notifications]]


def _notification(notification: Notification, places: Places) -> Json:
    entry: Json = {
        "descriptor": {"id": notification.code},
        "level": notification.level.value,
        "message": {"text": for_terminal(notification.message)},
        "properties": {"incomplete": notification.incomplete},
    }
    if notification.location is not None:
        entry["locations"] = [places.of_notification(notification.location)]
    return entry


def _invocation(report: Report, execution: list[Json]) -> Json:
    ended = report.started + timedelta(seconds=report.seconds)
    return {
        "executionSuccessful": all(entry["level"] != Level.ERROR.value for entry in execution),
        "startTimeUtc": _utc(report.started),
        "endTimeUtc": _utc(ended),
        "toolExecutionNotifications": execution,
    }


def _utc(moment: datetime) -> str:
    in_utc = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    return in_utc.strftime("%Y-%m-%dT%H:%M:%S.") + f"{in_utc.microsecond // 1000:03d}Z"


def _semantic_version(version: str) -> str:
    """Give a PEP 440 version as semantic versioning writes it: "0.2.0.dev1" is "0.2.0-dev1"."""
    found = _SEMANTIC_VERSION.fullmatch(version)
    if found is None:
        return "0.0.0"
    return f"{found[1]}-{found[2].replace('+', '.')}" if found[2] else found[1]
