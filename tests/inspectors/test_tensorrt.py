"""TensorRT: plans are named, sizes and prefixes are checked."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from fixtures.make_tensorrt import plan
from supplyguard.errors import MalformedError
from supplyguard.inspectors import tensorrt as inspector
from tests.examined import findings, part_of, probe, yielded
from tests.fuzzing import cuts, mutations, survives

FIXTURES = Path(__file__).parents[2] / "fixtures" / "tensorrt"
EXPECTED = json.loads((FIXTURES / "expected.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_fixtures(name: str) -> None:
    found = {each.rule.id for each in findings(part_of(FIXTURES / name))}
    assert found == {each["rule"] for each in EXPECTED[name]}


def test_cut_and_changed_files_are_survived() -> None:
    for number, name in enumerate(sorted(EXPECTED)):
        data = (FIXTURES / name).read_bytes()
        for piece in [*cuts(data, 400), *mutations(data, 40, number)]:
            survives(inspector, piece, name)


def test_only_a_tag_makes_a_plan() -> None:
    assert inspector.recognizes(probe(plan(prefix=b"{}")))
    assert not inspector.recognizes(probe(b"\x02\0\0\0{}none"))
    assert not inspector.recognizes(probe(b"\xff\xff\xff\xff{}" + b"ptrt"))
    with pytest.raises(MalformedError, match="cut"):
        list(yielded(inspector, b"ptrt\0\0"))
