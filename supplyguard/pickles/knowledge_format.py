"""The format of the knowledge files under rules/knowledge/: one pickled global, or pattern of them, a row.

A file is comma-separated text (RFC 4180) with the header `module,name,effect,condition,reason`.
A row is one of

- exact: a module and a qualified name, such as `pathlib,Path.unlink`;
- a family: shell-style wildcards inside dotted segments, such as
  `transformers.models.*.configuration_*,*Config`;
- a whole module: `os,*` is every name of `os`; `os.**,*` is that and every submodule.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Final, NamedTuple, TextIO

from supplyguard.errors import RuleError

HEADER: Final = ["module", "name", "effect", "condition", "reason"]
SUBTREE: Final = ".**"
"""The end of a module that stands for it and all its submodules."""
WILDCARDS: Final = frozenset("*?[")


class Effect(StrEnum):
    """What a global does when a pickle uses it; docs/knowledge.md explains each."""

    INERT = "inert"
    TYPE = "type"
    SETSTATE = "setstate"
    CONDITIONAL = "conditional"
    ACCESSOR = "accessor"
    LOADER = "loader"
    IMPORTS = "imports"
    EVALUATES = "evaluates"
    PROCESS = "process"
    FILES = "files"
    NETWORK = "network"
    NATIVE = "native"
    DEFERS = "defers"
    TAMPERS = "tampers"
    EMBEDS_CODE = "embeds-code"
    LOCAL = "local"
    UNKNOWN = "unknown"
    UNKNOWN_STDLIB = "unknown-stdlib"
    UNKNOWN_MODULE = "module"


class Condition(StrEnum):
    """What the operands of a conditional global must be for its call to be harmless."""

    ARRAY_BUFFER = "array-buffer"
    ARRAY_STATE = "array-state"
    CALLABLE_OPERAND = "callable-operand"
    CODECS_DECODE = "codecs-decode"
    CODECS_ENCODE = "codecs-encode"
    COMPANION_FILE = "companion-file"
    DTYPE = "dtype"
    FORMULA = "formula"
    GETATTR = "getattr"
    ITERATOR = "iterator"
    LAZY_ITERATOR = "lazy-iterator"
    NAMED_GLOBAL = "named-global"
    NESTED_BYTES = "nested-bytes"
    NEW_OBJECT = "new-object"
    NUMBER_TEXT = "number-text"
    NUMPY_RECONSTRUCT = "numpy-reconstruct"
    RANDOM_CONSTRUCTOR = "random-constructor"
    REBUILD_FROM_TYPE = "rebuild-from-type"
    RECONSTRUCTOR = "reconstructor"
    SCIPY_TEMPLATE = "scipy-template"
    SIZE = "size"
    STORED_ONLY = "stored-only"
    SUBSCRIPTION = "subscription"
    TYPE_BUILDER = "type-builder"
    TYPE_OPERAND = "type-operand"
    ZONE_FILE = "zone-file"


DANGEROUS: Final = frozenset(
    {
        Effect.ACCESSOR,
        Effect.LOADER,
        Effect.IMPORTS,
        Effect.EVALUATES,
        Effect.PROCESS,
        Effect.FILES,
        Effect.NETWORK,
        Effect.NATIVE,
        Effect.DEFERS,
        Effect.TAMPERS,
    }
)
"""The effects that let a pickle reach outside itself."""

_EFFECTS: Final = {effect.value: effect for effect in Effect}
_CONDITIONS: Final = {condition.value: condition.value for condition in Condition} | {"": ""}


class Row(NamedTuple):
    """One row: what is known of the globals that `module` and `name` stand for."""

    module: str
    name: str
    effect: Effect
    condition: str
    reason: str

    @property
    def exact(self) -> bool:
        """Whether the row names a single global."""
        return WILDCARDS.isdisjoint(self.module) and WILDCARDS.isdisjoint(self.name)

    @property
    def whole(self) -> bool:
        """Whether the row stands for everything in a module."""
        return self.name == "*" and WILDCARDS.isdisjoint(self.module.removesuffix(SUBTREE))


def read_table(file: Path, header: list[str]) -> Iterator[tuple[int, list[str]]]:
    """Yield the line number and the fields of each row of a comma-separated file under `header`.

    Raises RuleError when the file cannot be read, its header differs or a row has too few or
    too many fields.
    """
    with _opened(file) as text:
        reader = csv.reader(text, strict=True)
        if next(reader, None) != header:
            raise RuleError(f"{file}:1: the header must be {','.join(header)}")
        width = len(header)
        for fields in reader:
            if len(fields) != width:
                raise RuleError(f"{file}:{reader.line_num}: expected {width} fields, found {len(fields)}")
            yield reader.line_num, fields


def read_exact(file: Path) -> dict[tuple[str, str], list[str]]:
    """Read the unchecked fields of a file of exact rows, by module and name.

    This is the way of the built-in files, which are long: a row is checked by `row_of` when it is
    looked up, and the project's tests check them all.
    """
    with _opened(file) as text:
        rows = csv.reader(text, strict=True)
        if next(rows, None) != HEADER:
            raise RuleError(f"{file}:1: the header must be {','.join(HEADER)}")
        return {(row[0], row[1]): row for row in rows if len(row) > 1}


@contextmanager
def _opened(file: Path) -> Iterator[TextIO]:
    try:
        with file.open(encoding="utf-8", newline="") as text:
            yield text
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise RuleError(f"{file}: cannot be read: {error}") from error


def read_rows(file: Path) -> Iterator[Row]:
    """Yield the rows of a knowledge file; raises RuleError naming the file and line of a bad row."""
    for line, fields in read_table(file, HEADER):
        yield row_of(fields, f"{file}:{line}")


def row_of(fields: Sequence[str], place: str = "") -> Row:
    """Check the five fields of a row and make it; raises RuleError that begins with `place`."""
    if isinstance(fields, Row):
        return fields
    if not place:
        place = f"the knowledge of {':'.join(fields[:2])}"
    if len(fields) != len(HEADER):
        raise RuleError(f"{place}: expected {len(HEADER)} fields, found {len(fields)}")
    module, name, effect, condition, reason = fields
    known = _effect(effect, place)
    if condition not in _CONDITIONS or (condition == "") is (known is Effect.CONDITIONAL):
        raise RuleError(f"{place}: effect {effect!r} does not go with condition {condition!r}")
    if not module or not name:
        raise RuleError(f"{place}: module and name must not be empty")
    row = Row(module, name, known, condition, reason)
    if not row.exact:
        _check_pattern(row, place)
    return row


def read_attributes(file: Path) -> dict[str, Row]:
    """Read the attribute names that are never mere data, whatever object they are taken from."""
    header = ["name", "effect", "reason"]
    return {
        name: Row("", name, _effect(effect, f"{file}:{line}"), "", reason)
        for line, (name, effect, reason) in read_table(file, header)
    }


def _effect(text: str, place: str) -> Effect:
    effect = _EFFECTS.get(text)
    if effect is None:
        raise RuleError(f"{place}: unknown effect {text!r}")
    return effect


def _check_pattern(row: Row, place: str) -> None:
    if not WILDCARDS.isdisjoint(row.module.partition(".")[0]):
        raise RuleError(f"{place}: the first segment of a module pattern must be written out")
    if "**" in row.module.removesuffix(SUBTREE) or "**" in row.name:
        raise RuleError(f"{place}: '**' stands only at the end of a module, after a dot")
    if row.module.endswith(SUBTREE) and not row.whole:
        raise RuleError(f"{place}: a module with its submodules goes with the name '*' only")
    if row.effect is Effect.INERT:
        raise RuleError(f"{place}: a pattern cannot be inert; name each global")
