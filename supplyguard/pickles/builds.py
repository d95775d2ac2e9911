"""BUILD: what a state does to the object that it is put on.

The unpicklers call the instance's `__setstate__` where it has one, and otherwise fill its
`__dict__` and slots. So a state can bring along what a later opcode calls.
"""

from __future__ import annotations

from typing import Final

from supplyguard.pickles import setstates
from supplyguard.pickles.context import Context, Payload, show
from supplyguard.pickles.knowledge import Effect
from supplyguard.pickles.operand_data import operand_data
from supplyguard.pickles.values import (
    Accessor,
    Attribute,
    Buffer,
    Computed,
    Container,
    Extension,
    Global,
    Instance,
    Kind,
    Module,
    Partial,
    Persistent,
    Stored,
    Unknown,
    Value,
    View,
)

_CALLABLES: Final = (Global, Partial, Accessor, Attribute, Unknown, Module, Extension, Persistent, Buffer)
_MAX_STATES: Final = 8


def build(context: Context, target: Value, state: Value, offset: int) -> None:
    """Note what BUILD does."""
    target = context.settle(target)
    if isinstance(target, Global | Module | Attribute):
        where = show(target)
        context.record.add("pickle-write", where, offset, target=where, opcode="BUILD")
        return
    if isinstance(target, Partial):
        _rebind(context, target, state, offset)
        return
    if not isinstance(target, Instance):
        if not _is_data(target):
            what = show(target)
            context.record.add("pickle-computed-state", what, offset, target=what)
        return
    if "__setstate__" in target.armed:
        what = f"{show(target)}.__setstate__"
        context.record.add("pickle-armed-call", what, offset, callable=what, opcode="BUILD")
    _arm(context, target, state, offset)
    setstates.check(context, target, state, offset)
    _hand_on(context, target, state, offset)
    target.states.append(state)
    if len(target.states) > _MAX_STATES:
        del target.states[0]


def _hand_on(context: Context, target: Instance, state: Value, offset: int) -> None:
    """Have the bytes and texts examined that a library's `__setstate__` parses natively: boosters' models."""
    if not isinstance(target.callee, Global) or target.callee.effect is not Effect.SETSTATE:
        return
    for part in _dicts(context, state):
        for _, value in context.pairs(part) or ():
            held = context.settle(value)
            if isinstance(held, Instance):
                held = held.content
            if isinstance(held, str):
                held = held.encode("utf-8", "surrogatepass")
            if isinstance(held, bytes) or (isinstance(held, View) and held.kind != "int"):
                context.payloads.append(Payload(data=held, offset=offset, loaded=False))


def _rebind(context: Context, target: Partial, state: Value, offset: int) -> None:
    """Do functools.partial's state: (callable, arguments, keywords, attributes)."""
    parts = context.items(state)
    if parts is None or len(parts) != 4:
        context.record.add("pickle-computed-state", show(target), offset, target=show(target))
        return
    target.callee = parts[0]
    target.arguments = context.arguments(parts[1]) or ()


def _is_data(target: Value) -> bool:
    return target is None or isinstance(
        target, bool | int | float | str | bytes | Computed | Container | Stored
    )


def _arm(context: Context, target: Instance, state: Value, offset: int) -> None:
    """Look for attributes that loaders call among those that the state sets."""
    armed = set(target.armed)
    for part in _dicts(context, state):
        pairs = context.pairs(part)
        if pairs is None:
            what = show(target)
            context.record.add("pickle-computed-state", what, offset, target=what)
            continue
        for key, value in pairs:
            if isinstance(key, str) and key in operand_data().armed_attributes and _may_call(key, value):
                armed.add(str(key))
                context.record.add(
                    "pickle-hostile-state",
                    f"{show(target)}.{key}",
                    offset,
                    target=show(target),
                    attribute=str(key),
                    value=show(value),
                )
    target.armed = frozenset(armed)


def _dicts(context: Context, state: Value) -> list[Value]:
    """Give the parts of a state that become attributes: a dict, or a pair of two."""
    state = context.settle(state)
    if not isinstance(state, Container):
        return []
    if state.kind is Kind.DICT:
        return [state]
    parts = context.items(state) if state.kind is Kind.TUPLE else None
    if parts is None or len(parts) != 2:
        return []
    return [each for each in parts if isinstance(each, Container) and each.kind is Kind.DICT]


def _may_call(key: str, value: Value) -> bool:
    if isinstance(value, Instance):
        return key.startswith("__") or (
            isinstance(value.callee, Global) and value.callee.effect is Effect.EMBEDS_CODE
        )
    return isinstance(value, _CALLABLES)
