"""Jinja templates, as chat templates are: what their syntax tree reaches for. Nothing is rendered.

Many runtimes render a model's template with text of strangers, some without Jinja's sandbox, and the
sandbox itself has had ways out. Names that lists decide about are in rules/formats/chat_template.json.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, Final

from jinja2 import nodes

from supplyguard.errors import BudgetExceededError, MalformedError
from supplyguard.finding import Evidence, Fact, Level, Notification
from supplyguard.inventory import Location, Member, Probe
from supplyguard.limits import Budget
from supplyguard.resources import format_data
from supplyguard.wire.jinja_tree import LARGEST, Folder, Unresolved, bound_names, parse_template, walk

FORMAT: Final = "chat_template"

SUFFIXES: Final = (".jinja", ".jinja2", ".j2")
_SHOWN: Final = 120


@dataclass(frozen=True, kw_only=True, slots=True)
class _Template:
    """What the looks at one node need. chat: it is made for conversations, not pages or settings."""

    member: Member
    chat: bool
    own: frozenset[str]
    folder: Folder


def recognizes(probe: Probe) -> bool:
    """Whether a text has a template's name; templates have no other mark."""
    return probe.name.lower().endswith(SUFFIXES) and b"\0" not in probe.head


def inspect(member: Member, budget: Budget) -> Iterator[Evidence | Notification]:
    """Yield what the template reaches for; raises MalformedError when it does not parse."""
    with closing(member.open()) as stream:
        raw = stream.read(LARGEST + 1)
    if len(raw) > LARGEST:
        raise BudgetExceededError("document_bytes", LARGEST)
    text = raw.decode("utf-8-sig", "replace")
    chat = _is_chat(member, text)
    try:
        tree = parse_template(text, budget)
    except MalformedError as error:
        if chat:
            yield Evidence(kind="jinja-unparsed", location=member.at(0), facts={"detail": error.message})
            raise
        # pages and settings are often written for other delimiters and tags than Jinja's own
        yield Notification(
            code="malformed", message=error.message, level=Level.NOTE, location=member.at(), incomplete=False
        )
        return
    found = list(walk(tree, budget))
    own, values = bound_names(found)
    template = _Template(member=member, chat=chat, own=own, folder=Folder(values))
    seen: set[tuple[str, str, int]] = set()
    for node in found:
        for evidence in _look(template, node):
            key = (evidence.kind, evidence.symbol, node.lineno)
            if key not in seen:
                seen.add(key)
                yield evidence


def _is_chat(member: Member, text: str) -> bool:
    named = re.search(_lists()["chat_name"], "/".join((member.artifact.uri, *member.path)).rpartition("/")[2])
    return named is not None or any(word in text for word in _lists()["chat_words"])


def _look(template: _Template, node: nodes.Node) -> Iterator[Evidence]:
    if isinstance(node, nodes.Getattr):
        yield from _attribute(template, node, node.attr, "attribute")
        yield from _global(template, node.node, node)
    elif isinstance(node, nodes.Getitem):
        name = template.folder.fold(node.arg)
        if isinstance(name, str):
            yield from _attribute(template, node, name, "subscript")
        yield from _global(template, node.node, node)
    elif isinstance(node, nodes.Filter):
        yield from _filter(template, node)
    elif isinstance(node, nodes.Import | nodes.FromImport | nodes.Include | nodes.Extends):
        source = _text(template.folder.fold(node.template))
        statement = type(node).__name__.lower().removesuffix("import") or "import"
        facts: dict[str, Fact] = {"statement": statement, "source": source}
        yield _evidence(template, node, "jinja-import", facts, source)
    elif isinstance(node, nodes.Call):
        yield from _call(template, node)
    elif isinstance(node, nodes.Mul | nodes.Pow):
        yield from _product(template, node)
    if isinstance(node, nodes.TemplateData | nodes.Const):
        yield from _literal(template, node)


def _attribute(template: _Template, node: nodes.Node, name: str, way: str) -> Iterator[Evidence]:
    """Yield for each step of a dotted name that leads to Python's internals."""
    for step in name.split("."):
        if _inner().fullmatch(step):
            yield _evidence(template, node, "jinja-attribute", {"name": step[:_SHOWN], "way": way}, step)


def _global(template: _Template, owner: nodes.Node, node: nodes.Node) -> Iterator[Evidence]:
    if isinstance(owner, nodes.Name) and owner.name in _lists()["globals"] and owner.name not in template.own:
        yield _evidence(template, node, "jinja-global", {"name": owner.name}, owner.name)


