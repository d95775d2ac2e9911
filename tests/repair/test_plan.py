"""What is decided about statements that are no plain pins, and about versions with problems of their own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from supplyguard.finding import Audit, AuditStatus, Counts, Fact, Finding, Report, Severity, Verdict
from supplyguard.inventory import Dependency, DependencyKind, Location
from supplyguard.repair.plan import Plan, Upgrade, make_plan
from supplyguard.rules import load_catalogue

HERE = Location(uri="x/requirements.txt", line=1, column=1, end_line=1, end_column=7)
PINNED = Dependency(name="old", raw_name="old", location=HERE, version="1.0", specifier="==1.0")


def report_on(dependency: Dependency, **more: Fact) -> Report:
    facts: dict[str, Fact] = {
        "package": dependency.name,
        "upgrade_all": "2.0",
        "upgrade": "2.0",
        "malicious": False,
        "remedy": "upgrade",
        **more,
    }
    rule = next(each for each in load_catalogue().rules if each.id == "vulnerable-dependency-high")
    finding = Finding(rule=rule, message="m", location=dependency.location, facts=facts, fingerprint="1")
    audit = Audit(dependency=dependency, status=AuditStatus.AFFECTED, database="d")
    return Report(
        tool_version="1", started=datetime(2026, 1, 1, tzinfo=UTC), seconds=0.0, targets=("x",),
        verdict=Verdict.FAIL, fail_on=Severity.HIGH, findings=(finding,), suppressed=(finding,),
        below_threshold=0, notifications=(), rules=(rule,), artifacts=(), audits=(audit,), model_refs=(),
        advisory_data=(), counts=Counts(),
    )  # fmt: skip


def nothing(_dependencies: Sequence[Dependency]) -> Mapping[Dependency, str | None]:
    return {}


def advice(plan: Plan) -> str:
    assert plan.edits == ()
    (manual,) = plan.manual
    return manual.advice


def test_a_pin() -> None:
    (edit,) = make_plan(report_on(PINNED), nothing).edits
    assert (edit.dependency, edit.version) == (PINNED, "2.0")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"kind": DependencyKind.RESOLVED}, "require old>=2.0"),
        ({"kind": DependencyKind.INSTALLED}, "run: python -m pip install old==2.0"),
        ({"location": replace(HERE, uri="Dockerfile")}, "raise it to 2.0 by hand"),
        ({"name": "a; touch x", "hashes": ("sha256:aa",)}, "--upgrade-package 'a; touch x'==2.0"),
        ({"specifier": "==1.0,nonsense"}, "excludes that version"),
    ],
)
def test_what_is_no_plain_pin(change: dict[str, object], said: str) -> None:
    dependency = replace(PINNED, **change)  # type: ignore[arg-type]
    assert said in advice(make_plan(report_on(dependency), nothing))


def test_a_version_with_a_problem_of_its_own_is_not_taken() -> None:
    def once(dependencies: Sequence[Dependency]) -> Mapping[Dependency, str | None]:
        return {each: "3.0" for each in dependencies if each.version == "2.0"}

    assert make_plan(report_on(PINNED), once).edits[0].version == "3.0"


@pytest.mark.parametrize("answer", ["3.0", None])
def test_a_search_without_end_is_given_up(answer: str | None) -> None:
    always: Upgrade = lambda dependencies: dict.fromkeys(dependencies, answer)  # noqa: E731
    assert "no version is known" in advice(make_plan(report_on(PINNED), always))


def test_words_are_no_version() -> None:
    assert "; upgrade" in advice(make_plan(report_on(PINNED, upgrade_all="no fixed version known"), nothing))
