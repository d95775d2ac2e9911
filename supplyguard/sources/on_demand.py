"""Sources that are imported when the first file with a fitting name comes along.

Importing all of them takes longer than scanning a small file. A pattern may fit too many names, never
too few: a test holds it against the sources' own answers.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib import import_module
from typing import TYPE_CHECKING

from supplyguard.aspect import Aspect
from supplyguard.inventory import Artifact
from supplyguard.limits import Budget

if TYPE_CHECKING:
    from supplyguard.sources import Item, Source


class OnDemand:
    """Stands in for the source module `stem` until a file has a fitting name."""

    __slots__ = ("ASPECT", "NAME", "_fits", "_module", "names")

    def __init__(self, stem: str, aspect: Aspect, names: str) -> None:
        self.NAME = stem
        self.ASPECT = aspect
        self.names = names
        self._fits = re.compile(names, re.IGNORECASE | re.DOTALL).fullmatch
        self._module: Source | None = None

    def claims(self, name: str) -> bool:
        """Look at the name, then ask the source."""
        return self._fits(name) is not None and self.module.claims(name)

    def collect(self, artifact: Artifact, budget: Budget) -> Iterator[Item]:
        """Hand over to the source."""
        return self.module.collect(artifact, budget)

    @property
    def module(self) -> Source:
        """The source itself."""
        if self._module is None:
            found: Source = import_module(f"supplyguard.sources.{self.NAME}")
            self._module = found
        return self._module
