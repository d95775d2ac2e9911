"""The local store as a Database: what is wrong with it is said, and never ends a scan."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from supplyguard.advisories.store import NAME, Store
from supplyguard.errors import StoreError
from supplyguard.finding import AdvisoryData, Audit, AuditStatus, Evidence, Notification
from supplyguard.inventory import Dependency

_UPDATE: Final = "run: supplyguard db update"
UNUSABLE: Final = "the local advisory store cannot be used"
"""Why a dependency is not audited by a store that is damaged."""


class LocalDatabase:
    """The store at a path, which may be damaged, of another version or too old.

    max_age: days that the newest record may be old before the report warns; 0: any number.
    Put it behind the databases that use its `exploited`, so that a damage they meet is still told.
    """

    def __init__(self, path: Path, *, max_age: int = 0, now: datetime | None = None) -> None:
        self._path = path
        self._max_age = max_age
        self._now = now if now is not None else datetime.now(UTC)
        self._failure: StoreError | None = None
        self._store: Store | None = None
        self._data = AdvisoryData(name=NAME, updated=None, records=None, origin=f"{path} (cannot be used)")
        try:
            self._store = Store(path)
            self._data = self._store.data()
        except StoreError as error:
            self._store, self._failure = None, error

    def data(self) -> AdvisoryData:
        """Say which data it is; a damaged store has no date and no count."""
        return self._data

    def exploited(self, ids: Collection[str]) -> tuple[float | None, bool]:
        """Give a problem's EPSS probability and whether it is in KEV; (None, False) where not known."""
        if self._store is None:
            return None, False
        try:
            return self._store.exploited(ids)
        except StoreError as error:
            self._failure = error
            return None, False

    def audit(self, dependencies: Sequence[Dependency]) -> Iterator[Evidence | Audit | Notification]:
        """Yield what the store says; a damage leaves the dependencies not audited from there on."""
        answered = 0
        if self._store is not None:
            try:
                for item in self._store.audit(dependencies, exploited=self.exploited):
                    answered += isinstance(item, Audit)
                    yield item
            except StoreError as error:
                self._failure = error
        for dependency in dependencies[answered:]:
            yield Audit(dependency=dependency, status=AuditStatus.NOT_AUDITED, database=NAME, reason=UNUSABLE)
        if self._failure is not None:
            text = f"{self._failure.message}; {self._failure.hint}"
            # without dependencies, nothing that was asked for is missing
            yield Notification(code="advisory-store-unusable", message=text, incomplete=bool(dependencies))
        if dependencies:
            yield from self._age()

    def _age(self) -> Iterator[Notification]:
        """Warn of data that is older than allowed."""
        if self._store is None or not self._max_age or self._data.updated is None:
            return
        days = (self._now - self._data.updated).days
        if days > self._max_age:
            text = (
                f"the local advisory data is {days:,} days old (newest record of "
                f"{self._data.updated:%Y-%m-%d}, at most {self._max_age:,} days are allowed); {_UPDATE}"
            )
            yield Notification(code="advisories-old", message=text)
