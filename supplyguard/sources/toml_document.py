"""TOML manifests and locks: bounded reading, and the places of their values."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from typing import Any, Final

from supplyguard.errors import MalformedError
from supplyguard.finding import Evidence, Notification
from supplyguard.inventory import Artifact, Dependency, Location
from supplyguard.limits import Budget
from supplyguard.sources.requirement_lines import Option
from supplyguard.sources.statements import (
    Statement,
    installs,
    option_evidence,
    options_in,
    read_statement,
    unparsed,
)
from supplyguard.sources.toml_positions import KeyPath, Positions, find_positions
from supplyguard.wire.text import Lines, read_bytes

IN_STRING: Final = "dependency-string"
"""Where an option stands that should be a requirement."""

Found = Dependency | Evidence | Notification


def read_toml_text(artifact: Artifact, budget: Budget, limit: int) -> str:
    """Read a TOML file's text, at most `limit` bytes of it; raises MalformedError when not UTF-8."""
    raw = read_bytes(artifact.path, min(limit, budget.limits.document_bytes))
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise MalformedError(f"not UTF-8: {error.reason}", offset=error.start) from error


def parse_toml(text: str) -> dict[str, Any]:
    """Parse TOML that is known not to nest deep; raises MalformedError for what is not TOML."""
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise MalformedError(f"not TOML: {error}") from error


def read_places(uri: str, text: str) -> Places:
    """Find where everything stands in a TOML text; raises MalformedError when it nests too deep."""
    positions = find_positions(text)
    if positions.too_deep:
        raise MalformedError("not read as TOML: nested too deep")
    return Places(uri, text, positions)


class Places:
    """Finds the Location of a value by its path."""

    def __init__(self, uri: str, text: str, positions: Positions) -> None:
        self.uri = uri
        self.lines = Lines(text)
        self.text = text
        self.positions = positions

    def of(self, path: KeyPath, value: str) -> Location:
        """Give the place of a string; of its table or key when the string's own is not known."""
        span = self.positions.strings.get(path)
        if span is not None:
            written = self.text[span.start : span.end]
            if not span.plain:
                return self.lines.location(self.uri, span.start, span.end)
            if written == value or written.replace("\r\n", "\n") == value:
                lead = len(written) - len(written.lstrip())
                end = max(lead, len(written.rstrip()))
                return self.lines.location(self.uri, span.start + lead, span.start + end)
        return self.table(path)

    def key(self, path: KeyPath) -> Location:
        """Give the place of the last key of `path`, without the blanks and quotes around it."""
        span = self.positions.tables.get(path)
        name = str(path[-1])
        if span is not None:
            # in a dotted key or a header the wanted key is the last of them
            at = self.text.rfind(name, span.start, span.end)
            if at >= 0:
                return self.lines.location(self.uri, at, at + len(name))
        return self.table(path)

    def table(self, path: KeyPath) -> Location:
        """Give the place of the nearest key or table header on the way to `path`."""
        while path:
            span = self.positions.tables.get(path)
            if span is not None:
                return self.lines.location(self.uri, span.start, span.end)
            path = path[:-1]
        return Location(uri=self.uri, line=1, column=1, end_line=1, end_column=1)


def listed(
    value: Any, path: KeyPath, places: Places, group: str | None, place: str
) -> Iterator[Statement | Notification]:
    """Find the requirement strings of a list, and say what else is in it."""
    if not isinstance(value, list):
        yield unparsed(str(path[-1]), places.table(path), "expected a list of texts")
        return
    for index, text in enumerate(value):
        here = (*path, index)
        if isinstance(text, str):
            yield Statement(text=text.strip(), location=places.of(here, text), place=place, group=group)
        elif not (place == "group" and isinstance(text, dict) and set(text) == {"include-group"}):
            yield unparsed(str(text)[:80], places.table(here), "expected a text")


def read_entry(statement: Statement) -> Iterator[Found]:
    """Read one requirement; an option in its place is evidence and never a requirement."""
    options = list(options_in(statement.text))
    if not options:
        yield from read_statement(statement)
        return
    for option in options:
        yield _option(option, statement)
    yield unparsed(statement.text, statement.location, "holds an option for an installer")


def _option(option: Option, statement: Statement) -> Evidence:
    evidence = option_evidence(option.name, option.value, statement.location, place=IN_STRING)
    if installs(option.name):
        return Evidence(
            kind=evidence.kind,
            location=evidence.location,
            facts={**evidence.facts, "installs": True},
            symbol=evidence.symbol,
        )
    return evidence


def table_at(document: Mapping[str, Any], path: tuple[str, ...]) -> Mapping[str, Any]:
    """Give the table at `path`, an empty one when there is none."""
    value: Any = document
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    return value if isinstance(value, dict) else {}
