"""What the symbolic machine has on its stack.

None, bool, int, float, str and bytes stand for themselves. Everything else is one of the
classes below. Mutable nodes are shared by reference, so that DUP, GET and the memo alias as they
do in a real unpickler.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from supplyguard.pickles.knowledge import Effect, Judgement

Constant = None | bool | int | float | str | bytes


class Computed(str):
    """A text that is not written in the pickle but the result of a call."""

    __slots__ = ()


class Kind(StrEnum):
    """The exact built-in type of a container."""

    TUPLE = "tuple"
    LIST = "list"
    DICT = "dict"
    SET = "set"
    FROZENSET = "frozenset"


class Mark:
    """The stack's mark object."""

    __slots__ = ()


MARK: Final = Mark()


@dataclass(slots=True, eq=False)
class View:
    """A long literal left in the file: `length` bytes at `offset`. kind: bytes, bytearray, str, int."""

    kind: str
    offset: int
    length: int


@dataclass(slots=True, eq=False)
class Run:
    """An unknown number of values: the inert opcodes at [start, end), not looked at yet.

    `tail` is the start of its last stretch, an opcode boundary; `cuts` are some other such
    boundaries, in order, all before `tail`.
    """

    start: int
    tail: int
    end: int
    cuts: tuple[int, ...] = ()


@dataclass(slots=True, eq=False)
class Stored:
    """The value that was memoized at `offset` inside a run, not looked at yet."""

    index: int
    offset: int


@dataclass(slots=True, eq=False)
class Container:
    """A tuple, list, dict (keys and values in turn), set or frozenset.

    items: nodes and Runs. complete: False when some items are not known. loose: the memo may hold
    it as unread data, so a change through the memo would not be seen here. depth: of nesting.
    """

    kind: Kind
    items: list[Value | Run]
    complete: bool = True
    loose: bool = False
    depth: int = 1


@dataclass(slots=True, eq=False)
class Global:
    """An imported object. raw_*: as written; module and name: as the unpickler maps them."""

    module: str
    name: str
    judgement: Judgement
    offset: int
    called: bool = False

    @property
    def dotted(self) -> str:
        """Its name for people."""
        return f"{self.module}.{self.name}"

    @property
    def effect(self) -> Effect:
        """What the knowledge says that it does."""
        return self.judgement.effect


@dataclass(slots=True, eq=False)
class Module:
    """A module object."""

    name: str


@dataclass(slots=True, eq=False)
class Instance:
    """The result of a call or an allocation whose outcome is not known further.

    arguments: the call's, None when they are not known. states: operands of BUILD, in order.
    armed: names that a BUILD put on it and that a loader would call. content: the bytes that an
    in-memory file holds.
    """

    callee: Value
    arguments: tuple[Value, ...] | None
    offset: int
    states: list[Value] = field(default_factory=list)
    armed: frozenset[str] = frozenset()
    content: Value = None

    @property
    def type_name(self) -> str:
        """The dotted name of what made it, "" when that is no import."""
        return self.callee.dotted if isinstance(self.callee, Global) else ""


@dataclass(slots=True, eq=False)
class Attribute:
    """An attribute of a value that is not known further."""

    owner: Value
    name: str


@dataclass(slots=True, eq=False)
class Partial:
    """A callable with arguments laid down: functools.partial."""

    callee: Value
    arguments: tuple[Value, ...]


@dataclass(slots=True, eq=False)
class Accessor:
    """operator.attrgetter, itemgetter or methodcaller with its arguments. kind: which."""

    kind: str
    arguments: tuple[Value, ...]


@dataclass(slots=True, eq=False)
class Persistent:
    """The result of a persistent id."""

    identifier: Value


@dataclass(slots=True, eq=False)
class Extension:
    """The result of an extension code."""

    code: int


@dataclass(slots=True, eq=False)
class Buffer:
    """An out-of-band buffer."""


@dataclass(slots=True, eq=False)
class Unknown:
    """A value that could not be recovered; `reason` says why."""

    reason: str


Value = (
    Constant
    | View
    | Stored
    | Container
    | Global
    | Module
    | Instance
    | Attribute
    | Partial
    | Accessor
    | Persistent
    | Extension
    | Buffer
    | Unknown
)
Entry = Value | Run | Mark


_ACTING: Final = frozenset(
    {Global, Module, Instance, Attribute, Partial, Accessor, Persistent, Extension, Buffer, Unknown}
)


def is_plain(value: Entry) -> bool:
    """Whether a value is data that no opcode can make act: constants, views, unread data."""
    return type(value) not in _ACTING
