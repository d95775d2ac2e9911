"""Zip archives: what is odd is seen where it is, and every member is reached as loaders reach it."""

from __future__ import annotations

import io
import json
import time
import zipfile
import zlib
from pathlib import Path

import pytest

from fixtures.make_zip_archive import EVIL, GOOD, TEXT
from fixtures.raw_zip import Part, deflate, write_zip
from supplyguard.errors import BudgetExceededError, MalformedError, UnsupportedError
from supplyguard.finding import Evidence, Notification
from supplyguard.inspectors import zip_archive
from supplyguard.inventory import Member
from supplyguard.limits import Budget, Limits, Resource
from tests.examined import content, findings, gaps, memory, part_of, probe, yielded

FIXTURES = Path(__file__).parents[2] / "fixtures" / "zip_archive"
EXPECTED = json.loads((FIXTURES / "expected.json").read_text(encoding="utf-8"))


def evidence(data: bytes, name: str = "file") -> list[Evidence]:
    return [item for item in yielded(zip_archive, data, name) if isinstance(item, Evidence)]


def members(data: bytes, name: str = "file") -> list[Member]:
    return [item for item in yielded(zip_archive, data, name) if isinstance(item, Member)]


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_fixtures(name: str) -> None:
    part = part_of(FIXTURES / name)
    found = [(each.rule.id, list(each.location.member), each.location.offset) for each in findings(part)]
    for wanted in EXPECTED[name]:
        assert any(
            rule == wanted["rule"] and at == wanted["member"] and wanted["offset"] in (None, offset)
            for rule, at, offset in found
        ), found
    if not EXPECTED[name]:
        assert found == []
        assert gaps(part) == []


def test_every_instance_of_a_name_is_a_member() -> None:
    parts = [Part(name=b"m/data.pkl", data=data) for data in (EVIL, GOOD, TEXT)]
    found = members(write_zip(parts))
    assert [each.path for each in found] == [("m/data.pkl",), ("m/data.pkl#2",), ("m/data.pkl#3",)]
    assert [content(each) for each in found] == [EVIL, GOOD, TEXT]


def test_members_of_both_joined_archives_are_reached() -> None:
    data = (FIXTURES / "malicious" / "joined_equal.pt").read_bytes()
    contents = [content(each) for each in members(data)]
    assert EVIL in contents
    assert GOOD.ljust(len(EVIL), b".") in contents


def test_both_views_of_a_disagreeing_member_are_read() -> None:
    data = (FIXTURES / "malicious" / "local_method.zip").read_bytes()
    central, local = (content(each) for each in members(data))
    assert central.startswith(deflate(EVIL))
    assert local == EVIL


def test_a_member_encrypted_for_one_reader_only_is_read_plainly() -> None:
    for name in ("central_encrypted.zip", "local_encrypted.zip"):
        data = (FIXTURES / "malicious" / name).read_bytes()
        assert [content(each) for each in members(data)] == [EVIL]


def test_an_encrypted_member_is_not_read_and_said() -> None:
    data = (FIXTURES / "malicious" / "encrypted_model.zip").read_bytes()
    assert members(data) == []
    notes = [item for item in yielded(zip_archive, data) if isinstance(item, Notification)]
    assert [(note.code, note.incomplete) for note in notes] == [("encrypted", True)]


def test_hidden_bytes_are_members() -> None:
    hidden = {"unlisted.zip": EVIL, "between.zip": EVIL + TEXT, "appended.zip": TEXT}
    for name, wanted in hidden.items():
        data = (FIXTURES / "malicious" / name).read_bytes()
        assert wanted in [content(each) for each in members(data)], name


def test_an_unlisted_member_without_sizes_takes_the_rest() -> None:
    hidden = Part(
        name=b"m/evil.pkl", data=EVIL, flags=8, hidden=True, local={"crc": 0, "compressed": 0, "size": 0}
    )
    data = write_zip([Part(name=b"a", data=TEXT), hidden, Part(name=b"z", data=TEXT)])
    found = {each.name: content(each) for each in members(data)}
    assert found["m/evil.pkl"].startswith(EVIL)


@pytest.mark.parametrize(
    "method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA]
)
def test_every_method_is_read(method: int) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        archive.writestr("a.json", TEXT)
        archive.writestr("b.bin", EVIL * 5000)
    assert evidence(buffer.getvalue()) == []
    assert [content(each) for each in members(buffer.getvalue())] == [TEXT, EVIL * 5000]


def test_an_unknown_method_is_unsupported() -> None:
    (only,) = members(write_zip([Part(name=b"a", data=TEXT, method=9)]))
    with pytest.raises(UnsupportedError, match="method 9"):
        only.open()


def test_a_torn_archive_gives_its_members_and_is_malformed() -> None:
    parts = [
        Part(name=b"a.pkl", data=EVIL),
        Part(name=b"b.pkl", data=EVIL, method=8),
        Part(name=b"secret", data=TEXT, local={"flags": 1}),
        Part(name=b"c.pkl", data=GOOD, flags=8, local={"crc": 0, "compressed": 0, "size": 0}),
    ]
    whole = write_zip(parts)
    items = yielded(zip_archive, whole[: whole.index(b"PK\1\2")])
    found: list[Member] = []

    def drain() -> None:
        for item in items:
            assert isinstance(item, Member)
            found.append(item)

    with pytest.raises(MalformedError, match="no end record"):
        drain()
    assert {each.name: content(each) for each in found} == {"a.pkl": EVIL, "b.pkl": EVIL, "c.pkl": GOOD}


