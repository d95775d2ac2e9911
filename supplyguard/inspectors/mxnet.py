"""MXNet models: operators of a `-symbol.json` that run Python or use addresses, and `.params` records.

Formats: nnvm's saved JSON; src/ndarray/ndarray.cc of github.com/apache/mxnet (NDArray::Save). The
states of trainers are pickles, which are the pickle inspector's. Tensor data is passed over.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing
from math import prod
from typing import Any, Final

from supplyguard.archives.signs import text_signs
from supplyguard.errors import BudgetExceededError, MalformedError, UnsupportedError
from supplyguard.finding import Evidence, Fact
from supplyguard.inventory import Member, Probe
from supplyguard.limits import Budget, Resource
from supplyguard.resources import format_data
from supplyguard.streams import read_at, size_of
from supplyguard.wire.cursor import Cursor
from supplyguard.wire.json_document import parse_json

FORMAT: Final = "mxnet"

MAGIC: Final = bytes.fromhex("1201000000000000")
_V1, _V2, _V3 = 0xF993FAC8, 0xF993FAC9, 0xF993FACA
_LEAST_RECORD: Final = 4
_MOST_DIMS: Final = 32


def recognizes(probe: Probe) -> bool:
    """Whether it is a list of arrays, or JSON with a symbol's keys."""
    if probe.head.startswith(MAGIC):
        return True
    if not probe.name.lower().endswith(".json") or probe.head.lstrip()[:1] != b"{":
        return False
    ends = probe.head + probe.tail
    return b'"nodes"' in probe.head and b'"arg_nodes"' in ends and b'"heads"' in ends


def inspect(member: Member, budget: Budget) -> Iterator[Evidence]:
    """Yield what operators and attributes ask for, or records that do not fit the file."""
    with closing(member.open()) as stream:
        size = size_of(stream)
        if read_at(stream, 0, min(8, size)) == MAGIC:
            yield from _parameters(member, Cursor(stream, 8, size), budget)
            return
        if size > budget.limits.document_bytes:
            raise BudgetExceededError("document_bytes", budget.limits.document_bytes)
        document = parse_json(read_at(stream, 0, size), budget)
    yield from _symbol(member, document, budget)


def _symbol(member: Member, document: Any, budget: Budget) -> Iterator[Evidence]:
    """Walk the nodes, and the graphs inside nodes."""
    work = [document]
    while work:
        graph = work.pop()
        nodes = graph.get("nodes") if isinstance(graph, dict) else None
        if not isinstance(nodes, list):
            raise MalformedError("a symbol without a list of nodes", offset=0)
        for node in nodes:
            budget.spend(Resource.NODES)
            if isinstance(node, dict):
                yield from _node(member, node)
                inner = node.get("subgraphs")
                work.extend(inner if isinstance(inner, list) else ())


def _node(member: Member, node: dict[str, Any]) -> Iterator[Evidence]:
    table = format_data(FORMAT)
    op, name = str(node.get("op", "")), str(node.get("name", ""))
    attributes: dict[str, str] = {}
    for key in ("attrs", "attr", "param"):
        part = node.get(key)
        attributes |= {str(key): str(value) for key, value in part.items()} if isinstance(part, dict) else {}
    role = ""
    if op in table["pointer_operators"]:
        role = "pointer"
    elif op in table["python_operators"]:
        role = "python"
    elif re.fullmatch(table["native_operators"], op):
        role = "native"
    if role:
        facts: dict[str, Fact] = {"op": op, "name": name, "role": role, "type": attributes.get("op_type", "")}
        yield Evidence(kind="mxnet-operator", location=member.at(), facts=facts, symbol=f"{op}:{name}")
    for key, value in attributes.items():
        signs = list(text_signs(value))
        if re.fullmatch(table["library_keys"], key):
            signs.append("the name of a library")
        for what in signs:
            facts = {"name": name, "key": key, "what": what}
            yield Evidence(kind="mxnet-attribute", location=member.at(), facts=facts, symbol=f"{name}:{key}")


def _parameters(member: Member, cursor: Cursor, budget: Budget) -> Iterator[Evidence]:
    """Walk the records; raises MalformedError after the Evidence of the one that does not fit."""
    try:
        cursor.skip(8)
        count = _count(cursor, _LEAST_RECORD)
        for _ in range(count):
            budget.spend(Resource.NODES)
            _record(cursor)
        for _ in range(_count(cursor, 8)):
            budget.spend(Resource.NODES)
            cursor.skip(cursor.number("Q"))
    except MalformedError as error:
        facts: dict[str, Fact] = {"detail": error.message}
        yield Evidence(kind="mxnet-parameters", location=member.at(error.offset), facts=facts)
        raise


def _count(cursor: Cursor, least: int) -> int:
    at = cursor.position
    count = cursor.number("Q")
    if count > cursor.remaining // least:
        raise MalformedError(f"claims {count:,} entries in {cursor.remaining:,} bytes", offset=at)
    return count


def _record(cursor: Cursor) -> None:
    """Pass over one array."""
    at = cursor.position
    magic = cursor.number("I")
    if magic not in {_V1, _V2, _V3}:
        raise UnsupportedError(f"an array of the format {magic:#x}, which is not read here")
    if magic != _V1 and cursor.number("i") != 0:
        raise UnsupportedError("a sparse array, which is not read here")
    dims = cursor.number("i")
    if not -1 <= dims <= _MOST_DIMS:
        raise MalformedError(f"an array of {dims:,} dimensions", offset=at)
    shape = [cursor.number("q") for _ in range(max(dims, 0))]
    if dims <= 0 and (dims < 0 or magic != _V3):
        return
    cursor.skip(8)
    kind = cursor.number("i")
    width = format_data(FORMAT)["bytes"].get(str(kind))
    if width is None:
        raise UnsupportedError(f"an array of the type {kind}, which is not read here")
    if any(size < 0 for size in shape):
        raise MalformedError("an array of a negative size", offset=at)
    length = prod(shape) * width
    if length > cursor.remaining:
        raise MalformedError(f"an array of {length:,} bytes, {cursor.remaining:,} are left", offset=at)
    cursor.skip(length)
