"""Which callable an expression is, when its name is put together or taken from a namespace."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from supplyguard.code.folding import Folder
from supplyguard.code.names import UNKNOWN, Scope, dotted_names, value_of

DEPTH: Final = 20
MOST: Final = 8
"""Imports of one name that are followed."""
GETATTR: Final = frozenset({"getattr", "operator.attrgetter"})
BUILTINS: Final = ("builtins.", "__builtin__.", "__builtins__.")


@dataclass(frozen=True, kw_only=True, slots=True)
class Target:
    """A dotted name; hidden: it was put together rather than written."""

    name: str
    hidden: bool = False


class Callees:
    """Resolves the callees of one file."""

    def __init__(self, data: Mapping[str, Any]) -> None:
        self.folder = Folder(self._names, data["decoders"])
        self._importers = frozenset(data["importers"])

    def targets(self, node: ast.expr, scope: Scope) -> list[Target]:
        """Give what an expression may stand for; a name that is not known is left out."""
        found = self._targets(node, scope, DEPTH)[:MOST]
        return [each for each in found if not each.name.startswith(UNKNOWN)]

    def _names(self, node: ast.expr, scope: Scope) -> list[str]:
        return [each.name for each in self.targets(node, scope)]

    def _targets(self, node: ast.expr, scope: Scope, depth: int) -> list[Target]:
        attributes: list[str] = []
        while isinstance(node, ast.Attribute):
            attributes.append(node.attr)
            node = node.value
        found = self._plain(node, scope, depth)
        if attributes:
            tail = "".join(f".{name}" for name in reversed(attributes))
            found = [Target(name=each.name + tail, hidden=each.hidden) for each in found]
        return [Target(name=_short(each.name), hidden=each.hidden) for each in found]

    def _plain(self, node: ast.expr, scope: Scope, depth: int) -> list[Target]:
        if depth == 0:
            return []
        if isinstance(node, ast.Name):
            value = value_of(node.id, scope)
            if value is not None:
                return self._targets(value[0], value[1], depth - 1)
            names = [Target(name=each) for each in dotted_names(node, scope)]
            if names != [Target(name=UNKNOWN)]:
                return names
            # bound more than once: what the last plain assignment gives may still be what is called
            holder = scope.holder(node.id)
            last = None if holder is None else holder.values.get(node.id)
            return [] if holder is None or last is None else self._targets(last, holder, depth - 1)
        if isinstance(node, ast.Call):
            return self._call(node, scope, depth)
        if isinstance(node, ast.Subscript):
            return self._item(node, scope, depth)
        return []

    def _call(self, node: ast.Call, scope: Scope, depth: int) -> list[Target]:
        """Follow imports and getattr with a name that is known; of other calls, the result is theirs."""
        given = node.args
        for callee in self._targets(node.func, scope, depth - 1):
            if callee.name in self._importers and given:
                return self._named("", given[0], scope, hidden=callee.hidden)
            if callee.name in GETATTR and len(given) > 1:
                owners = self._targets(given[0], scope, depth - 1)
                return [
                    found
                    for owner in owners
                    for found in self._named(owner.name, given[1], scope, hidden=owner.hidden)
                ]
            if callee.name in {"vars", "globals", "locals"}:
                owners = self._targets(given[0], scope, depth - 1) if given else []
                return [Target(name=f"{owner.name}.__dict__", hidden=owner.hidden) for owner in owners] or [
                    Target(name="")
                ]
        return []

    def _item(self, node: ast.Subscript, scope: Scope, depth: int) -> list[Target]:
        """Take an entry out of a namespace: vars(os)["system"], sys.modules["os"], __builtins__["exec"]."""
        found: list[Target] = []
        for holder in self._targets(node.value, scope, depth - 1):
            owner = holder.name.removesuffix(".__dict__")
            if owner == "sys.modules":
                owner = ""
            elif owner == holder.name and owner not in {"", "__builtins__", "builtins"}:
                continue
            found += self._named(owner, node.slice, scope, hidden=holder.hidden)
        return found

    def _named(self, owner: str, node: ast.expr, scope: Scope, *, hidden: bool) -> list[Target]:
        folded = self.folder.fold(node, scope)
        if folded is None or not isinstance(folded.value, str) or not folded.value.isprintable():
            return []
        name = f"{owner}.{folded.value}" if owner else folded.value
        return [Target(name=name[:200], hidden=hidden or bool(folded.steps))]


def _short(name: str) -> str:
    """Leave out the module of the built-in functions."""
    for start in BUILTINS:
        name = name.removeprefix(start)
    return name
