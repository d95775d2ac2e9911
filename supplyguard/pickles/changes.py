"""APPEND, APPENDS, ADDITEMS, SETITEM and SETITEMS on what is no plain container.

The unpicklers then call the `append`, `extend`, `add` or `__setitem__` that they find.
"""

from __future__ import annotations

from typing import Final

from supplyguard.pickles.context import Context, show
from supplyguard.pickles.knowledge import DANGEROUS, Effect
from supplyguard.pickles.operand_data import operand_data
from supplyguard.pickles.values import Attribute, Container, Global, Instance, Module, Run, Value

METHODS: Final = {
    "APPEND": ("append",),
    "APPENDS": ("extend", "append"),
    "ADDITEMS": ("add",),
    "SETITEM": ("__setitem__",),
    "SETITEMS": ("__setitem__",),
}
_TYPES: Final = frozenset({Effect.TYPE, Effect.SETSTATE, Effect.UNKNOWN, Effect.UNKNOWN_STDLIB, Effect.LOCAL})


def changed(context: Context, target: Value, opcode: str, items: list[Value | Run], offset: int) -> None:
    """Note what an opcode that puts items into `target` may do."""
    context.budget.check_time()
    if isinstance(target, Global | Module | Attribute):
        where = show(target)
        context.record.add("pickle-write", where, offset, target=where, opcode=opcode)
        return
    if not isinstance(target, Instance):
        if not _is_data(target):
            what = show(target)
            context.record.add("pickle-item-assignment", what, offset, target=what, opcode=opcode)
        return
    _armed(context, target, opcode, items, offset)
    if opcode.startswith("SETITEM") and not _takes_items(target):
        what = show(target)
        context.record.add("pickle-item-assignment", what, offset, target=what, opcode=opcode)


def _armed(context: Context, target: Instance, opcode: str, items: list[Value | Run], offset: int) -> None:
    """Call what a BUILD put in the place of a method."""
    for name in METHODS[opcode]:
        if name in target.armed:
            what = f"{show(target)}.{name}"
            context.record.add("pickle-armed-call", what, offset, callable=what, opcode=opcode)
    del items


def _is_data(target: Value) -> bool:
    """Whether the opcode can only fail or do nothing: constants and plain containers."""
    return target is None or isinstance(target, bool | int | float | str | bytes | Container)


def _takes_items(target: Instance) -> bool:
    """Whether it is an object whose type may well be a mapping: a class, not a function's result."""
    callee = target.callee
    if not isinstance(callee, Global):
        return False
    if callee.effect in _TYPES or callee.dotted in operand_data().dict_types:
        return True
    last = callee.name.rpartition(".")[2]
    return callee.effect not in DANGEROUS and last[:1].isupper()
