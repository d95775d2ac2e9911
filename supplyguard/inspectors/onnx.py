"""ONNX models: files they name, operators that run Python or native code, texts, tensors that do not fit.

Field numbers: onnx/onnx.proto3; external data: docs/ExternalData.md of github.com/onnx/onnx;
EPContext: onnxruntime.ai/docs/execution-providers/EP-Context-Design.html. Weights are not read.
"""

from __future__ import annotations

import re
import stat
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from math import prod
from typing import Any, Final

from supplyguard.archives.referenced_paths import path_facts, path_reasons
from supplyguard.archives.signs import text_signs
from supplyguard.errors import MalformedError
from supplyguard.finding import Evidence, Fact, Level, Notification
from supplyguard.inventory import Member, Probe
from supplyguard.limits import KIB, Budget
from supplyguard.pickles.knowledge import current_knowledge
from supplyguard.resources import format_data
from supplyguard.streams import SliceReader, size_of
from supplyguard.wire.onnx_walk import Part, function_key, walk
from supplyguard.wire.protobuf import BYTES, VARINT, Message
from supplyguard.wire.protobuf_probe import top_fields

FORMAT: Final = "onnx"

SHOWN: Final = 50
"""At most so many Evidences of one kind from one file; a Notification says how many more."""
LARGEST_UNKNOWN: Final = 64 * KIB
"""An unknown field of the model may have so many bytes."""
MOST_ELEMENTS: Final = 1 << 63
_TOP: Final = {
    **dict.fromkeys((2, 3, 4, 6, 7, 8, 14, 20, 25, 26), BYTES),
    **dict.fromkeys((1, 5), VARINT),
}
HARD_LINK: Final = "a hard link"
_EXTERNAL: Final = 1
_DOTTED: Final = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)+")


def recognizes(probe: Probe) -> bool:
    """Whether the first fields are a ModelProto's: a version, and a graph that fits the file."""
    if probe.head[:1] not in _STARTS:
        return False
    named = probe.name.lower().endswith((".onnx", ".ort.onnx"))
    if probe.head[0] != _STARTS[0][0] and not named:
        return False
    fields = top_fields(probe, _TOP, strict=not named)
    if not fields:
        return False
    if named:
        return any(each.number in _TOP for each in fields)
    return any(each.number == 7 and each.length > 2 for each in fields)


_STARTS: Final = tuple(bytes([number << 3 | wire]) for number, wire in sorted(_TOP.items()) if number < 16)


def inspect(member: Member, budget: Budget) -> Iterator[Evidence | Member | Notification]:
    """Yield what the graph, its functions and its tensors hold; raises MalformedError where they break."""
    with closing(member.open()) as stream:
        model = Message.of(stream, 0, size_of(stream), budget)
        yield from _limited(member, _Reader(member).read(model))


def _limited(
    member: Member, items: Iterator[Evidence | Member | Notification]
) -> Iterator[Evidence | Member | Notification]:
    """Pass on at most SHOWN of a kind, and say where others are left out."""
    counts: Counter[str] = Counter()
    for item in items:
        if isinstance(item, Evidence):
            counts[item.kind] += 1
            if counts[item.kind] == SHOWN + 1:
                text = f"more than {SHOWN} of {item.kind} in this model: the others are not listed"
                yield Notification(code="not-listed", message=text, level=Level.NOTE, location=member.at())
            if counts[item.kind] > SHOWN:
                continue
        yield item


