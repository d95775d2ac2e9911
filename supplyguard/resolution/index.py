"""What a package index says of a package: its releases, and what one of them needs.

Formats: the simple API as JSON (PEP 691), and the JSON of one release (docs.pypi.org/api/json),
which holds `info.requires_dist` as its uploader stated it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, urlsplit

from supplyguard import fetch
from supplyguard.errors import FetchError
from supplyguard.limits import MIB

if TYPE_CHECKING:
    import requests
    from packaging.tags import Tag
    from packaging.version import Version

SIMPLE: Final = "/simple"
ACCEPT: Final = "application/vnd.pypi.simple.v1+json"
SECONDS: Final = 20.0
FILES: Final = 50_000
ARCHIVES: Final = (".tar.gz", ".zip", ".tar.bz2")
REQUIRES: Final = 500
"""Requirements of one release; far above any real one."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Release:
    """A version that the index has files of for the target's Python.

    source: one of them is a source archive. wheels: file names of the others.
    """

    version: Version
    source: bool
    wheels: tuple[str, ...]
    requires_python: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Target:
    """What is resolved for: a Python such as "3.12", and whether it is the one that runs us, here.

    For any other target, every wheel counts as usable: which tags it has is not known.
    """

    python: str
    native: bool

    def takes(self, requires_python: str) -> bool:
        """Whether its Python is among those that a file says it is for."""
        from packaging.specifiers import (  # noqa: PLC0415 - heavy: only when something is resolved
            InvalidSpecifier,
            SpecifierSet,
        )

        try:
            return SpecifierSet(requires_python).contains(self.python, prereleases=True)
        except InvalidSpecifier:
            return True

    def has_wheel(self, release: Release) -> bool:
        """Whether one of a release's wheels can be used."""
        from packaging.utils import (  # noqa: PLC0415 - heavy: only when something is resolved
            InvalidWheelFilename,
            parse_wheel_filename,
        )

        if not self.native:
            return bool(release.wheels)
        for name in release.wheels:
            try:
                tags = parse_wheel_filename(name)[3]
            except InvalidWheelFilename:
                continue
            if not _native_tags().isdisjoint(tags):
                return True
        return False


@cache
def _native_tags() -> frozenset[Tag]:
    from packaging.tags import sys_tags  # noqa: PLC0415 - heavy: only when something is resolved

    return frozenset(sys_tags())


@dataclass(frozen=True, kw_only=True, slots=True)
class Index:
    """A simple index at an address; seconds: gives what is left of the time."""

    url: str
    target: Target
    seconds: Callable[[], float]

    def releases(self, name: str, session: requests.Session) -> tuple[Release, ...]:
        """Give all releases of a package that are not yanked, the newest first; raises FetchError."""
        document = self._read(f"{self.url.rstrip('/')}/{quote(name)}/", ACCEPT, session)
        files = document.get("files")
        if not isinstance(files, list):
            raise FetchError(f"{fetch.shown(self.url)} gave no list of files")
        return _releases(files[:FILES], self.target)

    def requires(self, name: str, version: Version, session: requests.Session) -> tuple[str, ...] | None:
        """Give what a release needs, None when the index does not say; raises FetchError."""
        base = self.url.rstrip("/")
        if not base.endswith(SIMPLE):
            raise FetchError(f"{fetch.shown(self.url)} has no JSON of releases beside it")
        place = f"{base.removesuffix(SIMPLE)}/pypi/{quote(name)}/{quote(str(version))}/json"
        info = self._read(place, "application/json", session).get("info")
        found = info.get("requires_dist") if isinstance(info, dict) else None
        if not isinstance(found, list):
            return None
        return tuple(each for each in found[:REQUIRES] if isinstance(each, str))

    def _read(self, url: str, accept: str, session: requests.Session) -> Mapping[str, Any]:
        seconds = max(0.1, min(SECONDS, self.seconds()))
        limits = fetch.Limits(size=32 * MIB, seconds=seconds, timeout=min(10.0, seconds), attempts=2)
        raw = fetch.read(url, limits=limits, accept=accept, session=session)
        try:
            document = json.loads(raw)
        except (ValueError, RecursionError) as error:
            raise FetchError(f"{fetch.shown(url)} is not JSON") from error
        if not isinstance(document, dict):
            raise FetchError(f"{fetch.shown(url)} is not the JSON that was asked for")
        return document


def check_index(url: str) -> str:
    """Give an index's address when it may be spoken to; raises FetchError."""
    fetch.check_url(url)
    if urlsplit(url).query or urlsplit(url).fragment:
        raise FetchError(f"not the address of a simple index: {fetch.shown(url)}")
    return url


def _releases(files: list[Any], target: Target) -> tuple[Release, ...]:
    """Group files by version; what a wheel's name says beyond that is left for later, for few of them."""
    from packaging.version import InvalidVersion, Version  # noqa: PLC0415 - heavy: only when resolved

    sources: set[str] = set()
    wheels: dict[str, list[str]] = {}
    pythons: dict[str, str] = {}
    fits: dict[str, bool] = {}
    for file in files:
        name = file.get("filename") if isinstance(file, dict) else None
        if not isinstance(name, str) or len(name) > 300 or file.get("yanked") not in {None, False}:
            continue
        python = file.get("requires-python")
        python = python if isinstance(python, str) and len(python) < 300 else ""
        if not fits.setdefault(python, target.takes(python)):
            continue
        if name.endswith(".whl"):
            text = name.split("-", 2)[1] if name.count("-") >= 2 else ""
            wheels.setdefault(text, []).append(name)
        else:
            stem = next((name.removesuffix(each) for each in ARCHIVES if name.endswith(each)), "")
            text = stem.rpartition("-")[2]
            sources.add(text)
        pythons.setdefault(text, python)
    found: dict[Version, Release] = {}
    for text, python in pythons.items():
        try:
            version = Version(text)
        except InvalidVersion:
            continue
        before = found.get(version)
        found[version] = Release(
            version=version,
            source=text in sources or (before is not None and before.source),
            wheels=(*wheels.get(text, ()), *(before.wheels if before is not None else ())),
            requires_python=python,
        )
    return tuple(found[version] for version in sorted(found, reverse=True))
