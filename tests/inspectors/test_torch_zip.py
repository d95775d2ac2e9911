"""PyTorch checkpoints: what its reader makes of names, and that size does not cost."""

from __future__ import annotations

import json
import struct
import time
from pathlib import Path

import pytest

from fixtures.make_torch_zip import TENSOR, checkpoint
from fixtures.make_zip_archive import EVIL
from fixtures.raw_zip import Part, write_zip
from supplyguard.finding import Evidence
from supplyguard.inspectors import torch_zip
from tests.examined import findings, gaps, part_of, probe, yielded

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
    data = write_zip([Part(name=b"archive/data.pkl", data=TENSOR), unread])
    assert evidence(data) == []
    gone = Part(name=b"archive/version", central={"target": 7})
    assert evidence(write_zip([Part(name=b"archive/data.pkl", data=TENSOR), gone])) == []


def sparse_checkpoint(path: Path, size: int) -> None:
    """Write a checkpoint whose storage is a hole of `size` bytes."""
    small = write_zip(
        [
            Part(name=b"archive/data.pkl", data=TENSOR),
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
