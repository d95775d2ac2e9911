"""Native containers: the runtime is named, what lies beyond the file and users' functions are seen."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from fixtures.make_native_container import rknn
from supplyguard.errors import MalformedError
from supplyguard.finding import Evidence
from supplyguard.inspectors import native_container as inspector
from tests.examined import findings, gaps, part_of, probe, yielded
from tests.fuzzing import cuts, mutations, survives

FIXTURES = Path(__file__).parents[2] / "fixtures" / "native_container"
EXPECTED = json.loads((FIXTURES / "expected.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_fixtures(name: str) -> None:
    part = part_of(FIXTURES / name)
    assert [each.rule.id for each in findings(part)] == [each["rule"] for each in EXPECTED[name]]
    assert gaps(part) == []


def test_cut_and_changed_files_are_survived() -> None:
    for number, name in enumerate(sorted(EXPECTED)):
        data = (FIXTURES / name).read_bytes()
        for piece in [*cuts(data, 100), *mutations(data, 30, number)]:
            survives(inspector, piece, name)


@pytest.mark.parametrize(
    ("data", "name"), [(rknn(3)[:20], "a.rknn"), (b"\xdd\x85\x76\0\1", "a.bin"), (b"abc", "a.mnn")]
)
def test_a_cut_header_is_an_error_after_the_fact(data: bytes, name: str) -> None:
    walk = yielded(inspector, data, name)
    assert isinstance(next(walk), Evidence)
    with pytest.raises(MalformedError):
        next(walk)


def test_a_function_near_the_end_of_a_long_file_is_seen() -> None:
    data = "BCN".encode("utf-16-le") + bytes(3 * inspector.LOOKED_AT) + b"UserFunction"
    found = [each for each in yielded(inspector, data) if isinstance(each, Evidence)]
    assert [each.kind for each in found] == ["native-container", "cntk-user-function"]
    assert found[-1].location.offset == len(data) - 12


def test_a_far_root_is_not_followed() -> None:
    data = (1 << 20).to_bytes(4, "little") + bytes(2 << 20)
    assert len(list(yielded(inspector, data, "a.mnn"))) == 1


def test_others_are_not_recognised() -> None:
    for data, name in (
        (b"", "a.mnn"),
        (b"7767517", "a.param"),
        (b"\xdd\x85\x76\0", "a.dat"),
        (b"\x08\1", "a"),
    ):
        assert not inspector.recognizes(probe(data, name))
