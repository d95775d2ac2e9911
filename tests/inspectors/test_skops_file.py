"""skops: what the tree of nodes names is judged, and nodes that lie about themselves are seen."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fixtures.make_skops_file import archive, node, scaler
from fixtures.raw_zip import Part, write_zip
from supplyguard.errors import BudgetExceededError, MalformedError
from supplyguard.finding import Evidence
from supplyguard.inspectors import skops_file as inspector
from supplyguard.limits import Budget, Limits
from tests.examined import findings, part_of, probe, yielded
from tests.fuzzing import cuts, mutations, survives

FIXTURES = Path(__file__).parents[2] / "fixtures" / "skops_file"
EXPECTED = json.loads((FIXTURES / "expected.json").read_text(encoding="utf-8"))


def seen(data: bytes, name: str = "a.skops") -> list[tuple[str, str]]:
    items = yielded(inspector, data, name)
    return [(item.kind, item.symbol) for item in items if isinstance(item, Evidence)]


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_fixtures(name: str) -> None:
    found = {each.rule.id for each in findings(part_of(FIXTURES / name))}
    assert {each["rule"] for each in EXPECTED[name]} <= found
    assert bool(found) == bool(EXPECTED[name])


def test_cut_and_changed_files_are_survived() -> None:
    for number, name in enumerate(sorted(EXPECTED)):
        data = (FIXTURES / name).read_bytes()
        for piece in [*cuts(data, 60), *mutations(data, 30, number)]:
            survives(inspector, piece, name)
    for piece in cuts((FIXTURES / "malicious" / "joblib.skops").read_bytes()):
        survives(inspector, piece, "a.skops")


def test_other_archives_and_pointers_are_left_alone() -> None:
    other = write_zip([Part(name=b"schema.json", data=b'{"type": "object"}')])
    assert seen(other) == []
    assert seen(write_zip([Part(name=b"schema.json", data=b"[]")])) == []
    assert seen(write_zip([Part(name=b"a", data=b"")]), "a.zip") == []
    assert not inspector.recognizes(probe(b"version https://git-lfs.github.com/spec/v1\n", "a.skops"))
    assert not inspector.recognizes(probe(write_zip([Part(name=b"a")]), "a.zip"))
    with pytest.raises(MalformedError):
        seen(b"plain text")


def test_a_schema_that_is_no_json_or_too_long() -> None:
    with pytest.raises(MalformedError):
        seen(write_zip([Part(name=b"schema.json", data=b'{"__loader__"')]))
    with pytest.raises(BudgetExceededError):
        list(yielded(inspector, archive(scaler()), "a.skops", Budget(Limits(document_bytes=99))))


@pytest.mark.parametrize(
    ("more", "kind"),
    [
        (node("CachedNode", "a", "b", 99), "skops-node"),
        (node("MethodNode", "sklearn.svm", "SVC", 50, content=None), "skops-method"),
        (node("OperatorFuncNode", "operator", "call", 50), "skops-operator"),
        (node("TreeNode", "collections", "OrderedDict", 50), "skops-constructor"),
        (node("PartialNode", "functools", "reduce", 50), "skops-object"),
    ],
)
def test_single_nodes(more: dict[str, Any], kind: str) -> None:
    assert kind in {found for found, _ in seen(archive(scaler(more=more)))}


def test_protocols_by_version() -> None:
    for version, protocol in (("0.3.0", 0), ("0.9.0", 1), ("0.10.0", 2), ("0.16.dev0", 2)):
        assert seen(archive(scaler(), version=version, protocol=protocol)) == []
    for version, protocol in (("0.16.0", 1), ("0.16.0", 3), ("0.6", 0)):
        assert seen(archive(scaler(), version=version, protocol=protocol)) == [
            ("skops-protocol", str(protocol))
        ]


def test_many_of_a_kind_are_cut() -> None:
    more = {f"n{number}": node("FunctionNode", "our", f"f{number}", 100 + number) for number in range(150)}
    items = list(yielded(inspector, archive(scaler(**more)), "a.skops"))
    assert len(items) == 101
    assert not isinstance(items[-1], Evidence)


def test_an_archive_without_directory_is_reported_by_another() -> None:
    assert seen(archive(scaler())[:200]) == []


VALUES = st.recursive(
    st.one_of(st.none(), st.integers(0, 3), st.sampled_from(["os", "system", "MethodNode", "CachedNode"])),
    lambda below: st.one_of(
        st.lists(below, max_size=3),
        st.dictionaries(
            st.sampled_from(
                ["__loader__", "__class__", "__module__", "__id__", "content", "obj", "func", "file"]
            ),
            below,
        ),
    ),
    max_leaves=12,
)


@given(VALUES)
@settings(deadline=None, max_examples=60)
def test_any_tree(value: Any) -> None:
    assert survives(inspector, archive({"content": value}), "a.skops")
