"""Calls: what a callable taken from a pickle does with the operands that it is given.

Whatever cannot be said for certain becomes a sighting of its own; no call goes by unseen.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from supplyguard.finding import Fact
from supplyguard.limits import Resource
from supplyguard.pickles import conditions, evaluate
from supplyguard.pickles.context import Context, Payload, show, show_all
from supplyguard.pickles.knowledge import DANGEROUS, Effect
from supplyguard.pickles.values import (
    Accessor,
    Attribute,
    Computed,
    Container,
    Global,
    Instance,
    Kind,
    Module,
    Partial,
    Persistent,
    Run,
    Unknown,
    Value,
    View,
)

Arguments = tuple[Value, ...] | None
"""None: not known."""
MODULE_PARTS: Final = 4


def named(context: Context, module: Value, name: Value, offset: int) -> Value:
    """Do STACK_GLOBAL: resolve a module and a name that were on the stack."""
    module, name = context.settle(module), context.settle(name)
    computed = isinstance(module, Computed) or isinstance(name, Computed)
    if not isinstance(module, str) or not isinstance(name, str):
        context.record.add("pickle-computed-name", "", offset, name=f"{show(module)}.{show(name)}")
        return Unknown("an import whose name is computed")
    found = context.imported(str(module), str(name), offset)
    if computed:
        context.record.add("pickle-computed-name", found.dotted, offset, name=found.dotted)
    return found


def reduce(context: Context, callee: Value, arguments: Value, offset: int) -> Value:
    """Do REDUCE."""
    given = context.arguments(arguments)
    callee = context.settle(callee)
    context.note_call("REDUCE", callee, given, offset)
    return call(context, callee, given, offset)


def instantiate(context: Context, callee: Value, items: list[Value | Run], offset: int) -> Value:
    """Do INST and OBJ: call anything; with no operands a plain class is only allocated."""
    callee = context.settle(callee)
    given = context.items(Container(Kind.TUPLE, items))
    context.note_call("OBJ", callee, given, offset)
    if isinstance(callee, Global) and given == () and callee.effect in _ALLOCATED:
        callee.called = True
        return Instance(callee, given, offset)
    return call(context, callee, given, offset)


def allocate(context: Context, callee: Value, arguments: Value, keywords: Value, offset: int) -> Value:
    """Do NEWOBJ and NEWOBJ_EX: `callee.__new__(callee, *arguments, **keywords)`."""
    callee = context.settle(callee)
    given = context.arguments(arguments)
    context.note_call("NEWOBJ", callee, given, offset)
    if keywords is not None and given is not None:
        pairs = context.pairs(keywords)
        given = None if pairs is None else (*given, *(value for _, value in pairs))
    return make(context, callee, given, offset)


def make(context: Context, callee: Value, given: Arguments, offset: int) -> Value:
    """Allocate an object of a class."""
    if isinstance(callee, Global):
        callee.called = True
        if callee.effect in _ALLOCATED or callee.judgement.condition in _PLAIN_NEW:
            return Instance(callee, given, offset)
    if _is_carried(callee):
        return Instance(callee, given, offset)
    return call(context, callee, given, offset)


def _is_carried(value: Value) -> bool:
    """Whether it is a class or function built from code in the pickle."""
    return (
        isinstance(value, Instance)
        and isinstance(value.callee, Global)
        and value.callee.effect is Effect.EMBEDS_CODE
    )


_ALLOCATED: Final = frozenset(
    {
        Effect.INERT,
        Effect.TYPE,
        Effect.SETSTATE,
        Effect.LOCAL,
        Effect.UNKNOWN,
    }
)
_HARMLESS: Final = frozenset({Effect.INERT, Effect.TYPE, Effect.SETSTATE})
_PLAIN_NEW: Final = frozenset({"scipy-template", "formula", "companion-file", "array-state", "stored-only"})
"""Conditions on what comes after allocation, not on the allocation."""


def call(context: Context, callee: Value, given: Arguments, offset: int) -> Value:
    """Call something."""
    context.enter(offset)
    try:
        if isinstance(callee, Global):
            callee.called = True
            if callee.effect not in _HARMLESS:
                context.budget.spend(Resource.ACTIONS)
            return _EFFECTS[callee.effect](context, callee, given, offset)
        context.budget.spend(Resource.ACTIONS)
        if isinstance(callee, Partial):
            joined = None if given is None else (*callee.arguments, *given)
            return call(context, callee.callee, joined, offset)
        if isinstance(callee, Accessor):
            return evaluate.access(context, callee, given, offset)
        if isinstance(callee, Attribute):
            return evaluate.method(context, callee, given, offset)
        if _is_carried(callee):
            what = show(callee)
            context.record.add("pickle-embedded-call", what, offset, callable=what, arguments=_shown(given))
            return Unknown("what code in the pickle gives")
        return uncertain(context, callee, given, offset)
    finally:
        context.depth -= 1


def uncertain(context: Context, callee: Value, given: Arguments, offset: int) -> Value:
    """Note a call of something that could not be recovered."""
    what = _brief(callee)
    context.record.add("pickle-computed-call", what, offset, callable=what, arguments=_shown(given))
    return Unknown("the result of a call that could not be followed")


def _brief(value: Value) -> str:
    """Describe a value by what does not depend on how far it was looked into."""
    return f"a {value.kind.value}" if isinstance(value, Container) else show(value)[:60]


def _shown(given: Arguments) -> str:
    return "..." if given is None else ", ".join(show_all(given[:8]))


def _inert(context: Context, callee: Global, given: Arguments, offset: int) -> Value:
    known = evaluate.result(context, callee, given, offset)
    return known if known is not None else Instance(callee, given, offset)


def _type(context: Context, callee: Global, given: Arguments, offset: int) -> Value:
    """Run a constructor that was only reviewed as a type."""
    return _unknown(context, callee, given, offset)


def facts(callee: Global, given: Arguments) -> dict[str, Fact]:
    """Describe a call."""
    return {
        "callable": callee.dotted,
        "effect": callee.effect.value,
        "library": callee.judgement.library,
        "reason": callee.judgement.reason,
        "arguments": _shown(given),
    }


def acting(context: Context, callee: Global, given: Arguments, offset: int) -> Value:
    """Note a call that reaches outside the pickle."""
    context.record.add("pickle-call", callee.dotted, offset, **facts(callee, given))
    if callee.effect is Effect.LOADER:
        follow(context, given, offset)
    known = evaluate.result(context, callee, given, offset)
    return known if known is not None else Instance(callee, given, offset)


def follow(context: Context, given: Arguments, offset: int) -> None:
    """Have the bytes that a loader is given examined."""
    for each in given or ():
        held = each.content if isinstance(each, Instance) else each
        if isinstance(held, bytes) or (isinstance(held, View) and held.kind in {"bytes", "bytearray"}):
            context.payloads.append(Payload(data=held, offset=offset, loaded=True))


def _conditional(context: Context, callee: Global, given: Arguments, offset: int) -> Value:
    known = evaluate.result(context, callee, given, offset)
    outcome = conditions.check(context, callee, given, offset)
    if outcome.called is not None:
        called = call(context, outcome.called, outcome.operands, offset)
        return called if outcome.result is None else outcome.result
    if outcome.made is not None:
        made = make(context, outcome.made, outcome.operands, offset)
        return made if outcome.result is None else outcome.result
    if outcome.problem:
        described = facts(callee, given) | {
            "problem": outcome.problem,
            "condition": callee.judgement.condition,
        }
        context.record.add(
            "pickle-operand",
            f"{callee.dotted}: {outcome.problem}",
            offset,
            recovered=given is not None,
            odd=outcome.odd,
            **described,
        )
    if known is not None:
        return known
    return outcome.result if outcome.result is not None else Instance(callee, given, offset)


def _embeds(context: Context, callee: Global, given: Arguments, offset: int) -> Value:
    from_code = conditions.code_names(context, given)
    context.record.add(
        "pickle-embedded-code",
        ", ".join(from_code.reaches),
        offset,
        **facts(callee, given),
        names=from_code.names,
        reaches=", ".join(from_code.reaches),
        dangerous=bool(from_code.reaches),
    )
    known = evaluate.result(context, callee, given, offset)
    return known if known is not None else Instance(callee, given, offset)


def _local(context: Context, callee: Global, given: Arguments, offset: int) -> Value:
    context.record.add("pickle-local-call", callee.dotted, offset, **facts(callee, given))
    return Instance(callee, given, offset)


def _unknown(context: Context, callee: Global, given: Arguments, offset: int) -> Value:
    """Call what nobody reviewed: the import is listed; operands that look like orders are told."""
    problem = conditions.ordering(context, given)
    if problem:
        context.record.add(
            "pickle-suspicious-call", callee.dotted, offset, problem=problem, **facts(callee, given)
        )
    return Instance(callee, given, offset)


def _unknown_standard(context: Context, callee: Global, given: Arguments, offset: int) -> Value:
    known = evaluate.result(context, callee, given, offset)
    if known is not None:
        return known
    context.record.add("pickle-unreviewed-call", callee.dotted, offset, **facts(callee, given))
    return Instance(callee, given, offset)


def _module(context: Context, callee: Global, given: Arguments, offset: int) -> Value:
    return uncertain(context, Module(callee.dotted), given, offset)


_EFFECTS: Final[dict[Effect, Callable[[Context, Global, Arguments, int], Value]]] = {
    Effect.INERT: _inert,
    Effect.TYPE: _type,
    Effect.SETSTATE: _type,
    Effect.CONDITIONAL: _conditional,
    Effect.EMBEDS_CODE: _embeds,
    Effect.LOCAL: _local,
    Effect.UNKNOWN: _unknown,
    Effect.UNKNOWN_STDLIB: _unknown_standard,
    Effect.UNKNOWN_MODULE: _module,
    **dict.fromkeys(DANGEROUS, acting),
}


def persistent(context: Context, identifier: Value, offset: int) -> Value:
    """Give what a persistent id stands for, and note one that torch does not write.

    torch's are ("storage", type, key, location, count), a storage's key alone in its tar format, and
    ("module", class, file, source), which gives the class.
    """
    settled = context.settle(identifier)
    parts = context.items(settled) if isinstance(settled, Container) else None
    if parts and parts[0] == "module" and len(parts) == MODULE_PARTS:
        return parts[1]
    keyed = isinstance(settled, str) and settled.isdecimal()
    if not keyed and not (parts and parts[0] == "storage"):
        context.record.add("pickle-persistent-id", _brief(settled), offset, identifier=show(settled))
    return Persistent(identifier)
