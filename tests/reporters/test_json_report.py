import json
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from supplyguard.finding import Fact, Verdict
from supplyguard.inventory import Location
from supplyguard.reporters import json_report
from supplyguard.reporters.json_text import dump
from tests.reporters.sample_report import PICKLE, Findings, report_of, sample_report

DOCS = Path(__file__).parents[2] / "docs"
SCHEMA = json.loads((DOCS / "report-schema.json").read_text(encoding="utf-8"))


def fact(value: Fact) -> Any:
    finding = Findings().in_binary(PICKLE, "m", Location(uri="a"), it=value)
    document = json.loads(json_report.render(report_of([finding])))
    Draft202012Validator(SCHEMA).validate(document)
    return document["findings"][0]["facts"]["it"]


def test_the_schema_is_a_schema_and_of_this_version() -> None:
    Draft202012Validator.check_schema(SCHEMA)
    assert SCHEMA["properties"]["schema_version"]["const"] == json_report.SCHEMA_VERSION
    assert f"version {json_report.SCHEMA_VERSION}" in SCHEMA["title"]
    assert f'"schema_version": "{json_report.SCHEMA_VERSION}"' in (DOCS / "report.md").read_text(
        encoding="utf-8"
    )


def test_reports_follow_the_schema() -> None:
    for report in (sample_report(), report_of(), report_of(verdict=Verdict.INCOMPLETE, fail_on=None)):
        Draft202012Validator(SCHEMA).validate(json.loads(json_report.render(report)))


def test_every_field_of_the_schema_is_required() -> None:
    objects = [SCHEMA, *SCHEMA["$defs"].values()]
    for each in objects:
        if "properties" in each:
            assert set(each["required"]) == set(each["properties"])
            assert each["additionalProperties"] is False


def test_the_report_holds_what_a_baseline_needs() -> None:
    report = sample_report()
    document = json.loads(json_report.render(report))
    read = {(entry["rule_id"], entry["fingerprint"]) for entry in document["findings"]}
    assert read == {(finding.rule.id, finding.fingerprint) for finding in report.findings}
    assert len(read) == len(report.findings)


def test_facts_are_exact_or_text() -> None:
    assert fact(3) == 3
    assert fact(1.5) == 1.5
    assert fact(None) is None
    assert fact(True) is True
    assert fact(("a", "b")) == ["a", "b"]
    assert fact(float("nan")) == "nan"
    assert fact(float("-inf")) == "-inf"
    assert fact(2**53) == "0x20000000000000"
    assert fact(-(10**6000)).startswith("-0x")
    assert len(fact("x" * 10**6)) == json_report.STRING_CHARS


def test_a_time_without_a_zone_is_utc() -> None:
    assert '"started": "2026-03-04T05:06:07Z"' in json_report.render(report_of())
    naive = replace(report_of(), started=datetime(2026, 3, 4, 5, 6, 7))  # noqa: DTZ001 - the case under test
    assert '"started": "2026-03-04T05:06:07Z"' in json_report.render(naive)


@pytest.mark.parametrize(
    ("text", "written", "read"),
    [
        ("é", '"\\u00e9"', "é"),
        ("😀", '"\\ud83d\\ude00"', "😀"),
        ("\udc80", '"\\\\udc80"', "\\udc80"),
        ("\x9b\u202e\x7f", '"\\u009b\\u202e\\u007f"', "\x9b\u202e\x7f"),
        ("##[add-mask]", '"##\\u005badd-mask]"', "##[add-mask]"),
    ],
)
def test_json_text_is_ascii(text: str, written: str, read: str) -> None:
    assert dump(text) == f"{written}\n"
    assert json.loads(dump(text)) == read


def test_json_has_no_nan() -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        dump([float("nan")])
