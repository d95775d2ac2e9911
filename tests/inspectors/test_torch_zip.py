"""PyTorch checkpoints: what its reader makes of names, and that size does not cost."""

from __future__ import annotations

import json
import struct
import time
from pathlib import Path

import pytest

from fixtures.make_torch_zip import TENSOR, checkpoint, make, tensor
from fixtures.make_zip_archive import EVIL
from fixtures.raw_zip import Part, plain_pickle, write_zip
from supplyguard.finding import Evidence
from supplyguard.inspectors import torch_zip, zip_archive
from supplyguard.inventory import Member
from supplyguard.limits import Budget
from supplyguard.pickles import torch_storages
from supplyguard.pickles.knowledge import current_knowledge
from supplyguard.pickles.programs import Program
from supplyguard.pickles.record import CallSeen
from tests.examined import findings, gaps, part_of, probe, yielded
from tests.fuzzing import cuts, mutations, survives

FIXTURES = Path(__file__).parents[2] / "fixtures" / "torch_zip"
EXPECTED = json.loads((FIXTURES / "expected.json").read_text(encoding="utf-8"))


def evidence(data: bytes) -> list[Evidence]:
    return [item for item in yielded(torch_zip, data) if isinstance(item, Evidence)]


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_fixtures(name: str) -> None:
    part = part_of(FIXTURES / name)
    found = {each.rule.id for each in findings(part)}
    assert {each["rule"] for each in EXPECTED[name]} <= found
    assert EXPECTED[name] or not (found or gaps(part))


def test_regenerating_gives_the_same_bytes(tmp_path: Path) -> None:
    make(tmp_path)
    for path in (file for file in FIXTURES.rglob("*") if file.is_file()):
        assert (tmp_path / path.relative_to(FIXTURES)).read_bytes() == path.read_bytes()


def test_every_program_is_examined_whatever_its_name() -> None:
    data = (FIXTURES / "malicious" / "case_variant.pt").read_bytes()
    assert [each.facts["names"] for each in evidence(data)] == [("archive/data.pkl", "archive/DATA.PKL")]
    found = findings(part_of(FIXTURES / "malicious" / "case_variant.pt"))
    calls = [each for each in found if each.rule.id == "pickle-executes-code"]
    assert [(each.location.member, each.location.offset) for each in calls] == [(("archive/DATA.PKL",), 40)]


def test_other_zips_and_broken_ones_are_left_alone() -> None:
    assert evidence(write_zip([Part(name=b"a/data.txt")])) == []
    assert evidence(b"PK\3\4" + bytes(60)) == []
    assert not torch_zip.recognizes(probe(b"no zip"))
    assert not torch_zip.recognizes(probe(write_zip([Part(name=b"a.txt")])))
    assert torch_zip.recognizes(probe(checkpoint(), "weights.bin"))
    assert not torch_zip.recognizes(probe(checkpoint(), "__0_0.distcp"))


def test_an_unseen_directory_is_looked_at() -> None:
    parts = [Part(name=b"archive/data/%d" % number) for number in range(3000)]
    data = write_zip([*parts[:1500], Part(name=b"archive/data.pkl", data=EVIL), *parts[1500:]])
    assert torch_zip.recognizes(probe(data))


def test_texts_that_cannot_be_read_are_left_to_the_archive() -> None:
    unread = Part(name=b"archive/version", method=9, written=b"?")
    data = write_zip([Part(name=b"archive/data.pkl", data=plain_pickle()), unread])
    assert evidence(data) == []
    gone = Part(name=b"archive/version", central={"target": 7})
    assert evidence(write_zip([Part(name=b"archive/data.pkl", data=plain_pickle()), gone])) == []


