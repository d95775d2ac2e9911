from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from supplyguard.finding import (
    Confidence,
    Finding,
    Severity,
    Suppression,
    SuppressionKind,
)
from supplyguard.fingerprint import line_hashes, primary_of
from supplyguard.inventory import Artifact, Location
from supplyguard.reporters import sarif
from tests.reporters.sample_report import (
    ADVISORY,
    CACHED_FILE,
    INDEX,
    PICKLE,
    RULES,
    Findings,
    report_of,
    sample_report,
)
from tests.reporters.sarif_checks import Json, check_limits, run_of

BANDS = {
    "critical": (9.0, 10.0),
    "high": (7.0, 8.9),
    "medium": (4.0, 6.9),
    "low": (0.1, 3.9),
    "info": (0.1, 3.9),
}


def result_for(finding: Finding, *, root_prefix: str = "", **options: Any) -> Json:
    report = replace(report_of([finding]), root_prefix=root_prefix)
    run = run_of(sarif.render(report, **options))
    result = run["results"][0]
    assert isinstance(result, dict)
    return result


def artifact_location(uri: str, *, root_prefix: str = "") -> tuple[str, str]:
    finding = Findings().in_binary(PICKLE, "calls it", Location(uri=uri, offset=1))
    result = result_for(finding, root_prefix=root_prefix)
    location = result["locations"][0]["physicalLocation"]["artifactLocation"]
    return location["uri"], location["uriBaseId"]


@pytest.mark.parametrize("show_suppressed", [False, True])
def test_the_sample_is_what_github_takes(*, show_suppressed: bool) -> None:
    run = run_of(sarif.render(sample_report(), show_suppressed=show_suppressed))
    check_limits(run)
    assert [rule["id"] for rule in run["tool"]["driver"]["rules"]] == sorted(rule.id for rule in RULES)
    assert len(run["results"]) == 14 + show_suppressed


def test_a_report_of_nothing_has_results_and_rules() -> None:
    run = run_of(sarif.render(report_of()))
    assert run["results"] == []
    assert len(run["tool"]["driver"]["rules"]) == len(RULES)
    assert run["invocations"][0]["executionSuccessful"] is True
    assert "automationDetails" not in run


@pytest.mark.parametrize("severity", Severity)
def test_security_severities_are_in_githubs_bands(severity: Severity) -> None:
    rule = replace(PICKLE, severity=severity)
    run = run_of(sarif.render(report_of(rules=(rule,))))
    low, high = BANDS[severity.label]
    value = float(run["tool"]["driver"]["rules"][0]["properties"]["security-severity"])
    assert low <= value <= high
    assert (value > 9.0) is (severity is Severity.CRITICAL)


def test_an_overlong_rule_is_cut_to_githubs_limits() -> None:
    rule = replace(
        PICKLE,
        id="-".join(["word"] * 100),
        name="n" * 3000,
        confidence=Confidence.LOW,
        help=replace(PICKLE.help, what="w" * 3000),
        cwe=("CWE-22", "not a weakness", *(f"CWE-{n}" for n in range(100, 130))),
        tags=("security", "x"),
    )
    check_limits(run_of(sarif.render(report_of(rules=(rule,)))))
    bare = replace(PICKLE, references=(), cwe=())
    assert "helpUri" not in run_of(sarif.render(report_of(rules=(bare,))))["tool"]["driver"]["rules"][0]


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("models/m.pt", ("repo/models/m.pt", "%SRCROOT%")),
        ("a b#c?d%e:f.pt", ("repo/a%20b%23c%3Fd%25e%3Af.pt", "%SRCROOT%")),
        ("ü/漢.pt", ("repo/%C3%BC/%E6%BC%A2.pt", "%SRCROOT%")),
        ("bytes\udcff.pt", ("repo/bytes%FF.pt", "%SRCROOT%")),
        ("bad\ud800.pt", ("repo/bad%EF%BF%BD.pt", "%SRCROOT%")),
        ("a/../b.pt", ("repo/a/%2E%2E/b.pt", "%SRCROOT%")),
        ("/srv/x y.pt", ("srv/x%20y.pt", "FILE_SYSTEM_ROOT")),
        ("C:/models/m.pt", ("C%3A/models/m.pt", "FILE_SYSTEM_ROOT")),
        ("hf://org/name@abc/dir/m.bin", ("org/name/dir/m.bin", "REMOTE")),
    ],
)
def test_uris_are_relative_and_encoded(uri: str, expected: tuple[str, str]) -> None:
    assert artifact_location(uri, root_prefix="repo/") == expected


