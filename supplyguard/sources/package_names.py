"""Package names that are not what they seem: a module's name, a look-alike of a well-known one.

Pure functions over everything that was collected. What is installed from an address or a path was
not found by its name, and is left out. Data: rules/formats/import_names.json, and what
look_alikes.py compares with.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any, Final

from supplyguard.finding import Evidence, Fact
from supplyguard.inventory import Dependency, DependencyKind, Location
from supplyguard.resources import rules_folder
from supplyguard.sources.look_alikes import ascii_look, likeness

RELATED: Final = 8
"""Further places of a name that are told."""
KIND: Final = "package-name"


def questionable(dependencies: Sequence[Dependency]) -> Iterator[Evidence]:
    """Yield one Evidence for each name that is odd, at the place where it is declared first."""
    places: dict[str, list[Dependency]] = {}
    for each in dependencies:
        if each.url is None:
            places.setdefault(each.name, []).append(each)
    for name, said in places.items():
        facts = _facts(name, said[0])
        if facts:
            # where a person wrote it comes before where a tool locked it
            said.sort(key=lambda each: each.kind is not DependencyKind.REQUIREMENT)
            yield _evidence(facts, [each.location for each in said])


def disguised(written: str, location: Location) -> Iterator[Evidence]:
    """Yield an Evidence when the name of a requirement has characters that no package name has."""
    facts = _disguise(written)
    if facts:
        yield _evidence(facts, [location])


def _facts(name: str, dependency: Dependency) -> dict[str, Fact]:
    if not name.isascii():
        return _disguise(dependency.raw_name)
    module = _modules().get(name)
    if module is not None:
        return {"name": name, "meant": module["package"], "reason": "module", "holder": module["holder"]}
    found = likeness(name)
    if found is None:
        return {}
    return {"name": name, "meant": found.name, "reason": "look-alike", "trick": found.trick}


def _disguise(written: str) -> dict[str, Fact]:
    """Describe a name with characters of other alphabets, or none that can be seen."""
    foreign = [each for each in dict.fromkeys(written) if not each.isascii()]
    if not foreign:
        return {}
    return {
        "name": written,
        "meant": ascii_look(written),
        "reason": "characters",
        "characters": tuple(f"U+{ord(each):04X}" for each in foreign),
    }


def _evidence(facts: Mapping[str, Fact], places: Sequence[Location]) -> Evidence:
    others = tuple(dict.fromkeys(each for each in places[1:] if each != places[0]))
    return Evidence(
        kind=KIND,
        location=places[0],
        facts=facts,
        symbol=str(facts["name"]),
        related=others[:RELATED],
    )


@cache
def _modules() -> Mapping[str, Any]:
    table: dict[str, Any] = json.loads((rules_folder() / "formats" / "import_names.json").read_bytes())
    names: dict[str, Any] = table["names"]
    return names
