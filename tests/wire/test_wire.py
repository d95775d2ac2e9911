"""The shared readers: what they read, and that hostile bytes end in a SupplyguardError."""

from __future__ import annotations

import contextlib
import io
import json
import struct
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from supplyguard.errors import BudgetExceededError, MalformedError, SupplyguardError
from supplyguard.limits import Budget, Limits
from supplyguard.wire.cursor import Cursor
from supplyguard.wire.flatbuffer import Buffer, Table
from supplyguard.wire.json_document import depth_of, parse_json
from supplyguard.wire.protobuf import BYTES, Message
from supplyguard.wire.window import PAGE, PAGES, Window


def varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def field(number: int, body: bytes | int) -> bytes:
    if isinstance(body, int):
        return varint(number << 3) + varint(body)
    return varint(number << 3 | BYTES) + varint(len(body)) + body


def message(data: bytes, **limits: Any) -> Message:
    return Message.of(io.BytesIO(data), 0, len(data), Budget(Limits(**limits)))


@given(st.binary(max_size=3 * PAGE), st.data())
@settings(max_examples=30, deadline=None)
def test_a_window_reads_what_is_there(data: bytes, choice: st.DataObject) -> None:
    window = Window(io.BytesIO(data), 0, len(data))
    for _ in range(5):
        start = choice.draw(st.integers(0, len(data)))
        length = choice.draw(st.integers(0, len(data) - start))
        assert window.read(start, length) == data[start : start + length]
    with pytest.raises(MalformedError):
        window.read(len(data), 1)


def test_a_window_keeps_few_pages_and_says_when_the_file_is_shorter() -> None:
    data = bytes(PAGE * (PAGES + 3))
    window = Window(io.BytesIO(data), 0, len(data) + PAGE)
    for number in range(PAGES + 3):
        window.read(number * PAGE, 1)
    assert len(window._pages) == PAGES
    with pytest.raises(MalformedError):
        window.read(len(data) - 1, 2)


def test_a_cursor_reads_in_order() -> None:
    data = struct.pack("<BhIqd", 1, -2, 3, -4, 0.5) + b"text" + "\u00e9".encode()
    cursor = Cursor(io.BytesIO(data), 0, len(data))
    assert [cursor.number(code) for code in "BhIq"] == [1, -2, 3, -4]
    assert cursor.real("d") == 0.5
    assert cursor.text(4, 2) == "te"
    assert cursor.text(cursor.remaining, 10) == "\u00e9"
    assert (cursor.remaining, cursor.position) == (0, cursor.end)
    for wrong in (
        lambda: cursor.skip(1),
        lambda: cursor.skip(-1),
        lambda: cursor.text(1, 1),
        lambda: cursor.take(1),
    ):
        with pytest.raises(MalformedError):
            wrong()
    assert Cursor(io.BytesIO(b"\x01\x02"), 0, 2, ">").number("H") == 0x0102


def test_protobuf_fields() -> None:
    inner = field(1, 7)
    data = field(1, (1 << 64) - 5) + field(2, b"name") + field(3, inner) + b"\x25" + struct.pack("<I", 9)
    data += b"\x29" + struct.pack("<Q", 10) + field(6, varint(1) + varint(300))
    top = message(data)
    fields = {each.number: each for each in top}
    assert fields[1].signed == -5
    assert top.text(fields[2]) == "name"
    assert [each.value for each in top.message(fields[3])] == [7]
    assert (fields[4].value, fields[5].value) == (9, 10)
    assert list(top.numbers(fields[6])) == [1, 300]
    assert [*top.numbers(next(iter(message(field(1, 3)))))] == [3]


@pytest.mark.parametrize(
    "data",
    [b"\x00", b"\x0b", b"\x0a\x05a", b"\x08", b"\x08" + b"\xff" * 11, b"\x0d\x00", b"\x09\x00", b"\xff"],
)
def test_broken_protobuf(data: bytes) -> None:
    with pytest.raises(MalformedError):
        list(message(data))


def test_protobuf_is_bounded() -> None:
    with pytest.raises(BudgetExceededError):
        list(message(field(1, 1) * 100, nodes=50))
    with pytest.raises(BudgetExceededError):
        list(message(field(1, 1) * 5000, seconds=-1.0))
    deep = b""
    for _ in range(150):
        deep = field(1, deep)

    def descend(at: Message) -> None:
        for each in at:
            if each.wire == BYTES:
                descend(at.message(each))

    with pytest.raises(MalformedError, match="deep"):
        descend(message(deep))


@given(st.binary(max_size=300))
@settings(max_examples=200, deadline=None)
def test_any_bytes_are_protobuf_or_an_error(data: bytes) -> None:
    top = message(data)
    with contextlib.suppress(SupplyguardError):
        for each in top:
            top.body(each, 10)
            list(top.numbers(each))


