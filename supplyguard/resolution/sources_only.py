"""Newer releases that uv passes over because they have no wheel for the target, and what to do about it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import TYPE_CHECKING, Final, TypeVar

from supplyguard.errors import FetchError
from supplyguard.fetch import connection
from supplyguard.inventory import Dependency
from supplyguard.resolution.answers import Package
from supplyguard.resolution.index import Index, Release
from supplyguard.resolution.stubs import stub

if TYPE_CHECKING:
    from packaging.version import Version
    from requests import Session

K = TypeVar("K")
V = TypeVar("V")

WORKERS: Final = 12
STUBS: Final = 3
"""Releases of one package that a stub is made for: the newest."""


class SourcesOnly:
    """Looks for releases that only a build could read, and makes stub wheels of them.

    stubs: file name to content of the wheels so far. made: versions that have one, by package.
    unstated: those of which the index does not say what they need. failed: the newest version that
    no stub could be made of, and why, by package. unseen: packages that the index did not answer on.
    """

    def __init__(self, index: Index) -> None:
        self._index = index
        self._releases: dict[str, tuple[Release, ...] | str] = {}
        self.stubs: dict[str, bytes] = {}
        self.made: dict[str, set[str]] = {}
        self.unstated: set[tuple[str, str]] = set()
        self.failed: dict[str, tuple[str, str]] = {}
        self.unseen: dict[str, str] = {}

    def add(
        self, names: Iterable[str], packages: Mapping[str, Package], declared: Iterable[Dependency]
    ) -> bool:
        """Make stubs for what is newer than the version in `packages`, if any; whether there are new ones.

        declared: their specifiers say which releases of a package come into question.
        """
        wanted = [name for name in names if name not in self._releases]
        for name, found in _parallel(self._index.releases, wanted):
            self._releases[name] = found
            if isinstance(found, str):
                self.unseen[name] = found
        specifiers: dict[str, list[str]] = {}
        for each in declared:
            specifiers.setdefault(each.name, []).append(each.specifier)
        targets: list[tuple[str, Release]] = []
        for name in names:
            package = packages.get(name)
            releases = self._releases[name]
            if not isinstance(releases, str):
                version = package.version if package is not None else None
                newer = _newer(releases, version, specifiers.get(name, ()))
                unbuilt = (each for each in newer if each.source and not self._index.target.has_wheel(each))
                targets += ((name, each) for each in islice(unbuilt, STUBS))
        fresh = [(name, each) for name, each in targets if str(each.version) not in self.made.get(name, ())]
        before = len(self.stubs)
        for (name, release), said in _parallel(self._requires, fresh):
            self._make(name, release, said)
        return len(self.stubs) > before

    def newest(self, package: Package, declared: Dependency) -> Version | None:
        """Give the newest release that fits a declaration; None when it is the one that was taken."""
        releases = self._releases.get(package.name, "")
        if isinstance(releases, str):
            return None
        found = next(_newer(releases, package.version, [declared.specifier]), None)
        return found.version if found is not None else None

    def _requires(self, target: tuple[str, Release], session: Session) -> tuple[str, ...] | None:
        name, release = target
        return self._index.requires(name, release.version, session)

    def _make(self, name: str, release: Release, said: tuple[str, ...] | str | None) -> None:
        version = str(release.version)
        if isinstance(said, str):
            self.failed.setdefault(name, (version, said))
            return
        if said is None:
            self.unstated.add((name, version))
        file, content = stub(name, release.version, said or (), release.requires_python)
        self.stubs[file] = content
        self.made.setdefault(name, set()).add(version)


def _parallel(call: Callable[[K, Session], V], keys: Sequence[K]) -> list[tuple[K, V | str]]:
    """Give what `call` gives for each key, or why it could not be had; a few connections are shared."""

    def some(part: Sequence[K]) -> list[tuple[K, V | str]]:
        with connection() as session:
            return [(key, one(key, session)) for key in part]

    def one(key: K, session: Session) -> V | str:
        try:
            return call(key, session)
        except FetchError as error:
            return error.message

    if not keys:
        return []
    parts = [keys[first::WORKERS] for first in range(min(WORKERS, len(keys)))]
    with ThreadPoolExecutor(max_workers=len(parts)) as pool:
        found = dict(pair for pairs in pool.map(some, parts) for pair in pairs)
    return [(key, found[key]) for key in keys]


def _newer(releases: tuple[Release, ...], chosen: str | None, specifiers: Iterable[str]) -> Iterator[Release]:
    """Yield the releases above the chosen one that fit, the newest first; without pre-releases."""
    from packaging.specifiers import SpecifierSet  # noqa: PLC0415 - heavy: only when resolved
    from packaging.version import Version  # noqa: PLC0415 - heavy: likewise

    fits = SpecifierSet(",".join(filter(None, specifiers)))
    floor = Version(chosen) if chosen is not None else None
    for each in releases:
        if floor is not None and each.version <= floor:
            return
        if not each.version.is_prerelease and fits.contains(each.version):
            yield each
