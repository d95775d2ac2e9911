"""Who says what the project uses: one module a manifest, lock or place."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Final, Protocol

from supplyguard.aspect import Aspect
from supplyguard.finding import Evidence, Notification
from supplyguard.inventory import Artifact, Dependency, ModelRef
from supplyguard.limits import Budget
from supplyguard.sources.on_demand import OnDemand

UNPINNED: Final = "dependency-unpinned"
"""The kind of Evidence that a lock can settle."""
ASKED: Final = "python-asked"
"""The kind of Evidence that only a day turns into something to tell."""
LATE: Final = frozenset({UNPINNED, ASKED})
"""Kinds of Evidence that are judged when all files are read."""

Item = Dependency | ModelRef | Artifact | Evidence | Notification
"""What a source yields."""


class Source(Protocol):
    """A module that reads one kind of text file."""

    @property
    def NAME(self) -> str:  # noqa: N802 - a module constant
        """The stem of its rules, tests and fixtures."""
        ...

    @property
    def ASPECT(self) -> Aspect:  # noqa: N802 - a module constant
        """Which part of the work it belongs to: DEPENDENCIES or CODE."""
        ...

    def claims(self, name: str) -> bool:
        """Whether a file of this name (no folder) is of this kind."""
        ...

    def collect(self, artifact: Artifact, budget: Budget) -> Iterator[Item]:
        """Read it; raises SupplyguardError for what makes all of it unreadable."""
        ...


SOURCES: tuple[Source, ...] = (
    OnDemand("requirements", Aspect.DEPENDENCIES, r".*(requirement|constraint).*\.(txt|in)"),
    OnDemand("pyproject", Aspect.DEPENDENCIES, r"pyproject\.toml"),
    OnDemand("toml_locks", Aspect.DEPENDENCIES, r".*\.(lock|toml)"),
    OnDemand("pipenv", Aspect.DEPENDENCIES, r"pipfile(\.lock)?"),
    OnDemand("conda", Aspect.DEPENDENCIES, r".*(environment|conda|python_env).*\.ya?ml"),
    OnDemand("setup_cfg", Aspect.DEPENDENCIES, r"setup\.cfg"),
    OnDemand("setup_py", Aspect.DEPENDENCIES, r"setup\.py"),
    OnDemand("scripts", Aspect.DEPENDENCIES, r".*\.pyw?"),
    OnDemand("command_lines", Aspect.DEPENDENCIES, r".*(file.*|\.(sh|bash|zsh|ksh|mk|just|ya?ml))"),
    OnDemand("workflows", Aspect.DEPENDENCIES, r".*\.ya?ml"),
    OnDemand("spaces", Aspect.DEPENDENCIES, r"readme\.md"),
    OnDemand("core_metadata", Aspect.DEPENDENCIES, r"metadata|pkg-info"),
    OnDemand("distributions", Aspect.DEPENDENCIES, r".*\.(whl|egg|zip|tar|tgz|tbz|gz|bz2|xz|z)"),
    OnDemand("python_code", Aspect.CODE, r".*\.py[wi]?"),
    OnDemand("notebook", Aspect.CODE, r".*\.ipynb"),
    OnDemand("notebook_commands", Aspect.DEPENDENCIES, r".*\.ipynb"),
)
"""Each is imported when a file has a fitting name. A new one is a line here, in the order of work."""

FOLDERS: Mapping[str, tuple[str, ...]] = {"workflows": (".github", "workflows")}
"""Sources whose files are known by the folder that they lie in, besides their name."""


def claiming(sources: tuple[Source, ...], path: Path) -> Iterator[Source]:
    """Yield those of `sources` that claim a file, in their order."""
    name = path.name
    if not _any_fits(sources, name):
        return
    for source in sources:
        folder = FOLDERS.get(source.NAME, ())
        if source.claims(name) and (not folder or path.absolute().parts[-1 - len(folder) : -1] == folder):
            yield source


def _any_fits(sources: tuple[Source, ...], name: str) -> bool:
    """Whether some source may claim a file of this name: one look, for most names fit none."""
    pattern = _any_name(sources)
    return pattern is None or pattern.fullmatch(name) is not None


@cache
def _any_name(sources: tuple[Source, ...]) -> re.Pattern[str] | None:
    names = [source.names for source in sources if isinstance(source, OnDemand)]
    if len(names) < len(sources):
        return None
    return re.compile("|".join(f"(?:{each})" for each in names), re.IGNORECASE | re.DOTALL)
