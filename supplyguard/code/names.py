"""What names in Python source stand for: imports, and constants that are assigned once.

Nothing is run and nothing is guessed: a name that is bound twice, a parameter or a computed value
stands for nothing.
"""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from supplyguard.limits import Budget, Resource

DEPTH: Final = 20
"""How many names or operators are followed to one value."""
LENGTH: Final = 4096
"""The longest text that is put together."""
ORIGINS: Final = 32
"""How many imports of one name are told apart."""
BATCH: Final = 1024
UNKNOWN: Final = "?"
"""The beginning of a dotted name whose object is not known."""

Constant = str | int | float | bool | None


class Unresolved:
    """The type of `UNRESOLVED`: a value that is not known before the code runs."""

    __slots__ = ()


UNRESOLVED: Final = Unresolved()

NAMED: Final = (
    ast.FunctionDef,
    ast.AsyncFunctionDef,
    ast.ClassDef,
    ast.ExceptHandler,
    ast.MatchAs,
    ast.MatchStar,
)
"""Nodes that bind what their `name` says."""


@dataclass(kw_only=True, slots=True, eq=False)
class Scope:
    """One namespace. bound: how often each name is bound; values: what plain assignments give."""

    parent: Scope | None
    is_class: bool = False
    imports: dict[str, dict[str, None]] = field(default_factory=dict)
    stars: dict[str, None] = field(default_factory=dict)
    bound: Counter[str] = field(default_factory=Counter)
    values: dict[str, ast.expr] = field(default_factory=dict)
    outer: set[str] = field(default_factory=set)

    def bind(self, name: str, value: ast.expr | None = None, *, times: int = 1) -> None:
        """Note one more binding of `name`."""
        self.bound[name] += times
        if value is not None:
            self.values[name] = value

    def holder(self, name: str) -> Scope | None:
        """Find the scope that `name` is looked up in, or None when nothing binds it."""
        scope: Scope | None = self
        first = True
        while scope is not None:
            visible = first or not scope.is_class
            if visible and name not in scope.outer and (name in scope.bound or name in scope.imports):
                return scope
            first = False
            scope = scope.parent
        return None


def read_names(trees: Sequence[ast.AST], budget: Budget) -> Iterator[tuple[ast.AST, Scope, int]]:
    """Walk modules that share one namespace; yield each node with its scope and its module's index.

    The scopes are complete only when all is walked. Counts nodes against the Budget.
    """
    module = Scope(parent=None)
    for index, tree in enumerate(trees):
        work: list[tuple[ast.AST, Scope]] = [(tree, module)]
        count = 0
        while work:
            node, scope = work.pop()
            count += 1
            if count % BATCH == 0:
                budget.spend(Resource.NODES, BATCH)
                budget.check_time()
            yield node, scope, index
            _bind(node, scope, module)
            # in the order of the code, so that of many imports of a name the last are kept
            work.extend(reversed(list(_below(node, scope))))
        budget.spend(Resource.NODES, count % BATCH)


def constant(node: ast.expr | None, scope: Scope, depth: int = DEPTH) -> Constant | Unresolved:
    """Give the value of a constant expression: literals, names assigned once, joined texts."""
    if node is None or depth == 0:
        return UNRESOLVED
    if isinstance(node, ast.Constant):
        value = node.value
        return value if value is None or isinstance(value, str | int | float) else UNRESOLVED
    if isinstance(node, ast.Name):
        found = value_of(node.id, scope)
        return UNRESOLVED if found is None else constant(found[0], found[1], depth - 1)
    return _text(node, scope, depth)


def value_of(name: str, scope: Scope) -> tuple[ast.expr, Scope] | None:
    """Give the expression that the only assignment of `name` gives it, and its scope."""
    holder = scope.holder(name)
    if holder is None or holder.bound[name] != 1 or name in holder.imports:
        return None
    value = holder.values.get(name)
    return None if value is None else (value, holder)


def dotted_names(node: ast.expr, scope: Scope, depth: int = DEPTH) -> list[str]:
    """Give the dotted names that an expression may stand for, imports and plain aliases resolved."""
    attributes: list[str] = []
    while isinstance(node, ast.Attribute):
        attributes.append(node.attr)
        node = node.value
    tail = "".join(f".{name}" for name in reversed(attributes))
    return [base + tail for base in _bases(node, scope, depth)]


def _bases(node: ast.expr, scope: Scope, depth: int) -> list[str]:
    if depth == 0:
        return [UNKNOWN]
    if isinstance(node, ast.Name):
        return _name(node.id, scope, depth)
    if isinstance(node, ast.Call):
        return _imported_by_call(node, scope, depth)
    return [UNKNOWN]


def _name(name: str, scope: Scope, depth: int) -> list[str]:
    holder = scope.holder(name)
    if holder is None:
        top = scope
        while top.parent is not None:
            top = top.parent
        # not bound here: it comes from a star import, or it means what it says
        return [name, *(f"{module}.{name}" for module in top.stars)]
    if name in holder.imports:
        return list(holder.imports[name])
    found = value_of(name, scope)
    return [UNKNOWN] if found is None else dotted_names(found[0], found[1], depth - 1)


