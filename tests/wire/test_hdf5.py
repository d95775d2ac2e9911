"""HDF5: the walk agrees with what h5py said of the same files, and hostile bytes end in bounds."""

from __future__ import annotations

import contextlib
import io
import json
import struct
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fixtures import raw_hdf5
from supplyguard.errors import BudgetExceededError, MalformedError, SupplyguardError, UnsupportedError
from supplyguard.limits import Budget, Limits
from supplyguard.wire import hdf5, hdf5_groups, hdf5_records
from supplyguard.wire.hdf5 import Node, Problem
from tests.fuzzing import cuts, mutations

ROOT = Path(__file__).parents[2]
BENIGN = ROOT / "fixtures" / "keras_h5" / "benign"
TRUTH: dict[str, Any] = json.loads((ROOT / "tests" / "data" / "hdf5_structure.json").read_bytes())
"""Written once by h5py 3.14: for each object its attributes, links, shape, sizes and filters."""


def walked(data: bytes, limits: Limits | None = None) -> list[Node | Problem]:
    stream = io.BytesIO(data)
    start = hdf5.find_superblock(stream, len(data))
    assert start is not None
    return list(hdf5.walk(stream, start, len(data), Budget(limits)))


def nodes(data: bytes) -> dict[str, Node]:
    return {each.path: each for each in walked(data) if isinstance(each, Node)}


def told(texts: tuple[str, ...] | None) -> list[Any] | None:
    if texts is None:
        return None
    return [len(each) for each in texts] if sum(map(len, texts)) > 500 else list(texts)


@pytest.mark.parametrize("name", sorted(TRUTH))
def test_as_h5py_sees_it(name: str) -> None:
    data = (BENIGN / name).read_bytes()
    assert [each for each in walked(data) if isinstance(each, Problem)] == []
    found = nodes(data)
    ours = {each.offset for each in found.values()}
    assert len(ours) == len(found)
    for path, row in TRUTH[name].items():
        node = found.get(path)
        if node is None:  # the same object under another of its names
            assert path.rsplit("/", 1)[1] in {"hard", "w0", "up"}
            continue
        assert {each.name: told(each.texts) for each in node.attributes} == row["attributes"], path
        if "links" in row:
            links = {each.name: "hard" if each.kind == "hard" else each.target for each in node.links}
            assert links == row["links"], path
        if "shape" in row:
            assert (list(node.shape or ()), node.element_size) == (row["shape"], row["size"]), path
            assert node.stored in (None, row["stored"]), path
            assert list(node.filters) == row["filters"], path


def test_every_object_is_reached() -> None:
    for name, rows in TRUTH.items():
        assert len(nodes((BENIGN / name).read_bytes())) >= len(rows) - 1


def test_the_chunk_tree_says_how_much_is_stored() -> None:
    node = nodes((BENIGN / "h5py_earliest.h5").read_bytes())["/weights/chunked"]
    assert node.stored == TRUTH["h5py_earliest.h5"]["/weights/chunked"]["stored"]
    assert node.declared == 64 * 64 * 8


def test_pyfive_agrees_on_the_groups() -> None:
    pyfive = pytest.importorskip("pyfive", reason="a second opinion that is not a dependency")
    for name in ("functional.h5", "recurrent.h5", "sequential.h5"):
        with pyfive.File(BENIGN / name) as file:
            paths: dict[str, Any] = {}
            file.visititems(paths.__setitem__)
        assert {f"/{path}" for path in paths} == set(nodes((BENIGN / name).read_bytes())) - {"/"}


def test_no_superblock() -> None:
    for data in (b"", b"\x89HDF", bytes(4096)):
        assert hdf5.find_superblock(io.BytesIO(data), len(data)) is None
    data = bytes(512) + (BENIGN / "functional.h5").read_bytes()
    assert hdf5.find_superblock(io.BytesIO(data), len(data)) == 512
    assert nodes(data).keys() == nodes(data[512:]).keys()


def changed(name: str, place: int, value: bytes) -> bytes:
    data = bytearray((BENIGN / name).read_bytes())
    data[place : place + len(value)] = value
    return bytes(data)


