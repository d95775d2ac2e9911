"""setup.py: the constants that it gives to setuptools, read from its syntax tree and never run.

Format: setuptools' documentation, "Keywords" (install_requires, extras_require, setup_requires,
tests_require).
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from supplyguard.aspect import Aspect
from supplyguard.code.syntax import FILE_SIZE, code_lines, column, parse
from supplyguard.errors import MalformedError
from supplyguard.finding import Level, Notification
from supplyguard.inventory import Artifact, Location
from supplyguard.limits import Budget, Resource
from supplyguard.sources.requirements import claims as is_requirements
from supplyguard.sources.requirements import include
from supplyguard.sources.setup_cfg import KEYS
from supplyguard.sources.statements import Statement
from supplyguard.sources.toml_document import Found, read_entry
from supplyguard.wire.text import decode, read_bytes

NAME: Final = "setup_py"
ASPECT: Final = Aspect.DEPENDENCIES
EXTRAS: Final = "extras_require"
STEPS: Final = 10_000
"""Expressions that are looked at for one keyword."""
LISTS: Final = (".txt", ".in")


def claims(name: str) -> bool:
    """Whether a file is called setup.py."""
    return name == "setup.py"


@dataclass(frozen=True, slots=True)
class _Item:
    """A text of a list; None: a part that only running the file would tell."""

    text: str | None
    node: ast.expr
    group: str | None
    place: str


def collect(artifact: Artifact, budget: Budget) -> Iterator[Found]:
    """Yield the requirements that are constants, and say what is computed; raises MalformedError."""
    text = decode(read_bytes(artifact.path, min(FILE_SIZE, budget.limits.document_bytes)))[0]
    if "setup" not in text:
        return
    tree = parse(text)
    if isinstance(tree, str):
        raise MalformedError(f"not read as Python: {tree}")
    lines = code_lines(text)
    names = _constants(tree)
    computed = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and _is_setup(node.func):
            for item in _items(node, names):
                budget.spend(Resource.NODES)
                place = _location(item.node, lines, artifact.uri)
                if item.text is None:
                    computed.append(place)
                    continue
                yield from read_entry(
                    Statement(text=item.text.strip(), location=place, place=item.place, group=item.group)
                )
    if computed:
        yield from _computed(tree, computed[0], artifact, budget)


def _is_setup(function: ast.expr) -> bool:
    if isinstance(function, ast.Attribute):
        return function.attr == "setup"
    return isinstance(function, ast.Name) and function.id == "setup"


def _constants(tree: ast.Module) -> Mapping[str, ast.expr]:
    """Give what each name is bound to, for names that the module binds once."""
    bound: dict[str, list[ast.expr | None]] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
            bound.setdefault(node.targets[0].id, []).append(node.value)
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            bound.setdefault(node.target.id, []).append(node.value)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            bound.setdefault(node.id, [])
        elif isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Name):
            bound.setdefault(node.target.id, []).append(None)
    return {name: values[0] for name, values in bound.items() if len(values) == 1 and values[0] is not None}


def _items(call: ast.Call, names: Mapping[str, ast.expr]) -> Iterator[_Item]:
    for keyword in call.keywords:
        if keyword.arg in KEYS:
            group, place = KEYS[keyword.arg]
            yield from _texts(keyword.value, names, group, place)
        elif keyword.arg == EXTRAS:
            table = keyword.value
            if isinstance(table, ast.Name):
                table = names.get(table.id, table)
            if not isinstance(table, ast.Dict):
                yield _Item(None, keyword.value, None, "project")
                continue
            for key, value in zip(table.keys, table.values, strict=True):
                extra = key.value if isinstance(key, ast.Constant) and isinstance(key.value, str) else None
                yield from _texts(value, names, extra, "project")


def _texts(value: ast.expr, names: Mapping[str, ast.expr], group: str | None, place: str) -> Iterator[_Item]:
    """Yield the texts of a list, of lists that are added, and of names for them."""
    work = [value]
    for _ in range(STEPS):
        if not work:
            return
        node = work.pop()
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield from _lines_of(node, node.value, group, place)
        elif isinstance(node, ast.List | ast.Tuple | ast.Set):
            work.extend(reversed(node.elts))
        elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
            work.extend((node.right, node.left))
        elif isinstance(node, ast.Starred):
            work.append(node.value)
        elif isinstance(node, ast.Name) and node.id in names:
            work.append(names[node.id])
        elif not (isinstance(node, ast.Constant) and node.value is None):
            yield _Item(None, node, group, place)
    if work:
        yield _Item(None, value, group, place)


def _lines_of(node: ast.expr, text: str, group: str | None, place: str) -> Iterator[_Item]:
    """Split a text as setuptools does: a list may be one text with a requirement a line."""
    for line in text.splitlines():
        if line.strip() and not line.lstrip().startswith("#"):
            yield _Item(line, node, group, place)


def _location(node: ast.expr, lines: list[str], uri: str) -> Location:
    """Give the place of an expression; of a text without its quotes, where it has single ones."""
    end_line, end = node.end_lineno or node.lineno, node.end_col_offset or node.col_offset
    first = column(lines[node.lineno - 1], node.col_offset)
    last = column(lines[end_line - 1], end)
    written = lines[node.lineno - 1][first : last - 2]
    inside = isinstance(node, ast.Constant) and end_line == node.lineno and written == node.value
    return Location(
        uri=uri, line=node.lineno, column=first + inside, end_line=end_line, end_column=last - inside
    )


def _computed(tree: ast.Module, place: Location, artifact: Artifact, budget: Budget) -> Iterator[Found]:
    """Read the requirements files that the code names; without any, say that something was not read."""
    named = {
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.endswith(LISTS)
    }
    there = sorted(name for name in named if "\0" not in name and (artifact.path.parent / name).is_file())
    for name in there:
        if not is_requirements(name.rpartition("/")[2]):  # such a file is read for itself
            yield from include(name, artifact, place, budget)
    if not there:
        message = "its dependencies are computed when it is built, which was not done"
        yield Notification(
            code="dependencies-unread", message=message, level=Level.NOTE, location=place, incomplete=True
        )
