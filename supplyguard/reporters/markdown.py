"""The report as Markdown, for GitHub's job summary: one table of findings, details folded."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from supplyguard.finding import Audit, AuditStatus, Finding, Notification, Report, Severity, Verdict
from supplyguard.limits import KIB
from supplyguard.reporters.escape import NAME_CHARS, for_markdown
from supplyguard.reporters.wording import count, first_sentence, summary_lines, verdict_sentence

# GitHub takes 1 MiB for one step's summary: the parts below, the frame and some room
_FINDING_BYTES: Final = 700 * KIB
_DETAIL_BYTES: Final = 70 * KIB

_SEVERITY_MARKS: Final = {
    Severity.CRITICAL: "🟥",
    Severity.HIGH: "🟧",
    Severity.MEDIUM: "🟨",
    Severity.LOW: "🟦",
    Severity.INFO: "⬜",
}
_VERDICT_MARKS: Final = {Verdict.PASS: "✅", Verdict.FAIL: "❌", Verdict.INCOMPLETE: "⚠️"}

# rows are lines that are already escaped; everything else goes through the filter
_TEMPLATE: Final = """\
## {{ mark }} supplyguard: {{ verdict | md }}

{% for label, text in summary %}
- **{{ label }}**: {{ text | md }}
{% endfor %}
{% if findings.rows %}

| Severity | Where | What | What to do | Rule |
| --- | --- | --- | --- | --- |
{% for row in findings.rows %}
{{ row }}
{% endfor %}
{% endif %}
{% if findings.left_out %}

**{{ findings.left_out }}** left out here; the other formats of the report have them all.
{% endif %}
{% for title, part in details %}

<details><summary>{{ title }}</summary>

{% for row in part.rows %}
{{ row }}
{% endfor %}
{% if part.left_out %}
- **{{ part.left_out }}** left out here
{% endif %}

</details>
{% endfor %}

<sub>supplyguard {{ version | md }}, {{ started }}, {{ "offline" if offline else "online" }}</sub>
"""


class _Rows:
    """The rows that fit into a number of bytes, and how many of `noun` did not."""

    def __init__(self, rows: Iterable[str], limit: int, noun: str) -> None:
        self.rows: list[str] = []
        room = limit
        over = 0
        for row in rows:
            room -= len(row.encode()) + 1
            # what comes after the first row without room is less severe: it does not overtake
            if room < 0:
                over += 1
            else:
                self.rows.append(row)
        self.left_out = count(over, noun) if over else ""


def render(report: Report, *, show_suppressed: bool = False) -> str:
    """Write at most 1 MiB of Markdown; what does not fit is counted."""
    from jinja2 import Environment, StrictUndefined  # noqa: PLC0415 - heavy: jinja2

    environment = Environment(
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701 - HTML escaping does not fit Markdown: the filter does both
    )
    environment.filters["md"] = for_markdown
    return environment.from_string(_TEMPLATE).render(
        mark=_VERDICT_MARKS[report.verdict],
        verdict=verdict_sentence(report),
        summary=summary_lines(report),
        findings=_Rows(map(_finding_row, report.findings), _FINDING_BYTES, "finding"),
        details=_details(report, show_suppressed=show_suppressed),
        version=report.tool_version,
        started=f"{report.started:%Y-%m-%d %H:%M %Z}",
        offline=report.offline,
    )


def _details(report: Report, *, show_suppressed: bool) -> list[tuple[str, _Rows]]:
    """Give the folded lists, those that have something in them."""
    incomplete = [_notification_row(entry) for entry in report.notifications if entry.incomplete]
    others = [_notification_row(entry) for entry in report.notifications if not entry.incomplete]
    unknown = [_audit_row(audit) for audit in report.audits if audit.status is AuditStatus.NOT_AUDITED]
    suppressed = [_suppressed_row(finding) for finding in report.suppressed] if show_suppressed else []
    lists = (
        ("Not examined", incomplete, "notification"),
        ("Dependencies not audited", unknown, "requirement"),
        ("Suppressed", suppressed, "finding"),
        ("Notes", others, "notification"),
    )
    return [
        (f"{title} ({len(rows):,})", _Rows(rows, _DETAIL_BYTES, noun)) for title, rows, noun in lists if rows
    ]


def _finding_row(finding: Finding) -> str:
    severity = finding.severity
    cells = (
        f"{_SEVERITY_MARKS[severity]} {severity.label}",
        for_markdown(str(finding.location), NAME_CHARS),
        for_markdown(finding.message),
        for_markdown(first_sentence(finding.rule.help.fix)),
        f"`{finding.rule.id}`",
    )
    return f"| {' | '.join(cells)} |"


def _notification_row(notification: Notification) -> str:
    where = f"{for_markdown(str(notification.location), NAME_CHARS)}: " if notification.location else ""
    return f"- {where}{for_markdown(notification.message)} (`{notification.code}`)"


def _audit_row(audit: Audit) -> str:
    name = for_markdown(audit.dependency.raw_name, NAME_CHARS)
    where = for_markdown(str(audit.dependency.location), NAME_CHARS)
    return f"- {name} ({where}): {for_markdown(audit.reason) or 'no reason given'}"


def _suppressed_row(finding: Finding) -> str:
    where = for_markdown(str(finding.location), NAME_CHARS)
    reason = for_markdown(finding.suppression.reason) if finding.suppression else ""
    return f"- {where}: `{finding.rule.id}`, because: {reason}"
