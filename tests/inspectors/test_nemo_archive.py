"""NeMo archives: what the configuration instantiates is named, with its line; ordinary ones are silent."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fixtures.make_nemo_archive import CONFIG, nemo
from fixtures.make_tar_archive import entry, tar
from supplyguard.errors import BudgetExceededError, MalformedError
from supplyguard.finding import Evidence
from supplyguard.inspectors import nemo_archive as inspector
from tests.examined import findings, gaps, part_of, probe, yielded
from tests.fuzzing import cuts, mutations, survives

FIXTURES = Path(__file__).parents[2] / "fixtures" / "nemo_archive"
EXPECTED = json.loads((FIXTURES / "expected.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_fixtures(name: str) -> None:
    part = part_of(FIXTURES / name)
    found = {each.rule.id for each in findings(part)}
    wanted = {each["rule"] for each in EXPECTED[name]}
    assert wanted <= found
    assert bool(wanted) == bool(found)
    assert gaps(part) == []


def test_the_place_is_the_line_in_the_configuration() -> None:
    data = nemo("a: 1\nb:\n  _target_: payload.Run\n")
    (found,) = yielded(inspector, data, "x.nemo")
    assert isinstance(found, Evidence)
    assert found.location.member == ("./model_config.yaml",)
    assert (found.location.line, found.location.column) == (3, 13)


def test_recognition() -> None:
    assert inspector.recognizes(probe(tar(entry("a")), "x.NEMO"))
    assert inspector.recognizes(probe(nemo(CONFIG), "x.bin"))
    assert not inspector.recognizes(probe(tar(entry("a")), "x.tar"))
    assert not inspector.recognizes(probe(b"model_config.yaml" * 99, "x.nemo"))


def test_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(MalformedError):
        list(yielded(inspector, nemo("a: ["), "x.nemo"))
    with pytest.raises(MalformedError, match="cut"):
        list(yielded(inspector, entry("model_config.yaml", b"a" * 2000)[:1000], "x.nemo"))
    monkeypatch.setattr(inspector, "LARGEST", 4)
    with pytest.raises(BudgetExceededError):
        list(yielded(inspector, nemo(CONFIG), "x.nemo"))


def test_cuts_and_changes_are_survived() -> None:
    data = nemo(CONFIG)
    for changed in (*cuts(data, 150), *mutations(data, 60)):
        survives(inspector, changed, "x.nemo")


@given(st.binary(max_size=200))
@settings(deadline=None, max_examples=60)
def test_any_configuration_is_survived(config: bytes) -> None:
    survives(inspector, tar(entry("model_config.yaml", config)), "x.nemo")
