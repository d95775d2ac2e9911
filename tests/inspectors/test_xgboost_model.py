"""XGBoost: numbers that lead outside, counts that contradict, and every form of the file."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fixtures.make_xgboost_model import Integers, model, old, tree, ubj
from supplyguard.errors import BudgetExceededError, MalformedError, UnsupportedError
from supplyguard.finding import Evidence, Notification
from supplyguard.inspectors import xgboost_model as inspector
from supplyguard.inventory import Member
from supplyguard.limits import Budget, Limits
from tests.examined import content, findings, gaps, part_of, probe, yielded
from tests.fuzzing import cuts, mutations, survives

ROOT = Path(__file__).parents[2] / "fixtures"
FIXTURES = ROOT / "xgboost_model"
EXPECTED = json.loads((FIXTURES / "expected.json").read_text(encoding="utf-8"))
HONEST = [
    *sorted((ROOT / "honest").glob("xgboost_*/*")),
    *sorted((ROOT / "honest").glob("boosters/xgboost*")),
]


def seen(data: bytes) -> list[Evidence]:
    return [item for item in yielded(inspector, data) if isinstance(item, Evidence)]


def flaws(document: Any) -> list[str]:
    """The flaws of a document, which are the same in JSON and in UBJSON."""
    first, second = (
        [f"{each.facts['what']}: {each.facts['place']} {each.facts['detail']}" for each in seen(data)]
        for data in (json.dumps(document).encode(), ubj(document))
    )
    assert first == second
    return first


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_fixtures(name: str) -> None:
    found = {each.rule.id for each in findings(part_of(FIXTURES / name))}
    assert found == {each["rule"] for each in EXPECTED[name]}


@pytest.mark.parametrize("path", HONEST, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_what_the_library_writes_is_silent(path: Path) -> None:
    part = part_of(path)
    assert (part.evidence == [] or path.suffix in {".pkl", ".joblib"}, findings(part), gaps(part)) == (
        True,
        [],
        [],
    )


def test_cut_and_changed_files_are_survived() -> None:
    for number, name in enumerate(("benign/model.ubj", "benign/model.json", "malicious/old_dart.model")):
        data = (FIXTURES / name).read_bytes()
        for piece in [*cuts(data), *mutations(data, 200, number)]:
            survives(inspector, piece, name)


@given(st.binary(max_size=200))
@settings(max_examples=150, deadline=None)
def test_any_bytes_are_survived(data: bytes) -> None:
    for start in (inspector.UBJSON, b"binf", inspector.PICKLED, b"{"):
        survives(inspector, start + data)


def test_recognised_by_content() -> None:
    assert inspector.recognizes(probe(ubj(model()), "model.bin"))
    assert inspector.recognizes(probe(json.dumps(model()).encode(), "model.txt"))
    assert inspector.recognizes(probe(old(magic=b"")))
    assert not inspector.recognizes(probe(b'{"learner": 1}', "a.json"))
    assert not inspector.recognizes(probe(bytes(136) + struct.pack("<Q", 4) + b"none", "a.bin"))


def test_what_is_missing() -> None:
    lonely = tree()
    del lonely["parents"]
    assert flaws(model(lonely)) == ["count: tree 0 is not complete"]
    assert flaws(model(booster={"model": {}})) == ["count: the model has neither trees nor weights"]
    assert flaws(model(tree(left_children=["x"] * 3))) == ["count: tree 0 is not complete"]
    assert flaws(model(tree(split_indices=["x"] * 3))) == ["count: tree 0 has nodes that are not numbers"]
    assert flaws(model(tree(categories_sizes=["x"]))) == ["count: tree 0 has categories that are not numbers"]
    assert flaws(model(tree(categories_sizes=Integers([1])))) == [
        "count: tree 0 has lists of categories of unequal length"
    ]
    assert flaws(model(tree(), iteration_indptr="x")) == ["count: iteration_indptr is not a list of numbers"]
    assert flaws(model(tree(), tree_info=[])) == ["count: tree_info is not one number for each of 1 trees"]
    odd = model(tree(), gbtree_model_param={"num_trees": "many"})
    assert flaws(odd) == ["count: num_trees says None, there are 1"]
    with pytest.raises(MalformedError):
        seen(json.dumps({"learner": 3, "version": []}).encode())


def test_older_documents_lack_some_parts() -> None:
    document = model(tree())
    for key in ("iteration_indptr",):
        del document["learner"]["gradient_booster"]["model"][key]
    del document["learner"]["attributes"]
    for key in ("categories", "categories_nodes", "categories_segments", "categories_sizes"):
        del document["learner"]["gradient_booster"]["model"]["trees"][0][key]
    assert flaws(document) == []
    document["learner"]["attributes"] = {"a": 3}
    assert flaws(document) == []


def test_many_flaws_are_listed_up_to_a_number() -> None:
    bad = [tree(number, left_children=Integers([9, -1, -1])) for number in range(30)]
    items = list(yielded(inspector, ubj(model(*bad))))
    assert len([item for item in items if isinstance(item, Evidence)]) == inspector.SHOWN
    assert isinstance(items[-1], Notification)


def test_evidence_before_a_fault_is_kept() -> None:
    data = ubj(model(tree(left_children=Integers([9, -1, -1])), tree(1)))
    stream = yielded(inspector, data[: data.rindex(b"parents")])
    kinds = [next(stream), next(stream)]
    assert [isinstance(each, Evidence) and each.facts["what"] for each in kinds] == ["length", "index"]
    with pytest.raises(MalformedError):
        next(stream)
    with pytest.raises(MalformedError):
        list(yielded(inspector, data[:20]))


def test_a_long_attribute() -> None:
    document = model(tree())
    document["learner"]["attributes"]["note"] = "{" + " " * (1 << 20)
    assert [each.facts["what"] for each in seen(ubj(document))] == ["a very long text"]


def test_other_documents_are_unread() -> None:
    for data in (ubj({"other": 1}), b"bs64\tAAAA", old(vector=2), old(name="forest")):
        with pytest.raises(UnsupportedError):
            list(yielded(inspector, data))


def test_what_follows_is_a_member() -> None:
    items = list(yielded(inspector, ubj(model()) + b"\x80\x04N."))
    (member,) = (item for item in items if isinstance(item, Member))
    assert content(member) == b"\x80\x04N."
    assert list(yielded(inspector, ubj(model()) + bytes(9))) == []


def test_a_pickle_of_versions_before_1_6() -> None:
    body = old(magic=b"")
    data = inspector.PICKLED + struct.pack("<Q", len(body)) + body + b'{"learner": {}}'
    assert [each.kind for each in seen(data)] == ["xgboost-old-format"]


def test_limits_hold() -> None:
    with pytest.raises(BudgetExceededError):
        list(yielded(inspector, json.dumps(model()).encode(), budget=Budget(Limits(document_bytes=9))))
    with pytest.raises(BudgetExceededError):
        list(yielded(inspector, ubj(model()), budget=Budget(Limits(nodes=9))))
    with pytest.raises(BudgetExceededError):
        list(yielded(inspector, ubj(model()), budget=Budget(Limits(document_depth=2))))
    with pytest.raises(BudgetExceededError):
        list(yielded(inspector, old(), budget=Budget(Limits(nodes=2))))
