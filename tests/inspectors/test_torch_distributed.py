"""Distributed checkpoints: the places that the metadata gives are checked, and pickles there are read."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from fixtures.make_torch_distributed import SHARD, metadata, tensor
from fixtures.raw_zip import system_pickle
from supplyguard.finding import Evidence, Notification
from supplyguard.inspectors import torch_distributed as inspector
from supplyguard.inventory import Artifact, Member
from supplyguard.limits import Budget
from tests.examined import content, findings, gaps, memory, part_of, probe
from tests.fuzzing import cuts, mutations, survives

FIXTURES = Path(__file__).parents[2] / "fixtures" / "torch_distributed"
EXPECTED = json.loads((FIXTURES / "expected.json").read_text(encoding="utf-8"))
HONEST = FIXTURES.parent / "honest" / "torch_graphs" / "torch_dcp"


def seen(folder: Path, data: bytes) -> list[Evidence | Member | Notification]:
    path = folder / ".metadata"
    path.write_bytes(data)
    artifact = Artifact(uri=".metadata", path=path, size=len(data))
    member = Member(artifact=artifact, open=lambda: path.open("rb"), size=len(data))
    return list(inspector.inspect(member, Budget()))


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_fixtures(name: str) -> None:
    found = {(each.rule.id, each.location.member) for each in findings(part_of(FIXTURES / name))}
    assert {(each["rule"], tuple(each["member"])) for each in EXPECTED[name]} <= found
    if "malicious" not in name:
        assert found == set()


def test_honest_metadata_is_read_and_silent() -> None:
    data = (HONEST / ".metadata").read_bytes()
    assert inspector.recognizes(probe(data, ".metadata"))
    assert not inspector.recognizes(probe(data, "x.metadata"))
    assert not inspector.recognizes(probe(b"\x80\x04N.", ".metadata"))
    part = part_of(HONEST / ".metadata")
    assert findings(part) == []
    assert gaps(part) == []


def test_places_in_files(tmp_path: Path) -> None:
    saved = tensor()
    (tmp_path / SHARD).write_bytes(saved + b"blob")
    items = seen(tmp_path, metadata((SHARD, 0, len(saved)), (SHARD, len(saved), 4), (SHARD, 0, 0)))
    (member,) = items
    assert isinstance(member, Member)
    assert content(member) == b"blob"
    assert [type(each) for each in seen(tmp_path, metadata((SHARD, -1, 2)))] == [Evidence]


def test_missing_files_and_links_are_said_to_be_unread(tmp_path: Path) -> None:
    inside = tmp_path / "inside"
    inside.mkdir()
    (tmp_path / "real").write_bytes(b"x")
    (inside / SHARD).symlink_to(tmp_path / "real")
    for name in (SHARD, "absent", "n" * 300):
        (item,) = seen(inside, metadata((name, 0, 1)))
        assert isinstance(item, Notification)
        assert item.incomplete


@pytest.mark.parametrize("path", ["/etc/passwd", "..", "", "a\\b", "C:x", "a\0b", "n" * 9000])
def test_paths(tmp_path: Path, path: str) -> None:
    (item,) = seen(tmp_path, metadata((path, 0, 1)))
    assert isinstance(item, Evidence)
    assert item.kind == "dcp-path"


def test_many_are_cut(tmp_path: Path) -> None:
    items = seen(tmp_path, metadata(*[(f"../{number}", 0, 1) for number in range(60)]))
    assert len(items) == 51
    assert isinstance(items[-1], Notification)


def test_inside_a_container_nothing_is_opened() -> None:
    data = metadata((SHARD, 0, 9))
    plain = memory(data)
    inner = Member(artifact=plain.artifact, path=("a", ".metadata"), open=plain.open, size=len(data))
    assert list(inspector.inspect(inner, Budget())) == []


def test_cut_and_changed_files_are_survived() -> None:
    data = metadata((SHARD, 0, 9), ("../x", 1, 2))
    for piece in [*cuts(data, 150), *mutations(data, 150), system_pickle()]:
        survives(inspector, piece, ".metadata")
