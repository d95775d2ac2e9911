"""Tar archives: every file that Python's tarfile would read is a member, and tricks are seen."""

from __future__ import annotations

import io
import json
import struct
import tarfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fixtures.make_tar_archive import EVIL, TEXT, block, entry, pax, tar, torch_tar
from supplyguard.errors import BudgetExceededError, MalformedError, SupplyguardError
from supplyguard.finding import Evidence, Notification
from supplyguard.inspectors import tar_archive
from supplyguard.inventory import Member
from supplyguard.limits import Budget, Limits
from tests.examined import content, findings, gaps, part_of, probe, yielded

FIXTURES = Path(__file__).parents[2] / "fixtures" / "tar_archive"
EXPECTED = json.loads((FIXTURES / "expected.json").read_text(encoding="utf-8"))


def members(data: bytes) -> list[Member]:
    return [item for item in yielded(tar_archive, data) if isinstance(item, Member)]


def kinds(data: bytes) -> list[str]:
    return [item.kind for item in yielded(tar_archive, data) if isinstance(item, Evidence)]


def until_error(data: bytes, budget: Budget | None = None) -> tuple[list[object], SupplyguardError | None]:
    found: list[object] = []
    items = yielded(tar_archive, data, budget=budget)
    while True:
        try:
            found.append(next(items))
        except StopIteration:
            return found, None
        except SupplyguardError as error:
            return found, error


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_fixtures(name: str) -> None:
    part = part_of(FIXTURES / name)
    found = {(each.rule.id, each.location.offset) for each in findings(part)}
    wanted = {(each["rule"], each["offset"]) for each in EXPECTED[name]}
    assert wanted <= found
    assert wanted or not (found or gaps(part))


def test_torch_members_are_cut_into_pickles_and_numbers() -> None:
    found = {each.name: content(each) for each in members(torch_tar())}
    assert list(found) == [
        "sys_info",
        *(f"storages@{place}" for place in (0, 5, 44, 60)),
        *(f"tensors@{place}" for place in (0, 5, 33)),
        "pickle",
    ]
    assert found["storages@44"] == struct.pack("<q2f", 2, 1.0, 2.0)
    assert b"".join(each for name, each in found.items() if name.startswith("tensors")) in torch_tar()


@pytest.mark.parametrize(
    "data",
    [
        torch_tar().replace(b"FloatStorage", b"EvilsStorage"),
        torch_tar().replace(struct.pack("<q2f", 2, 1.0, 2.0), struct.pack("<q2f", 2**40, 1.0, 2.0)),
        torch_tar().replace(struct.pack("<q2f", 2, 1.0, 2.0), struct.pack("<q2f", -2, 1.0, 2.0)),
        torch_tar().replace(struct.pack("<ii", 1, 0) + struct.pack("<q", 2), struct.pack("<iiq", -1, 0, 2)),
        torch_tar().replace(b"torch\nFloatTensor\nt.", b"torch\nFloatTensor\nt\xff"),
    ],
)
def test_torch_members_that_break_their_layout_are_said_and_kept(data: bytes) -> None:
    items = list(yielded(tar_archive, data))
    assert [item.code for item in items if isinstance(item, Notification)] == ["malformed"]
    names = [item.name for item in items if isinstance(item, Member)]
    assert names[-1] == "pickle"
    for name in ("storages", "tensors"):
        parts = b"".join(
            content(item) for item in items if isinstance(item, Member) and item.name.startswith(name)
        )
        assert parts in data
        assert len(parts) > 50


def test_files_are_slices_of_the_archive() -> None:
    found = members(tar(entry("a", TEXT), entry("d", kind="5"), entry("a", EVIL), entry("v", b"x", "7")))
    assert [(each.path, content(each)) for each in found] == [
        (("a",), TEXT),
        (("a#2",), EVIL),
        (("v",), b"x"),
    ]


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_what_python_writes_has_no_evidence(form: int) -> None:
    names = ["a.txt", "folder/" * 12 + "b.txt", "f" * 99, "x/" + "y" * 98]
    if form != tarfile.USTAR_FORMAT:
        names += ["ü/ключ.txt", "long/" * 60 + "c.txt"]
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=form) as archive:
        for name in names:
            info = tarfile.TarInfo(name)
            info.size = len(TEXT)
            info.mtime = 1.5 if form == tarfile.PAX_FORMAT else 1
            archive.addfile(info, io.BytesIO(TEXT))
    assert kinds(buffer.getvalue()) == []
    assert [(each.name, content(each)) for each in members(buffer.getvalue())] == [
        (name, TEXT) for name in names
    ]


