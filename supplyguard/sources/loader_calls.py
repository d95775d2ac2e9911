"""Calls that load models and data, seen in the syntax trees of Python source."""

from __future__ import annotations

import ast
import os
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from supplyguard.code.names import (
    UNKNOWN,
    UNRESOLVED,
    Constant,
    Scope,
    Unresolved,
    constant,
    dotted_names,
    read_names,
    value_of,
)
from supplyguard.finding import Evidence, Fact
from supplyguard.inventory import Location, ModelRef, RevisionKind
from supplyguard.limits import Budget
from supplyguard.sources.loaders import Loader, Parameter, Table, table

TRUST: Final = "trust_remote_code"
REPOSITORY: Final = re.compile(r"[A-Za-z0-9_][\w.-]{0,95}(?:/[A-Za-z0-9_.][\w.-]{0,95})?", re.ASCII)
GITHUB: Final = re.compile(r"(?P<repo>\w[\w.-]*/\w[\w.-]*)(?::(?P<ref>[^\s:]+))?", re.ASCII)
COMMIT: Final = re.compile(r"[0-9a-f]{40}", re.IGNORECASE)
LOOKED_INTO: Final = 200
"""Nodes of an argument that are searched for a download."""

_Dictionaries = dict[ast.Dict, dict[Constant | Unresolved, ast.expr]]
"""The entries of dictionaries that calls unpack; those say for themselves what they are given."""
Locate = Callable[[ast.AST], Location]


