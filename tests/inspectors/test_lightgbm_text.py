"""LightGBM: arrays and children that do not fit, sizes, parameters, and honest models."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fixtures.make_lightgbm_text import LINEAR, SETS, model, tree
from supplyguard.errors import BudgetExceededError, MalformedError
from supplyguard.finding import Evidence, Notification
from supplyguard.inspectors import lightgbm_text as inspector
from supplyguard.limits import Budget, Limits
from tests.examined import findings, gaps, part_of, probe, yielded
from tests.fuzzing import cuts, mutations, survives

ROOT = Path(__file__).parents[2] / "fixtures"
FIXTURES = ROOT / "lightgbm_text"
EXPECTED = json.loads((FIXTURES / "expected.json").read_text(encoding="utf-8"))
HONEST = [
    *sorted((ROOT / "honest" / "lightgbm").iterdir()),
    *sorted((ROOT / "honest").glob("boosters/light*")),
]


def told(data: bytes) -> list[str]:
    return [
        str(item.facts.get("detail") or item.facts.get("key") or item.facts.get("what"))
        for item in yielded(inspector, data)
        if isinstance(item, Evidence)
    ]


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_fixtures(name: str) -> None:
    part = part_of(FIXTURES / name)
    assert {each.rule.id for each in findings(part)} == {each["rule"] for each in EXPECTED[name]}
    assert gaps(part) == []


@pytest.mark.parametrize("path", HONEST, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_what_the_library_writes_is_silent(path: Path) -> None:
    part = part_of(path)
    assert (findings(part), gaps(part)) == ([], [])


def test_recognised_by_content() -> None:
    assert inspector.recognizes(probe(model(tree()), "model.bin"))
    assert inspector.recognizes(probe(b"tree\r\nversion=v2\r\n"))
    assert not inspector.recognizes(probe(b"tree\nbranch=1\n", "tree.txt"))


def test_cut_and_changed_files_are_survived() -> None:
    data = (FIXTURES / "benign" / "model.txt").read_bytes()
    for piece in [*cuts(data), *mutations(data, 300)]:
        survives(inspector, piece)


@given(st.binary(max_size=200))
@settings(max_examples=150, deadline=None)
def test_any_bytes_are_survived(data: bytes) -> None:
    survives(inspector, b"tree\nversion=v4\nmax_feature_idx=1\n\nTree=0\n" + data)


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"num_leaves": ""}, "has no number of leaves"),
        ({"num_leaves": "1 2"}, "has no number of leaves"),
        ({"num_leaves": "x"}, "has something else than whole numbers in num_leaves"),
        ({"num_leaves": "9" * 5000}, "has something else than whole numbers in num_leaves"),
        ({"leaf_count": "1"}, "has 1 values in leaf_count for 3 leaves"),
        ({**SETS, "num_cat": "-1"}, "has -1 sets of categories whose bounds do not rise from 0 to 1"),
        ({**SETS, "threshold": "x 0.5"}, "names a set of categories beyond the 1 that there are"),
        (
            {**LINEAR, "num_features": "3 -1 0"},
            "has linear functions in its leaves whose numbers do not add up",
        ),
    ],
)
def test_trees_that_do_not_fit(changes: dict[str, str], what: str) -> None:
    assert told(model(tree(**changes))) == [what]


def test_a_tree_of_one_leaf_and_older_headers_are_fine() -> None:
    empty = dict.fromkeys(
        (
            "split_feature",
            "threshold",
            "decision_type",
            "left_child",
            "right_child",
            "split_gain",
            "leaf_weight",
        ),
        "",
    )
    inner = dict.fromkeys(("internal_value", "internal_weight", "internal_count"), "")
    single = tree(num_leaves="1", leaf_value="1", leaf_count="9", **empty, **inner)
    assert told(model(single)) == []
    old = model(tree(is_linear="0")).replace(b"tree_sizes", b"other").replace(b"max_feature_idx=1\n", b"")
    assert told(old) == []


def test_many_flaws_are_listed_up_to_a_number() -> None:
    items = list(yielded(inspector, model(*(tree(number, left_child="1 9") for number in range(30)))))
    assert [isinstance(item, Evidence) for item in items] == [True] * inspector.SHOWN + [False]
    assert isinstance(items[-1], Notification)


def test_where_the_evidence_is_and_that_it_is_kept() -> None:
    data = model(tree(), tree(1, left_child="1 9"), tree(2), end="")
    stream = yielded(inspector, data)
    found = next(stream)
    assert isinstance(found, Evidence)
    assert found.location.offset == data.index(b"Tree=1")
    with pytest.raises(MalformedError):
        list(stream)


def test_limits_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(BudgetExceededError):
        list(yielded(inspector, model(tree()), budget=Budget(Limits(nodes=5))))
    monkeypatch.setattr(inspector, "LONGEST_LINE", 10)
    with pytest.raises(BudgetExceededError):
        list(yielded(inspector, model(tree())))
