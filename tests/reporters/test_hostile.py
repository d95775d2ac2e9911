"""Whatever strings a report holds, no output breaks."""

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from supplyguard.finding import (
    AdvisoryData,
    Audit,
    AuditStatus,
    Notification,
    Report,
    Severity,
    Suppression,
    SuppressionKind,
    Verdict,
)
from supplyguard.inventory import Artifact, Location, ModelRef
from supplyguard.reporters import REPORTERS, RenderOptions, Reporter, sarif
from tests.reporters.sample_report import PICKLE, Findings, dependency, report_of

pytestmark = pytest.mark.heavy

HERE = Path(__file__)
SARIF = Draft202012Validator(json.loads((HERE.parent / "sarif_schema.json").read_text(encoding="utf-8")))
JSON = Draft202012Validator(
    json.loads((HERE.parents[2] / "docs" / "report-schema.json").read_text(encoding="utf-8"))
)
EVERYTHING = RenderOptions(color=False, width=60, verbose=True, show_suppressed=True, category="c")

HOSTILE = [
    "\x1b]0;title\x07\x1b[2J\x1b[31m",
    "\x9b31m\x85\x7f",
    "]]></x><script>alert(1)</script>",
    "a|b`c\\|d",
    "one\ntwo\r\nthree\u2028four",
    "::set-output name=x::y",
    "\n::error file=a::b\n##[add-mask]c",
    "[bold red]rich[/bold red] [link=https://evil.test]x[/link] [/]",
    "{{ 7*7 }} {% raw %} {0} {{0}}",
    "\ud800\udfff\udc80",
    "gpj\u202eexe\u2066\u200b\ufeff",
    "@everyone #1 [x](javascript:alert(1)) ![](https://evil.test)",
    "../../etc/passwd\0.pt",
    "hf://evil@\x1b/../x",
    "C:\\x\\y",
    "x" * 50_000,
    "",
]


def report_with(text: str) -> Report:
    """Put `text` wherever a scanned project can put one."""
    place = Location(uri=text, member=(text, text), offset=1, length=1)
    line = Location(uri=text, line=1, column=1, end_line=1, end_column=1)
    make = Findings()
    finding = make.in_binary(
        PICKLE, text, place, symbol=text, related=(line, place), facts=text, names=(text, text)
    )
    on_line = make.in_binary(PICKLE, text, line, symbol=text)
    hidden = replace(
        finding, suppression=Suppression(kind=SuppressionKind.INLINE, reason=text, location=line)
    )
    stated = replace(
        dependency("a", None, 1), raw_name=text, name=text, version=text, marker=text, url=text, location=line
    )
    return replace(
        report_of(
            [finding, on_line],
            verdict=Verdict.FAIL,
            suppressed=[hidden],
            notifications=[
                Notification(code="malformed", message=text, location=place, incomplete=True),
                Notification(code="a-note", message=text, location=line),
            ],
            artifacts=((Artifact(uri=text, path=Path("x"), size=1, origin=line), "0" * 64),),
            audits=(Audit(dependency=stated, status=AuditStatus.NOT_AUDITED, database=text, reason=text),),
            targets=(text,),
        ),
        model_refs=(ModelRef(loader=text, repo=text, revision=text, location=line),),
        advisory_data=(AdvisoryData(name=text, updated=None, records=1, origin=text),),
    )


def check(reporter: Reporter, output: str) -> None:
    assert output.encode().decode() == output
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\u200b-\u200f\u202a-\u202e\ufeff]", output)
    assert not re.search(r"(?m)^\s*::|##\[", output)
    if reporter.suffix == ".json":
        JSON.validate(json.loads(output))
    if reporter.suffix == ".sarif":
        document = json.loads(output)
        SARIF.validate(document)
        for result in document["runs"][0]["results"]:
            uri = result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
            assert re.fullmatch(r"[A-Za-z0-9\-._~/@+,=!%]*", uri)


@pytest.mark.parametrize("reporter", REPORTERS, ids=lambda reporter: reporter.name)
@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_known_attacks_break_no_output(reporter: Reporter, text: str) -> None:
    output = reporter.render(report_with(text), EVERYTHING)
    check(reporter, output)
    if reporter.name == "text":
        assert max(map(len, output.splitlines())) <= EVERYTHING.width + len("\\x3a")
        assert len(output) < 100_000


@settings(deadline=None, max_examples=60)
@given(st.text(st.characters(exclude_categories=()), max_size=60), st.sampled_from(HOSTILE))
def test_no_string_breaks_an_output(text: str, hostile: str) -> None:
    report = report_with(text + hostile[:50])
    for reporter in REPORTERS:
        check(reporter, reporter.render(report, EVERYTHING))
    SARIF.validate(json.loads(sarif.render(report, profile="strict")))


def test_text_shows_markup_as_it_is_written() -> None:
    finding = Findings().in_binary(PICKLE, "imports [bold]x[/bold] :bomb:", Location(uri="[red]a"))
    (reporter,) = (each for each in REPORTERS if each.name == "text")
    shown = reporter.render(report_of([finding]), RenderOptions())
    assert "[red]a" in shown
    assert "imports [bold]x[/bold] :bomb:" in shown


def test_colors_are_the_only_control_characters() -> None:
    (reporter,) = (each for each in REPORTERS if each.name == "text")
    for text in HOSTILE:
        shown = reporter.render(report_with(text), replace(EVERYTHING, color=True))
        assert "\x1b" not in re.sub(r"\x1b\[[0-9;]*m", "", shown)
        assert set(re.findall(r"\x1b\[([0-9;]*)m", shown)) <= {
            "0",
            "1",
            "2",
            "32",
            "36",
            "33",
            "1;4",
            "1;31",
            "1;37;41",
        }


def test_every_reporter_is_known_by_name_and_suffix() -> None:
    assert [(each.name, each.suffix) for each in REPORTERS] == [
        ("text", ".txt"),
        ("json", ".json"),
        ("sarif", ".sarif"),
        ("markdown", ".md"),
    ]
    assert all(each.summary for each in REPORTERS)
    assert min(Severity) is Severity.INFO
