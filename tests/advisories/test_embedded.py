from __future__ import annotations

import json
from pathlib import Path

import pytest

from supplyguard.advisories.embedded import EmbeddedDatabase, read_folder
from supplyguard.advisories.evidence import NO_MATCH
from supplyguard.errors import RuleError
from supplyguard.finding import Audit, AuditStatus, Evidence
from supplyguard.inventory import Dependency, Location
from supplyguard.resources import rules_folder

HERE = Location(uri="requirements.txt", line=1)


def dependency(name: str, version: str | None) -> Dependency:
    return Dependency(name=name, raw_name=name, version=version, location=HERE)


def ask(name: str, version: str | None) -> tuple[list[Evidence], Audit]:
    answers = list(EmbeddedDatabase().audit([dependency(name, version)]))
    (audit,) = (one for one in answers if isinstance(one, Audit))
    return [one for one in answers if isinstance(one, Evidence)], audit


def test_it_knows_what_it_is() -> None:
    data = EmbeddedDatabase().data()
    assert data.records is not None
    assert data.records >= 60
    assert data.updated is not None


def test_an_affected_version() -> None:
    evidence, audit = ask("torch", "2.5.1+cu121")
    assert audit.status is AuditStatus.AFFECTED
    (found,) = (one for one in evidence if one.facts["id"] == "CVE-2025-32434")
    assert found.facts["version"] == "2.5.1+cu121"
    assert found.facts["severity"] == "critical"
    assert found.facts["upgrade"] == "2.6.0"
    assert str(found.facts["remedy"]).startswith("upgrade to 2.10.0 (clears ")
    assert found.location == HERE


@pytest.mark.parametrize(
    ("name", "version", "status", "reason"),
    [
        ("numpy", "99.0", AuditStatus.NOT_AUDITED, NO_MATCH),
        ("torch", None, AuditStatus.NOT_AUDITED, "no exact version"),
        ("torch", "nightly", AuditStatus.NOT_AUDITED, "not a PEP 440 version"),
        ("never-heard-of", "1.0", AuditStatus.NOT_AUDITED, NO_MATCH),
        ("never-heard-of", None, AuditStatus.NOT_AUDITED, "no exact version"),
        ("torchtriton", None, AuditStatus.AFFECTED, ""),
        ("ultralytics", None, AuditStatus.NOT_AUDITED, "no exact version"),
    ],
)
def test_what_is_said(name: str, version: str | None, status: AuditStatus, reason: str) -> None:
    evidence, audit = ask(name, version)
    assert (audit.status, audit.reason) == (status, reason)
    assert bool(evidence) is (status is AuditStatus.AFFECTED)


def test_no_pin_is_called_clean() -> None:
    """The embedded data is a selection: a version that it does not name may still be affected."""
    names = sorted({name for known in read_folder(rules_folder() / "advisories") for name in known.names})
    wanted = [dependency(name, version) for name in names for version in ("0.0.1", "9999.0", "odd", None)]
    audits = [one for one in EmbeddedDatabase().audit(wanted) if isinstance(one, Audit)]
    assert len(audits) == len(wanted)
    assert {one.status for one in audits} == {AuditStatus.AFFECTED, AuditStatus.NOT_AUDITED}


