from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from supplyguard.advisories import Database, aliases, evidence, merge, merge_audits
from supplyguard.advisories.embedded import EmbeddedDatabase
from supplyguard.advisories.evidence import NO_MATCH, Problem
from supplyguard.finding import Audit, AuditStatus, Evidence
from supplyguard.inventory import Dependency, Location

HERE = Location(uri="requirements.txt", line=3)
THERE = Location(uri="requirements.txt", line=4)
PLAIN = Problem(
    ids=frozenset({"PYSEC-2024-1", "CVE-2024-1"}),
    severity="unknown",
    score=None,
    summary="",
    fixed=("1.10", "2.0"),
    upgrade="1.10",
    malicious=False,
    databases=frozenset({"osv"}),
)


def problem(*ids: str, **fields: object) -> Problem:
    return dataclasses.replace(PLAIN, ids=frozenset(ids), **fields)  # type: ignore[arg-type]


def make(package: str, version: str | None, place: Location, one: Problem) -> Evidence:
    (made,) = evidence.make_all(package, version, place, [one])
    return made


def test_ids_are_shown_in_order_of_preference() -> None:
    given_ids = ["SG-1", "MAL-2", "PYSEC-3", "GHSA-b", "CVE-2024-2", "GHSA-a", "CVE-2024-1", "SG-1"]
    expected = ("CVE-2024-1", "CVE-2024-2", "GHSA-a", "GHSA-b", "PYSEC-3", "MAL-2", "SG-1")
    assert aliases.preferred(given_ids) == expected


def test_groups_are_joined_by_any_chain() -> None:
    assert aliases.groups([{"a"}, {"b", "c"}, {"d"}, {"c", "e"}, {"e", "a"}]) == [[0, 1, 3, 4], [2]]
    assert aliases.groups([]) == []


@pytest.mark.heavy
@given(st.lists(st.frozensets(st.integers(0, 12).map(str), min_size=1, max_size=3), max_size=10))
@settings(deadline=None, max_examples=100)
def test_groups_agree_with_repeated_joining(id_sets: list[frozenset[str]]) -> None:
    expected: list[set[str]] = []
    for ids in id_sets:
        joined = set(ids).union(*(group for group in expected if group & ids))
        expected = [group for group in expected if not group & ids] + [joined]
    found = [set().union(*(id_sets[place] for place in places)) for places in aliases.groups(id_sets)]
    assert sorted(map(sorted, found)) == sorted(map(sorted, expected))
    assert sorted(place for places in aliases.groups(id_sets) for place in places) == list(
        range(len(id_sets))
    )


def test_the_facts_of_an_evidence() -> None:
    made = make("torch", "2.5.1", HERE, dataclasses.replace(PLAIN, summary="It runs code"))
    assert made == Evidence(
        kind="dependency-advisory",
        location=HERE,
        symbol="torch:CVE-2024-1",
        facts={
            "package": "torch",
            "version": "2.5.1",
            "id": "CVE-2024-1",
            "aliases": ("CVE-2024-1", "PYSEC-2024-1"),
            "severity": "unknown",
            "score": None,
            "summary": "It runs code",
            "fixed": ("1.10", "2.0"),
            "upgrade": "1.10",
            "remedy": "upgrade to 1.10",
            "upgrade_all": "1.10",
            "target": None,
            "malicious": False,
            "epss": None,
            "kev": False,
            "databases": ("osv",),
        },
    )


def test_facts_that_a_message_quotes_are_never_empty() -> None:
    bare = dataclasses.replace(PLAIN, fixed=(), upgrade=None)
    facts = make("x", None, HERE, bare).facts
    assert facts["version"] == "(any version)"
    assert facts["summary"] == "no summary is given"
    assert facts["upgrade"] == "no fixed version known"
    assert facts["remedy"] == "no fixed version is known"
    assert make("x", None, HERE, dataclasses.replace(bare, malicious=True)).facts["remedy"] == "remove it"


def test_what_several_databases_know_is_one_evidence() -> None:
    first = problem("GHSA-a", "CVE-2024-1", severity="medium", score=5.0, fixed=("1.9",), upgrade="1.9")
    second = problem("PYSEC-2024-1", "CVE-2024-1", summary="Words", databases=frozenset({"embedded"}))
    third = problem("GHSA-a", severity="high", score=7.5, upgrade=None, databases=frozenset({"live"}))
    (merged,) = merge(make("x", "1", HERE, one) for one in (first, second, third))
    assert merged.facts["aliases"] == ("CVE-2024-1", "GHSA-a", "PYSEC-2024-1")
    assert (merged.facts["severity"], merged.facts["score"]) == ("high", 7.5)
    assert merged.facts["summary"] == "Words"
    assert merged.facts["fixed"] == ("1.9", "1.10", "2.0")
    assert merged.facts["upgrade"] == "1.10"
    assert merged.facts["databases"] == ("embedded", "live", "osv")
    assert merged.symbol == "x:CVE-2024-1"


def test_a_word_does_not_hide_a_score() -> None:
    word, vector = problem("CVE-1", severity="high"), problem("CVE-1", severity="high", score=8.1)
    (merged,) = merge(make("x", "1", HERE, one) for one in (word, vector))
    assert merged.facts["score"] == 8.1


