"""The zip reader: every reading is found, limits hold, random bytes are not claimed."""

from __future__ import annotations

import io
import random
import struct
import zipfile
from typing import BinaryIO, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fixtures.raw_zip import Part, write_zip
from supplyguard.archives.member_names import Segments, folded, unsafe_reasons
from supplyguard.archives.zip_contents import Contents, Span, read_contents, split_archives, walk_locals
from supplyguard.archives.zip_directory import is_zip
from supplyguard.archives.zip_layouts import OTHER, layout_of
from supplyguard.errors import BudgetExceededError, MalformedError
from supplyguard.limits import Budget, Limits
from tests.examined import probe

TEXT = b"some text " * 20
ONE = write_zip([Part(name=b"one", data=TEXT)])
TWO = write_zip([Part(name=b"two", data=TEXT)])


def contents(data: bytes, budget: Budget | None = None) -> Contents:
    return read_contents(cast("BinaryIO", io.BytesIO(data)), len(data), budget or Budget())


def zip64(parts: list[tuple[str, bytes]], *, prefix: bytes = b"") -> bytes:
    """Write an archive with a zip64 end record, as PyTorch does even for small ones."""
    data = write_zip([Part(name=name.encode(), data=body) for name, body in parts])
    end = data[-22:]
    total, size, start = struct.unpack("<HLL", end[10:20])
    at = len(data) - 22
    wide = struct.pack("<4sQ2H2L4Q", b"PK\6\6", 44, 45, 45, 0, 0, total, total, size, start)
    return prefix + data[:-22] + wide + struct.pack("<4sLQL", b"PK\6\7", 0, at, 1) + end


def test_a_plain_archive_has_one_reading() -> None:
    found = contents(ONE)
    assert found.names == ("one",)
    assert found.ambiguities == ()
    assert found.items[0].disagreements == ()
    assert found.gaps == ()
    assert found.prefix == Span(start=0, end=0)


@pytest.mark.parametrize("prefix", [b"", b"#!" + b"x" * 500])
def test_zip64_records_are_read(prefix: bytes) -> None:
    found = contents(zip64([("a", TEXT), ("b", b"")], prefix=prefix))
    assert found.names == ("a", "b")
    assert found.ambiguities == ()
    assert found.prefix.end == len(prefix)


def test_zip64_sizes_come_from_the_extra_field() -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive, archive.open("big", "w", force_zip64=True) as member:
        member.write(TEXT)
    found = contents(buffer.getvalue())
    assert [item.disagreements for item in found.items] == [()]
    assert found.items[0].local is not None
    assert found.items[0].local.compressed in (0, len(TEXT))


def test_zip64_records_that_differ_are_an_ambiguity() -> None:
    # the locator points to a record for the first archive; a second record stands before the locator
    first = zip64([("good", TEXT)])
    second = write_zip([Part(name=b"evil", data=TEXT)])
    total, size, start = struct.unpack("<HLL", second[-12:-2])
    base = len(first)
    wide = struct.pack("<4sQ2H2L4Q", b"PK\6\6", 44, 45, 45, 0, 0, total, total, size, start + base)
    pointed = first.index(b"PK\6\6")
    locator = struct.pack("<4sLQL", b"PK\6\7", 0, pointed, 1)
    end = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0)
    found = contents(first + second[:-22] + wide + locator + end)
    assert set(found.names) == {"good", "evil"}
    assert "zip64" in found.ambiguities


def test_joined_archives_are_both_read() -> None:
    found = contents(ONE + TWO)
    assert set(found.names) == {"one", "two"}
    assert "offsets" in found.ambiguities


def test_joined_archives_of_other_shape_are_seen() -> None:
    longer = write_zip([Part(name=b"other", data=TEXT), Part(name=b"more", data=TEXT)])
    found = contents(longer + TWO)
    assert {"other", "more", "two"} <= set(found.names) or "joined archives" in found.ambiguities
    assert found.ambiguities


def test_a_long_first_archive_is_seen_too() -> None:
    longer = write_zip([Part(name=b"other", data=bytes(200_000))])
    found = contents(longer + write_zip([Part(name=b"two", data=bytes(100_000))]))
    assert "joined archives" in found.ambiguities
    assert found.prefix == Span(start=0, end=len(longer))


def test_an_archive_stored_inside_is_no_second_directory() -> None:
    inner = write_zip([Part(name=b"inner", data=TEXT)])
    found = contents(write_zip([Part(name=b"a", data=TEXT), Part(name=b"in.zip", data=inner)]))
    assert found.names == ("a", "in.zip")
    assert found.ambiguities == ()


def test_no_directory_is_malformed() -> None:
    for data in (b"PK\3\4" + bytes(40), ONE[:-22], ONE[:-22] + b"PK\5\6" + b"\xff" * 18):
        with pytest.raises(MalformedError, match="no end record"):
            contents(data)


