import re
from dataclasses import replace

import pytest

from supplyguard.finding import (
    Audit,
    AuditStatus,
    Counts,
    Level,
    Notification,
    Severity,
    Suppression,
    SuppressionKind,
    Verdict,
)
from supplyguard.inventory import Location
from supplyguard.reporters import text
from supplyguard.reporters.wording import first_sentence, place_in_file, verdict_sentence
from tests.reporters.sample_report import (
    INDEX,
    PICKLE,
    UNKNOWN_IMPORT,
    Findings,
    dependency,
    report_of,
    sample_report,
)

UNREAD = Notification(code="malformed", message="cut short", location=Location(uri="a.pt"), incomplete=True)


def test_the_worst_file_and_rule_come_first() -> None:
    make = Findings()
    findings = [
        make.in_binary(INDEX, "is info", Location(uri="a")),
        make.in_binary(UNKNOWN_IMPORT, "is low", Location(uri="z")),
        make.in_binary(PICKLE, "is critical", Location(uri="z")),
        make.in_binary(PICKLE, "is critical too", Location(uri="m")),
    ]
    shown = text.render(report_of(findings, verdict=Verdict.FAIL))
    order = [
        "m  1 critical",
        "is critical too",
        "z  1 critical, 1 low",
        "is critical\n",
        "is low",
        "a  1 info",
    ]
    places = [shown.index(words) for words in order]
    assert places == sorted(places)


def test_each_finding_says_why_and_what_to_do() -> None:
    shown = text.render(report_of([Findings().in_binary(PICKLE, "calls it", Location(uri="a", offset=4))]))
    assert "CRITICAL  pickle-executes-code" in shown
    assert "@4  calls it" in shown
    assert "Why  Loading the file is enough to run it.\n" in shown
    assert "Fix  Do not load this file.\n" in shown


def test_many_findings_of_one_rule_are_folded() -> None:
    make = Findings()
    findings = [make.in_binary(PICKLE, "calls it", Location(uri="a", offset=n)) for n in range(9)]
    report = report_of(findings, verdict=Verdict.FAIL)
    assert text.render(report).count("calls it") == text.SHOWN_PLACES
    assert "and 4 more" in text.render(report)
    assert text.render(report, verbose=True).count("calls it") == 9


def test_quiet_is_silent_on_a_pass() -> None:
    low = [Findings().in_binary(UNKNOWN_IMPORT, "is low", Location(uri="a"))]
    assert text.render(report_of(low), quiet=True) == ""
    assert text.render(report_of(verdict=Verdict.FAIL), quiet=True) == ""


def test_quiet_prints_findings_only() -> None:
    shown = text.render(sample_report(), quiet=True)
    assert "calls os.system" in shown
    for absent in ("Summary", "FAIL", "Not examined", "Notes", "not audited"):
        assert absent not in shown


def test_quiet_does_not_hide_that_something_is_unknown() -> None:
    report = report_of(verdict=Verdict.INCOMPLETE, notifications=[UNREAD])
    assert text.render(report, quiet=True) == (
        "INCOMPLETE: nothing at or above high, but 1 thing could not be examined\n"
    )


@pytest.mark.parametrize("width", [1, 20, 33, 59, 60, 80, 200])
def test_lines_fit(width: int) -> None:
    lines = text.render(sample_report(), width=width, verbose=True, show_suppressed=True).splitlines()
    assert max(map(len, lines)) <= max(width, 20)
    assert not any(line.endswith(" ") for line in lines)


def test_color_is_only_color() -> None:
    plain = text.render(sample_report())
    colored = text.render(sample_report(), color=True)
    assert "\x1b" not in plain
    assert "\x1b[" in colored
    assert re.sub(r"\x1b\[[0-9;]*m", "", colored) == plain


def test_the_environment_does_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    expected = text.render(sample_report(), color=True)
    for name, value in (("NO_COLOR", "1"), ("TERM", "dumb"), ("COLUMNS", "20"), ("FORCE_COLOR", "1")):
        monkeypatch.setenv(name, value)
    assert text.render(sample_report(), color=True) == expected


