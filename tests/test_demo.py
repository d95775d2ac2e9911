"""The demo project: what a stranger sees first is right, line by line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from supplyguard.config import Settings
from supplyguard.finding import Finding, Report, Severity, SuppressionKind, Verdict
from supplyguard.wiring import run_scan

FIXTURES = Path(__file__).parent.parent / "fixtures"
EXPECTED: dict[str, list[dict[str, Any]]] = json.loads(
    (FIXTURES / "demo_expected.json").read_text(encoding="utf-8")
)
HONEST = ("baseline.joblib", "head.pt", "head.safetensors", "word_vectors.npy")
HOSTILE = ("community_finetune.pt", "vectorizer.pkl")


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Report:
    empty = tmp_path_factory.mktemp("demo")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(FIXTURES / "demo_project")
        settings = Settings(
            offline=True,
            min_severity=Severity.INFO,
            hub_cache=empty / "no-cache",
            db=empty / "no-store",
        )
        return run_scan([Path()], settings)


def is_at(finding: Finding, wanted: dict[str, Any]) -> bool:
    place = finding.location
    return (
        finding.rule.id == wanted["rule"]
        and place.uri == wanted["file"]
        and place.line == wanted.get("line")
        and list(place.member) == wanted.get("member", [])
        and place.offset == wanted.get("offset")
        and wanted.get("says", "") in finding.message
    )


def show(finding: Finding) -> str:
    return f"{finding.rule.id}: {finding.location}: {finding.message}"


@pytest.mark.parametrize("wanted", EXPECTED["findings"], ids=lambda each: f"{each['file']}-{each['rule']}")
def test_what_is_wrong_is_said_where_it_is(report: Report, wanted: dict[str, Any]) -> None:
    assert any(is_at(each, wanted) for each in report.findings), [
        show(each) for each in report.findings if each.location.uri == wanted["file"]
    ]


def test_nothing_else_is_said(report: Report) -> None:
    surplus = [
        show(each)
        for each in report.findings
        if not each.rule.id.startswith("vulnerable-dependency-")  # more records may come
        and not any(is_at(each, wanted) for wanted in EXPECTED["findings"])
    ]
    assert surplus == []


def test_the_inline_ignore_counts(report: Report) -> None:
    assert len(report.suppressed) == len(EXPECTED["suppressed"])
    for finding, wanted in zip(report.suppressed, EXPECTED["suppressed"], strict=True):
        assert is_at(finding, wanted), show(finding)
        assert finding.suppression is not None
        assert finding.suppression.kind is SuppressionKind.INLINE
        assert finding.suppression.reason == "we write it ourselves"


def test_honest_models_are_inspected_and_clean(report: Report) -> None:
    inspected = {artifact.path.name for artifact, _ in report.artifacts}
    assert inspected == {*HONEST, *HOSTILE, "explore.ipynb"}
    assert {Path(each.location.uri).name for each in report.findings} & set(HONEST) == set()


def test_the_verdict_is_fail_and_only_remote_models_were_left_out(report: Report) -> None:
    assert report.verdict is Verdict.FAIL
    gaps = [each for each in report.notifications if each.incomplete]
    assert {each.code for each in gaps} <= {"not-fetched"}, [each.message for each in gaps]


def test_model_references_are_told_apart(report: Report) -> None:
    kinds = {(each.repo, each.revision_kind.value) for each in report.model_refs}
    assert ("sentence-transformers/all-MiniLM-L6-v2", "commit") in kinds
    assert ("cross-encoder/ms-marco-MiniLM-L6-v2", "none") in kinds
    assert ("mood-lab/reviews", "tag-or-branch") in kinds
    assert (None, "none") in kinds or (None, "unresolved") in kinds
