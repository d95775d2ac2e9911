"""What goes wrong while dependencies are audited, as a user meets it: plain words and the right exit code."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from supplyguard import cli
from supplyguard.advisories import live, osv, store_build
from supplyguard.advisories.live import Service
from tests.advisories.osv_server import osv_server
from tests.stand_in import Answer, nobody, self_signed

pytestmark = pytest.mark.heavy

INCOMPLETE = 3
FINDINGS = 1
OLD = {"x": "was broken"}


class Ran(NamedTuple):
    code: int
    report: dict[str, Any]
    seconds: float

    @property
    def gaps(self) -> list[str]:
        return [one["message"] for one in self.report["notifications"] if one["incomplete"]]


Run = Callable[..., Ran]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]) -> Run:
    """Scan "requirements.txt" in a fresh folder, with the services at an address ("" for none)."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SUPPLYGUARD_CACHE_DIR", str(tmp_path / "cache"))

    def called(base: str = "", target: str = "requirements.txt", *more: str) -> Ran:
        services = (Service(name="pypi", url=base), Service(name="osv", url=base))
        monkeypatch.setattr(live.LiveDatabase.__init__, "__defaults__", (services,))
        kept = live.LiveDatabase.__init__.__kwdefaults__ or {}
        monkeypatch.setattr(
            live.LiveDatabase.__init__, "__kwdefaults__", {**kept, "seconds": 4.0, "timeout": 0.5}
        )
        options = ["--isolated", "--format", "json", "--hub-cache", "none", *more]
        options += [] if base else ["--offline"]
        monkeypatch.setattr(sys, "argv", ["supplyguard", "scan", *options, target])
        begin = time.monotonic()
        with pytest.raises(SystemExit) as end:
            cli.main()
        out, err = capfdbinary.readouterr()
        assert b"Traceback" not in err
        assert b"internal error" not in out + err
        assert isinstance(end.value.code, int)
        return Ran(end.value.code, json.loads(out), time.monotonic() - begin)

    return called


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (Answer(status=404), "404"),
        (Answer(status=429), "429"),
        (Answer(status=500), "500"),
        (Answer(body=b'{"results": [{"vulns": [', length=4000), "connection failed|cannot be used"),
        (Answer(body=b"<html>sign in here</html>"), "cannot be used"),
        (Answer(status=302, headers={"Location": "https://elsewhere.example/"}), "another host"),
        (Answer(delay=60.0), "no answer in time|connection failed|no answer within"),
    ],
    ids=["404", "429", "500", "half", "not-json", "redirect", "slow"],
)
@pytest.mark.parametrize("path", ["/v1/querybatch", "/pypi/"])
def test_a_failing_service(path: str, answer: Answer, words: str, run: Run, tmp_path: Path) -> None:
    (tmp_path / "requirements.txt").write_text("x==1.0\n")
    service = "pypi" if path == "/pypi/" else "osv"
    with osv_server(fault=lambda asked: answer if asked.path.startswith(path) else None) as base:
        ran = run(base)
    assert (ran.code, ran.report["verdict"]) == (INCOMPLETE, "incomplete")
    said = [gap for gap in ran.gaps if gap.startswith(f"{service} gave no answer on 1 of 1 packages: ")]
    assert said, ran.gaps
    if (service, answer.status) == ("pypi", 404):
        words = "does not know this version"
    assert any(word in said[0] for word in words.split("|")), said
    assert "supplyguard db update" in said[0]
    assert ran.seconds < 20


def test_a_service_that_is_down(run: Run, tmp_path: Path) -> None:
    (tmp_path / "requirements.txt").write_text("x==1.0\n")
    with nobody() as base:
        ran = run(base)
    assert ran.code == INCOMPLETE
    assert any("connection failed" in gap for gap in ran.gaps)


def test_a_certificate_that_nobody_vouches_for(run: Run, tmp_path: Path) -> None:
    (tmp_path / "requirements.txt").write_text("x==1.0\n")
    with osv_server(tls=self_signed(tmp_path)) as base:
        ran = run(base)
    assert ran.code == INCOMPLETE
    assert any("certificate" in gap for gap in ran.gaps)


def test_what_was_found_counts_more_than_a_failing_service(run: Run, tmp_path: Path) -> None:
    (tmp_path / "requirements.txt").write_text("torch==2.5.1\n")
    with nobody() as base:
        ran = run(base)
    assert (ran.code, ran.report["verdict"]) == (FINDINGS, "fail")


def test_all_is_well_and_a_withdrawn_release_is_told(run: Run, tmp_path: Path) -> None:
    (tmp_path / "requirements.txt").write_text("x==1.0\ny==1.0\n")
    with osv_server(yanked=OLD) as base:
        ran = run(base, "requirements.txt", "--fail-on", "medium")
    assert (ran.code, ran.gaps) == (FINDINGS, [])
    (finding,) = ran.report["findings"]
    assert finding["message"] == "x 1.0 was withdrawn (yanked) from the index: was broken"


def test_a_damaged_store(run: Run, tmp_path: Path) -> None:
    (tmp_path / "requirements.txt").write_text("x==1.0\n")
    (tmp_path / "store").write_bytes(b"not a database" * 100)
    ran = run("", "requirements.txt", "--db", "store")
    assert ran.code == INCOMPLETE
    assert any("supplyguard db update" in gap for gap in ran.gaps)


def lock(count: int) -> str:
    text = 'version = 1\nrequires-python = ">=3.12"\n'
    for number in range(count):
        text += f'\n[[package]]\nname = "package-{number}"\nversion = "1.{number}"\n'
        text += 'source = { registry = "https://pypi.org/simple" }\n'
        text += (
            f'sdist = {{ url = "https://files.example.com/{number}.tar.gz", hash = "sha256:{"2a" * 32}" }}\n'
        )
    return text


def test_a_lock_of_ten_thousand_packages(run: Run, tmp_path: Path) -> None:
    (tmp_path / "uv.lock").write_text(lock(10_000))
    affected = [{"package": {"ecosystem": "PyPI", "name": "package-77"}, "versions": ["1.77"]}]
    record = {"id": "GHSA-1", "modified": "2026-02-03T00:00:00Z", "affected": affected}
    store_build.build(tmp_path / "store", [osv.parse(record)], source="all.zip")
    begin = time.process_time()
    ran = run("", "uv.lock", "--db", "store", "--max-db-age", "0", "--fail-on", "medium")
    assert time.process_time() - begin < 20
    assert ran.code == FINDINGS
    assert [one["facts"]["package"] for one in ran.report["findings"]] == ["package-77"]
    assert ran.gaps == []


@pytest.mark.parametrize("text", ["-r requirements.txt\nx==1.0\n", "-r ./a/../requirements.txt\nx==1.0\n"])
def test_a_file_that_includes_itself(text: str, run: Run, tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "requirements.txt").write_text(text)
    ran = run()
    assert ran.code == 0
    (note,) = [one for one in ran.report["notifications"] if one["code"] == "include-loop"]
    assert note["message"] == "includes itself"
    assert [one["name"] for one in ran.report.get("dependencies", [{"name": "x"}])] == ["x"]


def test_two_files_that_include_each_other(run: Run, tmp_path: Path) -> None:
    (tmp_path / "requirements.txt").write_text("-r requirements-b.txt\nx==1.0\n")
    (tmp_path / "requirements-b.txt").write_text("-r requirements.txt\ny==1.0\n")
    ran = run()
    assert ran.code == 0
    assert "include-loop" in {one["code"] for one in ran.report["notifications"]}
