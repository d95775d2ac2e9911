"""The pipeline: what is said once, what is merged, and what a failing part does to the whole."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest

from supplyguard.aspect import Aspect
from supplyguard.errors import StoreError
from supplyguard.finding import AdvisoryData, Audit, AuditStatus, Evidence, Notification, Report, Verdict
from supplyguard.inventory import Dependency
from supplyguard.policy import Ignore, Policy
from supplyguard.rules import load_catalogue
from supplyguard.scan import ScanOptions, scan, uri_of

MALICIOUS = b"\x80\x02cposix\nsystem\nq\x00X\x04\x00\x00\x00trueq\x01\x85q\x02Rq\x03."
HONEST = b"\x80\x04\x95\x0a\x00\x00\x00\x00\x00\x00\x00}\x94\x8c\x01a\x94K\x01s."
COMMIT = "0123456789abcdef0123456789abcdef01234567"


class Database:
    """A database that calls everything clean, or fails."""

    def __init__(self, failure: Exception | None = None, status: AuditStatus = AuditStatus.CLEAN) -> None:
        self.failure = failure
        self.status = status

    def data(self) -> AdvisoryData:
        return AdvisoryData(name="test", updated=datetime(2026, 1, 1, tzinfo=UTC), records=1, origin="here")

    def audit(self, dependencies: Sequence[Dependency]) -> Iterator[Evidence | Audit | Notification]:
        if self.failure is not None:
            raise self.failure
        for each in dependencies:
            yield Audit(dependency=each, status=self.status, database="test", reason="why")


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def scanned(*targets: str, **options: object) -> Report:
    made = ScanOptions(catalogue=load_catalogue(), **options)  # type: ignore[arg-type]
    return scan([Path(target) for target in targets], made)


def codes(report: Report) -> list[str]:
    return [each.code for each in report.notifications]


def test_a_file_given_twice_is_examined_once(tmp_path: Path) -> None:
    (tmp_path / "bad.pkl").write_bytes(MALICIOUS)
    report = scanned("bad.pkl", ".", "bad.pkl")
    assert report.counts.inspected == 1
    assert len(report.findings) == 1


def test_what_two_files_include_is_said_once(tmp_path: Path) -> None:
    (tmp_path / "requirements.txt").write_text("-r requirements-base.txt\n-r base.txt\n")
    (tmp_path / "requirements-base.txt").write_text("torch\n")
    (tmp_path / "base.txt").write_text("numpy  # supplyguard: ignore[dependency-unpinned] on purpose\n")
    report = scanned(".")
    assert [str(each.location) for each in report.findings] == ["requirements-base.txt:1:1"]
    assert [str(each.location) for each in report.suppressed] == ["base.txt:1:1"]


def test_fingerprints_do_not_depend_on_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".git").mkdir()
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "bad.pkl").write_bytes(MALICIOUS)
    above = scanned("sub")
    monkeypatch.chdir(tmp_path / "sub")
    below = scanned(".")
    assert below.root_prefix == "sub/"
    assert [each.fingerprint for each in above.findings] == [each.fingerprint for each in below.findings]


def test_digests(tmp_path: Path) -> None:
    (tmp_path / "bad.pkl").write_bytes(MALICIOUS)
    (tmp_path / "good.pkl").write_bytes(HONEST)
    expected = hashlib.sha256(MALICIOUS).hexdigest()
    by_name = {artifact.uri: digest for artifact, digest in scanned(".").artifacts}
    assert by_name == {"bad.pkl": expected, "good.pkl": None}
    assert all(digest for _, digest in scanned(".", hash_all=True).artifacts)
    policy = Policy(ignores=(Ignore(rule="pickle-executes-code", reason="r", sha256=expected),))
    assert scanned(".", policy=policy).verdict is Verdict.PASS


def test_a_failing_database_is_said_and_the_others_count(tmp_path: Path) -> None:
    (tmp_path / "requirements.txt").write_text("torch==2.12\n")
    broken = Database(StoreError("damaged"))
    report = scanned(".", databases=lambda: (broken, Database()))
    assert codes(report) == ["not-examined"]
    assert report.verdict is Verdict.INCOMPLETE
    assert [each.status for each in report.audits] == [AuditStatus.CLEAN]


@pytest.mark.parametrize(("offline", "verdict"), [(True, Verdict.PASS), (False, Verdict.INCOMPLETE)])
def test_what_is_not_audited_is_not_clean(offline: bool, verdict: Verdict, tmp_path: Path) -> None:
    (tmp_path / "requirements.txt").write_text("torch==2.12\n")
    report = scanned(".", databases=lambda: (Database(status=AuditStatus.NOT_AUDITED),), offline=offline)
    assert codes(report) == ["not-audited"]
    assert report.verdict is verdict


def test_a_database_that_fails_alone_leaves_everything_not_audited(tmp_path: Path) -> None:
    (tmp_path / "requirements.txt").write_text("torch==2.12\n")
    report = scanned(".", databases=lambda: (Database(StoreError("damaged")),))
    assert [each.status for each in report.audits] == [AuditStatus.NOT_AUDITED]
    assert report.verdict is Verdict.INCOMPLETE


def cached(cache: Path, data: bytes) -> None:
    repository = cache / "models--org--name"
    snapshot = repository / "snapshots" / COMMIT
    snapshot.mkdir(parents=True)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(COMMIT)
    (snapshot / "pytorch_model.bin").write_bytes(data)


def test_a_cached_model_is_inspected_and_the_code_that_names_it_is_related(tmp_path: Path) -> None:
    cached(tmp_path / "cache", MALICIOUS)
    project = tmp_path / "project"
    project.mkdir()
    (project / "load.py").write_text(
        "from transformers import AutoModel\n"
        'a = AutoModel.from_pretrained("org/name")\n'
        'b = AutoModel.from_pretrained("org/other")\n'
    )
    report = scanned("project", hub_cache=tmp_path / "cache")
    (worst, *_rest) = report.findings
    assert worst.location.uri == f"hf://org/name@{COMMIT}/pytorch_model.bin"
    assert str(worst.related[0]).startswith("project/load.py:2")
    assert "not-fetched" in codes(report)
    assert report.verdict is Verdict.FAIL


def test_only_a_part(tmp_path: Path) -> None:
    (tmp_path / "bad.pkl").write_bytes(MALICIOUS)
    (tmp_path / "requirements.txt").write_text("torch\n")
    assert scanned(".", aspects=frozenset({Aspect.DEPENDENCIES})).counts.inspected == 0
    assert scanned(".", aspects=frozenset({Aspect.ARTIFACTS})).counts.manifests == 0


def test_a_file_that_vanishes_between_examination_and_hashing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "bad.pkl").write_bytes(MALICIOUS)

    def gone(_path: Path) -> str:
        raise FileNotFoundError(2, "No such file or directory")

    monkeypatch.setattr("supplyguard.scan._sha256", gone)
    report = scanned(".")
    assert "unreadable" in codes(report)
    assert len(report.findings) == 1


def test_uris(tmp_path: Path) -> None:
    assert uri_of(tmp_path / "a" / "b") == "a/b"
    assert uri_of(Path("a/../c")) == "c"
    assert uri_of(Path("/etc/hosts")) == "/etc/hosts"
