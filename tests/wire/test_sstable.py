"""Sorted string tables: what is in them, and that forged ones end at once."""

from __future__ import annotations

import contextlib
import io
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fixtures.make_tf_checkpoint import MAGIC, block, table
from fixtures.raw_protobuf import varint
from supplyguard.errors import BudgetExceededError, MalformedError, SupplyguardError, UnsupportedError
from supplyguard.limits import Budget, Limits
from supplyguard.wire.sstable import entries, lengths


def read(data: bytes, **limits: int) -> list[tuple[bytes, bytes, int]]:
    return list(entries(io.BytesIO(data), len(data), Budget(Limits(**limits))))


def raw(body: bytes) -> bytes:
    """Put one data block of these bytes into a table."""
    data = body + bytes(5)
    index = block((b"\xff", varint(0) + varint(len(body))))
    handles = varint(0) + varint(0) + varint(len(data)) + varint(len(index) - 5)
    return data + index + handles.ljust(40, b"\0") + MAGIC


@given(st.lists(st.tuples(st.binary(max_size=20), st.binary(max_size=200)), max_size=8))
@settings(deadline=None, max_examples=100)
def test_what_was_written(rows: list[tuple[bytes, bytes]]) -> None:
    data = table(*rows)
    found = read(data)
    assert [(key, value) for key, value, _ in found] == rows
    assert all(data[at:].startswith(value) for _, value, at in found)


def test_keys_share_prefixes() -> None:
    body = b"\0\3\1abcx" + b"\2\1\1dy" + struct.pack("<II", 0, 1)
    assert [(key, value) for key, value, _ in read(raw(body))] == [(b"abc", b"x"), (b"abd", b"y")]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "shorter"),
        (bytes(60), "no table"),
        (raw(b"\1\0\0" + struct.pack("<II", 0, 1)), "does not fit"),
        (raw(b"\0\5\0a" + struct.pack("<II", 0, 1)), "does not fit"),
        (raw(b"\0" + struct.pack("<I", 9)), "more restarts"),
        (raw(b"ab"), "without its restarts"),
        (raw(b"\xff" * 12 + struct.pack("<II", 0, 1)), "without an end"),
        (b"\xff" * 40 + MAGIC, "without an end"),
        (bytes(4) + (varint(9) * 4).ljust(40, b"\0") + MAGIC, "outside of the table"),
    ],
)
def test_what_is_malformed(data: bytes, message: str) -> None:
    with pytest.raises(MalformedError, match=message):
        read(data)


def test_limits() -> None:
    rows = [(bytes([number]), bytes(50)) for number in range(40)]
    with pytest.raises(BudgetExceededError):
        read(table(*rows), nodes=10)
    with pytest.raises(BudgetExceededError):
        read(table(*rows), document_bytes=100)
    with pytest.raises(MalformedError, match="too long"):
        read(table((bytes(100), b"")), string_bytes=50)
    with pytest.raises(UnsupportedError):
        read(table(*rows, compression=1))


def test_lengths() -> None:
    assert lengths(b"\x05\x80\x01rest", 2) == ([5, 128], 3)


@given(st.binary(max_size=120))
@settings(deadline=None, max_examples=150)
def test_any_bytes(data: bytes) -> None:
    for each in (data + MAGIC, raw(data)):
        with contextlib.suppress(SupplyguardError):
            read(each)