def test_a_broken_directory_is_said() -> None:
    two = write_zip([Part(name=b"one", data=TEXT), Part(name=b"two", data=TEXT)])
    place = two.rindex(b"PK\1\2")
    found = contents(two[:place] + b"XX" + two[place + 2 :])
    assert found.names == ("one",)
    assert found.problems == ("central record 2 is broken",)
    assert found.ambiguities == ("entry count",)


def test_limits_hold() -> None:
    many = write_zip([Part(name=b"%d" % number) for number in range(50)])
    with pytest.raises(BudgetExceededError):
        contents(many, Budget(Limits(members=20)))
    with pytest.raises(BudgetExceededError):
        list(
            walk_locals(
                cast("BinaryIO", io.BytesIO(many)), Span(start=0, end=len(many)), Budget(Limits(members=20))
            )
        )
    with pytest.raises(BudgetExceededError):
        split_archives(cast("BinaryIO", io.BytesIO(ONE * 50)), len(ONE) * 50, Budget(Limits(members=20)))
    with pytest.raises(BudgetExceededError):
        contents(write_zip([Part(name=b"%d" % number) for number in range(1100)]), Budget(Limits(seconds=0)))


def test_a_concatenation_is_cut_where_archives_begin() -> None:
    data = ONE + b"between" + TWO + ONE
    spans = split_archives(cast("BinaryIO", io.BytesIO(data)), len(data), Budget())
    parts = [data[span.start : span.end] for span in spans]
    assert parts == [ONE, b"between", TWO, ONE]
    text = b"no archive at all, but long enough to look into"
    assert split_archives(cast("BinaryIO", io.BytesIO(text)), len(text), Budget()) == [
        Span(start=0, end=len(text))
    ]


@given(st.binary(max_size=3000))
@settings(deadline=None, max_examples=100)
def test_random_bytes_are_no_zip(data: bytes) -> None:
    assert not is_zip(probe(b"\0" + data))


def test_large_random_bytes_are_no_zip() -> None:
    data = bytearray(random.Random(3).randbytes(300_000))  # noqa: S311 - test data
    for place in range(260_000, 299_000, 500):
        data[place : place + 4] = b"PK\5\6"
    assert not is_zip(probe(bytes(data)))


@pytest.mark.parametrize(
    ("name", "reasons"),
    [
        ("a/b.txt", ()),
        ("~$draft.docx", ()),
        ("a..b/c", ()),
        ("/etc/x", ("absolute",)),
        ("\\x", ("absolute", "backslash")),
        ("c:x", ("drive",)),
        ("a/../../b", ("parent",)),
        ("..\\b", ("parent", "backslash")),
        ("~/x", ("home",)),
        ("~root/x", ("home",)),
        ("a\0b", ("nul",)),
        ("a\x1bb", ("control",)),
    ],
)
def test_names_are_judged(name: str, reasons: tuple[str, ...]) -> None:
    assert unsafe_reasons(name) == reasons


def test_names_fold_as_readers_do() -> None:
    assert folded("M/DATA.pkl") == folded("m\\data.PKL") == folded("m/data.pkl\0.txt")
    assert folded("e\u0301") == folded("\u00e9")


def test_segments_are_distinct() -> None:
    segments = Segments()
    names = [segments.take(name) for name in ("a", "a", "a#2", "a", "", "")]
    assert names == ["a", "a#2", "a#2#2", "a#3", "(unnamed)", "(unnamed)#2"]


@pytest.mark.parametrize(
    ("names", "layout"),
    [
        (["x/data.pkl", "x/version"], "torch"),
        (["x/DATA.PKL"], "torch"),
        (["x/y/data.pkl"], "other"),
        (["x/data.pkl", "x/constants.pkl"], "torchscript"),
        (["x/data.pkl", "y/constants.pkl"], "torch"),
        (["x/archive_format", "x/data/weights/weight_0"], "pt2"),
        (["config.json", "metadata.json", "model.weights.h5"], "keras"),
        (["schema.json", "1.npy"], "skops"),
        (["MAR-INF/MANIFEST.json"], "mar"),
        (["data", "policy.pth"], "sb3"),
        (["a.npy", "b.npy"], "npz"),
        (["a.npy", "b.txt"], "other"),
        ([], "other"),
    ],
)
def test_layouts_are_known_by_names(names: list[str], layout: str) -> None:
    assert layout_of(names).name == layout


def test_raw_storages_are_inert_only_where_the_layout_says() -> None:
    torch = layout_of(["m.x/data.pkl"])
    assert torch.inert("m.x/data/0") is not None
    for name in ("m.x/data/0.pkl", "mXx/data/0", "m.x/data.pkl", "m.x/data/", "other/data/0", "m.x/data/0\n"):
        assert torch.inert(name) is None, name
    assert OTHER.inert("m.x/data/0") is None
