"""YAML manifests: bounded reading from the parser's events, each text with its place.

The events say where each scalar stands, carry out no tag and resolve no alias; texts are kept as
written ("1.10" stays "1.10").
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from supplyguard.errors import MalformedError
from supplyguard.inventory import Artifact, Location
from supplyguard.limits import Budget, Resource
from supplyguard.wire.text import decode, read_bytes

TIME_STEP: Final = 4096


class _Mark(Protocol):
    line: int
    column: int


@dataclass(frozen=True, slots=True)
class Text:
    """A scalar as written. plain: its characters stand in the file as they are, on one line."""

    value: str
    line: int
    column: int
    end_line: int
    end_column: int
    plain: bool

    def location(self, uri: str, start: int = 0, end: int | None = None) -> Location:
        """Give the place of the characters from `start` to `end`; of the whole when they are not plain."""
        if not self.plain:
            start, end = 0, None
        stop = self.end_column if end is None else self.column + end
        return Location(
            uri=uri, line=self.line, column=self.column + start, end_line=self.end_line, end_column=stop
        )


@dataclass(slots=True)
class Sequence:
    """A list of nodes."""

    items: list[Node] = field(default_factory=list)


@dataclass(slots=True)
class Mapping:
    """A mapping with texts as keys, in the order of the file."""

    items: list[tuple[Text, Node]] = field(default_factory=list)

    def get(self, key: str) -> Node | None:
        """Give a key's value; of repeated keys the last, as YAML readers do."""
        return next((value for text, value in reversed(self.items) if text.value == key), None)


Node = Text | Sequence | Mapping | None
"""None: an alias, which is not followed."""


def read_yaml(artifact: Artifact, budget: Budget, limit: int) -> Node:
    """Read a file's first document; raises MalformedError for what is not YAML."""
    raw = read_bytes(artifact.path, min(limit, budget.limits.document_bytes))
    return parse_yaml(decode(raw)[0], budget)


def parse_yaml(text: str, budget: Budget) -> Node:
    """Build the first document of a text from its events, without recursion."""
    import yaml  # noqa: PLC0415 - heavy: many scans see no YAML

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    builder = _Builder(budget)
    try:
        for number, event in enumerate(yaml.parse(text, Loader=loader)):
            if number % TIME_STEP == 0:
                budget.check_time()
            if isinstance(event, yaml.DocumentEndEvent):
                break
            builder.take(event, type(event).__name__)
    except (yaml.YAMLError, ValueError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}" if mark is not None else ""
        reason = getattr(error, "problem", None) or str(error).splitlines()[0]
        raise MalformedError(f"not YAML: {reason}{where}") from error
    return builder.root


class _Builder:
    """Puts each event's node into the innermost open collection."""

    def __init__(self, budget: Budget) -> None:
        self.budget = budget
        self.root: Node = None
        self.open: list[tuple[Sequence | Mapping, list[Node]]] = []

    def take(self, event: Any, kind: str) -> None:
        if kind == "ScalarEvent":
            self._add(_text(event))
        elif kind == "AliasEvent":
            self._add(None)
        elif kind in {"SequenceStartEvent", "MappingStartEvent"}:
            if len(self.open) >= self.budget.limits.document_depth:
                raise MalformedError("not read as YAML: nested too deep")
            node = Sequence() if kind == "SequenceStartEvent" else Mapping()
            self._add(node)
            self.open.append((node, []))
        elif kind in {"SequenceEndEvent", "MappingEndEvent"}:
            self.open.pop()

    def _add(self, node: Node) -> None:
        self.budget.spend(Resource.NODES)
        if not self.open:
            self.root = node
            return
        parent, key = self.open[-1]
        if isinstance(parent, Sequence):
            parent.items.append(node)
        elif not key:
            key.append(node)
        else:
            name = key.pop()
            if isinstance(name, Text):  # a collection as a key is nothing that is read here
                parent.items.append((name, node))


def _text(event: Any) -> Text:
    start: _Mark = event.start_mark
    end: _Mark = event.end_mark
    quote = 1 if event.style in {"'", '"'} else 0
    width = end.column - start.column - 2 * quote
    one_line = start.line == end.line and width == len(event.value)
    return Text(
        value=event.value,
        line=start.line + 1,
        column=start.column + 1 + quote,
        end_line=end.line + 1,
        end_column=end.column + 1 - quote,
        plain=one_line,
    )


def texts_of(node: Node) -> Iterator[Text]:
    """Yield the texts of a list."""
    if isinstance(node, Sequence):
        yield from (each for each in node.items if isinstance(each, Text))


def value_of(node: Node, key: str) -> str | None:
    """Give the text that a mapping has under `key`."""
    value = node.get(key) if isinstance(node, Mapping) else None
    return value.value if isinstance(value, Text) else None
