"""YAML as events with bounds: values with the keys that lead to them, tags, and aliases that multiply.

Nothing is composed or constructed. Format: YAML 1.1 as PyYAML's pure reader takes it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import yaml

from supplyguard.errors import BudgetExceededError, MalformedError
from supplyguard.inventory import Location, Member
from supplyguard.limits import Budget, Resource

MOST_EXPANDED: Final = 1_000_000
"""Nodes that a document may stand for once its aliases are followed."""
MOST_KEYS: Final = 200
"""Scalars of one mapping that are remembered until its end."""
_SHOWN: Final = 200
_MERGE: Final = "<<"


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """Where a node is: lines and columns counted from 1, the end exclusive."""

    line: int
    column: int
    end_line: int
    end_column: int

    def within(self, member: Member) -> Location:
        """Make the Location in `member`."""
        return Location(
            uri=member.artifact.uri,
            member=member.path,
            line=self.line,
            column=self.column,
            end_line=self.end_line,
            end_column=self.end_column,
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Seen:
    """One thing in a document.

    what: "scalar" (a value), "tag", "mapping" (at its end), "repeated" (a key that its mapping had
        before) or "expansion" (aliases stand for more than MOST_EXPANDED nodes, told once).
    keys: the keys that lead to it; a list's entries have the list's keys.
    text: the value, tag, repeated key or number of nodes. scalars: of a mapping, by key.
    """

    what: str
    place: Place
    keys: tuple[str, ...] = ()
    text: str = ""
    scalars: Mapping[str, str] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """The innermost key, "" where there is none."""
        return self.keys[-1] if self.keys else ""


def walk_yaml(raw: bytes, budget: Budget) -> Iterator[Seen]:
    """Yield what is in a document, in order; raises MalformedError where the text stops being YAML."""
    walk = _Walk()
    try:
        for event in yaml.parse(raw, Loader=yaml.SafeLoader):
            budget.spend(Resource.NODES)
            budget.check_time()
            yield from walk.take(event)
            if len(walk.open) > budget.limits.document_depth:
                raise BudgetExceededError("document_depth", budget.limits.document_depth)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise MalformedError(f"not YAML: {str(error)[:_SHOWN]}") from error


class _Open:
    """A collection that is being read. key: the one whose value comes next, in a mapping."""

    __slots__ = ("anchor", "is_mapping", "key", "keys", "known", "scalars", "size")

    def __init__(self, anchor: str | None, keys: tuple[str, ...], *, is_mapping: bool) -> None:
        self.anchor = anchor
        self.is_mapping = is_mapping
        self.key: str | None = None
        self.keys = keys
        self.known: set[str] = set()
        self.scalars: dict[str, str] = {}
        self.size = 1


class _Walk:
    """What is open while events go by."""

    def __init__(self) -> None:
        self._sizes: dict[str, int] = {}
        self._told = False
        self.open: list[_Open] = []

    def take(self, event: Any) -> Iterator[Seen]:
        """Look at one event."""
        tag = getattr(event, "tag", None)
        if isinstance(tag, str):
            yield Seen(what="tag", place=_place(event), keys=self._keys(), text=tag)
        if isinstance(event, yaml.ScalarEvent):
            yield from self._scalar(event)
            yield from self._node(event.value, 1, event.anchor, event)
        elif isinstance(event, yaml.AliasEvent):
            yield from self._node("", self._sizes.get(event.anchor or "", 1), None, event)
        elif isinstance(event, yaml.CollectionStartEvent):
            mapping = isinstance(event, yaml.MappingStartEvent)
            self.open.append(_Open(event.anchor, self._keys(), is_mapping=mapping))
        elif isinstance(event, yaml.CollectionEndEvent):
            done = self.open.pop()
            if done.is_mapping:
                yield Seen(what="mapping", place=_place(event), keys=done.keys, scalars=done.scalars)
            yield from self._node("", done.size, done.anchor, event)

    def _keys(self) -> tuple[str, ...]:
        if not self.open:
            return ()
        top = self.open[-1]
        return (*top.keys, top.key) if top.is_mapping and top.key is not None else top.keys

    def _scalar(self, event: Any) -> Iterator[Seen]:
        top = self.open[-1] if self.open else None
        if top is None or not top.is_mapping or top.key is not None:
            yield Seen(what="scalar", place=_place(event), keys=self._keys(), text=event.value)
            if top is not None and top.key is not None and len(top.scalars) < MOST_KEYS:
                top.scalars[top.key] = event.value
        elif event.value in top.known and event.value != _MERGE:
            yield Seen(what="repeated", place=_place(event), keys=top.keys, text=event.value)
        else:
            top.known.add(event.value)

    def _node(self, text: str, size: int, anchor: str | None, event: Any) -> Iterator[Seen]:
        """Count a whole node into what holds it, and turn from key to value and back."""
        if anchor is not None:
            self._sizes[anchor] = size
        if size > MOST_EXPANDED and not self._told:
            self._told = True
            yield Seen(what="expansion", place=_place(event), text=str(min(size, 1 << 62)))
        if self.open:
            top = self.open[-1]
            top.size += size
            if top.is_mapping:
                top.key = text if top.key is None else None


def _place(event: Any) -> Place:
    mark, end = event.start_mark, event.end_mark
    return Place(line=mark.line + 1, column=mark.column + 1, end_line=end.line + 1, end_column=end.column + 1)
