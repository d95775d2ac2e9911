"""What Python source does that reaches outside its own computing, when, and how it is hidden.

The names are in rules/code/acts.json; what libraries do comes from the knowledge that pickles are
judged by.
"""

from __future__ import annotations

import ast
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import islice, pairwise
from typing import Any, Final

from supplyguard.code.acts_table import acts_data, acts_table
from supplyguard.code.folding import Folded
from supplyguard.code.hidden_names import Callees, Target
from supplyguard.code.names import Scope, read_names, value_of
from supplyguard.code.syntax import code_lines, mentions, parse
from supplyguard.code.timing import Timing, When
from supplyguard.limits import Budget

NESTED: Final = 4
"""Texts inside texts that are read as code."""
LOOKED_INTO: Final = 300
SHOWN: Final = 120
FAR: Final = 120
"""Columns between two statements of one line that no editor shows side by side."""
MOST: Final = 500
"""Acts of one file that are told apart."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Act:
    """One thing that code does.

    act: a key of acts.json, "decodes", "credentials", "hidden-statement" and so on. source: where the
    text that is run comes from. depth: texts that had to be read as code to see it.
    """

    act: str
    node: ast.AST
    when: When
    callee: str
    operand: str = ""
    decoded: str = "no"
    source: str = ""
    hidden: bool = False
    known_host: bool = False
    depth: int = 0
    index: int = 0


@dataclass(kw_only=True, slots=True)
class _File:
    """What is shared while one file is read."""

    budget: Budget
    all_public: bool
    found: list[Act] = field(default_factory=list)


def find_acts(trees: Sequence[ast.AST], budget: Budget, *, all_public: bool = False) -> list[Act]:
    """Give what modules that share a namespace do, in the order of the code.

    all_public: functions without an underscore are called by loaders (hubconf.py).
    """
    file = _File(budget=budget, all_public=all_public)
    _read(trees, file, None, 0)
    found = file.found
    if not any(act.act == "network" for act in found):
        # a copy of the environment is ordinary for programs; code that also talks to hosts can send it away
        found = [act for act in found if act.act != "environment"]
    return sorted(
        found,
        key=lambda act: (act.index, getattr(act.node, "lineno", 0), getattr(act.node, "col_offset", 0)),
    )


def _read(trees: Sequence[ast.AST], file: _File, outer: Act | None, depth: int) -> None:
    names = list(read_names(trees, file.budget))
    data = acts_data()
    timings = [
        Timing(tree, file.budget, load_names=data["load_names"], all_public=file.all_public) for tree in trees
    ]
    reader = _Reader(file, timings, outer, depth)
    for node, scope, index in names:
        if len(file.found) >= MOST:
            return
        reader.look(node, scope, index)


class _Reader:
    """One text of code. outer: the act that runs it, when it is a text in a text."""

    def __init__(self, file: _File, timings: list[Timing], outer: Act | None, depth: int) -> None:
        self.file = file
        self.timings = timings
        self.outer = outer
        self.depth = depth
        self.table = acts_table()
        self.callees = Callees(self.table.data)
        self.plain: set[int] = set()
        """Texts that stand alone: docstrings."""

    def look(self, node: ast.AST, scope: Scope, index: int) -> None:
        """Look at one node."""
        if isinstance(node, ast.Call):
            self._call(node, scope, index)
        elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            self.plain.add(id(node.value))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in self.plain:
            self._place(node, node.value, index, source="mention")
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            for decorator in node.decorator_list:
                self._handed_on(decorator, scope, index)
        elif isinstance(node, ast.Assign):
            for target in node.targets:
                self._replaced(target, scope, index)
        for body in (getattr(node, name, None) for name in ("body", "orelse", "finalbody")):
            if isinstance(body, list):
                self._far(body, index)

    def _place(self, node: ast.AST, text: str, index: int, *, source: str) -> None:
        """See texts that name a guarded place. source: "call" where a call uses it, else "mention"."""
        for act in self.table.place_of(text):
            when = self._when(node, index)
            self._add(Act(act=act, node=node, when=when, callee=text[:SHOWN], source=source), index)

    def _used(self, node: ast.Call, scope: Scope, index: int) -> None:
        """See guarded places among the arguments of a call that uses paths or addresses."""
        for given in node.args[:8]:
            for each in islice(ast.walk(given), LOOKED_INTO):
                if isinstance(each, ast.Constant) and isinstance(each.value, str):
                    if id(each) not in self.plain:
                        self._place(each, each.value, index, source="call")
                    self.plain.add(id(each))
            if not isinstance(given, ast.Constant):
                folded = self.callees.folder.fold(given, scope)
                if folded is not None and isinstance(folded.value, str):
                    self._place(given, folded.value, index, source="call")

    def _when(self, node: ast.AST, index: int) -> When:
        when = self.timings[index].of(node)
        return min(when, self.outer.when) if self.outer is not None else when

    def _add(self, act: Act, index: int) -> None:
        if self.outer is None:
            self.file.found.append(_with(act, index=index))
        else:
            outer = self.outer
            decoded = outer.decoded if outer.decoded != "no" else act.decoded
            self.file.found.append(
                _with(act, node=outer.node, index=outer.index, depth=self.depth, decoded=decoded)
            )

    def _call(self, node: ast.Call, scope: Scope, index: int) -> None:
        last = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        if last in self.table.callers:
            for given in (*node.args[:4], *(each.value for each in node.keywords)):
                self._handed_on(given, scope, index)
        for target in self.callees.targets(node.func, scope):
            act = self.table.act_of(target.name)
            if act is None and target.name in self.table.copies and self._is_environment(node, scope):
                act = "environment"
            if act == "network" or (act is None and self.table.uses_paths(target.name)):
                self._used(node, scope, index)
            if act is None:
                continue
            found = self._described(act, target, node, scope, index)
            self._add(found, index)
            if act == "evaluates" and found.decoded != "expression":
                self._inner(node, scope, found)
            return

    def _handed_on(self, node: ast.expr, scope: Scope, index: int) -> None:
        """See callables that something else will call: decorators, targets of threads, partial's first."""
        for target in self.callees.targets(node, scope) if isinstance(node, ast.Name | ast.Attribute) else ():
            act = self.table.act_of(target.name)
            if act in {"process", "evaluates", "unmarshals"} and target.name != "compile":
                self._add(
                    Act(
                        act=act,
                        node=node,
                        when=self._when(node, index),
                        callee=target.name,
                        source="computed",
                        hidden=target.hidden,
                    ),
                    index,
                )

    def _is_environment(self, node: ast.Call, scope: Scope) -> bool:
        """Whether the first argument is the whole environment."""
        first = self.callees.targets(node.args[0], scope) if node.args else []
        return any(each.name == "os.environ" for each in first)

    def _described(self, act: str, target: Target, node: ast.Call, scope: Scope, index: int) -> Act:
        operand = node.args[0] if node.args else None
        folded = self.callees.folder.fold(operand, scope) if operand is not None else None
        text = _text(folded) or self._words(operand, scope)
        decoded, source = "no", "constant" if folded is not None else "computed"
        if operand is not None and act in {"evaluates", "unmarshals"}:
            if folded is not None and not self.table.decoding.isdisjoint(folded.steps):
                decoded = "constant"
            elif folded is None:
                decoded, source = self._origin(operand, scope)
        elif operand is None:
            source = "none"
        if act == "process" and any(
            word in text.replace("', '", " ") for word in self.table.data["install_words"]
        ):
            act = "installs"
        return Act(
            act=act,
            node=node,
            when=self._when(node, index),
            callee=target.name,
            operand=text[:SHOWN],
            decoded=decoded,
            source=source,
            hidden=target.hidden or self._confusable(node.func),
            known_host=self.table.is_known_host(text),
        )

    def _words(self, operand: ast.expr | None, scope: Scope) -> str:
        """Put the constant words of a command's list together."""
        if not isinstance(operand, ast.List | ast.Tuple):
            return ""
        words = (_text(self.callees.folder.fold(each, scope)) for each in operand.elts[:20])
        return " ".join(word for word in words if word)

    def _confusable(self, func: ast.expr) -> bool:
        """Whether a name is written with characters that only normalise to what it says."""
        return isinstance(func, ast.Name) and getattr(func, "end_col_offset", 0) - func.col_offset > len(
            func.id
        )

    def _origin(self, operand: ast.expr, scope: Scope) -> tuple[str, str]:
        """Say whether an operand is decoded, downloaded or read from a file on its way."""
        work: list[tuple[ast.AST, Scope]] = [(operand, scope)]
        seen: set[int] = set()
        decoded, source = "no", "computed"
        for _step in range(LOOKED_INTO):
            if not work:
                break
            each, place = work.pop()
            if id(each) in seen:
                continue
            seen.add(id(each))
            if isinstance(each, ast.Name):
                found = value_of(each.id, place)
                if found is not None:
                    work.append(found)
            elif isinstance(each, ast.Call):
                for target in self.callees.targets(each.func, place):
                    if self.table.decodes(target.name):
                        decoded = "expression"
                    if self.table.act_of(target.name) == "network":
                        source = "network"
                    elif target.name in self.table.readers and source == "computed":
                        source = "file"
            work += (
                (child, place) for child in ast.iter_child_nodes(each) if not isinstance(child, ast.Lambda)
            )
        return decoded, source

    def _inner(self, node: ast.Call, scope: Scope, act: Act) -> None:
        """Read the constant text that is run as code."""
        folded = self.callees.folder.fold(node.args[0], scope) if node.args else None
        text = _text(folded)
        if self.depth >= NESTED or not text or len(self.file.found) >= MOST:
            return
        tree = parse(text)
        if isinstance(tree, ast.Module):
            outer = self.outer if self.outer is not None else act
            carried = outer if outer.decoded != "no" else _with(outer, decoded=act.decoded)
            _read([tree], self.file, carried, self.depth + 1)

    def _replaced(self, target: ast.expr, scope: Scope, index: int) -> None:
        """See assignments that put something in the place of what loaders and scanners call."""
        if isinstance(target, ast.Attribute):
            for found in self.callees.targets(target, scope):
                if self.table.is_replaced(found.name):
                    self._add(
                        Act(act="tampers", node=target, when=self._when(target, index), callee=found.name),
                        index,
                    )
                    return
        elif isinstance(target, ast.Subscript):
            holder = self.callees.targets(target.value, scope)
            key = self.callees.folder.fold(target.slice, scope)
            name = _text(key)
            if (
                any(each.name == "sys.modules" for each in holder)
                and name in self.table.data["protected_modules"]
            ):
                callee = f"sys.modules[{name!r}]"
                self._add(
                    Act(act="tampers", node=target, when=self._when(target, index), callee=callee), index
                )

    def _far(self, body: list[Any], index: int) -> None:
        """See statements that stand far to the right of another on their line."""
        for before, after in pairwise(body):
            same = isinstance(after, ast.stmt) and after.lineno == before.end_lineno
            if same and after.col_offset - (before.end_col_offset or 0) > FAR:
                act = Act(act="hidden-statement", node=after, when=self._when(after, index), callee="")
                self._add(act, index)


def _with(act: Act, **changes: Any) -> Act:
    values = {name: getattr(act, name) for name in Act.__slots__}
    return Act(**{**values, **changes})


def _text(folded: Folded | None) -> str:
    if folded is None:
        return ""
    value = folded.value
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return value if isinstance(value, str) else str(value)[:4096]


def source_acts(
    text: str, budget: Budget, *, all_public: bool = False, ordinary: bool = False
) -> tuple[list[Act], list[str]] | str:
    """Parse source text and give its acts and lines, or why it cannot be parsed.

    ordinary: no loader runs it, so that only what runs hidden code matters; a text without any name that
    could is not looked at further.
    """
    tree = parse(text)
    if isinstance(tree, str):
        return tree
    data = acts_data()
    if ordinary and not mentions(tree, frozenset(data["hiding"]), frozenset(data["hiding_bare"])):
        return [], []
    return find_acts([tree], budget, all_public=all_public), code_lines(text)
