"""The unit of work: one artifact in, everything that was seen in it out.

A container's members go on a worklist under the artifact's one Budget, so that no inspector calls
another; whatever an inspector raises becomes a Notification.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import BinaryIO, Final

from supplyguard.aspect import Aspect
from supplyguard.boundary import attempt
from supplyguard.errors import (
    BudgetExceededError,
    MalformedError,
    SupplyguardError,
    UnreadableError,
    UnsupportedError,
)
from supplyguard.finding import Evidence, Level, Notification
from supplyguard.inspectors import INSPECTORS, Inspector, recognising
from supplyguard.inventory import Artifact, Dependency, Location, Member, ModelRef, Probe
from supplyguard.limits import KIB, Budget, Limits, Resource
from supplyguard.recognition import suspect
from supplyguard.sources import SOURCES, claiming
from supplyguard.streams import SliceReader

HEAD: Final = 64 * KIB
TAIL: Final = 65_557
"""22 bytes of a zip end record and 65,535 of its comment (APPNOTE 4.3.16)."""


TOTALS: Final = frozenset({*(resource.value for resource in Resource), "seconds"})
"""Limits of the whole artifact; the others concern one stream or document, and the rest goes on."""


class Role(StrEnum):
    """What a file turned out to be."""

    INSPECTED = "inspected"
    MANIFEST = "manifest"
    NOT_RECOGNISED = "not recognised"
    OTHER = "other"


@dataclass(kw_only=True, slots=True)
class Part:
    """What one artifact adds to a report. claimed: a source read it, whatever else it turned out to be."""

    artifact: Artifact
    role: Role = Role.OTHER
    claimed: bool = False
    evidence: list[Evidence] = field(default_factory=list)
    notifications: list[Notification] = field(default_factory=list)
    dependencies: list[Dependency] = field(default_factory=list)
    model_refs: list[ModelRef] = field(default_factory=list)
    members: int = 0
    inert_members: int = 0

    def add(self, item: object) -> None:
        """Put an item where its kind belongs."""
        if isinstance(item, Evidence):
            self.evidence.append(item)
        elif isinstance(item, Notification):
            self.notifications.append(item)
        elif isinstance(item, Dependency):
            self.dependencies.append(item)
        elif isinstance(item, ModelRef):
            self.model_refs.append(item)
        else:
            raise TypeError(f"nobody takes a {type(item).__name__}")


Visited = Callable[[Member, tuple[str, ...]], None]
"""Told of each member that was looked at, with the formats that it was recognised as."""


def unheard(_member: Member, _formats: tuple[str, ...]) -> None:
    """Tell nobody."""


def examine(
    artifact: Artifact,
    limits: Limits,
    *,
    aspects: frozenset[Aspect] = frozenset(Aspect),
    visited: Visited = unheard,
) -> Part:
    """Read one artifact through the sources that claim it and the inspectors that recognise it."""
    part = Part(artifact=artifact)
    budget = Budget(limits)
    for source in claiming(SOURCES, artifact.path):
        if source.ASPECT in aspects:
            part.role = Role.MANIFEST
            part.claimed = True
            _drain(source.collect(artifact, budget), part, Location(uri=artifact.uri))
    if Aspect.ARTIFACTS in aspects:
        _inspect(artifact, part, budget, visited)
    return part


def _inspect(artifact: Artifact, part: Part, budget: Budget, visited: Visited) -> None:
    root = Member(artifact=artifact, open=lambda: _open(artifact), size=artifact.size)
    work = deque([root])
    while work:
        member = work.popleft()
        if member.inert is not None:
            part.inert_members += 1
            continue
        failure = attempt(lambda member=member: _visit(member, work, part, budget, visited))  # type: ignore[misc]
        if isinstance(failure, Exception):
            part.add(explain(failure, member.at()))
            if isinstance(failure, BudgetExceededError) and failure.resource in TOTALS:
                return


def _visit(member: Member, work: deque[Member], part: Part, budget: Budget, visited: Visited) -> None:
    """Identify one member and run every inspector that recognises it."""
    if member.path:
        part.members += 1
        budget.spend(Resource.MEMBERS)
        if len(member.path) > budget.limits.depth:
            part.add(_gap("nested-too-deep", f"nested more than {budget.limits.depth} deep", member.at()))
            return
    probe = probe_of(member)
    inspectors = recognising(INSPECTORS, probe)
    visited(member, tuple(each.FORMAT for each in inspectors))
    if not inspectors:
        _note_unrecognised(member, probe, part)
        return
    if not member.path:
        part.role = Role.INSPECTED
    for inspector in inspectors:
        for item in _items(inspector, member, part, budget):
            if isinstance(item, Member):
                work.append(item)
            else:
                part.add(item)


def _items(
    inspector: Inspector, member: Member, part: Part, budget: Budget
) -> Iterator[Evidence | Member | Notification]:
    """Run one inspector; when it fails, the others still get their turn, unless the Budget is gone."""
    items = iter(inspector.inspect(member, budget))
    while True:
        item = attempt(lambda: next(items, None))
        if item is None:
            return
        if isinstance(item, BudgetExceededError) and item.resource in TOTALS:
            raise item
        if isinstance(item, Exception):
            part.add(explain(item, member.at(), inspector.FORMAT))
            return
        yield item


def _drain(items: Iterable[object], part: Part, where: Location) -> None:
    iterator = iter(items)
    while True:
        item = attempt(lambda: next(iterator, None))
        if item is None:
            return
        if isinstance(item, Exception):
            part.add(explain(item, where))
            return
        part.add(item)


def probe_of(member: Member) -> Probe:
    """Read what inspectors may look at; the tail only where that does not mean reading everything."""
    with member.open() as stream:
        head = stream.read(HEAD)
        size = member.size
        if size is None or size <= len(head):
            return _probe(member, head, head)
        tail = b""
        if not member.path or isinstance(stream, SliceReader):
            stream.seek(max(0, size - TAIL))
            tail = stream.read(TAIL)
        return _probe(member, head, tail)


def _probe(member: Member, head: bytes, tail: bytes) -> Probe:
    return Probe(
        head=head,
        tail=tail,
        name=member.name,
        size=member.size,
        artifact=member.artifact,
        path=member.path,
    )


def _open(artifact: Artifact) -> BinaryIO:
    try:
        return open(artifact.path, "rb", buffering=0)  # noqa: PTH123 - speed: once a file
    except OSError as error:
        raise UnreadableError(f"cannot be opened: {error.strerror or error}") from error


def _note_unrecognised(member: Member, probe: Probe, part: Part) -> None:
    suspicion = suspect(probe.head, probe.name)
    if suspicion is None or (member.path and not suspicion.certain):
        return
    if not member.path:
        part.role = Role.NOT_RECOGNISED
    text = f"looks like {suspicion.format}, which was not inspected"
    if not suspicion.certain:
        text = f"its name says {suspicion.format}, its bytes are of no known format; not inspected"
    part.add(
        Notification(code="not-recognised", message=text, location=member.at(), incomplete=suspicion.certain)
    )


CODES: Final[tuple[tuple[type[SupplyguardError], str], ...]] = (
    (MalformedError, "malformed"),
    (BudgetExceededError, "budget-exceeded"),
    (UnsupportedError, "unsupported"),
    (UnreadableError, "unreadable"),
    (SupplyguardError, "not-examined"),
)


def explain(error: Exception, where: Location, doing: str = "") -> Notification:
    """Turn a failure into the Notification that says what was not examined and why."""
    if isinstance(error, OSError):
        return _gap("unreadable", f"cannot be read: {error.strerror or error}", where)
    if isinstance(error, MalformedError):
        where = Location(uri=where.uri, member=where.member, offset=error.offset)
    if isinstance(error, SupplyguardError):
        code = next(code for kind, code in CODES if isinstance(error, kind))
        return _gap(code, error.message, where)
    what = f" in {doing}" if doing else ""
    text = f"internal error{what}: {type(error).__name__}: {error}; please report it"
    return Notification(
        code="internal-error", message=text, level=Level.ERROR, location=where, incomplete=True
    )


def _gap(code: str, message: str, where: Location) -> Notification:
    return Notification(code=code, message=message, location=where, incomplete=True)
