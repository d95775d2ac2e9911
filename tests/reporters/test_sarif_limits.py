import json
import random
import re
import zlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from supplyguard.finding import Finding, Level, Notification, Severity
from supplyguard.inventory import Artifact, Location
from supplyguard.reporters import sarif
from tests.reporters.sample_report import INDEX, PICKLE, UNKNOWN_IMPORT, Findings, report_of
from tests.reporters.sarif_checks import check_limits, run_of

pytestmark = pytest.mark.heavy

MIB = 1024 * 1024


def many(count: int, severities: Sequence[Severity] = (Severity.LOW,), noise: int = 0) -> list[Finding]:
    make = Findings()
    rng = random.Random(0)  # noqa: S311 - the same bytes in every run
    rules = [replace(UNKNOWN_IMPORT, id=f"rule-{each.label}", severity=each) for each in severities]
    return [
        make.in_binary(
            rules[number % len(rules)],
            f"imports thing{number}{rng.randbytes(noise // 2).hex()}",
            Location(uri=f"m/{number % 1000}.pt", member=("data.pkl",), offset=number),
            symbol=str(number),
        )
        for number in range(count)
    ]


def test_too_many_results_leave_out_the_least_severe() -> None:
    findings = many(30_000, (Severity.LOW, Severity.CRITICAL, Severity.MEDIUM))
    text = sarif.render(report_of(findings, rules=()))
    (run,) = json.loads(text)["runs"]
    check_limits(run)
    assert len(zlib.compress(text.encode())) < 10 * MIB
    levels = [result["level"] for result in run["results"]]
    assert len(levels) == 25_000
    assert (levels.count("error"), levels.count("warning"), levels.count("note")) == (10_000, 10_000, 5_000)
    (entry,) = run["invocations"][0]["toolExecutionNotifications"]
    assert entry["descriptor"]["id"] == "report-truncated"
    assert "5,000" in entry["message"]["text"]


def test_what_does_not_compress_is_cut_until_it_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sarif, "_COMPRESSED_BYTES", 100_000)
    monkeypatch.setattr(
        sarif,
        "_Room",
        lambda **sizes: ROOM(**({"results": 1_000, "artifacts": 10, "notifications": 10} | sizes)),
    )
    text = sarif.render(report_of(many(400, noise=800), rules=()))
    assert len(zlib.compress(text.encode())) <= 100_000
    run = run_of(text)
    check_limits(run)
    assert len(run["results"]) == 125
    assert "275" in run["invocations"][0]["toolExecutionNotifications"][0]["message"]["text"]
    # rules and the like alone are not cut to nothing
    monkeypatch.setattr(sarif, "_COMPRESSED_BYTES", 10)
    assert run_of(sarif.render(report_of(many(3))))["results"] == []


ROOM = sarif._Room


def test_too_many_places_notifications_and_files_are_counted() -> None:
    related = tuple(Location(uri="app.py", line=n + 1) for n in range(300))
    finding = replace(Findings().in_binary(PICKLE, "calls it", Location(uri="a")), related=related)
    note = Notification(code="a-note", message="is a note", level=Level.NOTE)
    unread = Notification(code="malformed", message="is cut short", incomplete=True)
    artifacts = tuple((Artifact(uri=f"f/{n}", path=Path("f"), size=n), None) for n in range(10_002))
    report = report_of([finding], notifications=[*[note] * 1_000, *[unread] * 3], artifacts=artifacts)
    # the schema's "uniqueItems" takes minutes on lists of this length
    (run,) = json.loads(sarif.render(report))["runs"]
    check_limits(run)
    assert len(run["results"][0]["relatedLocations"]) == 99
    entries = run["invocations"][0]["toolExecutionNotifications"]
    messages = [
        entry["message"]["text"] for entry in entries if entry["descriptor"]["id"] == "report-truncated"
    ]
    assert [re.findall(r": (\d+) ", message) for message in messages] == [["201"], ["3"], ["2"]]
    assert sum(entry["properties"]["incomplete"] for entry in entries) == 3
    assert len(run["artifacts"]) == 10_002  # 10,000, the finding's and the related file


def test_a_huge_catalogue_keeps_the_rules_that_fired() -> None:
    rules = tuple(replace(INDEX, id=f"r-{n}") for n in range(25_001))
    finding = Findings().in_binary(PICKLE, "calls it", Location(uri="a"))
    run = json.loads(sarif.render(report_of([finding], rules=rules)))["runs"][0]
    assert [rule["id"] for rule in run["tool"]["driver"]["rules"]] == [PICKLE.id]
