"""From settings to what a scan needs: rules, databases, folders."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from supplyguard.aspect import Aspect
from supplyguard.config import Settings
from supplyguard.finding import AdvisoryData, Confidence, Evidence, Level, Notification, Report, Severity
from supplyguard.policy import Policy, read_baseline
from supplyguard.resolution import INDEX, Terms, When
from supplyguard.resources import cache_folder
from supplyguard.rules import load_catalogue
from supplyguard.scan import ScanOptions, scan, silent
from supplyguard.sources.folder import WalkOptions
from supplyguard.sources.hub_cache import default_cache

if TYPE_CHECKING:
    from supplyguard.advisories import Database
    from supplyguard.inventory import Dependency
    from supplyguard.policy import VexStatement
    from supplyguard.repair.files import Outcome

STORE_NAME: Final = "advisories.sqlite3"


def run_scan(
    targets: Sequence[Path],
    settings: Settings,
    *,
    aspects: frozenset[Aspect] = frozenset(Aspect),
    hash_all: bool = False,
    progress: Callable[[str], None] = silent,
) -> Report:
    """Scan `targets` as `settings` say."""
    policy = Policy(
        fail_on=settings.fail_on,
        fail_on_kev=settings.fail_on_kev,
        fail_on_epss=settings.fail_on_epss,
        min_severity=settings.min_severity,
        min_confidence=settings.min_confidence,
        allow_incomplete=settings.allow_incomplete,
        ignores=settings.ignores,
        vex=_statements(settings),
        baseline=read_baseline(settings.baseline) if settings.baseline is not None else frozenset(),
    )
    options = ScanOptions(
        catalogue=load_catalogue(settings.rules),
        policy=policy,
        walk=WalkOptions(exclude=settings.exclude, use_gitignore=settings.gitignore),
        databases=lambda: _databases(settings) if Aspect.DEPENDENCIES in aspects else (),
        hub_cache=settings.hub_cache or default_cache(os.environ),
        aspects=aspects,
        offline=settings.offline,
        hash_all=hash_all,
        knowledge=settings.knowledge,
        resolution=_terms(targets, settings, progress) if Aspect.DEPENDENCIES in aspects else None,
        progress=progress,
    )
    report = scan(targets, options)
    said = list(_config_notice(targets, settings))
    if Aspect.DEPENDENCIES in aspects:
        said += _store_notice(settings)
    return replace(report, notifications=(*said, *report.notifications))


def _terms(targets: Sequence[Path], settings: Settings, progress: Callable[[str], None]) -> Terms:
    return Terms(
        when=settings.resolve,
        cache=cache_folder().absolute() / "uv",  # uv works in another folder
        progress=progress,
        offline=settings.offline,
        index=settings.index_url or INDEX,
        python_version=settings.python_version,
        python_platform=settings.python_platform,
        seconds=settings.resolve_timeout,
        forbidden=tuple(targets),
    )


def run_vex(
    targets: Sequence[Path], settings: Settings, *, author: str, progress: Callable[[str], None] = silent
) -> str:
    """Write an OpenVEX document of the advisories that the configuration ignores in `targets`."""
    from supplyguard.vex import write_vex  # noqa: PLC0415 - heavy: only for this command

    report = run_scan(
        targets, replace(settings, vex=()), aspects=frozenset({Aspect.DEPENDENCIES}), progress=progress
    )
    return write_vex(report.suppressed, settings.ignores, author=author, issued=report.started)


def run_fix(
    targets: Sequence[Path], settings: Settings, *, dry: bool, progress: Callable[[str], None] = silent
) -> tuple[Outcome, Report]:
    """Raise the pins in `targets` that have known problems; gives what was done, and the report before it."""
    from supplyguard.repair.files import carry_out  # noqa: PLC0415 - heavy: only for this command
    from supplyguard.repair.plan import make_plan  # noqa: PLC0415 - heavy: likewise

    everything = replace(
        settings, min_severity=Severity.INFO, min_confidence=Confidence.LOW, resolve=When.NEVER
    )
    only = frozenset({Aspect.DEPENDENCIES})
    report = run_scan(targets, everything, aspects=only, progress=progress)
    plan = make_plan(report, lambda dependencies: _upgrades(dependencies, everything))
    return carry_out(plan, targets, dry=dry), report


def _upgrades(dependencies: Sequence[Dependency], settings: Settings) -> dict[Dependency, str | None]:
    """Give the version that clears all known problems, for those of `dependencies` that have some."""
    from supplyguard.advisories import merge  # noqa: PLC0415 - heavy: packaging
    from supplyguard.repair.plan import version_of  # noqa: PLC0415 - heavy: only for fix

    if not dependencies:
        return {}
    answers = (each for database in _databases(settings) for each in database.audit(dependencies))
    known = {(each.location, each.name): each for each in dependencies}
    found: dict[Dependency, str | None] = {}
    for one in merge(each for each in answers if isinstance(each, Evidence)):
        dependency = known[one.location, str(one.facts["package"])]
        malicious = one.facts["malicious"] is True or found.get(dependency, "") is None
        found[dependency] = None if malicious else version_of(str(one.facts["upgrade_all"]))
    return found


def store_path(settings: Settings) -> Path:
    """Give the advisory store's file."""
    return settings.db or cache_folder() / STORE_NAME


