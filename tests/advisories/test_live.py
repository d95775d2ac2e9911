"""pip-audit's own clients against a local stand-in of PyPI and OSV."""

from __future__ import annotations

import json
import logging
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from supplyguard.advisories.live import LiveDatabase, Service
from supplyguard.finding import Audit, AuditStatus, Evidence, Notification
from supplyguard.inventory import Dependency, Location
from tests.advisories.osv_server import Fault, osv_server
from tests.stand_in import Answer, Asked, nobody, self_signed

HERE = Location(uri="requirements.txt", line=1)
AFFECTED, CLEAN, NOT_AUDITED = AuditStatus.AFFECTED, AuditStatus.CLEAN, AuditStatus.NOT_AUDITED


def record(identifier: str, name: str = "x", **fields: Any) -> dict[str, Any]:
    events = [{"introduced": "0"}, {"fixed": "0.9"}, {"introduced": "1"}, {"fixed": "2"}]
    affected = {
        "package": {"ecosystem": "PyPI", "name": name},
        "ranges": [{"type": "ECOSYSTEM", "events": events}],
        "versions": ["0.5", "1.0", "1.1"],
    }
    return {
        "id": identifier,
        "modified": "2026-02-03T00:00:00Z",
        "details": "It breaks.\nMuch more.",
        "affected": [affected],
        **fields,
    }


