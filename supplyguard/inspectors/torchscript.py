"""TorchScript archives (`torch.jit.save`): what their code touches outside tensors.

The pickles inside can only make tensors and classes of the archive's own code. Archives for the mobile
interpreter (.ptl) have that code as bytecode too. It runs:
`__setstate__` during `torch.jit.load`, the rest when the model is called, and some operators read and
write files. Sources: torch/csrc/jit/serialization/{import.cpp,import_source.cpp},
aten/src/ATen/native/native_functions.yaml. Lists are rules/formats/torchscript.json.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Any, Final

from supplyguard.archives.zip_contents import Item, read_contents
from supplyguard.archives.zip_directory import is_zip
from supplyguard.archives.zip_layouts import layout_of
from supplyguard.archives.zip_members import Archive
from supplyguard.errors import MalformedError, UnsupportedError
from supplyguard.finding import Evidence, Fact
from supplyguard.inventory import Member, Probe
from supplyguard.limits import MIB, Budget
from supplyguard.pickles.knowledge import current_knowledge
from supplyguard.pickles.torch_bytecode import operators_of
from supplyguard.pickles.torch_storages import programs_of
from supplyguard.resources import format_data
from supplyguard.streams import Allowance, buffered, size_of
from supplyguard.wire.script_code import Method, read_methods

FORMAT: Final = "torchscript"

MOST_CODE: Final = 64 * MIB
"""Bytes of one code member that are read."""
_CHUNK: Final = 256 * 1024
_SHOWN: Final = 50
_MARK: Final = b"/constants.pkl"
_BYTECODE: Final = "/bytecode.pkl"
_AT_LOAD: Final = "__setstate__"
_CLASSES: Final = re.compile(r"__torch__\.torch\.classes\.(\w+)\..+")
_NAMESPACE: Final = re.compile(r"torch|__torch__|(?:torch\.)?ops(?:\.\w+)?")
"""A whole namespace taken as a value, which no printed program does."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Use:
    """A name that a method uses. at_load: loading may run the method."""

    member: Member
    place: int
    method: str
    name: str
    at_load: bool


def recognizes(probe: Probe) -> bool:
    """Whether it is a zip whose seen part names `constants.pkl`, or whose directory is not all seen."""
    if not is_zip(probe):
        return False
    whole = probe.size is not None and probe.size <= len(probe.head) + len(probe.tail)
    return not whole or _MARK in probe.head.lower() or _MARK in probe.tail.lower()


def inspect(member: Member, budget: Budget) -> Iterator[Evidence]:
    """Yield what code and pickles reach; an archive that cannot be read is zip_archive's to report."""
    with closing(buffered(member.open())) as stream:
        size = size_of(stream)
        try:
            contents = read_contents(stream, size, budget)
        except MalformedError:
            return
        layout = layout_of(contents.names)
        if layout.name != "torchscript":
            return
        archive = Archive(member=member, size=size, budget=budget, allowance=Allowance(budget, size))
        code: list[tuple[Member, Method]] = []
        root = layout.root.casefold()
        for item in contents.items:
            name = item.entry.name.casefold()
            if item.local is None:
                continue
            if name.startswith(f"{root}/code/") and name.endswith(".py"):
                yield from _read(archive, item, code)
            elif name.removeprefix(f"{root}/") in format_data("torchscript")["pickles"]:
                yield from _imports(_inner(archive, item), budget, code)
        yield from _uses(code)
        yield from _strings(code)


def _inner(archive: Archive, item: Item) -> Member:
    assert item.local is not None  # noqa: S101 - the caller has looked
    outer = archive.member
    opener, size = archive.content(item.entry, item.local.data)
    return Member(
        artifact=outer.artifact, path=(*outer.path, item.entry.name), open=opener, size=min(size, MOST_CODE)
    )


def _read(archive: Archive, item: Item, code: list[tuple[Member, Method]]) -> Iterator[Evidence]:
    """Add the methods of one code member to `code`; yield why it cannot be read as code."""
    member = _inner(archive, item)
    data = bytearray()
    try:
        with closing(member.open()) as stream:
            while len(data) <= MOST_CODE and (more := stream.read(_CHUNK)):
                data += more
    except (MalformedError, UnsupportedError):
        # zip_archive yields the member, and reading it there says the same; what came before counts
        pass
    if len(data) > MOST_CODE:
        yield _unread(member, MOST_CODE, "is longer than 64 MiB")
    if b"\0" in data:
        yield _unread(member, data.index(b"\0"), "holds NUL bytes")
    try:
        text = data[:MOST_CODE].decode("utf-8", "replace")
        code.extend((member, method) for method in read_methods(text, archive.budget))
    except MalformedError as error:
        if b"\0" not in data:
            yield _unread(member, error.offset, error.message)


