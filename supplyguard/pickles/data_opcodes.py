"""Opcodes that make and move data: containers, marks, the memo."""

from __future__ import annotations

from typing import Final

from supplyguard.errors import MalformedError
from supplyguard.pickles import changes
from supplyguard.pickles.lumps import group
from supplyguard.pickles.opcodes import Op
from supplyguard.pickles.state import MOST_VALUES, STRETCH, Handler, State
from supplyguard.pickles.stream import Literal
from supplyguard.pickles.values import MARK, Container, Kind, Mark, Run, Stored, Value

LONGEST_PAUSE: Final = 64
MAX_MARKS: Final = 20_000
MAX_DEPTH: Final = 10_000
HIGHEST_INDEX: Final = 1 << 24
"""C's unpickler allocates its memo up to the highest index; no pickler skips so many."""
KEPT_OF_MANY: Final = 5
"""Items kept, to be shown, of a container that has too many."""

_FIXED: Final = frozenset({Kind.TUPLE, Kind.FROZENSET})
_FILLED_BY: Final[dict[int, Kind]] = {
    Op.APPEND: Kind.LIST,
    Op.APPENDS: Kind.LIST,
    Op.SETITEM: Kind.DICT,
    Op.SETITEMS: Kind.DICT,
    Op.ADDITEMS: Kind.SET,
}
_BUILT: Final = {
    int(Op.TUPLE): Kind.TUPLE,
    int(Op.LIST): Kind.LIST,
    int(Op.DICT): Kind.DICT,
    int(Op.FROZENSET): Kind.FROZENSET,
}


def container(state: State, kind: Kind, items: list[Value | Run]) -> Container:
    """Make a container of known items."""
    depth = max((each.depth for each in items if isinstance(each, Container)), default=0) + 1
    if depth > MAX_DEPTH:
        raise state.exhausted("nesting", MAX_DEPTH, state.stream.position)
    return Container(kind, items, loose=state.replaying, depth=depth)


def mark(state: State, _: Literal, offset: int) -> None:
    """Push a mark; among passed-over opcodes, take what it marks in one go."""
    if state.replaying and _take_group(state, offset):
        return
    state.stack.append(MARK)
    state.marks += 1
    if state.marks > MAX_MARKS:
        raise state.exhausted("marks", MAX_MARKS, offset)


def _take_group(state: State, offset: int) -> bool:
    """Push, or extend the container below by, the group of inert opcodes at `offset`, if it is one."""
    reader = state.stream
    reader.position = offset
    length = state.replay_end - offset
    window, index = reader.window(min(STRETCH, length))
    match = group(state.memo.family).match(window, index, min(len(window), index + length))
    if match is None:
        return False
    state.next = end = offset + match.end() - index
    items: list[Value | Run] = [Run(offset + 1, offset + 1, end - 1)] if end - offset > 2 else []
    close(state, window[match.end() - 1], items, end - 1)
    return True


def close(state: State, code: int, items: list[Value | Run], offset: int) -> None:
    """Do what the opcode `code` does with what was above the mark."""
    kind = _BUILT.get(code)
    if kind is not None:
        state.stack.append(container(state, kind, items))
    else:
        extend(state, code, items, offset)


def extend(state: State, code: int, items: list[Value | Run], offset: int) -> None:
    """Put items into the container on top, or note what else that means."""
    target = state.top()
    if isinstance(target, Container):
        if target.kind in _FIXED:
            raise MalformedError(f"a {target.kind.value} takes no items", offset=offset)
        if target.kind is not _FILLED_BY[code]:  # only a list takes items by index; others refuse
            target.complete = False
        fill(state, target, items)
    elif isinstance(target, Stored):
        state.context.aliased = True
    else:
        changes.changed(state.context, target, Op(code).name, items, offset)


def fill(state: State, target: Container, items: list[Value | Run]) -> None:
    """Put items into a container."""
    known = target.items
    for each in items:
        if isinstance(each, Container):
            target.depth = max(target.depth, each.depth + 1)
        if target.complete:
            known.append(each)
            if len(known) > MOST_VALUES:
                target.complete = False
                del known[KEPT_OF_MANY:]
    if target.depth > MAX_DEPTH:
        raise state.exhausted("nesting", MAX_DEPTH, state.stream.position)


