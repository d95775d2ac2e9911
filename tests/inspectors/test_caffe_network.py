"""Caffe: layers of Python are seen in text and binary, however the text is written."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from fixtures.make_caffe_network import DEPLOY, ESCAPED
from supplyguard.errors import BudgetExceededError, MalformedError
from supplyguard.finding import Evidence, Notification
from supplyguard.inspectors import caffe_network as inspector
from tests.examined import findings, gaps, part_of, probe, yielded
from tests.fuzzing import cuts, mutations, survives

FIXTURES = Path(__file__).parents[2] / "fixtures" / "caffe_network"
EXPECTED = json.loads((FIXTURES / "expected.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_fixtures(name: str) -> None:
    part = part_of(FIXTURES / name)
    assert [each.rule.id for each in findings(part)] == [each["rule"] for each in EXPECTED[name]]
    assert gaps(part) == []


def test_cut_and_changed_files_are_survived() -> None:
    for number, name in enumerate(sorted(EXPECTED)):
        data = (FIXTURES / name).read_bytes()
        for piece in [*cuts(data, 150), *mutations(data, 30, number)]:
            survives(inspector, piece, name)


def test_escapes_and_joined_strings_are_read() -> None:
    (found,) = yielded(inspector, ESCAPED)
    assert isinstance(found, Evidence)
    assert found.facts == {"type": "Python", "name": "loss", "module": "echo_layers", "layer": "Echo"}
    assert found.location.line == 1


def test_a_layer_that_does_not_end_is_kept() -> None:
    walk = yielded(inspector, b'layer { type: "Python" name: "a"', "a.prototxt")
    assert isinstance(next(walk), Evidence)
    with pytest.raises(MalformedError):
        next(walk)


@pytest.mark.parametrize("data", [b"", b"a: 1 }", b"a {" * 101, b"\n\x7fabc", b"\x07\x07"])
def test_nonsense_ends_at_once(data: bytes) -> None:
    with pytest.raises(MalformedError):
        list(yielded(inspector, data, "a.caffemodel"))


def test_a_large_text_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inspector, "LARGEST_TEXT", 8)
    with pytest.raises(BudgetExceededError):
        list(yielded(inspector, DEPLOY, "a.prototxt"))


def test_recognised_by_content() -> None:
    assert inspector.recognizes(probe(ESCAPED, "network"))
    for other in (b"", b"name: x\nlayer: 3\n", b"\nhello", b"\xa2\x06", b"import caffe\nlayer { type: A"):
        assert not inspector.recognizes(probe(other, "network"))


def test_very_many_layers_end_soon_and_are_not_all_listed() -> None:
    data = b'layer{type:"Python"}\n' * 20_000
    found = list(yielded(inspector, data, "a.prototxt"))
    assert len(found) == 51
    assert isinstance(found[-1], Notification)
