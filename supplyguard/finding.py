"""What supplyguard says: evidence, rules, findings, notifications, verdict, report."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import IntEnum, StrEnum

from supplyguard.inventory import Artifact, Dependency, Location, ModelRef

Fact = str | int | float | bool | tuple[str, ...] | None
"""The value of one field of an Evidence."""


class Severity(IntEnum):
    """How bad it is, ordered; a Finding's severity is its rule's."""

    INFO = 0
    LOW = 1
    MEDIUM = 2
    HIGH = 3
    CRITICAL = 4

    @property
    def label(self) -> str:
        """The lower-case word used in files and on the command line."""
        return self.name.lower()


class Confidence(IntEnum):
    """How sure it is, ordered: a heuristic, a partly recovered operation, a proven one."""

    LOW = 0
    MEDIUM = 1
    HIGH = 2

    @property
    def label(self) -> str:
        """The lower-case word used in files and on the command line."""
        return self.name.lower()


@dataclass(frozen=True, kw_only=True, slots=True)
class Evidence:
    """A fact seen at a place, without an opinion.

    kind: what was seen, kebab-case ("pickle-call"). facts: the fields that rules match on and
    messages quote. symbol: what tells this Evidence from others of the same kind in the same
    member when offsets change (a global's name, an advisory's id); it goes into fingerprints.
    """

    kind: str
    location: Location
    facts: Mapping[str, Fact] = field(default_factory=dict)
    symbol: str = ""
    related: tuple[Location, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Help:
    """A rule's text for people: what it is, why it matters, how to mend it."""

    what: str
    why: str
    fix: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Rule:
    """One rule, as read from rules/*.yaml. The format is in docs/rules.md."""

    id: str
    name: str
    severity: Severity
    confidence: Confidence
    kind: str
    match: Mapping[str, tuple[Fact, ...]]
    message: str
    help: Help
    cwe: tuple[str, ...] = ()
    atlas: tuple[str, ...] = ()
    references: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    family: str = ""


class SuppressionKind(StrEnum):
    """Where a suppression was written."""

    INLINE = "inline"
    CONFIGURED = "configured"
    BASELINE = "baseline"
    VEX = "vex"


@dataclass(frozen=True, kw_only=True, slots=True)
class Suppression:
    """Why a finding does not count."""

    kind: SuppressionKind
    reason: str
    location: Location | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """A rule's judgement of one Evidence.

    fingerprint: stable across runs, unrelated edits and tool versions; unique within a report.
    """

    rule: Rule
    message: str
    location: Location
    facts: Mapping[str, Fact]
    fingerprint: str
    symbol: str = ""
    related: tuple[Location, ...] = ()
    suppression: Suppression | None = None

    @property
    def severity(self) -> Severity:
        """The rule's severity."""
        return self.rule.severity


class Level(StrEnum):
    """SARIF's notification levels."""

    NOTE = "note"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, kw_only=True, slots=True)
class Notification:
    """Something about the scan itself.

    code: kebab-case and stable ("malformed", "budget-exceeded", "not-fetched").
    incomplete: something asked for was not examined, so the verdict cannot be a pass.
    """

    code: str
    message: str
    level: Level = Level.WARNING
    location: Location | None = None
    incomplete: bool = False


class AuditStatus(StrEnum):
    """What is known of a dependency. "Not audited" is never clean."""

    AFFECTED = "affected"
    CLEAN = "clean"
    NOT_AUDITED = "not audited"


@dataclass(frozen=True, kw_only=True, slots=True)
class Audit:
    """One advisory database's answer on one dependency; `reason` says why it has none."""

    dependency: Dependency
    status: AuditStatus
    database: str
    reason: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class AdvisoryData:
    """Which advisory data was used: its name, newest record, count and where it came from."""

    name: str
    updated: datetime | None
    records: int | None
    origin: str


class Verdict(StrEnum):
    """The answer: nothing at or above the threshold, something, or not everything was seen."""

    PASS = "pass"  # noqa: S105 - not a password
    FAIL = "fail"
    INCOMPLETE = "incomplete"


@dataclass(frozen=True, kw_only=True, slots=True)
class Counts:
    """How much was seen. Every file walked is in exactly one of the first four."""

    inspected: int = 0
    manifests: int = 0
    not_recognised: int = 0
    other_files: int = 0
    skipped_files: int = 0
    skipped_folders: int = 0
    members: int = 0
    inert_members: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Report:
    """Everything a reporter needs; a reporter opens nothing and decides nothing.

    findings: the worst first; those below the reporting threshold are left out and counted in
        `below_threshold`; suppressed ones are in `suppressed`.
    artifacts: files that were inspected, with sha256 (hex) where it was computed.
    audits: one for each dependency, databases merged.
    root_prefix: path from the repository's root to the working folder, "" or ending in "/".
    """

    tool_version: str
    started: datetime
    seconds: float
    targets: tuple[str, ...]
    verdict: Verdict
    fail_on: Severity | None
    findings: tuple[Finding, ...]
    suppressed: tuple[Finding, ...]
    below_threshold: int
    notifications: tuple[Notification, ...]
    rules: tuple[Rule, ...]
    artifacts: tuple[tuple[Artifact, str | None], ...]
    audits: tuple[Audit, ...]
    model_refs: tuple[ModelRef, ...]
    advisory_data: tuple[AdvisoryData, ...]
    counts: Counts
    root_prefix: str = ""
    offline: bool = False
