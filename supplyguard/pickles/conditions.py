"""Operand rules: what the operands of a conditional global must be for its call to be harmless.

One function for each value of `knowledge.Condition` that says something about a call.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from supplyguard.pickles.context import Context, Payload, show
from supplyguard.pickles.knowledge import DANGEROUS, Condition, Effect
from supplyguard.pickles.numpy_state import dtype_problem
from supplyguard.pickles.operand_data import operand_data
from supplyguard.pickles.values import (
    Attribute,
    Computed,
    Container,
    Extension,
    Global,
    Instance,
    Module,
    Partial,
    Persistent,
    Unknown,
    Value,
    View,
)

Arguments = tuple[Value, ...] | None
MAX_SIZE: Final = 1 << 31
MAX_NUMBER_TEXT: Final = 64
UNKNOWN_OPERANDS: Final = "its operands could not be recovered"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a conditional call comes to.

    problem: why it is not harmless, "" when it is; odd: whether that is merely unusual.
    called, made: a callable that it calls or a class that it allocates, with `operands`.
    result: what it gives, None when that is not known.
    """

    problem: str = ""
    odd: bool = False
    called: Value = None
    made: Value = None
    operands: Arguments = ()
    result: Value = None


FINE: Final = Outcome()
_Check = Callable[[Context, Global, tuple[Value, ...], int], Outcome]


def check(context: Context, callee: Global, given: Arguments, offset: int) -> Outcome:
    """Apply the operand rule of a conditional global."""
    condition = callee.judgement.condition
    if given is None:
        return FINE if condition in _HARMLESS_UNKNOWN else Outcome(problem=UNKNOWN_OPERANDS)
    rule = _RULES.get(condition)
    if rule is None:
        return Outcome(problem="it is only known to be harmless when it is not called")
    return rule(context, callee, given, offset)


def ordering(context: Context, given: Arguments) -> str:
    """Say what a text among the operands looks like, when it looks like an order."""
    for each in given or ():
        text = context.settle(each)
        if isinstance(text, str):
            for name, pattern in operand_data().order_patterns:
                if pattern.search(text[:4_096]):
                    return f"is given {name}: {text[:80]!r}"
    return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeNames:
    """The names that embedded code uses, and those of them that reach outside."""

    names: tuple[str, ...]
    reaches: tuple[str, ...]


def code_names(context: Context, given: Arguments) -> CodeNames:
    """Collect the names in the operands of a code object and of what is built from it."""
    found: set[str] = set()
    pending = list(given or ())
    looked = 0
    while pending and looked < 2_000:
        looked += 1
        each = context.settle(pending.pop())
        if isinstance(each, Container):
            items = context.items(each) or ()
            if items and all(isinstance(one, str) for one in items):
                found.update(one for one in items if isinstance(one, str))
            pending.extend(items)
        elif isinstance(each, Instance):
            pending.extend(each.arguments or ())
    reaches = sorted(found & operand_data().code_roots)
    return CodeNames(names=tuple(sorted(found)[:50]), reaches=tuple(reaches))


def _callable_problem(context: Context, value: Value) -> str:
    """Say what is wrong with a callable that is kept for later, "" when nothing is."""
    value = context.settle(value)
    while isinstance(value, Partial):
        value = context.settle(value.callee)
    if isinstance(value, Global):
        if value.effect in DANGEROUS:
            return f"it is given {value.dotted}, which {value.judgement.reason or 'reaches outside'}"
        return ""
    if isinstance(value, Unknown | Persistent | Extension | Module):
        return f"it is given a callable that could not be recovered: {show(value)}"
    return ""


def _callable_operand(context: Context, callee: Global, given: tuple[Value, ...], _: int) -> Outcome:
    if not given:
        return FINE
    if callee.dotted in operand_data().storing_callables:
        return Outcome(problem=_callable_problem(context, given[0]))
    if callee.name in {"map", "filter"}:  # done where results are worked out
        return FINE
    return Outcome(called=given[0], operands=None, result=Instance(callee, given, 0))


def _jax_array(_: Context, callee: Global, given: tuple[Value, ...], offset: int) -> Outcome:
    return Outcome(called=given[0], operands=None, result=Instance(callee, given, offset))


def _codec(context: Context, callee: Global, given: tuple[Value, ...], _: int) -> Outcome:
    place = 1 if callee.name in {"encode", "decode"} else 0
    name = context.text(given[place]) if len(given) > place else "utf-8"
    if name is None:
        return Outcome(problem="its encoding could not be recovered")
    if name.lower() in operand_data().encodings:
        return FINE
    return Outcome(problem=f"its encoding is {name[:40]!r}", odd=True)


