"""Orbax and zarr: stores elsewhere, codecs that unpickle and arrays of objects are seen."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fixtures.make_orbax_checkpoint import array, text, tree
from supplyguard.errors import BudgetExceededError, MalformedError
from supplyguard.finding import Evidence, Notification
from supplyguard.inspectors import orbax_checkpoint as inspector
from supplyguard.limits import Budget, Limits
from tests.examined import findings, gaps, part_of, probe, yielded
from tests.fuzzing import cuts, mutations, survives

ROOT = Path(__file__).parents[2] / "fixtures"
FIXTURES = ROOT / "orbax_checkpoint"
EXPECTED = json.loads((FIXTURES / "expected.json").read_text(encoding="utf-8"))
HONEST = sorted(path for path in (ROOT / "honest" / "orbax").rglob("*") if path.is_file())


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_fixtures(name: str) -> None:
    found = {each.rule.id for each in findings(part_of(FIXTURES / name))}
    assert found == {each["rule"] for each in EXPECTED[name]}


def test_honest_files_are_silent() -> None:
    assert HONEST
    for path in HONEST:
        part = part_of(path)
        assert not findings(part), path
        assert not gaps(part), path


def test_cut_and_changed_files_are_survived() -> None:
    for number, name in enumerate(sorted(EXPECTED)):
        data = (FIXTURES / name).read_bytes()
        for piece in [*cuts(data, 200), *mutations(data, 30, number)]:
            survives(inspector, piece, name)


@given(st.binary(max_size=300))
def test_any_bytes_are_survived(data: bytes) -> None:
    survives(inspector, inspector.MANIFEST + data)
    survives(inspector, b'{"zarr_format": 2, "filters": [' + data, ".zarray")


def test_only_the_names_of_the_formats_are_recognised() -> None:
    assert inspector.recognizes(probe(tree(), "a/_METADATA"))
    assert not inspector.recognizes(probe(tree(), "metadata.json"))
    assert not inspector.recognizes(probe(b"PAR1", "_METADATA"))


def test_a_manifest_must_be_as_long_as_it_says() -> None:
    whole = inspector.MANIFEST + (20).to_bytes(8, "little") + bytes(8)
    assert [type(each) for each in yielded(inspector, whole)] == [Notification]
    for cut in (whole[:-1], whole[:6]):
        with pytest.raises(MalformedError):
            list(yielded(inspector, cut))


def test_what_repeats_is_listed_once_and_no_more_than_some() -> None:
    same = {"metadata": {str(n): array("<f4", [{"id": "mine"}]) for n in range(90)}}
    assert len(list(yielded(inspector, text(same), ".zmetadata"))) == 1
    other = {"metadata": {str(n): array("<f4", [{"id": f"mine{n}"}]) for n in range(90)}}
    found = list(yielded(inspector, text(other), ".zmetadata"))
    assert len([each for each in found if isinstance(each, Evidence)]) == inspector.SHOWN
    assert isinstance(found[-1], Notification)


def test_documents_beyond_the_limits_are_refused() -> None:
    with pytest.raises(BudgetExceededError):
        list(yielded(inspector, tree(), "_METADATA", Budget(Limits(document_bytes=4))))
    with pytest.raises(MalformedError):
        list(yielded(inspector, b"{", "_METADATA"))


@pytest.mark.parametrize(
    ("document", "kinds"),
    [
        ({"driver": "zarr3", "url": "gs://bucket/x"}, ["orbax-store"]),
        ({"driver": "nobody", "path": "/etc"}, []),
        ({"driver": "file", "path": "w"}, []),
        ({"driver": 3}, []),
        ({"zarr_format": 3, "data_type": {"name": "object"}, "codecs": 3}, ["orbax-objects"]),
        ({"zarr_format": 3, "codecs": ["zstd", {"name": 3, "configuration": 4}]}, []),
    ],
)
def test_other_documents(document: object, kinds: list[str]) -> None:
    found = [each for each in yielded(inspector, text(document), "zarr.json") if isinstance(each, Evidence)]
    assert [each.kind for each in found] == kinds
