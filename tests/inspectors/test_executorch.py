"""ExecuTorch: every reference is held against what there is, and forged sizes end the reading."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fixtures.make_executorch import JUMP, KERNEL, program, pte, step
from supplyguard.errors import MalformedError
from supplyguard.finding import Evidence
from supplyguard.inspectors import executorch as inspector
from tests.examined import findings, part_of, probe, yielded
from tests.fuzzing import cuts, mutations, survives

FIXTURES = Path(__file__).parents[2] / "fixtures" / "executorch"
HONEST = FIXTURES.parent / "honest" / "executorch"
EXPECTED = json.loads((FIXTURES / "expected.json").read_text(encoding="utf-8"))


def kinds(data: bytes) -> list[str]:
    return [item.kind for item in yielded(inspector, data) if isinstance(item, Evidence)]


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_fixtures(name: str) -> None:
    found = {each.rule.id for each in findings(part_of(FIXTURES / name))}
    assert {each["rule"] for each in EXPECTED[name]} <= found
    assert bool(found) == bool(EXPECTED[name])


def test_cut_and_changed_files_are_survived() -> None:
    for number, name in enumerate(sorted(EXPECTED)):
        data = (FIXTURES / name).read_bytes()
        for piece in [*cuts(data, 60), *mutations(data, 40, number)]:
            survives(inspector, piece, name)
    for path in sorted(HONEST.iterdir()):
        data = path.read_bytes()
        for piece in [*cuts(data, 60), *mutations(data, 100)]:
            survives(inspector, piece, path.name)


def test_recognised_by_the_identifier() -> None:
    assert inspector.recognizes(probe(pte(program())))
    assert inspector.recognizes(probe(bytes(4) + b"ET13"))
    for data in (bytes(4) + b"ETag", bytes(4) + b"TFL3", b""):
        assert not inspector.recognizes(probe(data))


def test_a_loop_that_works_is_fine() -> None:
    assert kinds(pte(program(step(KERNEL, 0), step(JUMP, 2, 0)))) == []


def test_short_headers_and_files() -> None:
    data = bytearray(pte(program()))
    data[8:16] = b"eh00" + struct.pack("<I", 9)
    for piece in (bytes(data), bytes(4) + b"ET12"):
        with pytest.raises(MalformedError):
            kinds(piece)


def test_a_forged_count_ends_at_once() -> None:
    data = pte(program())
    for place in range(8, len(data) - 4, 4):
        survives(inspector, data[:place] + b"\xff\xff\xff\x7f" + data[place + 4 :])


@given(st.binary(max_size=200))
@settings(deadline=None, max_examples=150)
def test_any_bytes(data: bytes) -> None:
    survives(inspector, b"\x10\0\0\0ET12" + data)
    survives(inspector, b"\x40\0\0\0FT01FH01" + data)
