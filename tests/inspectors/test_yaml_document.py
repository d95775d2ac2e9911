"""YAML is read as events: tags, targets and aliases are seen, and nothing is made of them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from fixtures.make_mlflow_model import SKLEARN
from fixtures.make_yaml_document import TRAIN
from supplyguard.errors import BudgetExceededError, MalformedError
from supplyguard.finding import Evidence, Notification
from supplyguard.inspectors import yaml_document as inspector
from supplyguard.inventory import Member
from supplyguard.limits import Budget, Limits
from tests.examined import content, findings, gaps, part_of, probe, yielded
from tests.fuzzing import cuts, mutations, survives

FIXTURES = Path(__file__).parents[2] / "fixtures" / "yaml_document"
EXPECTED = json.loads((FIXTURES / "expected.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_fixtures(name: str) -> None:
    part = part_of(FIXTURES / name)
    assert {each.rule.id for each in findings(part)} == {each["rule"] for each in EXPECTED[name]}
    assert gaps(part) == []


def test_the_region_is_given_and_kept_before_a_fault() -> None:
    items = yielded(inspector, b"a:\n  _target_: os.system\nb: [", "x.yaml")
    found = next(items)
    assert isinstance(found, Evidence)
    assert (found.location.line, found.location.column, found.location.end_column) == (2, 13, 22)
    with pytest.raises(MalformedError):
        list(items)


def test_recognition() -> None:
    assert inspector.recognizes(probe(SKLEARN.encode(), "MLmodel"))
    assert not inspector.recognizes(probe(b"a: 1", "x.yml"))
    assert not inspector.recognizes(probe(SKLEARN.encode(), "x.txt"))
    assert inspector.recognizes(probe(b"a: 1\n" * 20_000, "x.yml"))


def test_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(BudgetExceededError):
        list(yielded(inspector, b"_target_: " + b"[" * 100, "x.yaml"))
    with pytest.raises(BudgetExceededError):
        list(yielded(inspector, b"- target: a\n" * 50, "x.yaml", Budget(Limits(nodes=20))))
    monkeypatch.setattr(inspector, "LARGEST", 8)
    with pytest.raises(BudgetExceededError):
        list(yielded(inspector, b"target: a", "x.yaml"))


def test_templates_and_hidden_words() -> None:
    (note,) = yielded(inspector, b"target: {{ .Values.a }}\nb: {{ c", "x.yaml")
    assert isinstance(note, Notification)
    assert not note.incomplete
    assert list(yielded(inspector, b"[", "x.yaml")) == []
    text = 'a:\n  "_targ\\x65t_": os.system\n'
    for data in (text.encode(), text.encode("utf-16")):
        assert inspector.recognizes(probe(data, "x.yaml"))
        (found,) = yielded(inspector, data, "x.yaml")
        assert isinstance(found, Evidence)
        assert found.facts["acts"] is True


def test_cuts_and_changes_are_survived() -> None:
    data = TRAIN.encode()
    for changed in (*cuts(data, 100), *mutations(data, 100)):
        survives(inspector, changed, "train.yaml")


def test_templates_are_members() -> None:
    text = b"chat_template: '{{ a }}'\nother: '{{ b }}'\nmy_template: plain\n"
    (found,) = yielded(inspector, text, "x.yaml")
    assert isinstance(found, Member)
    assert found.path == ("template.1.jinja",)
    assert content(found) == b"{{ a }}"
    many = b"a_template:\n" + b"- '{{ a }}'\n" * 30
    assert len(list(yielded(inspector, many, "x.yaml"))) == inspector.MOST_TEMPLATES


def test_getters_are_judged_by_what_they_get() -> None:
    for path, acts in (("torch.nn.functional.relu", False), ("os.system", True)):
        text = f"_target_: hydra.utils.get_method\npath: {path}\n".encode()
        (found,) = yielded(inspector, text, "x.yaml")
        assert isinstance(found, Evidence)
        assert (found.facts["acts"], found.location.line) == (acts, 1)
