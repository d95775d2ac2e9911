"""Rules: the format is checked, matching is plain, messages are bounded."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from supplyguard import rules
from supplyguard.errors import RuleError
from supplyguard.finding import Evidence, Fact, Severity
from supplyguard.inventory import Location
from supplyguard.resources import rules_folder
from supplyguard.rule_format import parse_rules

GOOD: dict[str, Any] = {
    "id": "thing-seen",
    "name": "A thing was seen",
    "severity": "high",
    "confidence": "high",
    "cwe": ["CWE-502"],
    "atlas": ["AML.T0011.000"],
    "references": ["https://example.org/"],
    "match": {"kind": "thing", "color": ["red", "blue"]},
    "message": "sees {what} in {color}",
    "help": {"what": "What.", "why": "Why.", "fix": "Fix."},
    "examples": {"fires": [{"name": "a", "text": "b"}], "silent": [{"name": "a", "hex": "00"}]},
}


def text_of(**changes: Any) -> str:
    rule = {**GOOD, **changes}
    return yaml.safe_dump([{key: value for key, value in rule.items() if value is not ...}])


def findings_for(facts: Mapping[str, Fact], **changes: Any) -> list[str]:
    entries = parse_rules("family", text_of(**changes), "file")
    catalogue = rules.catalogue_of(tuple(rules._rule(entry) for entry in entries))
    evidence = Evidence(kind="thing", location=Location(uri="x"), facts=facts)
    return [finding.message for finding in rules.judge(catalogue, evidence)]


@pytest.mark.parametrize("key", sorted(set(GOOD) - {"cwe", "atlas"}))
def test_a_missing_part_does_not_load(key: str) -> None:
    with pytest.raises(RuleError, match=key):
        parse_rules("family", text_of(**{key: ...}), "file")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"id": "Upper"}, "form"),
        ({"severity": "grave"}, "one of"),
        ({"confidence": "low"}, "heuristic"),
        ({"references": []}, "https"),
        ({"references": ["http://example.org"]}, "https"),
        ({"match": {"color": "red"}}, "kind"),
        ({"match": {"kind": "thing", "color": []}}, "value"),
        ({"match": {"kind": "thing", "color": {"not": "red"}}}, "value"),
        ({"message": "{a.b}"}, "placeholder"),
        ({"message": "{a!r}"}, "placeholder"),
        ({"message": "{a:>10}"}, "placeholder"),
        ({"message": "{"}, "message"),
        ({"message": " "}, "text"),
        ({"help": {"what": "x", "why": "y"}}, "fix"),
        ({"help": {"what": "x", "why": "y", "fix": "z" * 1025}}, "longer"),
        ({"examples": {"fires": [], "silent": [{"fixture": "x"}]}}, "fires"),
        ({"examples": {"fires": [{"text": "x"}], "silent": [{"fixture": "x"}]}}, "fixture"),
        ({"cwe": ["502"]}, "form"),
        ({"atlas": ["T0011"]}, "form"),
        ({"surprise": 1}, "unknown key"),
    ],
)
def test_a_wrong_part_does_not_load(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(RuleError, match=message):
        parse_rules("family", text_of(**changes), "file")


@pytest.mark.parametrize("text", ["[", "a: 1", "- 1", "!!python/object:os.system []"])
def test_a_file_that_is_no_list_of_rules_does_not_load(text: str) -> None:
    with pytest.raises(RuleError):
        parse_rules("family", text, "file")


def test_a_rule_matches_any_listed_value_and_any_element() -> None:
    assert findings_for({"what": "it", "color": "red"}) == ["sees it in red"]
    assert findings_for({"what": "it", "color": ("green", "blue")}) == ["sees it in green, blue"]
    assert findings_for({"what": "it", "color": "green"}) == []
    assert findings_for({}) == []


def test_true_is_not_one() -> None:
    match = {"kind": "thing", "flag": 1}
    assert findings_for({"flag": True}, match=match, message="x") == []
    assert findings_for({"flag": 1}, match=match, message="x") == ["x"]


def test_a_message_is_bounded_and_says_what_it_cut() -> None:
    assert rules.render_message("{a}", {"a": "x" * 500}) == "x" * 200 + "…"
    many = tuple(str(number) for number in range(10))
    assert rules.render_message("{a}", {"a": many}) == "0, 1, 2, 3, 4, 5, 6, 7 and 2 more"
    facts: dict[str, Fact] = {"a": None, "b": True, "c": 7, "d": ()}
    assert rules.render_message("{a} {b} {c} {d} {e}", facts) == "(unknown) true 7 (unknown) (unknown)"


def test_a_hostile_fact_is_only_text() -> None:
    assert rules.render_message("{a}", {"a": "{b} {0.__class__}", "b": "no"}) == "{b} {0.__class__}"


def test_an_id_used_twice_does_not_load(tmp_path: Path) -> None:
    (tmp_path / "one.yaml").write_text(text_of())
    (tmp_path / "two.yaml").write_text(text_of())
    with pytest.raises(RuleError, match="twice"):
        rules.load_catalogue([tmp_path])


def test_users_add_rules_by_file(tmp_path: Path) -> None:
    file = tmp_path / "own.yaml"
    file.write_text(text_of())
    rule = rules.load_catalogue([file]).get("thing-seen")
    assert rule is not None
    assert rule.severity is Severity.HIGH
    assert rule.family == "own"


def test_a_rules_file_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(RuleError, match="cannot read"):
        rules.load_catalogue([tmp_path / "absent.yaml"])


def test_compiled_rules_are_the_rules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SUPPLYGUARD_CACHE_DIR", str(tmp_path / "cache"))
    first = rules.load_catalogue()
    assert list((tmp_path / "cache").glob("rules-*.json"))
    assert rules.load_catalogue() == first


def test_a_damaged_cache_is_an_error_that_names_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SUPPLYGUARD_CACHE_DIR", str(tmp_path))
    rules.load_catalogue()
    for file in tmp_path.glob("rules-*.json"):
        file.write_text("[")
    with pytest.raises(RuleError, match="compiled"):
        rules.load_catalogue()


def test_a_cache_that_cannot_be_written_costs_nothing_but_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    monkeypatch.setenv("SUPPLYGUARD_CACHE_DIR", str(blocked / "below"))
    assert rules.load_catalogue().rules


def test_every_built_in_rule_compiles() -> None:
    entries = json.loads(rules.compile_folder(rules_folder()))
    assert len({entry["id"] for entry in entries}) == len(entries) > 0
