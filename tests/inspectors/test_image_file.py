"""Images: what follows their end is seen, and what cameras and plotting programs write is silent."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fixtures.make_image_file import gif, jpeg, png, webp
from fixtures.raw_zip import system_pickle
from supplyguard.finding import Evidence, Notification
from supplyguard.inspectors import image_file as inspector
from supplyguard.limits import MIB
from tests.examined import findings, gaps, part_of, yielded
from tests.fuzzing import cuts, mutations, survives

FIXTURES = Path(__file__).parents[2] / "fixtures" / "image_file"
EXPECTED = json.loads((FIXTURES / "expected.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_fixtures(name: str) -> None:
    part = part_of(FIXTURES / name)
    assert {each["rule"] for each in EXPECTED[name]} <= {each.rule.id for each in findings(part)}
    if not EXPECTED[name]:
        assert findings(part) == []
        assert not gaps(part)


def test_cut_and_changed_files_are_survived() -> None:
    for number, name in enumerate(sorted(EXPECTED)):
        data = (FIXTURES / name).read_bytes()
        for piece in [*cuts(data, 400), *mutations(data, 60, number)]:
            survives(inspector, piece, name)


@given(st.binary(max_size=200))
def test_any_bytes_are_survived(data: bytes) -> None:
    survives(inspector, b"\xff\xd8\xff" + data, "a.jpg")


@pytest.mark.parametrize("data", [png()[:30], gif()[:-1], jpeg()[:20], webp()[:-1], gif()[:-1] + b"\x07"])
def test_a_cut_image_is_a_note(data: bytes) -> None:
    (note,) = yielded(inspector, data)
    assert isinstance(note, Notification)
    assert not note.incomplete


@pytest.mark.parametrize("back", range(6))
def test_a_marker_across_pieces_is_found(back: int) -> None:
    before = jpeg()[:-4]
    padding = b"\x01" * (MIB - len(before) + 3 - back)
    data = before + padding + b"\xff\xd9" + system_pickle()
    evidence = next(iter(yielded(inspector, data)))
    assert isinstance(evidence, Evidence)
    assert evidence.location.offset == len(before) + len(padding) + 2


def test_lengths_of_sound_written_to_a_pipe() -> None:
    data = webp().replace(b"\x10\0\0\0WEBP", b"\xff\xff\xff\xffWAVE")
    assert list(yielded(inspector, data)) == []
