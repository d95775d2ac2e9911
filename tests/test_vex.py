"""OpenVEX in and out: what is accepted, by whose word, and what is not."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from supplyguard import cli
from supplyguard.config import Settings
from supplyguard.errors import ConfigError, UsageError
from supplyguard.finding import Finding, Report, Suppression, SuppressionKind, Verdict
from supplyguard.policy import Ignore, VexStatement
from supplyguard.vex import read_vex, write_vex
from supplyguard.wiring import run_scan, run_vex

TORCH = "CVE-2025-32434"


def statement(**fields: Any) -> dict[str, Any]:
    return {
        "vulnerability": {"name": TORCH},
        "products": [{"@id": "pkg:pypi/torch@2.5.1"}],
        "status": "not_affected",
        "justification": "vulnerable_code_not_in_execute_path",
        **fields,
    }


def document(*statements: object, **fields: Any) -> dict[str, Any]:
    return {
        "@context": "https://openvex.dev/ns/v0.2.0",
        "@id": "https://example.org/vex-1",
        "author": "Somebody",
        "timestamp": "2026-01-01T00:00:00Z",
        "version": 1,
        "statements": list(statements),
        **fields,
    }


def written(folder: Path, content: object, name: str = "vex.json") -> Path:
    path = folder / name
    path.write_text(json.dumps(content))
    return path


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "p").mkdir()
    (tmp_path / "p" / "requirements.txt").write_text("torch==2.5.1\n")
    return tmp_path


def scanned(project: Path, *paths: Path, **more: Any) -> Report:
    options = Settings(offline=True, hub_cache=project / "none", vex=paths, **more)
    return run_scan([Path("p")], options)


def accepted(report: Report) -> list[tuple[object, str]]:
    assert all(one.suppression is not None for one in report.suppressed)
    return [
        (one.facts["id"], one.suppression.reason)
        for one in report.suppressed
        if one.suppression is not None and one.suppression.kind is SuppressionKind.VEX
    ]


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({}, "not_affected: vulnerable_code_not_in_execute_path"),
        ({"status": "fixed"}, "fixed: vulnerable_code_not_in_execute_path"),
        ({"status": "fixed", "justification": None}, "fixed"),
        ({"status_notes": "We checked"}, "not_affected: vulnerable_code_not_in_execute_path; We checked"),
        ({"justification": None, "impact_statement": "Never loaded"}, "not_affected: Never loaded"),
        ({"vulnerability": {"name": "X-1", "aliases": [TORCH]}}, "not_affected: vulnerable_code"),
        ({"products": [{"@id": "pkg:pypi/torch"}]}, "not_affected: vulnerable_code"),
        ({"products": [{"@id": "pkg:pypi/Torch@2.5.1"}]}, "not_affected: vulnerable_code"),
        ({"products": [{"identifiers": {"purl": "pkg:pypi/torch@2.5.1"}}]}, "not_affected: vulnerable_code"),
        ({"products": [{"@id": "pkg:npm/x@1"}, {"@id": "pkg:pypi/torch"}]}, "not_affected: vulnerable_code"),
    ],
)
def test_what_is_accepted(fields: dict[str, Any], reason: str, project: Path) -> None:
    before = scanned(project)
    report = scanned(project, written(project, document(statement(**fields))))
    ((identifier, said),) = accepted(report)
    assert identifier == TORCH
    assert said.startswith(reason)
    assert len(report.findings) == len(before.findings) - 1


@pytest.mark.parametrize(
    "fields",
    [
        {"status": "affected", "action_statement": "upgrade"},
        {"status": "under_investigation"},
        {"vulnerability": {"name": "CVE-2000-1"}},
        {"products": [{"@id": "pkg:pypi/torch@2.5.0"}]},
        {"products": [{"@id": "pkg:pypi/torchvision"}]},
        {"products": [{"@id": "pkg:npm/torch@2.5.1"}]},
        {"products": [{"@id": "pkg:pypi/torch@2.5.1?repository_url=https://example.org"}]},
        {"products": [{"@id": "pkg:pypi/torch@2.5.1#below"}]},
        {"products": [{"@id": "https://example.org/torch"}]},
        {"products": [{"@id": "pkg:"}]},
        {"products": []},
        {"products": [{"@id": "pkg:oci/app", "subcomponents": [{"@id": "pkg:pypi/torch@2.5.1"}]}]},
    ],
)
def test_what_is_not_accepted(fields: dict[str, Any], project: Path) -> None:
    before = scanned(project)
    report = scanned(project, written(project, document(statement(**fields))))
    assert accepted(report) == []
    assert report.findings == before.findings
    assert report.verdict is Verdict.FAIL


def test_the_latest_statement_counts(project: Path) -> None:
    early = statement(timestamp="2026-02-01T00:00:00Z")
    late = statement(status="affected", action_statement="upgrade", timestamp="2026-02-02T00:00:00Z")
    assert accepted(scanned(project, written(project, document(late, early)))) == []
    early["timestamp"] = "2026-03-01T00:00:00"
    assert len(accepted(scanned(project, written(project, document(early, late))))) == 1
    same = [statement(status="affected"), statement()]
    assert len(accepted(scanned(project, written(project, document(*same))))) == 1
    assert accepted(scanned(project, written(project, document(*reversed(same))))) == []
    first = written(project, document(statement()), "a.json")
    second = written(
        project, document(statement(status="affected"), timestamp="2027-01-01T00:00:00Z"), "b.json"
    )
    assert accepted(scanned(project, first, second)) == []
    assert accepted(scanned(project, second, first)) == []


def test_other_findings_are_not_accepted(project: Path) -> None:
    (project / "p" / "requirements.txt").write_text("torch\n")
    whole = statement(vulnerability={"name": "dependency-unpinned", "aliases": ["torch"]})
    report = scanned(project, written(project, document(whole)))
    assert report.suppressed == ()
    assert [one.rule.id for one in report.findings] == ["dependency-unpinned"]


@pytest.mark.parametrize(
    ("content", "key"),
    [
        ([], "@context"),
        ({"@context": "https://openvex.dev/ns/v9"}, "@context"),
        (document(statements=7), "statements: expected a list"),
        (document(timestamp="some day"), "timestamp: not a time"),
        (document(timestamp=None), "timestamp: not a time"),
        (document(7), r"statements\[0\]: expected an object"),
        (document(statement(), statement(status="fine")), r"statements\[1\]\.status"),
        (document(statement(timestamp=7)), r"statements\[0\]\.timestamp: not a time"),
        (document(statement(vulnerability="CVE-1")), r"statements\[0\]\.vulnerability\.name"),
        (document(statement(vulnerability={"name": "A", "aliases": "B"})), r"vulnerability\.aliases"),
        (document(statement(products=7)), r"statements\[0\]\.products: expected a list"),
        (document(statement(products=["pkg:pypi/x"])), r"products\[0\]: expected an object"),
        (document(statement(products=[{"identifiers": 7}])), r"products\[0\]: expected an object"),
        (document(statement(justification="because")), r"justification: not one of component_not_present"),
        (document(statement(justification=None)), "needs a justification or an impact_statement"),
        (document(statement(justification=None, impact_statement=" ")), "needs a justification"),
    ],
)
def test_a_broken_document_names_its_key(content: object, key: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=key):
        read_vex(written(tmp_path, content))


def test_documents_that_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for content in (b"{", b"[" * 100_000, b"\xff\xfe{}"):
        (tmp_path / "vex.json").write_bytes(content)
        with pytest.raises(ConfigError, match="cannot read the VEX document"):
            read_vex(tmp_path / "vex.json")
    with pytest.raises(ConfigError, match="cannot read the VEX document"):
        read_vex(tmp_path / "none.json")
    monkeypatch.setattr("supplyguard.vex._MOST_BYTES", 1)
    with pytest.raises(ConfigError, match="larger than 1 bytes"):
        read_vex(written(tmp_path, document()))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@given(
    key=st.sampled_from(
        ["vulnerability", "products", "status", "justification", "timestamp", "impact_statement"]
    ),
    value=json_values,
)
@settings(deadline=None, max_examples=100)
def test_any_document_is_read_or_refused(
    key: str, value: object, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = written(tmp_path_factory.mktemp("vex"), document(statement(**{key: value})))
    try:
        (read,) = read_vex(path)
    except ConfigError:
        return
    assert isinstance(read, VexStatement)


IGNORE = Ignore(
    rule="vulnerable-dependency-critical",
    reason="torch.load is never called",
    advisory=TORCH,
    justification="vulnerable_code_not_in_execute_path",
)


def test_an_ignore_becomes_a_statement_that_is_read_back(project: Path) -> None:
    text = run_vex(
        [Path("p")],
        Settings(offline=True, hub_cache=project / "none", ignores=(IGNORE,)),
        author="Somebody",
    )
    made = json.loads(text)
    assert (made["@context"], made["author"], made["version"]) == (
        "https://openvex.dev/ns/v0.2.0",
        "Somebody",
        1,
    )
    assert made["@id"].startswith("urn:uuid:")
    assert datetime.fromisoformat(made["timestamp"]).tzinfo is not None
    (only,) = made["statements"]
    assert only["products"] == [{"@id": "pkg:pypi/torch@2.5.1"}]
    assert only["vulnerability"]["name"] == TORCH
    assert only["vulnerability"]["aliases"]
    assert (only["status"], only["justification"]) == ("not_affected", IGNORE.justification)
    assert only["status_notes"] == "torch.load is never called"
    assert "impact_statement" not in only, "the format allows only one of the two"
    (project / "ours.json").write_text(text)
    assert [one for one, _ in accepted(scanned(project, project / "ours.json"))] == [TORCH]


def test_an_ignore_without_justification_says_that_it_is_accepted(project: Path) -> None:
    from datetime import date  # noqa: PLC0415

    ignore = Ignore(rule=IGNORE.rule, reason="behind a wall", advisory=TORCH, expires=date(2999, 1, 1))
    chosen = Settings(offline=True, hub_cache=project / "none", ignores=(ignore,))
    (only,) = json.loads(run_vex([Path("p")], chosen, author="x"))["statements"]
    assert (only["status"], only["action_statement"]) == (
        "affected",
        "behind a wall (accepted until 2999-01-01)",
    )
    (project / "ours.json").write_text(json.dumps(document(only)))
    assert accepted(scanned(project, project / "ours.json")) == []


@pytest.mark.parametrize(
    "ignores",
    [
        (),
        (Ignore(rule=IGNORE.rule, reason="all of them"),),
        (Ignore(rule=IGNORE.rule, reason="another", advisory="CVE-2000-1"),),
    ],
)
def test_nothing_to_say_is_an_error(ignores: tuple[Ignore, ...], project: Path) -> None:
    chosen = Settings(offline=True, hub_cache=project / "none", ignores=ignores)
    with pytest.raises(UsageError, match="no configured ignore names an advisory"):
        run_vex([Path("p")], chosen, author="x")


def test_only_what_the_configuration_accepts_is_written(project: Path) -> None:
    report = scanned(project, ignores=(IGNORE,))
    inline = [
        Finding(
            rule=one.rule,
            message=one.message,
            location=one.location,
            facts={**one.facts, "version": "(any version)"},
            fingerprint=one.fingerprint,
            suppression=Suppression(kind=kind, reason="x"),
        )
        for one in report.suppressed
        for kind in (SuppressionKind.INLINE, SuppressionKind.CONFIGURED)
    ]
    text = write_vex(inline, (IGNORE,), author="x", issued=datetime(2026, 1, 1, tzinfo=UTC))
    (only,) = json.loads(text)["statements"]
    assert only["products"] == [{"@id": "pkg:pypi/torch"}]
    assert text == write_vex(inline, (IGNORE,), author="x", issued=datetime(2026, 1, 1, tzinfo=UTC))


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["supplyguard", *arguments])
    with pytest.raises(SystemExit) as end:
        cli.main()
    assert isinstance(end.value.code, int)
    return end.value.code


def test_on_the_command_line(
    project: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    (project / "supplyguard.toml").write_text(
        f'[[ignore]]\nrule = "{IGNORE.rule}"\nreason = "never"\nadvisory = "{TORCH}"\n'
        'justification = "component_not_present"\n'
    )
    assert run(monkeypatch, "vex", "--offline", "p") == 0
    printed = json.loads(capfd.readouterr().out)
    assert run(monkeypatch, "vex", "--offline", "--author", "Me", "-o", "ours.json", "p") == 0
    kept = json.loads((project / "ours.json").read_text())
    assert printed["statements"] == kept["statements"]
    assert (printed["author"], kept["author"]) == ("Unknown Author", "Me")
    (project / "supplyguard.toml").unlink()
    assert run(monkeypatch, "vex", "--offline", "p") == 2
    capfd.readouterr()
    run(monkeypatch, "scan", "--offline", "--vex", "ours.json", "-f", "json", "p")
    report = json.loads(capfd.readouterr().out)
    kinds = [one["suppression"]["kind"] for one in report["suppressed"]]
    assert kinds == ["vex"]


def test_a_justification_is_one_of_openvex(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (project / "supplyguard.toml").write_text(
        '[[ignore]]\nrule = "x"\nreason = "y"\njustification = "because"\n'
    )
    assert run(monkeypatch, "scan", "--offline", "p") == 2
