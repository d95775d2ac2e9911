"""The unit of work: members on a worklist, failures said, nothing lost."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

import pytest

from supplyguard import examine as module
from supplyguard.aspect import Aspect
from supplyguard.boundary import attempt
from supplyguard.errors import (
    BudgetExceededError,
    MalformedError,
    StoreError,
    UnreadableError,
    UnsupportedError,
)
from supplyguard.examine import Part, Role, examine
from supplyguard.finding import Evidence, Level, Notification
from supplyguard.inventory import Artifact, Dependency, Location, Member, Probe
from supplyguard.limits import Budget, Limits

Item = Evidence | Member | Notification


class Stub:
    """An inspector whose work is a function."""

    FORMAT = "stub"

    def __init__(
        self, work: Callable[[Member, Budget], Iterator[Item]], wants: Callable[[Probe], bool] = bool
    ) -> None:
        self.work = work
        self.wants = wants

    def recognizes(self, probe: Probe) -> bool:
        return self.wants(probe)

    def inspect(self, member: Member, budget: Budget) -> Iterator[Item]:
        return self.work(member, budget)


class StubSource:
    """A source whose work is a function; it claims every name."""

    NAME = "stub"
    ASPECT = Aspect.CODE

    def __init__(self, work: Callable[[Artifact], Iterator[Dependency | Notification]]) -> None:
        self.work = work

    def claims(self, name: str) -> bool:
        return bool(name)

    def collect(self, artifact: Artifact, budget: Budget) -> Iterator[Dependency | Notification]:
        assert budget.limits
        return self.work(artifact)


def seen(member: Member) -> Evidence:
    return Evidence(kind="seen", location=member.at())


def inner(member: Member, name: str, data: bytes = b"inner", inert: str | None = None) -> Member:
    def opened() -> BinaryIO:
        return io.BytesIO(data)

    return Member(
        artifact=member.artifact, path=(*member.path, name), open=opened, size=len(data), inert=inert
    )


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Part]:
    def examined(
        *inspectors: Stub, sources: tuple[StubSource, ...] = (), name: str = "file", data: bytes = b"x"
    ) -> Part:
        path = tmp_path / name
        path.write_bytes(data)
        monkeypatch.setattr(module, "INSPECTORS", inspectors)
        monkeypatch.setattr(module, "SOURCES", sources)
        return examine(Artifact(uri=name, path=path, size=len(data)), Limits(members=4, depth=2))

    return examined


def test_members_are_visited_and_inert_ones_are_counted(run: Callable[..., Part]) -> None:
    def work(member: Member, _budget: Budget) -> Iterator[Item]:
        yield seen(member)
        if not member.path:
            yield inner(member, "a")
            yield inner(member, "weights", inert="tensor data")

    part = run(Stub(work))
    assert [str(each.location) for each in part.evidence] == ["file", "file!a"]
    assert (part.role, part.members, part.inert_members) == (Role.INSPECTED, 1, 1)
    assert part.notifications == []


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (MalformedError("bad", offset=7), "malformed"),
        (UnsupportedError("no codec"), "unsupported"),
        (UnreadableError("gone"), "unreadable"),
        (StoreError("odd"), "not-examined"),
        (OSError(5, "Input/output error"), "unreadable"),
        (RecursionError("deep"), "internal-error"),
        (ZeroDivisionError("oops"), "internal-error"),
    ],
)
def test_a_failure_is_said_and_what_came_before_is_kept(
    error: Exception, code: str, run: Callable[..., Part]
) -> None:
    def fails(member: Member, _budget: Budget) -> Iterator[Item]:
        yield seen(member)
        raise error

    def works(member: Member, _budget: Budget) -> Iterator[Item]:
        yield seen(member)

    part = run(Stub(fails), Stub(works))
    assert len(part.evidence) == 2
    (notification,) = part.notifications
    assert (notification.code, notification.incomplete) == (code, True)
    assert notification.level is (Level.ERROR if code == "internal-error" else Level.WARNING)
    if code == "malformed":
        assert notification.location == Location(uri="file", offset=7)


def test_an_exceeded_budget_ends_the_artifact(run: Callable[..., Part]) -> None:
    def bomb(member: Member, _budget: Budget) -> Iterator[Item]:
        yield seen(member)
        yield from (inner(member, str(number)) for number in range(9))

    part = run(Stub(bomb))
    assert [each.code for each in part.notifications] == ["budget-exceeded"]
    assert len(part.evidence) == 5

    def spent(member: Member, _budget: Budget) -> Iterator[Item]:
        if member.size:
            raise BudgetExceededError("seconds", 1)
        yield seen(member)

    assert [each.code for each in run(Stub(spent), Stub(bomb)).notifications] == ["budget-exceeded"]


def test_a_limit_of_one_stream_leaves_the_rest_its_turn(run: Callable[..., Part]) -> None:
    def work(member: Member, _budget: Budget) -> Iterator[Item]:
        if member.name == "bomb":
            raise BudgetExceededError("inflate_ratio", 200)
        yield seen(member)
        if not member.path:
            yield inner(member, "bomb")
            yield inner(member, "after")

    part = run(Stub(work))
    assert [each.code for each in part.notifications] == ["budget-exceeded"]
    assert [str(each.location) for each in part.evidence] == ["file", "file!after"]


def test_nesting_is_bounded(run: Callable[..., Part]) -> None:
    def nest(member: Member, _budget: Budget) -> Iterator[Item]:
        yield inner(member, "in")

    part = run(Stub(nest))
    assert [each.code for each in part.notifications] == ["nested-too-deep"]
    assert all(each.incomplete for each in part.notifications)


def test_a_member_that_cannot_be_opened_is_said(run: Callable[..., Part]) -> None:
    def opened() -> BinaryIO:
        raise MalformedError("no such bytes")

    def work(member: Member, _budget: Budget) -> Iterator[Item]:
        yield Member(artifact=member.artifact, path=("a",), open=opened)
        yield inner(member, "b")

    part = run(Stub(work, wants=lambda probe: probe.name == "file"))
    assert [each.code for each in part.notifications] == ["malformed"]


def test_a_file_that_cannot_be_opened_is_said(tmp_path: Path) -> None:
    part = examine(Artifact(uri="gone", path=tmp_path / "gone", size=3), Limits())
    assert [each.code for each in part.notifications] == ["unreadable"]


@pytest.mark.parametrize(
    ("name", "data", "role", "incomplete"),
    [
        ("notes.txt", b"hello", Role.OTHER, []),
        ("model.onnx", b"\x08\x07", Role.NOT_RECOGNISED, [True]),
        ("weights.bin", b"\x00\x01", Role.NOT_RECOGNISED, [False]),
    ],
)
def test_what_nobody_recognises(
    name: str, data: bytes, role: Role, incomplete: list[bool], run: Callable[..., Part]
) -> None:
    part = run(name=name, data=data)
    assert part.role is role
    assert [each.incomplete for each in part.notifications] == incomplete


def test_a_known_format_without_an_inspector_is_a_gap(
    run: Callable[..., Part], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("supplyguard.recognition._magics", lambda: ((0, b"Opaque", "Opaque"),))
    part = run(name="anything", data=b"Opaque\x03")
    assert part.role is Role.NOT_RECOGNISED
    assert [each.incomplete for each in part.notifications] == [True]


def test_sources_are_drained_and_their_failures_said(run: Callable[..., Part]) -> None:
    dependency = Dependency(name="a", raw_name="a", location=Location(uri="file", line=1))

    def work(_artifact: Artifact) -> Iterator[Dependency | Notification]:
        yield dependency
        raise MalformedError("bad line")

    part = run(sources=(StubSource(work),))
    assert part.dependencies == [dependency]
    assert (part.role, [each.code for each in part.notifications]) == (Role.MANIFEST, ["malformed"])


def test_only_the_aspects_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(b"x")
    artifact = Artifact(uri="model.onnx", path=path, size=1)
    assert examine(artifact, Limits(), aspects=frozenset({Aspect.CODE})).role is Role.OTHER


def test_a_large_file_is_probed_at_both_ends(tmp_path: Path) -> None:
    path = tmp_path / "large"
    path.write_bytes(b"head" + bytes(200_000) + b"tail")
    member = Member(
        artifact=Artifact(uri="large", path=path, size=200_008), open=lambda: path.open("rb"), size=200_008
    )
    probe = module.probe_of(member)
    assert (probe.head[:4], len(probe.head)) == (b"head", module.HEAD)
    assert (probe.tail[-4:], len(probe.tail)) == (b"tail", module.TAIL)


def test_attempt_gives_the_value_or_the_exception() -> None:
    assert attempt(lambda: 3) == 3
    assert isinstance(attempt(lambda: 1 // 0), ZeroDivisionError)


def test_an_item_of_an_unknown_kind_is_a_bug_that_shows() -> None:
    with pytest.raises(TypeError):
        Part(artifact=Artifact(uri="", path=Path(), size=0)).add(3)
