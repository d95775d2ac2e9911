"""torch.export archives (.pt2): the JSON of a program, which its loader evaluates in places.

The archive is a zip whose members zip_archive yields. Formats: torch/_export/serde/{schema,serialize}.py
and torch/export/pt2_archive/ of PyTorch 2.13. `expr_str` goes to sympy's parser, which evaluates
Python; `guards_code` becomes source that runs when the program is called; node targets and tree
specifications are looked up by name. Lists are rules/formats/torch_export.json.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field, replace
from typing import Any, Final

from supplyguard.archives.zip_contents import Item
from supplyguard.archives.zip_directory import is_zip
from supplyguard.archives.zip_view import ZipView, view_of
from supplyguard.errors import MalformedError
from supplyguard.finding import Evidence, Fact, Level, Notification
from supplyguard.inventory import Member, Probe
from supplyguard.limits import Budget, Resource
from supplyguard.resources import format_data
from supplyguard.streams import buffered
from supplyguard.wire.json_document import parse_json
from supplyguard.wire.python_expression import MOST, outside

FORMAT: Final = "torch_export"

LAYOUT: Final = "pt2"
"""Its name in rules/layouts/zip.json."""
_MARKS: Final = (b"archive_format", b"serialized_exported_program")
_SHOWN: Final = 200
_LISTED: Final = 50
_DEEPEST: Final = 8
"""JSON inside of texts of JSON."""
_KEYS: Final = ("default_factory_module", "__enum__")


@dataclass(kw_only=True, slots=True)
class _Document:
    """One JSON member, and what was said of it."""

    member: Member
    budget: Budget
    told: dict[str, set[str]] = field(default_factory=dict)
    pickled: set[str] = field(default_factory=set)
    unread: int = 0

    def tell(self, kind: str, symbol: str, facts: dict[str, Fact]) -> Iterator[Evidence]:
        """Yield an Evidence once for each symbol, and not too many of a kind."""
        told = self.told.setdefault(kind, set())
        if symbol not in told and len(told) < _LISTED:
            told.add(symbol)
            yield Evidence(kind=kind, location=self.member.at(), facts=facts, symbol=symbol[:_SHOWN])


def recognizes(probe: Probe) -> bool:
    """Whether it is a zip whose seen part names a mark of the format, or whose directory is not all seen."""
    if not is_zip(probe):
        return False
    whole = probe.size is not None and probe.size <= len(probe.head) + len(probe.tail)
    return not whole or any(mark in probe.head or mark in probe.tail for mark in _MARKS)


def inspect(member: Member, budget: Budget) -> Iterator[Evidence | Member | Notification]:
    """Yield what the program evaluates or loads by name; raises MalformedError for what is not JSON."""
    lists = format_data(FORMAT)
    with closing(buffered(member.open())) as stream:
        view = view_of(stream, member, budget)
        if view is None or view.layout.name != LAYOUT:
            return
        yield from _members(view)
        broken: MalformedError | None = None
        for item in view.contents.items:
            if item.local is None or not re.fullmatch(lists["documents"], item.entry.name):
                continue
            document = _Document(member=view.inner(item), budget=budget)
            try:
                yield from _walk(document, parse_json(view.read(item), budget))
            except MalformedError as error:
                broken = error
            if document.unread:
                text = f"{document.unread:,} expressions are longer than {MOST:,} characters"
                where = document.member.at()
                yield Notification(code="too-long", message=text, location=where, incomplete=True)
            yield from _pickled(view, item, document.pickled)
        if broken is not None:
            raise broken


def _members(view: ZipView) -> Iterator[Evidence | Notification]:
    """Yield members that are native code or pickles by their names."""
    lists = format_data(FORMAT)
    for kind, key in (("pt2-native", "native"), ("pt2-pickle", "pickled")):
        names = [name for name in view.contents.names if re.fullmatch(lists[key], name)]
        for name in names[:_LISTED]:
            facts: dict[str, Fact] = {"name": name[:_SHOWN]}
            yield Evidence(kind=kind, location=view.archive.member.at(), facts=facts, symbol=name[:_SHOWN])
        if len(names) > _LISTED:
            text = f"{len(names) - _LISTED:,} more of {kind} in this archive are not listed"
            where = view.archive.member.at()
            yield Notification(code="not-listed", message=text, level=Level.NOTE, location=where)


def _walk(document: _Document, root: Any) -> Iterator[Evidence]:
    """Look at every key of every object, and into texts that are JSON themselves."""
    work: list[tuple[str, Any, int]] = [("", root, 0)]
    while work:
        key, value, depth = work.pop()
        document.budget.spend(Resource.NODES)
        if isinstance(value, dict):
            yield from _object(document, value)
            work.extend((str(name), each, depth) for name, each in reversed(value.items()))
        elif isinstance(value, list):
            work.extend((key, each, depth) for each in reversed(value))
        elif isinstance(value, str):
            yield from _text(document, key, value)
            if depth < _DEEPEST and any(each in value for each in _KEYS):
                work.append(("", _inner(value, document.budget), depth + 1))


def _inner(text: str, budget: Budget) -> Any:
    """Parse a text of a tree specification; None when it is not JSON after all."""
    try:
        return parse_json(text.encode("utf-8", "replace"), budget)
    except MalformedError:
        return None


def _object(document: _Document, value: dict[str, Any]) -> Iterator[Evidence]:
    """Look at an object whose keys belong together."""
    module = value.get("default_factory_module")
    name = value.get("default_factory_name")
    if value.get("__enum__") and isinstance(value.get("fqn"), str):
        module, _, name = value["fqn"].rpartition(".")
    if isinstance(module, str) and module.partition(".")[0] not in format_data(FORMAT)["modules"]:
        dotted = f"{module}.{name}"[:_SHOWN]
        yield from document.tell("pt2-import", dotted, {"callable": dotted})
    path = value.get("path_name")
    if isinstance(path, str):
        if re.search(r"[/\\\0]|^\.\.?$", path):
            yield from document.tell("pt2-path", path, {"path": path[:_SHOWN]})
        if value.get("use_pickle") is True:
            document.pickled.add(path)
            yield from document.tell("pt2-pickle", path, {"name": path[:_SHOWN]})
    ranges = value.get("range_constraints")
    if isinstance(ranges, dict):
        for text in ranges:
            yield from _expression(document, text)


def _text(document: _Document, key: str, value: str) -> Iterator[Evidence]:
    lists = format_data(FORMAT)
    if key in {"expr_str", "min_val", "max_val"}:
        yield from _expression(document, value)
    elif key == "guards_code":
        found = outside(value, FORMAT, "guards") if len(value) <= MOST else None
        document.unread += len(value) > MOST
        if found is not None:
            facts: dict[str, Fact] = {"code": value[:_SHOWN], "what": found.what, "calls": found.calls}
            yield from document.tell("pt2-guard", value, facts)
    elif key in {"target", "as_operator"}:
        acts = re.fullmatch(lists["operators_that_act"], value) is not None
        if acts or not re.fullmatch(lists["targets"], value):
            yield from document.tell("pt2-target", value, {"target": value[:_SHOWN]})


def _expression(document: _Document, text: str) -> Iterator[Evidence]:
    found = outside(text, FORMAT, "expressions") if len(text) <= MOST else None
    document.unread += len(text) > MOST
    if found is not None:
        facts: dict[str, Fact] = {"code": text[:_SHOWN], "what": found.what}
        yield from document.tell("pt2-expression", text, facts)


def _pickled(view: ZipView, config: Item, paths: set[str]) -> Iterator[Member]:
    """Yield members that the loader unpickles, though by their names they are raw numbers."""
    folder = config.entry.name.rpartition("/")[0]
    wanted = {f"{folder}/{path}" for path in paths}
    for item in view.contents.items:
        if item.entry.name in wanted and item.local is not None and view.layout.inert(item.entry.name):
            inner = view.inner(item)
            yield replace(inner, path=(*inner.path[:-1], f"{item.entry.name} (pickled)"))
