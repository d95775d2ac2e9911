"""OCI and Ollama: digests, layer names and sources are compared and named."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fixtures.make_oci_layout import DATA, DIGEST, manifest
from supplyguard.errors import BudgetExceededError, MalformedError
from supplyguard.finding import Evidence, Notification
from supplyguard.inspectors import oci_layout as inspector
from tests.examined import findings, gaps, part_of, probe, yielded
from tests.fuzzing import cuts, mutations, survives

FIXTURES = Path(__file__).parents[2] / "fixtures" / "oci_layout"
EXPECTED = json.loads((FIXTURES / "expected.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_fixtures(name: str) -> None:
    part = part_of(FIXTURES / name)
    assert {each.rule.id for each in findings(part)} == {each["rule"] for each in EXPECTED[name]}
    assert gaps(part) == []


def test_recognition() -> None:
    assert inspector.recognizes(probe(manifest(), "latest"))
    assert inspector.recognizes(probe(DATA, f"sha256-{DIGEST}"))
    assert inspector.recognizes(probe(DATA, f"blobs/sha256/{DIGEST}"))
    assert inspector.recognizes(probe(b"FROM x", "Modelfile"))
    assert not inspector.recognizes(probe(b'{"mediaType": 1}', "latest"))


def test_names_of_other_programs_are_no_digests(monkeypatch: pytest.MonkeyPatch) -> None:
    assert list(yielded(inspector, DATA, "0" * 64)) == []
    (found,) = yielded(inspector, DATA, f"blobs/sha256/{'0' * 64}")
    assert isinstance(found, Evidence)
    assert found.facts["found"] == DIGEST
    monkeypatch.setattr(inspector, "HASHED", 8)
    (note,) = yielded(inspector, DATA, f"sha256-{DIGEST}")
    assert isinstance(note, Notification)
    assert not note.incomplete


def test_manifests_are_read_by_whatever_name() -> None:
    data = manifest(digest="x")
    found = list(yielded(inspector, data, "0" * 64))
    assert [each.kind for each in found if isinstance(each, Evidence)] == ["oci-bad-digest"]


def test_other_shapes(monkeypatch: pytest.MonkeyPatch) -> None:
    for tree in (b"{}", b'{"config": {"a": 1}, "layers": 3, "manifests": [4]}'):
        assert list(yielded(inspector, tree, "x.json")) == []
    with pytest.raises(MalformedError):
        list(yielded(inspector, b"[]", "x.json"))
    monkeypatch.setattr(inspector, "LARGEST", 8)
    with pytest.raises(BudgetExceededError):
        list(yielded(inspector, manifest(), "x.json"))


def test_cuts_and_changes_are_survived() -> None:
    data = manifest()
    for changed in (*cuts(data, 150), *mutations(data, 100)):
        survives(inspector, changed, "manifest.json")


@given(st.binary(max_size=200))
@settings(deadline=None, max_examples=80)
def test_any_bytes_are_survived(data: bytes) -> None:
    survives(inspector, data, "manifest.json")
