import re
from dataclasses import replace

import pytest

from supplyguard.finding import Audit, AuditStatus, Notification, Severity, Verdict
from supplyguard.inventory import Location
from supplyguard.reporters import markdown
from tests.reporters.sample_report import PICKLE, Findings, dependency, report_of, sample_report

MIB = 1024 * 1024


def rows(text: str) -> list[str]:
    return [
        line for line in text.splitlines() if re.match(r"\| \S+ (critical|high|medium|low|info) \|", line)
    ]


def test_every_finding_is_a_row_of_five_cells() -> None:
    shown = markdown.render(sample_report())
    found = rows(shown)
    assert len(found) == len(sample_report().findings)
    assert all(row.count("|") == 6 for row in found)
    assert shown.startswith("## ❌ supplyguard: FAIL&#58; 11 findings at or above high")


@pytest.mark.parametrize("verdict", Verdict)
def test_a_report_of_nothing_is_short(verdict: Verdict) -> None:
    shown = markdown.render(report_of(verdict=verdict))
    assert verdict.value.upper() in shown
    assert "<details>" not in shown
    assert "| Severity |" not in shown


def test_a_table_cell_cannot_be_left() -> None:
    hostile = "a | b \\| c\n| critical | forged | </details> <script> `x` [l](https://evil.test)"
    findings = [Findings().in_binary(PICKLE, hostile, Location(uri=hostile, member=(hostile,)))]
    note = Notification(code="malformed", message=hostile, location=Location(uri=hostile), incomplete=True)
    audit = Audit(
        dependency=replace(dependency("a", None, 1), raw_name=hostile),
        status=AuditStatus.NOT_AUDITED,
        database="osv",
        reason=hostile,
    )
    shown = markdown.render(
        report_of(findings, suppressed=findings, notifications=[note], audits=(audit,)), show_suppressed=True
    )
    (row,) = rows(shown)
    assert row.count("|") == 6
    assert "](" not in shown
    assert "<script>" not in shown
    assert shown.count("</details>") == shown.count("<details>") == 3
    assert {tag.lower() for tag in re.findall(r"<(\w+)", shown)} == {"details", "summary", "sub"}


@pytest.mark.heavy
def test_a_summary_is_at_most_a_mebibyte_and_counts_the_rest() -> None:
    make = Findings()
    hostile = "漢|" * 500
    findings = [
        make.in_binary(PICKLE, f"{n} {hostile}", Location(uri=f"m/{n}.pt"), symbol=str(n))
        for n in range(2_000)
    ]
    notes = [Notification(code="malformed", message=hostile, incomplete=n % 2 == 0) for n in range(4_000)]
    audits = tuple(
        Audit(
            dependency=dependency(f"p{n}", None, n + 1),
            status=AuditStatus.NOT_AUDITED,
            database="osv",
            reason=hostile,
        )
        for n in range(2_000)
    )
    shown = markdown.render(
        report_of(findings, suppressed=findings, notifications=notes, audits=audits), show_suppressed=True
    )
    assert len(shown.encode()) <= MIB
    left_out = re.findall(r"\*\*([\d,]+) (\w+)\*\* left out here", shown)
    assert [noun for _, noun in left_out] == [
        "findings",
        "notifications",
        "requirements",
        "findings",
        "notifications",
    ]
    assert len(rows(shown)) + int(left_out[0][0].replace(",", "")) == 2_000
    # the rows that are kept are the first ones, which are the worst
    assert all(f"m/{n}.pt" in row for n, row in enumerate(rows(shown)))


def test_suppressed_findings_are_shown_on_request() -> None:
    assert "Suppressed" not in markdown.render(sample_report())
    shown = markdown.render(sample_report(), show_suppressed=True)
    assert "<summary>Suppressed (1)</summary>" in shown
    assert "because: a test's fixture, never loaded" in shown


def test_the_threshold_may_be_absent() -> None:
    assert "no threshold is set" in markdown.render(report_of(fail_on=None))
    assert "at or above info" in markdown.render(report_of(fail_on=Severity.INFO))