def closing(code: int) -> Handler:
    """Make the handler of an opcode that takes everything above a mark."""

    def handle(state: State, _: Literal, offset: int) -> None:
        close(state, code, state.to_mark(), offset)

    return handle


def counted_tuple(length: int) -> Handler:
    """Make the handler of TUPLE1, TUPLE2 or TUPLE3."""

    def handle(state: State, _: Literal, __: int) -> None:
        items: list[Value | Run] = [state.pop() for _ in range(length)]
        state.stack.append(container(state, Kind.TUPLE, items[::-1]))

    return handle


def empty(kind: Kind) -> Handler:
    """Make the handler that pushes an empty container."""

    def handle(state: State, _: Literal, __: int) -> None:
        state.stack.append(Container(kind, [], loose=state.replaying))

    return handle


def append(state: State, _: Literal, offset: int) -> None:
    """APPEND."""
    value = state.pop()
    extend(state, Op.APPEND, [value], offset)


def set_item(state: State, _: Literal, offset: int) -> None:
    """SETITEM."""
    value = state.pop()
    key = state.pop()
    extend(state, Op.SETITEM, [key, value], offset)


def drop(state: State, _: Literal, __: int) -> None:
    """POP, which also takes a mark."""
    if state.stack and isinstance(state.stack[-1], Mark):
        state.stack.pop()
        state.marks -= 1
    else:
        state.pop()


def duplicate(state: State, _: Literal, __: int) -> None:
    """DUP."""
    state.stack.append(state.top())


def get(state: State, argument: Literal, offset: int) -> None:
    """GET, BINGET, LONG_BINGET."""
    index = argument if isinstance(argument, int) else -1
    read = state.memo.read_as_of if state.replaying else state.memo.read_now
    state.stack.append(read(index, offset))


def put(state: State, argument: Literal, offset: int) -> None:
    """PUT, BINPUT, LONG_BINPUT, and MEMOIZE (no argument)."""
    if state.replaying:
        return
    index = argument if isinstance(argument, int) else None
    if index is not None and index < 0:
        raise MalformedError("a memo index is negative", offset=offset)
    if index is not None and index > max(HIGHEST_INDEX, 4 * offset):
        raise state.exhausted("memo", HIGHEST_INDEX, offset)
    value = state.top()
    kept = state.memo.write(index, value, offset, state.stream.position)
    if isinstance(value, Container) and not kept:
        value.loose = True


def drop_marked(state: State, _: Literal, __: int) -> None:
    """POP_MARK."""
    state.to_mark()


def push_true(state: State, _: Literal, __: int) -> None:
    """NEWTRUE."""
    state.stack.append(True)


def push_false(state: State, _: Literal, __: int) -> None:
    """NEWFALSE."""
    state.stack.append(False)


TABLE: Final[dict[int, Handler]] = {
    Op.MARK: mark,
    Op.APPEND: append,
    Op.SETITEM: set_item,
    Op.EMPTY_LIST: empty(Kind.LIST),
    Op.EMPTY_DICT: empty(Kind.DICT),
    Op.EMPTY_SET: empty(Kind.SET),
    Op.EMPTY_TUPLE: empty(Kind.TUPLE),
    Op.NEWTRUE: push_true,
    Op.NEWFALSE: push_false,
    Op.TUPLE1: counted_tuple(1),
    Op.TUPLE2: counted_tuple(2),
    Op.TUPLE3: counted_tuple(3),
    Op.POP: drop,
    Op.POP_MARK: drop_marked,
    Op.DUP: duplicate,
    **dict.fromkeys((Op.GET, Op.BINGET, Op.LONG_BINGET), get),
    **dict.fromkeys((Op.PUT, Op.BINPUT, Op.LONG_BINPUT, Op.MEMOIZE), put),
    **{code: closing(code) for code in (*_BUILT, Op.APPENDS, Op.SETITEMS, Op.ADDITEMS)},
}
"""Their handlers. Opcodes that only push their argument have none."""
