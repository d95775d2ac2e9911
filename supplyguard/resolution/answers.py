"""What uv's answer means: versions of the declared packages, and the packages that come with them.

Format: the output of `uv pip compile --annotation-style line`: "name==version  # via name, name".
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from supplyguard.finding import Evidence
from supplyguard.inventory import Dependency, DependencyKind, Location

LINE: Final = re.compile(
    r"(?P<name>[A-Za-z0-9][A-Za-z0-9._-]*)==(?P<version>[A-Za-z0-9.!+_-]+)(?:\s+# via (?P<via>.*))?"
)
UNUSABLE: Final = re.compile(
    r"(?<![\w.<>=,!~-])([A-Za-z0-9][A-Za-z0-9._-]*)(?:[<>=!~]\S*)? has no (?:usable )?wheels"
)
REQUIRED: Final = re.compile(r"Wheels are required for `([A-Za-z0-9][A-Za-z0-9._-]*)`")
REASON: Final = 400
PACKAGES: Final = 5_000


@dataclass(frozen=True, kw_only=True, slots=True)
class Package:
    """One line of the answer: a package, its version, and the packages that need it."""

    name: str
    version: str
    parents: tuple[str, ...]


def read_answer(output: str) -> dict[str, Package]:
    """Read uv's answer, by normalised name; other lines are left out."""
    found: dict[str, Package] = {}
    for line in output.splitlines()[:PACKAGES]:
        match = LINE.fullmatch(line.strip())
        if match is not None:
            name = normal(match["name"])
            parents = tuple(normal(each) for each in (match["via"] or "").split(", ") if each)
            found[name] = Package(name=name, version=match["version"], parents=parents)
    return found


def normal(name: str) -> str:
    """Give a package's normalised name (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def wheelless(errors: str) -> tuple[str, ...]:
    """Give the packages that uv says have no wheel that it can use."""
    joined = " ".join(errors.split())
    return tuple(dict.fromkeys(normal(each) for each in UNUSABLE.findall(joined) + REQUIRED.findall(joined)))


def reason_of(errors: str) -> str:
    """Give why there is no solution, in one line."""
    lines = [line.strip() for line in errors.splitlines() if line.strip()]
    told = [line for line in lines if not line.startswith(("warning:", "hint:", "Resolved "))]
    text = " ".join(told).removeprefix("error: ")
    return text[:REASON] or "uv gave no reason"


def resolved(declared: Sequence[Dependency], packages: Mapping[str, Package]) -> Iterator[Dependency]:
    """Yield the declared packages with their versions, then what comes with them, each once.

    A package that several declarations bring stands at the one that is nearest to it.
    """
    children: dict[str, list[str]] = {}
    for package in packages.values():
        for parent in package.parents:
            children.setdefault(parent, []).append(package.name)
    seen: set[str] = set()
    work: deque[tuple[str, Dependency, tuple[str, ...]]] = deque()
    for each in declared:
        if each.name in packages:
            yield replace(each, version=packages[each.name].version, kind=DependencyKind.RESOLVED)
            if each.name not in seen:
                work.append((each.name, each, ()))
            seen.add(each.name)
    while work:
        name, root, way = work.popleft()
        for child in children.get(name, ()):
            if child not in seen:
                seen.add(child)
                yield _coming(packages[child], root, (*way, name))
                work.append((child, root, (*way, name)))


def _coming(package: Package, root: Dependency, via: tuple[str, ...]) -> Dependency:
    return Dependency(
        name=package.name,
        raw_name=package.name,
        location=root.location,
        version=package.version,
        group=root.group,
        direct=False,
        kind=DependencyKind.RESOLVED,
        via=via,
    )


def told(evidence: Iterable[Evidence], dependencies: Iterable[Dependency]) -> Iterator[Evidence]:
    """Say in the advisories of resolved packages how they come in; other Evidence passes through."""
    known: dict[tuple[Location, str, str | None], Dependency] = {
        (each.location, each.name, each.version): each
        for each in dependencies
        if each.kind is DependencyKind.RESOLVED
    }
    for each in evidence:
        facts = each.facts
        name, version = str(facts.get("package")), str(facts.get("version"))
        dependency = known.get((each.location, name, version)) if known else None
        if dependency is None or "remedy" not in facts:
            yield each
            continue
        way = f"it comes via {' > '.join(dependency.via)}" if dependency.via else "an install takes it today"
        yield replace(each, facts={**facts, "remedy": f"{facts['remedy']} ({way})", "via": dependency.via})
