"""npy files: the header is read without evaluating it, and the data is measured against it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fixtures.make_numpy_array import EVIL, FLOATS, npy, raw
from supplyguard.archives.npy_header import parse_npy_header
from supplyguard.errors import MalformedError
from supplyguard.finding import Evidence
from supplyguard.inspectors import numpy_array
from supplyguard.inventory import Member
from supplyguard.limits import Limits
from tests.examined import content, findings, part_of, probe, yielded

FIXTURES = Path(__file__).parents[2] / "fixtures" / "numpy_array"
EXPECTED = json.loads((FIXTURES / "expected.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_fixtures(name: str) -> None:
    found = {(each.rule.id, each.location.offset) for each in findings(part_of(FIXTURES / name))}
    wanted = {(each["rule"], each["offset"]) for each in EXPECTED[name]}
    assert wanted <= found
    assert wanted or not found


def header(descr: str, shape: str = "(2, 3)") -> bytes:
    return f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}".encode()


@pytest.mark.parametrize(
    ("descr", "itemsize", "objects"),
    [
        ("'<f4'", 4, False),
        ("'>c16'", 16, False),
        ("'|b1'", 1, False),
        ("'<U12'", 48, False),
        ("'|S5'", 5, False),
        ("'|V7'", 7, False),
        ("'<M8[us]'", 8, False),
        ("'f'", 4, False),
        ("'|O'", 8, True),
        ("'O'", 8, True),
        ("'object'", None, True),
        ("'strange'", None, False),
        ("('<f4', (2, 2))", 16, False),
        ("('<f4', 3)", 12, False),
        ("[('a', '<f4'), ('b', '<i8', (3,))]", 28, False),
        ("[('a', [('b', '|O'), ('c', 'strange')])]", None, True),
        ("[(('title', 'a'), '<f4')]", 4, False),
    ],
)
def test_items_are_measured(descr: str, itemsize: int | None, objects: bool) -> None:
    layout = parse_npy_header(header(descr), Limits())
    assert (layout.itemsize, layout.objects, layout.shape) == (itemsize, objects, (2, 3))
    assert layout.nbytes == (None if itemsize is None else 6 * itemsize)
    assert not layout.overflows


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{}",
        b"[1]",
        b"{'descr': '<f4', 'fortran_order': False, 'shape': [2]}",
        b"{'descr': '<f4', 'fortran_order': 0, 'shape': (2,)}",
        b"{'descr': '<f4', 'fortran_order': False, 'shape': (True,)}",
        b"{'descr': '<f4', 'fortran_order': False, 'shape': (2,), 'more': 1}",
        b"{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': (2,)}",
        b"{1: 2, 3: 4, 5: 6}",
        b"{'a': 1, 'b'}",
        b"(]",
        b")",
        b"((",
        b"1 2",
        b"os.system",
        header("3"),
        header("[3]"),
        header("[('a', '<f4', -1)]"),
        header("[('a', '<f4', 'x')]"),
        header("'<f4'", "(" + "1, " * 65 + ")"),
    ],
)
def test_other_headers_are_malformed(text: bytes) -> None:
    with pytest.raises(MalformedError):
        parse_npy_header(text, Limits())


def test_escapes_and_prefixes_in_texts_are_read() -> None:
    layout = parse_npy_header(header('[("a\\"b", b\'<f4\'), (u"ü", "<i2")]'), Limits())
    assert layout.itemsize == 6
    assert parse_npy_header(header("'<f4'", "(3L,)"), Limits()).shape == (3,)


def test_the_pickle_of_an_object_array_is_a_member() -> None:
    items = list(yielded(numpy_array, npy("'|O'", "(1,)", EVIL)))
    (member,) = (item for item in items if isinstance(item, Member))
    assert (member.path, content(member)) == (("(pickle)",), EVIL)


def test_an_unknown_version_is_malformed() -> None:
    data = bytearray(npy("'<f4'", "(4,)", FLOATS))
    data[6] = 9
    with pytest.raises(MalformedError, match="version 9"):
        list(yielded(numpy_array, bytes(data)))


def test_a_header_beyond_the_file_is_malformed() -> None:
    with pytest.raises(MalformedError, match="header of"):
        list(yielded(numpy_array, b"\x93NUMPY\1\0\xff\xff{"))
    with pytest.raises(MalformedError, match="header of"):
        list(yielded(numpy_array, b"\x93NUMPY\2\0" + (100_000).to_bytes(4, "little") + b" " * 100_000))


def test_data_of_unknown_size_is_left_alone() -> None:
    assert list(yielded(numpy_array, npy("'strange'", "(4,)", FLOATS))) == []


@given(st.binary(max_size=300))
@settings(deadline=None, max_examples=150)
def test_any_header_ends_in_evidence_or_malformed(text: bytes) -> None:
    data = b"\x93NUMPY\1\0" + len(text).to_bytes(2, "little") + text + FLOATS
    assert numpy_array.recognizes(probe(data))
    try:
        items = list(yielded(numpy_array, data))
    except MalformedError:
        return
    assert all(isinstance(item, Evidence | Member) for item in items)


LITERALS = st.recursive(
    st.one_of(st.integers(-(10**18), 10**18), st.booleans(), st.none(), st.text("ab'\"\\ü ", max_size=4)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.lists(inner, max_size=3).map(tuple)),
    max_leaves=12,
)


@given(LITERALS, st.lists(st.integers(0, 9), max_size=3))
@settings(deadline=None, max_examples=150)
def test_what_python_writes_as_a_literal_is_read_as_one(value: object, shape: list[int]) -> None:
    # a title or name may be anything; only its being read matters here
    text = header(repr([("a", "<f4")]), repr(tuple(shape)))
    assert parse_npy_header(text, Limits()).shape == tuple(shape)
    with pytest.raises(MalformedError, match="no dict of"):
        parse_npy_header(repr(value).encode(), Limits())


def test_hostile_headers_end_soon() -> None:
    for text in ("(" * 60_000, "'" + "\\" * 60_000, "'a' " * 15_000, "1" * 60_000):
        with pytest.raises(MalformedError):
            list(yielded(numpy_array, raw(text, FLOATS)))
