"""What the parts of the machine share: knowledge, record, budget, and looking into values."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final

from supplyguard.errors import MalformedError
from supplyguard.limits import Budget, Resource
from supplyguard.pickles.decoders import MAX_DATA
from supplyguard.pickles.knowledge import Knowledge
from supplyguard.pickles.memo import Memo
from supplyguard.pickles.opcodes import Op
from supplyguard.pickles.record import MAX_CALLS, CallSeen, Record
from supplyguard.pickles.stream import Stream
from supplyguard.pickles.values import (
    Accessor,
    Attribute,
    Computed,
    Container,
    Extension,
    Global,
    Instance,
    Kind,
    Module,
    Partial,
    Persistent,
    Run,
    Stored,
    Unknown,
    Value,
    View,
)

MAX_LOOKED_AT: Final = 50_000
"""Items of one container that are looked at; a longer operand counts as not recovered."""
MIN_LOOKS: Final = 5_000_000
LOOKS_PER_BYTE: Final = 4
"""Items of operands that are looked at in all; a file whose operands are used once stays far below."""
MAX_CALL_DEPTH: Final = 48
MAX_INNER_CALLS: Final = 20_000
"""Calls that calls make (reduce, map, partial), in one program."""
MAX_SHOWN: Final = 120
"""Characters of one value in messages."""

_EMPTY_KINDS: Final = {Op.EMPTY_LIST: Kind.LIST, Op.EMPTY_DICT: Kind.DICT, Op.EMPTY_SET: Kind.SET}


@dataclass(slots=True, kw_only=True)
class Payload:
    """Bytes inside the pickle that its loader will load in turn. data: bytes, or a place in the file."""

    data: bytes | View
    offset: int
    loaded: bool


@dataclass(slots=True, kw_only=True)
class Context:
    """Shared by all that works on one program. protocol: as the last PROTO says.

    unroll: interprets Runs among items, gives None when that is too much. call, uncertain: those of
    `calls`. aliased: data that was already passed over was changed through the memo. depth,
    inner_calls: of calls that calls make. offset: of what acts now. looked_at: items of operands so
    far. nesting: of programs in programs.
    """

    knowledge: Knowledge
    record: Record
    budget: Budget
    reader: Stream
    memo: Memo
    unroll: Callable[[list[Value | Run]], list[Value] | None]
    call: Callable[[Context, Value, tuple[Value, ...] | None, int], Value]
    uncertain: Callable[[Context, Value, tuple[Value, ...] | None, int], Value]
    aliased: bool = False
    depth: int = 0
    inner_calls: int = 0
    offset: int = 0
    looked_at: int = 0
    protocol: int = 0
    nesting: int = 0
    payloads: list[Payload] = field(default_factory=list)

    def imported(self, module: str, name: str, offset: int) -> Global:
        """Resolve an import as the unpickler at this protocol does, and note it."""
        if self.protocol < 3:
            module, name = self.knowledge.python3_global(module, name)
        return self.reached(module, name, offset)

    def reached(self, module: str, name: str, offset: int) -> Global:
        """Note an object that is reached, by import or otherwise, under a Python 3 name."""
        known = self.record.globals.get((module, name))
        if known is None:
            self.budget.spend(Resource.ACTIONS)
            known = Global(module, name, self.knowledge.judge(module, name), offset)
            self.record.globals[module, name] = known
        return known

    def settle(self, value: Value) -> Value:
        """Give a value that was passed over as what it is, as far as can be said cheaply."""
        if not isinstance(value, Stored):
            return value
        place = self.memo.place_of(value)
        if place is None:
            return Unknown("passed over and overwritten")
        self.reader.position = place
        self.reader.frame_end = None
        code, argument = self.reader.next()
        if code in _EMPTY_KINDS:
            return Container(_EMPTY_KINDS[Op(code)], [], complete=False)
        if code == Op.EMPTY_TUPLE:
            return Container(Kind.TUPLE, [])
        if argument is not None or code == Op.NONE:
            return argument if not isinstance(argument, tuple) else Unknown("unexpected")
        if code in {Op.NEWTRUE, Op.NEWFALSE}:
            return code == Op.NEWTRUE
        return Container(Kind.TUPLE, [], complete=False)

    def items(self, value: Value) -> tuple[Value, ...] | None:
        """Give the items of a container, None when it is none or they are not all known."""
        value = self.settle(value)
        if not isinstance(value, Container) or not value.complete or (self.aliased and value.loose):
            return None
        if any(isinstance(each, Run) for each in value.items):
            unrolled = self.unroll(value.items)
            if unrolled is None:
                value.complete = False
                return None
            value.items = list(unrolled)
        self.looked_at += len(value.items)
        if self.looked_at > MIN_LOOKS + LOOKS_PER_BYTE * self.offset:
            raise MalformedError(
                "operands are used again and again, beyond what can be followed", offset=self.offset
            )
        if len(value.items) > MAX_LOOKED_AT:
            return None
        return tuple(self.settle(each) for each in value.items if not isinstance(each, Run))

    def arguments(self, value: Value) -> tuple[Value, ...] | None:
        """Give the items of an argument tuple."""
        value = self.settle(value)
        if not isinstance(value, Container) or value.kind is not Kind.TUPLE:
            return None
        return self.items(value)

    def pairs(self, value: Value) -> list[tuple[Value, Value]] | None:
        """Give the keys and values of a dict, None when they are not all known."""
        value = self.settle(value)
        if not isinstance(value, Container) or value.kind is not Kind.DICT:
            return None
        items = self.items(value)
        if items is None:
            return None
        return list(zip(items[::2], items[1::2], strict=False))

    def text(self, value: Value) -> str | None:
        """Give a str operand."""
        value = self.settle(value)
        return value if isinstance(value, str) else None

    def data(self, value: Value) -> bytes | None:
        """Give a bytes operand of moderate length."""
        value = self.settle(value)
        if isinstance(value, Instance) and value.content is not None:
            value = value.content
        if isinstance(value, View) and value.kind in {"bytes", "bytearray"} and value.length <= MAX_DATA:
            return self.reader.peek(value.offset, value.length)
        return value if isinstance(value, bytes) else None

    def note_call(self, opcode: str, callee: Value, arguments: tuple[Value, ...] | None, offset: int) -> None:
        """Keep a call for those who want to read all of them."""
        record = self.record
        if record.keep_calls and len(record.calls) < MAX_CALLS:
            shown = "..." if arguments is None else ", ".join(show_all(arguments))
            record.calls.append(
                CallSeen(offset=offset, opcode=opcode, callable=show(callee), arguments=shown)
            )

    def enter(self, offset: int) -> None:
        """Count one more call inside a call; raises MalformedError when that goes on too long."""
        self.depth += 1
        self.inner_calls += self.depth > 1
        if self.depth > MAX_CALL_DEPTH or self.inner_calls > MAX_INNER_CALLS:
            raise MalformedError("calls are nested deeper than can be followed", offset=offset)


def show_all(values: Iterable[Value]) -> list[str]:
    """Describe several values for people."""
    return [show(each) for each in values]


def show(value: Value | Run, depth: int = 0) -> str:
    """Describe a value for people, in bounded space."""
    if isinstance(value, Computed):
        value = str(value)
    if value is None or isinstance(value, bool | int | float | str | bytes):
        if isinstance(value, int) and value.bit_length() > 256:
            return "<big number>"
        text = repr(value[:MAX_SHOWN] if isinstance(value, str | bytes) else value)
        return text if len(text) <= MAX_SHOWN else text[:MAX_SHOWN] + "..."
    if isinstance(value, Container):
        return _show_container(value, depth)
    return _show_node(value, depth)


def _show_container(value: Container, depth: int) -> str:
    opening, closing = _BRACKETS[value.kind]
    if depth > 2:
        return f"{opening}...{closing}"
    inner = ", ".join(show(each, depth + 1) for each in value.items[:5])
    if len(value.items) > 5 or not value.complete:
        inner += ", ..." if inner else "..."
    return f"{opening}{inner}{closing}"


_BRACKETS: Final = {
    Kind.TUPLE: ("(", ")"),
    Kind.LIST: ("[", "]"),
    Kind.DICT: ("{", "}"),
    Kind.SET: ("{", "}"),
    Kind.FROZENSET: ("frozenset(", ")"),
}


def _show_node(value: Value | Run, depth: int) -> str:
    if depth > 6:
        return "..."
    if isinstance(value, Global):
        return value.dotted
    if isinstance(value, Module):
        return f"module {value.name}"
    if isinstance(value, Attribute):
        return f"{show(value.owner, depth + 1)}.{value.name}"
    if isinstance(value, Instance):
        return f"{show(value.callee, depth + 1)}(...)"
    if isinstance(value, Partial):
        return f"partial({show(value.callee, depth + 1)}, ...)"
    if isinstance(value, Accessor):
        return f"{value.kind}({', '.join(show(each, depth + 1) for each in value.arguments[:3])})"
    if isinstance(value, Persistent):
        return f"persistent id {show(value.identifier, depth + 1)}"
    if isinstance(value, Extension):
        return f"extension code {value.code}"
    if isinstance(value, View):
        return f"<{value.kind} of {value.length:,} bytes>"
    if isinstance(value, Unknown):
        return f"<{value.reason}>"
    return "..."