RATED = record(
    "GHSA-1",
    aliases=["CVE-1"],
    summary="It runs code",
    severity=[{"type": "CVSS_V3", "score": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"}],
)


def dependency(name: str, version: str | None = "1.0") -> Dependency:
    return Dependency(name=name, raw_name=name, version=version, location=HERE)


class Answers:
    def __init__(self, items: Iterator[Evidence | Audit | Notification]) -> None:
        self.all = list(items)
        self.evidence = [one for one in self.all if isinstance(one, Evidence)]
        self.audits = [one for one in self.all if isinstance(one, Audit)]
        self.notes = [one for one in self.all if isinstance(one, Notification)]

    @property
    def status(self) -> AuditStatus:
        (audit,) = self.audits
        return audit.status


def ask(
    base: str,
    cache: Path,
    *wanted: Dependency,
    services: Sequence[str] = ("pypi", "osv"),
    seconds: float = 10.0,
    timeout: float = 2.0,
) -> Answers:
    chosen = [Service(name=name, url=base) for name in services]
    database = LiveDatabase(chosen, cache=cache, seconds=seconds, timeout=timeout, workers=4)
    return Answers(database.audit(wanted or [dependency("x")]))


def on(path: str, answer: Answer) -> Fault:
    return lambda asked: answer if asked.path.startswith(path) else None


def test_what_it_is() -> None:
    data = LiveDatabase().data()
    assert data.origin == "https://pypi.org, https://api.osv.dev"
    assert (data.name, data.updated, data.records) == ("live", None, None)


def test_both_services_know_one_problem(tmp_path: Path) -> None:
    with osv_server([RATED]) as base:
        answers = ask(base, tmp_path)
    (evidence,) = answers.evidence
    assert evidence.facts["aliases"] == ("CVE-1", "GHSA-1")
    assert (evidence.facts["severity"], evidence.facts["score"]) == ("critical", 9.8)
    assert evidence.facts["summary"] == "It runs code"
    assert evidence.facts["databases"] == ("osv", "pypi")
    assert (evidence.facts["fixed"], evidence.facts["upgrade"]) == (("2",), "2")
    assert answers.status is AFFECTED
    assert answers.notes == []


def test_pypi_alone_tells_no_severity(tmp_path: Path) -> None:
    with osv_server([record("PYSEC-1")]) as base:
        answers = ask(base, tmp_path, services=["pypi"])
    (evidence,) = answers.evidence
    assert evidence.facts["severity"] == "unknown"
    assert evidence.facts["summary"] == "It breaks. Much more"
    assert evidence.facts["remedy"] == "upgrade to 2"


def test_a_record_that_cannot_be_read_is_still_a_problem(tmp_path: Path) -> None:
    with osv_server([record("PYSEC-1", modified="some day")]) as base:
        answers = ask(base, tmp_path, services=["osv"])
    (evidence,) = answers.evidence
    assert evidence.facts["id"] == "PYSEC-1"
    assert evidence.facts["severity"] == "unknown"
    assert answers.status is AFFECTED
    assert "PYSEC-1 cannot be read" in answers.notes[0].message


def test_a_record_of_another_package_is_the_services_word(tmp_path: Path) -> None:
    """The service matched it, so it counts; what it says of ranges is not of this package."""
    other = json.dumps(record("GHSA-1", name="other")).encode()
    with osv_server([RATED], fault=on("/v1/vulns/", Answer(body=other))) as base:
        answers = ask(base, tmp_path, services=["osv"])
    (evidence,) = answers.evidence
    assert evidence.facts["severity"] == "unknown"


def test_pages_are_followed(tmp_path: Path) -> None:
    log: list[Asked] = []
    many = [record(f"GHSA-{count}") for count in range(7)]
    with osv_server(many, page=2, log=log) as base:
        answers = ask(base, tmp_path, dependency("x"), dependency("y"), services=["osv"])
    assert sorted(str(one.facts["id"]) for one in answers.evidence) == [f"GHSA-{n}" for n in range(7)]
    assert [audit.status for audit in answers.audits] == [AFFECTED, CLEAN]
    batches = [json.loads(one.body)["queries"] for one in log if one.path == "/v1/querybatch"]
    assert [len(queries) for queries in batches] == [2, 1, 1, 1]
    assert [queries[0].get("page_token") for queries in batches] == [None, "2", "4", "6"]


def test_a_broken_later_page_keeps_what_is_known_and_concerns_nobody_else(tmp_path: Path) -> None:
    def fault(asked: Asked) -> Answer | None:
        return Answer(body=b'{"results": [') if b"page_token" in asked.body else None

    records = [record("GHSA-1"), record("GHSA-2"), record("GHSA-3", name="z")]
    with osv_server(records, page=1, fault=fault) as base:
        answers = ask(base, tmp_path, *map(dependency, "xyz"), services=["osv"])
    assert [audit.status for audit in answers.audits] == [AFFECTED, CLEAN, AFFECTED]
    (note,) = answers.notes
    assert note.message.startswith("osv gave no answer on 1 of 3 packages")


def test_a_half_answered_batch_is_no_answer(tmp_path: Path) -> None:
    half = Answer(body=b'{"results": [{}]}')
    with osv_server(fault=on("/v1/querybatch", half)) as base:
        answers = ask(base, tmp_path, *map(dependency, "xy"), services=["osv"])
    assert {audit.status for audit in answers.audits} == {NOT_AUDITED}


def test_one_result_that_cannot_be_used_concerns_one_package(tmp_path: Path) -> None:
    body = b'{"results": [{}, {"vulns": [{"id": 7}]}, null, {"vulns": 7}, [], {"next_page_token": 7}]}'
    with osv_server(fault=on("/v1/querybatch", Answer(body=body))) as base:
        answers = ask(base, tmp_path, *map(dependency, "abcdef"), services=["osv"])
    assert [audit.status for audit in answers.audits] == [
        CLEAN,
        NOT_AUDITED,
        CLEAN,
        NOT_AUDITED,
        NOT_AUDITED,
        NOT_AUDITED,
    ]


def test_pages_without_end(tmp_path: Path) -> None:
    more = Answer(body=b'{"results": [{"next_page_token": "again"}]}')
    with osv_server(fault=on("/v1/querybatch", more)) as base:
        answers = ask(base, tmp_path, services=["osv"])
    assert answers.status is NOT_AUDITED
    assert answers.audits[0].reason.endswith("more than 50 pages")


def test_batches_hold_a_thousand_questions(tmp_path: Path) -> None:
    log: list[Asked] = []
    names = [f"p{count}" for count in range(2_100)]
    with osv_server([record("GHSA-1", name="p2050")], log=log) as base:
        answers = ask(base, tmp_path, *map(dependency, names), services=["osv"])
    sizes = [len(json.loads(one.body)["queries"]) for one in log if one.path == "/v1/querybatch"]
    assert sizes == [1_000, 1_000, 100]
    assert [one.dependency.name for one in answers.audits if one.status is AFFECTED] == ["p2050"]


def test_a_batch_that_fails_leaves_the_others(tmp_path: Path) -> None:
    """What the first batch told stays; after a failure no further batch is asked for."""
    log: list[Asked] = []
    names = [f"p{count}" for count in range(2_500)]

    def fault(asked: Asked) -> Answer | None:
        return Answer(status=400) if b'"p1500"' in asked.body else None

    with osv_server([record("GHSA-1", name="p7")], fault=fault, log=log) as base:
        answers = ask(base, tmp_path, *map(dependency, names), services=["osv"])
    statuses = [audit.status for audit in answers.audits]
    assert statuses.count(AFFECTED) == 1
    assert statuses.count(CLEAN) == 999
    assert set(statuses[1_000:]) == {NOT_AUDITED}
    assert sum(one.path == "/v1/querybatch" for one in log) == 2


def test_records_are_kept_until_they_are_modified(tmp_path: Path) -> None:
    log: list[Asked] = []

    def fetched() -> int:
        count = sum(one.path.startswith("/v1/vulns/") for one in log)
        log.clear()
        return count

    with osv_server([RATED], log=log) as base:
        first = ask(base, tmp_path, services=["osv"])
        assert fetched() == 1
        again = ask(base, tmp_path, services=["osv"])
        assert fetched() == 0
    assert again.evidence == first.evidence
    with osv_server([{**RATED, "modified": "2026-02-04T00:00:00Z", "summary": "More"}], log=log) as base:
        (evidence,) = ask(base, tmp_path, services=["osv"]).evidence
        assert fetched() == 1
        assert evidence.facts["summary"] == "More"
        (file,) = (tmp_path / "osv").iterdir()
        for junk in (b"{", b"[]", b'{"modified": "2026-02-04T00:00:00Z", "record": 7}', b""):
            file.write_bytes(junk)
            assert ask(base, tmp_path, services=["osv"]).evidence == [evidence]
            assert fetched() == 1
        kept = json.dumps({"modified": "2026-02-04T00:00:00Z", "record": json.dumps(record("GHSA-2"))})
        file.write_text(kept)
        assert ask(base, tmp_path, services=["osv"]).evidence == [evidence], "another record was kept"


@pytest.mark.parametrize(
    "answer",
    [
        Answer(status=404),
        Answer(status=500),
        Answer(body=b"<html>"),
        Answer(body=json.dumps(record("GHSA-99")).encode()),
        Answer(status=302, headers={"Location": "https://elsewhere.example/"}),
        Answer(delay=9.0),
    ],
    ids=["404", "500", "a page", "another", "elsewhere", "slow"],
)
def test_an_id_without_its_record_is_still_a_problem(answer: Answer, tmp_path: Path) -> None:
    with osv_server([RATED], fault=on("/v1/vulns/", answer)) as base:
        answers = ask(base, tmp_path, dependency("x"), dependency("y"), services=["osv"], timeout=0.2)
    assert [audit.status for audit in answers.audits] == [AFFECTED, CLEAN]
    (evidence,) = answers.evidence
    assert (evidence.facts["id"], evidence.facts["severity"]) == ("GHSA-1", "unknown")
    (note,) = answers.notes
    assert note.incomplete


def test_the_upgrade_clears_every_advisory(tmp_path: Path) -> None:
    later = record("GHSA-2")
    later["affected"][0]["ranges"][0]["events"] = [{"introduced": "0"}, {"fixed": "3"}]
    with osv_server([RATED, later]) as base:
        answers = ask(base, tmp_path, services=["osv"])
    assert [one.facts["upgrade"] for one in answers.evidence] == ["2", "3"]
    assert {one.facts["remedy"] for one in answers.evidence} == {"upgrade to 3 (clears all 2)"}


@pytest.mark.parametrize("version", [None, "odd-one"])
def test_malicious_packages_are_found_without_a_version(version: str | None, tmp_path: Path) -> None:
    whole, some = record("MAL-1", name="bad"), record("MAL-2", name="taken-over")
    whole["affected"][0] = {
        "package": {"ecosystem": "PyPI", "name": "bad"},
        "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}]}],
    }
    log: list[Asked] = []
    with osv_server([whole, some, record("GHSA-1", name="bad")], log=log) as base:
        names = ("bad", "taken-over", "other")
        answers = ask(base, tmp_path, *(dependency(name, version) for name in names))
    assert [audit.status for audit in answers.audits] == [AFFECTED, NOT_AUDITED, NOT_AUDITED]
    (evidence,) = answers.evidence
    assert (evidence.facts["id"], evidence.facts["malicious"]) == ("MAL-1", True)
    assert not [one for one in log if one.path.startswith("/pypi/")]
    assert not [one for one in log if one.path == "/v1/vulns/GHSA-1"]


def test_exploitation_is_told_of_what_the_services_know(tmp_path: Path) -> None:
    with osv_server([RATED]) as base:
        database = LiveDatabase(
            [Service(name="osv", url=base)], cache=tmp_path, exploited=lambda ids: (0.5, "CVE-1" in ids)
        )
        (evidence,) = Answers(database.audit([dependency("x")])).evidence
    assert (evidence.facts["epss"], evidence.facts["kev"]) == (0.5, True)


def test_clean_means_that_every_service_answered(tmp_path: Path) -> None:
    with osv_server([RATED]) as base:
        answers = ask(base, tmp_path, dependency("x", "2.0"), dependency("y"))
    assert [audit.status for audit in answers.audits] == [CLEAN, CLEAN]
    assert answers.all == answers.audits


def test_malicious_packages(tmp_path: Path) -> None:
    with osv_server([record("MAL-1")]) as base:
        answers = ask(base, tmp_path, services=["pypi"])
        both = ask(base, tmp_path / "b")
    for found in (answers, both):
        (evidence,) = found.evidence
        assert evidence.facts["malicious"] is True
        assert evidence.facts["severity"] == "critical"


def test_local_parts_are_stripped(tmp_path: Path) -> None:
    log: list[Asked] = []
    with osv_server([RATED], log=log) as base:
        answers = ask(base, tmp_path, dependency("x", "1.0+cu121"))
    assert answers.status is AFFECTED
    assert answers.evidence[0].facts["version"] == "1.0+cu121"
    assert {one.path for one in log} == {"/v1/querybatch", "/v1/vulns/GHSA-1", "/pypi/x/1.0/json"}
    assert all(b"cu121" not in one.body for one in log)


@pytest.mark.parametrize(
    ("version", "reason"), [(None, "no exact version"), ("odd-one", "not a PEP 440 version")]
)
def test_what_cannot_be_asked(version: str | None, reason: str, tmp_path: Path) -> None:
    log: list[Asked] = []
    with osv_server(log=log) as base:
        answers = ask(base, tmp_path, dependency("x", version))
    (audit,) = answers.audits
    assert (audit.status, audit.reason) == (NOT_AUDITED, reason)
    assert [one.path for one in log] == ["/v1/querybatch"]
    assert not answers.notes


def test_the_same_version_is_asked_for_once(tmp_path: Path) -> None:
    log: list[Asked] = []
    again = Dependency(name="x", raw_name="X", version="1.0+cpu", location=Location(uri="other.txt"))
    with osv_server([RATED], log=log) as base:
        answers = ask(base, tmp_path, dependency("x"), again)
    assert Counter(one.path for one in log) == {
        "/v1/querybatch": 1,
        "/v1/vulns/GHSA-1": 1,
        "/pypi/x/1.0/json": 1,
    }
    assert [audit.dependency for audit in answers.audits] == [dependency("x"), again]
    assert len(answers.evidence) == 2


def test_what_pypi_does_not_know_is_not_audited(tmp_path: Path) -> None:
    with osv_server(unknown=["gone"]) as base:
        answers = ask(base, tmp_path, dependency("gone"), dependency("there"))
    gone, there = answers.audits
    assert gone.status is NOT_AUDITED
    assert gone.reason == f"{base} does not know this version"
    assert there.status is CLEAN
    (note,) = answers.notes
    assert (note.code, note.incomplete) == ("advisories-unreachable", True)
    assert note.message.startswith("pypi gave no answer on 1 of 2 packages")


def test_osv_may_know_what_pypi_has_removed(tmp_path: Path) -> None:
    with osv_server([record("MAL-1", name="gone")], unknown=["gone"]) as base:
        answers = ask(base, tmp_path, dependency("gone"))
    assert answers.status is AFFECTED
    assert answers.notes[0].incomplete


def test_everything_unknown_is_said_once_for_all(tmp_path: Path) -> None:
    names = [f"p{count}" for count in range(20)]
    with osv_server(unknown=names) as base:
        answers = ask(base, tmp_path, *map(dependency, names), services=["pypi"])
    assert {audit.status for audit in answers.audits} == {NOT_AUDITED}
    assert len({audit.reason for audit in answers.audits}) == 1
    assert len(answers.notes) == 1


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (Answer(status=404), "404"),
        (Answer(status=429), "429"),
        (Answer(status=500), "500"),
        (Answer(body=b"<html>"), "cannot be used"),
        (Answer(body=b""), "cannot be used"),
        (Answer(body=b"[" * 50_000), "cannot be used"),
        (Answer(body=b"[]"), "cannot be used"),
        (Answer(body=b'{"results": 7}'), "cannot be used"),
        (Answer(body=b'{"other": 7}'), "cannot be used"),
        (Answer(body=b'{"results": []}'), "cannot be used"),
        (Answer(body=b'{"results": [{"vulns": [{}]}]}'), "cannot be used"),
        (Answer(body=b'{"results": [{"vulns": [{"id": "\\u0000"}]}]}'), "cannot be used"),
        (Answer(body=b'{"results": [', length=400), "connection failed|cannot be used"),
        (Answer(status=302, headers={"Location": "https://elsewhere.example/"}), "another host"),
        (Answer(status=302, headers={"Location": "/v1/querybatch"}), "redirect"),
        (Answer(delay=9.0), "no answer in time|connection failed"),
    ],
    ids=lambda value: str(value)[:60] if isinstance(value, str) else "",
)
def test_faults_of_osv_are_never_clean(answer: Answer, reason: str, tmp_path: Path) -> None:
    with osv_server(fault=on("/v1/querybatch", answer)) as base:
        answers = ask(base, tmp_path, dependency("x"), timeout=0.2)
    (audit,) = answers.audits
    assert audit.status is NOT_AUDITED
    (note,) = answers.notes
    assert note.incomplete
    assert note.message.startswith("osv gave no answer on 1 of 1 packages: ")
    assert any(part in audit.reason for part in reason.split("|")), audit.reason


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (Answer(status=503), "503"),
        (Answer(body=b"{"), "cannot be used"),
        (
            Answer(body=b'{"vulnerabilities": [{"id": "A-1", "aliases": [], "fixed_in": ["odd one"]}]}'),
            "malformed",
        ),
        (Answer(body=b'{"vulnerabilities": [{"id": "A-1"}]}'), "cannot be used"),
        (Answer(status=302, headers={"Location": "https://elsewhere.example/"}), "another host"),
        (Answer(body=b"x" * 64, length=10**9), "connection failed|no answer in time|cannot be used"),
    ],
    ids=lambda value: str(value)[:60] if isinstance(value, str) else "",
)
def test_faults_of_pypi_are_never_clean(answer: Answer, reason: str, tmp_path: Path) -> None:
    with osv_server(fault=on("/pypi/", answer)) as base:
        answers = ask(base, tmp_path)
    (audit,) = answers.audits
    assert audit.status is NOT_AUDITED
    assert any(part in audit.reason for part in reason.split("|")), audit.reason
    assert len(answers.notes) == 1


