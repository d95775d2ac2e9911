"""Policy: what counts, what is accepted and by whom, and what is said about it."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from supplyguard.errors import ConfigError
from supplyguard.finding import Confidence, Finding, Help, Notification, Rule, Severity, Verdict
from supplyguard.inventory import Location
from supplyguard.policy import (
    Decision,
    Ignore,
    InlineIgnore,
    Policy,
    decide,
    parse_ignore,
    parse_inline,
    read_baseline,
)

TODAY = date(2026, 6, 1)


def finding(
    rule_id: str = "some-rule",
    *,
    severity: Severity = Severity.HIGH,
    confidence: Confidence = Confidence.HIGH,
    where: Location | None = None,
    **facts: Any,
) -> Finding:
    rule = Rule(
        id=rule_id,
        name="n",
        severity=severity,
        confidence=confidence,
        kind="k",
        match={},
        message="m",
        help=Help(what="w", why="y", fix="f"),
    )
    place = where or Location(uri="models/a.pkl", member=("data.pkl",), offset=3)
    return Finding(rule=rule, message="m", location=place, facts=facts, fingerprint=f"{rule_id}:1")


def decided(*findings: Finding, policy: Policy | None = None, **more: Any) -> Decision:
    return decide(findings, more.pop("notifications", ()), policy or Policy(), today=TODAY, **more)


@pytest.mark.parametrize("threshold", list(Severity))
@pytest.mark.parametrize("severity", list(Severity))
def test_the_threshold_gates(threshold: Severity, severity: Severity) -> None:
    decision = decided(finding(severity=severity), policy=Policy(fail_on=threshold))
    assert decision.verdict is (Verdict.FAIL if severity >= threshold else Verdict.PASS)


def test_no_threshold_gates_nothing() -> None:
    assert decided(finding(), policy=Policy(fail_on=None)).verdict is Verdict.PASS


def test_a_gap_is_incomplete_unless_something_worse_was_found_or_it_is_allowed() -> None:
    gap = Notification(code="malformed", message="x", incomplete=True)
    assert decided(notifications=[gap]).verdict is Verdict.INCOMPLETE
    assert decided(finding(), notifications=[gap]).verdict is Verdict.FAIL
    assert decided(notifications=[gap], policy=Policy(allow_incomplete=True)).verdict is Verdict.PASS


def test_what_is_not_reported_still_gates() -> None:
    policy = Policy(fail_on=Severity.LOW, min_severity=Severity.HIGH, min_confidence=Confidence.MEDIUM)
    decision = decided(finding(severity=Severity.LOW), finding(confidence=Confidence.LOW), policy=policy)
    assert decision.findings == ()
    assert decision.below_threshold == 2
    assert decision.verdict is Verdict.FAIL


def test_the_worst_comes_first() -> None:
    decision = decided(finding(severity=Severity.LOW), finding(severity=Severity.CRITICAL))
    assert [each.severity for each in decision.findings] == [Severity.CRITICAL, Severity.LOW]


@pytest.mark.parametrize(
    ("ignore", "holds"),
    [
        (Ignore(rule="some-rule", reason="r"), True),
        (Ignore(rule="other-rule", reason="r"), False),
        (Ignore(rule="some-rule", reason="r", path="models/*"), True),
        (Ignore(rule="some-rule", reason="r", path="other/*"), False),
        (Ignore(rule="some-rule", reason="r", member="*.pkl"), True),
        (Ignore(rule="some-rule", reason="r", member="x"), False),
        (Ignore(rule="some-rule", reason="r", sha256="AB"), True),
        (Ignore(rule="some-rule", reason="r", sha256="cd"), False),
        (Ignore(rule="some-rule", reason="r", expires=TODAY), True),
        (Ignore(rule="some-rule", reason="r", expires=date(2026, 5, 31)), False),
        (Ignore(rule="some-rule", reason="r", advisory="CVE-1"), True),
        (Ignore(rule="some-rule", reason="r", advisory="PYSEC-1"), True),
        (Ignore(rule="some-rule", reason="r", advisory="CVE-2"), False),
    ],
)
def test_configured_ignores(ignore: Ignore, holds: bool) -> None:
    one = finding(id="CVE-1", aliases=("CVE-1", "PYSEC-1"))
    decision = decided(one, policy=Policy(ignores=(ignore,)), digests={"models/a.pkl": "ab"})
    assert (decision.verdict is Verdict.PASS) is holds
    assert len(decision.suppressed) == holds
    if holds:
        suppression = decision.suppressed[0].suppression
        assert suppression is not None
        assert suppression.reason == "r"
        assert decision.notifications == ()
    else:
        assert len(decision.notifications) == 1


def test_unused_and_expired_ignores_are_told_apart() -> None:
    expired = Ignore(rule="x", reason="r", expires=date(2020, 1, 1), origin="file")
    unused = Ignore(rule="y", reason="r", origin="file")
    policy = Policy(ignores=(expired, unused))
    assert [each.code for each in decided(policy=policy).notifications] == ["ignore-expired", "ignore-unused"]
    quiet = decided(policy=policy, report_unused=False).notifications
    assert [each.code for each in quiet] == ["ignore-expired"]


TEXT = Location(uri="a.py", line=4, column=1, end_line=6, end_column=2)


@pytest.mark.parametrize(("covers", "holds"), [(3, False), (4, True), (5, True), (6, True), (7, False)])
def test_an_inline_ignore_holds_on_the_lines_of_the_finding(covers: int, holds: bool) -> None:
    comment = InlineIgnore(uri="a.py", line=covers, covers=covers, rules=("some-rule",), reason="r")
    decision = decided(finding(where=TEXT), inline=[comment])
    assert (decision.verdict is Verdict.PASS) is holds
    assert [each.code for each in decision.notifications] == ([] if holds else ["ignore-unused"])


@pytest.mark.parametrize(
    ("uri", "rules", "reason"),
    [("b.py", ("some-rule",), "r"), ("a.py", ("other",), "r"), ("a.py", ("some-rule",), "")],
)
def test_an_inline_ignore_needs_file_rule_and_reason(uri: str, rules: tuple[str, ...], reason: str) -> None:
    comment = InlineIgnore(uri=uri, line=4, covers=4, rules=rules, reason=reason)
    decision = decided(finding(where=TEXT), inline=[comment])
    assert decision.verdict is Verdict.FAIL
    expected = "ignore-unused" if reason else "ignore-without-reason"
    assert [each.code for each in decision.notifications] == [expected]


@pytest.mark.parametrize(
    ("text", "covers", "rules", "reason"),
    [
        ("x = 1  # supplyguard: ignore[a-b] because", 1, ("a-b",), "because"),
        ("# supplyguard: ignore[a, b-c] because\nx", 2, ("a", "b-c"), "because"),
        ("torch==1 #supplyguard:ignore[a]", 1, ("a",), ""),
        ("// supplyguard: ignore[a] why", 2, ("a",), "why"),
        ("<!-- supplyguard: ignore[a] why -->", 2, ("a",), "why"),
        ('    "x = 1  # supplyguard: ignore[a] why\\n",', 1, ("a",), "why"),
        ('    "# supplyguard: ignore[a] why\\n",', 2, ("a",), "why"),
    ],
)
def test_inline_comments(text: str, covers: int, rules: tuple[str, ...], reason: str) -> None:
    (found,) = parse_inline("f", text)
    assert (found.covers, found.rules, found.reason) == (covers, rules, reason)


@pytest.mark.parametrize(
    "text", ["", "supplyguard: ignore[a]", "# supplyguard: ignore", "# supplyguard: ignore[A]"]
)
def test_what_is_no_inline_comment(text: str) -> None:
    assert parse_inline("f", text) == []


def test_a_baseline_accepts_its_findings(tmp_path: Path) -> None:
    file = tmp_path / "old.json"
    file.write_text(json.dumps({"findings": [{"rule_id": "some-rule", "fingerprint": "some-rule:1"}]}))
    assert decided(finding(), policy=Policy(baseline=read_baseline(file))).verdict is Verdict.PASS
    file.write_text(
        json.dumps({"runs": [{"results": [{"ruleId": "r", "partialFingerprints": {"supplyguard/v1": "f"}}]}]})
    )
    assert read_baseline(file) == {("r", "f")}


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"runs": [{}]}', '{"findings": [{}]}', "[" * 100_000])
def test_a_broken_baseline_is_a_configuration_error(text: str, tmp_path: Path) -> None:
    file = tmp_path / "old.json"
    file.write_text(text)
    with pytest.raises(ConfigError, match="baseline"):
        read_baseline(file)


def test_an_ignore_is_read() -> None:
    ignore = parse_ignore({"rule": "a", "reason": "b", "expires": "2027-01-31"}, "here")
    assert ignore == Ignore(rule="a", reason="b", expires=date(2027, 1, 31), origin="here")


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ([], "table"),
        ({"reason": "x"}, "rule"),
        ({"rule": "x"}, "reason"),
        ({"rule": "x", "reason": " "}, "reason"),
        ({"rule": "x", "reason": "y", "path": 3}, "path"),
        ({"rule": "x", "reason": "y", "expires": "soon"}, "expires"),
        ({"rule": "x", "reason": "y", "expires": 3}, "expires"),
        ({"rule": "x", "reason": "y", "until": "2027-01-01"}, "unknown key"),
    ],
)
def test_a_wrong_ignore_is_refused(entry: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse_ignore(entry, "here")


@pytest.mark.parametrize(
    ("facts", "policy", "fails"),
    [
        ({"kev": True}, Policy(fail_on_kev=True), True),
        ({"kev": False}, Policy(fail_on_kev=True), False),
        ({}, Policy(fail_on_kev=True, fail_on_epss=0.0), False),
        ({"kev": True}, Policy(), False),
        ({"epss": 0.5}, Policy(fail_on_epss=0.5), True),
        ({"epss": 0.49}, Policy(fail_on_epss=0.5), False),
        ({"epss": None}, Policy(fail_on_epss=0.0), False),
        ({"epss": 0.9}, Policy(), False),
        ({"epss": 0.9}, Policy(fail_on=None, fail_on_epss=0.5), True),
    ],
)
def test_what_attackers_use_gates(facts: dict[str, Any], policy: Policy, fails: bool) -> None:
    decision = decided(finding(severity=Severity.LOW, id="CVE-1", **facts), policy=policy)
    assert decision.verdict is (Verdict.FAIL if fails else Verdict.PASS)
    assert [one.message for one in decision.notifications] == [
        "failed by --fail-on-kev or --fail-on-epss: CVE-1"
    ] * fails


def test_many_gated_findings_are_counted() -> None:
    many = [finding(severity=Severity.LOW, id=f"CVE-{count}", kev=True) for count in range(11)]
    (note,) = decided(*many, policy=Policy(fail_on_kev=True)).notifications
    assert note.message.endswith("CVE-7 and 3 more")
    assert not note.incomplete
