"""From the advisories of a report to what is done about each statement: an edit, or words."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, Final

from supplyguard.finding import Finding, Report
from supplyguard.inventory import Dependency, DependencyKind, Location
from supplyguard.resources import format_data

KIND: Final = "dependency-advisory"
ROUNDS: Final = 4
SOURCE: Final = ".in"

Upgrade = Callable[[Sequence[Dependency]], Mapping[Dependency, str | None]]
"""Give, for those dependencies that have known problems, the version that clears all; None: there is none."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Edit:
    """Raise one pin: the statement as it was read, and the new version."""

    dependency: Dependency
    version: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Manual:
    """What is left to people: the statement, and what to do."""

    dependency: Dependency
    advice: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """What to do about every statement with known problems."""

    edits: tuple[Edit, ...]
    manual: tuple[Manual, ...]


def make_plan(report: Report, upgrade: Upgrade) -> Plan:
    """Decide for every statement of a report that has known problems.

    Accepted findings count too: a pin that is raised is raised past everything known.
    """
    statements: dict[tuple[Location, str], Dependency] = {
        (audit.dependency.location, audit.dependency.name): audit.dependency for audit in report.audits
    }
    wanted: dict[Dependency, str | None] = {}
    malicious: set[Dependency] = set()
    remedies: dict[Dependency, str] = {}
    for finding in advisories(report):
        dependency = statements.get((finding.location, str(finding.facts["package"])))
        if dependency is None:
            continue
        if finding.facts["malicious"] is True:
            malicious.add(dependency)
        wanted[dependency] = version_of(str(finding.facts["upgrade_all"]))
        if version_of(str(finding.facts["upgrade"])) is not None:
            remedies[dependency] = f"; {finding.facts['remedy']}"
    _settle(wanted, malicious, upgrade)
    edits: list[Edit] = []
    manual: list[Manual] = []
    for dependency, version in wanted.items():
        advice = "remove it: it is known to be malicious" if dependency in malicious else None
        if advice is None and version is not None:
            advice = _advice(dependency, version, statements.values(), wanted)
        if version is None and dependency not in malicious:
            advice = f"no version is known that clears every advisory{remedies.get(dependency, '')}"
        if advice is not None:
            manual.append(Manual(dependency=dependency, advice=advice))
        elif version is not None:
            edits.append(Edit(dependency=dependency, version=version))
    return Plan(edits=tuple(edits), manual=tuple(manual))


def advisories(report: Report) -> Iterator[Finding]:
    """Give the findings that are known problems of a dependency, each once."""
    seen: set[str] = set()
    for finding in (*report.findings, *report.suppressed):
        if finding.rule.kind == KIND and finding.fingerprint not in seen:
            seen.add(finding.fingerprint)
            yield finding


def version_of(text: str) -> str | None:
    """Give a version that an advisory names, None for words such as "no fixed version known"."""
    return text if re.fullmatch(r"[A-Za-z0-9.!+_-]{1,100}", text) else None


def _settle(wanted: dict[Dependency, str | None], malicious: set[Dependency], upgrade: Upgrade) -> None:
    """Ask about the new versions too, until none has a known problem of its own."""
    for _ in range(ROUNDS):
        raised = {
            replace(each, version=version): each
            for each, version in wanted.items()
            if version is not None and each not in malicious
        }
        again = upgrade(tuple(raised))
        if not again:
            return
        for each, version in again.items():
            wanted[raised[each]] = version
    for each in again:
        wanted[raised[each]] = None


def _advice(
    dependency: Dependency,
    version: str,
    statements: Iterable[Dependency],
    wanted: Mapping[Dependency, str | None],
) -> str | None:
    """Say what people have to do, None when the pin can be raised here."""
    folder, _slash, file = dependency.location.uri.rpartition("/")
    words = {
        "name": shlex.quote(dependency.name),
        "version": shlex.quote(version),
        "file": shlex.quote(file),
        "source": shlex.quote(_source(file)),
    }
    data = _data()
    where = f" (in {folder})" if folder else ""
    kind = dependency.kind
    if kind is DependencyKind.RESOLVED:
        return f"require {dependency.name}>={version}"
    if kind is DependencyKind.INSTALLED:
        return f"run: {data['installed'].format_map(words)}"
    if dependency.url is not None:
        return f"it comes from an address: take version {version} by hand"
    for pattern, command in data["commands"].items():
        if re.fullmatch(pattern, file):
            return f"run: {command.format_map(words)}{where}" if command else f"raise it to {version} by hand"
    if not any(re.fullmatch(pattern, file, re.IGNORECASE) for pattern in data["pins"]):
        return f"raise it to {version} by hand"
    if dependency.hashes:
        return f"its hashes change with the version; run: {data['hashed'].format_map(words)}{where}"
    if dependency.version is not None and "+" in dependency.version:
        return f"a local build: choose the build of {version} that fits"
    return _contradiction(dependency, version, statements, wanted)


def _contradiction(
    dependency: Dependency,
    version: str,
    statements: Iterable[Dependency],
    wanted: Mapping[Dependency, str | None],
) -> str | None:
    """Name what excludes the new version: the statement's own bounds, or others in its folder."""
    folder = dependency.location.uri.rpartition("/")[0]
    own = ",".join(part for part in dependency.specifier.split(",") if not part.startswith("=="))
    if not _allows(own, version):
        return f"raise it to {version} by hand: {own} excludes that version"
    for each in statements:
        near = each.name == dependency.name and each.location.uri.rpartition("/")[0] == folder
        said = each.kind in {DependencyKind.REQUIREMENT, DependencyKind.CONSTRAINT} and each is not dependency
        if near and said and wanted.get(each) != version and not _allows(each.specifier, version):
            return f"raise it to {version} by hand: {each.location} has {each.specifier}"
    return None


def _allows(specifier: str, version: str) -> bool:
    from packaging.specifiers import (  # noqa: PLC0415 - heavy: only when there is something to mend
        InvalidSpecifier,
        SpecifierSet,
    )
    from packaging.version import InvalidVersion, Version  # noqa: PLC0415 - heavy: likewise

    try:
        return SpecifierSet(specifier).contains(Version(version), prereleases=True)
    except (InvalidSpecifier, InvalidVersion):
        return False


def _source(file: str) -> str:
    """Name the file that a compiled one is made from, by its name."""
    return f"{file.rpartition('.')[0]}{SOURCE}" if file.endswith(".txt") else file


@cache
def _data() -> Mapping[str, Any]:
    data: Mapping[str, Any] = format_data("repairs")
    return data