def test_pypi_leading_in_a_circle(tmp_path: Path) -> None:
    circle = Answer(status=301, headers={"Location": "/pypi/x/1.0/json"})
    with osv_server(fault=on("/pypi/", circle)) as base:
        answers = ask(base, tmp_path, services=["pypi"])
    assert answers.status is NOT_AUDITED


def test_a_passing_fault_is_asked_again(tmp_path: Path) -> None:
    seen: list[Asked] = []

    def once(asked: Asked) -> Answer | None:
        seen.append(asked)
        return Answer(status=503) if len(seen) == 1 else None

    with osv_server([RATED], fault=once) as base:
        answers = ask(base, tmp_path, services=["osv"])
    assert answers.status is AFFECTED
    assert [one.path for one in seen] == ["/v1/querybatch", "/v1/querybatch", "/v1/vulns/GHSA-1"]


def test_a_service_that_is_down_is_given_up_on(tmp_path: Path) -> None:
    names = [f"p{count}" for count in range(200)]
    begin = time.monotonic()
    with nobody() as base:
        answers = ask(base, tmp_path, *map(dependency, names))
    assert time.monotonic() - begin < 8
    assert {audit.status for audit in answers.audits} == {NOT_AUDITED}
    assert [note.message.partition(":")[0] for note in answers.notes] == [
        "pypi gave no answer on 200 of 200 packages",
        "osv gave no answer on 200 of 200 packages",
    ]