def test_long_lists_are_counted_and_verbose_has_them_all() -> None:
    report = report_of(
        verdict=Verdict.INCOMPLETE,
        notifications=[replace(UNREAD, message=f"cut at {n}") for n in range(30)],
        audits=tuple(
            Audit(
                dependency=dependency(f"package{n}", None, n + 1),
                status=AuditStatus.NOT_AUDITED,
                database="osv",
                reason="no exact version",
            )
            for n in range(30)
        ),
    )
    short, long = text.render(report), text.render(report, verbose=True)
    assert short.count("cut at") == text.SHOWN_NOTES
    assert short.count("package") == text.SHOWN_NOTES
    assert " ".join(short.split()).count("and 22 more") == 2
    assert "Not examined (30)" in short
    assert "Dependencies not audited (30)" in short
    assert long.count("cut at") == long.count("package") == 30


def test_suppressed_findings_are_counted_and_shown_on_request() -> None:
    suppression = Suppression(kind=SuppressionKind.INLINE, reason="known [bold]")
    hidden = Findings().in_binary(PICKLE, "calls it", Location(uri="a"), suppression=suppression)
    bare = replace(hidden, suppression=None, location=Location(uri="b"))
    report = report_of(suppressed=[hidden, bare])
    assert "(2 suppressed)" in text.render(report)
    assert "known" not in text.render(report)
    assert "Suppressed" not in text.render(report_of(), show_suppressed=True)
    assert "a  pickle-executes-code: known [bold]" in text.render(report, show_suppressed=True)


@pytest.mark.parametrize(
    ("verdict", "fail_on", "unread", "sentence"),
    [
        (Verdict.PASS, Severity.HIGH, 0, "PASS: nothing at or above high"),
        (Verdict.PASS, None, 0, "PASS: no threshold is set, so findings do not fail this run"),
        (Verdict.FAIL, Severity.LOW, 0, "FAIL: 1 finding at or above low"),
        (Verdict.FAIL, Severity.LOW, 2, "FAIL: 1 finding at or above low; 2 things could not be examined"),
        (
            Verdict.INCOMPLETE,
            Severity.CRITICAL,
            1,
            "INCOMPLETE: nothing at or above critical, but 1 thing could not be examined",
        ),
        (
            Verdict.INCOMPLETE,
            Severity.CRITICAL,
            0,
            "INCOMPLETE: nothing at or above critical, but not everything could be examined",
        ),
    ],
)
def test_the_verdict_is_a_sentence(
    verdict: Verdict, fail_on: Severity | None, unread: int, sentence: str
) -> None:
    low = Findings().in_binary(UNKNOWN_IMPORT, "is low", Location(uri="a"))
    report = report_of([low], verdict=verdict, fail_on=fail_on, notifications=[UNREAD] * unread)
    assert verdict_sentence(report) == sentence
    assert text.render(report).splitlines()[-1] == sentence


def test_the_summary_counts_what_was_not_looked_at() -> None:
    counts = Counts(inspected=1_200, not_recognised=3, skipped_files=4, skipped_folders=1, inert_members=7)
    shown = text.render(report_of(counts=counts))
    assert "1,200 inspected, 3 not recognised, 4 skipped; 1 folder skipped" in shown
    assert "0 members inspected, 7 of raw data left alone" in shown


def test_notes_have_their_code_and_place() -> None:
    note = Notification(code="not-fetched", message="is elsewhere", level=Level.NOTE)
    shown = text.render(report_of(notifications=[note]))
    assert "Notes (1)\n  is elsewhere  [not-fetched]\n" in shown


def test_an_audit_without_a_reason_says_so() -> None:
    audit = Audit(dependency=dependency("a", None, 1), status=AuditStatus.NOT_AUDITED, database="osv")
    assert "no reason given: a (requirements.txt:1:1)" in text.render(report_of(audits=(audit,)))


@pytest.mark.parametrize(
    ("location", "words"),
    [
        (Location(uri="a"), ""),
        (Location(uri="a", line=3), "line 3"),
        (Location(uri="a", line=3, column=7), "line 3:7"),
        (Location(uri="a", offset=9), "@9"),
        (Location(uri="a", member=("b", "c"), offset=9), "b!c@9"),
        (Location(uri="a", member=("b",), line=3), "b:3"),
    ],
)
def test_places_are_short(location: Location, words: str) -> None:
    assert place_in_file(location) == words


def test_the_first_sentence_is_whole() -> None:
    assert first_sentence("Use torch 2.6.0 or later. Then lock it.") == "Use torch 2.6.0 or later."
    assert first_sentence("One\n  two") == "One two"
