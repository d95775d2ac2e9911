"""YAML: language tags, callables that configurations name, aliases that explode, templates in values.

Only PyYAML's events are read; nothing is composed or constructed. Formats: YAML 1.1, PyYAML's
constructor.py (python/* tags), HyperPyYAML, Hydra's instantiate. What MLflow and NeMo make of their own
YAML files is in rooms of their own.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from contextlib import closing
from typing import BinaryIO, Final, cast

from supplyguard.errors import BudgetExceededError, MalformedError
from supplyguard.finding import Evidence, Fact, Level, Notification
from supplyguard.inventory import Member, Probe
from supplyguard.limits import MIB, Budget
from supplyguard.pickles.knowledge import DANGEROUS, current_knowledge
from supplyguard.resources import format_data
from supplyguard.wire.yaml_events import Place, Seen, walk_yaml

FORMAT: Final = "yaml_document"

LARGEST: Final = 8 * MIB
MLMODEL: Final = "mlmodel"
MOST_TEMPLATES: Final = 20
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


def inspect(member: Member, budget: Budget) -> Iterator[Evidence | Member | Notification]:
    """Yield tags and targets in order; raises MalformedError where the text stops being YAML."""
    with closing(member.open()) as stream:
        raw = stream.read(LARGEST + 1)
    if not _matters(raw):
        return
    if len(raw) > LARGEST:
        raise BudgetExceededError("document_bytes", LARGEST)
    looking = _Looking(member)
    try:
        for seen in walk_yaml(raw, budget):
            yield from looking.at(seen)
    except MalformedError as error:
        if b"{{" not in raw and b"{%" not in raw:
            raise
        # a template from which YAML is made; no loader of YAML takes it as it is
        yield Notification(code="malformed", message=error.message, level=Level.NOTE, location=member.at())


class _Looking:
    """Turns what is seen into Evidence. waiting: where getters were named whose operand comes yet."""

    def __init__(self, member: Member) -> None:
        self._member = member
        self._waiting: dict[tuple[str, ...], tuple[Place, str]] = {}
        self._templates = 0

    def at(self, seen: Seen) -> Iterator[Evidence | Member]:
        """Look at one thing."""
        if seen.what == "tag":
            yield from self._tag(seen)
        elif seen.what == "scalar":
            yield from self._value(seen)
        elif seen.what == "mapping":
            yield from self._fetched(seen)
        elif seen.what == "repeated":
            facts: dict[str, Fact] = {"key": seen.text[:_SHOWN]}
            yield self._evidence("yaml-repeated-key", seen.place, facts, seen.text[:_SHOWN])
        else:
            yield self._evidence("yaml-expansion", seen.place, {"count": int(seen.text)}, "alias")

    def _tag(self, seen: Seen) -> Iterator[Evidence]:
        for row in format_data(FORMAT)["tags"]:
            match = re.fullmatch(row["pattern"], seen.text, re.DOTALL)
            if match is not None:
                tag = seen.text[:_SHOWN]
                facts: dict[str, Fact] = {"tag": tag, "form": row["form"], **judged(match[1])}
                yield self._evidence("yaml-tag", seen.place, facts, tag)
                return

    def _value(self, seen: Seen) -> Iterator[Evidence | Member]:
        lists = format_data(FORMAT)
        key, value = seen.key, seen.text
        if key in lists["targets"] and _DOTTED.fullmatch(value):
            if value in lists["getters"]:
                self._waiting[seen.keys[:-1]] = (seen.place, key)
            else:
                yield self._target(key, value, seen.place)
        if re.search(lists["evaluating"], value):
            facts: dict[str, Fact] = {"key": key[:_SHOWN], "value": value[:_SHOWN]}
            yield self._evidence("yaml-evaluates", seen.place, facts, key[:_SHOWN])
        if re.search(lists["template_keys"], key) and re.search(r"\{[{%]", value):
            yield from self._template(value)

    def _fetched(self, seen: Seen) -> Iterator[Evidence]:
        """Judge what only fetches another object by the object that its mapping names."""
        waiting = self._waiting.pop(seen.keys, None)
        if waiting is not None:
            place, key = waiting
            target = seen.scalars.get("path", seen.scalars.get(key, ""))
            yield self._target(key, target, place)

    def _target(self, key: str, target: str, place: Place) -> Evidence:
        return self._evidence("yaml-target", place, {"key": key, **judged(target)}, target[:_SHOWN])

    def _template(self, text: str) -> Iterator[Member]:
        """Yield a template as a file of its own."""
        if self._templates == MOST_TEMPLATES:
            return
        self._templates += 1
        data = text.encode("utf-8", "replace")
        name = f"template.{self._templates}.jinja"
        yield Member(
            artifact=self._member.artifact,
            path=(*self._member.path, name),
            open=lambda: cast("BinaryIO", io.BytesIO(data)),
            size=len(data),
        )

    def _evidence(self, kind: str, place: Place, facts: dict[str, Fact], symbol: str) -> Evidence:
        return Evidence(kind=kind, location=place.within(self._member), facts=facts, symbol=symbol)


def judged(target: str) -> dict[str, Fact]:
    """Say what a dotted name does when it is called: target, effect, acts."""
    module, _, name = target.rpartition(".")
    effect = current_knowledge().judge(module or "builtins", name).effect
    return {"target": target[:_SHOWN], "effect": effect.value, "acts": effect in DANGEROUS}
