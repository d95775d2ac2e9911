"""The methods in `bytecode.pkl` of archives for PyTorch's mobile interpreter, and the operators they use.

A method is a tuple of its name and a table of tuples, of which one is ("operators", ((name, overload,
arguments), ...)). Source: torch/csrc/jit/mobile/import.cpp and serialization/export_bytecode.cpp.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from supplyguard.limits import Budget, Resource
from supplyguard.pickles.programs import Program
from supplyguard.pickles.values import Container

_CLASS: Final = "__torch__."
_OPERATORS: Final = "operators"


def operators_of(program: Program, budget: Budget) -> Iterator[tuple[str, str]]:
    """Yield (method, operator) for each operator of each method, as "forward" and "aten::relu"."""
    work: list[tuple[str, object]] = [("", program.result)]
    seen: set[tuple[str, int]] = set()
    while work:
        method, value = work.pop()
        if not isinstance(value, Container) or (method, id(value)) in seen:
            continue
        seen.add((method, id(value)))
        budget.spend(Resource.NODES)
        first = value.items[0] if value.items else None
        if isinstance(first, str) and first.startswith(_CLASS):
            method = first.rpartition(".")[2]
        if first == _OPERATORS and len(value.items) > 1:
            rows = value.items[1]
            for row in rows.items if isinstance(rows, Container) else ():
                name = row.items[0] if isinstance(row, Container) and row.items else None
                if isinstance(name, str):
                    yield method, name
            continue
        work.extend((method, each) for each in reversed(value.items))