def _imported_by_call(call: ast.Call, scope: Scope, depth: int) -> list[str]:
    """Resolve `__import__("m")`, `import_module("m")` and `getattr(m, "n")` with constant names."""
    for callee in dotted_names(call.func, scope, depth - 1):
        first = constant(call.args[0], scope) if call.args else UNRESOLVED
        if callee in {"__import__", "builtins.__import__", "importlib.import_module"}:
            return [first] if isinstance(first, str) else [UNKNOWN]
        if callee in {"getattr", "builtins.getattr"} and len(call.args) > 1:
            name = constant(call.args[1], scope)
            if isinstance(name, str):
                return [f"{base}.{name}" for base in dotted_names(call.args[0], scope, depth - 1)]
    return [UNKNOWN]


def _text(node: ast.expr, scope: Scope, depth: int) -> Constant | Unresolved:
    """Give the value of a concatenation or of an f-string without formatting."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return _joined([node.left, node.right], scope, depth, numbers=False)
    if isinstance(node, ast.JoinedStr):
        return _joined(node.values, scope, depth, numbers=True)
    if isinstance(node, ast.FormattedValue) and node.conversion == -1 and node.format_spec is None:
        return constant(node.value, scope, depth - 1)
    return UNRESOLVED


def _joined(nodes: Sequence[ast.expr], scope: Scope, depth: int, *, numbers: bool) -> Constant | Unresolved:
    parts: list[str] = []
    for node in nodes:
        value = constant(node, scope, depth - 1)
        if isinstance(value, str) or (numbers and isinstance(value, int)):
            parts.append(str(value))
        else:
            return UNRESOLVED
    text = "".join(parts)
    return text if len(text) <= LENGTH else UNRESOLVED


def _bind(node: ast.AST, scope: Scope, module: Scope) -> None:
    """Note what a node binds in its scope."""
    if isinstance(node, ast.Name):
        if not isinstance(node.ctx, ast.Load):
            scope.bind(node.id)
    elif isinstance(node, ast.Import | ast.ImportFrom):
        _import(node, scope, module)
    elif isinstance(node, ast.Assign):
        for target in node.targets:
            _assign(target, node.value, scope)
    elif isinstance(node, ast.AnnAssign | ast.NamedExpr) and node.value is not None:
        _assign(node.target, node.value, scope)
    elif isinstance(node, ast.Global | ast.Nonlocal):
        _share(node, scope, module)
    elif isinstance(node, ast.MatchMapping):
        if node.rest is not None:
            scope.bind(node.rest)
    elif isinstance(node, NAMED) and node.name is not None:
        scope.bind(node.name)


def _share(node: ast.Global | ast.Nonlocal, scope: Scope, module: Scope) -> None:
    """Treat names that an inner function may assign as bound more than once."""
    scope.outer.update(node.names)
    above: Scope | None = module if isinstance(node, ast.Global) else scope.parent
    while above is not None:
        for name in node.names:
            above.bind(name, times=2)
        above = above.parent


def _assign(target: ast.expr, value: ast.expr, scope: Scope) -> None:
    """Keep the value of a plain name; the name's node itself counts the binding."""
    if isinstance(target, ast.Name):
        scope.values[target.id] = value
    elif isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
        pairs = list(zip(target.elts, value.elts, strict=False))
        if not any(isinstance(each, ast.Starred) for each in (*target.elts, *value.elts)):
            for part, given in pairs:
                if isinstance(part, ast.Name):
                    scope.values[part.id] = given


def _import(node: ast.Import | ast.ImportFrom, scope: Scope, module: Scope) -> None:
    if isinstance(node, ast.Import):
        for each in node.names:
            if each.asname is not None:
                _keep(scope.imports.setdefault(each.asname, {}), each.name)
            else:
                top = each.name.partition(".")[0]
                _keep(scope.imports.setdefault(top, {}), top)
        return
    origin = "." * node.level + (node.module or "")
    for each in node.names:
        if each.name == "*":
            _keep(module.stars, origin)
        else:
            separator = "" if origin.endswith(".") else "."
            dotted = f"{origin}{separator}{each.name}"
            _keep(scope.imports.setdefault(each.asname or each.name, {}), dotted)


def _keep(origins: dict[str, None], origin: str) -> None:
    """Add one more origin of a name, in the order of the code; the earliest go when it is too many."""
    origins.pop(origin, None)
    origins[origin] = None
    if len(origins) > ORIGINS:
        del origins[next(iter(origins))]


def _below(node: ast.AST, scope: Scope) -> Iterator[tuple[ast.AST, Scope]]:
    """Yield a node's children with the scope that each is evaluated in."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
        inner = Scope(parent=scope)
        arguments = node.args
        every = (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)
        for each in (*every, arguments.vararg, arguments.kwarg):
            if each is not None:
                inner.bind(each.arg)
        body = [node.body] if isinstance(node, ast.Lambda) else node.body
        inside = {id(each) for each in body}
        for child in ast.iter_child_nodes(node):
            yield child, inner if id(child) in inside else scope
    elif isinstance(node, ast.ClassDef):
        inner = Scope(parent=scope, is_class=True)
        inside = {id(each) for each in node.body}
        for child in ast.iter_child_nodes(node):
            yield child, inner if id(child) in inside else scope
    else:
        for child in ast.iter_child_nodes(node):
            yield child, scope
