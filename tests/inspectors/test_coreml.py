"""Core ML: custom classes, paths, metadata, operations, pipelines, manifests, and honest models."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fixtures.make_coreml import Fields, custom, manifest, model, network, pipelines, program
from supplyguard.errors import BudgetExceededError, MalformedError
from supplyguard.finding import Evidence, Notification
from supplyguard.inspectors import coreml as inspector
from supplyguard.limits import Budget, Limits
from tests.examined import findings, gaps, part_of, probe, yielded
from tests.fuzzing import cuts, mutations, survives

ROOT = Path(__file__).parents[2] / "fixtures"
FIXTURES = ROOT / "coreml"
EXPECTED = json.loads((FIXTURES / "expected.json").read_text(encoding="utf-8"))
HONEST = sorted(
    path for path in (ROOT / "honest" / "coreml").rglob("*") if path.suffix in {".mlmodel", ".json"}
)


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_fixtures(name: str) -> None:
    part = part_of(FIXTURES / name)
    assert {each.rule.id for each in findings(part)} == {each["rule"] for each in EXPECTED[name]}
    assert gaps(part) == []


@pytest.mark.parametrize("path", HONEST, ids=lambda path: path.name)
def test_what_coremltools_writes_is_silent(path: Path) -> None:
    part = part_of(path)
    assert (findings(part), gaps(part)) == ([], [])


def test_recognised_by_content() -> None:
    assert inspector.recognizes(probe(model(502, program("conv")), "weights.bin"))
    assert inspector.recognizes(probe(b"anything", "a.mlmodel"))
    assert inspector.recognizes(probe(manifest("a"), "Manifest.json"))
    assert not inspector.recognizes(probe(b"{}", "manifest.json"))
    assert not inspector.recognizes(probe(b"\x08\x07\x12\x00\x18\x01", "a.bin"))


def test_what_is_not_read_is_said() -> None:
    (gap,) = yielded(inspector, model(3000, [(1, "opaque"), (2, b"bytes")]))
    assert isinstance(gap, Notification)
    assert gap.incomplete


def test_each_class_is_told_once_and_many_up_to_a_number() -> None:
    layers: list[Fields] = [[(500, custom())]] * 9
    same = model(500, network(*layers))
    assert len(list(yielded(inspector, same))) == 1
    layers = [[(500, custom(f"Layer{number}"))] for number in range(99)]
    many = model(500, network(*layers))
    items = list(yielded(inspector, many))
    assert len([item for item in items if isinstance(item, Evidence)]) == inspector.SHOWN
    assert isinstance(items[-1], Notification)


def test_odd_fields_and_manifests_are_passed_over() -> None:
    odd = model(555, [(10, "A"), (40, 3), (30, [(1, 3), (2, [(10, 4)])])])
    assert [each.facts["name"] for each in yielded(inspector, odd) if isinstance(each, Evidence)] == ["A"]
    for text in (b"[]", b'{"itemInfoEntries": []}', b'{"itemInfoEntries": {"a": 3, "b": {"path": 4}}}'):
        assert list(yielded(inspector, text, "Manifest.json")) == []


def test_evidence_before_a_fault_is_kept() -> None:
    data = model(555, custom())
    stream = yielded(inspector, model(555, custom("A")) + data[:-3])
    with pytest.raises(MalformedError):
        list(stream)
    first = model(500, network([(500, custom())], [(500, [(10, b"\xff")])]))
    assert isinstance(next(yielded(inspector, first)), Evidence)


def test_limits_hold() -> None:
    with pytest.raises(MalformedError):
        list(yielded(inspector, pipelines(60)))
    with pytest.raises(BudgetExceededError):
        list(yielded(inspector, pipelines(9), budget=Budget(Limits(nodes=9))))
    with pytest.raises(BudgetExceededError):
        list(yielded(inspector, manifest("a"), "Manifest.json", Budget(Limits(document_bytes=9))))


def test_cut_and_changed_files_are_survived() -> None:
    for number, data in enumerate((model(502, program("conv")), model(555, custom(a="b"), ("k", "v")))):
        for piece in [*cuts(data), *mutations(data, 300, number)]:
            survives(inspector, piece, "a.mlmodel")
    for piece in cuts(manifest("a")):
        survives(inspector, piece, "Manifest.json")


@given(st.binary(max_size=200))
@settings(max_examples=150, deadline=None)
def test_any_bytes_are_survived(data: bytes) -> None:
    survives(inspector, data, "a.mlmodel")
