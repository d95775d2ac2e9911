"""Dependencies that a single Python file says in a comment block (PEP 723)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

from supplyguard.aspect import Aspect
from supplyguard.code.syntax import FILE_SIZE
from supplyguard.errors import MalformedError
from supplyguard.finding import Notification
from supplyguard.inventory import Artifact, Location
from supplyguard.limits import Budget, Resource
from supplyguard.sources.pyproject_tools import own_statements
from supplyguard.sources.toml_document import Found, listed, parse_toml, read_entry, read_places
from supplyguard.wire.text import decode, read_bytes

NAME: Final = "scripts"
ASPECT: Final = Aspect.DEPENDENCIES
START: Final = "# /// script"
END: Final = "# ///"
PLACE: Final = "script"
MARK: Final = re.compile(rb"^# /// script[ \t]*\r?$", re.MULTILINE)


def claims(name: str) -> bool:
    """Whether a file is Python by its ending."""
    return name.endswith((".py", ".pyw"))


@dataclass(frozen=True, slots=True)
class _Block:
    """The TOML of a block; line: that of its first line in the file; shifts: columns left out of each."""

    text: str
    line: int
    shifts: tuple[int, ...]

    def moved(self, place: Location) -> Location:
        """Turn a place in the block into the place in the file."""
        if place.line is None or place.column is None:
            return place
        end_line = place.end_line or place.line
        return replace(
            place,
            line=place.line + self.line - 1,
            column=place.column + self._shift(place.line),
            end_line=end_line + self.line - 1,
            end_column=(place.end_column or place.column) + self._shift(end_line),
        )

    def _shift(self, line: int) -> int:
        return self.shifts[line - 1] if line <= len(self.shifts) else 0


def collect(artifact: Artifact, budget: Budget) -> Iterator[Found]:
    """Yield the dependencies of a file's script block; raises MalformedError when it is not TOML."""
    raw = read_bytes(artifact.path, min(FILE_SIZE, budget.limits.document_bytes))
    if MARK.search(raw) is None:
        return
    blocks = list(_blocks(decode(raw)[0].splitlines()))
    if len(blocks) > 1:
        raise MalformedError("more than one script block, which PEP 723 forbids")
    for block in blocks:
        places = read_places(artifact.uri, block.text)
        document = parse_toml(block.text)
        for entry in listed(document.get("dependencies", []), ("dependencies",), places, None, PLACE):
            budget.spend(Resource.NODES)
            for item in [entry] if isinstance(entry, Notification) else read_entry(entry):
                yield _moved(item, block)
        for item in own_statements(document, places):
            yield _moved(item, block)


def _moved(item: Found, block: _Block) -> Found:
    if item.location is None:
        return item
    return replace(item, location=block.moved(item.location))


def _blocks(lines: list[str]) -> Iterator[_Block]:
    """Find the blocks: from the start line over comments to the last end line among them."""
    at = 0
    while at < len(lines):
        if lines[at].rstrip() != START:
            at += 1
            continue
        stop = at + 1
        while stop < len(lines) and (lines[stop] == "#" or lines[stop].startswith("# ")):
            stop += 1
        ends = [number for number in range(at + 1, stop) if lines[number].rstrip() == END]
        if ends:
            body = lines[at + 1 : ends[-1]]
            shifts = tuple(2 if line.startswith("# ") else 1 for line in body)
            text = "\n".join(line[shift:] for line, shift in zip(body, shifts, strict=True))
            yield _Block(f"{text}\n", at + 2, shifts)
        at = stop