def record(identifier: str, **fields: object) -> dict[str, object]:
    package = {"ecosystem": "PyPI", "name": "x"}
    affected = [{"package": package, "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}]}]}]
    return {"id": identifier, "modified": "2026-01-01T00:00:00Z", "affected": affected, **fields}


def test_files_hold_one_record_or_several(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(json.dumps(record("A-1")))
    withdrawn = record("A-3", withdrawn="2026-01-01T00:00:00Z")
    (tmp_path / "b.json").write_text(json.dumps([record("A-2"), withdrawn]))
    database = EmbeddedDatabase(tmp_path)
    assert database.data().records == 2
    found = list(database.audit([dependency("x", "1")]))
    assert [one.facts["id"] for one in found if isinstance(one, Evidence)] == ["A-1", "A-2"]


def test_ranges_that_cannot_be_compared_are_not_clean(tmp_path: Path) -> None:
    odd = record("A-1")
    odd["affected"] = [
        {
            "package": {"ecosystem": "PyPI", "name": "x"},
            "ranges": [{"type": "ECOSYSTEM", "events": [{"fixed": "odd"}]}],
        }
    ]
    (tmp_path / "a.json").write_text(json.dumps(odd))
    (audit,) = EmbeddedDatabase(tmp_path).audit([dependency("x", "1")])
    assert isinstance(audit, Audit)
    assert audit.status is AuditStatus.NOT_AUDITED
    assert audit.reason == "A-1 gives versions that cannot be compared"


def test_records_of_one_problem_are_one_evidence_with_an_upgrade_that_clears_both(tmp_path: Path) -> None:
    def until(version: str) -> list[dict[str, object]]:
        events = [{"introduced": "0"}, {"fixed": version}]
        return [
            {
                "package": {"ecosystem": "PyPI", "name": "x"},
                "ranges": [{"type": "ECOSYSTEM", "events": events}],
            }
        ]

    both = [
        record("GHSA-1", aliases=["CVE-1"], affected=until("2")),
        record("PYSEC-1", aliases=["CVE-1"], affected=until("3")),
    ]
    (tmp_path / "a.json").write_text(json.dumps(both))
    evidence, _ = EmbeddedDatabase(tmp_path).audit([dependency("x", "1")])
    assert isinstance(evidence, Evidence)
    assert evidence.facts["aliases"] == ("CVE-1", "GHSA-1", "PYSEC-1")
    assert evidence.facts["fixed"] == ("2", "3")
    assert evidence.facts["upgrade"] == "3"


def spans(*events: dict[str, str]) -> list[dict[str, object]]:
    package = {"ecosystem": "PyPI", "name": "x"}
    return [{"package": package, "ranges": [{"type": "ECOSYSTEM", "events": list(events)}]}]


@pytest.mark.parametrize(
    ("later", "target"),
    [
        (spans({"introduced": "2"}, {"fixed": "3"}), "3"),
        (spans({"introduced": "2"}), "2"),
        (spans({"introduced": "2.1"}, {"fixed": "3"}), "2"),
    ],
    ids=["another problem until 3", "another problem for ever", "another problem later"],
)
def test_the_smallest_upgrade_clears_every_advisory(
    later: list[dict[str, object]], target: str, tmp_path: Path
) -> None:
    known = [
        record("A-1", affected=spans({"introduced": "0"}, {"fixed": "1.5"})),
        record("A-2", affected=spans({"introduced": "0"}, {"fixed": "2"})),
        record("A-3", affected=later),
    ]
    (tmp_path / "a.json").write_text(json.dumps(known))
    found = EmbeddedDatabase(tmp_path).audit([dependency("x", "1")])
    evidence = [one for one in found if isinstance(one, Evidence)]
    assert [one.facts["upgrade"] for one in evidence] == ["1.5", "2"]
    assert {one.facts["upgrade_all"] for one in evidence} == {target}
    assert {one.facts["remedy"] for one in evidence} == {f"upgrade to {target} (clears all 2)"}


def test_a_problem_that_attackers_use() -> None:
    evidence, _ = ask("opencv-python", "4.8.0.76")
    assert [one.facts["kev"] for one in evidence] == [True]


@pytest.mark.parametrize(
    ("text", "reason"),
    [("{", "not JSON"), ("{}", "no usable id"), ('[{"id": "A-1"}]', "modified"), ("7", "not a JSON object")],
)
def test_broken_files_are_named(text: str, reason: str, tmp_path: Path) -> None:
    (tmp_path / "bad.json").write_text(text)
    with pytest.raises(RuleError, match=f"bad.json.*{reason}"):
        EmbeddedDatabase(tmp_path)


def test_an_id_may_be_there_only_once(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(json.dumps([record("A-1"), record("A-1")]))
    with pytest.raises(RuleError, match="A-1 is there twice"):
        EmbeddedDatabase(tmp_path)


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "a.json").mkdir()
    with pytest.raises(RuleError, match=r"a\.json"):
        EmbeddedDatabase(tmp_path)
