from __future__ import annotations

import io
import pickle
import pickletools
import struct

import pytest

from supplyguard.errors import MalformedError, UnreadableError
from supplyguard.pickles.opcodes import ARGUMENT, Op
from supplyguard.pickles.stream import LONG, Stream
from supplyguard.pickles.values import View


def read(data: bytes, window: int = 1 << 20) -> list[tuple[int, object]]:
    stream = Stream(io.BytesIO(data), window=window)
    out: list[tuple[int, object]] = []
    while stream.position < len(data):
        out.append(stream.next())
    return out


def test_the_table_is_pythons() -> None:
    assert {ord(each.code): each.name for each in pickletools.opcodes} == {op.value: op.name for op in Op}
    assert set(ARGUMENT) == {ord(each.code) for each in pickletools.opcodes}


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("window", [16, 1 << 20])
def test_reads_what_pickletools_reads(protocol: int, window: int) -> None:
    value = [
        None,
        True,
        False,
        1,
        300,
        70_000,
        -5,
        2**70,
        1.5,
        "tëxt",
        b"by",
        "x" * 300,
        {"a": (1, 2, 3, 4)},
        {1},
    ]
    data = pickle.dumps(value, protocol)
    ours = read(data, window=window)
    theirs = [(ord(op.code), arg) for op, arg, _ in pickletools.genops(data)]
    assert [code for code, _ in ours] == [code for code, _ in theirs]
    for (code, given), (_, expected) in zip(ours, theirs, strict=True):
        if code in {Op.GLOBAL, Op.INST}:
            assert isinstance(given, tuple)
            assert " ".join(str(each) for each in given) == expected
        else:
            assert given == expected


@pytest.mark.parametrize(
    ("data", "value"),
    [
        (b"I0x10\n", 16),
        (b"I0o17\n", 15),
        (b"I00\n", False),
        (b"I01\n", True),
        (b"I001\n", 1),
        (b"L0x10L\n", 16),
        (b"L-7\n", -7),
        (b"F1e3\n", 1000.0),
        (b"S'a\\x41'\n", "aA"),
        (b'S"\\q"\n', "\\q"),
        (b"V\\u0041\xe9\n", "A\xe9"),
        (b"U\x02\xff\xfe", "\xff\xfe"),
        (b"c\xc3\xb6\nn\n", ("ö", "n")),
        (b"\x8c\x03\xed\xa0\x80", "\ud800"),
        (b"I" + b"1" * 5000 + b"\n", None),
        (b"I" + b"1" * 4000 + b"\n", int("1" * 4000)),
        (b"\x8a\x00", 0),
        (b"\x84\xff\xff\xff\xff", -1),
    ],
)
def test_arguments_follow_the_unpickler(data: bytes, value: object) -> None:
    ((_, given),) = read(data)
    if value is None:
        assert isinstance(given, View)
    else:
        assert given == value
        assert type(given) is type(value)


def test_long_literals_stay_in_the_file() -> None:
    data = b"B" + struct.pack("<I", LONG + 1) + bytes(LONG + 1) + b"\x96" + struct.pack("<Q", 3) + b"abc"
    first, second = (value for _, value in read(data))
    assert isinstance(first, View)
    assert (first.kind, first.offset, first.length) == ("bytes", 5, LONG + 1)
    assert isinstance(second, View)
    assert (second.kind, second.length) == ("bytearray", 3)


@pytest.mark.parametrize(
    "data",
    [
        b"\xff",
        b"K",
        b"I12",
        b"Ix\n",
        b"Fx\n",
        b"Sx\n",
        b"S'\n",
        b"S'a\"\n",
        b"T\xff\xff\xff\xff",
        b"\x8b\xff\xff\xff\x7f\x01",
        b"\x8e" + b"\xff" * 8,
        b"\x8c\x01\xff",
        b"X\x02\0\0\0a",
        b"c" + b"m" * 70_000 + b"\nn\n",
    ],
)
def test_what_cannot_be_read_is_an_error(data: bytes) -> None:
    with pytest.raises(MalformedError):
        read(data)


class Failing(io.BytesIO):
    """Gives some bytes, then fails as a broken container does."""

    def read(self, size: int | None = -1, /) -> bytes:
        if self.tell() >= 4:
            raise UnreadableError("the disk is gone")
        return super().read(min(size or 0, 4 - self.tell()))


def test_a_reader_that_fails_is_heard_only_after_what_it_gave() -> None:
    stream = Stream(Failing(b"K\x01K\x02K\x03"))
    assert [stream.next()[1], stream.next()[1]] == [1, 2]
    with pytest.raises(UnreadableError):
        stream.next()


def framed(inside: bytes, rest: bytes, dropping: frozenset[int]) -> tuple[list[object], list[int]]:
    stream = Stream(io.BytesIO(inside + rest), dropping=dropping)
    stream.enter_frame(len(inside))
    out: list[object] = []
    while stream.position < len(inside + rest):
        out.append(stream.next()[1])
    return out, stream.crossings


def test_an_argument_across_a_frames_end_has_two_readings() -> None:
    inside, rest = b"K\x01cab", b"cd\nef\nK\x02"
    read_on, crossings = framed(inside, rest, frozenset())
    assert read_on == [1, ("abcd", "ef"), 2]
    assert crossings == [3]
    dropped, again = framed(inside, rest, frozenset(crossings))
    assert dropped == [1, ("cd", "ef"), 2]
    assert again == []


def test_a_frame_in_a_frame_that_reaches_further_has_two_readings() -> None:
    data = b"\x95" + struct.pack("<Q", 4) + b"K\x02K\x01K\x03"
    stream = Stream(io.BytesIO(data))
    stream.enter_frame(11)
    _, length = stream.next()
    assert isinstance(length, int)
    stream.enter_frame(length)
    assert stream.crossings == [9]
    assert stream.frame_end == 13
    again = Stream(io.BytesIO(data), dropping=frozenset({9}))
    again.enter_frame(11)
    again.next()
    again.enter_frame(length)
    assert (again.position, again.frame_end) == (11, 15)


def test_nothing_is_read_at_places_that_no_file_has() -> None:
    stream = Stream(io.BytesIO(b"\x80\x04."))
    assert stream.peek(1 << 63, 1) == b""
    assert not stream.has(1 << 80)
