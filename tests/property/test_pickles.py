from __future__ import annotations

import contextlib
import datetime as dt
import decimal
import fractions
import io
import pickle
import struct
import uuid
from collections import Counter, OrderedDict, defaultdict, deque
from pathlib import Path
from typing import Any, Self

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from supplyguard.errors import SupplyguardError
from supplyguard.finding import Evidence, Notification
from supplyguard.inventory import Artifact, Member
from supplyguard.limits import Budget
from supplyguard.pickles.knowledge import load_knowledge
from supplyguard.pickles.programs import Programs, examine
from supplyguard.pickles.recognition import _moved, pickle_start

pytestmark = pytest.mark.heavy

FIXTURES = Path(__file__).parents[2] / "fixtures"
KNOWLEDGE = load_knowledge()
NEVER = 1 << 40
NAMES = ("alpha", "beta", "a.b", "reduce", "__builtin__", "copy_reg")


def member(data: bytes) -> Member:
    artifact = Artifact(uri="file", path=Path("file"), size=len(data))
    return Member(artifact=artifact, open=lambda: io.BytesIO(data), size=len(data))


def machine(data: bytes, lumps_after: int) -> tuple[list[Evidence | Notification | Member], Programs]:
    programs = Programs()
    seen = list(examine(member(data), Budget(), KNOWLEDGE, programs=programs, lumps_after=lumps_after))
    return seen, programs


class Stub:
    """Stands for everything that is imported; takes anything and does nothing."""

    called: set[tuple[str, str]]
    anonymous: list[int]
    key: tuple[str, str]

    def __new__(cls, *_: object, **__: object) -> Self:
        cls.called.add(cls.key)
        return object.__new__(cls)

    def __init__(self, *_: object, **__: object) -> None:
        pass

    def __call__(self, *_: object) -> object:
        self.anonymous.append(1)
        return self

    def append(self, _: object) -> None:
        pass

    extend = add = append

    def __setitem__(self, _: object, __: object) -> None:
        pass


class Seen:
    def __init__(self) -> None:
        self.imports: set[tuple[str, str]] = set()
        self.called: set[tuple[str, str]] = set()
        self.anonymous: list[int] = []
        self.made: dict[tuple[str, str], type[Stub]] = {}

    def find(self, module: str, name: str) -> type[Stub]:
        self.imports.add((module, name))
        found = self.made.get((module, name))
        if found is None:
            body = {"called": self.called, "anonymous": self.anonymous, "key": (module, name)}
            found = self.made[module, name] = type("Made", (Stub,), body)
        return found


def really(data: bytes, kind: Any) -> Seen:
    """Run a real unpickler over `data`, with stubs for every import, until it ends or fails."""
    seen = Seen()

    class Recording(kind):  # type: ignore[misc]  # either of the two unpicklers
        def find_class(self, module: str, name: str) -> object:
            return seen.find(module, name)

        def persistent_load(self, pid: object) -> object:
            return [pid]

    with contextlib.suppress(Exception):  # what it resolved before it failed is what counts
        Recording(io.BytesIO(data)).load()
    return seen


def text(value: str) -> bytes:
    return b"\x8c" + bytes([len(value)]) + value.encode()


TOKENS = [
    *(b"(", b"(", b")", b"]", b"}", b"\x8f", b"K\x01", b"N", b"\x88", b"I01\n", b"S'x'\n"),
    *(b"G" + bytes(8), b"X\x01\0\0\0y", b"C\x01b", b"L7L\n", b"\x8a\x01\x07", b"V\xe9\n"),
    *(text(name) for name in NAMES),
    *(b"t", b"l", b"d", b"\x85", b"\x86", b"\x87", b"a", b"e", b"s", b"u", b"\x90", b"\x91"),
    *(b"0", b"1", b"2", b"\x94", b"\x94", b"q\x00", b"q\x01", b"q\x03", b"r\x02\0\0\0", b"p1\n"),
    *(b"h\x00", b"h\x01", b"h\x02", b"h\x03", b"j\x01\0\0\0", b"g0\n"),
    *(b"R", b"R", b"b", b"\x81", b"\x92", b"\x93", b"\x93", b"o", b"Q", b"P1\n"),
    *(b"cm\nn\n", b"c__builtin__\nreduce\n", b"iother\nname\n", b"ccopy_reg\nx\n"),
    *(b"\x80\x02", b"\x80\x04"),
    *(b"\x95" + struct.pack("<Q", length) for length in (3, 7, 20)),
]


@st.composite
def program(draw: st.DrawFn, most: int = 60) -> bytes:
    """Make a program that keeps the stack in order, and then may break off."""
    depth, marks = 0, list[int]()
    out = draw(st.sampled_from([b"", b"\x80\x02", b"\x80\x03", b"\x80\x04"]))
    for token in draw(st.lists(st.sampled_from(TOKENS), max_size=most)):
        before = list(marks)
        moved = _moved(token[0], depth, marks)
        if moved is None:
            marks = before
            continue
        depth = moved
        out += token
    return out + draw(st.sampled_from([b".", b".", b"", b"\xff"]))


def mapped(key: tuple[str, str], protocols: set[bool]) -> set[tuple[str, str]]:
    """Give the names under which the machine may report an import."""
    return {key, KNOWLEDGE.python3_global(*key)} if True in protocols else {key}


