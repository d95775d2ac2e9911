"""GGML: the legacy formats are named, a vocabulary beyond the file is seen."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from fixtures.make_ggml import ggml
from supplyguard.errors import MalformedError, UnsupportedError
from supplyguard.inspectors import ggml as inspector
from tests.examined import findings, part_of, probe, yielded
from tests.fuzzing import cuts, mutations, survives

FIXTURES = Path(__file__).parents[2] / "fixtures" / "ggml"
EXPECTED = json.loads((FIXTURES / "expected.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_fixtures(name: str) -> None:
    found = {each.rule.id for each in findings(part_of(FIXTURES / name))}
    assert found == {each["rule"] for each in EXPECTED[name]}


def test_cut_and_changed_files_are_survived() -> None:
    for number, name in enumerate(sorted(EXPECTED)):
        data = (FIXTURES / name).read_bytes()
        for piece in [*cuts(data, 400), *mutations(data, 40, number)]:
            survives(inspector, piece, name)


def test_what_is_not_walked_is_said() -> None:
    assert not inspector.recognizes(probe(b"lmgg"))
    with pytest.raises(UnsupportedError, match="family"):
        list(yielded(inspector, ggml(b"fmgg", (0,) * 7, [])))
    with pytest.raises(UnsupportedError, match="adapter"):
        list(yielded(inspector, ggml(b"algg", (0,) * 7, [])))
    with pytest.raises(MalformedError):
        list(yielded(inspector, ggml(b"lmgg", (3, 1, 1, 1, 1, 1, 0), [b"a"])))