def test_one_service_down_the_other_up(tmp_path: Path) -> None:
    with nobody() as down, osv_server([RATED]) as up:
        services = [Service(name="pypi", url=down), Service(name="osv", url=up)]
        found = Answers(LiveDatabase(services, cache=tmp_path).audit([dependency("x"), dependency("y")]))
    assert [audit.status for audit in found.audits] == [AFFECTED, NOT_AUDITED]
    assert len(found.notes) == 1


def test_a_slow_service_costs_no_more_than_the_deadline(tmp_path: Path) -> None:
    names = [f"p{count}" for count in range(20)]
    begin = time.monotonic()
    with osv_server(fault=on("/", Answer(delay=20.0))) as base:
        answers = ask(base, tmp_path, *map(dependency, names), seconds=0.6, timeout=5.0)
    assert time.monotonic() - begin < 3
    assert {audit.status for audit in answers.audits} == {NOT_AUDITED}
    assert "no answer within 0.6 s" in answers.audits[0].reason
    assert len(answers.notes) == 2


def test_a_slow_service_does_not_take_the_time_of_the_other(tmp_path: Path) -> None:
    with osv_server([RATED], fault=on("/pypi/", Answer(delay=20.0))) as base:
        answers = ask(base, tmp_path, dependency("x"), dependency("y"), seconds=1.5, timeout=5.0)
    assert [audit.status for audit in answers.audits] == [AFFECTED, NOT_AUDITED]
    (note,) = answers.notes
    assert note.message.startswith("pypi gave no answer on 2 of 2 packages")