@dataclass(frozen=True, kw_only=True, slots=True)
class Module:
    """A syntax tree and how to find its nodes' places; facts are added to every Evidence."""

    tree: ast.AST
    locate: Locate
    facts: tuple[tuple[str, Fact], ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class _Given:
    """What an argument is: its expression (None: not given) and its constant value."""

    node: ast.expr | None
    value: Constant | Unresolved

    @property
    def word(self) -> str:
        """The value as rules see it: true, false, absent, unresolved, or the text."""
        if self.node is None:
            return "absent" if self.value is None else "unresolved"
        if isinstance(self.value, Unresolved):
            return "unresolved"
        if isinstance(self.value, bool):
            return "true" if self.value else "false"
        return "none" if self.value is None else str(self.value)


def find_calls(
    modules: Sequence[Module], folders: Sequence[Path], budget: Budget
) -> Iterator[Evidence | ModelRef]:
    """Yield what modules that share a namespace load.

    folders: where a name is looked for that may be a local folder rather than a repository.
    """
    known = table()
    nodes: list[tuple[ast.AST, Scope, int]] = []
    kinds = (ast.Call, ast.Dict, ast.Assign, ast.AnnAssign, ast.arguments)
    for node, scope, index in read_names([module.tree for module in modules], budget):
        if isinstance(node, kinds):
            nodes.append((node, scope, index))
    dictionaries: _Dictionaries = {}
    found: list[tuple[int, int, int, list[Evidence | ModelRef]]] = []
    for node, scope, index in nodes:
        module = modules[index]
        if isinstance(node, ast.Call):
            items = list(
                _Call(node, scope, module, known, folders=folders, dictionaries=dictionaries).items()
            )
            found.append((index, node.lineno, node.col_offset, items))
    for node, scope, index in nodes:
        for place in _settings(node, scope, dictionaries):
            items = [_setting(place, modules[index])]
            found.append((index, place.lineno, place.col_offset, items))
    found.sort(key=lambda row: row[:3])
    for row in found:
        yield from row[3]


class _Call:
    """One call and what is known of it."""

    def __init__(
        self,
        node: ast.Call,
        scope: Scope,
        module: Module,
        known: Table,
        *,
        folders: Sequence[Path],
        dictionaries: _Dictionaries,
    ) -> None:
        self.node = node
        self.scope = scope
        self.module = module
        self.known = known
        self.folders = folders
        self.dictionaries = dictionaries
        self.args: list[ast.expr] = node.args
        self.callee, self.loader = self._resolve(node.func)

    def _resolve(self, func: ast.expr) -> tuple[str, Loader | None]:
        """Find what is called; functools.partial counts as a call of what it wraps."""
        names = [self.known.canonical(name) for name in dotted_names(func, self.scope)]
        if "functools.partial" in names and self.node.args:
            self.args = self.node.args[1:]
            return self._resolve_wrapped(self.node.args[0])
        for name in names:
            loader = self.known.find(name)
            if loader is not None:
                return name, loader
        return names[0], None

    def _resolve_wrapped(self, func: ast.expr) -> tuple[str, Loader | None]:
        names = [self.known.canonical(name) for name in dotted_names(func, self.scope)]
        for name in names:
            loader = self.known.find(name)
            if loader is not None:
                return name, loader
        return names[0], None

    def items(self) -> Iterator[Evidence | ModelRef]:
        """Yield the one Evidence of the call, and the reference in it."""
        trust = self.given(Parameter(position=None, keywords=(TRUST,)))
        if self.loader is None:
            if trust.word == "true":
                yield self._evidence({TRUST: "true", "family": "other", "reference": "unresolved"})
            return
        facts: dict[str, Fact] = {"family": self.loader.family, "argument": "absent"}
        for name in self.known.recorded:
            word = self.given(Parameter(position=None, keywords=(name,))).word
            if word != "absent":
                facts[name] = word
        for flag in self.loader.flags:
            facts[flag.keywords[0]] = self.given(flag).word
        argument = self.given(self.loader.argument)
        facts["argument"] = argument.word
        facts["downloaded"] = argument.node is not None and self._is_downloaded(argument.node)
        if self.loader.yaml_loader is not None:
            facts["loader"] = self._yaml_loader(self.given(self.loader.yaml_loader))
        reference = self._reference(self.loader, argument, facts)
        yield self._evidence(facts)
        if reference is not None:
            yield reference

    def given(self, parameter: Parameter) -> _Given:
        """Find an argument by keyword, by position or in an unpacked dictionary."""
        unknown = False
        for keyword in self.node.keywords:
            if keyword.arg in parameter.keywords:
                return _Given(node=keyword.value, value=constant(keyword.value, self.scope))
            if keyword.arg is None:
                inner = self._unpacked(keyword.value, parameter.keywords)
                if inner is not None:
                    return inner
                unknown = unknown or not isinstance(self._dictionary(keyword.value)[0], ast.Dict)
        position = parameter.position
        if position is not None:
            before = self.args[: position + 1]
            if any(isinstance(each, ast.Starred) for each in before):
                unknown = True
            elif len(before) > position:
                return _Given(node=before[-1], value=constant(before[-1], self.scope))
        return _Given(node=None, value=UNRESOLVED if unknown else None)

    def _dictionary(self, node: ast.expr) -> tuple[ast.expr, Scope]:
        if isinstance(node, ast.Name):
            found = value_of(node.id, self.scope)
            if found is not None:
                return found
        return node, self.scope

    def _unpacked(self, node: ast.expr, keywords: tuple[str, ...]) -> _Given | None:
        dictionary, scope = self._dictionary(node)
        if not isinstance(dictionary, ast.Dict):
            return None
        entries = self.dictionaries.get(dictionary)
        if entries is None:
            pairs = zip(dictionary.keys, dictionary.values, strict=True)
            entries = {constant(key, scope): value for key, value in pairs}
            self.dictionaries[dictionary] = entries
        for keyword in keywords:
            if keyword in entries:
                value = entries[keyword]
                return _Given(node=value, value=constant(value, scope))
        return None

    def _is_downloaded(self, node: ast.expr) -> bool:
        """Whether an argument comes straight from the network, through one name at most."""
        if isinstance(node, ast.Name):
            found = value_of(node.id, self.scope)
            if found is None:
                return False
            node = found[0]
        work: list[ast.AST] = [node]
        for _step in range(LOOKED_INTO):
            if not work:
                return False
            each = work.pop()
            if isinstance(each, ast.Call):
                names = dotted_names(each.func, self.scope)
                if any(self.known.is_download(self.known.canonical(name)) for name in names):
                    return True
            if isinstance(each, ast.Name) and each is not node:
                found = value_of(each.id, self.scope)
                if found is not None and isinstance(found[0], ast.Call):
                    names = dotted_names(found[0].func, found[1])
                    if any(self.known.is_download(self.known.canonical(name)) for name in names):
                        return True
            work.extend(ast.iter_child_nodes(each))
        return False

    def _yaml_loader(self, given: _Given) -> str:
        """Say what kind of YAML loader a call uses: safe, full, unsafe, absent or unresolved."""
        if given.node is None:
            return given.word
        for name in dotted_names(given.node, self.scope):
            kind = self.known.yaml_loaders.get(name.rpartition(".")[2])
            if kind is not None and not name.startswith(UNKNOWN):
                return kind
        return "unresolved"

    def _reference(self, loader: Loader, argument: _Given, facts: dict[str, Fact]) -> ModelRef | None:
        """Fill in what repository is meant; a path or a built-in name is no reference."""
        facts["reference"] = "none"
        if loader.reference is None or argument.word == "absent":
            return None
        repo_type = loader.reference
        if loader.repo_type is not None:
            chosen = self.given(Parameter(position=None, keywords=(loader.repo_type,))).value
            repo_type = chosen if isinstance(chosen, str) else repo_type
        repo, revision, kind = self._repository(loader, argument)
        if isinstance(repo, Unresolved):
            if loader.prefixes:
                return None
            facts["reference"] = "unresolved"
        elif repo is None:
            facts["reference"] = "local"
            return None
        else:
            facts["reference"] = "hub"
            facts["known_owner"] = repo.partition("/")[0] in self.known.known_owners
        facts.update(
            repo=None if isinstance(repo, Unresolved) else repo,
            repo_type=repo_type,
            revision=revision,
            revision_kind=kind.value,
        )
        return ModelRef(
            loader=self.callee,
            repo=None if isinstance(repo, Unresolved) else repo,
            location=self.module.locate(self.node),
            revision=revision,
            revision_kind=kind,
            repo_type=repo_type,
        )

    def _repository(
        self, loader: Loader, argument: _Given
    ) -> tuple[str | Unresolved | None, str | None, RevisionKind]:
        """Give repository (None: a path), revision and how firm it is."""
        revision, kind = self._revision(loader)
        name = argument.value
        if not isinstance(name, str):
            return UNRESOLVED, revision, kind
        for prefix in loader.prefixes:
            if name.startswith(prefix):
                name = name.removeprefix(prefix)
                break
        else:
            if loader.prefixes:
                return None, None, kind
        if loader.reference == "github":
            return self._github(name)
        name, at, inline = name.partition("@")
        if at and revision is None and kind is RevisionKind.NONE:
            revision, kind = inline, _kind(inline)
        if name in loader.local_names or self._is_local(name) or not REPOSITORY.fullmatch(name):
            return None, None, kind
        return name, revision, kind

    def _github(self, name: str) -> tuple[str | Unresolved | None, str | None, RevisionKind]:
        source = self.given(Parameter(position=None, keywords=("source",))).value
        match = GITHUB.fullmatch(name)
        if source == "local" or match is None:
            return None, None, RevisionKind.NONE
        return match["repo"], match["ref"], _kind(match["ref"])

    def _revision(self, loader: Loader) -> tuple[str | None, RevisionKind]:
        if loader.revision is None:
            return None, RevisionKind.NONE
        given = self.given(loader.revision)
        if isinstance(given.value, str):
            return given.value, _kind(given.value)
        return None, RevisionKind.NONE if given.value is None else RevisionKind.DYNAMIC

    def _is_local(self, name: str) -> bool:
        """Whether a name is a path: by its form, its ending, or because it is there."""
        if name.startswith((".", "/", "~")) or "\\" in name or ".." in name or name.count("/") > 1:
            return True
        if name.lower().endswith(self.known.file_suffixes):
            return True
        fits = REPOSITORY.fullmatch(name) is not None
        return fits and any(os.path.lexists(folder / name) for folder in self.folders)

    def _evidence(self, facts: dict[str, Fact]) -> Evidence:
        callee = self.callee.removeprefix(f"{UNKNOWN}.")
        return Evidence(
            kind="loader-call",
            location=self.module.locate(self.node),
            facts={"callee": callee, **facts, **dict(self.module.facts)},
            symbol=f"{callee}({facts.get('argument', '')})",
        )


def _kind(revision: str | None) -> RevisionKind:
    if revision is None:
        return RevisionKind.NONE
    return RevisionKind.COMMIT if COMMIT.fullmatch(revision) else RevisionKind.NAME


def _settings(node: ast.AST, scope: Scope, unpacked: _Dictionaries) -> Iterator[ast.expr]:
    """Find where trust_remote_code is switched on outside of a call's own arguments."""
    if isinstance(node, ast.Dict) and node not in unpacked:
        for key, value in zip(node.keys, node.values, strict=True):
            if isinstance(key, ast.Constant) and key.value == TRUST and constant(value, scope) is True:
                yield key
    elif isinstance(node, ast.Assign | ast.AnnAssign):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        for target in targets:
            name = target.attr if isinstance(target, ast.Attribute) else getattr(target, "id", None)
            if name == TRUST and node.value is not None and constant(node.value, scope) is True:
                yield target
    elif isinstance(node, ast.arguments):
        positional = [*node.posonlyargs, *node.args]
        pairs = [
            *zip(reversed(positional), reversed(node.defaults), strict=False),
            *zip(node.kwonlyargs, node.kw_defaults, strict=True),
        ]
        for argument, default in pairs:
            if argument.arg == TRUST and default is not None and constant(default, scope) is True:
                yield default


def _setting(node: ast.expr, module: Module) -> Evidence:
    facts: dict[str, Fact] = {"setting": TRUST, **dict(module.facts)}
    return Evidence(kind="trust-setting", location=module.locate(node), facts=facts, symbol=TRUST)
