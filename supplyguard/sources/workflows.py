"""GitHub's workflows: what their shell lines install."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from supplyguard.aspect import Aspect
from supplyguard.inventory import Artifact
from supplyguard.limits import Budget
from supplyguard.sources import command_lines
from supplyguard.sources.toml_document import Found

NAME: Final = "workflows"
ASPECT: Final = Aspect.DEPENDENCIES
FOLDER: Final = (".github", "workflows")


def claims(name: str) -> bool:
    """Whether a file is YAML by its ending; only those in FOLDER are given to `collect`."""
    return name.endswith((".yml", ".yaml"))


def collect(artifact: Artifact, budget: Budget) -> Iterator[Found]:
    """Yield what the commands of a workflow install."""
    yield from command_lines.collect(artifact, budget)