@pytest.mark.parametrize("service", ["pypi", "osv"])
def test_a_certificate_that_nobody_vouches_for(service: str, tmp_path: Path) -> None:
    with osv_server([RATED], tls=self_signed(tmp_path)) as base:
        answers = ask(base, tmp_path / "cache", services=[service])
    assert answers.status is NOT_AUDITED
    assert "certificate" in answers.audits[0].reason


def test_an_address_that_is_not_encrypted_is_not_asked(tmp_path: Path) -> None:
    found = Answers(
        LiveDatabase([Service(name="osv", url="http://osv.example")], cache=tmp_path).audit([dependency("x")])
    )
    assert found.status is NOT_AUDITED
    assert "not encrypted" in found.audits[0].reason


def test_a_cache_that_cannot_be_written_is_no_obstacle(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("")
    with osv_server([RATED]) as base, caplog.at_level(logging.CRITICAL):
        answers = ask(base, tmp_path / "file" / "cache")
    assert answers.status is AFFECTED


def test_nothing_to_ask(tmp_path: Path) -> None:
    with nobody() as base:
        found = Answers(LiveDatabase([Service(name="osv", url=base)], cache=tmp_path).audit([]))
    assert found.all == []


def test_the_stand_in_speaks_as_the_services_do(tmp_path: Path) -> None:
    """pip-audit's own reading of the stand-in is what it is with the real services."""
    from packaging.version import Version  # noqa: PLC0415
    from pip_audit._service import OsvService  # type: ignore[import-untyped] # noqa: PLC0415
    from pip_audit._service.interface import ResolvedDependency  # type: ignore[import-untyped] # noqa: PLC0415

    with osv_server([json.loads(json.dumps(RATED))]) as base:
        service = OsvService(cache_dir=tmp_path, timeout=2, osv_url=f"{base}/v1/query")
        _, (result,) = service.query(ResolvedDependency("x", Version("1.0")))
        service.session.close()
    assert (result.id, result.aliases, result.description) == ("CVE-1", {"GHSA-1"}, "It runs code")


def yanked(answers: Answers) -> list[tuple[object, object]]:
    found = [one for one in answers.evidence if one.kind == "dependency-yanked"]
    return [(one.facts["package"], one.facts["reason"]) for one in found]


def test_withdrawn_releases_are_told_with_the_reason(tmp_path: Path) -> None:
    with osv_server([RATED], yanked={"x": "breaks\nall", "y": None}) as base:
        answers = ask(base, tmp_path, *map(dependency, "xyz"))
    assert yanked(answers) == [("x", "breaks all"), ("y", "no reason is given")]
    assert [audit.status for audit in answers.audits] == [AFFECTED, CLEAN, CLEAN]
    assert answers.notes == []


def test_what_is_another_release_is_not_told(tmp_path: Path) -> None:
    from_address = Dependency(name="x", raw_name="x", version="1.0", location=HERE, url="https://a.example/x")
    with osv_server(yanked={"x": None}) as base:
        answers = ask(base, tmp_path, from_address, dependency("x", "1.0+local"), dependency("x", None))
    assert yanked(answers) == []


@pytest.mark.parametrize("body", [b'{"vulnerabilities": []}', b'{"info": null, "vulnerabilities": []}'])
def test_an_answer_may_say_nothing_of_withdrawal(body: bytes, tmp_path: Path) -> None:
    with osv_server(fault=on("/pypi/", Answer(body=body))) as base:
        answers = ask(base, tmp_path)
    assert (answers.status, yanked(answers)) == (CLEAN, [])


@pytest.mark.parametrize(
    "info",
    [b"[1]", b'{"yanked": "yes"}', b'{"yanked": 1}', b'{"yanked": null}', b'"text"', b'{"yanked": []}'],
)
def test_an_answer_on_withdrawal_that_cannot_be_used_is_never_clean(info: bytes, tmp_path: Path) -> None:
    body = b'{"info": ' + info + b', "vulnerabilities": []}'
    with osv_server(fault=on("/pypi/", Answer(body=body))) as base:
        answers = ask(base, tmp_path)
    assert (answers.status, yanked(answers)) == (NOT_AUDITED, [])
    assert "cannot be used" in answers.audits[0].reason


def test_a_reason_that_is_no_text_is_none(tmp_path: Path) -> None:
    body = b'{"info": {"yanked": true, "yanked_reason": [1]}, "vulnerabilities": []}'
    with osv_server(fault=on("/pypi/", Answer(body=body))) as base:
        answers = ask(base, tmp_path)
    assert yanked(answers) == [("x", "no reason is given")]


def test_the_withdrawal_is_that_of_the_right_answer(tmp_path: Path) -> None:
    """Each answer is looked at by itself, however many there are and whatever failed before."""
    names = [f"p{count}" for count in range(60)]
    with osv_server(yanked=dict.fromkeys(names[::3]), unknown=names[1::3]) as base:
        answers = ask(base, tmp_path, *map(dependency, names), services=["pypi"])
    assert [name for name, _reason in yanked(answers)] == names[::3]
