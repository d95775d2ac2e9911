"""One artifact in depth, for the person who audits it: member tree, globals, calls, pseudo-source."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from supplyguard.boundary import attempt
from supplyguard.decompile import MOST_INPUT, decompile
from supplyguard.errors import SupplyguardError, UsageError
from supplyguard.examine import examine
from supplyguard.finding import Finding, Severity
from supplyguard.inventory import Artifact, Member
from supplyguard.limits import Budget, Limits
from supplyguard.pickles import programs as pickles
from supplyguard.pickles.knowledge import current_knowledge
from supplyguard.reporters.escape import for_terminal
from supplyguard.rules import Catalogue, judge

MOST_CALLS: Final = 200
MOST_GLOBALS: Final = 500
PICKLE: Final = "pickle_stream"
DECOMPILED: Final = Severity.MEDIUM
"""A pickle is decompiled when something at least this bad was found in it."""


@dataclass(slots=True)
class _Visit:
    """A member that was looked at, and the formats that it was recognised as."""

    member: Member
    formats: tuple[str, ...]


@dataclass(slots=True)
class _Journal:
    visits: list[_Visit] = field(default_factory=list)

    def note(self, member: Member, formats: tuple[str, ...]) -> None:
        self.visits.append(_Visit(member, formats))


def dissect(path: Path, uri: str, catalogue: Catalogue, limits: Limits | None = None) -> Iterator[str]:
    """Yield the lines that describe a file; every string of the file is made harmless for a terminal.

    Raises UsageError when there is no such file.
    """
    if not path.is_file():
        raise UsageError(f"{path} is not a file", hint="inspect takes one file; scan takes folders")
    artifact = Artifact(uri=uri, path=path, size=path.stat().st_size)
    journal = _Journal()
    bounds = limits or Limits()
    part = examine(artifact, bounds, visited=journal.note)
    findings = [finding for each in part.evidence for finding in judge(catalogue, each)]
    yield f"{for_terminal(uri)}  {artifact.size:,} bytes"
    for visit in journal.visits:
        yield from _member(visit, findings, bounds)
    if part.inert_members:
        yield f"  {part.inert_members} members of raw data, which no loader interprets, were left alone"
    if part.notifications:
        yield ""
        yield "Not examined"
        for notification in part.notifications:
            place = f"{notification.location}: " if notification.location else ""
            yield f"  {for_terminal(place + notification.message)}"


def _member(visit: _Visit, findings: list[Finding], limits: Limits) -> Iterator[str]:
    member = visit.member
    indent = "  " * (len(member.path) + 1)
    name = member.path[-1] if member.path else "(the file itself)"
    size = "" if member.size is None else f"  {member.size:,} bytes"
    yield f"{indent}{for_terminal(name)}  {', '.join(visit.formats) or 'not recognised'}{size}"
    here = [each for each in findings if each.location.member[: len(member.path)] == member.path]
    here = [each for each in here if visit.formats and _innermost(each, member)]
    for finding in sorted(here, key=lambda each: -each.severity):
        at = "" if finding.location.offset is None else f" @{finding.location.offset}"
        label = finding.severity.label.upper()
        yield f"{indent}  {label} {finding.rule.id}{at}: {for_terminal(finding.message)}"
    if PICKLE in visit.formats:
        worst = max((each.severity for each in here), default=Severity.INFO)
        for line in _pickle(member, limits, decompiled=worst >= DECOMPILED):
            yield f"{indent}  {line}"


def _innermost(finding: Finding, member: Member) -> bool:
    """Whether a finding lies in the member itself or in bytes nested in it, not in another member."""
    below = finding.location.member[len(member.path) :]
    return all(name.startswith("<") for name in below)


def _pickle(member: Member, limits: Limits, *, decompiled: bool) -> Iterator[str]:
    found = pickles.Programs(keep_calls=True)
    outcome = attempt(
        lambda: list(pickles.examine(member, Budget(limits), current_knowledge(), programs=found))
    )
    for program in found.found:
        inside = "".join(f"{for_terminal(name)}!" for name in program.path[len(member.path) :])
        yield f"program {inside}@{program.start}"
        for imported in program.globals[:MOST_GLOBALS]:
            judgement = imported.judgement
            text = f"{imported.dotted}  {judgement.effect.value}: {judgement.reason}"
            yield f"  import @{imported.offset} {for_terminal(text)}"
        for call in program.calls[:MOST_CALLS]:
            text = f"{call.opcode} {call.callable}({call.arguments})"
            yield f"  call   @{call.offset} {for_terminal(text)}"
        more = len(program.calls) - MOST_CALLS
        if more > 0:
            yield f"  and {more:,} more calls"
    if isinstance(outcome, SupplyguardError):
        yield f"stopped: {for_terminal(outcome.message)}"
    elif isinstance(outcome, Exception):
        raise outcome
    if decompiled:
        yield from _decompiled(member)


def _decompiled(member: Member) -> Iterator[str]:
    """Give fickling's reading of the first program, or why there is none."""
    with member.open() as stream:
        data = stream.read(MOST_INPUT + 1)
    yield "pseudo-source (fickling; for reading only)"
    text = attempt(lambda: decompile(data))
    if isinstance(text, SupplyguardError):
        yield f"  {for_terminal(text.message)}"
        return
    if isinstance(text, Exception):
        raise text
    for line in text.splitlines():
        yield f"  {for_terminal(line)}"
