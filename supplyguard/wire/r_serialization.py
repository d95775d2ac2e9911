"""A walk over a serialized R object: promises, code, pointers and compact vectors, nothing built.

Format: src/main/serialize.c of R (ReadItem, ReadBC, ReadBCLang), whose order of reading this follows
with a list of things to do. Numbers and texts are passed over.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final

from supplyguard.errors import MalformedError, UnsupportedError
from supplyguard.limits import Budget, Resource
from supplyguard.wire.r_reader import Reader

SYM, LIST, CLO, ENV, PROM, LANG, SPECIAL, BUILTIN, CHAR = 1, 2, 3, 4, 5, 6, 7, 8, 9
LGL, INT, REAL, CPLX, STR, DOT, VEC, EXPR, BCODE, EXTPTR, WEAKREF, RAW, S4 = (
    *(10, 13, 14, 15, 16, 17, 19, 20),
    *(21, 22, 23, 24, 25),
)
ALTREP, ATTRLIST, ATTRLANG, BCREPREF, BCREPDEF, PERSIST, PACKAGE, NAMESPACE = (
    *(238, 239, 240, 243, 244),
    *(247, 248, 249),
)
UNBOUND, REF = 252, 255
_BARE: Final = frozenset({0, 241, 242, 250, 251, UNBOUND, 253, 254})
"""Items without a body: NULL, the base, empty and global environments, missing argument, no value."""
_NUMBERS: Final = {LGL: 4, INT: 4, REAL: 8, CPLX: 16, RAW: 1}
_PAIRS: Final = frozenset({LIST, CLO, PROM, LANG, DOT})
_CODE: Final = frozenset({LANG, BCODE})
_QUALIFIED: Final = frozenset({"::", ":::"})
_CELLS: Final = {"frame": "variable", "code": "code", "class": "class"}
"""Where a list's elements are, by where the list is."""
_LASTING: Final = frozenset({"frame", "code", "class", "variable"})
"""Places that the rest of a list has too."""
_MOST_NAMES: Final = 2000
_TIME: Final = 4096


