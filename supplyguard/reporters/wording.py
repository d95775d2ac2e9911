"""Sentences that the outputs for people share."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from supplyguard.finding import AdvisoryData, AuditStatus, Finding, Report, Severity, Verdict
from supplyguard.inventory import Location

_SENTENCE_END: Final = re.compile(r"[.!?](?=\s)")


def count(number: int, noun: str, plural: str = "") -> str:
    """Write "1 finding" or "2 findings"."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def first_sentence(text: str) -> str:
    """Give the first sentence of a rule's help."""
    words = " ".join(text.split())
    found = _SENTENCE_END.search(words)
    return words[: found.end()] if found else words


def place_in_file(location: Location) -> str:
    """Write where in its file something is: "line 3:7", "archive/data.pkl@70", or "" for all of it."""
    text = str(replace(location, uri="")).lstrip("!")
    return f"line {text[1:]}" if text.startswith(":") and not location.member else text


def verdict_sentence(report: Report) -> str:
    """Say the verdict in words: what decided it, and what is not known."""
    unread = sum(notification.incomplete for notification in report.notifications)
    unexamined = f"{count(unread, 'thing')} could not be examined" if unread else ""
    if report.fail_on is None:
        decided = "no threshold is set, so findings do not fail this run"
        at_threshold = 0
    else:
        at_threshold = sum(finding.severity >= report.fail_on for finding in report.findings)
        number = count(at_threshold, "finding") if at_threshold else "nothing"
        decided = f"{number} at or above {report.fail_on.label}"
    if report.verdict is Verdict.FAIL and not at_threshold:
        decided += ", but another gate or a finding that is not shown does"
    if report.verdict is Verdict.INCOMPLETE:
        return f"INCOMPLETE: {decided}, but {unexamined or 'not everything could be examined'}"
    sentence = f"{report.verdict.value.upper()}: {decided}"
    return f"{sentence}; {unexamined}" if unexamined else sentence


def summary_lines(report: Report) -> list[tuple[str, str]]:
    """Give the (label, text) lines that say what was found and how much was looked at."""
    counts = report.counts
    lines = [("Findings", _findings(report))]
    lines.append(
        (
            "Files",
            _listed(
                (counts.inspected, "inspected"),
                (counts.manifests, "read for dependencies or code"),
                (counts.not_recognised, "not recognised"),
                (counts.other_files, "of other kinds"),
                (counts.skipped_files, "skipped"),
            )
            + (f"; {count(counts.skipped_folders, 'folder')} skipped" if counts.skipped_folders else ""),
        )
    )
    if counts.members or counts.inert_members:
        inert = f", {counts.inert_members:,} of raw data left alone" if counts.inert_members else ""
        lines.append(("In containers", f"{count(counts.members, 'member')} inspected{inert}"))
    if report.audits:
        statuses = Counter(audit.status for audit in report.audits)
        parts = _listed(*((statuses[status], status.value) for status in AuditStatus))
        lines.append(("Dependencies", parts))
    if report.model_refs:
        lines.append(("Models", f"{count(len(report.model_refs), 'reference')} in code"))
    lines += [("Advisories", advisory_data(data)) for data in report.advisory_data]
    return lines


def advisory_data(data: AdvisoryData) -> str:
    """Say which advisory data was used, how much of it there is, and how old it is."""
    parts = [data.name]
    if data.records is not None:
        parts.append(count(data.records, "record"))
    if data.updated is not None:
        parts.append(f"newest of {data.updated:%Y-%m-%d}")
    parts.append(f"from {data.origin}")
    return ", ".join(parts)


def severities(findings: Sequence[Finding]) -> list[tuple[Severity, int]]:
    """Count the findings of each severity that has some, the worst first."""
    found = Counter(finding.severity for finding in findings)
    return [(severity, found[severity]) for severity in sorted(found, reverse=True)]


def _findings(report: Report) -> str:
    parts = [f"{number:,} {severity.label}" for severity, number in severities(report.findings)]
    text = ", ".join(parts) or "none"
    hidden = [
        f"{number:,} {what}"
        for number, what in (
            (len(report.suppressed), "suppressed"),
            (report.below_threshold, "below the reporting threshold"),
        )
        if number
    ]
    return f"{text} ({', '.join(hidden)})" if hidden else text


def _listed(*counted: tuple[int, str]) -> str:
    return ", ".join(f"{number:,} {what}" for number, what in counted if number) or "none"