def test_sizes_in_base_256_are_read() -> None:
    raw = b"\x80" + len(TEXT).to_bytes(11, "big")
    assert [content(each) for each in members(block("a", raw_size=raw) + TEXT.ljust(512, b"\0"))] == [TEXT]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (block("a", raw_size=b"\xff" * 12), "negative"),
        (block("a", raw_size=b"12x45678901\0"), "octal"),
        (entry("a", TEXT) + b"\1" * 512, "checksum"),
        (entry("a", TEXT) + b"\1" * 100, "ends early"),
        (block("a", 5000) + TEXT, "cut"),
        (entry("x", b"no record", "x"), "record"),
        (entry("x", b"12 size=abc\n", "x") + entry("a", TEXT), "decimal"),
        (entry("x", b"99999 a=b\n", "x"), "record"),
        (block("x", 2 << 20, "x") + bytes(4 << 20), "too long"),
        (block("x", 5000, "L"), "too long"),
    ],
)
def test_broken_headers_are_malformed(data: bytes, message: str) -> None:
    _, error = until_error(data)
    assert isinstance(error, MalformedError)
    assert message in error.message


def test_members_before_a_break_are_kept() -> None:
    found, error = until_error(entry("a", EVIL) + b"\1" * 512)
    assert error is not None
    assert [content(each) for each in found if isinstance(each, Member)] == [EVIL]


def test_a_sparse_member_is_said() -> None:
    header = bytearray(block("s", len(TEXT), "S"))
    header[482] = 1
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    data = tar(bytes(header) + bytes(512) + TEXT.ljust(512, b"\0"))
    items = list(yielded(tar_archive, data))
    assert [content(item) for item in items if isinstance(item, Member)] == [TEXT]
    assert [item.code for item in items if isinstance(item, Notification)] == ["sparse"]
    _, error = until_error(bytes(header) + (bytes(504) + b"\1" * 8) * 600)
    assert isinstance(error, MalformedError)


@pytest.mark.heavy
def test_limits_hold() -> None:
    data = tar(*(entry(f"../{number}") for number in range(70)))
    items = list(yielded(tar_archive, data))
    assert sum(isinstance(item, Evidence) for item in items) == tar_archive.SHOWN
    assert [item.code for item in items if isinstance(item, Notification)] == ["not-listed"]
    _, error = until_error(data, Budget(Limits(members=20)))
    assert isinstance(error, BudgetExceededError)
    _, error = until_error(tar(*(entry("a") for _ in range(1100))), Budget(Limits(seconds=0)))
    assert isinstance(error, BudgetExceededError)


def test_an_empty_archive_and_other_files() -> None:
    assert members(bytes(10_240)) == []
    assert not tar_archive.recognizes(probe(bytes(10_240)))
    assert not tar_archive.recognizes(probe(b"text " * 500))
    assert tar_archive.recognizes(probe(tar(entry("a"))))


def test_links_that_stay_inside_are_plain() -> None:
    assert kinds(tar(entry("a/b/c", kind="2", link="../d"))) == []
    assert kinds(tar(entry("a/b", kind="2", link="../../d"))) == ["tar-link-leaves"]


@given(st.binary(max_size=2000))
@settings(deadline=None, max_examples=100)
def test_random_bytes_are_no_tar(data: bytes) -> None:
    assert not tar_archive.recognizes(probe(b"\1" + data))


def sealed(data: bytearray, at: int) -> None:
    """Make the checksum of the header at `at` right again."""
    data[at + 148 : at + 156] = b" " * 8
    data[at + 148 : at + 156] = b"%06o\0 " % sum(data[at : at + 512])


@pytest.mark.heavy
@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 511), st.integers(0, 255)), max_size=4))
@settings(deadline=None, max_examples=250)
def test_what_python_reads_of_a_mutated_tar_is_read_here(changes: list[tuple[int, int, int]]) -> None:
    data = bytearray(tar(pax(path="long/name.pkl"), entry("n.pkl", EVIL), entry("b", TEXT, link="x")))
    for number, place, value in changes:
        header = (0, 1024, 2048)[number % 3]
        data[header + place] = value
        sealed(data, header)
    found, _ = until_error(bytes(data))
    contents = [item for item in found if isinstance(item, Member)]
    here = set()
    for member in contents:
        with member.open() as stream:
            here.add(stream.read(9999))
    try:
        with tarfile.open(fileobj=io.BytesIO(bytes(data))) as archive:
            wanted = [
                (info.name, archive.extractfile(info))
                for info in archive.getmembers()
                if info.isreg() and not info.issparse()
            ]
            for name, reader in wanted:
                assert reader is not None
                assert reader.read() in here, name
    except (tarfile.TarError, ValueError, EOFError):
        return
