"""A distribution's own metadata: METADATA and PKG-INFO files.

Format: packaging.python.org, "Core metadata specifications" (headers as in e-mail; Name, Version,
Requires-Dist), PEP 376 (REQUESTED) and PEP 610 (direct_url.json).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

from supplyguard.aspect import Aspect
from supplyguard.finding import Evidence
from supplyguard.inventory import Artifact, Dependency, DependencyKind, Location
from supplyguard.limits import MIB, Budget, Resource
from supplyguard.sources.statements import Statement, read_statement, unparsed
from supplyguard.sources.toml_document import Found
from supplyguard.wire.text import LINE_END, read_bytes

NAME: Final = "core_metadata"
ASPECT: Final = Aspect.DEPENDENCIES
FILE_SIZE: Final = 4 * MIB
HEADER: Final = re.compile(r"(?P<name>[A-Za-z0-9-]+):[ \t]*(?P<value>.*)")
EXTRA: Final = re.compile(r"""\bextra\s*==\s*["']([^"']+)["']""")
PLACE: Final = "metadata"
FOLDERS: Final = (".dist-info", ".egg-info")


@dataclass(frozen=True, slots=True)
class _Header:
    """One header; offset: characters of the line before its value."""

    name: str
    value: str
    line: int
    offset: int


def claims(name: str) -> bool:
    """Whether a file has the name of metadata."""
    return name in {"METADATA", "PKG-INFO"}


def collect(artifact: Artifact, budget: Budget) -> Iterator[Found]:
    """Yield an installed distribution and what it requires, when the file lies where installers put it."""
    folder = artifact.path.parent
    if not folder.name.endswith(FOLDERS):
        return
    raw = read_bytes(artifact.path, min(FILE_SIZE, budget.limits.document_bytes))
    requested = (folder / "REQUESTED").exists()
    place = Location(uri=artifact.uri)
    yield from read_metadata(raw, place, budget, kind=DependencyKind.INSTALLED, direct=requested)


def read_metadata(
    raw: bytes, place: Location, budget: Budget, *, kind: DependencyKind, direct: bool
) -> Iterator[Found]:
    """Yield the distribution that a metadata text describes, and what it requires.

    place: the file or member; lines are set in it. What it requires is not direct, and its ranges
    are no fault of the project: nothing is said of them.
    """
    from packaging.utils import canonicalize_name  # noqa: PLC0415 - heavy: few projects hold packages

    headers = list(_headers(raw.decode("utf-8", "replace")))
    names = [each for each in headers if each.name == "name" and each.value]
    if not names:
        yield unparsed("", replace(place, line=1, column=1), "metadata without a name")
        return
    version = next((each.value for each in headers if each.name == "version"), None)
    yield Dependency(
        name=canonicalize_name(names[0].value),
        raw_name=names[0].value,
        location=_at(names[0], place),
        version=version,
        specifier=f"=={version}" if version is not None else "",
        kind=kind,
        direct=direct,
    )
    for header in headers:
        if header.name != "requires-dist":
            continue
        budget.spend(Resource.NODES)
        extra = EXTRA.search(header.value)
        group = extra[1] if extra is not None else None
        statement = Statement(
            text=header.value.strip(), location=_at(header, place), place=PLACE, group=group
        )
        for item in read_statement(statement):
            if isinstance(item, Dependency):
                yield replace(item, direct=False)
            elif not (isinstance(item, Evidence) and item.kind == "dependency-unpinned"):
                yield item


def _headers(text: str) -> Iterator[_Header]:
    """Read headers up to the first empty line; a line that starts with a blank goes on."""
    held: _Header | None = None
    for number, line in enumerate(LINE_END.split(text), 1):
        if not line.strip():
            break
        if line[0] in " \t":
            if held is not None:
                held = replace(held, value=f"{held.value} {line.strip()}")
            continue
        if held is not None:
            yield held
        match = HEADER.fullmatch(line)
        held = None
        if match is not None:
            held = _Header(match["name"].lower(), match["value"].strip(), number, match.start("value"))
    if held is not None:
        yield held


def _at(header: _Header, place: Location) -> Location:
    end = header.offset + len(header.value) + 1
    return replace(place, line=header.line, column=header.offset + 1, end_line=header.line, end_column=end)
