"""setup.cfg: what setuptools takes from it.

Format: setuptools' documentation, "Configuring setuptools using setup.cfg files"; lines as Python's
configparser reads them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from supplyguard.aspect import Aspect
from supplyguard.inventory import Artifact
from supplyguard.limits import MIB, Budget, Resource
from supplyguard.sources.end_of_life import asked
from supplyguard.sources.requirements import include
from supplyguard.sources.statements import Statement
from supplyguard.sources.toml_document import Found, read_entry
from supplyguard.wire.text import LINE_END, Lines, decode, read_bytes

NAME: Final = "setup_cfg"
ASPECT: Final = Aspect.DEPENDENCIES
FILE_SIZE: Final = 4 * MIB
SECTION: Final = re.compile(r"\[(?P<name>[^\]]+)\]")
KEY: Final = re.compile(r"(?P<key>[^\s=:][^=:]*?)\s*[=:]\s*")
KEYS: Final[dict[str, tuple[str | None, str]]] = {
    "install_requires": (None, "project"),
    "setup_requires": ("build-system", "build-system"),
    "tests_require": ("test", "project"),
}
"""Keys of [options] with the group and the place that their requirements get."""
EXTRAS: Final = "options.extras_require"
FILE: Final = "file:"


def claims(name: str) -> bool:
    """Whether a file is called setup.cfg."""
    return name == "setup.cfg"


@dataclass(frozen=True, slots=True)
class _Line:
    """One line of a value, with its offset in the file. own: it is the key's own line."""

    section: str
    key: str
    text: str
    start: int
    own: bool


def collect(artifact: Artifact, budget: Budget) -> Iterator[Found]:
    """Yield the requirements in the options that list them, and in the files that these name."""
    raw = read_bytes(artifact.path, min(FILE_SIZE, budget.limits.document_bytes))
    text = decode(raw)[0]
    lines = Lines(text)
    for line in _value_lines(text):
        if line.section == "options" and line.key == "python_requires":
            place_of = lines.location(artifact.uri, line.start, line.start + len(line.text))
            yield asked(line.text.strip(), place_of)
            continue
        if line.section == "options" and line.key in KEYS:
            group, place = KEYS[line.key]
        elif line.section == EXTRAS:
            group, place = line.key, "project"
        else:
            continue
        budget.spend(Resource.NODES)
        budget.check_time()
        for start, end in _parts(line):
            said = text[start:end]
            location = lines.location(artifact.uri, start, end)
            if said.startswith(FILE):
                for name in said.removeprefix(FILE).split(","):
                    yield from include(name.strip(), artifact, location, budget)
                break
            yield from read_entry(Statement(text=said, location=location, place=place, group=group))


def _value_lines(text: str) -> Iterator[_Line]:
    """Yield the lines of every value; a line that is indented more than its key goes on."""
    section = key = ""
    indent = start = 0
    ends = [match.span() for match in LINE_END.finditer(text)]
    for stop, following in [*ends, (len(text), len(text))]:
        line = text[start:stop]
        lead = len(line) - len(line.lstrip())
        at, start = start + lead, following
        said = line.strip()
        if not said or said[0] in "#;":
            continue
        header = SECTION.match(said)
        if key and lead > indent:
            yield _Line(section, key, said, at, own=False)
        elif header is not None:
            section, key = header["name"], ""
        else:
            match = KEY.match(said)
            indent, key = lead, ""
            if match is not None:
                key = match["key"] if section == EXTRAS else match["key"].lower()
                yield _Line(section, key, said[match.end() :], at + match.end(), own=True)


def _parts(line: _Line) -> Iterator[tuple[int, int]]:
    """Give the requirements of a line; on the key's own line, ";" is between them."""
    start = line.start
    for part in line.text.split(";") if line.own else [line.text]:
        if part.strip():
            lead = len(part) - len(part.lstrip())
            yield start + lead, start + len(part.rstrip())
        start += len(part) + 1