def test_other_places_packages_versions_and_problems_stay_apart() -> None:
    made = [
        make("x", "1", HERE, problem("CVE-1")),
        make("x", "1", THERE, problem("CVE-1")),
        make("x", "2", HERE, problem("CVE-1")),
        make("y", "1", HERE, problem("CVE-1")),
        make("x", "1", HERE, problem("CVE-2")),
        make("x", None, HERE, problem("CVE-1", upgrade=None)),
    ]
    merged = merge(made)
    assert len(merged) == 6
    keys = [(one.location, one.symbol, one.facts["version"]) for one in made]
    assert sorted(map(str, keys)) == sorted(
        str((one.location, one.symbol, one.facts["version"])) for one in merged
    )


def remedies(*problems: Problem) -> list[object]:
    return [one.facts["remedy"] for one in evidence.make_all("x", "1", HERE, problems)]


def test_one_upgrade_for_all_problems_of_a_package() -> None:
    first, second = problem("CVE-1", upgrade="1.9"), problem("CVE-2", upgrade="1.10")
    assert remedies(first, second) == ["upgrade to 1.10 (clears all 2)"] * 2
    assert remedies(first, dataclasses.replace(second, target="2.0")) == ["upgrade to 2.0 (clears all 2)"] * 2
    assert remedies(dataclasses.replace(first, target="2.0")) == ["upgrade to 2.0"]
    made = list(evidence.make_all("x", "1", HERE, [first, second]))
    assert [one.facts["upgrade"] for one in made] == ["1.9", "1.10"]
    assert {one.facts["upgrade_all"] for one in made} == {"1.10"}


def test_a_problem_without_a_fix_is_not_hidden_by_the_others() -> None:
    hopeless = problem("CVE-3", upgrade=None)
    found = list(evidence.make_all("x", "1", HERE, [problem("CVE-1"), problem("CVE-2"), hopeless]))
    assert [one.facts["remedy"] for one in found] == [
        "upgrade to 1.10 (clears 2 of 3)",
        "upgrade to 1.10 (clears 2 of 3)",
        "no fixed version is known",
    ]
    assert {one.facts["upgrade_all"] for one in found} == {"no fixed version known"}


def test_malice_counts_for_no_upgrade() -> None:
    bad = problem("MAL-1", malicious=True)
    assert remedies(problem("CVE-1"), bad) == ["upgrade to 1.10", "remove it"]


def test_exploitation_is_merged() -> None:
    first = problem("CVE-1", epss=0.25, kev=False, databases=frozenset({"live"}))
    second = problem("CVE-1", epss=None, kev=True)
    (merged,) = merge(make("x", "1", HERE, one) for one in (first, second))
    assert (merged.facts["epss"], merged.facts["kev"]) == (0.25, True)
    assert merge([merged]) == [merged]


def test_what_is_known_of_attacks_is_added() -> None:
    rated = evidence.rated(PLAIN, lambda ids: (0.5, "CVE-2024-1" in ids))
    assert (rated.epss, rated.kev) == (0.5, True)
    told = dataclasses.replace(PLAIN, kev=True)
    assert evidence.rated(told, evidence.nothing_known).kev


def test_records_of_malice_are_one_problem() -> None:
    made = [make("x", "1", HERE, problem(one, malicious=True)) for one in ("MAL-1", "SG-1")]
    (merged,) = merge([*made, make("x", "1", HERE, problem("SG-1", malicious=True))])
    assert merged.facts["aliases"] == ("MAL-1", "SG-1")


def test_other_evidence_passes_through() -> None:
    other = Evidence(kind="dependency-unpinned", location=HERE)
    assert merge([other]) == [other]


A = Dependency(name="a", raw_name="A", version="1", location=HERE)
B = Dependency(name="b", raw_name="b", location=THERE)


def audit(dependency: Dependency, status: AuditStatus, database: str, reason: str = "") -> Audit:
    return Audit(dependency=dependency, status=status, database=database, reason=reason)


def test_audits_are_merged() -> None:
    clean, affected, unknown = AuditStatus.CLEAN, AuditStatus.AFFECTED, AuditStatus.NOT_AUDITED
    given_audits = [
        audit(A, unknown, "embedded", NO_MATCH),
        audit(B, unknown, "embedded", "no exact version"),
        audit(A, clean, "osv"),
        audit(B, unknown, "osv", "no exact version"),
        audit(A, clean, "live"),
        audit(B, unknown, "live", "no answer"),
    ]
    assert merge_audits(given_audits) == [
        audit(A, clean, "osv, live"),
        audit(B, unknown, "embedded, osv, live", "no exact version; no answer"),
    ]
    assert merge_audits([*given_audits, audit(A, affected, "x")])[0] == audit(A, affected, "x")
    assert merge_audits([]) == []


def test_versions_that_cannot_be_compared_are_left_out() -> None:
    assert evidence.ascending(["1.10", "odd", "1.9", "1.9.0"]) == ("1.9.0", "1.10")


@pytest.mark.parametrize("database", [EmbeddedDatabase()])
def test_the_embedded_data_is_a_database(database: Database) -> None:
    assert database.data().name == "embedded"
