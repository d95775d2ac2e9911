"""What a package index says of a package: its releases, and what one of them needs.

Formats: the simple API as JSON (PEP 691), and the JSON of one release (docs.pypi.org/api/json),
which holds `info.requires_dist` as its uploader stated it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, urlsplit

from supplyguard import fetch
from supplyguard.errors import FetchError
from supplyguard.limits import MIB

if TYPE_CHECKING:
    from packaging.version import Version

SIMPLE: Final = "/simple"
ACCEPT: Final = "application/vnd.pypi.simple.v1+json"
SECONDS: Final = 20.0
FILES: Final = 50_000
REQUIRES: Final = 500
"""Requirements of one release; far above any real one."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Release:
    """A version that the index has files of. everywhere: one of them is a wheel for any platform."""

    version: Version
    source: bool
    everywhere: bool
    requires_python: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Index:
    """A simple index at an address; seconds: gives what is left of the time."""

    url: str
    seconds: Callable[[], float]

    def releases(self, name: str) -> tuple[Release, ...]:
        """Give all releases of a package that are not yanked, the newest first; raises FetchError."""
        document = self._read(f"{self.url.rstrip('/')}/{quote(name)}/", ACCEPT)
        files = document.get("files")
        if not isinstance(files, list):
            raise FetchError(f"{fetch.shown(self.url)} gave no list of files")
        return _releases(files[:FILES])

    def requires(self, name: str, version: Version) -> tuple[str, ...] | None:
        """Give what a release needs, None when the index does not say; raises FetchError."""
        base = self.url.rstrip("/")
        if not base.endswith(SIMPLE):
            raise FetchError(f"{fetch.shown(self.url)} has no JSON of releases beside it")
        place = f"{base.removesuffix(SIMPLE)}/pypi/{quote(name)}/{quote(str(version))}/json"
        info = self._read(place, "application/json").get("info")
        found = info.get("requires_dist") if isinstance(info, dict) else None
        if not isinstance(found, list):
            return None
        return tuple(each for each in found[:REQUIRES] if isinstance(each, str))

    def _read(self, url: str, accept: str) -> Mapping[str, Any]:
        seconds = max(0.1, min(SECONDS, self.seconds()))
        limits = fetch.Limits(size=32 * MIB, seconds=seconds, timeout=min(10.0, seconds), attempts=2)
        raw = fetch.read(url, limits=limits, accept=accept)
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


def _releases(files: list[Any]) -> tuple[Release, ...]:
    from packaging.utils import (  # noqa: PLC0415 - heavy: only when something is resolved
        InvalidSdistFilename,
        InvalidWheelFilename,
        parse_sdist_filename,
        parse_wheel_filename,
    )

    found: dict[Version, tuple[bool, bool, str]] = {}
    for file in files:
        name = file.get("filename") if isinstance(file, dict) else None
        if not isinstance(name, str) or len(name) > 300 or file.get("yanked") not in {None, False}:
            continue
        everywhere = source = False
        try:
            if name.endswith(".whl"):
                _name, version, _build, tags = parse_wheel_filename(name)
                everywhere = any(each.platform == "any" for each in tags)
            else:
                _name, version = parse_sdist_filename(name)
                source = True
        except (InvalidWheelFilename, InvalidSdistFilename):
            continue
        python = file.get("requires-python")
        before = found.get(version, (False, False, ""))
        said = python if isinstance(python, str) else before[2]
        found[version] = (before[0] or source, before[1] or everywhere, said)
    return tuple(
        Release(version=version, source=found[version][0], everywhere=found[version][1], requires_python=said)
        for version in sorted(found, reverse=True)
        for said in (found[version][2],)
    )