def test_raw_storages_are_inert() -> None:
    data = write_zip([Part(name=b"m/data.pkl", data=GOOD), Part(name=b"m/data/0", data=bytes(99))])
    assert [each.inert is not None for each in members(data)] == [False, True]
    alone = write_zip([Part(name=b"m/data/0", data=bytes(99))])
    assert [each.inert for each in members(alone)] == [None]


def test_a_concatenation_by_design_has_no_finding() -> None:
    one = write_zip([Part(name=b"archive/data.pkl", data=GOOD)])
    assert evidence(one + EVIL + one, "__0_0.distcp") == []
    found = members(one + EVIL + one, "__0_0.distcp")
    assert [content(each) for each in found] == [one, EVIL, one]
    assert evidence(one + EVIL + one, "model.pt")


def test_many_of_a_kind_are_cut_and_counted() -> None:
    data = write_zip([Part(name=b"../%d" % number) for number in range(70)])
    items = list(yielded(zip_archive, data))
    assert sum(isinstance(item, Evidence) for item in items) == zip_archive.SHOWN
    notes = [item.message for item in items if isinstance(item, Notification)]
    assert notes == ["20 more of zip-unsafe-name in this archive are not listed"]
    assert sum(isinstance(item, Member) for item in items) == 70


def test_a_member_beyond_the_directory_overlaps() -> None:
    data = write_zip(
        [Part(name=b"a", data=TEXT, central={"compressed": len(TEXT) + 30, "size": len(TEXT) + 30})]
    )
    kinds = {each.kind for each in evidence(data)}
    assert kinds == {"zip-overlap", "zip-header-mismatch"}


def test_a_checksum_is_not_asked_of_what_cannot_be_read() -> None:
    data = write_zip([Part(name=b"a.json", data=TEXT, method=8, written=b"\xff" * 20)])
    assert evidence(data) == []
    with pytest.raises(MalformedError, match="broken deflate"):
        content(members(data)[0])
    data = write_zip([Part(name=b"a.json", data=TEXT, method=9)])
    assert evidence(data) == []
    data = write_zip([Part(name=b"a.json", data=bytes(100), central={"size": 99}, local={"size": 99})])
    assert [each.facts["what"] for each in evidence(data)] == ["size"]


def test_the_same_bytes_are_inflated_once() -> None:
    packed = deflate(TEXT)
    part = Part(name=b"a.json", data=TEXT, method=8)
    again = [
        Part(
            name=b"a.json",
            data=TEXT,
            method=8,
            written=b"",
            central={"target": 0, "compressed": len(packed)},
            hidden=False,
        )
    ]
    budget = Budget()
    for item in yielded(zip_archive, write_zip([part, *again]), budget=budget):
        if isinstance(item, Member):
            content(item)
    assert budget.spent(Resource.INFLATED_BYTES) == len(TEXT)


def bomb(count: int) -> bytes:
    """Spell out an archive of `count` members, each 30 KB that inflate to 30 MB."""
    machine = zlib.compressobj(9, zlib.DEFLATED, -15)
    packed = b"".join(machine.compress(bytes(1 << 20)) for _ in range(30)) + machine.flush()
    sizes = {"size": 30 << 20, "crc": 0}
    return write_zip(
        [
            Part(name=b"%d.pkl" % number, method=8, written=packed, local=sizes, central=sizes)
            for number in range(count)
        ]
    )


def test_three_megabytes_that_inflate_to_three_gigabytes_end_soon() -> None:
    data = bomb(100)
    assert len(data) < 3_200_000
    start = time.monotonic()
    kinds = set()
    outcomes = []
    for item in yielded(zip_archive, data):
        if isinstance(item, Evidence):
            kinds.add(item.kind)
        elif isinstance(item, Member):
            with item.open() as stream:
                try:
                    while stream.read(1 << 20):
                        pass
                except BudgetExceededError as error:
                    outcomes.append(error.resource)
    assert time.monotonic() - start < 20
    assert "zip-expansion" in kinds
    assert outcomes == ["inflate_ratio"] * 100


def test_the_number_of_members_is_limited() -> None:
    data = write_zip([Part(name=b"%d" % number) for number in range(30)])
    with pytest.raises(BudgetExceededError, match="members"):
        list(yielded(zip_archive, data, budget=Budget(Limits(members=10))))


def test_content_decides_not_the_name() -> None:
    assert zip_archive.recognizes(probe(write_zip([Part(name=b"a")]), "x.txt"))
    assert zip_archive.recognizes(probe(b"MZ" + bytes(500) + write_zip([Part(name=b"a")]), "x.exe"))
    assert not zip_archive.recognizes(probe(b"just text", "x.zip"))
    assert memory(b"x").size == 1