def test_superblocks_that_cannot_be_read() -> None:
    with pytest.raises(UnsupportedError):
        walked(changed("functional.h5", 8, b"\4"))
    with pytest.raises(MalformedError, match="odd size"):
        walked(changed("functional.h5", 13, b"\3"))
    with pytest.raises(MalformedError):
        walked((BENIGN / "functional.h5").read_bytes()[:50])


def swapped(name: str, old: bytes, new: bytes, count: int = -1) -> list[str]:
    data = (BENIGN / name).read_bytes()
    assert old in data
    return [each.message for each in walked(data.replace(old, new, count)) if isinstance(each, Problem)]


@pytest.mark.parametrize(
    ("name", "old", "new", "message"),
    [
        ("h5py_earliest.h5", b"SNOD", b"SNOT", "no SNOD"),
        ("h5py_earliest.h5", b"HEAP", b"HEAT", "no HEAP"),
        ("h5py_earliest.h5", b"GCOL", b"GCOT", "no GCOL"),
        ("h5py_earliest.h5", b"TREE\0", b"TREE\1", "another kind"),
        ("h5py_latest.h5", b"FRHP", b"FRHQ", "no FRHP"),
        ("h5py_latest.h5", b"FHDB", b"FHDC", "no FHDB"),
        ("h5py_latest.h5", b"BTHD", b"BTHE", "no BTHD"),
        ("h5py_latest.h5", b"BTLF", b"BTLG", "no BTLF"),
        ("h5py_latest.h5", b"BTHD\0\5", b"BTHD\0\6", "an index of type 6"),
        ("h5py_latest.h5", b"OHDR\2", b"OHDR\3", "unknown version"),
    ],
)
def test_what_is_broken_is_a_problem(name: str, old: bytes, new: bytes, message: str) -> None:
    assert any(message in each for each in swapped(name, old, new))


def test_a_tree_that_contains_itself_ends() -> None:
    data = bytearray((BENIGN / "h5py_earliest.h5").read_bytes())
    place = data.index(b"TREE\0")
    data[place + 5] = 1  # a level above the leaves, whose child is itself
    struct.pack_into("<QQQ", data, place + 24, 0, place, 0)
    assert any("contains itself" in each.message for each in walked(bytes(data)) if isinstance(each, Problem))


def test_limits_end_the_walk() -> None:
    with pytest.raises(BudgetExceededError):
        walked((BENIGN / "h5py_latest.h5").read_bytes(), Limits(nodes=20))


@pytest.mark.parametrize("name", ["h5py_earliest.h5", "h5py_latest.h5"])
def test_cut_and_changed_files_end_in_supplyguard_errors(name: str) -> None:
    data = (BENIGN / name).read_bytes()
    for each in (*cuts(data, 120), *mutations(data, 150)):
        if hdf5.find_superblock(io.BytesIO(each), len(each)) is not None:
            with contextlib.suppress(SupplyguardError):
                walked(each, Limits(nodes=50_000))


@given(st.binary(max_size=300), st.sampled_from([0, 1, 2, 3]))
@settings(deadline=None, max_examples=100)
def test_any_bytes_after_the_signature(data: bytes, version: int) -> None:
    head = b"\x89HDF\r\n\x1a\n" + bytes([version]) + (bytes(4) if version < 2 else b"") + b"\x08\x08"
    with contextlib.suppress(SupplyguardError):
        walked(head + data)


def test_texts_and_names_cost_what_they_are_long(monkeypatch: pytest.MonkeyPatch) -> None:
    data = raw_hdf5.file([raw_hdf5.text_attribute("a", bytes(60_000))])
    with pytest.raises(BudgetExceededError):
        walked(data, Limits(nodes=500))
    monkeypatch.setattr(hdf5_records, "MOST_ATTRIBUTE_BYTES", 1000)
    assert [each.message for each in walked(data) if isinstance(each, Problem)] == [
        "attribute 'a': texts of more than 64 MiB"
    ]
    place = b"/".join([b"n" * 3000] * 40)
    slot = struct.pack("<B3xHHQQQQ", 1, 1, 1, 0, 0, 0, 8)
    plain = raw_hdf5.contiguous(raw_hdf5.UNDEFINED, 8)
    body = raw_hdf5.dataset(plain, raw_hdf5.message(0x07, slot))
    start = len(raw_hdf5.file([], [("d", body)]))
    slot = struct.pack("<B3xHHQQQQ", 1, 1, 1, start, 0, 0, 8)
    body = raw_hdf5.dataset(plain, raw_hdf5.message(0x07, slot))
    (node,) = [
        each
        for each in nodes(raw_hdf5.file([], [("d", body)], tail=raw_hdf5.local_heap(start, place))).values()
        if each.external
    ]
    assert len(node.external[0]) == hdf5_groups.MOST_NAME


