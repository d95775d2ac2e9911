"""Jinja templates to syntax trees by Jinja's own parser, and constants folded in them. Nothing is rendered.

Grammar: the template designer documentation of Jinja 3.1. The `generation` block is the one that
transformers adds for chat templates.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, Final

from jinja2 import Environment, TemplateSyntaxError, nodes
from jinja2.ext import Extension
from jinja2.parser import Parser

from supplyguard.errors import BudgetExceededError, MalformedError
from supplyguard.limits import MIB, Budget, Resource

LARGEST: Final = MIB
MOST_NODES: Final = 100_000
NESTING: Final = 200
LENGTH: Final = 4096
"""The longest text that is put together from constants."""
DEPTH: Final = 20
_BRACKETS: Final = re.compile(r"[()\[\]{}]")
_EXTENSIONS: Final = ("jinja2.ext.loopcontrols", "jinja2.ext.do", "jinja2.ext.i18n", "jinja2.ext.debug")


class Unresolved:
    """The type of `UNRESOLVED`: a value that is not known before the template is rendered."""

    __slots__ = ()


UNRESOLVED: Final = Unresolved()


class _Generation(Extension):
    """The block tag `generation`, whose body is kept."""

    tags = {"generation"}  # noqa: RUF012 - how Jinja declares it

    def parse(self, parser: Parser) -> nodes.Node:
        line = next(parser.stream).lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        return nodes.Scope(body, lineno=line)


def parse_template(text: str, budget: Budget) -> nodes.Template:
    """Parse a template; raises MalformedError with the line in its message, or BudgetExceededError."""
    if len(text) > LARGEST:
        raise BudgetExceededError("document_bytes", LARGEST)
    depth = 0
    # braces of the delimiters come in pairs, and text that is no code is far below the limit
    for match in _BRACKETS.finditer(text):
        depth = max(0, depth + (1 if match[0] in "([{" else -1))
        if depth > NESTING:
            raise MalformedError(f"more than {NESTING} brackets are open at once")
    budget.check_time()
    try:
        return _environment().parse(text)
    except TemplateSyntaxError as error:
        raise MalformedError(f"not a Jinja template: {error.message}, line {error.lineno}") from error
    except (ValueError, RecursionError) as error:
        raise MalformedError(f"not a Jinja template: {str(error)[:200]}") from error


@cache
def _environment() -> Environment:
    return Environment(extensions=[*_EXTENSIONS, _Generation])  # noqa: S701 - nothing is rendered


def walk(tree: nodes.Node, budget: Budget) -> Iterator[nodes.Node]:
    """Yield every node, parents first and in the order of the text."""
    work: list[nodes.Node] = [tree]
    count = 0
    while work:
        node = work.pop()
        count += 1
        budget.spend(Resource.NODES)
        if count > MOST_NODES:
            raise BudgetExceededError("nodes", MOST_NODES)
        if count % 4096 == 0:
            budget.check_time()
        yield node
        work.extend(reversed(list(node.iter_child_nodes())))


def bound_names(found: list[nodes.Node]) -> tuple[frozenset[str], dict[str, nodes.Node]]:
    """Give the names that a template binds itself, and the expressions of those bound just once."""
    counts: dict[str, int] = {}
    values: dict[str, nodes.Node] = {}
    for node in found:
        stored = isinstance(node, nodes.Name) and node.ctx in {"store", "param"}
        if isinstance(node, nodes.Name | nodes.Macro) and (stored or isinstance(node, nodes.Macro)):
            counts[node.name] = counts.get(node.name, 0) + 1
        elif isinstance(node, nodes.Assign) and isinstance(node.target, nodes.Name):
            values[node.target.name] = node.node
    once = {name: value for name, value in values.items() if counts.get(name) == 1}
    return frozenset(counts), once


class Folder:
    """Folds constant expressions of one template: literals, names set once, joined and changed texts."""

    __slots__ = ("_known", "_values")

    def __init__(self, values: Mapping[str, nodes.Node]) -> None:
        self._values = values
        self._known: dict[str, Any] = {}

    def fold(self, node: nodes.Node | None, depth: int = DEPTH) -> Any:
        """Give a text, number, boolean, None or list of those, or UNRESOLVED."""
        if node is None or depth == 0:
            return UNRESOLVED
        if isinstance(node, nodes.Const):
            return node.value
        if isinstance(node, nodes.TemplateData):
            return node.data
        if isinstance(node, nodes.Name):
            return self._name(node.name, depth)
        if isinstance(node, nodes.List | nodes.Tuple | nodes.Concat):
            parts = self._all(node.nodes if isinstance(node, nodes.Concat) else node.items, depth)
            if isinstance(parts, Unresolved) or not isinstance(node, nodes.Concat):
                return parts
            return bounded("".join(str(part) for part in parts))
        if isinstance(node, nodes.BinExpr):
            return _operation(
                node.operator, self.fold(node.left, depth - 1), self.fold(node.right, depth - 1)
            )
        if isinstance(node, nodes.Neg):
            value = self.fold(node.node, depth - 1)
            return -value if isinstance(value, int | float) else UNRESOLVED
        if isinstance(node, nodes.Getitem):
            return self._item(node, depth)
        if isinstance(node, nodes.Filter | nodes.Call):
            return self._changed(node, depth)
        return UNRESOLVED

    def _name(self, name: str, depth: int) -> Any:
        if name not in self._values:
            return UNRESOLVED
        if name not in self._known:
            self._known[name] = UNRESOLVED  # while it is worked out: a name may be said by itself
            self._known[name] = self.fold(self._values[name], depth - 1)
        return self._known[name]

    def _all(self, parts: list[nodes.Expr], depth: int) -> Any:
        values = [self.fold(part, depth - 1) for part in parts]
        return UNRESOLVED if any(isinstance(value, Unresolved) for value in values) else values

    def _item(self, node: nodes.Getitem, depth: int) -> Any:
        value = self.fold(node.node, depth - 1)
        if not isinstance(value, str | list):
            return UNRESOLVED
        if isinstance(node.arg, nodes.Slice):
            parts = [
                None if part is None else self.fold(part, depth - 1)
                for part in (node.arg.start, node.arg.stop, node.arg.step)
            ]
            if all(part is None or isinstance(part, int) for part in parts) and parts[2] != 0:
                return value[slice(*parts)]
            return UNRESOLVED
        index = self.fold(node.arg, depth - 1)
        fits = isinstance(index, int) and -len(value) <= index < len(value)
        return value[index] if fits else UNRESOLVED

    def _changed(self, node: nodes.Filter | nodes.Call, depth: int) -> Any:
        """Apply a filter, or a method of a text, that only rearranges texts."""
        if isinstance(node, nodes.Filter):
            name, receiver = node.name, node.node
        elif isinstance(node.node, nodes.Getattr):
            name, receiver = node.node.attr, node.node.node
        else:
            return UNRESOLVED
        if node.kwargs or node.dyn_args is not None or node.dyn_kwargs is not None:
            return UNRESOLVED
        value = self.fold(receiver, depth - 1)
        operands = self._all(node.args, depth)
        if isinstance(value, Unresolved) or isinstance(operands, Unresolved):
            return UNRESOLVED
        if name == "join":
            is_filter = isinstance(node, nodes.Filter)
            glue = (operands[0] if operands else "") if is_filter else value
            parts = value if is_filter else (operands[0] if operands else "")
            if isinstance(parts, str | list) and isinstance(glue, str):
                return bounded(glue.join(str(part) for part in parts))
            return UNRESOLVED
        return _rearranged(name, value, operands)


def bounded(text: str) -> Any:
    """Give the text, or UNRESOLVED when it is longer than any name."""
    return text if len(text) <= LENGTH else UNRESOLVED


def _operation(operator: str, left: Any, right: Any) -> Any:
    """Work out `+`, `*` and `%` of texts and small numbers."""
    if isinstance(left, str) and operator == "%":
        operands = right if isinstance(right, list) else [right]
        return _percent(left, operands)
    if operator == "+" and isinstance(left, str) and isinstance(right, str):
        return bounded(left + right)
    if operator == "+" and isinstance(left, list) and isinstance(right, list):
        return (left + right)[:LENGTH]
    numbers = [each for each in (left, right) if isinstance(each, int)]
    if operator == "*" and isinstance(left, str | int) and isinstance(right, str | int) and numbers:
        text = next((each for each in (left, right) if isinstance(each, str)), None)
        if text is not None:
            return text * max(0, numbers[0]) if len(text) * numbers[0] <= LENGTH else UNRESOLVED
    if len(numbers) == 2 and all(abs(each) < 1 << 64 for each in numbers):
        return _arithmetic(operator, numbers[0], numbers[1])
    return UNRESOLVED


def _arithmetic(operator: str, left: int, right: int) -> Any:
    if operator == "+":
        return left + right
    if operator == "-":
        return left - right
    if operator == "*":
        return left * right
    if operator == "**" and 0 <= right <= 64:
        return left**right
    return UNRESOLVED


def _percent(text: str, operands: list[Any]) -> Any:
    """Fill `%s`, `%c` and `%d` without widths, one operand each."""
    parts = re.split(r"%([scd])", text)
    if len(parts) // 2 != len(operands) or "%" in "".join(parts[::2]):
        return UNRESOLVED
    for place, operand in enumerate(operands):
        code = parts[2 * place + 1] == "c" and isinstance(operand, int)
        if code and not 0 <= operand < 0x110000:
            return UNRESOLVED
        parts[2 * place + 1] = chr(operand) if code else str(operand)
    return bounded("".join(parts))


def _rearranged(name: str, value: Any, operands: list[Any]) -> Any:
    texts = [each for each in operands if isinstance(each, str)]
    if name in {"first", "last"} and isinstance(value, str | list) and value:
        return value[0 if name == "first" else -1]
    if name in {"reverse", "list"} and isinstance(value, str | list):
        return value[::-1] if name == "reverse" else list(value)
    if not isinstance(value, str) or len(texts) != len(operands):
        return UNRESOLVED
    if name in {"lower", "upper", "title", "capitalize", "swapcase", "string", "trim", "safe"} and not texts:
        plain = {"string": value, "safe": value, "trim": value.strip()}
        return plain[name] if name in plain else getattr(value, name)()
    if name in {"strip", "lstrip", "rstrip"} and len(texts) <= 1:
        return getattr(value, name)(*texts)
    if name == "replace" and len(texts) == 2 and len(value) * (len(texts[1]) + 1) <= LENGTH:
        return value.replace(texts[0], texts[1])
    if name == "split" and len(texts) <= 1 and texts != [""]:
        return value.split(texts[0] if texts else None)
    if name == "format" and "%" in value:
        return _percent(value, operands)
    if name in {"format", "__add__"}:
        return _braces(value, texts) if name == "format" else bounded(value + "".join(texts))
    return UNRESOLVED


def _braces(text: str, operands: list[str]) -> Any:
    """Fill `{}` and `{0}`; anything else is left alone."""
    parts = re.split(r"\{(\d?)\}", text)
    for place in range(1, len(parts), 2):
        index = int(parts[place] or place // 2)
        if index >= len(operands):
            return UNRESOLVED
        parts[place] = operands[index]
    return bounded("".join(parts))
