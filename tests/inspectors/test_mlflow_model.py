"""MLflow's files: what loads, installs and runs is named; ordinary ones are silent."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fixtures.make_mlflow_model import CONDA, PROJECT, PYTHON, SKLEARN
from supplyguard.errors import BudgetExceededError, MalformedError
from supplyguard.finding import Evidence
from supplyguard.inspectors import mlflow_model as inspector
from tests.examined import findings, gaps, part_of, probe, yielded
from tests.fuzzing import cuts, mutations, survives

FIXTURES = Path(__file__).parents[2] / "fixtures" / "mlflow_model"
EXPECTED = json.loads((FIXTURES / "expected.json").read_text(encoding="utf-8"))
TEXTS = {"MLmodel": SKLEARN, "MLproject": PROJECT, "python_env.yaml": PYTHON, "conda.yaml": CONDA}


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_fixtures(name: str) -> None:
    part = part_of(FIXTURES / name)
    assert {each.rule.id for each in findings(part)} == {each["rule"] for each in EXPECTED[name]}
    assert gaps(part) == []


def test_recognition() -> None:
    assert inspector.recognizes(probe(SKLEARN.encode(), "run/MLmodel"))
    assert not inspector.recognizes(probe(SKLEARN.encode(), "model.yaml"))
    assert not inspector.recognizes(probe(b"name: x", "conda.yaml"))
    assert not inspector.recognizes(probe(bytes(600), "MLmodel"))
    assert inspector.recognizes(probe(b"#" * 70_000, "conda.yaml"))
    assert list(yielded(inspector, b"a: 1", "other.yaml")) == []


@pytest.mark.parametrize(
    ("entry", "signs"),
    [
        ("numpy; python_version < '3.9'", []),
        ("torch==2.1; (platform_system == 'Linux')", []),
        ("blas=*=mkl|*=openblas", []),
        ("-r requirements.txt", []),
        ("numpy`id`", ["shell"]),
        ("numpy | sh", ["shell"]),
        ("numpy > /tmp/x", ["shell"]),
        ("-e ../elsewhere", ["source"]),
        ("x @ https://files.example/x.whl", ["source"]),
    ],
)
def test_dependencies(entry: str, signs: list[str]) -> None:
    text = json.dumps({"dependencies": [entry]}).encode()
    found = [each for each in yielded(inspector, text, "python_env.yaml") if isinstance(each, Evidence)]
    assert [each.facts["sign"] for each in found] == signs


def test_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(MalformedError):
        list(yielded(inspector, b"flavors: [", "MLmodel"))
    with pytest.raises(BudgetExceededError):
        list(yielded(inspector, b"[" * 100, "MLmodel"))
    monkeypatch.setattr(inspector, "LARGEST", 8)
    with pytest.raises(BudgetExceededError):
        list(yielded(inspector, SKLEARN.encode(), "MLmodel"))


def test_cuts_and_changes_are_survived() -> None:
    for number, (name, text) in enumerate(TEXTS.items()):
        for changed in (*cuts(text.encode(), 80), *mutations(text.encode(), 50, number)):
            survives(inspector, changed, name)


@given(st.binary(max_size=200), st.sampled_from(sorted(TEXTS)))
@settings(deadline=None, max_examples=60)
def test_any_bytes_are_survived(data: bytes, name: str) -> None:
    survives(inspector, data, name)
