"""GGUF: what ggml's reader refuses is evidence, templates are members, honest files are silent."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import pytest

from fixtures.make_gguf import cases, gguf, key, plain, tensor
from supplyguard.errors import MalformedError, UnsupportedError
from supplyguard.finding import Evidence, Notification
from supplyguard.inspectors import gguf as inspector
from supplyguard.inventory import Member
from supplyguard.limits import Budget
from supplyguard.wire.gguf_header import MOST_FLAWS, Header
from tests.examined import content, findings, gaps, part_of, probe, yielded
from tests.fuzzing import cuts, mutations, survives

FIXTURES = Path(__file__).parents[2] / "fixtures" / "gguf"
EXPECTED = json.loads((FIXTURES / "expected.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_fixtures(name: str) -> None:
    part = part_of(FIXTURES / name)
    assert {each["rule"] for each in EXPECTED[name]} <= {each.rule.id for each in findings(part)}
    if not EXPECTED[name]:
        assert findings(part) == []
        assert not gaps(part)


@pytest.mark.parametrize("name", ["llama.gguf", "big_endian.gguf"])
def test_the_template_is_a_member(name: str) -> None:
    items = list(yielded(inspector, (FIXTURES / "benign" / name).read_bytes()))
    (member,) = items
    assert isinstance(member, Member)
    assert member.path == ("tokenizer.chat_template.jinja",)
    assert content(member).startswith(b"{% for message in messages %}")


def test_every_named_template_is_a_member() -> None:
    items = list(yielded(inspector, (FIXTURES / "benign" / "vocabulary_only.gguf").read_bytes()))
    names = {item.name for item in items if isinstance(item, Member)}
    assert {"tokenizer.chat_template.jinja", "tokenizer.chat_template.tool_use.jinja"} <= names


def test_versions() -> None:
    assert inspector.recognizes(probe(b"GGUF"))
    assert not inspector.recognizes(probe(b"GGML"))
    with pytest.raises(UnsupportedError, match="version 9"):
        list(yielded(inspector, gguf([], [], version=9)))
    old = b"GGUF" + struct.pack("<III", 1, 0, 1) + struct.pack("<I", 1) + b"a" + struct.pack("<II", 4, 7)
    assert list(yielded(inspector, old)) == []


def test_what_was_found_before_a_fault_is_kept() -> None:
    template = key(b"tokenizer.chat_template", 8, b"{{ x }}")
    found: list[object] = []
    with pytest.raises(MalformedError):
        found.extend(iter(yielded(inspector, plain(template, key(b"", 4, 1), key(b"a", 99, b"")))))
    assert [type(item) for item in found] == [Evidence, Evidence, Member]


def test_an_unset_special_token_is_ordinary() -> None:
    tokens = key(b"tokenizer.ggml.tokens", 9, struct.pack("<IQ", 8, 0))
    data = plain(tokens, key(b"tokenizer.ggml.padding_token_id", 4, 0xFFFFFFFF))
    assert list(yielded(inspector, data)) == []


def test_missing_shards_leave_the_scan_incomplete(tmp_path: Path) -> None:
    path = tmp_path / "m-00001-of-00002.gguf"
    path.write_bytes(plain())
    assert [each.code for each in gaps(part_of(path))] == ["companion-missing"]
    (tmp_path / "m-00002-of-00002.gguf").write_bytes(plain())
    assert gaps(part_of(path)) == []


def test_only_some_flaws_are_listed() -> None:
    keys = [key(b"a", 4, 1) for _ in range(300)]
    items = list(yielded(inspector, gguf(keys, [tensor()])))
    assert sum(isinstance(item, Evidence) for item in items) == inspector.SHOWN
    assert [item.code for item in items if isinstance(item, Notification)] == ["not-listed"]
    header = Header()
    for _ in range(MOST_FLAWS + 5):
        header.flaw("key", "", "", 0)
    assert len(header.flaws) == MOST_FLAWS


def test_cut_and_changed_files_are_survived() -> None:
    for name in ("llama.gguf", "vocabulary_only.gguf"):
        data = (FIXTURES / "benign" / name).read_bytes()[:1200]
        for piece in cuts(data):
            survives(inspector, piece)
        for changed in mutations(data, 150):
            survives(inspector, changed)
    for number, (data, _) in enumerate(cases().values()):
        for changed in mutations(data, 8, number):
            survives(inspector, changed)


def test_a_large_claimed_vocabulary_ends_at_once() -> None:
    data = plain(key(b"tokenizer.ggml.tokens", 9, struct.pack("<IQ", 8, 1 << 29)))
    with pytest.raises(MalformedError, match="elements"):
        list(yielded(inspector, data, budget=Budget()))