def sparse_checkpoint(path: Path, size: int) -> None:
    """Write a checkpoint whose storage is a hole of `size` bytes."""
    program = TENSOR.replace(b"K\x04tQ", b"\x8a\x08" + struct.pack("<q", size // 4) + b"tQ")
    small = write_zip(
        [
            Part(name=b"archive/data.pkl", data=program),
            Part(
                name=b"archive/data/0",
                local={"compressed": size, "size": size},
                central={"compressed": size, "size": size},
            ),
        ]
    )
    start = small.index(b"PK\1\2")
    end = small.index(b"PK\5\6")
    directory, record = small[start:end], bytearray(small[end:])
    record[16:20] = struct.pack("<L", start + size)
    with path.open("wb") as stream:
        stream.write(small[:start])
        stream.seek(start + size)
        stream.write(directory + bytes(record))


def test_two_gigabytes_cost_what_a_small_file_costs(tmp_path: Path) -> None:
    sparse_checkpoint(tmp_path / "small.pt", 64)
    sparse_checkpoint(tmp_path / "large.pt", 2_000_000_000)
    seconds = []
    for name in ("small.pt", "small.pt", "large.pt"):
        start = time.monotonic()
        part = part_of(tmp_path / name)
        seconds.append(time.monotonic() - start)
        assert findings(part) == []
        assert part.inert_members == 1
    assert seconds[2] < seconds[1] + 0.5


def test_honest_storages_and_tensors_are_all_compared() -> None:
    seen = 0
    for path in sorted((FIXTURES.parent / "honest" / "torch").glob("*_zip.pt")):
        for member in yielded_members(path):
            for program in torch_storages.programs_of(member, Budget(), current_knowledge()):
                sizes = [each.size for each in torch_storages.storages_of(program)]
                assert None not in sizes
                tensors = list(torch_storages.tensors_of(program))
                assert all(each.fits() and each.elements is not None for each in tensors)
                seen += len(tensors)
    assert seen > 300


def yielded_members(path: Path) -> list[Member]:
    items = yielded(zip_archive, path.read_bytes())
    return [item for item in items if isinstance(item, Member) and item.name.endswith("data.pkl")]


@pytest.mark.parametrize(
    ("numbers", "fits"),
    [
        ((0, (2, 2), (2, 1), 4), True),
        ((1, (2, 2), (2, 1), 4), False),
        ((0, (2, 2), (-2, 1), 4), False),
        ((-1, (2,), (1,), 4), False),
        ((0, (2,), (1, 1), 4), False),
        ((9, (0, 3), (3, 1), 0), True),
        ((3, (), (), 4), True),
        ((4, (), (), 4), False),
        ((0, (1 << 62,), (1 << 62,), 4), False),
        ((0, (9,), (0,), 1), True),
        ((7, (9,), (1,), None), True),
    ],
)
def test_a_tensor_fits(numbers: tuple[int, tuple[int, ...], tuple[int, ...], int | None], fits: bool) -> None:
    offset, sizes, strides, elements = numbers
    made = torch_storages.Tensor(
        key="0", call=0, offset=offset, sizes=sizes, strides=strides, elements=elements
    )
    assert made.fits() is fits


def test_what_is_no_storage_is_passed_over() -> None:
    for identifier in (b"K\x01", b"(X\x01\x00\x00\x00aK\x01K\x01K\x01K\x01t", b"(]]]]]t"):
        program = b"\x80\x02" + identifier + b"Q."
        assert [each.kind for each in evidence(checkpoint(program))] == []
    odd_key = tensor().replace(b"X\x01\x00\x00\x000", b"]")
    assert [each.kind for each in evidence(checkpoint(odd_key))] == []


def test_an_unknown_class_of_storage_is_only_looked_up() -> None:
    unknown = tensor().replace(b"FloatStorage", b"OtherStorage")
    assert evidence(checkpoint(unknown)) == []
    missing = tensor(key=b"9").replace(b"FloatStorage", b"OtherStorage")
    (found,) = evidence(checkpoint(missing))
    assert (found.facts["missing"], found.facts["stated"], found.location.member) == (
        True,
        4,
        ("archive/data.pkl",),
    )


def test_a_pickle_beyond_reach_is_said_to_be_uncompared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch_storages, "MOST_BYTES", 64)
    monkeypatch.setattr(torch_zip, "MOST_BYTES", 64)
    items = list(yielded(torch_zip, checkpoint(tensor(key=b"9"))))
    assert [getattr(item, "code", None) for item in items] == ["not-compared"]


def test_a_program_that_cannot_be_inflated_is_left_to_the_archive() -> None:
    broken = Part(name=b"archive/data.pkl", data=TENSOR, method=8, written=b"\xff" * 40)
    assert evidence(write_zip([broken])) == []
    assert evidence(write_zip([Part(name=b"archive/data.pkl", method=9, written=b"?")])) == []


def test_untyped_storages_count_bytes() -> None:
    assert torch_storages.element_size("torch.storage.UntypedStorage") == 1
    assert torch_storages.element_size("odd") is None
    text = "persistent id ('storage', torch.storage.UntypedStorage, '0', 'cpu', 8), 0, (4), (1)"
    program = Program(path=(), start=0)
    for rest, elements in ((", False, None, torch.uint16", 4), (", torch.unheard_of", None), ("", None)):
        call = CallSeen(
            offset=1,
            opcode="REDUCE",
            callable="torch._utils._rebuild_tensor_v3",
            arguments=text + rest,
        )
        program.calls = (call,)
        assert [each.elements for each in torch_storages.tensors_of(program)] == [elements]


def test_cuts_and_mutations() -> None:
    for data in [*cuts(checkpoint(), 300), *mutations(checkpoint(), 300)]:
        survives(torch_zip, data, "model.pt")
