"""R objects: promises and code are seen wherever they are, and forged lengths end the walk."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fixtures.make_r_object import (
    GLOBAL,
    NULL,
    bare,
    call,
    char,
    closure,
    compiled,
    environment,
    i32,
    promise,
    rds,
    strings,
    symbol,
    vector,
)
from supplyguard.errors import BudgetExceededError, MalformedError, UnsupportedError
from supplyguard.finding import Evidence, Notification
from supplyguard.inspectors import r_object as inspector
from supplyguard.limits import Budget, Limits
from tests.examined import findings, part_of, probe, yielded
from tests.fuzzing import cuts, mutations, survives

FIXTURES = Path(__file__).parents[2] / "fixtures" / "r_object"
HONEST = FIXTURES.parent / "honest" / "r"
EXPECTED = json.loads((FIXTURES / "expected.json").read_text(encoding="utf-8"))


def kinds(data: bytes) -> list[str]:
    return [item.kind for item in yielded(inspector, data) if isinstance(item, Evidence)]


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_fixtures(name: str) -> None:
    found = {each.rule.id for each in findings(part_of(FIXTURES / name))}
    assert found == {each["rule"] for each in EXPECTED[name]}


def test_cut_and_changed_files_are_survived() -> None:
    for number, name in enumerate(sorted(EXPECTED)):
        data = (FIXTURES / name).read_bytes()
        for piece in [*cuts(data, 150), *mutations(data, 30, number)]:
            survives(inspector, piece, name)
    for name in ("r_mixed.rds", "r_data_frame_ascii.rds"):
        data = (HONEST / name).read_bytes()
        for piece in [*cuts(data, 100), *mutations(data, 100)]:
            survives(inspector, piece, name)


def test_other_bytes_are_not_recognised() -> None:
    assert inspector.recognizes(probe(rds(strings("a"))))
    for data in (b"A\n2\n3\n4\n", b"X\nfile", b"B\n\2\0\0", b"RDX1\n", b""):
        assert not inspector.recognizes(probe(data))
    with pytest.raises(MalformedError):
        kinds(b"A\n2\n")


@pytest.mark.parametrize("item", [i32(7, 6) + b"system", i32(8, 3) + b"sin", i32(25), i32(0x219, 254)])
def test_items_without_danger(item: bytes) -> None:
    assert kinds(rds(item)) == []


def test_items_that_later_ones_refer_to() -> None:
    names = symbol("system") + i32(249, 0, 1) + char("base")
    assert names
    again = vector(symbol("system"), i32(6) + i32(255, 1) + bare(NULL))
    assert kinds(rds(again)) == ["r-code"]
    assert kinds(rds(vector(i32(249, 0, 1) + char("base"), i32(255 | 1 << 8)))) == []
    assert kinds(rds(vector(i32(247, 0, 1) + char("x"), i32(23), i32(255 | 2 << 8)))) == ["r-pointer"] * 2


def test_compiled_code_with_shared_parts() -> None:
    shared = i32(244, 0, 240) + bare(NULL) + bare(NULL) + i32(0) + symbol("unlink") + i32(243, 0)
    assert kinds(rds(compiled(shared))) == ["r-code"]
    inner = i32(21) + i32(13, 1, 12) + i32(1, 254) + bare(NULL)
    assert kinds(rds(compiled(inner))) == []
    assert kinds(rds(closure(compiled(i32(13) + i32(13, 1, 1))))) == []


def test_a_promise_that_has_its_value_does_nothing() -> None:
    assert kinds(rds(promise(call("system"), value=strings("a")))) == []
    assert kinds(rds(environment(v=promise(symbol("x"), bare(GLOBAL))))) == []


def test_dots_hold_promises_of_their_own() -> None:
    dots = i32(17) + promise(call("sin"), bare(GLOBAL)) + bare(NULL)
    assert kinds(rds(environment(v=dots))) == ["r-promise"]
    (found,) = yielded(inspector, rds(environment(v=dots)))
    assert isinstance(found, Evidence)
    assert found.facts["planted"] is False


def test_text_of_numbers_and_escapes() -> None:
    head = b"A\n2\n262658\n131840\n"
    assert (
        kinds(head + b"19\n4\n13\n2\n1\nNA\n15\n1\n1.5\n2\n24\n1\nff\n16\n1\n262153\n3\n\\n\\101\\0\n") == []
    )
    for rest in (b"x", b"13\n9999\n", b"16\n1\n262153\n99999\n", b"9" * 99, b"15\n9\n1"):
        with pytest.raises(MalformedError):
            kinds(head + rest)


def test_what_is_not_read_is_said() -> None:
    for item in (i32(26), i32(239), i32(200)):
        with pytest.raises(UnsupportedError):
            kinds(rds(item))
    with pytest.raises(UnsupportedError):
        kinds(b"A\n3\n262658\n197888\n5\nUTF-8\n77\n")
    for item in (i32(1, 13), i32(16, 1, 13), i32(247, 1), i32(14, -2), i32(14, -1, 1, 1)):
        with pytest.raises(MalformedError):
            kinds(rds(item))


def test_deep_and_wide_objects_end_at_once() -> None:
    assert kinds(rds(i32(19, 1) * 50_000 + bare(NULL))) == []
    with pytest.raises(BudgetExceededError):
        list(yielded(inspector, rds(i32(2) * 5000), budget=Budget(Limits(nodes=1000))))
    many = rds(vector(*[closure(call("system"))] * 80))
    items = list(yielded(inspector, many))
    assert len(items) == 51
    assert isinstance(items[-1], Notification)


@given(st.binary(max_size=200))
@settings(deadline=None, max_examples=200)
def test_any_bytes(data: bytes) -> None:
    survives(inspector, rds(data))
