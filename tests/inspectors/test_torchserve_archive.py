"""TorchServe manifests: handlers, requirements and paths are named; members are inspected."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fixtures.make_torchserve_archive import manifest
from supplyguard.errors import BudgetExceededError, MalformedError
from supplyguard.examine import examine
from supplyguard.finding import Evidence
from supplyguard.inspectors import torchserve_archive as inspector
from supplyguard.inventory import Artifact
from supplyguard.limits import Limits
from tests.examined import findings, gaps, part_of, probe, yielded
from tests.fuzzing import cuts, mutations, survives

FIXTURES = Path(__file__).parents[2] / "fixtures" / "torchserve_archive"
EXPECTED = json.loads((FIXTURES / "expected.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_fixtures(name: str) -> None:
    part = part_of(FIXTURES / name)
    assert {each.rule.id for each in findings(part)} == {each["rule"] for each in EXPECTED[name]}
    assert gaps(part) == []


def test_python_of_an_archive_is_a_member() -> None:
    seen: list[tuple[str, ...]] = []
    path = FIXTURES / "malicious" / "handler.mar"
    artifact = Artifact(uri="x.mar", path=path, size=path.stat().st_size)
    examine(artifact, Limits(), visited=lambda member, _: seen.append(member.path))
    assert ("handler.py",) in seen


def test_recognition() -> None:
    assert inspector.recognizes(probe(manifest(), "MAR-INF/MANIFEST.json"))
    assert not inspector.recognizes(probe(b'{"manifest_version": 3}', "manifest.json"))
    assert not inspector.recognizes(probe(manifest(), "other.json"))
    assert not inspector.recognizes(probe(b"handler", "manifest.json"))


def test_other_shapes(monkeypatch: pytest.MonkeyPatch) -> None:
    for tree in (b"[]", b"{}", b'{"model": 3}'):
        with pytest.raises(MalformedError):
            list(yielded(inspector, tree, "manifest.json"))
    found = list(
        yielded(inspector, manifest(extraFiles=["/a", 3, "b"], handler="module:run"), "manifest.json")
    )
    assert [each.kind for each in found if isinstance(each, Evidence)] == [
        "torchserve-handler",
        "torchserve-path",
    ]
    monkeypatch.setattr(inspector, "LARGEST", 8)
    with pytest.raises(BudgetExceededError):
        list(yielded(inspector, manifest(), "manifest.json"))


def test_cuts_and_changes_are_survived() -> None:
    data = manifest()
    for changed in (*cuts(data, 150), *mutations(data, 100)):
        survives(inspector, changed, "MAR-INF/MANIFEST.json")


@given(st.binary(max_size=200))
@settings(deadline=None, max_examples=80)
def test_any_bytes_are_survived(data: bytes) -> None:
    survives(inspector, data, "MAR-INF/MANIFEST.json")