def _fine(_: Context, __: Global, ___: tuple[Value, ...], ____: int) -> Outcome:
    return FINE


def _frombuffer(context: Context, _: Global, given: tuple[Value, ...], __: int) -> Outcome:
    problem = dtype_problem(context, given[1], raw=True) if len(given) > 1 else ""
    return Outcome(problem=problem)


def _getattr(context: Context, _: Global, given: tuple[Value, ...], __: int) -> Outcome:
    name = context.text(given[1]) if len(given) > 1 else None
    if name is None:
        return Outcome(problem="the name of the attribute is computed")
    if isinstance(given[1], Computed):
        return Outcome(problem=f"the name of the attribute is put together: {name[:60]!r}")
    owner = context.settle(given[0])
    if isinstance(owner, Unknown | Persistent | Extension | Attribute):
        return Outcome(problem=f"it reads {name[:60]!r} of {show(owner)}")
    if name.startswith("__") and context.knowledge.judge("builtins", f"object.{name}").effect in DANGEROUS:
        return Outcome(problem=f"it reads {name[:60]!r} of {show(owner)}")
    return FINE


def _iterator(_: Context, callee: Global, given: tuple[Value, ...], offset: int) -> Outcome:
    if len(given) < 2:
        return FINE
    return Outcome(called=given[0], operands=(), result=Instance(callee, given, offset))


def _named_global(context: Context, _: Global, given: tuple[Value, ...], offset: int) -> Outcome:
    module = context.text(given[0]) if given else None
    name = context.text(given[1]) if len(given) > 1 else None
    if module is None or name is None:
        return Outcome(problem="the name that it looks up is computed")
    return Outcome(result=context.reached(module, name, offset))


def _nested_bytes(context: Context, callee: Global, given: tuple[Value, ...], offset: int) -> Outcome:
    loads = "load" in callee.name or "unpickle" in callee.name or "deserialize" in callee.name
    followed = False
    for each in given:
        value = context.settle(each)
        held = value.content if isinstance(value, Instance) else value
        if isinstance(held, bytes) or (isinstance(held, View) and held.kind in {"bytes", "bytearray"}):
            followed = True
            context.payloads.append(Payload(data=held, offset=offset, loaded=loads))
    if loads and not followed:
        return Outcome(problem="the bytes that it loads could not be recovered")
    return FINE


def _new_object(context: Context, _: Global, given: tuple[Value, ...], __: int) -> Outcome:
    if not given:
        return Outcome(problem=UNKNOWN_OPERANDS)
    return Outcome(made=context.settle(given[0]), operands=given[1:])


def _number_text(_: Context, __: Global, given: tuple[Value, ...], ___: int) -> Outcome:
    long = any(isinstance(each, str) and len(each) > MAX_NUMBER_TEXT for each in given)
    return Outcome(problem="a number is written at great length", odd=True) if long else FINE


def _type_operand(context: Context, callee: Global, given: tuple[Value, ...], offset: int) -> Outcome:
    """Allocate the first operand, which must be a type."""
    if not given:
        return Outcome(problem=UNKNOWN_OPERANDS)
    return Outcome(made=context.settle(given[0]), operands=given[1:], result=_of_type(callee, given, offset))


def _of_type(callee: Global, given: tuple[Value, ...], offset: int) -> Instance:
    made = given[0]
    return Instance(made if isinstance(made, Global) else callee, given[1:], offset)


def _numpy_array(context: Context, callee: Global, given: tuple[Value, ...], offset: int) -> Outcome:
    """Make an array of the type that is the first operand."""
    if not given:
        return Outcome(problem=UNKNOWN_OPERANDS)
    return Outcome(made=context.settle(given[0]), operands=given[1:], result=Instance(callee, given, offset))


def _random(context: Context, _: Global, given: tuple[Value, ...], __: int) -> Outcome:
    """Check numpy.random's constructors: names and types of its own only."""
    for each in given:
        value = context.settle(each)
        if isinstance(value, Global) and value.module.startswith("numpy.random"):
            continue
        if isinstance(value, str) or (
            isinstance(value, Instance) and value.type_name.startswith("numpy.random")
        ):
            continue
        return Outcome(problem=f"it would call {show(value)}")
    return FINE


