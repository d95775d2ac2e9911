"""What a pickled global does: the verdict of `module` and `name` from the files under rules/knowledge/.

Files of exact rows are read when the first global of their top-level module is judged, so that a
scan pays for the libraries it meets. Nothing depends on what is installed beside us.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Final

from supplyguard.pickles.knowledge_format import (
    DANGEROUS,
    SUBTREE,
    Condition,
    Effect,
    Row,
    read_attributes,
    read_exact,
    read_rows,
    read_table,
    row_of,
)
from supplyguard.resources import rules_folder

__all__ = [
    "DANGEROUS",
    "Condition",
    "Effect",
    "Judgement",
    "Knowledge",
    "current_knowledge",
    "knowledge_of",
    "load_knowledge",
]

MAX_SEGMENTS: Final = 16
"""Dotted names and modules with more segments than this are not walked; no library writes them."""
STANDARD_LIBRARY: Final = "python"
_SEVEREST_FIRST: Final = (
    Effect.PROCESS,
    Effect.EVALUATES,
    Effect.NATIVE,
    Effect.IMPORTS,
    Effect.LOADER,
    Effect.TAMPERS,
    Effect.NETWORK,
    Effect.FILES,
    Effect.DEFERS,
    Effect.ACCESSOR,
)
_CHOSEN: ContextVar[tuple[Path, ...]] = ContextVar("knowledge", default=())
_SEVERITY: Final = {effect: rank for rank, effect in enumerate(_SEVEREST_FIRST)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """What one global does.

    library: the top-level module, or `python` for the standard library.
    condition: for a conditional effect, a value of `Condition`; else empty.
    """

    effect: Effect
    library: str
    reason: str
    condition: str = ""


class _Table:
    """Rows by how exactly they name a global."""

    __slots__ = ("exact", "families", "modules", "single", "subtree")

    def __init__(self) -> None:
        self.exact: dict[tuple[str, str], Sequence[str]] = {}
        self.families: dict[str, list[Row]] = {}
        self.single: dict[str, Sequence[str]] = {}
        self.subtree: dict[str, Sequence[str]] = {}
        self.modules: set[str] = set()

    def add(self, rows: Iterable[Row]) -> None:
        """Take in rows; a later row replaces an earlier one of the same global or module."""
        for row in rows:
            module = row.module
            if row.exact:
                self.add_exact({(module, row.name): row})
            elif not row.whole:
                self.families.setdefault(module.partition(".")[0], []).insert(0, row)
            elif module.endswith(SUBTREE):
                self.subtree[module.removesuffix(SUBTREE)] = row
            else:
                self.single[module] = row

    def add_exact(self, rows: Mapping[tuple[str, str], Sequence[str]]) -> None:
        """Take in exact rows by module and name, and note the modules."""
        self.exact.update(rows)
        for module in {pair[0] for pair in rows}:
            path = module
            while path and path not in self.modules:
                self.modules.add(path)
                path = path.rpartition(".")[0]

    def family(self, module: str, name: str) -> Row | None:
        """Find the family that the global belongs to; the last one given wins."""
        for row in self.families.get(module.partition(".")[0], ()):
            if _same_shape(row.module, module) and _same_shape(row.name, name):
                return row
        return None

    def whole(self, module: str) -> Row | None:
        """Find the row for everything in `module`; the longest module path wins."""
        row = self.single.get(module)
        path = module
        while row is None and path:
            row = self.subtree.get(path)
            path = path.rpartition(".")[0]
        return None if row is None else row_of(row)


class Knowledge:
    """The verdicts on pickled globals; made by `load_knowledge`."""

    __slots__ = (
        "_acting",
        "_aliases",
        "_attributes",
        "_folder",
        "_python2",
        "_standard",
        "_table",
        "_unread",
        "_user",
    )

    def __init__(self, folder: Path, extra: Sequence[Path] = ()) -> None:
        self._folder = folder / "globals"
        self._unread = {entry.name[:-4] for entry in os.scandir(self._folder) if entry.name.endswith(".csv")}
        self._aliases = {
            old: new
            for _, (old, new, _) in read_table(folder / "aliases.csv", ["module", "target", "reason"])
        }
        self._python2 = {
            (module, name): (to_module, to_name)
            for _, (module, name, to_module, to_name) in read_table(
                folder / "python2_names.csv", ["module", "name", "to_module", "to_name"]
            )
        }
        self._attributes = read_attributes(folder / "attributes.csv")
        self._table = _Table()
        self._table.subtree = {
            row[0].removesuffix(SUBTREE): row for row in read_exact(folder / "standard_library.csv").values()
        }
        self._standard = frozenset(self._table.subtree)
        self._acting = frozenset(module for module, row in self._table.subtree.items() if row[2] in DANGEROUS)
        self._table.add(read_rows(folder / "patterns.csv"))
        self._user = _Table()
        for file in extra:
            self._user.add(read_rows(file))

    def judge(self, module: str, name: str) -> Judgement:
        """Say what the global `name` of `module` does; `name` may be dotted (a qualified name).

        The most exact row decides: the pair itself, then a family, then the module. A name that
        walks through a module is judged by where the walk ends.
        """
        row = self._exact(module, name)
        if row is not None:
            return self._judgement(module, row)
        if name.count(".") >= MAX_SEGMENTS or module.count(".") >= MAX_SEGMENTS:
            reason = "has more dotted segments than any library writes"
            return Judgement(effect=Effect.UNKNOWN_MODULE, library=self._library(module), reason=reason)
        module, name = self.python3_global(module, name)
        module = self._renamed(module)
        row = self._exact(module, name)
        if row is not None:
            return self._judgement(module, row)
        return self._walked(module, name.split(".")) or self._by_pattern(module, name)

    def python3_global(self, module: str, name: str) -> tuple[str, str]:
        """Map a Python 2 global as the unpickler does below protocol 3 (CPython's `_compat_pickle`)."""
        whole = self._python2.get((module, "*"), (module, "*"))
        return self._python2.get((module, name), (whole[0], name))

    def is_standard(self, module: str) -> bool:
        """Whether the module is one of the standard library, of Python 2 or 3."""
        return module.partition(".")[0] in self._standard

    def _library(self, module: str) -> str:
        return STANDARD_LIBRARY if self.is_standard(module) else module.partition(".")[0]

    def _judgement(self, module: str, row: Row) -> Judgement:
        return Judgement(
            effect=row.effect, library=self._library(module), reason=row.reason, condition=row.condition
        )

    def _load(self, module: str) -> None:
        top = module.partition(".")[0]
        if top in self._unread:
            self._unread.remove(top)
            self._table.add_exact(read_exact(self._folder / f"{top}.csv"))

    def _exact(self, module: str, name: str) -> Row | None:
        self._load(module)
        fields = self._user.exact.get((module, name)) or self._table.exact.get((module, name))
        return None if fields is None else row_of(fields)

    def _renamed(self, module: str) -> str:
        """Give the present name of a module that its library has moved."""
        path = module
        while path:
            if path in self._aliases:
                return self._aliases[path] + module[len(path) :]
            path = path.rpartition(".")[0]
        return module

    def _by_pattern(self, module: str, name: str) -> Judgement:
        row = (
            self._user.family(module, name)
            or self._table.family(module, name)
            or self._user.whole(module)
            or self._table.whole(module)
        )
        if row is not None:
            return self._judgement(module, row)
        return Judgement(effect=Effect.UNKNOWN, library=self._library(module), reason="not reviewed")

    def _walked(self, module: str, segments: list[str]) -> Judgement | None:
        """Judge a name by what it passes: special attributes, dangerous owners and modules."""
        ends = [
            self._judgement(module, self._attributes[each]) for each in segments if each in self._attributes
        ]
        ends += self._owners(module, segments)
        passed = ""
        for place, step in self._modules_on_the_way(module, segments):
            rest = segments[place + 1 :]
            if rest:
                ends += [end for end in self._ends(step, rest) if end.effect in DANGEROUS]
            if self._counts(module, step, ends_there=not rest, alone=len(segments) == 1):
                passed = step
        if ends:
            return min(ends, key=lambda end: _SEVERITY.get(end.effect, len(_SEVERITY)))
        if passed:
            reason = f"is or passes through the module {passed}"
            return Judgement(effect=Effect.UNKNOWN_MODULE, library=self._library(module), reason=reason)
        return None

    def _owners(self, module: str, segments: list[str]) -> Iterator[Judgement]:
        """Yield the verdicts of dangerous globals that the dotted name is an attribute of."""
        for end in range(1, len(segments)):
            row = self._exact(module, ".".join(segments[:end]))
            if row is not None and (row.effect in DANGEROUS or row.effect is Effect.EMBEDS_CODE):
                yield self._judgement(module, row)

    def _ends(self, module: str, segments: list[str]) -> Iterator[Judgement]:
        """Yield the verdicts on where a walk into `module` ends."""
        name = ".".join(segments)
        row = self._exact(module, name)
        if row is not None:
            yield self._judgement(module, row)
        else:
            yield from self._owners(module, segments)
            yield self._by_pattern(module, name)

    def _modules_on_the_way(self, module: str, segments: list[str]) -> Iterator[tuple[int, str]]:
        """Yield (index of its last segment, module) for each module that the name may pass through."""
        for start in range(-1, len(segments)):
            if start >= 0 and self._exact(module, ".".join(segments[: start + 1])) is not None:
                continue
            path = module if start < 0 else self._top_level(segments[start])
            if path and start >= 0:
                yield start, path
            for place in range(start + 1, len(segments) if path else 0):
                path = f"{path}.{segments[place]}"
                if self._is_module(path):
                    yield place, path

    def _top_level(self, segment: str) -> str:
        """Give the module that libraries commonly hold under the name `segment`, or an empty text."""
        if segment in self._standard or segment in self._unread or segment in self._table.modules:
            return segment
        bare = segment.lstrip("_")
        if bare in self._acting:
            return bare
        return self._aliases.get(segment, segment if segment in self._table.subtree else "")

    def _is_module(self, path: str) -> bool:
        self._load(path)
        table = self._table
        return (
            path in self._standard or path in table.modules or path in table.single or path in table.subtree
        )

    def _counts(self, module: str, step: str, *, ends_there: bool, alone: bool) -> bool:
        """Whether `step` is surely a module here; plain words such as `copy` name functions too."""
        if step.startswith(f"{module}."):
            return True
        if step not in self._standard:
            return False
        return not ends_there or step in self._acting or (alone and self.is_standard(module))


def load_knowledge(extra: Sequence[Path] = ()) -> Knowledge:
    """Load the built-in knowledge; rows of the files in `extra` replace equally exact built-in ones.

    Raises RuleError naming file and line where a file breaks the format; a built-in file of exact
    rows is read at the first `judge` of its top-level module.
    """
    return Knowledge(rules_folder() / "knowledge", extra)


@contextmanager
def knowledge_of(extra: Sequence[Path]) -> Iterator[None]:
    """Within this context, `current_knowledge` includes the files in `extra`."""
    token = _CHOSEN.set(tuple(extra))
    try:
        yield
    finally:
        _CHOSEN.reset(token)


def current_knowledge() -> Knowledge:
    """Give the knowledge that counts here; loaded once for each set of extra files."""
    return _loaded(_CHOSEN.get())


@cache
def _loaded(extra: tuple[Path, ...]) -> Knowledge:
    return load_knowledge(extra)


def _same_shape(pattern: str, path: str) -> bool:
    """Whether each dotted segment of `path` matches the wildcards of the same segment of `pattern`."""
    wanted, given = pattern.split("."), path.split(".")
    return len(wanted) == len(given) and all(map(fnmatchcase, given, wanted))
