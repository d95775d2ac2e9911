"""The command line's options, each said once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from supplyguard.aspect import Aspect
from supplyguard.console import ColorChoice

Targets = Annotated[list[Path] | None, typer.Argument(help="Files and folders; default: here.")]
FormatName = Annotated[
    str | None, typer.Option("--format", "-f", help="Print text, json, sarif or markdown.")
]
OutputFiles = Annotated[
    list[Path] | None,
    typer.Option("--output", "-o", help="Write to a file, format by its suffix; repeatable."),
]
FailOn = Annotated[str | None, typer.Option(help="Least severity that fails, or never (default: high).")]
FailOnKev = Annotated[
    bool | None,
    typer.Option("--fail-on-kev", help="Fail on vulnerabilities that attackers are known to use."),
]
FailOnEpss = Annotated[
    float | None,
    typer.Option("--fail-on-epss", help="Fail on vulnerabilities that are this likely to be used, 0 to 1."),
]
MinSeverity = Annotated[str | None, typer.Option(help="Least severity that is reported.")]
MinConfidence = Annotated[str | None, typer.Option(help="Least confidence that is reported.")]
Only = Annotated[list[Aspect] | None, typer.Option(help="Do this part of the work only; repeatable.")]
Exclude = Annotated[
    list[str] | None, typer.Option(help="Leave out paths, as .gitignore writes them; repeatable.")
]
Gitignore = Annotated[bool | None, typer.Option("--gitignore", help="Leave out what .gitignore names.")]
Offline = Annotated[bool | None, typer.Option("--offline", help="Use local advisory data only.")]
AllowIncomplete = Annotated[
    bool | None,
    typer.Option("--allow-incomplete", help="Do not exit with 3 when something was not examined."),
]
ExitZero = Annotated[bool, typer.Option("--exit-zero", help="Exit with 0 whatever was found.")]
Baseline = Annotated[
    Path | None, typer.Option(help="An earlier JSON or SARIF report; its findings are accepted.")
]
Vex = Annotated[
    list[Path] | None,
    typer.Option("--vex", help="OpenVEX document; what it calls not affected is accepted; repeatable."),
]
Author = Annotated[str, typer.Option(help="Who makes the statements.")]
VexOutput = Annotated[
    Path | None, typer.Option("--output", "-o", help="Write to this file instead of printing.")
]
HubCache = Annotated[Path | None, typer.Option(help="Folder of the Hugging Face cache.")]
Db = Annotated[Path | None, typer.Option("--db", help="Advisory database file.")]
MaxDbAge = Annotated[
    int | None,
    typer.Option("--max-db-age", help="Warn when local advisory data is older, in days; 0: never."),
]
Rules = Annotated[list[Path] | None, typer.Option("--rules", help="More rules: a file or folder.")]
Knowledge = Annotated[list[Path] | None, typer.Option(help="More knowledge of pickled globals: a file.")]
Resolve = Annotated[
    str | None,
    typer.Option(help="Resolve open versions with uv: auto (where there are some), always or never."),
]
ResolveTimeout = Annotated[
    int | None, typer.Option("--resolve-timeout", help="Seconds for resolving, all files together.")
]
IndexUrl = Annotated[
    str | None, typer.Option("--index-url", help="Package index to resolve against (default: PyPI).")
]
PythonVersion = Annotated[
    str | None, typer.Option("--python-version", help="Resolve for this Python, such as 3.12.")
]
PythonPlatform = Annotated[
    str | None, typer.Option("--python-platform", help="Resolve for this platform, as uv names it.")
]
ShowSuppressed = Annotated[
    bool, typer.Option("--show-suppressed", help="Include suppressed findings in SARIF.")
]
Category = Annotated[str | None, typer.Option(help="SARIF automationDetails.id.")]
HashAll = Annotated[bool, typer.Option("--hash", help="Compute every artifact's SHA-256.")]
ConfigFile = Annotated[Path | None, typer.Option("--config", help="Read this configuration file.")]
Isolated = Annotated[bool, typer.Option("--isolated", help="Read no configuration file.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print findings and errors only.")]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Print more about what was done.")]
NoProgress = Annotated[bool, typer.Option("--no-progress", help="Show no progress.")]
Color = Annotated[ColorChoice, typer.Option(help="When to use colours.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Print what would change; change nothing.")]
File = Annotated[Path, typer.Argument(help="A file.")]
RuleId = Annotated[str, typer.Argument(help="A rule's id.")]
UpdateFrom = Annotated[
    str | None, typer.Option("--from", help="A local zip or another address; default: OSV's PyPI zip.")
]
Full = Annotated[bool, typer.Option("--full", help="Fetch all records, not only those that are new.")]
WithEpss = Annotated[
    bool, typer.Option("--with-epss", help="Fetch EPSS too: how likely a vulnerability is to be used.")
]
WithKev = Annotated[
    bool, typer.Option("--with-kev", help="Fetch CISA's catalogue of known exploited vulnerabilities too.")
]
EpssFrom = Annotated[str | None, typer.Option("--epss-from", help="EPSS's file, or another address of it.")]
KevFrom = Annotated[str | None, typer.Option("--kev-from", help="KEV's JSON file, or another address.")]


def version_flag(callback: Callable[[bool], None]) -> Any:
    """Make the --version option, which answers before anything else is read."""
    return typer.Option("--version", callback=callback, is_eager=True, help="Print the version.")
