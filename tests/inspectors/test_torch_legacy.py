"""PyTorch's legacy stream: its numbers held against its pickles."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from fixtures.make_torch_legacy import FIRST, MAGIC, VERSION, make, stream, tensor
from fixtures.raw_zip import system_pickle
from supplyguard.finding import Evidence, Notification
from supplyguard.inspectors import torch_legacy
from supplyguard.inventory import Member
from tests.examined import content, findings, gaps, part_of, probe, yielded
from tests.fuzzing import cuts, mutations, survives

FIXTURES = Path(__file__).parents[2] / "fixtures" / "torch_legacy"
EXPECTED = json.loads((FIXTURES / "expected.json").read_text(encoding="utf-8"))
HONEST = FIXTURES.parent / "honest" / "torch"


def kinds(data: bytes) -> list[str]:
    return [item.kind for item in yielded(torch_legacy, data) if isinstance(item, Evidence)]


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


def test_what_torch_writes_is_counted_to_the_last_byte() -> None:
    files = sorted(HONEST.glob("*_legacy.pt"))
    assert len(files) > 20
    seen = 0
    for path in files:
        data = path.read_bytes()
        assert torch_legacy.recognizes(probe(data))
        assert list(yielded(torch_legacy, data)) == []
        seen += kinds(data + b"more") == ["torch-legacy-trailing"]
    assert seen > 20


def test_what_follows_is_examined() -> None:
    data = stream() + system_pickle()
    (member,) = (item for item in yielded(torch_legacy, data) if isinstance(item, Member))
    assert content(member) == system_pickle()
    found = {each.rule.id for each in findings(part_of(FIXTURES / "malicious" / "trailing.pt"))}
    assert "pickle-executes-code" in found


def test_where_storages_end_is_not_guessed() -> None:
    assert kinds(stream(program=tensor(b"OtherStorage")) + b"more") == []
    assert kinds(stream(keys=b"\x80\x02]X\x01\x00\x00\x009a.") + b"more") == []


@pytest.mark.parametrize("keys", [b"", b"\x80\x02K\x01.", b"\x80\x02]K\x01a.", b"\x80\x02]X\x01"])
def test_an_unread_list_of_storages_is_told(keys: bytes) -> None:
    data = FIRST + VERSION + b"\x80\x02}." + tensor() + keys
    codes = [item.code for item in yielded(torch_legacy, data) if isinstance(item, Notification)]
    assert codes == ["not-compared"]


def test_other_pickles_are_left_alone() -> None:
    assert not torch_legacy.recognizes(probe(VERSION))
    assert kinds(VERSION) == []
    assert kinds(b"\x80\x02\x8a\x0b" + MAGIC + b"\x01.") == []


def test_cuts_and_mutations() -> None:
    for data in [*cuts(stream()), *mutations(stream(), 300)]:
        survives(torch_legacy, data, "model.pt")
