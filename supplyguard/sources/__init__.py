"""Who says what the project uses: one module a manifest, lock or place."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Protocol

from supplyguard.aspect import Aspect
from supplyguard.finding import Evidence, Notification
from supplyguard.inventory import Artifact, Dependency, ModelRef
from supplyguard.limits import Budget
from supplyguard.sources import (
    command_lines,
    conda,
    core_metadata,
    distributions,
    notebook,
    notebook_commands,
    pipenv,
    pyproject,
    python_code,
    requirements,
    scripts,
    setup_cfg,
    setup_py,
    spaces,
    toml_locks,
    workflows,
)

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
    requirements,
    pyproject,
    toml_locks,
    pipenv,
    conda,
    setup_cfg,
    setup_py,
    scripts,
    command_lines,
    workflows,
    spaces,
    core_metadata,
    distributions,
    python_code,
    notebook,
    notebook_commands,
)

FOLDERS: Mapping[str, tuple[str, ...]] = {workflows.NAME: workflows.FOLDER}
"""Sources whose files are known by the folder that they lie in, besides their name."""


def claiming(sources: Iterable[Source], path: Path) -> Iterator[Source]:
    """Yield those of `sources` that claim a file, in their order."""
    for source in sources:
        folder = FOLDERS.get(source.NAME, ())
        if source.claims(path.name) and (
            not folder or path.absolute().parts[-1 - len(folder) : -1] == folder
        ):
            yield source
