"""TensorFlow Lite models: operations, indexes, shapes, and what follows the model."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fixtures.make_tflite import CUSTOM, WHILE, calling, code, graph, lite, operator, tensor
from fixtures.raw_flatbuffer import Table, i8, ints, u32, u64
from supplyguard.errors import BudgetExceededError, MalformedError, RuleError
from supplyguard.finding import Evidence
from supplyguard.inspectors import tflite
from supplyguard.inventory import Member
from supplyguard.limits import Budget, Limits
from tests.examined import content, findings, part_of, probe, yielded
from tests.fuzzing import cuts, mutations, survives

FIXTURES = Path(__file__).parents[2] / "fixtures" / "tflite"


def seen(data: bytes) -> list[Evidence]:
    return [item for item in yielded(tflite, data, "m.tflite") if isinstance(item, Evidence)]


def flaws(data: bytes) -> list[str]:
    return [
        f"{each.facts['place']} {each.facts['what']}" for each in seen(data) if each.kind == "tflite-flaw"
    ]


@pytest.mark.parametrize("path", sorted(FIXTURES.glob("benign/*")), ids=lambda path: path.name)
def test_honest_models(path: Path) -> None:
    part = part_of(path)
    assert (findings(part), part.notifications) == ([], [])


def test_recognised() -> None:
    assert tflite.recognizes(probe(lite(), "model.bin"))
    assert not tflite.recognizes(probe(b"TFL3", "model.tflite"))


def test_the_larger_of_two_codes_counts() -> None:
    old: Table = {4: i8(CUSTOM), 6: "Odd"}
    (found,) = seen(lite(codes=(old,)))
    assert (found.kind, found.facts["known"]) == ("tflite-custom-op", False)
    (found,) = seen(lite(codes=(code(CUSTOM, "tftext:Tokenize"),)))
    assert found.facts["known"] is True
    assert seen(lite(codes=({4: i8(0), 6: "Odd"},))) == []
    (found,) = seen(lite(codes=(code(CUSTOM, "FlexNoSuchOperation"),)))
    assert found.kind == "tflite-custom-op"


def test_an_input_may_be_left_out() -> None:
    assert seen(lite(graph(operator(inputs=(-1, 0))))) == []
    assert flaws(lite(graph(operator(inputs=(1,))))) == [
        "operator 0 of subgraph 0 has an input that there is not"
    ]


def test_shapes_and_buffers() -> None:
    def shaped(*shape: int, kind: int, data: bytes, **more: Table) -> list[str]:
        table = tensor(*shape, buffer=1, kind=kind) | {int(key[1:]): value for key, value in more.items()}
        return flaws(lite(graph(tensors=(table,)), buffers=({}, {4: data})))

    assert shaped(2, 2, kind=0, data=bytes(16)) == []
    assert shaped(2, 2, kind=0, data=bytes(15)) == ["tensor 0 of subgraph 0 needs 16 bytes of a buffer of 15"]
    assert shaped(3, kind=17, data=bytes(2)) == []  # 4 bits each
    assert shaped(1 << 20, kind=5, data=bytes(9)) == []  # texts
    assert shaped(1 << 20, kind=0, data=bytes(9), s16={}) == []  # sparse
    outside: Table = {6: u64(8), 8: u64(16)}
    assert flaws(lite(graph(tensors=(tensor(4, buffer=1),)), buffers=({}, outside))) == []
    assert flaws(lite(graph(tensors=(tensor(5, buffer=1),)), buffers=({}, outside))) != []


def test_large_options_within_the_file_are_fine() -> None:
    assert flaws(lite(graph({**operator(), 22: u64(8), 24: u64(8)}))) == []


def test_calls_without_a_cycle_are_fine() -> None:
    leaf = graph()
    data = lite(graph(calling(1, 2), calling(2, 2)), graph(calling(2, 2)), leaf, codes=(code(WHILE),))
    assert seen(data) == []


def test_metadata_and_signatures_that_fit() -> None:
    assert seen(lite(metadata={4: "m", 6: u32(0)}, signature={8: "s", 12: u32(0)})) == []


def test_what_is_behind_the_model_is_a_member() -> None:
    model = lite()
    items = list(yielded(tflite, model + b"\x80\x04." * 1000))
    (member,) = (item for item in items if isinstance(item, Member))
    assert content(member).endswith(b"\x80\x04.")
    assert len(content(member)) >= 3000
    assert seen(model + b"x" * 500) == []
    assert [each.kind for each in seen(model + b"\0" * 100_000)] == ["tflite-appended"]


def test_where_the_evidence_is() -> None:
    data = (FIXTURES / "malicious" / "input.tflite").read_bytes()
    (found,) = seen(data)
    assert found.location.offset is not None
    assert 8 < found.location.offset < len(data)


def test_evidence_before_a_fault_is_kept() -> None:
    broken = lite(codes=(code(CUSTOM, "Odd"),), buffers=({4: bytes(16)},))
    place = broken.index(b"\x10\0\0\0" + bytes(16))
    data = bytearray(broken)
    data[place : place + 4] = b"\xff\xff\xff\x7f"
    stream = yielded(tflite, bytes(data))
    assert isinstance(next(stream), Evidence)
    with pytest.raises(MalformedError):
        next(stream)


def test_limits_hold() -> None:
    data = lite(graph(*[{**operator(), 6: ints(*[0] * 500)}] * 20))
    with pytest.raises(BudgetExceededError):
        list(yielded(tflite, data, budget=Budget(Limits(nodes=2_000))))


def test_the_lists_are_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tflite, "rules_folder", lambda: tmp_path)
    tflite._lists.cache_clear()
    with pytest.raises(RuleError):
        tflite._lists()
    tflite._lists.cache_clear()


@pytest.mark.parametrize("name", ["benign/dense.tflite", "malicious/call_cycle.tflite"])
def test_cut_and_changed_files(name: str) -> None:
    data = (FIXTURES / name).read_bytes()
    for each in (*cuts(data, 1100), *mutations(data, 300)):
        survives(tflite, each)


@given(st.binary(max_size=200))
@settings(deadline=None, max_examples=150)
def test_any_bytes(data: bytes) -> None:
    survives(tflite, b"\x08\0\0\0TFL3" + data)
