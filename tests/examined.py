"""What tests of inspectors share: one file examined, and its evidence judged by the built-in rules."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, cast

from supplyguard.aspect import Aspect
from supplyguard.examine import Part, examine
from supplyguard.finding import Evidence, Finding, Notification
from supplyguard.inspectors import Inspector
from supplyguard.inventory import Artifact, Member, Probe
from supplyguard.limits import Budget, Limits
from supplyguard.rules import judge, load_catalogue

ARTIFACT = Artifact(uri="file", path=Path("file"), size=0)


def memory(data: bytes, name: str = "file") -> Member:
    """Make a member of bytes in memory."""
    artifact = Artifact(uri=name, path=Path(name), size=len(data))
    return Member(artifact=artifact, open=lambda: cast("BinaryIO", io.BytesIO(data)), size=len(data))


def probe(data: bytes, name: str = "file") -> Probe:
    """Make what an inspector sees of bytes before it recognises them."""
    return Probe(head=data[:65_536], tail=data[-65_557:], name=name, size=len(data))


def yielded(
    inspector: Inspector, data: bytes, name: str = "file", budget: Budget | None = None
) -> Iterator[Evidence | Member | Notification]:
    """Run one inspector over bytes."""
    return inspector.inspect(memory(data, name), budget or Budget())


def content(member: Member) -> bytes:
    """Read all of a member."""
    with member.open() as stream:
        return stream.read()


def part_of(path: Path, limits: Limits | None = None) -> Part:
    """Examine one file as a scan does."""
    artifact = Artifact(uri=path.name, path=path, size=path.stat().st_size)
    return examine(artifact, limits or Limits(), aspects=frozenset({Aspect.ARTIFACTS}))


def findings(part: Part) -> list[Finding]:
    """Judge a part's evidence by the built-in rules."""
    catalogue = load_catalogue()
    return [finding for evidence in part.evidence for finding in judge(catalogue, evidence)]


def gaps(part: Part) -> list[Notification]:
    """Give what was not examined."""
    return [each for each in part.notifications if each.incomplete]