class _Reader:
    """What must be known across parts: operators in use, functions, the node that attributes belong to."""

    def __init__(self, member: Member) -> None:
        self._member = member
        self._operators: dict[tuple[str, str], int] = {}
        self._functions: dict[str, int] = {}
        self._calls: dict[str, set[str]] = {}
        self._files: set[str] = set()

    def read(self, model: Message) -> Iterator[Evidence | Member | Notification]:
        """Yield what each part shows, and at last what all of them show together."""
        fault: MalformedError | None = None
        try:
            for part in walk(model):
                yield from self._part(part)
        except MalformedError as error:
            fault = error
        yield from self._domains()
        yield from self._recursion()
        if fault is not None:
            raise fault

    def _see(self, kind: str, offset: int, symbol: str, **facts: Fact) -> Evidence:
        return Evidence(kind=kind, location=self._member.at(offset), facts=facts, symbol=symbol)

    def _part(self, part: Part) -> Iterator[Evidence | Member | Notification]:
        for number in sorted(part.repeated):
            name = part.text("name") or part.text("op_type")
            yield self._see(
                "onnx-repeated-field",
                part.offset,
                f"{part.kind}:{number}",
                part=part.kind,
                field=number,
                name=name,
            )
        yield from self._texts(part)
        if part.kind == "model":
            yield from self._model(part)
        elif part.kind == "function":
            self._functions.setdefault(part.owner, part.offset)
        elif part.kind == "node":
            yield from self._node(part)
        elif part.kind == "tensor":
            yield from self._tensor(part)

    def _model(self, part: Part) -> Iterator[Evidence]:
        version = part.numbers.get(1, 0)
        least, most = format_data(FORMAT)["versions"]
        if not least <= version <= most:
            yield self._see("onnx-version", part.offset, str(version), version=version)
        for each in part.unknown:
            if each.length > LARGEST_UNKNOWN:
                yield self._see(
                    "onnx-unknown-field", each.offset, str(each.number), field=each.number, length=each.length
                )

    def _texts(self, part: Part) -> Iterator[Evidence]:
        """Yield metadata and documentation that hold what texts should not."""
        texts = [
            (key, value, offset) for field, key, value, offset in part.pairs if field == "metadata_props"
        ]
        if part.text("doc_string"):
            texts.append(("doc_string", part.text("doc_string"), part.offset))
        for key, value, offset in texts:
            for what in text_signs(value):
                yield self._see("onnx-text", offset, key, key=key, what=what)

    def _node(self, node: Part) -> Iterator[Evidence | Member]:
        operator = (node.text("domain"), node.text("op_type"))
        self._operators.setdefault(operator, node.offset)
        if node.owner:
            self._calls.setdefault(node.owner, set()).add(function_key(node))
        table = format_data(FORMAT)
        facts: dict[str, Fact] = {"domain": operator[0], "op": operator[1], "name": node.text("name")}
        if _is_one(table["python_operators"], operator):
            named = _callables(node)
            facts["callables"] = tuple(named)
            yield self._see("onnx-python-operator", node.offset, operator[1], **facts)
            for callable_, effect in named.items():
                yield self._see(
                    "onnx-python-call", node.offset, callable_, **facts, callable=callable_, effect=effect
                )
        elif _is_one(table["contexts"], operator):
            yield from self._context(node, facts)
        elif _is_one(table["aten"], operator):
            attribute = node.attributes.get("operator")
            facts["operator"] = attribute.values[0] if attribute and attribute.values else ""
            yield self._see("onnx-aten", node.offset, str(facts["operator"]), **facts)

    def _context(self, node: Part, facts: dict[str, Fact]) -> Iterator[Evidence | Member]:
        """Yield a compiled context: the path of its file, or its bytes as a member."""
        cache = node.attributes.get("ep_cache_context")
        mode = node.attributes.get("embed_mode")
        embedded = mode is None or mode.numbers.get(3, 1) != 0
        path = cache.values[0] if cache and cache.values and not embedded else ""
        judged = (
            path_facts(path) if path else {"path": "", "reasons": (), "escapes": False, "sensitive": False}
        )
        yield self._see("onnx-compiled-context", node.offset, path, **facts, embedded=embedded, **judged)
        if embedded and cache is not None and cache.raw is not None:
            body = cache.raw
            yield Member(
                artifact=self._member.artifact,
                path=(*self._member.path, f"ep_cache_context@{body.offset}"),
                open=lambda: SliceReader(self._member.open(), body.offset, body.length),
                size=body.length,
            )

    def _tensor(self, part: Part) -> Iterator[Evidence | Notification]:
        name = part.text("name")
        bits = format_data(FORMAT)["bits"].get(str(part.numbers.get(2, 0)))
        count = prod(part.dims) if part.dims else 1
        wrong = any(size < 0 for size in part.dims) or count >= MOST_ELEMENTS
        if wrong:
            yield self._see(
                "onnx-tensor", part.offset, name, name=name, detail=f"has the shape {_shape(part)}"
            )
        needed = None if wrong or bits is None else (count * bits + 7) // 8
        external = [
            (key, value, offset) for field, key, value, offset in part.pairs if field == "external_data"
        ]
        if external or part.numbers.get(14) == _EXTERNAL:
            yield from self._external(part, external, needed)
        elif part.raw is not None and needed is not None and part.raw.length != needed:
            detail = f"has {part.raw.length:,} bytes for a shape that needs {needed:,}"
            yield self._see("onnx-tensor", part.offset, name, name=name, detail=detail)

    def _external(
        self, part: Part, pairs: list[tuple[str, str, int]], needed: int | None
    ) -> Iterator[Evidence | Notification]:
        table = format_data(FORMAT)
        name = part.text("name")
        values: dict[str, str] = {}
        for key, value, offset in pairs:
            known = key in table["external_keys"]
            if not known or key in values:
                what = (
                    "redirecting"
                    if key in table["redirecting_keys"]
                    else "unknown"
                    if not known
                    else "repeated"
                )
                yield self._see("onnx-external-key", offset, key, name=name, key=key, value=value, what=what)
            values[key] = value
        location = values.get("location", "")
        if path_reasons(location) and location not in self._files:
            yield self._see("onnx-external-path", part.offset, location, name=name, **path_facts(location))
        numbers: dict[str, int | None] = {"offset": 0, "length": needed}
        for key in ("offset", "length"):
            if key in values:
                if not re.fullmatch(r"[0-9]{1,19}", values[key]):
                    detail = f"has the external {key} {values[key]!r}"
                    yield self._see("onnx-external-range", part.offset, name, name=name, detail=detail)
                    return
                numbers[key] = int(values[key])
        if needed is not None and numbers["length"] != needed:
            detail = f"has {numbers['length']:,} external bytes for a shape that needs {needed:,}"
            yield self._see("onnx-external-range", part.offset, name, name=name, detail=detail)
        if not path_reasons(location):
            end = (numbers["offset"] or 0) + (numbers["length"] or 0)
            yield from self._file(part, location, end)

    def _file(self, part: Part, location: str, end: int) -> Iterator[Evidence | Notification]:
        """Look at the file that a top-level model names, without following it out of the folder."""
        if self._member.path:
            return
        root = self._member.artifact.path.parent
        path = root / location
        try:
            state = path.lstat()
            target = path.resolve()
            size = path.stat().st_size
        except (OSError, ValueError, RuntimeError):
            if location not in self._files:
                text = f"the tensor data file {location} is not beside the model"
                yield Notification(
                    code="companion-missing",
                    message=text,
                    level=Level.NOTE,
                    location=self._member.at(part.offset),
                )
            self._files.add(location)
            return
        if location not in self._files:
            allowed = (self._member.artifact.root or root).resolve()
            what = _file_kind(state, inside=target.is_relative_to(allowed))
            if what == HARD_LINK:
                text = f"{location} has several names: a hard link, which onnx 1.21 and later refuses"
                yield Notification(
                    code="hard-link", message=text, level=Level.NOTE, location=self._member.at(part.offset)
                )
            elif what:
                yield self._see("onnx-external-file", part.offset, location, path=location, what=what)
        self._files.add(location)
        if end > size:
            detail = f"ends at byte {end:,} of {location}, which has {size:,}"
            name = part.text("name")
            yield self._see("onnx-external-range", part.offset, name, name=name, detail=detail)

    def _domains(self) -> Iterator[Evidence]:
        """Yield operators of domains that no standard runtime has and no function of the model defines."""
        table = format_data(FORMAT)
        names = {tuple(key.split(":", 3)[::2][:2]) for key in self._functions}
        seen: set[str] = set()
        for (domain, op), offset in self._operators.items():
            known = domain in table["domains"] or domain.startswith(tuple(table["domain_prefixes"]))
            if known or (domain, op) in names or domain in seen:
                continue
            if _is_one(table["python_operators"], (domain, op)):
                continue
            seen.add(domain)
            ops = tuple(
                name for each, name in self._operators if each == domain and (each, name) not in names
            )
            yield self._see("onnx-custom-domain", offset, domain, domain=domain, ops=ops)

    def _recursion(self) -> Iterator[Evidence]:
        """Yield functions that call themselves through others: what is left when leaves are taken away."""
        calls = {
            name: {each for each in called if each in self._functions} for name, called in self._calls.items()
        }
        callers: dict[str, list[str]] = {}
        for name, called in calls.items():
            for each in called:
                callers.setdefault(each, []).append(name)
        waiting = {name: len(called) for name, called in calls.items() if called}
        ready = [name for name in self._functions if name not in waiting]
        while ready:
            for caller in callers.get(ready.pop(), ()):
                waiting[caller] -= 1
                if not waiting[caller]:
                    del waiting[caller]
                    ready.append(caller)
        if waiting:
            names = tuple(waiting)
            yield self._see("onnx-recursion", self._functions[names[0]], names[0], functions=names)


def _callables(node: Part) -> dict[str, str]:
    """Give the dotted names among a node's attributes, with what they do."""
    found = {}
    for attribute in node.attributes.values():
        for value in attribute.values:
            if _DOTTED.fullmatch(value):
                module, _, name = value.rpartition(".")
                found[value] = str(current_knowledge().judge(module, name).effect)
    return found


def _is_one(rows: list[Any], operator: tuple[str, str]) -> bool:
    domain, op = operator
    return any(domain in row["domains"] and re.fullmatch(row["pattern"], op) for row in rows)


def _shape(part: Part) -> str:
    return "x".join(str(size) for size in part.dims[:16])


def _file_kind(state: Any, *, inside: bool) -> str:
    """Say what is odd about a file that a model names; empty for a plain one of its own."""
    mode = state.st_mode
    if not inside:
        return "a symbolic link that leads elsewhere"
    if stat.S_ISLNK(mode):
        return ""
    if not stat.S_ISREG(mode):
        return "no regular file"
    return HARD_LINK if state.st_nlink > 1 else ""