@dataclass(kw_only=True, slots=True)
class Region:
    """A stretch of code. kind: "promise", "closure", "call", "bytecode"; place: what holds it.

    places of a promise: "top", "element" (of a list, an attribute), "variable", "code".
    environment, forced, code: a promise's. called: names in the place of a function; named: all symbols.
    """

    kind: str
    offset: int
    place: str
    environment: bool = False
    forced: bool = True
    code: bool = False
    called: dict[str, None] = field(default_factory=dict)
    named: dict[str, None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Pointer:
    """Something that means nothing outside of its process. kind: "external", "weak", "persistent"."""

    kind: str
    offset: int


@dataclass(frozen=True, slots=True)
class Compact:
    """An ALTREP vector: its class and the package that is loaded for it."""

    name: str
    package: str
    offset: int


@dataclass(frozen=True, slots=True)
class Finalizer:
    """A variable called `finalize` in an environment of a reference object."""

    offset: int


Seen = Region | Pointer | Compact | Finalizer


@dataclass(slots=True)
class _Call:
    """The head of a call, known once it is read."""

    head: str = ""


@dataclass(frozen=True, slots=True)
class _Where:
    """What an item is part of. part: its role in a call or promise ("head", "argument", "value", ...)."""

    place: str
    region: Region | None = None
    part: str = ""
    call: _Call | None = None
    names: list[str] | None = None

    @property
    def code(self) -> Region | None:
        """The region that code here belongs to; data inside of code is on its own."""
        return self.region if self.place == "code" else None


_Task = tuple[Callable[["Walk", _Where], Iterator[Seen]], _Where, int]


class Walk:
    """One walk. pending: regions whose end has not been read, told by whoever catches an error."""

    __slots__ = ("_budget", "_read", "_refs", "_steps", "_todo", "pending")

    def __init__(self, reader: Reader, budget: Budget) -> None:
        self._read = reader
        self._budget = budget
        self._refs: list[str] = []
        self._todo: list[_Task] = []
        self._steps = 0
        self.pending: list[Region] = []

    def seen(self) -> Iterator[Seen]:
        """Yield what acts; raises MalformedError and UnsupportedError where the reading ends."""
        version = self._read.integer()
        self._read.integer()
        self._read.integer()
        if version == 3:
            self._read.text(self._read.integer())
        elif version != 2:
            raise UnsupportedError(f"version {version} of R's serialization, which is not read here")
        self._push(Walk._item, _Where("top"))
        while self._todo:
            action, where, count = self._todo.pop()
            if count > 1:
                self._todo.append((action, where, count - 1))
            self._steps += 1
            if self._steps % _TIME == 0:
                self._budget.check_time()
            yield from action(self, where)

    def _push(self, action: Callable[[Walk, _Where], Iterator[Seen]], where: _Where, count: int = 1) -> None:
        if count > 0:
            self._todo.append((action, where, count))

    def _item(self, where: _Where) -> Iterator[Seen]:
        """Read one item."""
        self._budget.spend(Resource.NODES)
        at = self._read.position
        flags = self._read.integer()
        kind = flags & 0xFF
        self._value_known(where, kind)
        if kind in _BARE:
            return
        if kind == REF:
            index = flags >> 8 or self._read.integer()
            if not 1 <= index <= len(self._refs):
                raise MalformedError(f"a reference to item {index:,} of {len(self._refs):,}", offset=at)
            self._symbol(where, self._refs[index - 1])
        elif kind == SYM:
            self._symbol(where, self._name(at))
        elif kind in _PAIRS:
            yield from self._pair(where, flags, at)
        elif kind == ALTREP:
            yield from self._compact(at)
        else:
            yield from self._other(where, flags, at)

    def _other(self, where: _Where, flags: int, at: int) -> Iterator[Seen]:
        """Read an item that is no pair; its attributes come after it."""
        kind = flags & 0xFF
        if kind in (ENV, PERSIST, PACKAGE, NAMESPACE):
            yield from self._named(kind, at)
            return
        if flags & 0x200:
            self._push(Walk._item, _Where("element"))
        if kind == CHAR:
            self._chars()
        elif kind in _NUMBERS:
            self._read.pass_over(self._length(at), _NUMBERS[kind])
        elif kind == STR:
            self._push(Walk._string, where, self._length(at))
        elif kind in (VEC, EXPR):
            place = {"table": "frame", "code": "code"}.get(where.place, "element")
            self._push(Walk._item, _Where(place, where.code, "element"), self._length(at))
        elif kind in (SPECIAL, BUILTIN):
            name = self._read.text(self._read.integer())
            self._symbol(where, name)
        elif kind in (EXTPTR, WEAKREF):
            self._refs.append("")
            yield Pointer("external" if kind == EXTPTR else "weak", at)
            self._push(Walk._item, _Where("element"), 2 if kind == EXTPTR else 0)
        elif kind == BCODE:
            self._read.integer()
            region = where.code or self._open("bytecode", at, where)
            self._push(Walk._bytecode, _Where("code", region))
        elif kind != S4:
            raise UnsupportedError(f"an R item of the type {kind} at {at:,}, which is not read here")

    def _named(self, kind: int, at: int) -> Iterator[Seen]:
        """Read an environment, or the name of something that the reader looks up."""
        if kind == ENV:
            self._read.integer()
            self._refs.append("")
            self._push(Walk._item, _Where("element"))
            self._push(Walk._item, _Where("table"))
            self._push(Walk._item, _Where("frame"))
            self._push(Walk._item, _Where("environment"))
            return
        self._strings(at)
        if kind == PERSIST:
            yield Pointer("persistent", at)

    def _pair(self, where: _Where, flags: int, at: int) -> Iterator[Seen]:
        """Read a cell: attributes, tag, first part, and what comes next."""
        kind = flags & 0xFF
        region, tail, car = where.code, where, where
        names: list[str] = []
        if kind == PROM:
            region = self._open("promise", at, where, environment=bool(flags & 0x400))
            tail, car = _Where("code", region, "expression"), _Where("value", region, "value")
        elif kind == CLO:
            region = region or self._open("closure", at, where)
            car, tail = _Where("code", region, "formals"), _Where("code", region, "body")
        elif kind == LANG:
            region = region or self._open("call", at, where)
            call = _Call()
            car = _Where("code", region, "head", call)
            tail = _Where("code", region, "arguments", call)
        else:
            part = "argument" if where.part == "arguments" else "element"
            place = _CELLS.get(where.place, "variable" if kind == DOT else "element")
            inner = where.names if where.place == "class" else None
            car = _Where(place, region, part, where.call, inner)
            tail = where if where.place in _LASTING else _Where("element")
        self._push(Walk._item, tail)
        self._push(Walk._item, car)
        if flags & 0x400:
            if where.place == "frame" and kind == LIST:
                self._push(Walk._variable, _Where("tag", names=names))
            self._push(Walk._item, _Where("environment" if kind in (PROM, CLO) else "tag", names=names))
        if flags & 0x200:
            self._push(Walk._item, _Where("element"))
        yield from ()

    def _variable(self, where: _Where) -> Iterator[Seen]:
        """Look at the name of a variable that was just read."""
        if where.names == ["finalize"]:
            yield Finalizer(self._read.position)

    def _open(self, kind: str, at: int, where: _Where, *, environment: bool = False) -> Region:
        """Begin a region, which is told after all of its parts are read."""
        region = Region(kind=kind, offset=at, place=where.place, environment=environment)
        self.pending.append(region)
        self._push(Walk._close, _Where("", region))
        return region

    def _close(self, where: _Where) -> Iterator[Seen]:
        region = where.region
        if region is not None and region in self.pending:
            self.pending.remove(region)
            yield region

    def _value_known(self, where: _Where, kind: int) -> None:
        """Note of a promise whether it has its value, and whether it has code."""
        region = where.region
        if region is None or region.kind != "promise":
            return
        if where.part == "value":
            region.forced = kind != UNBOUND
        elif where.part == "expression":
            region.code = kind in _CODE

    def _symbol(self, where: _Where, name: str) -> None:
        """Note a symbol: of a tag, or of code."""
        if where.names is not None:
            where.names.append(name)
        region = where.region
        if not name or region is None or where.part in {"value", "formals"}:
            return
        if len(region.named) < _MOST_NAMES:
            region.named[name] = None
        qualified = where.part == "argument" and where.call is not None and where.call.head in _QUALIFIED
        if where.part == "head" or qualified:
            if where.call is not None and where.part == "head":
                where.call.head = name
            if len(region.called) < _MOST_NAMES:
                region.called[name] = None

    def _name(self, at: int) -> str:
        flags = self._read.integer()
        if flags & 0xFF != CHAR:
            raise MalformedError("a symbol without a name", offset=at)
        name = self._chars()
        self._refs.append(name)
        return name

    def _chars(self) -> str:
        length = self._read.integer()
        return "" if length == -1 else self._read.text(length)

    def _string(self, _: _Where) -> Iterator[Seen]:
        """Read one element of a character vector."""
        self._budget.spend(Resource.NODES)
        at = self._read.position
        if self._read.integer() & 0xFF != CHAR:
            raise MalformedError("a text expected", offset=at)
        self._chars()
        yield from ()

    def _strings(self, at: int) -> None:
        """Read the names of a package, namespace or persistent object."""
        if self._read.integer() != 0:
            raise MalformedError("names in persistent strings", offset=at)
        for _ in range(self._length(at)):
            next(self._string(_Where("")), None)
        self._refs.append("")

    def _length(self, at: int) -> int:
        length = self._read.integer()
        if length == -1:
            high, low = self._read.integer() & 0xFFFFFFFF, self._read.integer() & 0xFFFFFFFF
            length = high << 32 | low
        if not 0 <= length <= self._read.remaining:
            raise MalformedError(
                f"a length of {length:,} with {self._read.remaining:,} bytes left", offset=at
            )
        return length

    def _compact(self, at: int) -> Iterator[Seen]:
        """Read an ALTREP item: its class as a pair list, its state, its attributes."""
        names: list[str] = []
        self._push(Walk._item, _Where("element"), 2)
        self._push(Walk._told, _Where(str(at), names=names))
        self._push(Walk._item, _Where("class", names=names))
        yield from ()

    def _told(self, where: _Where) -> Iterator[Seen]:
        names = [*(where.names or []), "", ""]
        yield Compact(names[0], names[1], int(where.place))

    def _bytecode(self, where: _Where) -> Iterator[Seen]:
        """Read compiled code: its instructions, then its constants."""
        self._push(Walk._constants, where)
        self._push(Walk._item, _Where("element"))
        yield from ()

    def _constants(self, where: _Where) -> Iterator[Seen]:
        at = self._read.position
        self._push(Walk._constant, where, self._length(at))
        yield from ()

    def _constant(self, where: _Where) -> Iterator[Seen]:
        self._budget.spend(Resource.NODES)
        kind = self._read.integer()
        if kind == BCODE:
            self._push(Walk._bytecode, where)
        else:
            yield from self._compiled(where, kind)

    def _tree(self, where: _Where) -> Iterator[Seen]:
        self._budget.spend(Resource.NODES)
        yield from self._compiled(where, self._read.integer())

    def _compiled(self, where: _Where, kind: int) -> Iterator[Seen]:
        """Read a part of an expression among the constants; `kind` was read already."""
        if kind == BCREPREF:
            self._read.integer()
            return  # to a part that was read before
        if kind == BCREPDEF:
            self._read.integer()
            kind = self._read.integer()
        if kind not in (LANG, LIST, ATTRLANG, ATTRLIST):
            self._push(Walk._item, where)
            return
        if kind in (LANG, ATTRLANG):
            call = _Call()
            head = _Where("code", where.region, "head", call)
            tail = _Where("code", where.region, "arguments", call)
        else:
            part = "argument" if where.part == "arguments" else "element"
            head, tail = _Where("code", where.region, part, where.call), where
        self._push(Walk._tree, tail)
        self._push(Walk._tree, head)
        self._push(Walk._item, _Where("tag"))
        if kind in (ATTRLANG, ATTRLIST):
            self._push(Walk._item, _Where("element"))
        yield from ()
