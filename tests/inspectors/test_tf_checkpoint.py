"""TensorFlow checkpoints: the index against its shards, and where the state file leads."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from fixtures.make_tf_checkpoint import CONFIG, STRING, header, table, tensor, text_tensor
from fixtures.raw_protobuf import message
from supplyguard.errors import MalformedError
from supplyguard.examine import Part
from supplyguard.finding import Evidence, Notification
from supplyguard.inspectors import tf_checkpoint
from tests.examined import findings, gaps, part_of, probe, yielded
from tests.fuzzing import cuts, mutations, survives

FIXTURES = Path(__file__).parents[2] / "fixtures" / "tf_checkpoint"


def examined(folder: Path, index: bytes, *shards: bytes) -> Part:
    (folder / "m.index").write_bytes(index)
    for number, data in enumerate(shards):
        (folder / f"m.data-{number:05}-of-{len(shards):05}").write_bytes(data)
    return part_of(folder / "m.index")


def whats(part: Part) -> list[object]:
    return [each.facts["what"] for each in part.evidence]


@pytest.mark.parametrize(
    "path", sorted(FIXTURES.glob("benign/**/*.index")), ids=lambda path: path.parent.name
)
def test_honest_indexes(path: Path) -> None:
    part = part_of(path)
    assert (findings(part), part.notifications) == ([], [])
    assert tf_checkpoint.recognizes(probe(path.read_bytes(), "any name"))


def test_recognised() -> None:
    assert tf_checkpoint.recognizes(probe(b'model_checkpoint_path: "m"', "checkpoint"))
    assert not tf_checkpoint.recognizes(probe(b'model_checkpoint_path: "m"', "notes.txt"))
    assert not tf_checkpoint.recognizes(probe(b"\x80\x04.", "checkpoint"))


def test_a_missing_shard_is_a_gap(tmp_path: Path) -> None:
    shutil.copy(FIXTURES / "benign" / "checkpoint" / "model-1.index", tmp_path)
    part = part_of(tmp_path / "model-1.index")
    assert [each.message for each in gaps(part)] == ["shard 0 of 1 is not there"]


def test_tensors_that_fit(tmp_path: Path) -> None:
    rows = [tensor("a", 0, 8, 2), tensor("b", 8, 0, 0), tensor("c", 8, 4), tensor("d", 12, 3, kind=STRING)]
    assert whats(examined(tmp_path, table(header(), *rows), bytes(15))) == []
    sliced = b"e", message((1, 1), (2, [(2, [(1, 9)])]), (7, [(1, [])]))
    assert whats(examined(tmp_path, table(header(), sliced), b"")) == []


def test_tensors_that_do_not(tmp_path: Path) -> None:
    index = table(
        header(2), tensor("a", 0, 4, 1), tensor("b", 0, 4, 1, shard=1), tensor("c", 2, 4, 1, shard=1)
    )
    assert whats(examined(tmp_path, index, bytes(4), bytes(6))) == ["overlaps the one before"]
    index = table(header(2), tensor("a", 0, 4, 1), tensor("b", 0, 4, 1, shard=1))
    assert whats(examined(tmp_path, index, bytes(4), bytes(3))) == ["ends beyond its shard"]


def test_other_tables_are_left_alone() -> None:
    assert list(yielded(tf_checkpoint, table((b"k", b"v")))) == []
    assert list(yielded(tf_checkpoint, table((b"", message((1, [(1, "x")]))), (b"k", b"\xff")))) == []
    assert list(yielded(tf_checkpoint, table((b"", b"")))) == []


def test_configurations_that_cannot_be_read_are_gaps(tmp_path: Path) -> None:
    code = tensor(CONFIG, 0, 50, kind=STRING)
    part = examined(tmp_path, table(header(), code), bytes(10))
    assert [each.code for each in gaps(part)] == ["not-examined"]
    items = list(yielded(tf_checkpoint, table(header(), code), "inside.index#2"))
    assert [item.code for item in items if isinstance(item, Notification)] == ["not-examined"]
    data = text_tensor("not json")
    part = examined(tmp_path, table(header(), tensor(CONFIG, 0, len(data), kind=STRING)), data)
    assert ["configuration" in each.message for each in gaps(part)] == [True]


def test_the_place_of_a_path() -> None:
    data = b'# words\nmodel_checkpoint_path: "/a"\nall_model_checkpoint_paths: "b\\"/\\n"\n'
    (found,) = yielded(tf_checkpoint, data, "checkpoint")
    assert isinstance(found, Evidence)
    assert found.location.offset == data.index(b"/a")


def test_a_broken_entry_is_malformed() -> None:
    with pytest.raises(MalformedError):
        list(yielded(tf_checkpoint, table(header(), (b"a", b"\xff"))))


@pytest.mark.parametrize("name", ["benign/checkpoint/model-1.index", "malicious/lambda/m.index"])
def test_cut_and_changed_files(name: str) -> None:
    data = (FIXTURES / name).read_bytes()
    for each in (*cuts(data), *mutations(data, 300)):
        survives(tf_checkpoint, each, "m.index")
        survives(tf_checkpoint, each[:-48] + data[-48:], "m.index")