def test_a_remote_file_is_shown_at_the_line_that_refers_to_it() -> None:
    in_code = Location(uri="app.py", line=2, column=1, end_line=2, end_column=9)
    remote = Location(uri="hf://org/name@abc/m.bin", member=("data.pkl",), offset=7)
    absolute = Location(uri="/usr/lib/x.py", line=1)
    finding = Findings().in_binary(PICKLE, "calls it", remote, related=(absolute, in_code))
    result = result_for(finding)
    (location,) = result["locations"]
    assert location["physicalLocation"]["artifactLocation"]["uri"] == "app.py"
    assert location["physicalLocation"]["region"]["startLine"] == 2
    assert location["logicalLocations"][0]["fullyQualifiedName"] == "hf://org/name@abc/m.bin!data.pkl@7"
    # the file of another scheme is no place in the repository: it is named, after the finding's own
    assert len(result["relatedLocations"]) == 2


def test_a_remote_file_is_shown_at_its_artifacts_origin() -> None:
    finding = Findings().in_binary(PICKLE, "calls it", Location(uri="hf://org/name@abc/m.bin"))
    origin = Location(uri="app.py", line=5, column=2, end_line=5, end_column=3)
    artifact = Artifact(uri=finding.location.uri, path=Path("blob"), size=3, origin=origin)
    run = run_of(sarif.render(report_of([finding], artifacts=((artifact, None),))))
    physical = run["results"][0]["locations"][0]["physicalLocation"]
    assert (physical["artifactLocation"]["uri"], physical["region"]["startLine"]) == ("app.py", 5)


def test_a_member_is_named_in_github_profile_and_located_in_strict() -> None:
    place = Location(uri="m.pt", member=("archive.zip", "data.pkl"), offset=70, length=38)
    finding = Findings().in_binary(PICKLE, "calls it", place)
    github = result_for(finding, root_prefix="sub/")
    assert github["locations"][0]["logicalLocations"] == [
        {"name": "data.pkl", "fullyQualifiedName": "sub/m.pt!archive.zip!data.pkl@70", "kind": "resource"}
    ]
    run = run_of(sarif.render(report_of([finding]), profile="strict"))
    (related,) = run["results"][0]["relatedLocations"]
    assert related["physicalLocation"]["region"] == {"byteOffset": 70, "byteLength": 38}
    inner = run["artifacts"][related["physicalLocation"]["artifactLocation"]["index"]]
    middle = run["artifacts"][inner["parentIndex"]]
    outer = run["artifacts"][middle["parentIndex"]]
    assert [each["location"]["uri"] for each in (outer, middle, inner)] == ["m.pt", "archive.zip", "data.pkl"]
    assert "parentIndex" not in outer


@pytest.mark.parametrize(
    ("place", "region"),
    [
        (Location(uri="a", member=("b",), offset=0), {"byteOffset": 0}),
        (
            Location(uri="a", member=("b",), line=3, column=2),
            {"startLine": 3, "startColumn": 2, "endLine": 3, "endColumn": 3},
        ),
        (Location(uri="a", member=("b",)), None),
    ],
)
def test_strict_members_have_their_own_regions(place: Location, region: Json | None) -> None:
    result = result_for(Findings().in_binary(PICKLE, "calls it", place), profile="strict")
    (related,) = result["relatedLocations"]
    assert related["physicalLocation"].get("region") == region


@pytest.mark.parametrize(
    ("place", "region"),
    [
        (Location(uri="a", offset=5, length=2), {"byteOffset": 5, "byteLength": 2}),
        (Location(uri="a", offset=5), {"byteOffset": 5}),
        (Location(uri="a"), {"byteOffset": 0}),
        (Location(uri="a", member=("b",), offset=5), {"byteOffset": 0}),
        (Location(uri="a", line=4), {"startLine": 4, "startColumn": 1, "endLine": 4, "endColumn": 2}),
    ],
)
def test_strict_regions_are_of_bytes_or_of_text(place: Location, region: Json) -> None:
    result = result_for(Findings().in_binary(PICKLE, "calls it", place), profile="strict")
    assert result["locations"][0]["physicalLocation"]["region"] == region


@pytest.mark.parametrize(
    ("place", "region"),
    [
        (Location(uri="a", line=4, column=3, end_line=4, end_column=9), (4, 3, 4, 9)),
        (Location(uri="a", line=4, column=3), (4, 3, 4, 4)),
        (Location(uri="a", line=4, column=3, end_line=6), (4, 3, 6, 1)),
        (Location(uri="a", line=4, column=3, end_line=2, end_column=1), (4, 3, 4, 3)),
        (Location(uri="a", offset=100), (1, 1, 1, 1)),
        (Location(uri="a", member=("b",), line=7), (1, 1, 1, 1)),
    ],
)
def test_github_regions_have_four_fields(place: Location, region: tuple[int, int, int, int]) -> None:
    result = result_for(Findings().in_binary(PICKLE, "calls it", place))
    found = result["locations"][0]["physicalLocation"]["region"]
    assert tuple(found[name] for name in ("startLine", "startColumn", "endLine", "endColumn")) == region


