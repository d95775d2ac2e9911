"""Opcodes that act: imports, calls, allocations, BUILD, and what comes from outside the stream."""

from __future__ import annotations

from typing import Final

from supplyguard.errors import MalformedError
from supplyguard.pickles import builds, calls, joblib_arrays
from supplyguard.pickles.opcodes import Op
from supplyguard.pickles.state import Handler, State
from supplyguard.pickles.stream import Literal
from supplyguard.pickles.values import Buffer, Extension, Unknown, Value


def persistent(state: State, argument: Literal, offset: int) -> None:
    """PERSID (with its text) and BINPERSID."""
    value: Value = argument if isinstance(argument, str) else state.pop()
    state.context.record.add_persistent(value)
    state.stack.append(calls.persistent(state.context, value, offset))


def extension(state: State, argument: Literal, offset: int) -> None:
    """EXT1, EXT2, EXT4."""
    code = argument if isinstance(argument, int) else 0
    state.context.record.add("pickle-extension", str(code), offset, code=code)
    state.stack.append(Extension(code))


def buffer(state: State, _: Literal, offset: int) -> None:
    """NEXT_BUFFER."""
    state.context.record.add("pickle-buffer", "", offset)
    state.stack.append(Buffer())


def read_only(state: State, _: Literal, __: int) -> None:
    """READONLY_BUFFER."""
    state.top()


def import_named(state: State, argument: Literal, offset: int) -> None:
    """GLOBAL."""
    act(state)
    module, name = argument if isinstance(argument, tuple) else ("", "")
    state.stack.append(state.context.imported(module, name, offset))


def stack_global(state: State, _: Literal, offset: int) -> None:
    """STACK_GLOBAL."""
    act(state)
    name, module = state.pop(), state.pop()
    state.stack.append(calls.named(state.context, module, name, offset))


def reduce(state: State, _: Literal, offset: int) -> None:
    """REDUCE."""
    act(state)
    arguments, callee = state.pop(), state.pop()
    state.stack.append(calls.reduce(state.context, callee, arguments, offset))


def instantiate(state: State, argument: Literal, offset: int) -> None:
    """INST (class named in its text) and OBJ (class first above the mark)."""
    act(state)
    items = state.to_mark()
    if isinstance(argument, tuple):
        callee: Value = state.context.imported(*argument, offset)
    else:
        values = state.unrolled(items)
        if values is not None and not values:
            raise MalformedError("OBJ has no class", offset=offset)
        callee = Unknown("too many operands") if values is None else values[0]
        items = [*values[1:]] if values else []
    state.stack.append(calls.instantiate(state.context, callee, items, offset))


def new(state: State, _: Literal, offset: int) -> None:
    """NEWOBJ."""
    act(state)
    arguments, callee = state.pop(), state.pop()
    state.stack.append(calls.allocate(state.context, callee, arguments, None, offset))


def new_with_keywords(state: State, _: Literal, offset: int) -> None:
    """NEWOBJ_EX."""
    act(state)
    keywords, arguments, callee = state.pop(), state.pop(), state.pop()
    state.stack.append(calls.allocate(state.context, callee, arguments, keywords, offset))


def build(state: State, _: Literal, offset: int) -> None:
    """BUILD."""
    act(state)
    operand, target = state.pop(), state.top()
    builds.build(state.context, target, operand, offset)
    state.array = joblib_arrays.array_after(state.context, target, offset)


def act(state: State) -> None:
    """Prepare for an operation that can act."""
    state.context.depth = 0
    state.context.offset = state.stream.position


TABLE: Final[dict[int, Handler]] = {
    Op.PERSID: persistent,
    Op.BINPERSID: persistent,
    Op.NEXT_BUFFER: buffer,
    Op.READONLY_BUFFER: read_only,
    Op.GLOBAL: import_named,
    Op.STACK_GLOBAL: stack_global,
    Op.REDUCE: reduce,
    Op.INST: instantiate,
    Op.OBJ: instantiate,
    Op.NEWOBJ: new,
    Op.NEWOBJ_EX: new_with_keywords,
    Op.BUILD: build,
    **dict.fromkeys((Op.EXT1, Op.EXT2, Op.EXT4), extension),
}
