"""Who says what the project uses: one module a manifest, lock or place."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from supplyguard.aspect import Aspect
from supplyguard.finding import Evidence, Notification
from supplyguard.inventory import Artifact, Dependency, ModelRef
from supplyguard.limits import Budget
from supplyguard.sources import conda, notebook, pipenv, pyproject, python_code, requirements, toml_locks

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
    python_code,
    notebook,
)
