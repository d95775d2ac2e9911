"""When code runs: while its module is imported, while a model is loaded, later, or only as a script.

Followed are calls of functions, methods and classes by name inside one module. Nothing is run.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Final

from supplyguard.limits import Budget, Resource

BATCH: Final = 1024
NEVER: Final = frozenset({"TYPE_CHECKING", "typing.TYPE_CHECKING"})

Function = ast.FunctionDef | ast.AsyncFunctionDef


class When(IntEnum):
    """When something runs; the earlier, the fewer steps of the user it takes."""

    SCRIPT = 0
    LATER = 1
    LOAD = 2
    IMPORT = 3

    @property
    def label(self) -> str:
        """The word that rules match on."""
        return self.name.lower()


@dataclass(slots=True, eq=False)
class _Region:
    """A stretch of code that runs as one: a module, a script's part or a function's body."""

    when: When
    parent: _Region | None = None
    owner: ast.ClassDef | None = None
    functions: dict[str, _Region] = field(default_factory=dict)
    classes: dict[str, dict[str, _Region]] = field(default_factory=dict)
    calls: list[tuple[str, str]] = field(default_factory=list)
    """(object or nothing, name) of what is called."""


class Timing:
    """When each node of one module runs."""

    def __init__(
        self, tree: ast.AST, budget: Budget, *, load_names: AbstractSet[str], all_public: bool = False
    ) -> None:
        """Read a module. load_names: functions that loaders call; all_public: any function may be one."""
        self._load_names = load_names
        self._all_public = all_public
        self._regions: dict[int, _Region] = {}
        self._called: set[int] = set()
        self._top = _Region(when=When.IMPORT)
        self._walk(tree, budget)
        self._spread()

    def of(self, node: ast.AST) -> When:
        """Say when a node of the module runs."""
        region = self._regions.get(id(node))
        return When.LATER if region is None else region.when

    def _walk(self, tree: ast.AST, budget: Budget) -> None:
        work: list[tuple[ast.AST, _Region, ast.ClassDef | None]] = [(tree, self._top, None)]
        count = 0
        while work:
            node, region, owner = work.pop()
            count += 1
            if count % BATCH == 0:
                budget.spend(Resource.NODES, BATCH)
                budget.check_time()
            self._regions[id(node)] = region
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                work += self._function(node, region, owner)
                continue
            if isinstance(node, ast.ClassDef):
                region.classes.setdefault(node.name, {})
                owner = node
            elif isinstance(node, ast.Lambda):
                inner = region if id(node) in self._called else self._new(When.LATER, region)
                work += [(node.args, region, owner), (node.body, inner, owner)]
                continue
            elif isinstance(node, ast.Call):
                self._call(node, region)
            elif isinstance(node, ast.If) and _guard(node.test):
                inside = self._new(When.SCRIPT, region)
                work += ((each, inside, owner) for each in node.body)
                work += ((each, region, owner) for each in (node.test, *node.orelse))
                continue
            work += ((child, region, owner) for child in ast.iter_child_nodes(node))
        budget.spend(Resource.NODES, count % BATCH)

    @staticmethod
    def _new(when: When, parent: _Region) -> _Region:
        return _Region(when=when, parent=parent)

    def _function(
        self, node: Function, region: _Region, owner: ast.ClassDef | None
    ) -> Iterator[tuple[ast.AST, _Region, ast.ClassDef | None]]:
        public = self._all_public and owner is None and not node.name.startswith("_") and region is self._top
        when = When.LOAD if public or node.name in self._load_names else When.LATER
        inner = _Region(when=when, parent=region, owner=owner)
        if owner is None:
            region.functions[node.name] = inner
        else:
            region.classes.setdefault(owner.name, {})[node.name] = inner
        inside = {id(each) for each in node.body}
        for decorator in node.decorator_list:
            if isinstance(decorator, ast.Name):
                region.calls.append(("", decorator.id))
        for child in ast.iter_child_nodes(node):
            if id(child) in inside:
                yield child, inner, None
            else:
                yield child, region, owner

    def _call(self, node: ast.Call, region: _Region) -> None:
        func = node.func
        if isinstance(func, ast.Lambda):
            self._called.add(id(func))
        elif isinstance(func, ast.Name):
            region.calls.append(("", func.id))
        elif isinstance(func, ast.Attribute) and isinstance(func.value, ast.Name):
            region.calls.append((func.value.id, func.attr))
            if (func.value.id, func.attr) == ("atexit", "register"):
                region.calls += [("", each.id) for each in node.args if isinstance(each, ast.Name)]
        for keyword in node.keywords:
            if keyword.arg == "target" and isinstance(keyword.value, ast.Name):
                region.calls.append(("", keyword.value.id))

    def _spread(self) -> None:
        """Let what is called run as early as its caller."""
        work = list({id(each): each for each in self._regions.values()}.values())
        while work:
            region = work.pop()
            for holder, name in region.calls:
                for found in self._callees(region, holder, name):
                    if found.when < region.when and region.when >= When.LOAD:
                        found.when = region.when
                        work.append(found)

    def _callees(self, region: _Region, holder: str, name: str) -> Iterator[_Region]:
        place: _Region | None = region
        owner = region.owner
        while place is not None:
            owner = owner or place.owner
            methods = _methods(place, holder, owner)
            if methods is not None and name in methods:
                yield methods[name]
                return
            if not holder and name in place.functions:
                yield place.functions[name]
                return
            if not holder and name in place.classes:
                constructors = place.classes[name]
                yield from (constructors[each] for each in ("__new__", "__init__") if each in constructors)
                return
            place = place.parent


def _methods(place: _Region, holder: str, owner: ast.ClassDef | None) -> Mapping[str, _Region] | None:
    if holder in {"self", "cls"}:
        return place.classes.get(owner.name) if owner is not None else None
    return place.classes.get(holder)


def _guard(test: ast.expr) -> bool:
    """Whether a condition holds only for a script, or only for a type checker."""
    if isinstance(test, ast.Compare) and isinstance(test.left, ast.Name) and test.left.id == "__name__":
        first = test.comparators[0]
        return (
            isinstance(test.ops[0], ast.Eq) and isinstance(first, ast.Constant) and first.value == "__main__"
        )
    return isinstance(test, ast.Name | ast.Attribute) and ast.unparse(test) in NEVER
