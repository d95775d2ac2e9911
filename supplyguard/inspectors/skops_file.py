"""skops files: the tree of nodes in `schema.json`, which names what loading imports and calls.

The archive is a zip whose members zip_archive yields. Format: skops/io/_audit.py, _general.py,
_numpy.py, _sklearn.py and _protocol.py of github.com/skops-dev/skops. Lists are
rules/formats/skops_file.json; what a named object does is said by rules/knowledge.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any, Final

from supplyguard.archives.zip_directory import is_zip
from supplyguard.archives.zip_view import ZipView, view_of
from supplyguard.errors import MalformedError
from supplyguard.finding import Evidence, Fact, Level, Notification
from supplyguard.inventory import Member, Probe
from supplyguard.limits import Budget, Resource
from supplyguard.pickles.knowledge import DANGEROUS, Effect, current_knowledge
from supplyguard.resources import format_data
from supplyguard.streams import buffered, read_at, size_of
from supplyguard.wire.json_document import parse_json

FORMAT: Final = "skops_file"

LAYOUT: Final = "skops"
"""Its name in rules/layouts/zip.json."""
MARKS: Final = ("__loader__", "_skops_version")
"""Keys of which a root node has one; other programs have a `schema.json` too."""
_SHOWN: Final = 200
_MOST: Final = 100
_VERSION: Final = re.compile(r"(\d{1,6})\.(\d{1,6})")
_FORM: Final = {Effect.LOCAL: "local", Effect.UNKNOWN: "unknown", Effect.UNKNOWN_MODULE: "module"}


@dataclass(kw_only=True, slots=True)
class _Schema:
    """One tree. told: what was said already. files: members that nodes name. ids: the first node of each."""

    member: Member
    told: set[tuple[str, str]] = field(default_factory=set)
    files: dict[str, None] = field(default_factory=dict)
    ids: dict[int, tuple[str, str]] = field(default_factory=dict)
    hidden: int = 0

    def tell(self, kind: str, symbol: str, facts: dict[str, Fact]) -> Iterator[Evidence]:
        """Yield an Evidence once for each symbol, and at most `_MOST` in all."""
        if (kind, symbol) in self.told:
            return
        if len(self.told) >= _MOST:
            self.hidden += 1
            return
        self.told.add((kind, symbol))
        yield Evidence(kind=kind, location=self.member.at(), facts=facts, symbol=symbol)


def recognizes(probe: Probe) -> bool:
    """Whether it is a zip whose seen part names `schema.json`, or something else named .skops."""
    lists = format_data(FORMAT)
    if probe.name.lower().endswith(lists["suffix"]):
        return not probe.head.startswith(b"version http")
    if not is_zip(probe):
        return False
    whole = probe.size is not None and probe.size <= len(probe.head) + len(probe.tail)
    mark = lists["schema"].encode()
    return not whole or mark in probe.head or mark in probe.tail


def inspect(member: Member, budget: Budget) -> Iterator[Evidence | Notification]:
    """Yield what the tree names; raises MalformedError for a schema that is not JSON."""
    lists = format_data(FORMAT)
    named = member.name.lower().endswith(lists["suffix"])
    with closing(buffered(member.open())) as stream:
        view = view_of(stream, member, budget)
        if view is not None and view.layout.name == LAYOUT:
            yield from _archive(view, budget)
        elif view is not None and named:
            yield from _misnamed(member, f"a {view.layout.title}")
        elif named:
            head = read_at(stream, 0, min(16, size_of(stream)))
            if head.startswith(b"PK"):
                return  # a broken archive, which is zip_archive's to report
            if not re.match(lists["pickled"].encode("latin-1"), head):
                raise MalformedError("named .skops, but it is no zip archive", offset=0)
            yield from _misnamed(member, "a pickle or a compressed stream")


def _misnamed(member: Member, what: str) -> Iterator[Evidence]:
    yield Evidence(kind="skops-other-content", location=member.at(), facts={"content": what})


def _archive(view: ZipView, budget: Budget) -> Iterator[Evidence | Notification]:
    name = format_data(FORMAT)["schema"]
    for item in (each for each in view.contents.items if each.entry.name == name):
        root = parse_json(view.read(item), budget)
        if not isinstance(root, dict) or not any(mark in root for mark in MARKS):
            continue
        schema = _Schema(member=view.inner(item))
        yield from _protocol(schema, root)
        yield from _nodes(schema, root, budget)
        yield from _files(schema, set(view.contents.names) - {name})
        if schema.hidden:
            text = f"{schema.hidden:,} more nodes of this kind are not listed"
            yield Notification(code="not-listed", message=text, level=Level.NOTE, location=schema.member.at())


def _protocol(schema: _Schema, root: dict[str, Any]) -> Iterator[Evidence]:
    """Yield a protocol that the recorded version does not write: it chooses the loaders."""
    lists = format_data(FORMAT)
    given, text = root.get("protocol"), str(root.get("_skops_version"))
    found = _VERSION.match(text)
    version = (int(found[1]), int(found[2])) if found else (0, 0)
    expected = next((number for since, number in lists["protocols"] if version >= tuple(since)), 0)
    usual = isinstance(given, int) and expected <= given <= lists["newest_protocol"]
    if not usual:
        facts: dict[str, Fact] = {"protocol": str(given)[:_SHOWN], "version": text[:_SHOWN]}
        yield from schema.tell("skops-protocol", str(given)[:_SHOWN], facts)


def _nodes(schema: _Schema, root: dict[str, Any], budget: Budget) -> Iterator[Evidence]:
    """Look at every node: first all identities, then what each names."""
    nodes: list[dict[str, Any]] = []
    work: list[Any] = [root]
    while work:
        value = work.pop()
        budget.spend(Resource.NODES)
        if isinstance(value, dict):
            if "__loader__" in value:
                nodes.append(value)
            work.extend(reversed(value.values()))
        elif isinstance(value, list):
            work.extend(reversed(value))
    for node in nodes:
        yield from _identity(schema, node)
    for node in nodes:
        yield from _node(schema, node)


def _identity(schema: _Schema, node: dict[str, Any]) -> Iterator[Evidence]:
    """Yield one identity for two classes: skops takes the node that it meets first for both."""
    number = node.get("__id__")
    if not isinstance(number, int) or node["__loader__"] == "CachedNode":
        return
    first = schema.ids.setdefault(number, _named(node))
    if first != _named(node):
        dotted = ".".join(_named(node))[:_SHOWN]
        yield from schema.tell("skops-node", dotted, {"what": "two identities", "value": dotted})


def _node(schema: _Schema, node: dict[str, Any]) -> Iterator[Evidence]:
    lists = format_data(FORMAT)
    loader = str(node["__loader__"])[:_SHOWN]
    if isinstance(node.get("file"), str):
        schema.files[node["file"]] = None
    if loader not in lists["loaders"]:
        yield from schema.tell("skops-node", loader, {"what": "unknown loader", "value": loader})
    if loader == "CachedNode" and node.get("__id__") not in schema.ids:
        number = str(node.get("__id__"))[:_SHOWN]
        yield from schema.tell("skops-node", number, {"what": "unknown identity", "value": number})
    if loader == "OperatorFuncNode":
        yield from _operator(schema, node)
    elif loader == "MethodNode":
        yield from _method(schema, node)
    if loader not in lists["names_nothing"]:
        yield from _target(schema, node, loader)


def _target(schema: _Schema, node: dict[str, Any], loader: str) -> Iterator[Evidence]:
    """Yield an object that acts, or that nothing is known about."""
    lists = format_data(FORMAT)
    module, name = _named(node)
    dotted = f"{module}.{name}"[:_SHOWN]
    facts: dict[str, Fact] = {"callable": dotted, "loader": loader}
    if loader in lists["constructors"] and not re.fullmatch(lists["constructor_modules"], module):
        yield from schema.tell("skops-constructor", f"{loader}:{dotted}", facts)
    if [loader, module, name] == lists["partial"]:
        return
    if loader == "OperatorFuncNode" and re.fullmatch(lists["operators"], module):
        return
    judgement = current_knowledge().judge(module, name)
    standing = ""
    if judgement.effect in DANGEROUS:
        standing = "acting"
    elif judgement.effect is Effect.UNKNOWN_STDLIB or (
        judgement.effect in _FORM and judgement.library == "python"
    ):
        standing = "standard library"
    elif judgement.effect in _FORM:
        standing = "unknown"
    if standing:
        role = "function" if loader in lists["functions"] else "object"
        facts |= {"standing": standing, "role": role, "effect": judgement.effect.value}
        yield from schema.tell("skops-object", f"{role}:{dotted}", facts)


def _operator(schema: _Schema, node: dict[str, Any]) -> Iterator[Evidence]:
    lists = format_data(FORMAT)
    module, name = _named(node)
    if not re.fullmatch(lists["operators"], module) or name not in lists["operator_classes"]:
        dotted = f"{module}.{name}"[:_SHOWN]
        yield from schema.tell("skops-operator", dotted, {"callable": dotted})


def _method(schema: _Schema, node: dict[str, Any]) -> Iterator[Evidence]:
    """Yield a method whose node hides which object it is of, or that is no plain method."""
    content = node.get("content")
    inner = content.get("obj") if isinstance(content, dict) else None
    method = content.get("func") if isinstance(content, dict) else None
    _, declared = _named(node)
    number = inner.get("__id__") if isinstance(inner, dict) else None
    known = schema.ids.get(number) if isinstance(number, int) else None
    actual = known or (_named(inner) if isinstance(inner, dict) else ("", ""))
    facts: dict[str, Fact] = {
        "declared": declared[:_SHOWN],
        "actual": ".".join(actual)[:_SHOWN],
        "method": str(method)[:_SHOWN],
    }
    if declared != actual[1]:
        yield from schema.tell("skops-method", f"{declared}:{actual[1]}"[:_SHOWN], {**facts, "what": "class"})
    if not isinstance(method, str) or not re.fullmatch(format_data(FORMAT)["method"], method):
        yield from schema.tell("skops-method", str(method)[:_SHOWN], {**facts, "what": "name"})


def _files(schema: _Schema, members: set[str]) -> Iterator[Evidence]:
    """Hold the files that nodes name against the members."""
    for name in schema.files:
        if re.search(r"[/\\\0]", name) or name in {"", ".", ".."}:
            yield from schema.tell("skops-file", name[:_SHOWN], {"file": name[:_SHOWN], "what": "path"})
        elif name not in members:
            yield from schema.tell("skops-file", name[:_SHOWN], {"file": name[:_SHOWN], "what": "missing"})
    for name in sorted(members - set(schema.files)):
        if not name.endswith("/"):
            yield from schema.tell("skops-file", name[:_SHOWN], {"file": name[:_SHOWN], "what": "unused"})


def _named(node: dict[str, Any]) -> tuple[str, str]:
    """Give the module and the name that a node states."""
    return str(node.get("__module__", "")), str(node.get("__class__", ""))