def _unread(member: Member, offset: int | None, reason: str) -> Evidence:
    facts: dict[str, Fact] = {"name": member.name, "reason": reason}
    return Evidence(kind="torchscript-unread", location=member.at(offset), facts=facts, symbol=member.name)


def _imports(member: Member, budget: Budget, code: list[tuple[Member, Method]]) -> Iterator[Evidence]:
    """Yield the imports of a pickle that TorchScript's own reader does not know.

    The methods that a mobile archive has as bytecode are added to `code`.
    """
    known = re.compile(format_data("torchscript")["globals"])
    try:
        programs = programs_of(member, budget, current_knowledge())
    except (MalformedError, UnsupportedError):
        # as for code: reading the member itself says the same
        return
    for program in programs if member.name.casefold().endswith(_BYTECODE) else ():
        methods: dict[str, Method] = {}
        for name, operator in operators_of(program, budget):
            methods.setdefault(name, Method(name=name, names={}, strings={})).names[operator] = program.start
        code.extend((member, method) for method in methods.values())
    foreign = [each for program in programs for each in program.globals if not known.fullmatch(each.dotted)]
    for each in foreign[:_SHOWN]:
        facts: dict[str, Fact] = {"callable": each.dotted, "effect": each.effect.value}
        place = member.at(each.offset)
        yield Evidence(kind="torchscript-import", location=place, facts=facts, symbol=each.dotted)


def _uses(code: list[tuple[Member, Method]]) -> Iterator[Evidence]:
    """Yield each operator and class that reaches beyond tensors, the first use of each."""
    lists = format_data("torchscript")
    running = _running(code)
    seen: dict[tuple[str, str], Evidence] = {}
    for member, method in code:
        for name, place in method.names.items():
            at_load = method.name in running
            use = _Use(member=member, place=place, method=method.name, name=name, at_load=at_load)
            for evidence in _judged(use, lists):
                known = seen.get((evidence.kind, evidence.symbol))
                if known is None or (at_load and not known.facts.get("at_load")):
                    seen[evidence.kind, evidence.symbol] = evidence
    yield from seen.values()


def _judged(use: _Use, lists: Any) -> Iterator[Evidence]:
    namespace, colons, _ = use.name.partition("::")
    owned = _CLASSES.fullmatch(use.name)
    if _NAMESPACE.fullmatch(use.name):
        yield _see(use, "torchscript-namespace", use.name)
    elif owned is not None and owned[1] not in lists["class_namespaces"]:
        yield _see(use, "torchscript-native", f"class {owned[1]}", what="classes", namespace=owned[1])
    elif _is_listed(use.name, lists["file_operators"]):
        yield _see(use, "torchscript-file", use.name)
    elif re.fullmatch(lists["remote_operators"], use.name):
        yield _see(use, "torchscript-remote", use.name)
    elif colons and namespace not in lists["namespaces"]:
        yield _see(use, "torchscript-native", namespace, what="operators", namespace=namespace)
    elif colons and use.method == _AT_LOAD and namespace not in lists["load_namespaces"]:
        yield _see(use, "torchscript-load", use.name)


def _is_listed(name: str, operators: list[str]) -> bool:
    """Whether it is one of the operators, or an overload of one ("aten::save.default")."""
    return any(name == each or name.startswith(f"{each}.") for each in operators)


def _see(use: _Use, kind: str, symbol: str, **more: Fact) -> Evidence:
    facts: dict[str, Fact] = {"operator": use.name, "method": use.method, "at_load": use.at_load, **more}
    return Evidence(kind=kind, location=use.member.at(use.place), facts=facts, symbol=symbol)


def _running(code: list[tuple[Member, Method]]) -> frozenset[str]:
    """Name the methods that loading may run: `__setstate__`, and any with a name used there, and so on."""
    used: dict[str, set[str]] = {}
    for _, method in code:
        used.setdefault(method.name, set()).update(re.split(r"[.:]", name)[-1] for name in method.names)
    running: set[str] = set()
    todo = [_AT_LOAD]
    while todo:
        name = todo.pop()
        if name in used and name not in running:
            running.add(name)
            todo.extend(used[name])
    return frozenset(running)


def _strings(code: list[tuple[Member, Method]]) -> Iterator[Evidence]:
    """Yield strings that as a whole are a path, an address or shell text."""
    patterns = [(what, re.compile(text)) for what, text in format_data("torchscript")["strings"].items()]
    shown: set[str] = set()
    for member, method in code:
        for text, place in method.strings.items():
            for what, pattern in patterns:
                if text in shown or len(shown) >= _SHOWN or not pattern.fullmatch(text[:4096]):
                    continue
                shown.add(text)
                facts: dict[str, Fact] = {"text": text[:200], "what": what, "method": method.name}
                place_of = member.at(place)
                yield Evidence(kind="torchscript-string", location=place_of, facts=facts, symbol=text[:80])
