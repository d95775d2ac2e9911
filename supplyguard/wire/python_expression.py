"""What in a Python expression is outside of a small list: only its syntax tree is looked at."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from supplyguard.resources import format_data

MOST: Final = 8192
"""Longer expressions (in characters) are not to be asked about."""
_PLAIN: Final = (
    ast.Expression,
    ast.BinOp,
    ast.UnaryOp,
    ast.BoolOp,
    ast.Compare,
    ast.operator,
    ast.unaryop,
    ast.boolop,
    ast.cmpop,
    ast.expr_context,
    ast.keyword,
    ast.Constant,
    ast.IfExp,
    ast.Tuple,
)


@dataclass(frozen=True, slots=True)
class Outside:
    """What is not allowed. calls: something is called or imported, or cannot be read at all."""

    what: str
    calls: bool


@dataclass(frozen=True, slots=True)
class _Grammar:
    names: re.Pattern[str]
    functions: frozenset[str]
    methods: frozenset[str]
    modules: tuple[re.Pattern[str], ...]
    keywords: Mapping[str, str]
    texts: Mapping[str, str]
    subscripts: bool


def outside(text: str, stem: str, part: str) -> Outside | None:
    """Find the first thing in `text` that the lists `part` of the format `stem` do not allow.

    A call counts before anything else. None for an expression that only computes.
    """
    grammar = _grammar(stem, part)
    try:
        tree = ast.parse(text.strip(), mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return Outside("what is no expression", calls=True)
    first: Outside | None = None
    texts: set[int] = set()
    for node in ast.walk(tree):
        found = _node(node, grammar, texts)
        if found is not None and (first is None or (found.calls and not first.calls)):
            first = found
    return first


def _node(node: ast.AST, grammar: _Grammar, texts: set[int]) -> Outside | None:
    """Look at one node; a parent comes before its children."""
    if isinstance(node, ast.Call):
        return _call(node, grammar, texts)
    if isinstance(node, ast.Constant):
        plain = not isinstance(node.value, str | bytes) or id(node) in texts
        return None if plain else Outside("a text", calls=False)
    if isinstance(node, ast.Name):
        known = grammar.names.fullmatch(node.id) or node.id in grammar.functions
        return None if known else Outside(f"the name {node.id}", calls=False)
    if isinstance(node, ast.Attribute):
        known = node.attr in grammar.methods or _module(node, grammar)
        return None if known else Outside(f"the attribute {node.attr}", calls=False)
    if isinstance(node, ast.Subscript) and grammar.subscripts:
        if isinstance(node.slice, ast.Constant):
            texts.add(id(node.slice))
        return None
    return None if isinstance(node, _PLAIN) else Outside(type(node).__name__, calls=False)


def _call(node: ast.Call, grammar: _Grammar, texts: set[int]) -> Outside | None:
    function = node.func
    name = _called(function)
    if isinstance(function, ast.Name):
        known = function.id in grammar.functions
    elif isinstance(function, ast.Attribute):
        known = _module(function, grammar) or (
            function.attr in grammar.methods and isinstance(function.value, ast.Subscript)
        )
    else:
        known = False
    if not known:
        return Outside(f"a call of {name}", calls=True)
    for each in node.keywords:
        kind = grammar.keywords.get(each.arg or "")
        value = each.value.value if isinstance(each.value, ast.Constant) else None
        if kind is None or isinstance(value, bool) != (kind == "bool") or not isinstance(value, int | float):
            return Outside(f"the argument {each.arg}", calls=False)
    pattern = grammar.texts.get(name)
    for argument in node.args if pattern is not None else ():
        value = argument.value if isinstance(argument, ast.Constant) else None
        if isinstance(value, str) and re.fullmatch(pattern or "", value):
            texts.add(id(argument))
    return None


def _called(function: ast.expr) -> str:
    """Name what is called, as far as it has a name."""
    if isinstance(function, ast.Name):
        return function.id[:100]
    return f".{function.attr}"[:100] if isinstance(function, ast.Attribute) else "an expression"


def _module(node: ast.Attribute, grammar: _Grammar) -> bool:
    """Whether it is a listed function of a module."""
    if not isinstance(node.value, ast.Name):
        return False
    dotted = f"{node.value.id}.{node.attr}"
    return any(pattern.fullmatch(dotted) for pattern in grammar.modules)


@cache
def _grammar(stem: str, part: str) -> _Grammar:
    table: Any = format_data(stem)[part]
    return _Grammar(
        names=re.compile(table["names"]),
        functions=frozenset(table["functions"]),
        methods=frozenset(table["methods"]),
        modules=tuple(re.compile(each) for each in table["modules"]),
        keywords=table["keywords"],
        texts=table["texts"],
        subscripts=bool(table["subscripts"]),
    )
