"""The way of the data: targets -> inventory -> evidence -> findings -> verdict -> report.

`scan` is the whole picture: it reads from top to bottom as the data goes.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from supplyguard import __version__
from supplyguard.aspect import Aspect
from supplyguard.boundary import attempt
from supplyguard.examine import Part, Role, examine, explain
from supplyguard.finding import Audit, AuditStatus, Counts, Evidence, Finding, Level, Notification, Report
from supplyguard.fingerprint import Fingerprints, line_hashes
from supplyguard.inventory import Artifact, Dependency, Location, ModelRef
from supplyguard.limits import MIB, Limits
from supplyguard.pickles.knowledge import knowledge_of
from supplyguard.policy import InlineIgnore, Policy, decide, parse_inline
from supplyguard.rules import Catalogue, judge
from supplyguard.sources import LATE
from supplyguard.sources.folder import Tally, WalkOptions, walk
from supplyguard.sources.hub_cache import resolve

if TYPE_CHECKING:
    from supplyguard.advisories import Database
    from supplyguard.resolution import Terms

HASHED_SIZE: Final = 16 * MIB
"""Artifacts with findings are hashed up to this size unless all are asked for."""
TEXT_SIZE: Final = 4 * MIB
CHUNK: Final = MIB


def silent(_message: str) -> None:
    """Report progress to nobody."""


def no_databases() -> tuple[Database, ...]:
    """Ask nobody."""
    return ()


@dataclass(frozen=True, kw_only=True, slots=True)
class ScanOptions:
    """What to look at and how.

    databases: makes the databases that are asked about every dependency, in order; called when there
    is one. hub_cache: folder of the Hugging Face cache,
    None to leave model references unresolved. aspects: which parts of the work are asked for.
    knowledge: files with more knowledge of what pickled globals do. resolution: how open versions
    are resolved, None to leave them open.
    hash_all: compute every inspected artifact's sha256, whatever its size. progress: called with a
    short text now and then.
    """

    catalogue: Catalogue
    policy: Policy = field(default_factory=Policy)
    limits: Limits = field(default_factory=Limits)
    walk: WalkOptions = field(default_factory=WalkOptions)
    databases: Callable[[], tuple[Database, ...]] = no_databases
    hub_cache: Path | None = None
    aspects: frozenset[Aspect] = frozenset(Aspect)
    offline: bool = True
    knowledge: tuple[Path, ...] = ()
    resolution: Terms | None = None
    hash_all: bool = False
    progress: Callable[[str], None] = silent


def scan(targets: Sequence[Path], options: ScanOptions) -> Report:
    """Examine files and folders; raises UsageError for a target that does not exist."""
    started, clock = datetime.now(UTC), time.monotonic()
    with knowledge_of(options.knowledge):
        gathered = _gather(targets, options)
    gathered.inline += _included_ignores(gathered)
    gathered.findings += _findings(_compared(gathered, started.date()), gathered, options)
    _resolve(gathered, options)
    databases = options.databases() if gathered.dependencies else ()
    audit_evidence, audits = _audit(gathered, databases, options)
    gathered.findings += _findings(audit_evidence, gathered, options)
    digests = _digests(gathered, options)
    decision = decide(
        gathered.findings,
        gathered.notifications,
        options.policy,
        inline=gathered.inline,
        digests=digests,
        report_unused=any(target.is_dir() for target in targets),
        today=started.date(),
    )
    return Report(
        tool_version=__version__,
        started=started,
        seconds=time.monotonic() - clock,
        targets=tuple(str(target) for target in targets),
        verdict=decision.verdict,
        fail_on=options.policy.fail_on,
        findings=decision.findings,
        suppressed=decision.suppressed,
        below_threshold=decision.below_threshold,
        notifications=decision.notifications,
        rules=options.catalogue.rules,
        artifacts=tuple((artifact, digests.get(artifact.uri)) for artifact in gathered.artifacts),
        audits=audits,
        model_refs=tuple(gathered.model_refs),
        advisory_data=tuple(database.data() for database in databases),
        counts=gathered.counts(),
        root_prefix=gathered.root_prefix,
        offline=options.offline,
    )


@dataclass(kw_only=True, slots=True)
class _Gathered:
    """What all artifacts together gave so far."""

    findings: list[Finding] = field(default_factory=list)
    notifications: list[Notification] = field(default_factory=list)
    dependencies: list[Dependency] = field(default_factory=list)
    late: list[Evidence] = field(default_factory=list)
    model_refs: list[ModelRef] = field(default_factory=list)
    artifacts: list[Artifact] = field(default_factory=list)
    inline: list[InlineIgnore] = field(default_factory=list)
    roles: dict[Role, int] = field(default_factory=dict)
    members: int = 0
    inert_members: int = 0
    tally: Tally = field(default_factory=Tally)
    root_prefix: str = ""
    manifests: dict[str, Path] = field(default_factory=dict)
    fingerprints: Fingerprints = field(default_factory=Fingerprints)
    hashes: dict[str, tuple[str, ...]] = field(default_factory=dict)
    said: set[object] = field(default_factory=set)

    def first(self, key: object) -> bool:
        """Whether `key` comes for the first time."""
        new = key not in self.said
        self.said.add(key)
        return new

    def new(self, dependencies: Iterable[Dependency]) -> Iterator[Dependency]:
        """Yield the dependencies that were not said before, word for word in the same place."""
        return (each for each in dependencies if self.first(each))

    def counts(self) -> Counts:
        return Counts(
            inspected=self.roles.get(Role.INSPECTED, 0),
            manifests=self.roles.get(Role.MANIFEST, 0),
            not_recognised=self.roles.get(Role.NOT_RECOGNISED, 0),
            other_files=self.roles.get(Role.OTHER, 0),
            skipped_files=self.tally.skipped_files,
            skipped_folders=self.tally.skipped_folders,
            members=self.members,
            inert_members=self.inert_members,
        )


def _gather(targets: Sequence[Path], options: ScanOptions) -> _Gathered:
    """Walk the targets, then the cached models that their code refers to, and examine each file."""
    gathered = _Gathered(root_prefix=_root_prefix())
    seen: set[str] = set()
    for target in targets:
        for item in walk(target, uri_of=uri_of, options=options.walk, tally=gathered.tally):
            _take(item, gathered, options, seen)
    if options.hub_cache is not None and Aspect.ARTIFACTS in options.aspects:
        for item in resolve(gathered.model_refs, options.hub_cache):
            _take(item, gathered, options, seen)
    return gathered


def _take(item: Artifact | Notification, gathered: _Gathered, options: ScanOptions, seen: set[str]) -> None:
    if isinstance(item, Notification):
        gathered.notifications.append(item)
    elif (path := str(item.path)) not in seen:
        seen.add(path)
        options.progress(item.uri)
        _add(examine(item, options.limits, aspects=options.aspects), gathered, options)


def _add(part: Part, gathered: _Gathered, options: ScanOptions) -> None:
    gathered.roles[part.role] = gathered.roles.get(part.role, 0) + 1
    if part.role is Role.OTHER and not part.notifications:
        return  # most files of a tree
    gathered.notifications += part.notifications
    # a file that is read by itself and again through an include says everything twice
    gathered.dependencies += gathered.new(part.dependencies)
    gathered.model_refs += part.model_refs
    gathered.members += part.members
    gathered.inert_members += part.inert_members
    if part.role is Role.INSPECTED:
        gathered.artifacts.append(part.artifact)
    if part.claimed:
        gathered.manifests[part.artifact.uri] = part.artifact.path
        if part.artifact.origin is None:  # a downloaded model does not switch its own scan off
            gathered.inline += parse_inline(part.artifact.uri, _text(part.artifact.path))
    fresh = [each for each in part.evidence if gathered.first((each.kind, each.location, each.symbol))]
    gathered.late += (each for each in fresh if each.kind in LATE)
    prompt = [each for each in fresh if each.kind not in LATE]
    gathered.findings += _findings(prompt, gathered, options, part.artifact.origin)


def _compared(gathered: _Gathered, today: date) -> Iterable[Evidence]:
    """Give what the dependencies say together, once they know of each other."""
    if not gathered.dependencies and not gathered.late:
        return ()
    from supplyguard.sources.together import compared, settled  # noqa: PLC0415 - heavy: manifests

    gathered.dependencies = settled(gathered.dependencies)
    return compared(gathered.late, gathered.dependencies, today)


def _included_ignores(gathered: _Gathered) -> Iterator[InlineIgnore]:
    """Read the ignores of files that were read only because another file includes them."""
    uris = {each.location.uri for each in gathered.dependencies} - gathered.manifests.keys()
    for uri in sorted(uris):
        yield from parse_inline(uri, _text(Path(uri)))


def _findings(
    evidence: Iterable[Evidence],
    gathered: _Gathered,
    options: ScanOptions,
    origin: Location | None = None,
) -> Iterator[Finding]:
    for each in evidence:
        for finding in judge(options.catalogue, each):
            related = (origin, *finding.related) if origin is not None else finding.related
            yield replace(finding, fingerprint=_fingerprint(finding, gathered), related=related)


def _fingerprint(finding: Finding, gathered: _Gathered) -> str:
    where = finding.location
    rule, symbol = finding.rule.id, finding.symbol
    path = gathered.root_prefix + where.uri  # the same from whichever folder of the repository
    if where.line is None or where.member:  # lines of a member are not lines of the file
        return gathered.fingerprints.binary(rule_id=rule, path=path, member=where.member, symbol=symbol)
    if where.uri not in gathered.hashes:
        # an included file may have a name that no source claims; its URI is its path then
        gathered.hashes[where.uri] = line_hashes(_text(gathered.manifests.get(where.uri, Path(where.uri))))
    hashes = gathered.hashes[where.uri]
    line_hash = hashes[min(where.line, len(hashes)) - 1]
    return gathered.fingerprints.text(rule_id=rule, path=path, symbol=symbol, line_hash=line_hash)


def _resolve(gathered: _Gathered, options: ScanOptions) -> None:
    """Give open declarations the version that an install takes, and add what comes with them."""
    if options.resolution is None or not gathered.dependencies:
        return
    from supplyguard.resolution.resolver import resolve as resolve_open  # noqa: PLC0415 - heavy: packaging

    resolution = resolve_open(gathered.dependencies, options.resolution)
    gathered.dependencies = list(resolution.dependencies)
    gathered.notifications += resolution.notifications


def _audit(
    gathered: _Gathered, databases: Sequence[Database], options: ScanOptions
) -> tuple[list[Evidence], tuple[Audit, ...]]:
    """Ask every database; one that fails leaves its dependencies not audited, and that is said."""
    if not databases:
        return [], ()
    from supplyguard.advisories import merge, merge_audits  # noqa: PLC0415 - heavy: packaging
    from supplyguard.resolution.answers import told  # noqa: PLC0415 - heavy: likewise

    dependencies = gathered.dependencies
    evidence: list[Evidence] = []
    audits: list[Audit] = []
    for database in databases:
        options.progress("advisories")
        answer = attempt(lambda database=database: list(database.audit(dependencies)))  # type: ignore[misc]
        if isinstance(answer, Exception):
            failure = replace(explain(answer, Location(uri="")), location=None)
            gathered.notifications.append(failure)
            audits += (_unaudited(each, failure.message) for each in dependencies)
            continue
        evidence += (item for item in answer if isinstance(item, Evidence))
        audits += (item for item in answer if isinstance(item, Audit))
        gathered.notifications += (item for item in answer if isinstance(item, Notification))
    merged = tuple(merge_audits(audits))
    unseen = [audit for audit in merged if audit.status is AuditStatus.NOT_AUDITED]
    if unseen:
        text = f"{len(unseen)} of {len(merged)} dependencies could not be audited"
        # offline, only what the local data can answer is asked for; the report still lists them
        gathered.notifications.append(
            Notification(
                code="not-audited", message=text, level=Level.WARNING, incomplete=not options.offline
            )
        )
    return list(told(merge(evidence), dependencies)), merged


def _unaudited(dependency: Dependency, reason: str) -> Audit:
    return Audit(dependency=dependency, status=AuditStatus.NOT_AUDITED, database="", reason=reason)


def _digests(gathered: _Gathered, options: ScanOptions) -> dict[str, str]:
    wanted = {finding.location.uri for finding in gathered.findings}
    by_content = any(ignore.sha256 for ignore in options.policy.ignores)
    digests: dict[str, str] = {}
    for artifact in gathered.artifacts:
        small = artifact.size <= HASHED_SIZE
        if options.hash_all or (artifact.uri in wanted and (small or by_content)):
            digest = attempt(lambda artifact=artifact: _sha256(artifact.path))  # type: ignore[misc]
            if isinstance(digest, Exception):
                gathered.notifications.append(explain(digest, Location(uri=artifact.uri)))
            else:
                digests[artifact.uri] = digest
    return digests


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb", buffering=0) as stream:
        while chunk := stream.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def _text(path: Path) -> str:
    """Read a text file for line hashes and inline ignores; what cannot be read was said before."""
    raw = attempt(lambda: path.read_bytes() if path.stat().st_size <= TEXT_SIZE else b"")
    return "" if isinstance(raw, Exception) else raw.decode("utf-8", errors="replace")


def uri_of(path: Path) -> str:
    """Name a file: relative to the working folder where it lies below it, else absolute; with "/"."""
    absolute = Path(os.path.abspath(path))  # noqa: PTH100 - resolve() would follow links
    try:
        return absolute.relative_to(Path.cwd()).as_posix()
    except ValueError:
        return absolute.as_posix()


def _root_prefix() -> str:
    """Give the path from the repository's root to the working folder, "" outside of one."""
    here = Path.cwd()
    for folder in (here, *here.parents):
        if (folder / ".git").exists():
            below = here.relative_to(folder).as_posix()
            return "" if below == "." else f"{below}/"
    return ""
