"""MLIR of StableHLO, as JAX exports it: the native functions that custom calls name.

Formats: https://mlir.llvm.org/docs/BytecodeFormat/ and VHLO's attributes (VhloBytecode.cpp of
github.com/openxla/stablehlo): in the properties of custom_call_v1 the third attribute is the target.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing
from typing import BinaryIO, Final

from supplyguard.errors import BudgetExceededError, MalformedError
from supplyguard.finding import Evidence, Fact, Notification
from supplyguard.inspectors.keras_config import capped
from supplyguard.inventory import Location, Member, Probe
from supplyguard.limits import MIB, Budget, Resource
from supplyguard.resources import format_data
from supplyguard.streams import buffered, read_at, size_of
from supplyguard.wire import mlir_sections as mlir
from supplyguard.wire.cursor import Cursor
from supplyguard.wire.line_count import LineCount

FORMAT: Final = "mlir_bytecode"

LARGEST_TEXT: Final = 16 * MIB
_SHOWN: Final = 200
_CUSTOM_CALL: Final = re.compile(r"custom_call(_v[0-9]+)?|(stablehlo|mhlo|vhlo)\.custom_call(_v[0-9]+)?")
_TARGET_KEY: Final = "call_target_name"
_TEXT_TARGET: Final = re.compile(
    r"""//[^\n]*|custom_call\s*@(?:"([^"\n]{0,400})"|([A-Za-z0-9_.$-]{1,400}))"""
    r"""|\bcall_target_name\s*=\s*(?:\#vhlo\.string_v1<)?"([^"\n]{0,400})"""
)
_DICTIONARY: Final = 1
_ALL_PROPERTIES: Final = 8
_TARGET_PLACE: Final = 2


def recognizes(probe: Probe) -> bool:
    """Whether it has MLIR's magic, or is named as MLIR's text."""
    text = probe.name.lower().endswith(".mlir") and bool(probe.head) and b"\0" not in probe.head
    return probe.head.startswith(mlir.MAGIC) or text


def inspect(member: Member, budget: Budget) -> Iterator[Evidence | Member | Notification]:
    """Yield each target once; raises MalformedError where the sections break."""
    yield from capped(_targets(member, budget), member.at())


def _targets(member: Member, budget: Budget) -> Iterator[Evidence | Notification]:
    with closing(buffered(member.open())) as stream:
        size = size_of(stream)
        if read_at(stream, 0, min(size, 4)) == mlir.MAGIC:
            yield from _bytecode(member, stream, size, budget)
            return
        if size > LARGEST_TEXT:
            raise BudgetExceededError("document_bytes", LARGEST_TEXT)
        text = read_at(stream, 0, size).decode("utf-8", "replace")
    lines, seen = LineCount(text), set[str]()
    for found in _TEXT_TARGET.finditer(text):
        budget.spend(Resource.NODES)
        target = found[1] or found[2] or found[3]
        if target and target not in seen:
            seen.add(target)
            where = Location(uri=member.artifact.uri, member=member.path, line=lines.at(found.start()))
            yield _see(where, target)


def _see(where: Location, target: str) -> Evidence:
    standing = "known" if re.fullmatch(format_data(FORMAT)["known_targets"], target) else "other"
    facts: dict[str, Fact] = {"target": target[:_SHOWN], "standing": standing}
    return Evidence(kind="mlir-custom-call", location=where, facts=facts, symbol=target[:_SHOWN])


def _bytecode(
    member: Member, stream: BinaryIO, size: int, budget: Budget
) -> Iterator[Evidence | Notification]:
    """Read the targets from the properties, and from dictionaries of older versions."""
    parts: dict[int, Cursor] = {}
    for kind, part in mlir.sections(Cursor(stream, 0, size)):
        parts.setdefault(kind, part)
    missing = {mlir.STRINGS, mlir.DIALECTS, mlir.ATTRIBUTES, mlir.OFFSETS} - parts.keys()
    if missing:
        raise MalformedError(f"no section of the kind {min(missing)}", offset=size)
    strings = mlir.strings(parts[mlir.STRINGS], budget, _SHOWN)
    where = member.at()
    names = [_at(strings, index) for index in mlir.dialects(parts[mlir.DIALECTS], budget)]
    body = parts[mlir.ATTRIBUTES]
    values: list[str | None] = []
    entries = []
    for each in mlir.attributes(parts[mlir.OFFSETS], body, budget):
        dialect = _at(names, each.dialect)
        values.append(_string(body.part(each.start, each.end), dialect, strings) if each.custom else None)
        if dialect == "builtin" and each.custom:
            entries.append(each)
    seen: set[str] = set()
    for target in (
        *_by_properties(parts.get(mlir.PROPERTIES), values, budget),
        *(found for each in entries for found in _by_key(body.part(each.start, each.end), values, budget)),
    ):
        if target not in seen:
            seen.add(target)
            yield _see(where, target)
    if not seen and any(_CUSTOM_CALL.fullmatch(each) for each in strings):
        text = "has custom calls whose targets could not be told"
        yield Notification(code="unsupported", message=text, location=where, incomplete=True)


def _at(texts: list[str], index: int) -> str:
    if index >= len(texts):
        raise MalformedError(f"a reference to the string {index:,} of {len(texts):,}", offset=0)
    return texts[index]


def _string(cursor: Cursor, dialect: str, strings: list[str]) -> str | None:
    """Give the text of an attribute that is a string."""
    if not cursor.remaining or mlir.number(cursor) != format_data(FORMAT)["string_codes"].get(dialect):
        return None
    return _at(strings, mlir.number(cursor)) if cursor.remaining else None


def _by_properties(part: Cursor | None, values: list[str | None], budget: Budget) -> Iterator[str]:
    """Yield the third attribute of every eight: no other operation has a string there."""
    if part is None:
        return
    for entry in mlir.properties(part, budget):
        references: list[int] = []
        try:
            while entry.remaining and len(references) <= _ALL_PROPERTIES:
                references.append(mlir.number(entry))
        except MalformedError:  # raw bytes of another dialect's operation
            continue
        if len(references) == _ALL_PROPERTIES and references[_TARGET_PLACE] < len(values):
            target = values[references[_TARGET_PLACE]]
            if target:
                yield target


def _by_key(cursor: Cursor, values: list[str | None], budget: Budget) -> Iterator[str]:
    """Yield the value of a dictionary's key for the target."""
    if mlir.number(cursor) != _DICTIONARY:
        return
    for _ in range(mlir.count(cursor, budget)):
        key, value = mlir.number(cursor), mlir.number(cursor)
        if max(key, value) < len(values) and values[key] == _TARGET_KEY and values[value]:
            yield str(values[value])