def _rebuild(context: Context, callee: Global, given: tuple[Value, ...], offset: int) -> Outcome:
    """Do torch._tensor._rebuild_from_type(_v2): call the first operand on the third."""
    if len(given) < 3:
        return Outcome(problem=UNKNOWN_OPERANDS)
    return Outcome(
        called=context.settle(given[0]),
        operands=context.arguments(given[2]),
        result=Instance(callee, given, offset),
    )


def _reconstructor(context: Context, callee: Global, given: tuple[Value, ...], offset: int) -> Outcome:
    if len(given) != 3:
        return Outcome(problem=UNKNOWN_OPERANDS)
    base = context.settle(given[1])
    made = context.settle(given[0])
    result = _of_type(callee, (made,), offset)
    if not isinstance(base, Global) or base.module != "builtins" or base.name not in _bases():
        return Outcome(problem=f"its base type is {show(base)}", result=result)
    return Outcome(made=made, operands=given[2:], result=result)


def _bases() -> frozenset[str]:
    return operand_data().reconstructor_bases


def _size(_: Context, __: Global, given: tuple[Value, ...], ___: int) -> Outcome:
    for each in given:
        if isinstance(each, int) and abs(each) > MAX_SIZE:
            return Outcome(problem=f"it is given the size {show(each)}", odd=True)
    return FINE


def _stored_only(_: Context, callee: Global, __: tuple[Value, ...], ___: int) -> Outcome:
    if callee.name in {"itemgetter", "attrgetter", "methodcaller"}:
        return FINE
    return Outcome(problem="it is only harmless when it is not called")


def _subscription(context: Context, _: Global, given: tuple[Value, ...], __: int) -> Outcome:
    owner = context.settle(given[0]) if given else None
    if (
        isinstance(owner, Global)
        and owner.effect not in DANGEROUS
        and owner.effect is not Effect.UNKNOWN_MODULE
    ):
        return FINE
    if isinstance(owner, Container | Instance | str | bytes):
        return FINE
    return Outcome(problem=f"it takes an item of {show(owner)}")


def _type_builder(_: Context, callee: Global, given: tuple[Value, ...], __: int) -> Outcome:
    return FINE if len(given) == 1 and callee.name == "type" else Outcome(problem="it builds a class")


def _zone_file(context: Context, _: Global, given: tuple[Value, ...], __: int) -> Outcome:
    path = context.text(given[0]) if given else None
    if path is not None and ".." not in path and path.startswith(operand_data().zone_folders):
        return FINE
    return Outcome(problem=f"it opens the file {show(given[0]) if given else ''}", odd=True)


_HARMLESS_UNKNOWN: Final = frozenset(
    {
        Condition.DTYPE,
        Condition.ARRAY_STATE,
        Condition.SIZE,
        Condition.NUMBER_TEXT,
        Condition.LAZY_ITERATOR,
        Condition.SCIPY_TEMPLATE,
        Condition.FORMULA,
        Condition.COMPANION_FILE,
    }
)
"""Conditions under which operands that are not known are data: the call itself does no harm."""

_RULES: Final[dict[str, _Check]] = {
    Condition.ARRAY_BUFFER: _frombuffer,
    Condition.ARRAY_STATE: _fine,
    Condition.CALLABLE_OPERAND: _callable_operand,
    Condition.CODECS_DECODE: _codec,
    Condition.CODECS_ENCODE: _codec,
    Condition.COMPANION_FILE: _fine,
    Condition.DTYPE: _fine,
    Condition.FORMULA: _fine,
    Condition.GETATTR: _getattr,
    Condition.ITERATOR: _iterator,
    Condition.LAZY_ITERATOR: _fine,
    Condition.NAMED_GLOBAL: _named_global,
    Condition.NESTED_BYTES: _nested_bytes,
    Condition.NEW_OBJECT: _new_object,
    Condition.NUMBER_TEXT: _number_text,
    Condition.NUMPY_RECONSTRUCT: _numpy_array,
    Condition.RANDOM_CONSTRUCTOR: _random,
    Condition.REBUILD_FROM_TYPE: _rebuild,
    Condition.RECONSTRUCTOR: _reconstructor,
    Condition.SCIPY_TEMPLATE: _fine,
    Condition.SIZE: _size,
    Condition.STORED_ONLY: _stored_only,
    Condition.SUBSCRIPTION: _subscription,
    Condition.TYPE_BUILDER: _type_builder,
    Condition.TYPE_OPERAND: _type_operand,
    Condition.ZONE_FILE: _zone_file,
}
