"""Flax MessagePack: types, sizes, extensions and other formats are seen; bombs end at once."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from fixtures.make_flax_msgpack import extension, mapping
from supplyguard.errors import MalformedError
from supplyguard.finding import Evidence
from supplyguard.inspectors import flax_msgpack as inspector
from tests.examined import findings, part_of, probe, yielded
from tests.fuzzing import cuts, mutations, survives

FIXTURES = Path(__file__).parents[2] / "fixtures" / "flax_msgpack"
EXPECTED = json.loads((FIXTURES / "expected.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_fixtures(name: str) -> None:
    found = {each.rule.id for each in findings(part_of(FIXTURES / name))}
    assert found >= {each["rule"] for each in EXPECTED[name]}
    assert bool(found) == bool(EXPECTED[name])


def test_cut_and_changed_files_are_survived() -> None:
    for number, name in enumerate(sorted(EXPECTED)):
        data = (FIXTURES / name).read_bytes()
        for piece in [*cuts(data, 400), *mutations(data, 100, number)]:
            survives(inspector, piece, name)


def test_recognised_by_its_arrays_without_a_name() -> None:
    data = (FIXTURES / "benign" / "params.msgpack").read_bytes()
    assert inspector.recognizes(probe(data, "checkpoint_1"))
    for other in (b"", b"text", b"\x81\xa1a\x01", b"\x81\x90\x01", b"\x81\xcb" + bytes(9), b"\x82\xa1"):
        assert not inspector.recognizes(probe(other, "checkpoint_1"))


@pytest.mark.parametrize("data", [b"\xdf\xff\xff\xff\xff", b"\xc1", b"\x91" * 200 + b"\x01", b"\x81\x90\x01"])
def test_bombs_and_nonsense_end_at_once(data: bytes) -> None:
    with pytest.raises(MalformedError):
        list(yielded(inspector, data))


@pytest.mark.parametrize(
    "body",
    [b"\x01", b"\x93\x01", b"\x93\x91\xff", b"\x93\x91\x01\x01", b"\x93\x91\x01\xa1O\x01", b"\x93\x91"],
)
def test_an_array_that_is_none_is_evidence(body: bytes) -> None:
    found = list(yielded(inspector, mapping((b"x", extension(1, body)))))
    assert [each.kind for each in found if isinstance(each, Evidence)] == ["flax-array"]
