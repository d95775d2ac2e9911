"""Archives under mutation: whatever Python's zipfile reads is read here too, and nothing escapes."""

from __future__ import annotations

import io
import lzma
import zipfile
import zlib
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fixtures.make_torch_zip import TENSOR, checkpoint
from fixtures.make_zip_archive import EVIL, TEXT
from fixtures.raw_zip import Part, write_zip
from supplyguard.errors import SupplyguardError
from supplyguard.finding import Evidence, Notification
from supplyguard.inspectors import Inspector, torch_zip, zip_archive
from supplyguard.inventory import Member
from supplyguard.limits import Budget, Limits
from tests.examined import probe, yielded

pytestmark = pytest.mark.heavy

LIMITS = Limits(seconds=20, members=500)
SEED = write_zip(
    [
        Part(name=b"m/data.pkl", data=EVIL, method=8),
        Part(name=b"m/version", data=b"3\n"),
        Part(name=b"m/config.json", data=TEXT, method=8, flags=0x800),
        Part(name=b"m/data/0", data=bytes(100)),
    ],
    comment=b"a comment",
)
SEEDS = (SEED, SEED + SEED, b"#!prefix\n" + SEED, checkpoint(TENSOR), SEED[:120])
CHANGES = st.lists(st.tuples(st.integers(0, 5000), st.integers(0, 255)), max_size=5)


def drained(inspector: Inspector, data: bytes) -> Iterator[Evidence | Member | Notification]:
    try:
        yield from yielded(inspector, data, budget=Budget(LIMITS))
    except SupplyguardError:
        return


def read_all(member: Member) -> bytes:
    try:
        with member.open() as stream:
            return stream.read(1 << 20)
    except SupplyguardError:
        return b""


def changed(data: bytes, changes: list[tuple[int, int]]) -> bytes:
    """Change bytes, mostly in the headers at the file's end."""
    mutable = bytearray(data)
    for place, value in changes:
        mutable[-(place % len(mutable)) - 1] = value
    return bytes(mutable)


@given(st.sampled_from(SEEDS), CHANGES)
@settings(deadline=None, max_examples=300)
def test_mutated_zips_give_only_what_inspectors_may(seed: bytes, changes: list[tuple[int, int]]) -> None:
    data = changed(seed, changes)
    for inspector in (zip_archive, torch_zip):
        if inspector.recognizes(probe(data)):
            for item in drained(inspector, data):
                assert isinstance(item, Evidence | Member | Notification)
                if isinstance(item, Member):
                    read_all(item)


@given(st.sampled_from(SEEDS[:3]), CHANGES)
@settings(deadline=None, max_examples=300)
def test_what_zipfile_reads_is_read_here(seed: bytes, changes: list[tuple[int, int]]) -> None:
    data = changed(seed, changes)
    try:
        archive = zipfile.ZipFile(io.BytesIO(data))
    except (zipfile.BadZipFile, NotImplementedError, ValueError, UnicodeDecodeError):
        return
    here = {read_all(item) for item in drained(zip_archive, data) if isinstance(item, Member)}
    with archive:
        for info in archive.infolist():
            try:
                content = archive.read(info)
            except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, OSError):
                continue
            except (zlib.error, lzma.LZMAError, ValueError):
                continue
            if content:
                assert zip_archive.recognizes(probe(data))
                assert any(each.startswith(content) for each in here), info.filename


@given(
    st.lists(
        st.tuples(st.text(min_size=1, max_size=12), st.binary(max_size=200), st.sampled_from([0, 8, 12, 14])),
        max_size=6,
        unique_by=lambda each: each[0].casefold(),
    )
)
@settings(deadline=None, max_examples=100)
def test_what_zipfile_writes_comes_back(parts: list[tuple[str, bytes, int]]) -> None:
    buffer = io.BytesIO()
    written: list[tuple[str, bytes]] = []
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data, method in parts:
            if "\0" in name or name.endswith("/") or any(0xD800 <= ord(each) < 0xE000 for each in name):
                continue
            archive.writestr(zipfile.ZipInfo(name), data, compress_type=method)
            written.append((name, data))
    items = list(drained(zip_archive, buffer.getvalue()))
    members = [(item.name, read_all(item)) for item in items if isinstance(item, Member)]
    assert members == written
    structural = {"zip-ambiguous", "zip-header-mismatch", "zip-hidden-data", "zip-overlap", "zip-checksum"}
    assert not [item for item in items if isinstance(item, Evidence) and item.kind in structural]


@pytest.mark.parametrize("seed", SEEDS[:4])
def test_cut_anywhere_nothing_escapes(seed: bytes) -> None:
    for end in range(0, len(seed), 7):
        for item in drained(zip_archive, seed[:end]):
            if isinstance(item, Member):
                read_all(item)
