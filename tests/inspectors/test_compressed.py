"""Compressed streams: the content is one member, and what cannot be inflated is never clean."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import os
import time
import zlib
from pathlib import Path

import lz4.frame
import pytest
from backports import zstd
from hypothesis import given, settings
from hypothesis import strategies as st

from fixtures.make_compressed import EVIL, GOOD, lz4_frame, packed, zstd_frame
from supplyguard.errors import BudgetExceededError, MalformedError, SupplyguardError, UnsupportedError
from supplyguard.finding import Evidence
from supplyguard.inspectors import compressed
from supplyguard.inventory import Member
from supplyguard.limits import Budget, Limits
from tests.examined import content, findings, part_of, probe, yielded

FIXTURES = Path(__file__).parents[2] / "fixtures" / "compressed"
EXPECTED = json.loads((FIXTURES / "expected.json").read_text(encoding="utf-8"))


def drain(
    data: bytes, name: str = "file", budget: Budget | None = None
) -> tuple[list[object], Exception | None]:
    items: list[object] = []
    try:
        for item in yielded(compressed, data, name, budget):
            items.append(item)  # noqa: PERF402 - the items before the error count
    except SupplyguardError as error:
        return items, error
    return items, None


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_fixtures(name: str) -> None:
    found = {(each.rule.id, each.location.offset) for each in findings(part_of(FIXTURES / name))}
    wanted = {(each["rule"], each["offset"]) for each in EXPECTED[name]}
    assert wanted <= found
    assert wanted or not found


@pytest.mark.parametrize("form", sorted(packed(EVIL)))
def test_every_form_is_recognised_by_content_and_inflated(form: str) -> None:
    data = packed(EVIL)[form]
    assert compressed.recognizes(probe(data, "any.name"))
    items, error = drain(data, "model.pkl.gz")
    assert error is None
    (member,) = items
    assert isinstance(member, Member)
    assert (member.path, member.size, content(member)) == (("model.pkl",), len(EVIL), EVIL)


def test_frames_written_by_hand_are_what_the_libraries_read() -> None:
    assert lz4.frame.decompress(lz4_frame(EVIL)) == EVIL
    assert zstd.decompress(zstd_frame(EVIL)) == EVIL


@pytest.mark.parametrize("compress", [lz4.frame.compress, zstd.compress])
def test_skippable_frames_come_first(compress: object) -> None:
    assert callable(compress)
    skipped = b"\x50\x2a\x4d\x18\x03\x00\x00\x00abc"
    items, error = drain(skipped + compress(EVIL))
    assert error is None
    (member,) = items
    assert isinstance(member, Member)
    assert content(member) == EVIL
    assert not compressed.recognizes(probe(skipped + b"something else"))


@pytest.mark.parametrize(
    ("name", "inner"),
    [
        ("a.pkl.gz", "a.pkl"),
        ("a.JOBLIB.Z", "a.JOBLIB"),
        ("a.tgz", "a.tgz.tar"),
        ("a.joblib", "a.joblib"),
        (".gz", ".gz"),
    ],
)
def test_the_content_is_named_after_the_file(name: str, inner: str) -> None:
    items, _ = drain(gzip.compress(GOOD), name)
    assert [item.name for item in items if isinstance(item, Member)] == [inner]


def test_what_follows_is_a_member_and_evidence() -> None:
    first = gzip.compress(GOOD)
    items, error = drain(first + EVIL)
    assert error is None
    members = [item for item in items if isinstance(item, Member)]
    assert [content(each) for each in members] == [GOOD, EVIL]
    (evidence,) = (item for item in items if isinstance(item, Evidence))
    assert (evidence.kind, evidence.location.offset) == ("compressed-trailing", len(first))


def test_a_cut_or_broken_stream_gives_its_content_and_an_error() -> None:
    broken = bytearray(gzip.compress(EVIL))
    broken[-5] ^= 0xFF
    for data in (gzip.compress(EVIL)[:-4], bytes(broken)):
        items, error = drain(data)
        assert isinstance(error, MalformedError)
        (member,) = items
        assert isinstance(member, Member)
        with member.open() as stream:
            assert stream.read(9999) == EVIL


def test_a_bomb_ends_soon_as_evidence_and_incomplete() -> None:
    layers = bz2.compress(bytes(300 << 20))
    start = time.monotonic()
    items, error = drain(layers)
    assert time.monotonic() - start < 5
    assert isinstance(error, BudgetExceededError)
    assert [item.kind for item in items if isinstance(item, Evidence)] == ["compressed-expansion"]
    items, error = drain(gzip.compress(os.urandom(5000)), budget=Budget(Limits(inflated_bytes=1000)))
    assert isinstance(error, BudgetExceededError)
    assert [item.kind for item in items if isinstance(item, Evidence)] == ["compressed-expansion"]
    _, error = drain(gzip.compress(bytes(5000)), budget=Budget(Limits(seconds=0)))
    assert isinstance(error, BudgetExceededError)


def test_a_codec_that_is_not_there_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> None:
        raise ImportError(name)

    monkeypatch.setattr("supplyguard.archives.codecs.importlib.import_module", absent)
    for data in (lz4_frame(EVIL), zstd_frame(EVIL)):
        items, error = drain(data)
        assert isinstance(error, UnsupportedError)
        assert [item.kind for item in items if isinstance(item, Evidence)] == ["compressed-unread"]


@pytest.mark.parametrize(
    "text",
    [
        b"x^2 + y^2 is text",
        b"x\x9c",
        b"]\0\0" + b"\xff" * 40,
        b"ZF0x1234 nothing",
        b"(S'a'\nios\nsystem\n",
        b"BZhello",
    ],
)
def test_look_alikes_are_not_claimed(text: bytes) -> None:
    assert not compressed.recognizes(probe(text))


@given(
    st.sampled_from([b"x\x9c", b"x\x01", b"]\0\0\x80\0", b"ZF0x10              ", b""]),
    st.binary(max_size=4000),
)
@settings(deadline=None, max_examples=150)
def test_random_bytes_are_claimed_only_if_they_inflate(magic: bytes, data: bytes) -> None:
    if not compressed.recognizes(probe(magic + data)):
        return
    items, error = drain(magic + data)
    assert items or error


@given(st.binary(max_size=300), st.sampled_from(sorted(packed(b""))), st.data())
@settings(deadline=None, max_examples=150)
def test_mutated_streams_stay_within_bounds(data: bytes, form: str, draw: st.DataObject) -> None:
    stream = bytearray(packed(data[:250])[form])
    for _ in range(draw.draw(st.integers(0, 3))):
        stream[draw.draw(st.integers(0, len(stream) - 1))] = draw.draw(st.integers(0, 255))
    if compressed.recognizes(probe(bytes(stream))):
        items, _ = drain(bytes(stream))
        assert all(isinstance(item, Evidence | Member) for item in items)


@given(st.binary(max_size=400), st.integers(0, 3), st.integers(0, 255))
@settings(deadline=None, max_examples=100)
def test_what_python_reads_from_a_mutated_gzip_is_read_here(data: bytes, place: int, value: int) -> None:
    stream = bytearray(gzip.compress(data) + gzip.compress(b"second"))
    stream[-(place + 1)] = value
    with gzip.open(io.BytesIO(bytes(stream))) as reader:
        try:
            wanted = reader.read()
        except (OSError, EOFError, zlib.error):
            wanted = None
    items, error = drain(bytes(stream))
    if wanted is not None:
        assert error is None
        assert isinstance(items[0], Member)
        assert content(items[0]) == wanted


def test_what_is_no_stream_is_malformed() -> None:
    _, error = drain(b"nothing compressed here")
    assert isinstance(error, MalformedError)


def test_old_lzma_with_a_known_size() -> None:
    alone = lzma.compress(EVIL, format=lzma.FORMAT_ALONE)
    sized = alone[:5] + len(EVIL).to_bytes(8, "little") + alone[13:]
    assert compressed.recognizes(probe(sized))