def check_covers(data: bytes, seen: Seen, programs: Programs, found: list[Any]) -> None:
    first = [each for each in programs.found if not each.path]
    names = {(each.module, each.name) for each in first[0].globals} if first else set()
    called = {(each.module, each.name) for each in first[0].globals if each.called} if first else set()
    kinds = {each.kind for each in found if isinstance(each, Evidence)}
    for key in seen.imports:
        assert mapped(key, {True}) & names, (data, key, names)
    for key in seen.called:
        assert mapped(key, {True}) & called, (data, key, called)
    if seen.anonymous:
        assert kinds & {"pickle-computed-call", "pickle-call", "pickle-operand"}, (data, kinds)


@given(program())
@example(b"\x95\x14" + bytes(7) + b"\x95\x03" + bytes(7) + b"c__builtin__\nreduce\n.")
@example(b"(" + b"iother\nname\n" + b"0cm\nn\n.")
@settings(max_examples=600, deadline=None)
def test_reports_what_real_unpicklers_resolve(data: bytes) -> None:
    for lumps_after in (NEVER, 0):
        found, programs = machine(data, lumps_after)
        for kind in (pickle.Unpickler, pickle._Unpickler):
            check_covers(data, really(data, kind), programs, found)


@given(program(120))
@example(b"\x80\x04S'x'\n\x94h\x00\x93.")
@settings(max_examples=400, deadline=None)
def test_passing_over_changes_nothing(data: bytes) -> None:
    plain, lumped = (machine(data, after) for after in (NEVER, 0))
    shown = [
        [
            (each.kind, each.symbol, each.location.offset)
            if isinstance(each, Evidence)
            else (each.code, each.location.offset)  # type: ignore[union-attr]
            for each in found
            if not isinstance(each, Member)
        ]
        for found, _ in (plain, lumped)
    ]
    if not any(code == "malformed" for found in shown for code, *_ in found):
        assert shown[0] == shown[1]
    for one, other in zip(plain[1].found, lumped[1].found, strict=False):
        assert {(g.module, g.name) for g in one.globals} <= {(g.module, g.name) for g in other.globals}


class Thing:
    def __init__(self, value: object) -> None:
        self.value = value


leaves = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=300) | st.binary(max_size=300)
)
special = (
    st.datetimes()
    | st.timedeltas()
    | st.decimals(allow_nan=False)
    | st.fractions()
    | st.uuids()
    | st.complex_numbers()
    | st.builds(range, st.integers(0, 5))
    | st.sampled_from([dt.date.today, len, Thing, OrderedDict])
)
objects = st.recursive(
    leaves | special,
    lambda inner: (
        st.lists(inner, max_size=6)
        | st.lists(inner, max_size=6).map(tuple)
        | st.dictionaries(st.text(max_size=8), inner, max_size=5)
        | st.lists(inner, max_size=3).map(deque)
        | st.dictionaries(st.text(max_size=4), inner, max_size=3).map(OrderedDict)
        | st.builds(Thing, inner)
        | st.frozensets(st.integers(), max_size=5)
        | st.sets(st.text(max_size=3), max_size=5)
        | st.lists(inner, max_size=2).map(lambda items: [items, items])
    ),
    max_leaves=40,
)


@given(objects, st.integers(0, 5))
@example([Counter("aab"), defaultdict(int, {"a": 1}), uuid.UUID(int=7), decimal.Decimal(1)], 2)
@example([fractions.Fraction(1, 3)] * 70, 4)
@settings(max_examples=150, deadline=None)
def test_follows_real_pickles(value: object, protocol: int) -> None:
    data = pickle.dumps(value, protocol)
    for lumps_after in (NEVER, 0):
        found, programs = machine(data, lumps_after)
        assert not [each for each in found if isinstance(each, Notification)]
        assert programs.found[0].end == len(data)
        kinds = {each.kind for each in found if isinstance(each, Evidence)}
        assert kinds <= {"pickle-unreviewed-import", "pickle-unreviewed-call", "pickle-local-call"}
        check_covers(data, really(data, pickle.Unpickler), programs, found)


REAL = [path for path in sorted((FIXTURES / "pickle_stream").rglob("*.*")) if path.suffix != ".json"]
REAL += sorted((FIXTURES / "honest").rglob("*.pkl"))[::40]


def only_what_is_promised(data: bytes, lumps_after: int) -> None:
    try:
        found = list(examine(member(data), Budget(), KNOWLEDGE, lumps_after=lumps_after))
    except SupplyguardError:
        return
    assert all(isinstance(each, Evidence | Notification | Member) for each in found)


@given(st.binary(max_size=400), st.sampled_from([b"", b"\x80\x04", b"\x80\x02("]))
@settings(max_examples=300, deadline=None)
def test_any_bytes(data: bytes, head: bytes) -> None:
    pickle_start(head + data, whole=True)
    only_what_is_promised(head + data, 0)
    only_what_is_promised(head + data, NEVER)


@pytest.mark.parametrize("path", REAL, ids=lambda path: path.name)
@given(cuts=st.lists(st.tuples(st.floats(0, 1), st.binary(max_size=3), st.integers(0, 4)), max_size=4))
@settings(max_examples=8, deadline=None)
def test_mutated_pickles(path: Path, cuts: list[tuple[float, bytes, int]]) -> None:
    data = path.read_bytes()[:100_000]
    for where, new, gone in cuts:
        place = int(where * len(data))
        data = data[:place] + new + data[place + gone :]
    only_what_is_promised(data, 0)
    only_what_is_promised(data, NEVER)