def _filter(template: _Template, node: nodes.Filter) -> Iterator[Evidence]:
    if isinstance(node.node, nodes.Name) and node.name == "attr":
        yield from _global(template, node.node, node)
    if node.name not in _lists()["attribute_filters"]:
        return
    named = [each.value for each in node.kwargs if each.key == "attribute"]
    for operand in (*node.args, *(each.value for each in node.kwargs)):
        value = template.folder.fold(operand)
        if isinstance(value, str):
            yield from _attribute(template, node, value, f"filter {node.name}")
    first = node.args[:1] if node.name in {"attr", "selectattr", "rejectattr"} else []
    if node.name == "map" and node.args and template.folder.fold(node.args[0]) == "attr":
        first = node.args[1:2]
    computed = any(isinstance(template.folder.fold(each), Unresolved) for each in (*first, *named))
    if computed or (node.name == "attr" and node.dyn_args is not None):
        yield _evidence(template, node, "jinja-computed-attribute", {"filter": node.name}, node.name)


def _call(template: _Template, node: nodes.Call) -> Iterator[Evidence]:
    if isinstance(node.node, nodes.Name):
        name = node.node.name
        if name not in template.own and name not in _lists()["functions"]:
            yield _evidence(template, node, "jinja-call", {"name": name, "form": "function"}, name)
        if name == "range" and name not in template.own:
            ends = [template.folder.fold(each) for each in node.args]
            count = max((abs(each) for each in ends if isinstance(each, int)), default=0)
            if count > _lists()["largest_range"]:
                yield _evidence(template, node, "jinja-expansion", {"what": "range", "count": count}, "range")
    elif isinstance(node.node, nodes.Getattr):
        name = node.node.attr
        text = template.folder.fold(node.node.node)
        if name in {"format", "format_map"} and isinstance(text, str) and _field().search(text):
            yield _evidence(template, node, "jinja-format", {"text": text[:_SHOWN]}, name)
        if name not in _lists()["methods"] and not _inner().fullmatch(name):
            yield _evidence(template, node, "jinja-call", {"name": name, "form": "method"}, name)


def _product(template: _Template, node: nodes.Mul | nodes.Pow) -> Iterator[Evidence]:
    sides = (template.folder.fold(node.left), template.folder.fold(node.right))
    numbers = [each for each in sides if isinstance(each, int) and not isinstance(each, bool)]
    if isinstance(node, nodes.Pow):
        large = len(numbers) == 2 and numbers[1] > 64 and abs(numbers[0]) > 1
    else:
        large = len(numbers) == 1 and numbers[0] > _lists()["largest_range"]
    if large:
        facts: dict[str, Fact] = {"what": node.operator, "count": min(numbers[-1], 1 << 62)}
        yield _evidence(template, node, "jinja-expansion", facts, node.operator)


def _literal(template: _Template, node: nodes.TemplateData | nodes.Const) -> Iterator[Evidence]:
    text = node.data if isinstance(node, nodes.TemplateData) else node.value
    if not isinstance(text, str):
        return
    for what, pattern, sign in _signs():
        match = pattern.search(text)
        if match is not None:
            line = node.lineno + text.count("\n", 0, match.start())
            shown = match[0][:_SHOWN] if sign != "invisible" else f"U+{ord(match[0]):04X}"
            facts: dict[str, Fact] = {"what": what, "sign": sign, "text": shown}
            found = _evidence(template, node, "jinja-text", facts, sign)
            yield replace(found, location=replace(found.location, line=line))


def _evidence(
    template: _Template, node: nodes.Node, kind: str, facts: dict[str, Fact], symbol: str
) -> Evidence:
    place = Location(uri=template.member.artifact.uri, member=template.member.path, line=node.lineno)
    return Evidence(kind=kind, location=place, facts={**facts, "chat": template.chat}, symbol=symbol)


def _text(value: object) -> str:
    return value[:_SHOWN] if isinstance(value, str) else "(computed)"


def _lists() -> Any:
    return format_data("chat_template")


@cache
def _inner() -> re.Pattern[str]:
    return re.compile("|".join([_lists()["special"], *(re.escape(each) for each in _lists()["frames"])]))


@cache
def _field() -> re.Pattern[str]:
    return re.compile(_lists()["field"])


@cache
def _signs() -> tuple[tuple[str, re.Pattern[str], str], ...]:
    return tuple((row["what"], re.compile(row["pattern"]), row["sign"]) for row in _lists()["text"])