def test_a_global_heap_text_that_is_too_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hdf5_records, "MOST_ATTRIBUTE_BYTES", 100)
    found = walked((BENIGN / "functional.h5").read_bytes())
    assert any("a text of" in each.message for each in found if isinstance(each, Problem))


@pytest.mark.parametrize(
    ("messages", "told"),
    [
        ([raw_hdf5.message(0x01, bytes([9, 1, 0, 0]))], "odd dataspace"),
        ([raw_hdf5.message(0x08, bytes([9, 1]))], "data layout of version 9"),
        ([raw_hdf5.message(0x08, bytes([3, 7]))], "data layout class 7"),
        ([raw_hdf5.message(0x06, bytes([9, 1]))], "link message of an unknown version"),
        ([raw_hdf5.message(0x10, struct.pack("<QQ", 112, 24))], "continues in itself"),
        (
            [raw_hdf5.message(0x11, struct.pack("<QQ", raw_hdf5.UNDEFINED, raw_hdf5.UNDEFINED))],
            "address is missing",
        ),
        ([raw_hdf5.message(0x02, bytes([0, 0]) + struct.pack("<QQ", 96, 96))], "no FRHP"),
        ([raw_hdf5.message(0x15, bytes([0, 0]) + struct.pack("<QQ", 96, 96))], "no FRHP"),
        ([struct.pack("<HHB3x", 0x0C, 24, 2) + bytes([3, 1]) + bytes(22)], "shared message heap"),
        ([struct.pack("<HHB3x", 0x0C, 24, 2) + bytes([1, 0]) + bytes(22)], "no object header"),
        ([struct.pack("<HHB3x", 0x0C, 24, 2) + bytes([2, 0, 96]) + bytes(21)], "not there"),
    ],
)
def test_messages_that_cannot_be_read(messages: list[bytes], told: str) -> None:
    problems = [each.message for each in walked(raw_hdf5.file(messages)) if isinstance(each, Problem)]
    assert any(told in each for each in problems), problems


def test_old_layouts() -> None:
    sizes = struct.pack("<III", 2, 3, 4)
    chunked = bytes([1, 3, 2]) + bytes(5) + struct.pack("<Q", raw_hdf5.UNDEFINED) + sizes
    contiguous = bytes([2, 2, 1]) + bytes(5) + struct.pack("<Q", 96) + sizes[:8]
    compact = bytes([1, 2, 0]) + bytes(5) + sizes[:8] + struct.pack("<I", 6) + bytes(6)
    new_compact = bytes([3, 0]) + struct.pack("<H", 6) + bytes(6)
    for layout, stored in ((chunked, 0), (contiguous, None), (compact, 6), (new_compact, 6)):
        data = raw_hdf5.file([], [("d", raw_hdf5.dataset(layout, raw_hdf5.message(0x0B, bytes(8))))])
        assert nodes(data)["/d"].stored == stored


def test_old_filters_and_null_spaces() -> None:
    old = bytes([1, 2]) + bytes(6) + struct.pack("<HHHH8sI4x", 32015, 8, 0, 1, b"zstd", 3)
    old += struct.pack("<HHHH", 1, 0, 0, 0)
    layout = raw_hdf5.contiguous(raw_hdf5.UNDEFINED, 0)
    null = raw_hdf5.message(0x01, bytes([2, 0, 0, 2]))
    data = raw_hdf5.file([], [("d", raw_hdf5.dataset(layout, raw_hdf5.message(0x0B, old), null))])
    node = nodes(data)["/d"]
    assert (node.filters, node.shape, node.declared) == ((32015, 1), None, 0)


def test_more_objects_than_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hdf5, "MOST_OBJECTS", 3)
    found = walked((BENIGN / "functional.h5").read_bytes())
    assert isinstance(found[-1], Problem)