def test_fingerprints_are_the_lines_own_where_they_tell_findings_apart() -> None:
    text = "torch==2.0.1\nnumpy\n"
    make = Findings()
    here = Location(uri="requirements.txt", line=1, column=1, end_line=1, end_column=13)
    twins = [make.in_text(ADVISORY, f"has {name}", text, here) for name in ("one", "two")]
    other = make.in_text(INDEX, "is another rule", text, here)
    results = run_of(sarif.render(report_of([*twins, other])))["results"]
    primaries = [result["partialFingerprints"]["primaryLocationLineHash"] for result in results]
    line_hash = line_hashes(text)[0]
    assert {primary_of(finding.fingerprint) for finding in (*twins, other)} == {line_hash}
    assert primaries[2] == line_hash
    assert len({*primaries}) == 3
    own = [result["partialFingerprints"]["supplyguard/v1"] for result in results]
    assert own == [finding.fingerprint for finding in (*twins, other)]


def test_messages_begin_with_a_title_and_hold_no_links() -> None:
    finding = Findings().in_binary(PICKLE, "calls [x](https://evil.test) {0}\x1b", Location(uri="a"))
    text = result_for(finding)["message"]["text"]
    assert text == (
        "Pickle calls a function that runs code: calls \\[x\\](https://evil.test) {{0}}\\x1b. In a."
    )


def test_artifacts_say_what_was_analysed() -> None:
    run = run_of(sarif.render(sample_report()))
    by_uri = {artifact["location"]["uri"]: artifact for artifact in run["artifacts"]}
    assert by_uri["services/nlp/models/sentiment.pt"] == {
        "location": {"uri": "services/nlp/models/sentiment.pt", "uriBaseId": "%SRCROOT%"},
        "mimeType": "application/octet-stream",
        "roles": ["analysisTarget"],
        "length": 104_857_600,
        "hashes": {"sha-256": "a" * 64},
    }
    assert by_uri["services/nlp/requirements.txt"]["mimeType"] == "text/plain"
    assert by_uri["services/nlp/models/tidy.safetensors"]["length"] == 2_048
    assert by_uri[CACHED_FILE.lstrip("/").replace(" ", "%20")]["location"]["uriBaseId"] == "FILE_SYSTEM_ROOT"


def test_what_was_not_examined_is_a_notification() -> None:
    run = run_of(sarif.render(sample_report()))
    (invocation,) = run["invocations"]
    assert invocation["startTimeUtc"] == "2026-03-04T05:06:07.890Z"
    assert invocation["endTimeUtc"] == "2026-03-04T05:06:09.140Z"
    # one of the sample's notifications is an error
    assert invocation["executionSuccessful"] is False
    entries = invocation["toolExecutionNotifications"]
    assert [entry["descriptor"]["id"] for entry in entries] == [
        "budget-exceeded",
        "malformed",
        "not-fetched",
        "configuration-from-target",
    ]
    assert (
        entries[0]["locations"][0]["logicalLocations"][0]["fullyQualifiedName"]
        == "services/nlp/data/bomb.zip!a.gz!b"
    )
    declared = {descriptor["id"] for descriptor in run["tool"]["driver"]["notifications"]}
    assert declared == {entry["descriptor"]["id"] for entry in entries}


def test_suppressed_results_come_only_when_asked_for() -> None:
    assert all("suppressions" not in result for result in run_of(sarif.render(sample_report()))["results"])
    results = run_of(sarif.render(sample_report(), show_suppressed=True))["results"]
    shown = [result["suppressions"] for result in results if result["suppressions"]]
    assert [(each["kind"], each["status"], each["justification"]) for (each,) in shown] == [
        ("external", "accepted", "a test's fixture, never loaded")
    ]
    assert all(result["suppressions"] == [] for result in results if result["suppressions"] not in shown)


def test_an_inline_suppression_is_in_the_source() -> None:
    suppression = Suppression(kind=SuppressionKind.INLINE, reason="known")
    hidden = Findings().in_binary(PICKLE, "calls it", Location(uri="a"), suppression=suppression)
    (result,) = run_of(sarif.render(report_of(suppressed=[hidden]), show_suppressed=True))["results"]
    assert result["suppressions"] == [{"kind": "inSource", "status": "accepted", "justification": "known"}]


def test_a_category_is_written_when_it_is_given() -> None:
    run = run_of(sarif.render(report_of(), category="models"))
    assert run["automationDetails"] == {"id": "models"}


@pytest.mark.parametrize(
    ("version", "semantic"),
    [
        ("1.2.3", "1.2.3"),
        ("0.2.0.dev1", "0.2.0-dev1"),
        ("1.0.0rc1+local.2", "1.0.0-rc1.local.2"),
        ("odd", "0.0.0"),
    ],
)
def test_versions_are_semantic(version: str, semantic: str) -> None:
    driver = run_of(sarif.render(report_of(tool_version=version)))["tool"]["driver"]
    assert (driver["version"], driver["semanticVersion"]) == (version, semantic)


def test_a_time_without_a_zone_is_utc() -> None:
    naive = replace(report_of(), started=datetime(2026, 3, 4, 5, 6, 7))  # noqa: DTZ001 - the case under test
    assert '"startTimeUtc": "2026-03-04T05:06:07.000Z"' in sarif.render(naive)