def flat(*, name: bytes = b"ab", count: int = 2, offset: int = 12, vtable: int = 8) -> bytes:
    """A root table with a u32 (slot 4), a string (6), a vector of one table, itself (8)."""
    table = 20
    data = bytearray(64)
    struct.pack_into("<I", data, 0, table)
    struct.pack_into("<HHHHH", data, table - 12, 10, 16, 4, 8, offset)
    struct.pack_into("<iIII", data, table, 12, 77, 0, 0)
    struct.pack_into("<I", data, table + 8, 16)  # string at table + 24
    struct.pack_into("<I", data, table + 24, count)
    data[table + 28 : table + 28 + len(name)] = name
    struct.pack_into("<I", data, table + 12, 20)  # vector at table + 32
    struct.pack_into("<I", data, table + 32, 1)
    struct.pack_into("<I", data, table + 36, 4)
    del vtable
    return bytes(data)


def buffer(data: bytes, **limits: Any) -> Buffer:
    return Buffer(io.BytesIO(data), 0, len(data), Budget(Limits(**limits)))


def test_a_flat_buffer() -> None:
    root = buffer(flat()).root()
    assert root.scalar(4, "I") == 77
    assert root.text(6) == "ab"
    assert root.vector(8, 4).count == 1
    assert root.scalar(10, "I", 5) == 5
    assert (root.text(12), root.table(12), list(root.tables(12)), root.vector(12, 4).count) == (
        None,
        None,
        [],
        0,
    )


def test_a_broken_flat_buffer() -> None:
    with pytest.raises(MalformedError):
        buffer(flat(count=1 << 30)).root().text(6)
    with pytest.raises(MalformedError):
        buffer(flat(offset=16)).root().vector(8, 4)
    with pytest.raises(MalformedError):
        buffer(b"\xff\xff\xff\x7f" + bytes(20)).root()
    with pytest.raises(MalformedError):
        list(buffer(flat()).root().tables(8))
    with pytest.raises(BudgetExceededError):
        buffer(flat(), nodes=0).root()


@given(st.binary(min_size=4, max_size=200))
@settings(max_examples=200, deadline=None)
def test_any_bytes_are_a_flat_buffer_or_an_error(data: bytes) -> None:
    def walk(table: Table) -> None:
        for slot in range(4, 16, 2):
            table.scalar(slot, "I")
            table.text(slot)
            for below in table.tables(slot):
                walk(below)
            table.table(slot)

    with contextlib.suppress(SupplyguardError):
        walk(buffer(data, nodes=500).root())


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda x: st.lists(x) | st.dictionaries(st.text(), x),
        max_leaves=20,
    )
)
@settings(max_examples=100, deadline=None)
def test_json_is_json(value: Any) -> None:
    assert parse_json(json.dumps(value).encode(), Budget()) == value


@pytest.mark.parametrize("data", [b"", b"{", b"\xff", b"[1,]", b'{"a"}'])
def test_what_is_no_json(data: bytes) -> None:
    with pytest.raises(MalformedError):
        parse_json(data, Budget())


def test_json_is_bounded() -> None:
    for data, limits in (
        (b"[" * 200_000, Limits()),
        (b"[1,2,3]", Limits(nodes=2)),
        (b'"long"', Limits(document_bytes=3)),
    ):
        with pytest.raises(BudgetExceededError):
            parse_json(data, Budget(limits))
    assert depth_of(b'{"a[[[": [{}]}') == 3
    assert parse_json(b"[" + b"9" * 5000 + b"]", Budget()) == [0]


def test_a_cursor_over_a_part_of_a_window() -> None:
    window = Window(io.BytesIO(b"0123456789"), 2, 9)
    cursor = Cursor.over(window, 3, 8)
    assert cursor.sized(2) == int.from_bytes(b"34", "little")
    assert Cursor.over(window, 3, 8, ">").sized(3) == int.from_bytes(b"345", "big")
    assert (cursor.take(3), cursor.remaining) == (b"567", 0)
    with pytest.raises(MalformedError):
        cursor.take(1)
    for start, end in ((1, 5), (5, 10), (5, 4)):
        with pytest.raises(MalformedError):
            Cursor.over(window, start, end)


def test_repeated_keys_are_told_and_the_last_value_counts() -> None:
    repeated: dict[str, None] = {}
    data = b'{"a": 1, "b": {"c": 1, "c": 2}, "d": [{"e": 1, "e": 3}], "a": 4}'
    assert parse_json(data, Budget(), repeated=repeated) == {"a": 4, "b": {"c": 2}, "d": [{"e": 3}]}
    assert set(repeated) == {"a", "c", "e"}
    assert parse_json(b'{"a": 1}', Budget(), repeated={}) == {"a": 1}
