"""fastText: every size is compared with the file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fixtures.make_fasttext_model import start
from supplyguard.errors import MalformedError, UnsupportedError
from supplyguard.inspectors import fasttext_model as inspector
from tests.examined import findings, gaps, part_of, yielded
from tests.fuzzing import cuts, mutations, survives

FIXTURES = Path(__file__).parents[2] / "fixtures" / "fasttext_model"
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
    survives(inspector, b"\xba\x16O/\x0c\x00\x00\x00" + data, "a.bin")


def test_other_versions_and_endless_words() -> None:
    with pytest.raises(UnsupportedError):
        list(yielded(inspector, start(version=99)))
    with pytest.raises(MalformedError, match="without an end"):
        list(yielded(inspector, start()[:96] + b"k" * 5000))