def update_store(
    settings: Settings,
    source: str | None,
    progress: Callable[[str], None] = silent,
    *,
    full: bool = False,
    epss: str | None = None,
    kev: str | None = None,
) -> AdvisoryData:
    """Fetch advisory data into the store; raises SupplyguardError and leaves the old store whole.

    epss, kev: file or address of what is known of exploitation ("": the public address), None to
    leave that as it is.
    """
    from supplyguard.advisories import exploitation  # noqa: PLC0415 - heavy: the network
    from supplyguard.advisories.update import update  # noqa: PLC0415 - heavy: the network

    path = store_path(settings)
    data = update(path, source, full=full, progress=progress)
    if epss is None and kev is None:
        return data
    sources = exploitation.Sources(
        epss=exploitation.EPSS_URL if epss == "" else epss, kev=exploitation.KEV_URL if kev == "" else kev
    )
    return exploitation.update_exploited(path, sources, progress=progress)


def store_status(settings: Settings) -> Iterator[str]:
    """Describe all local advisory data, a line each."""
    from supplyguard.advisories.embedded import EmbeddedDatabase  # noqa: PLC0415 - heavy: packaging

    yield _described(EmbeddedDatabase().data())
    path = store_path(settings)
    if path.exists():
        from supplyguard.advisories.store import Store  # noqa: PLC0415 - heavy: sqlite3

        yield _described(Store(path).data())
    else:
        yield f"no advisory store at {path}; make one with: supplyguard db update"


def _statements(settings: Settings) -> tuple[VexStatement, ...]:
    if not settings.vex:
        return ()
    from supplyguard.vex import read_vex  # noqa: PLC0415 - heavy: only with --vex

    return tuple(statement for path in settings.vex for statement in read_vex(path))


def _databases(settings: Settings) -> tuple[Database, ...]:
    """Give the databases to ask; the local store knows best which problems attackers use."""
    from supplyguard.advisories.embedded import EmbeddedDatabase  # noqa: PLC0415 - heavy: packaging
    from supplyguard.advisories.evidence import Exploited, nothing_known  # noqa: PLC0415 - heavy: likewise

    path = store_path(settings)
    exploited: Exploited = nothing_known
    local: list[Database] = []
    if path.exists():
        from supplyguard.advisories.local import LocalDatabase  # noqa: PLC0415 - heavy: sqlite3

        store = LocalDatabase(path, max_age=settings.max_db_age)
        exploited, local = store.exploited, [store]
    databases: list[Database] = [EmbeddedDatabase(exploited=exploited)]
    if not settings.offline:
        from supplyguard.advisories.live import LiveDatabase  # noqa: PLC0415 - heavy: pip-audit

        databases.append(LiveDatabase(exploited=exploited))
    return (*databases, *local)


def _store_notice(settings: Settings) -> Iterator[Notification]:
    """Say when the store that was asked for is not there."""
    if settings.db is not None and not settings.db.exists():
        text = f"no advisory store at {settings.db}; make one with: supplyguard db update"
        yield Notification(code="advisory-store-missing", message=text)


def _config_notice(targets: Sequence[Path], settings: Settings) -> Iterator[Notification]:
    """Say when the scanned tree brought its own configuration, since that can hide findings."""
    if not settings.source:
        return
    file = Path(settings.source).resolve()
    if any(file.is_relative_to(target.resolve()) for target in targets if target.is_dir()):
        text = f"the configuration {settings.source} lies in the scanned folder"
        yield Notification(code="configuration-in-tree", message=text, level=Level.NOTE)


def _described(data: AdvisoryData) -> str:
    count = f"{data.records:,} records" if data.records is not None else "records not counted"
    newest = f"newest {data.updated:%Y-%m-%d}" if data.updated is not None else "of unknown date"
    return f"{data.name}: {count}, {newest}, from {data.origin}"
