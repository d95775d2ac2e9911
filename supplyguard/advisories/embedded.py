"""The advisories that come with supplyguard: rules/advisories/*.json, OSV records in our own words.

They cover well-known problems of packages that load models, and are there without a network and
without a store. They are a selection, so their silence says nothing: they make a dependency
affected or leave it not audited, never clean.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Final

from supplyguard.advisories.evidence import NO_MATCH, Exploited, nothing_known
from supplyguard.advisories.judge import judge
from supplyguard.advisories.osv import Record, load, parse
from supplyguard.errors import MalformedError, RuleError
from supplyguard.finding import AdvisoryData, Audit, Evidence
from supplyguard.inventory import Dependency
from supplyguard.resources import rules_folder

NAME: Final = "embedded"


@cache
def read_folder(folder: Path) -> tuple[Record, ...]:
    """Read every *.json of a folder: one record, or a list of them; raises RuleError."""
    records: dict[str, Record] = {}
    for path in sorted(folder.glob("*.json")):
        try:
            document = load(path.read_bytes())
            found = [parse(one) for one in (document if isinstance(document, list) else [document])]
        except (OSError, MalformedError) as error:
            raise RuleError(f"{path}: {error}", hint="reinstall supplyguard") from error
        for record in found:
            if record.id in records:
                raise RuleError(f"{path}: {record.id} is there twice")
            records[record.id] = record
    return tuple(records.values())


class EmbeddedDatabase:
    """The records of a folder as a Database; the default folder is supplyguard's own."""

    def __init__(self, folder: Path | None = None, *, exploited: Exploited = nothing_known) -> None:
        self._exploited = exploited
        self._folder = folder if folder is not None else rules_folder() / "advisories"
        self._records = tuple(record for record in read_folder(self._folder) if not record.withdrawn)
        self._by_name: dict[str, list[Record]] = {}
        for record in self._records:
            for name in record.names:
                self._by_name.setdefault(name, []).append(record)

    def data(self) -> AdvisoryData:
        """Say which data it is."""
        updated = max((record.modified for record in self._records), default=None)
        return AdvisoryData(name=NAME, updated=updated, records=len(self._records), origin="supplyguard")

    def audit(self, dependencies: Sequence[Dependency]) -> Iterator[Evidence | Audit]:
        """Yield the Evidence and the Audit of each dependency."""
        for dependency in dependencies:
            records = self._by_name.get(dependency.name, ())
            yield from judge(dependency, records, database=NAME, gap=NO_MATCH, exploited=self._exploited)
