"""One method of an ExecuTorch program: its values, and its instructions, held against what there is.

Slots: schema/program.fbs of ExecuTorch 1.5.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from supplyguard.limits import Budget, Resource
from supplyguard.wire.flatbuffer import Table, Vector

_TENSOR: Final = 5
_LISTS: Final = {10: 0, 11: -1}
"""Lists of values by their type in the union KernelTypes, and their least index (-1: left out)."""
_KERNEL, _DELEGATE, _MOVE, _JUMP, _FREE = range(1, 6)
_MOST_DIMS: Final = 16
_MOST_BYTES: Final = 1 << 63
_EXTERNAL: Final = 1


@dataclass(frozen=True, slots=True)
class Flaw:
    """Something that cannot be. sort: "index", "tensor" or "loop"."""

    offset: int
    place: str
    what: str
    sort: str


@dataclass(slots=True)
class Limits:
    """How many there are of what values refer to. mutable: entries of each mutable segment."""

    segments: int
    inline: int
    constants: int = 0
    mutable: list[int] = field(default_factory=list)


def tensor_flaw(table: Table, sizes: int, order: int) -> str:
    """Say what is wrong with a shape whose vectors are in these slots, "" for nothing."""
    dims, axes = table.vector(sizes, 4), table.vector(order, 1)
    if dims.count > _MOST_DIMS:
        return f"has {dims.count:,} dimensions"
    total = 8
    for index in range(dims.count):
        size = table.buffer.scalar(dims.at(index), "i")
        if size < 0:
            return f"has the size {size:,}"
        total *= max(size, 1)
    if total >= _MOST_BYTES:
        return "has more elements than can be counted"
    given = sorted(table.buffer.raw(axes.start, axes.count)) if axes.count <= _MOST_DIMS else [-1]
    if axes.count and given != list(range(dims.count)):
        return "has an order of dimensions that is none"
    return ""


def value_flaws(plan: Table, limits: Limits) -> Iterator[Flaw]:
    """Yield what is wrong with the values of a method, and its inputs and outputs."""
    values = plan.vector(8, 4)
    for slot, place in ((10, "an input"), (12, "an output")):
        yield from _indices(plan, plan.vector(slot, 4), values.count, place)
    for index, value in enumerate(plan.tables(8)):
        kind = value.scalar(4, "B")
        inner = value.table(6) if kind in _LISTS or kind == _TENSOR else None
        if inner is None:
            continue
        if kind in _LISTS:
            yield from _indices(inner, inner.vector(4, 4), values.count, f"value {index}", _LISTS[kind])
            continue
        flaw = tensor_flaw(inner, sizes=8, order=10)
        if flaw:
            yield Flaw(inner.position, f"value {index}", flaw, "tensor")
        if not _has_data(inner, limits):
            yield Flaw(inner.position, f"value {index}", "has data that there are not", "index")


def _has_data(tensor: Table, limits: Limits) -> bool:
    """Whether the data that a tensor begins with are in the file (or nowhere, or in another file)."""
    number, extra = tensor.scalar(14, "I"), tensor.table(22)
    if number == 0 or (extra is not None and extra.scalar(8, "b") == _EXTERNAL):
        return True
    if tensor.field(16) is None:
        return number < limits.constants
    segment = extra.scalar(4, "Q") if extra is not None else 0
    return segment < len(limits.mutable) and number < limits.mutable[segment]


def _indices(table: Table, vector: Vector, count: int, place: str, least: int = 0) -> Iterator[Flaw]:
    for number in range(vector.count):
        index = table.buffer.scalar(vector.at(number), "i")
        if not least <= index < count:
            yield Flaw(vector.at(number), place, f"refers to value {index:,} of {count:,}", "index")
            return


def chain_flaws(plan: Table, budget: Budget) -> Iterator[Flaw]:
    """Yield what is wrong with the instructions of a method."""
    counts = (plan.vector(8, 4).count, plan.vector(16, 4).count, plan.vector(18, 4).count)
    for number, chain in enumerate(plan.tables(14)):
        total = chain.vector(8, 4).count
        worked: list[int] = []
        done = 0
        for index, instruction in enumerate(chain.tables(8)):
            budget.spend(Resource.NODES)
            kind, table = instruction.scalar(4, "B"), instruction.table(6)
            worked.append(done)
            done += kind in (_KERNEL, _DELEGATE, _FREE)
            if table is not None:
                place = f"instruction {index} of chain {number}"
                yield from _instruction(kind, table, counts, place)
                if kind == _JUMP:
                    yield from _jump(table, index, total, worked, place)


def _instruction(kind: int, table: Table, counts: tuple[int, int, int], place: str) -> Iterator[Flaw]:
    values, operators, delegates = counts
    numbers: list[tuple[str, int, int]] = []
    if kind == _KERNEL:
        numbers.append(("operator", table.scalar(4, "i"), operators))
    elif kind == _DELEGATE:
        numbers.append(("backend", table.scalar(4, "i"), delegates))
    elif kind in (_JUMP, _FREE, _MOVE):
        numbers.append(("value", table.scalar(4, "i"), values))
    if kind == _MOVE:
        numbers.append(("value", table.scalar(6, "i"), values))
    for what, index, count in numbers:
        if not 0 <= index < count:
            yield Flaw(table.position, place, f"refers to {what} {index:,} of {count:,}", "index")
    if kind in (_KERNEL, _DELEGATE):
        yield from _indices(table, table.vector(6, 4), values, place)


def _jump(table: Table, index: int, total: int, worked: list[int], place: str) -> Iterator[Flaw]:
    """Yield a jump out of the chain, or back over nothing that works."""
    target = table.scalar(6, "i")
    if not 0 <= target <= total:
        yield Flaw(table.position, place, f"jumps to instruction {target:,} of {total:,}", "index")
    elif target <= index and worked[target] == worked[index]:
        yield Flaw(table.position, place, "jumps back over nothing", "loop")
