"""YAML: language tags, callables that configurations name, MLflow's loaders, and aliases that explode.

Only PyYAML's events are read; nothing is composed or constructed. Formats: YAML 1.1, PyYAML's
constructor.py (python/* tags), HyperPyYAML, Hydra's instantiate, MLflow's MLmodel.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing
from typing import Any, Final

import yaml

from supplyguard.errors import BudgetExceededError, MalformedError
from supplyguard.finding import Evidence, Fact, Level, Notification
from supplyguard.inventory import Location, Member, Probe
from supplyguard.limits import MIB, Budget, Resource
from supplyguard.pickles.knowledge import DANGEROUS, current_knowledge
from supplyguard.resources import format_data

FORMAT: Final = "yaml_document"

LARGEST: Final = 8 * MIB
MOST_EXPANDED: Final = 1_000_000
"""Nodes that a document may stand for once its aliases are followed."""
MLMODEL: Final = "mlmodel"
_SHOWN: Final = 200
_DOTTED: Final = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)+")


def recognizes(probe: Probe) -> bool:
    """Whether YAML by its name has a word that matters here; a long one may have it further on."""
    name = probe.name.rpartition("/")[2].lower()
    if not name.endswith((".yaml", ".yml")) and name != MLMODEL:
        return False
    if (probe.size or 0) > len(probe.head):
        return True
    return _matters(probe.head)


def _matters(raw: bytes) -> bool:
    """Whether a word that matters is there, or an encoding or escape that could hide one."""
    marks = format_data(FORMAT)["marks"]
    return raw[:2] in (b"\xff\xfe", b"\xfe\xff") or any(mark.encode() in raw for mark in marks)


def inspect(member: Member, budget: Budget) -> Iterator[Evidence | Notification]:
    """Yield tags and targets in order; raises MalformedError where the text stops being YAML."""
    with closing(member.open()) as stream:
        raw = stream.read(LARGEST + 1)
    if not _matters(raw):
        return
    if len(raw) > LARGEST:
        raise BudgetExceededError("document_bytes", LARGEST)
    walk = _Walk(member)
    try:
        for event in yaml.parse(raw, Loader=yaml.SafeLoader):
            budget.spend(Resource.NODES)
            budget.check_time()
            yield from walk.take(event)
            if len(walk.open) > budget.limits.document_depth:
                raise BudgetExceededError("document_depth", budget.limits.document_depth)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        text = f"not YAML: {str(error)[:_SHOWN]}"
        if b"{{" not in raw and b"{%" not in raw:
            raise MalformedError(text) from error
        # a template from which YAML is made; no loader of YAML takes it as it is
        yield Notification(code="malformed", message=text, level=Level.NOTE, location=member.at())


class _Open:
    """A collection that is being read. key: the one whose value comes next, in a mapping."""

    __slots__ = ("anchor", "is_mapping", "key", "size")

    def __init__(self, anchor: str | None, *, is_mapping: bool) -> None:
        self.anchor = anchor
        self.is_mapping = is_mapping
        self.key: str | None = None
        self.size = 1


class _Walk:
    """What is open while events go by."""

    def __init__(self, member: Member) -> None:
        self._member = member
        self._mlflow = member.name.rpartition("/")[2].lower() == MLMODEL
        self._sizes: dict[str, int] = {}
        self._told = False
        self.open: list[_Open] = []

    def take(self, event: Any) -> Iterator[Evidence]:
        """Look at one event."""
        tag = getattr(event, "tag", None)
        if isinstance(tag, str):
            yield from self._tag(tag, event)
        if isinstance(event, yaml.ScalarEvent):
            top = self.open[-1] if self.open else None
            if top is not None and top.is_mapping and top.key is not None:
                yield from self._value(top.key, event)
            yield from self._node(event.value, 1, event.anchor, event)
        elif isinstance(event, yaml.AliasEvent):
            yield from self._node("", self._sizes.get(event.anchor or "", 1), None, event)
        elif isinstance(event, yaml.CollectionStartEvent):
            self.open.append(_Open(event.anchor, is_mapping=isinstance(event, yaml.MappingStartEvent)))
        elif isinstance(event, yaml.CollectionEndEvent):
            done = self.open.pop()
            yield from self._node("", done.size, done.anchor, event)

    def _node(self, text: str, size: int, anchor: str | None, event: Any) -> Iterator[Evidence]:
        """Count a whole node into what holds it, and turn from key to value and back."""
        if anchor is not None:
            self._sizes[anchor] = size
        if size > MOST_EXPANDED and not self._told:
            self._told = True
            yield self._evidence("yaml-expansion", event, {"count": min(size, 1 << 62)}, "alias")
        if self.open:
            top = self.open[-1]
            top.size += size
            top.key = text if top.key is None else None

    def _tag(self, tag: str, event: Any) -> Iterator[Evidence]:
        for row in format_data(FORMAT)["tags"]:
            match = re.fullmatch(row["pattern"], tag, re.DOTALL)
            if match is not None:
                facts: dict[str, Fact] = {"tag": tag[:_SHOWN], "form": row["form"], **_judged(match[1])}
                yield self._evidence("yaml-tag", event, facts, tag[:_SHOWN])
                return

    def _value(self, key: str, event: Any) -> Iterator[Evidence]:
        value = event.value
        if key in format_data(FORMAT)["targets"] and _DOTTED.fullmatch(value):
            yield self._evidence("yaml-target", event, {"key": key, **_judged(value)}, value[:_SHOWN])
        if not self._mlflow:
            return
        if key == "loader_module" and value.partition(".")[0] != "mlflow":
            yield self._evidence("mlflow-loader", event, {"module": value[:_SHOWN]}, value[:_SHOWN])
        if key in format_data(FORMAT)["code_keys"] and value not in {"", "null", "~"}:
            yield self._evidence("mlflow-code", event, {"key": key, "value": value[:_SHOWN]}, key)
        if key in format_data(FORMAT)["path_keys"] and re.search(r"^[/~\\]|(^|[/\\])\.\.([/\\]|$)", value):
            yield self._evidence("mlflow-path", event, {"key": key, "value": value[:_SHOWN]}, key)

    def _evidence(self, kind: str, event: Any, facts: dict[str, Fact], symbol: str) -> Evidence:
        mark, end = event.start_mark, event.end_mark
        place = Location(
            uri=self._member.artifact.uri,
            member=self._member.path,
            line=mark.line + 1,
            column=mark.column + 1,
            end_line=end.line + 1,
            end_column=end.column + 1,
        )
        return Evidence(kind=kind, location=place, facts=facts, symbol=symbol)


def _judged(target: str) -> dict[str, Fact]:
    """Say what a dotted name does when it is called."""
    module, _, name = target.rpartition(".")
    effect = current_knowledge().judge(module or "builtins", name).effect
    return {"target": target[:_SHOWN], "effect": effect.value, "acts": effect in DANGEROUS}
