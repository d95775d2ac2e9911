"""The command line: each command parses, calls, reports and gives the exit code.

Exit codes: 0 nothing at or above the threshold; 1 something; 2 usage, configuration or internal
error; 3 incomplete, with nothing at or above the threshold; 130 interrupted.
"""

from __future__ import annotations

import gc
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from supplyguard import __version__
from supplyguard import cli_options as opt
from supplyguard.aspect import Aspect
from supplyguard.boundary import attempt
from supplyguard.console import ColorChoice, Console
from supplyguard.errors import SupplyguardError, UsageError

if TYPE_CHECKING:
    from supplyguard.config import Settings

GARBAGE: Final = 50_000
"""Objects made between two searches for rings of them; nearly all that a scan makes is kept to its end."""
EXIT_CODES: Final = {"pass": 0, "fail": 1, "incomplete": 3}
"""By verdict; spelled out so that --version does not import what a report is made of."""
ERROR: Final = 2

app = typer.Typer(
    name="supplyguard",
    help="Check what a machine-learning project pulls in: its Python packages and its model files.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
db_app = typer.Typer(help="The local advisory database.", no_args_is_help=True)
app.add_typer(db_app, name="db")


def _version(value: bool) -> None:
    if value:
        typer.echo(f"supplyguard {__version__}")
        raise typer.Exit


@app.callback()
def _root(_show: Annotated[bool, opt.version_flag(_version)] = False) -> None:
    """Check what a machine-learning project pulls in: its Python packages and its model files."""


@app.command("scan")
def scan_command(
    targets: opt.Targets = None,
    format_: opt.FormatName = None,
    output: opt.OutputFiles = None,
    fail_on: opt.FailOn = None,
    fail_on_kev: opt.FailOnKev = None,
    fail_on_epss: opt.FailOnEpss = None,
    min_severity: opt.MinSeverity = None,
    min_confidence: opt.MinConfidence = None,
    only: opt.Only = None,
    exclude: opt.Exclude = None,
    gitignore: opt.Gitignore = None,
    offline: opt.Offline = None,
    allow_incomplete: opt.AllowIncomplete = None,
    exit_zero: opt.ExitZero = False,
    baseline: opt.Baseline = None,
    vex: opt.Vex = None,
    hub_cache: opt.HubCache = None,
    db: opt.Db = None,
    max_db_age: opt.MaxDbAge = None,
    rules: opt.Rules = None,
    knowledge: opt.Knowledge = None,
    resolve: opt.Resolve = None,
    resolve_timeout: opt.ResolveTimeout = None,
    index_url: opt.IndexUrl = None,
    python_version: opt.PythonVersion = None,
    python_platform: opt.PythonPlatform = None,
    show_suppressed: opt.ShowSuppressed = False,
    category: opt.Category = None,
    hash_all: opt.HashAll = False,
    config: opt.ConfigFile = None,
    isolated: opt.Isolated = False,
    quiet: opt.Quiet = False,
    verbose: opt.Verbose = False,
    no_progress: opt.NoProgress = False,
    color: opt.Color = ColorChoice.AUTO,
) -> None:
    """Scan files and folders; report what is dangerous, and what could not be examined."""
    given = dict(locals())  # the options are named as the settings are
    from supplyguard.output import emit, outputs_of  # noqa: PLC0415 - heavy: every reporter
    from supplyguard.wiring import run_scan  # noqa: PLC0415 - heavy: every source and inspector

    outputs = outputs_of(format_, output or ())
    settings = _settings(given, config, isolated=isolated)
    console = Console(color=color, quiet=quiet, verbose=verbose, progress=not (no_progress or quiet))
    with console:
        report = run_scan(
            targets or [Path()],
            settings,
            aspects=frozenset(only or Aspect),
            hash_all=hash_all,
            progress=console.progress,
        )
    emit(report, outputs, console, show_suppressed=show_suppressed, category=category)
    raise typer.Exit(0 if exit_zero else EXIT_CODES[report.verdict])


@app.command()
def inspect(
    file: opt.File,
    rules: opt.Rules = None,
    knowledge: opt.Knowledge = None,
) -> None:
    """Show one file in depth: its members, every global and call of its pickles, pseudo-source."""
    from supplyguard.dissect import dissect  # noqa: PLC0415 - heavy: every inspector
    from supplyguard.pickles.knowledge import knowledge_of  # noqa: PLC0415 - heavy: likewise
    from supplyguard.rules import load_catalogue  # noqa: PLC0415 - heavy: likewise
    from supplyguard.scan import uri_of  # noqa: PLC0415 - heavy: likewise

    with knowledge_of(knowledge or ()):
        for line in dissect(file, uri_of(file), load_catalogue(rules or ())):
            typer.echo(line)


@app.command()
def explain(rule: Annotated[str, typer.Argument(help="A rule's id.")], rules: opt.Rules = None) -> None:
    """Explain one rule: what it is, why it matters and how to mend it."""
    from supplyguard.rules import load_catalogue  # noqa: PLC0415 - heavy: not for --version

    catalogue = load_catalogue(rules or ())
    found = catalogue.get(rule)
    if found is None:
        raise UsageError(f"no rule is called {rule!r}", hint="supplyguard rules lists them all")
    lines = [
        f"{found.id}: {found.name}",
        f"severity {found.severity.label}, confidence {found.confidence.label}",
        "",
        found.help.what,
        "",
        f"Why: {found.help.why}",
        "",
        f"Fix: {found.help.fix}",
        "",
        *((f"{', '.join((*found.cwe, *found.atlas))}",) if found.cwe or found.atlas else ()),
        *found.references,
    ]
    typer.echo("\n".join(lines))


@app.command("rules")
def rules_command(rules: opt.Rules = None) -> None:
    """List all rules."""
    from supplyguard.rules import load_catalogue  # noqa: PLC0415 - heavy: not for --version

    catalogue = load_catalogue(rules or ())
    width = max(len(rule.id) for rule in catalogue.rules)
    for rule in catalogue.rules:
        typer.echo(f"{rule.id:<{width}}  {rule.severity.label:<8}  {rule.name}")


@app.command("vex")
def vex_command(
    targets: opt.Targets = None,
    output: opt.VexOutput = None,
    author: opt.Author = "Unknown Author",
    offline: opt.Offline = None,
    db: opt.Db = None,
    config: opt.ConfigFile = None,
    isolated: opt.Isolated = False,
) -> None:
    """Write the configured ignores that name an advisory as an OpenVEX document."""
    from supplyguard.wiring import run_vex  # noqa: PLC0415 - heavy: every source

    settings = _settings({"offline": offline, "db": db}, config, isolated=isolated)
    with Console(progress=True) as console:
        text = run_vex(targets or [Path()], settings, author=author, progress=console.progress)
    if output is None:
        typer.echo(text, nl=False)
    else:
        output.write_text(text, encoding="utf-8")


@app.command("fix")
def fix_command(
    targets: opt.Targets = None,
    dry_run: opt.DryRun = False,
    fail_on: opt.FailOn = None,
    exclude: opt.Exclude = None,
    gitignore: opt.Gitignore = None,
    offline: opt.Offline = None,
    allow_incomplete: opt.AllowIncomplete = None,
    db: opt.Db = None,
    config: opt.ConfigFile = None,
    isolated: opt.Isolated = False,
    quiet: opt.Quiet = False,
    no_progress: opt.NoProgress = False,
) -> None:
    """Raise pins that have known problems to the smallest version that has none."""
    given = dict(locals())
    from supplyguard.wiring import run_fix  # noqa: PLC0415 - heavy: every source

    settings = _settings(given, config, isolated=isolated)
    with Console(quiet=quiet, progress=not (no_progress or quiet)) as console:
        outcome, report = run_fix(targets or [Path()], settings, dry=dry_run, progress=console.progress)
    for line in outcome.lines():
        typer.echo(line)
    left = [each for each in outcome.remaining(report) if settings.fail_on and each >= settings.fail_on]
    unread = any(each.incomplete for each in report.notifications)
    if not quiet:
        typer.echo(outcome.summary())
    if unread and not settings.allow_incomplete:
        console.error("not everything could be examined", "supplyguard scan says what")
    incomplete = EXIT_CODES["incomplete"] if unread and not settings.allow_incomplete else 0
    raise typer.Exit(EXIT_CODES["fail"] if left else incomplete)


@db_app.command("update")
def db_update(
    source: opt.UpdateFrom = None,
    full: opt.Full = False,
    with_epss: opt.WithEpss = False,
    with_kev: opt.WithKev = False,
    epss_from: opt.EpssFrom = None,
    kev_from: opt.KevFrom = None,
    db: opt.Db = None,
    quiet: opt.Quiet = False,
    config: opt.ConfigFile = None,
    isolated: opt.Isolated = False,
) -> None:
    """Fetch the advisory data; on failure the old data stays as it was."""
    from supplyguard.wiring import update_store  # noqa: PLC0415 - heavy: sqlite and the network

    settings = _settings({"db": db}, config, isolated=isolated)
    with Console(quiet=quiet, progress=not quiet) as console:
        data = update_store(
            settings,
            source,
            console.progress,
            full=full,
            epss=epss_from or ("" if with_epss else None),
            kev=kev_from or ("" if with_kev else None),
        )
    if not quiet:
        newest = f"{data.updated:%Y-%m-%d}" if data.updated is not None else "unknown"
        typer.echo(f"{data.records:,} advisories, newest {newest}, from {data.origin}")


@db_app.command("status")
def db_status(db: opt.Db = None, config: opt.ConfigFile = None, isolated: opt.Isolated = False) -> None:
    """Say which advisory data is there, how much and how old."""
    from supplyguard.wiring import store_status  # noqa: PLC0415 - heavy: sqlite

    for line in store_status(_settings({"db": db}, config, isolated=isolated)):
        typer.echo(line)


def _settings(flags: dict[str, Any], config: Path | None, *, isolated: bool) -> Settings:
    from supplyguard.config import KINDS, load_settings  # noqa: PLC0415 - heavy: not for --version

    flags = {key: value for key, value in flags.items() if key in KINDS}
    return load_settings(flags, environment=os.environ, folder=Path.cwd(), file=config, isolated=isolated)


def main() -> None:
    """Run the command line; the one way out of the process."""
    gc.set_threshold(GARBAGE)
    sys.exit(_exit_code(attempt(lambda: app(standalone_mode=False))))


def _exit_code(outcome: object) -> int:
    """Turn what a command gave or raised into an exit code, with one line on stderr for a failure."""
    if not isinstance(outcome, Exception):
        return outcome if isinstance(outcome, int) else 0
    message, hint = f"internal error: {type(outcome).__name__}: {outcome}", "please report it"
    if isinstance(outcome, SupplyguardError):
        message, hint = outcome.message, outcome.hint or ""
    elif isinstance(outcome, typer.TyperException):
        message, hint = outcome.format_message(), "see supplyguard --help"
    elif isinstance(outcome, typer.Abort):
        message, hint = "aborted", ""
    elif isinstance(outcome, OSError):
        message, hint = f"{outcome.filename or 'system'}: {outcome.strerror or outcome}", ""
    Console().error(message, hint)
    return ERROR
