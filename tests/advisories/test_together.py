"""Embedded records, store and services asked together: one problem is one finding with all its ids."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from supplyguard.advisories import live, osv, store_build
from supplyguard.advisories.live import Service
from supplyguard.config import Settings
from supplyguard.finding import AuditStatus, Report, Verdict
from supplyguard.wiring import run_scan
from tests.advisories.osv_server import osv_server
from tests.stand_in import nobody

pytestmark = pytest.mark.heavy

CVE, GHSA = "CVE-2025-32434", "GHSA-53q9-r3pm-6pq6"


def record(identifier: str, *aliases: str, fixed: str = "2.6.0", **fields: Any) -> dict[str, Any]:
    affected = {
        "package": {"ecosystem": "PyPI", "name": "torch"},
        "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": fixed}]}],
        "versions": ["2.5.0", "2.5.1"],
    }
    return {
        "id": identifier,
        "modified": "2026-02-03T00:00:00Z",
        "aliases": list(aliases),
        "affected": [affected],
        **fields,
    }


def scanned(folder: Path, base: str, monkeypatch: pytest.MonkeyPatch, text: str = "torch==2.5.1\n") -> Report:
    services = (Service(name="pypi", url=base), Service(name="osv", url=base))
    monkeypatch.setattr(live.LiveDatabase.__init__, "__defaults__", (services,))
    monkeypatch.setenv("SUPPLYGUARD_CACHE_DIR", str(folder / "cache"))
    monkeypatch.chdir(folder)
    (folder / "requirements.txt").write_text(text)
    return run_scan(
        [Path("requirements.txt")], Settings(db=folder / "s", max_db_age=0, hub_cache=folder / "none")
    )


def test_one_problem_is_one_finding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    in_store = [record("PYSEC-2025-41", CVE), record(GHSA, "PYSEC-2025-41")]
    store_build.build(tmp_path / "s", map(osv.parse, in_store), source="all.zip")
    with osv_server([record("OTHER-1", GHSA, summary="The same")]) as base:
        report = scanned(tmp_path, base, monkeypatch)
    (finding,) = (one for one in report.findings if one.facts.get("id") == CVE)
    assert finding.facts["aliases"] == (CVE, GHSA, "PYSEC-2025-41", "OTHER-1", "SG-2025-0001")
    assert finding.facts["databases"] == ("embedded", "osv", "pypi")
    assert finding.rule.id == "vulnerable-dependency-critical"
    named = [one.facts["aliases"] for one in report.findings]
    assert sum(GHSA in ids for ids in named if isinstance(ids, tuple)) == 1
    (audit,) = report.audits
    assert audit.status is AuditStatus.AFFECTED
    assert audit.database == "embedded, live, osv"
    assert [one.name for one in report.advisory_data] == ["embedded", "live", "osv"]


def test_withdrawn_everywhere_is_clean(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = json.loads(json.dumps(record("GHSA-1", withdrawn="2026-01-01T00:00:00Z")).replace("torch", "x"))
    store_build.build(tmp_path / "s", [osv.parse(gone)], source="all.zip")
    with osv_server() as base:
        report = scanned(tmp_path, base, monkeypatch, "x==2.5.1\n")
    (audit,) = report.audits
    assert (audit.status, audit.database) == (AuditStatus.CLEAN, "live, osv")
    assert report.verdict is Verdict.PASS


def test_a_withdrawn_record_of_the_service_is_no_problem(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = json.loads(json.dumps(record("GHSA-1", withdrawn="2026-01-01T00:00:00Z")).replace("torch", "x"))
    with osv_server([gone]) as base:
        report = scanned(tmp_path, base, monkeypatch, "x==2.5.1\n")
    (audit,) = report.audits
    assert audit.status is AuditStatus.CLEAN


def test_services_down_and_a_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the store knows stands; that nobody else answered makes the scan incomplete."""
    store_build.build(tmp_path / "s", [osv.parse(record("GHSA-1"))], source="all.zip")
    with nobody() as base:
        report = scanned(tmp_path, base, monkeypatch, "x==2.5.1\n")
    (audit,) = report.audits
    assert (audit.status, audit.database) == (AuditStatus.CLEAN, "osv")
    assert report.verdict is Verdict.INCOMPLETE
    (tmp_path / "s").unlink()
    with nobody() as base:
        report = scanned(tmp_path, base, monkeypatch, "x==2.5.1\n")
    assert report.audits[0].status is AuditStatus.NOT_AUDITED
    assert report.verdict is Verdict.INCOMPLETE
