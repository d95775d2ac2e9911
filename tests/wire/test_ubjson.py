"""UBJSON: every mark, every length, and bombs."""

from __future__ import annotations

import io
import struct
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fixtures.make_xgboost_model import ubj
from supplyguard.errors import BudgetExceededError, MalformedError, UnsupportedError
from supplyguard.limits import Budget, Limits
from supplyguard.wire.cursor import Cursor
from supplyguard.wire.ubjson import CHECK_TIME_EVERY, TypedArray, UbjReader


def reader(data: bytes, **limits: Any) -> UbjReader:
    return UbjReader(Cursor(io.BytesIO(data), 0, len(data), ">"), Budget(Limits(**limits)))


VALUES = st.recursive(
    st.integers(-(2**63), 2**63 - 1) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(VALUES)
@settings(max_examples=100, deadline=None)
def test_what_is_written_is_read(value: Any) -> None:
    assert reader(ubj(value)).read() == value


@pytest.mark.parametrize(
    ("data", "value"),
    [
        (b"i\xff", -1),
        (b"U\xff", 255),
        (b"I\x01\x00", 256),
        (b"l\0\1\0\0", 65536),
        (b"d\x3f\x80\0\0", 1.0),
        (b"D\x3f\xf0" + bytes(6), 1.0),
        (b"Z", None),
        (b"T", True),
        (b"NF", False),
        (b"Ca", "a"),
        (b"Hi\x0312.", "12."),
        (b"[i\1Ni\2]", [1, 2]),
        (b"[#i\2TF", [True, False]),
        (b"{i\1aTi\1aF}", {"a": False}),
    ],
)
def test_marks(data: bytes, value: Any) -> None:
    assert reader(data).read() == value


def test_arrays_of_numbers_stay_in_the_file() -> None:
    found = reader(b"[[$l#i\2\0\0\0\1\0\0\0\2T]")
    array, after = found.read()
    assert after is True
    assert (array, array.width) == (TypedArray("i", 7, 2), 4)
    assert found.numbers(array) == (1, 2)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"x",
        b"[",
        b"{",
        b"{i\1a",
        b"S",
        b"Sx",
        b"Si\xff",
        b"[$l",
        b"[$l]",
        b"[#L" + struct.pack(">q", 1 << 60),
    ],
)
def test_what_is_no_ubjson(data: bytes) -> None:
    with pytest.raises(MalformedError):
        reader(data).read()


def test_bombs_end_at_once() -> None:
    with pytest.raises(MalformedError):
        reader(b"[$d#L" + struct.pack(">q", 1 << 61)).read()
    with pytest.raises(UnsupportedError):
        reader(b"[$Z#L" + struct.pack(">q", 1 << 61)).read()
    with pytest.raises(BudgetExceededError):
        reader(b"[" * 100_000).read()
    with pytest.raises(BudgetExceededError):
        reader(b"[#l" + struct.pack(">i", 10_000) + b"T" * 10_000, nodes=5_000).read()
    with pytest.raises(BudgetExceededError):
        reader(b"N" * 2 * CHECK_TIME_EVERY, seconds=0).read()


def test_what_was_read_before_a_fault_is_there() -> None:
    broken = reader(b"{i\1aTi\1b[i\1x")
    with pytest.raises(MalformedError):
        broken.read()
    assert broken.root == {"a": True, "b": [1]}
