"""Pythons and packages whose support has ended, by the day of the scan.

Sources say which Python a project asks for ("python-asked"); what that means depends on the day, so
it is judged when all files are read. Dates: rules/formats/end_of_life.json. Formats: PEP 440
specifiers; Docker's reference, "FROM"; the tags of the image "python" on Docker Hub.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator
from datetime import date
from functools import cache
from typing import Any, Final

from supplyguard.finding import Evidence, Fact
from supplyguard.inventory import Dependency, Location
from supplyguard.resources import rules_folder
from supplyguard.sources import ASKED

KIND: Final = "end-of-life"
LENGTH: Final = 200
IMAGE: Final = re.compile(
    r"^[ \t]*FROM[ \t]+(?:--\S+[ \t]+)*"
    r"(?P<image>(?:docker\.io/)?(?:library/)?python:(?P<version>\d+\.\d+)[^\s@]*)",
    re.MULTILINE | re.IGNORECASE,
)
RELEASE: Final = re.compile(r"(?P<minor>\d+\.\d+)(?:\.\d+)*")
LAST: Final = 99
"""A patch release later than any; with 0, enough to know whether a specifier takes some of a minor."""


def asked(specifier: str, location: Location, written: str = "") -> Evidence:
    """Say that a project asks for the Pythons of a PEP 440 specifier."""
    facts: dict[str, Fact] = {"specifier": specifier, "written": written or specifier}
    return Evidence(kind=ASKED, location=location, facts=facts, symbol="python")


def asked_exactly(version: str, location: Location) -> Iterator[Evidence]:
    """Say that a project runs on one Python, "3.8" or "3.8.10"; other texts say nothing."""
    match = RELEASE.fullmatch(version.strip())
    if match is not None:
        yield asked(f"=={match['minor']}.*", location, version.strip())


def images(text: str, locate: Callable[[int, int], Location]) -> Iterator[Evidence]:
    """Find the Pythons of a Dockerfile's images. locate: turns offsets in the text into a place."""
    for match in IMAGE.finditer(text):
        yield asked(f"=={match['version']}.*", locate(*match.span("image")), match["image"][:LENGTH])


def ended(evidence: Iterable[Evidence], today: date) -> Iterator[Evidence]:
    """Turn what is asked of Python into what has ended by `today`; other Evidence passes."""
    for each in evidence:
        if each.kind != ASKED:
            yield each
            continue
        taken = _taken(str(each.facts["specifier"]))
        past = [minor for minor in taken if _ended_on(minor) < today]
        if past:
            whole = len(past) == len(taken)
            worst = past[-1] if whole else past[0]
            facts: dict[str, Fact] = {
                "product": "Python",
                "version": worst,
                "written": each.facts["written"],
                "ended": _ended_on(worst).isoformat(),
                "reach": "all" if whole else "some",
            }
            yield Evidence(kind=KIND, location=each.location, facts=facts, symbol=f"python {worst}")


def ended_packages(dependencies: Iterable[Dependency], today: date) -> Iterator[Evidence]:
    """Yield one Evidence for each package and version whose makers have ended their support."""
    seen: set[tuple[str, str | None]] = set()
    for each in dependencies:
        row = _table()["packages"].get(each.name)
        if row is None or (each.name, each.version) in seen or date.fromisoformat(row["ended"]) >= today:
            continue
        if row["below"] is not None and not _is_below(each.version, row["below"]):
            continue
        seen.add((each.name, each.version))
        facts: dict[str, Fact] = {
            "product": each.name,
            "version": each.version or "any version",
            "ended": row["ended"],
            "said": row["said"],
            "reach": "package",
        }
        yield Evidence(kind=KIND, location=each.location, facts=facts, symbol=each.name)


def _taken(specifier: str) -> list[str]:
    """Give the known minors that a specifier takes, in order, and "later" when it takes later ones."""
    from packaging.specifiers import (  # noqa: PLC0415 - heavy: few files ask for a Python
        InvalidSpecifier,
        SpecifierSet,
    )

    if len(specifier) > LENGTH:
        return []
    try:
        wanted = SpecifierSet(specifier)
    except InvalidSpecifier:
        return []
    if not specifier.strip():
        return []
    said = [match[0] for match in RELEASE.finditer(specifier)]

    def takes(minor: str) -> bool:
        own = [each for each in said if each == minor or each.startswith(f"{minor}.")]
        return any(wanted.contains(each) for each in [f"{minor}.0", f"{minor}.{LAST}", *own])

    known = [minor for minor in _table()["python"] if takes(minor)]
    later = "later" if wanted.contains(f"3.{LAST}") or wanted.contains(f"{LAST}.0") else None
    return [*known, later] if later is not None else known


def _ended_on(minor: str) -> date:
    text = _table()["python"].get(minor)
    return date.fromisoformat(text) if text is not None else date.max


def _is_below(version: str | None, bound: str) -> bool:
    """Whether an exact version is before another; one that is not known is not."""
    from packaging.version import InvalidVersion, Version  # noqa: PLC0415 - heavy: few packages have a date

    if version is None:
        return False
    try:
        return Version(version).release < Version(bound).release  # a pre-release is of the new line
    except InvalidVersion:
        return False


@cache
def _table() -> Any:
    return json.loads((rules_folder() / "formats" / "end_of_life.json").read_bytes())
