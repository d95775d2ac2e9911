"""Ordinary folders, as the libraries and people leave them, are looked into and raise no alarm."""

from __future__ import annotations

from pathlib import Path

import pytest

from supplyguard.config import Settings
from supplyguard.finding import Severity
from supplyguard.wiring import run_scan

REPOSITORIES = Path(__file__).parents[1] / "fixtures" / "repositories"
INSPECTED = {
    "diffusers_pipeline": 8,
    "mlflow_run": 6,
    "sentence_transformers": 9,
    "sklearn_project": 1,
    "transformers_model": 8,
}
"""At least so many files of each are recognised as models or their configuration."""


def test_all_are_tested() -> None:
    assert {path.name for path in REPOSITORIES.iterdir()} == set(INSPECTED)


@pytest.mark.parametrize("name", sorted(INSPECTED))
def test_an_ordinary_repository_has_no_finding_above_low(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(REPOSITORIES)
    settings = Settings(
        offline=True,
        min_severity=Severity.INFO,
        hub_cache=tmp_path / "no-cache",
        db=tmp_path / "no-store",
    )
    report = run_scan([Path(name)], settings)
    # advisories are of their day, not of the folder
    found = [each for each in report.findings if each.rule.kind != "advisory"]
    assert [f"{each.rule.id}: {each.location}" for each in found if each.severity > Severity.LOW] == []
    gaps = [each for each in report.notifications if each.incomplete]
    assert [f"{each.location}: {each.message}" for each in gaps] == []
    assert report.counts.inspected >= INSPECTED[name]
