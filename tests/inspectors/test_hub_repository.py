"""Configurations of model repositories: what they select is named, ordinary ones are silent."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from supplyguard.errors import BudgetExceededError, MalformedError
from supplyguard.finding import Evidence, Notification
from supplyguard.inspectors import hub_repository as inspector
from supplyguard.inspectors.hub_tokenizer import repeats_repetition
from supplyguard.inventory import Member
from supplyguard.limits import Budget, Limits
from tests.examined import content, findings, gaps, memory, part_of, probe, yielded
from tests.fuzzing import cuts, mutations, survives

FIXTURES = Path(__file__).parents[2] / "fixtures" / "hub_repository"
EXPECTED = json.loads((FIXTURES / "expected.json").read_text(encoding="utf-8"))


def seen(tree: object, name: str = "config.json") -> list[Any]:
    return list(yielded(inspector, json.dumps(tree, indent=1).encode(), name))


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_fixtures(name: str) -> None:
    part = part_of(FIXTURES / name)
    assert {each.rule.id for each in findings(part)} == {each["rule"] for each in EXPECTED[name]}
    assert bool(gaps(part)) == name.endswith("shards/model.safetensors.index.json")


def test_the_line_is_that_of_the_key() -> None:
    (found,) = seen({"model_type": "x", "auto_map": {"AutoModel": "a.B"}})
    assert isinstance(found, Evidence)
    assert found.location.line == 3
    escaped = b'{"auto\\u005fmap": {"AutoModel": "a.B"}}'
    assert inspector.recognizes(probe(escaped, "config.json"))
    (found,) = yielded(inspector, escaped, "config.json")
    assert isinstance(found, Evidence)
    assert found.location.line is None


def test_templates_are_members() -> None:
    trees = ["a", [{"name": "x", "template": "b"}, {"name": "y", "template": "c"}], {"z": "d"}, None, 3]
    names = [[each.path[-1] for each in seen({"chat_template": tree})] for tree in trees]
    assert names == [
        ["chat_template.jinja"],
        ["chat_template.jinja", "chat_template.1.jinja"],
        ["chat_template.jinja"],
        [],
        [],
    ]
    members = [each for each in seen({"chat_template": trees[1]}) if isinstance(each, Member)]
    assert [content(each) for each in members] == [b"b", b"c"]


def test_shards_that_are_not_there_are_a_gap(tmp_path: Path) -> None:
    index = tmp_path / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"a": "one.safetensors", "b": "two.safetensors"}}))
    (tmp_path / "one.safetensors").write_bytes(b"")
    (note,) = gaps(part_of(index))
    assert note.message.endswith("two.safetensors")
    (tmp_path / "two.safetensors").write_bytes(b"")
    assert gaps(part_of(index)) == []
    inner = memory(index.read_bytes(), "x")
    member = Member(artifact=inner.artifact, path=("a.index.json",), open=inner.open, size=inner.size)
    assert list(inspector.inspect(member, Budget())) == []
    with pytest.raises(MalformedError):
        seen({}, "model.safetensors.index.json")


@pytest.mark.parametrize(
    "tree",
    [
        {"auto_map": None, "custom_pipelines": [], "auto_mapping": 3, "quant_method": 4, "_target_": 5},
        {"trust_remote_code": False, "custom_generate": None, "attn_implementation": "eager"},
        {"_attn_implementation_internal": None, "base_model_name_or_path": "org/name"},
        {"auto_mapping": {"parent_library": "transformers.models.bert", "base_model_class": "Bert"}},
    ],
)
def test_ordinary_values_are_silent(tree: object) -> None:
    assert seen(tree) == []


def test_values_of_other_types() -> None:
    assert [each.facts["target"] for each in seen({"auto_map": "tok.Tok"})] == ["tok.Tok"]
    assert [each.kind for each in seen({"trust_remote_code": "True"})] == ["hub-trusts-itself"]
    assert [each.facts["target"] for each in seen({"custom_pipelines": {"a": "b.C"}})] == ["b.C"]
    (target,) = seen({"_target_": "torch.nn.Linear"})
    assert target.facts["acts"] is False
    assert [each.facts["acts"] for each in seen({"_target_": "eval"})] == [True]
    assert seen([1, {"type": 3}], "modules.json") == []
    assert [each.kind for each in seen({"_class_name": "a.b"}, "model_index.json")] == ["hub-odd-class"]
    assert [each.facts["class"] for each in seen({"x": ["mine"]}, "model_index.json")] == [""]
    assert [each.facts["form"] for each in seen({"cache_file": "https://x.example/a"})] == ["address"]


def test_patterns_of_tokenizers(monkeypatch: pytest.MonkeyPatch) -> None:
    for pattern, slow in (
        (r"(\w+\s?)*$", True),
        (r"((a+))+", True),
        (r"(?:a{2,})+", True),
        (r"(?:a+)?|[(+*]+|\(a+\)*|(a++)+|(?>a)*+", False),
        (r"(?:\s+", False),
        (r"a)+", False),
    ):
        assert repeats_repetition(pattern) == slow, pattern
    with pytest.raises(MalformedError):
        list(yielded(inspector, b'{"Regex": "\\q"}', "tokenizer.json"))
    with pytest.raises(BudgetExceededError):
        seen({"Regex": "a"}, "tokenizer.json") + list(
            yielded(inspector, b"{}" * 9, "tokenizer.json", Budget(Limits(document_bytes=4)))
        )
    monkeypatch.setattr("supplyguard.inspectors.hub_tokenizer.MOST_PATTERNS", 1)
    with pytest.raises(BudgetExceededError):
        seen([{"Regex": "a"}, {"Regex": "b"}], "tokenizer.json")


def test_recognition() -> None:
    assert inspector.recognizes(probe(b'{"model_type": 1}', "sub\\Config.json"))
    assert not inspector.recognizes(probe(b'{"compilerOptions": 1}', "config.json"))
    assert not inspector.recognizes(probe(b'{"model_type": 1}', "package.json"))
    assert not inspector.recognizes(probe(b"model_type", "config.json"))
    assert inspector.recognizes(probe(b"{" + b" " * 70_000, "config.json"))


def test_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(MalformedError):
        list(yielded(inspector, b"{", "config.json"))
    with pytest.raises(BudgetExceededError):
        list(yielded(inspector, b"[" * 100 + b"]" * 100, "config.json"))
    with pytest.raises(BudgetExceededError):
        list(yielded(inspector, b'{"a": [1, 2, 3, 4]}', "config.json", Budget(Limits(nodes=3))))
    monkeypatch.setattr(inspector, "LARGEST", 4)
    with pytest.raises(BudgetExceededError):
        seen({"model_type": "x"})


def test_cuts_and_changes_are_survived() -> None:
    for path in ("bert/tokenizer_config.json", "pipeline/model_index.json", "sentences/modules.json"):
        data = (FIXTURES / "benign" / path).read_bytes()
        for changed in (*cuts(data, 100), *mutations(data, 100)):
            survives(inspector, changed, path.rpartition("/")[2])


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["auto_map", "_target_", "chat_template", "type", "path", "weight_map", "x"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(JSON, st.sampled_from(["config.json", "modules.json", "model_index.json", "a.index.json"]))
@settings(deadline=None, max_examples=100)
def test_any_shape_is_survived(tree: object, name: str) -> None:
    survives(inspector, json.dumps(tree).encode(), name)


def test_a_notification_is_the_only_other_thing() -> None:
    items = seen({"weight_map": {"a": "not-here.bin"}}, "pytorch_model.bin.index.json")
    assert all(isinstance(each, Notification) for each in items)
    assert len(items) == 1
