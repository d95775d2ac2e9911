"""Bounded views of bytes: what is there is given before the error, and nothing is inflated twice."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import random
import zlib
from collections.abc import Callable
from typing import BinaryIO, cast

import lz4.frame
import pytest
from backports import zstd
from hypothesis import given, settings
from hypothesis import strategies as st

from supplyguard.archives import codecs
from supplyguard.errors import BudgetExceededError, MalformedError, UnreadableError, UnsupportedError
from supplyguard.limits import Budget, Limits, Resource
from supplyguard.streams import (
    Allowance,
    Codec,
    Inflation,
    SliceReader,
    buffered,
    read_at,
    size_of,
)

DATA = random.Random(7).randbytes(300_000) + b"abc" * 200_000  # noqa: S311 - test data


def reader(data: bytes) -> BinaryIO:
    return cast("BinaryIO", io.BytesIO(data))


def inflation(data: bytes, codec: Codec, budget: Budget | None = None, size: int | None = None) -> Inflation:
    budget = budget or Budget()
    length = len(data) if size is None else size
    return Inflation(lambda: reader(data), length, codec, budget, Allowance(budget, length))


def raw_deflate(data: bytes) -> bytes:
    machine = zlib.compressobj(6, zlib.DEFLATED, -15)
    return machine.compress(data) + machine.flush()


def zip_lzma(data: bytes) -> bytes:
    alone = lzma.compress(data, format=lzma.FORMAT_ALONE)
    return b"\x09\x04\x05\x00" + alone[:5] + alone[13:]


CODECS: list[tuple[codecs.NamedCodec, Callable[[bytes], bytes]]] = [
    (codecs.GZIP, gzip.compress),
    (codecs.ZLIB, zlib.compress),
    (codecs.DEFLATE, raw_deflate),
    (codecs.BZIP2, lambda data: bz2.compress(data, 1)),
    (codecs.XZ, lzma.compress),
    (codecs.LZMA, lambda data: lzma.compress(data, format=lzma.FORMAT_ALONE)),
    (codecs.ZIP_LZMA, zip_lzma),
    (codecs.LZ4, lz4.frame.compress),
    (codecs.ZSTD, zstd.compress),
]
IDS = [f"{codec.name}{number}" for number, (codec, _) in enumerate(CODECS)]


@given(st.binary(max_size=200), st.integers(0, 220), st.integers(0, 220), st.integers(0, 250))
@settings(deadline=None, max_examples=60)
def test_a_slice_is_the_slice(data: bytes, offset: int, length: int, at: int) -> None:
    length = min(length, max(0, len(data) - offset))
    wanted = data[offset : offset + length]
    with SliceReader(reader(data), offset, length) as view:
        assert view.read() == wanted
        assert view.seek(at) == at
        assert view.read(7) == wanted[at : at + 7]
        assert size_of(view) == length


def test_a_slice_beyond_its_parent_gives_what_is_there_and_then_raises() -> None:
    view = SliceReader(reader(b"0123456789"), 4, 100)
    assert view.read(50) == b"456789"
    with pytest.raises(MalformedError, match="ends early") as caught:
        view.read(50)
    assert caught.value.offset == 6
    view.seek(0)
    with pytest.raises(MalformedError):
        view.read()


def test_a_view_reads_into_buffers_and_moves_like_a_file() -> None:
    view = SliceReader(reader(b"0123456789"), 2, 6)
    buffer = bytearray(4)
    assert view.readinto(buffer) == 4
    assert bytes(buffer) == b"2345"
    assert view.seek(-1, io.SEEK_CUR) == 3
    assert view.seek(-2, io.SEEK_END) == 4
    assert view.seek(-9) == 0
    assert view.read(0) == b""
    assert view.read(None) == b"234567"
    assert view.readable()
    assert view.seekable()
    assert view.tell() == 6


def test_closing_a_slice_closes_its_parent() -> None:
    parent = reader(b"x")
    view = SliceReader(parent, 0, 1)
    view.close()
    view.close()
    assert parent.closed


def test_read_at_wants_all_of_it() -> None:
    assert read_at(buffered(SliceReader(reader(b"0123"), 0, 4)), 1, 2) == b"12"
    with pytest.raises(MalformedError, match="ends early"):
        read_at(reader(b"0123"), 2, 3)


@pytest.mark.parametrize(("codec", "compress"), CODECS, ids=IDS)
def test_every_codec_gives_the_content_and_where_it_ends(
    codec: codecs.NamedCodec, compress: Callable[[bytes], bytes]
) -> None:
    packed = compress(DATA)
    stream = inflation(packed + b"trailing", codec)
    with stream.open() as view:
        assert view.read() == DATA
        assert view.seek(0, io.SEEK_END) == len(DATA)
        view.seek(299_990)
        assert view.read(20) == DATA[299_990:300_010]
    # the lzma streams in zip files and .lzma files may have no end mark, then they need their size
    assert stream.end == len(packed)
    assert stream.finished


@pytest.mark.parametrize(("codec", "compress"), CODECS, ids=IDS)
def test_a_cut_stream_gives_what_is_there_and_then_raises(
    codec: codecs.NamedCodec, compress: Callable[[bytes], bytes]
) -> None:
    packed = compress(DATA)[:250_000]
    with inflation(packed, codec).open() as view:
        begin = view.read(len(DATA))
        assert 0 < len(begin) < len(DATA)
        assert DATA.startswith(begin)
        for _ in range(2):
            with pytest.raises(MalformedError, match="ends early"):
                view.read(1)
        with pytest.raises(MalformedError):
            view.seek(0, io.SEEK_END)


@pytest.mark.parametrize(("codec", "compress"), CODECS, ids=IDS)
def test_broken_streams_are_malformed(codec: codecs.NamedCodec, compress: Callable[[bytes], bytes]) -> None:
    packed = bytearray(compress(DATA))
    packed[:12] = b"\xff" * 12
    with inflation(bytes(packed), codec).open() as view, pytest.raises(MalformedError):
        view.read()


@pytest.mark.parametrize("head", [b"", gzip.compress(DATA)])
@pytest.mark.parametrize("small", [b"payload", DATA])
def test_what_comes_before_a_wrong_checksum_is_given(head: bytes, small: bytes) -> None:
    packed = bytearray(gzip.compress(small))
    packed[-8] ^= 1
    before = DATA if head else b""
    with inflation(head + bytes(packed), codecs.GZIP).open() as view:
        assert view.read(2 * len(DATA)) == before + small
        with pytest.raises(MalformedError, match="incorrect data check"):
            view.read(1)


def test_what_comes_before_broken_data_is_given() -> None:
    machine = zlib.compressobj(6, zlib.DEFLATED, -15)
    packed = machine.compress(b"payload " * 50) + machine.flush(zlib.Z_SYNC_FLUSH) + b"\xff" * 50
    with inflation(packed, codecs.DEFLATE).open() as view:
        assert view.read(9999) == b"payload " * 50
        with pytest.raises(MalformedError, match="broken deflate"):
            view.read(1)


def test_saving_the_rest_stays_within_the_budget() -> None:
    packed = bytearray(gzip.compress(bytes(3_000_000)))
    packed[-8] ^= 1
    budget = Budget(Limits(ratio_floor=1000))
    with inflation(bytes(packed), codecs.GZIP, budget).open() as view, pytest.raises(BudgetExceededError):
        view.read()


@pytest.mark.parametrize("codec", [codecs.GZIP, codecs.BZIP2, codecs.XZ, codecs.LZ4, codecs.ZSTD])
def test_concatenated_streams_are_one(codec: codecs.NamedCodec) -> None:
    compress = next(function for each, function in CODECS if each is codec)
    packed = compress(b"one") + b"\0" * 8 + compress(b"two") + compress(DATA)
    with inflation(packed, codec).open() as view:
        assert view.read() == b"onetwo" + DATA


def test_zlib_streams_stop_at_their_end() -> None:
    stream = inflation(zlib.compress(b"one") + zlib.compress(b"two"), codecs.ZLIB)
    with stream.open() as view:
        assert view.read() == b"one"
    assert stream.end == len(zlib.compress(b"one"))


def test_content_is_inflated_once_for_many_readers() -> None:
    budget = Budget()
    packed = gzip.compress(DATA)
    stream = inflation(packed, codecs.GZIP, budget)
    with stream.open() as one, stream.open() as two:
        assert one.read(1000) == two.read(1000)
        assert two.read() == DATA[1000:]
        assert one.read() == DATA[1000:]
    assert budget.spent(Resource.INFLATED_BYTES) == len(DATA)


def test_streams_of_one_budget_are_kept_apart() -> None:
    budget = Budget()
    first, second = DATA, DATA[::-1]
    one = inflation(gzip.compress(first), codecs.GZIP, budget).open()
    two = inflation(bz2.compress(second), codecs.BZIP2, budget).open()
    got: tuple[list[bytes], list[bytes]] = ([], [])
    for _ in range(40):
        got[0].append(one.read(30_000))
        got[1].append(two.read(25_000))
    assert b"".join(got[0]) == first[: 40 * 30_000]
    assert b"".join(got[1]) == second[: 40 * 25_000]
    one.seek(0)
    assert one.read() == first
    one.close()
    two.close()


def test_the_source_is_opened_when_needed_and_closed_with_the_last_reader() -> None:
    opened: list[BinaryIO] = []

    def source() -> BinaryIO:
        opened.append(reader(gzip.compress(DATA)))
        return opened[-1]

    budget = Budget()
    stream = Inflation(source, len(gzip.compress(DATA)), codecs.GZIP, budget, Allowance(budget, 1 << 30))
    view = stream.open()
    assert not opened
    assert view.read(10) == DATA[:10]
    view.close()
    view.close()
    assert [each.closed for each in opened] == [True]
    with stream.open() as again:
        assert again.read() == DATA
    assert len(opened) == 2


@pytest.mark.parametrize(
    ("limits", "resource"),
    [
        (Limits(ratio_floor=1000), "inflate_ratio"),
        (Limits(inflated_bytes=100_000), "inflated_bytes"),
        (Limits(seconds=0), "seconds"),
    ],
)
def test_limits_end_a_bomb(limits: Limits, resource: str) -> None:
    packed = gzip.compress(bytes(5_000_000))
    with inflation(packed, codecs.GZIP, Budget(limits)).open() as view:
        with pytest.raises(BudgetExceededError) as caught:
            view.read()
        assert caught.value.resource == resource


def test_the_streams_of_one_archive_share_an_allowance() -> None:
    budget = Budget(Limits(ratio_floor=150_000, inflate_ratio=1))
    allowance = Allowance(budget, 0)
    data = random.Random(1).randbytes(100_000)  # noqa: S311 - test data
    packed = lzma.compress(data)
    views = [
        Inflation(lambda: reader(packed), len(packed), codecs.XZ, budget, allowance).open() for _ in range(2)
    ]
    assert views[0].read() == data
    with pytest.raises(BudgetExceededError):
        views[1].read()
    for view in views:
        view.close()


def test_a_missing_codec_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> None:
        raise ImportError(name)

    monkeypatch.setattr("supplyguard.archives.codecs.importlib.import_module", absent)
    for codec, name in ((codecs.LZ4, "lz4"), (codecs.ZSTD, "zstd")):
        with (
            inflation(b"x" * 50, codec).open() as view,
            pytest.raises(UnsupportedError, match=name) as caught,
        ):
            view.read()
        assert caught.value.hint is not None


def test_a_full_disk_is_not_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = inflation(gzip.compress(DATA), codecs.GZIP)

    def full(data: bytes) -> int:
        raise OSError(28, "No space left on device", len(data))

    monkeypatch.setattr(stream._scratch, "write", full)
    with stream.open() as view, pytest.raises(UnreadableError, match="No space"):
        view.read()


def test_many_tiny_streams_are_read_in_time() -> None:
    packed = gzip.compress(b"x") * 20_000
    with inflation(packed, codecs.GZIP).open() as view:
        assert view.read() == b"x" * 20_000
