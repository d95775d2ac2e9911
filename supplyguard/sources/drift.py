"""What several statements say together: locks beside declarations, one package in several files.

Pure functions over everything that was collected. Which lock goes with which manifest is data:
rules/formats/locks.json; a lock speaks for the manifests in its own folder.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Final

from supplyguard.finding import Evidence, Fact
from supplyguard.inventory import Dependency, DependencyKind, Location
from supplyguard.resources import rules_folder
from supplyguard.sources import UNPINNED
from supplyguard.sources.requirements import claims as is_requirements

BUILD: Final = "build-system"
"""The group of what builds the project: no lock has it."""
COMPILED: Final = ".in"
"""The ending of the file from which pip-compile and uv write the .txt of the same name."""


@dataclass(frozen=True, slots=True)
class _Lock:
    """What a lock file promises about the manifests beside it."""

    manifests: frozenset[str]
    complete: bool
    groups: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Package:
    """One package and every place that says it, in the order of the places."""

    name: str
    versions: tuple[str, ...]
    direct: bool
    statements: tuple[Dependency, ...]


def packages(dependencies: Iterable[Dependency]) -> tuple[Package, ...]:
    """Join the statements of each package: the same name in several files is one dependency."""
    found: dict[str, list[Dependency]] = {}
    for each in dependencies:
        found.setdefault(each.name, []).append(each)
    return tuple(
        Package(
            name=name,
            versions=tuple(dict.fromkeys(each.version for each in said if each.version is not None)),
            direct=any(each.direct for each in said),
            statements=tuple(said),
        )
        for name, said in sorted(found.items())
    )


def mark_direct(dependencies: Sequence[Dependency]) -> tuple[Dependency, ...]:
    """Say of each locked package whether a manifest beside the lock names it.

    Most locks do not say so themselves.
    """
    declared = {
        (each.location.uri, each.name) for each in dependencies if each.kind is DependencyKind.REQUIREMENT
    }

    def named(each: Dependency) -> bool:
        lock = _lock_of(each)
        folder, _name = _split(each.location.uri)
        return lock is not None and any((folder + name, each.name) in declared for name in lock.manifests)

    return tuple(
        replace(each, direct=True) if not each.direct and named(each) else each for each in dependencies
    )


def compare(dependencies: Sequence[Dependency]) -> Iterator[Evidence]:
    """Yield what does not agree: declarations and locks, and files with and without hashes."""
    yield from _drift(dependencies)
    yield from _unhashed(dependencies)


def unsettled(evidence: Iterable[Evidence], dependencies: Sequence[Dependency]) -> Iterator[Evidence]:
    """Leave out the "dependency-unpinned" of declarations whose version another file settles.

    That is a lock in the same folder, or the compiled file beside a requirements.in.
    """
    settled = {
        (_split(each.location.uri)[0], each.name)
        for each in dependencies
        if each.kind is DependencyKind.LOCKED and (each.version is not None or each.url is not None)
    }
    compiled = {
        (each.location.uri, each.name)
        for each in dependencies
        if each.kind is DependencyKind.REQUIREMENT and each.version is not None
    }
    for each in evidence:
        if each.kind == UNPINNED:
            uri, name = each.location.uri, str(each.facts["name"])
            if (_split(uri)[0], name) in settled:
                continue
            if uri.endswith(COMPILED) and (uri.removesuffix(COMPILED) + ".txt", name) in compiled:
                continue
        yield each


def _drift(dependencies: Sequence[Dependency]) -> Iterator[Evidence]:
    """Hold each declaration against each lock that speaks for its file."""
    locked: dict[str, dict[str, list[Dependency]]] = {}
    constrained: set[tuple[str, str]] = set()
    for each in dependencies:
        if each.kind is DependencyKind.LOCKED:
            locked.setdefault(each.location.uri, {}).setdefault(each.name, []).append(each)
        elif each.kind is DependencyKind.CONSTRAINT:
            constrained.add((each.location.uri, each.name))
    speaking: dict[str, list[tuple[str, _Lock]]] = {}
    for uri in locked:
        folder, name = _split(uri)
        lock = _lock_named(name)
        for manifest in lock.manifests if lock is not None else ():
            speaking.setdefault(folder + manifest, []).append((uri, lock))  # type: ignore[arg-type]
    for each in dependencies:
        if each.kind is not DependencyKind.REQUIREMENT or each.group == BUILD or each.url is not None:
            continue
        if (each.location.uri, each.name) in constrained:
            continue  # an override may choose another version on purpose
        for uri, lock in speaking.get(each.location.uri, ()):
            yield from _compared(each, locked[uri].get(each.name, []), uri, lock)


def _compared(declared: Dependency, found: list[Dependency], uri: str, lock: _Lock) -> Iterator[Evidence]:
    if not found:
        # a marker may exclude every Python that the project takes; then tools leave it out
        expected = lock.complete and declared.marker is None and (lock.groups or declared.group is None)
        if expected:
            place = Location(uri=uri, line=1, column=1)
            yield _evidence(declared, (), "missing", place)
        return
    versions = tuple(dict.fromkeys(each.version for each in found if each.version is not None))
    from_elsewhere = any(each.url is not None for each in found)
    if versions and not from_elsewhere and not any(_satisfies(each, declared.specifier) for each in versions):
        yield _evidence(declared, versions, "version", found[0].location)


def _evidence(declared: Dependency, versions: tuple[str, ...], reason: str, place: Location) -> Evidence:
    facts: dict[str, Fact] = {
        "name": declared.name,
        "specifier": declared.specifier,
        "locked": versions,
        "lock": _split(place.uri)[1],
        "reason": reason,
    }
    return Evidence(
        kind="lock-drift",
        location=declared.location,
        facts=facts,
        symbol=f"{declared.name} {_split(place.uri)[1]}",
        related=(place,),
    )


def _satisfies(version: str, specifier: str) -> bool:
    """Whether a version fits; one that is not PEP 440 is not judged."""
    from packaging.specifiers import (  # noqa: PLC0415 - heavy: few projects have locks
        InvalidSpecifier,
        SpecifierSet,
    )
    from packaging.version import InvalidVersion, Version  # noqa: PLC0415 - heavy: likewise

    try:
        return SpecifierSet(specifier).contains(Version(version), prereleases=True)
    except (InvalidSpecifier, InvalidVersion):
        return True


def _unhashed(dependencies: Sequence[Dependency]) -> Iterator[Evidence]:
    """Name each file that pins without hashes, in a folder where others have them."""
    files: dict[str, list[Dependency]] = {}
    for each in dependencies:
        if each.version is not None and each.url is None and _can_hash(each):
            files.setdefault(each.location.uri, []).append(each)
    covered = {
        (_split(uri)[0], each.name, each.version)
        for uri, said in files.items()
        for each in said
        if each.hashes
    }
    hashed = {_split(uri)[0]: uri for uri, said in files.items() if any(each.hashes for each in said)}
    for uri, said in files.items():
        folder, name = _split(uri)
        # a pin that the lock beside it repeats with hashes is covered by that
        bare = [each for each in said if (folder, each.name, each.version) not in covered]
        example = hashed.get(folder)
        if bare and example is not None:
            facts: dict[str, Fact] = {
                "names": tuple(dict.fromkeys(each.raw_name for each in bare)),
                "count": len(bare),
                "of": len(said),
                "example": _split(example)[1],
            }
            yield Evidence(kind="dependency-unhashed", location=bare[0].location, facts=facts, symbol=name)


def _can_hash(dependency: Dependency) -> bool:
    """Whether the file of a statement has a place for hashes."""
    if dependency.kind is DependencyKind.LOCKED:
        return True
    name = _split(dependency.location.uri)[1]
    return dependency.kind is DependencyKind.REQUIREMENT and is_requirements(name)


def _split(uri: str) -> tuple[str, str]:
    """Give a place's folder, with its "/", and its file name."""
    folder, slash, name = uri.rpartition("/")
    return folder + slash, name


def _lock_of(dependency: Dependency) -> _Lock | None:
    if dependency.kind is not DependencyKind.LOCKED:
        return None
    return _lock_named(_split(dependency.location.uri)[1])


@cache
def _lock_named(name: str) -> _Lock | None:
    return next((lock for pattern, lock in _locks().items() if pattern.fullmatch(name)), None)


@cache
def _locks() -> Mapping[re.Pattern[str], _Lock]:
    table = json.loads((rules_folder() / "formats" / "locks.json").read_bytes())
    return {
        re.compile(re.escape(name).replace(r"\*", r"[^.]+")): _Lock(
            manifests=frozenset(row["manifests"]), complete=row["complete"], groups=row["groups"]
        )
        for name, row in table["locks"].items()
    }
