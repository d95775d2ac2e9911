"""The corpus: honest files are silent, hostile ones are caught where they should be."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from supplyguard.config import Settings
from supplyguard.finding import Finding, Notification, Report, Severity
from supplyguard.wiring import run_scan

FIXTURES = Path(__file__).parent.parent / "fixtures"
HONEST = FIXTURES / "honest"
VERSIONS: dict[str, dict[str, str]] = json.loads((HONEST / "versions.json").read_text(encoding="utf-8"))
NEEDS_LIBRARIES = {"make_honest", "make_demo_honest", "make_locks"}
LARGEST = 200_000
"""Bytes of the largest file that the repository keeps."""

CODE_SUFFIXES = (
    ".bin",
    ".ckpt",
    ".joblib",
    ".metadata",
    ".npy",
    ".npz",
    ".pkl",
    ".pt",
    ".pt2",
    ".safetensors",
)
"""Every honest model file of these is really looked into, not passed over."""


def folders() -> list[str]:
    return sorted(path.name for path in HONEST.iterdir() if path.is_dir())


def files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


NOT_YET: dict[str, str] = {}
"""Honest files judged too hard, by the start of the name, and why; strict: a mended one has to leave."""


def known(names: list[str], why: dict[str, str]) -> list[Any]:
    """Mark the names that are known to fail."""
    cases = []
    for name in names:
        reasons = [reason for start, reason in why.items() if name.startswith(start)]
        marks = [pytest.mark.xfail(reason=reason, strict=True) for reason in reasons]
        cases.append(pytest.param(name, marks=marks))
    return cases


@pytest.fixture
def examine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.chdir(FIXTURES)
    settings = Settings(
        offline=True,
        min_severity=Severity.INFO,
        hub_cache=tmp_path / "no-cache",
        db=tmp_path / "no-store",
    )
    return lambda *targets: run_scan(list(targets), settings)


def told(findings: tuple[Finding, ...]) -> list[str]:
    return [f"{each.rule.id}: {each.location}: {each.message}" for each in findings]


def gaps(report: Report) -> list[Notification]:
    return [each for each in report.notifications if each.incomplete]


@pytest.mark.parametrize("folder", known(folders(), NOT_YET))
def test_honest_files_are_inspected_and_have_no_finding(folder: str, examine: Any) -> None:
    report: Report = examine(HONEST / folder)
    assert told(report.findings) == []
    assert (report.below_threshold, report.suppressed) == (0, ())
    assert [f"{each.location}: {each.message}" for each in gaps(report)] == []
    assert report.counts.skipped_files == 0
    if folder not in {
        "odd",
        "openvino",
        "coreml",
    }:  # raw weights are not inspected: no loader interprets them
        inspected = {artifact.path.name for artifact, _ in report.artifacts}
        models = {path.name for path in files(HONEST / folder) if path.name.endswith(CODE_SUFFIXES)}
        assert models - inspected == set()


@pytest.mark.parametrize("name", known([path.name for path in files(FIXTURES / "embedded_code")], NOT_YET))
def test_embedded_code_is_reported_but_is_no_attack(name: str, examine: Any) -> None:
    report: Report = examine(FIXTURES / "embedded_code" / name)
    assert told(report.findings)
    assert max(each.severity for each in report.findings) <= Severity.MEDIUM, told(report.findings)
    assert gaps(report) == []


def test_what_is_not_inspected_is_never_called_clean(examine: Any) -> None:
    for path in files(FIXTURES / "uninspected"):
        report: Report = examine(path)
        assert all(each.severity <= Severity.LOW for each in report.findings), told(report.findings)
        assert gaps(report), path.name


def expectations() -> list[Any]:
    cases = []
    for table in sorted(FIXTURES.glob("*/expected.json")):
        for name, findings in json.loads(table.read_text(encoding="utf-8")).items():
            label = f"{table.parent.name}/{name}"
            cases.append(pytest.param(table.parent / name, findings, id=label))
    return cases


def matches(finding: Finding, wanted: dict[str, Any]) -> bool:
    return (
        finding.rule.id == wanted["rule"]
        and ("member" not in wanted or list(finding.location.member) == wanted["member"])
        and (wanted.get("offset") is None or finding.location.offset == wanted["offset"])
        and (wanted.get("line") is None or finding.location.line == wanted["line"])
    )


@pytest.mark.parametrize(("path", "wanted"), expectations())
def test_expected_findings(path: Path, wanted: list[dict[str, Any]], examine: Any) -> None:
    report: Report = examine(path)
    for each in wanted:
        found = [finding for finding in report.findings if matches(finding, each)]
        assert found, f"{each} is missing among {told(report.findings)}"
    if not wanted:
        assert told(report.findings) == []
        return
    listed = {each["rule"] for each in wanted}
    highest = max(rule.severity for rule in report.rules if rule.id in listed)
    assert max(each.severity for each in report.findings) >= min(highest, Severity.HIGH)


def test_every_fixture_is_expected() -> None:
    for table in sorted(FIXTURES.glob("*/expected.json")):
        listed = set(json.loads(table.read_text(encoding="utf-8")))
        below = {path.relative_to(table.parent).as_posix() for path in files(table.parent)} - {table.name}
        # an entry may name a folder: then what lies in it is expected as a whole
        missing = {
            name for name in below if not any(name == at or name.startswith(at + "/") for at in listed)
        }
        assert missing == set(), table
        assert all((table.parent / name).exists() for name in listed), table


def loaded(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def repeatable() -> list[Any]:
    makers = [path for path in sorted(FIXTURES.glob("make_*.py")) if path.stem not in NEEDS_LIBRARIES]
    pairs = [(path, FIXTURES / path.stem.removeprefix("make_")) for path in makers]
    pairs.append((FIXTURES / "honest_makers" / "odd_files.py", HONEST / "odd"))
    return [pytest.param(maker, kept, id=maker.stem) for maker, kept in pairs]


@pytest.mark.parametrize(("maker", "kept"), repeatable())
def test_makers_write_what_is_kept(maker: Path, kept: Path, tmp_path: Path) -> None:
    module = loaded(maker)
    module.make(tmp_path)
    made = {path.relative_to(tmp_path).as_posix(): path.read_bytes() for path in files(tmp_path)}
    assert made
    whole = not hasattr(module, "WRITTEN")  # a maker may say that it owns only some of the files
    names = [path.relative_to(kept).as_posix() for path in files(kept)] if whole else list(module.WRITTEN)
    assert {name: (kept / name).read_bytes() for name in names} == made


def test_versions_are_recorded() -> None:
    assert set(VERSIONS) == {*folders(), "embedded_code", "repositories", "uninspected"}
    for folder, versions in VERSIONS.items():
        assert all(version[0].isdigit() for version in versions.values()), folder
        assert folder in {"odd", "uninspected"} or len(versions) > 1, folder
    demo = json.loads((FIXTURES / "demo_versions.json").read_text(encoding="utf-8"))
    assert set(demo) == {"python", "torch", "scikit-learn", "joblib", "numpy", "safetensors"}


def test_the_corpus_is_as_broad_as_promised() -> None:
    names = {path.name.split("_")[1] for path in files(HONEST / "sklearn") if path.suffix == ".pkl"}
    assert len(names) > 60
    for protocol in (2, 4, 5):
        assert any(path.name.endswith(f"_p{protocol}.pkl") for path in files(HONEST / "sklearn"))
    compressions = {
        path.stem.rsplit("_", 1)[1] for path in files(HONEST / "joblib") if path.suffix == ".joblib"
    }
    assert compressions >= {"none", "zlib", "gzip", "bz2", "lzma", "xz", "lz4"}
    assert all(path.stat().st_size <= LARGEST for path in files(FIXTURES))
