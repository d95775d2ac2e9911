"""HDF5 messages decoded: shapes, types, where data is, filters, links and attributes.

Sections are those of the HDF5 File Format Specification, version 3.0.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from supplyguard.errors import MalformedError, UnsupportedError
from supplyguard.limits import MIB, Resource
from supplyguard.wire.cursor import Cursor
from supplyguard.wire.hdf5_file import Message, Storage

DATASPACE: Final = 0x01
LINK_INFO: Final = 0x02
DATATYPE: Final = 0x03
LINK: Final = 0x06
EXTERNAL_FILES: Final = 0x07
LAYOUT: Final = 0x08
FILTERS: Final = 0x0B
ATTRIBUTE: Final = 0x0C
SYMBOL_TABLE: Final = 0x11
ATTRIBUTE_INFO: Final = 0x15

COMPACT: Final = 0
CONTIGUOUS: Final = 1
CHUNKED: Final = 2
VIRTUAL: Final = 3
MOST_RANK: Final = 32
"""H5S_MAX_RANK."""
_FIXED_TEXT: Final = 3
_VARIABLE: Final = 9
_MOST_TEXTS: Final = 100_000
MOST_ATTRIBUTE_BYTES: Final = 64 * MIB
_PER_NODE: Final = 64
"""So many bytes of text cost as much of the Budget as one node."""


@dataclass(frozen=True, slots=True)
class Link:
    """A link's name and target. kind: "hard", "soft", "external" or "user"; address: of a hard one."""

    name: str
    kind: str
    address: int | None = None
    target: str = ""
    file: str = ""


@dataclass(frozen=True, slots=True)
class Datatype:
    """Class and size in bytes of one element; `text`: of variable length text."""

    kind: int
    size: int
    text: bool = False


@dataclass(slots=True)
class Layout:
    """Where a dataset's bytes are. stored: how many, None when an index must be walked for it."""

    kind: int
    address: int | None = None
    stored: int | None = None
    rank: int = 0
    old_index: bool = False


@dataclass(slots=True)
class Attribute:
    """An attribute. texts: its value when that is text, else None; offset: of its data."""

    name: str
    offset: int
    texts: tuple[str, ...] | None = field(default=None)


def dataspace(cursor: Cursor, storage: Storage) -> tuple[int, ...] | None:
    """Read the dimensions (IV.A.2.b); None when the space is null."""
    version, rank = cursor.number("B"), cursor.number("B")
    flags = cursor.number("B")
    if version not in (1, 2) or rank > MOST_RANK:
        raise MalformedError("an odd dataspace", offset=cursor.position)
    kind = cursor.number("B")
    if version == 1:
        cursor.skip(4)
    elif kind == 2:
        return None
    del flags  # maximal dimensions follow, which say nothing about what is there
    return tuple(storage.length(cursor) for _ in range(rank))


def datatype(cursor: Cursor) -> Datatype:
    """Read class and size (IV.A.2.d)."""
    first = cursor.number("B")
    bits = cursor.sized(3)
    kind = first & 0x0F
    return Datatype(kind, cursor.number("I"), text=kind == _VARIABLE and bits & 0x0F == 1)


def resolved(message: Message, storage: Storage) -> Cursor:
    """Give the body of a message, from where it is shared if it is (IV.A.2, "shared message")."""
    cursor = storage.within(message.start, message.end)
    if not message.shared:
        return cursor
    version, kind = cursor.number("B"), cursor.number("B")
    if version == 1:
        cursor.skip(6)
    elif version == 3 and kind == 1:
        raise UnsupportedError("a message in the shared message heap")
    address = storage.address(cursor)
    for each in storage.messages(address):
        if each.kind == message.kind and not each.shared:
            return storage.within(each.start, each.end)
    raise MalformedError("a shared message that is not there", offset=message.start)


def layout(cursor: Cursor, storage: Storage) -> Layout:
    """Read where the data is (IV.A.2.i)."""
    version = cursor.number("B")
    if version in (1, 2):
        return _old_layout(cursor, storage)
    if version not in (3, 4):
        raise UnsupportedError(f"a data layout of version {version}")
    kind = cursor.number("B")
    if kind == COMPACT:
        return Layout(kind, stored=cursor.number("H"))
    if kind == CONTIGUOUS:
        address = storage.address(cursor)
        size = storage.length(cursor)
        return Layout(kind, address, 0 if address is None else size)
    if kind == VIRTUAL:
        return Layout(kind, storage.address(cursor))
    if kind != CHUNKED:
        raise MalformedError(f"data layout class {kind}", offset=cursor.position)
    if version == 3:
        rank = cursor.number("B")
        address = storage.address(cursor)
        return Layout(kind, address, 0 if address is None else None, rank, old_index=True)
    return Layout(kind)


def _old_layout(cursor: Cursor, storage: Storage) -> Layout:
    rank, kind = cursor.number("B"), cursor.number("B")
    cursor.skip(5)
    address = storage.address(cursor) if kind != COMPACT else None
    cursor.skip(4 * rank)
    if kind == COMPACT:
        return Layout(kind, stored=cursor.number("I"))
    if kind == CONTIGUOUS:  # its size follows from shape and type
        return Layout(kind, address, 0 if address is None else None)
    return Layout(kind, address, 0 if address is None else None, rank, old_index=True)


def filters(cursor: Cursor) -> tuple[int, ...]:
    """Read the numbers of the filters (IV.A.2.l)."""
    version, count = cursor.number("B"), cursor.number("B")
    if version == 1:
        cursor.skip(6)
    found = []
    for _ in range(count):
        number = cursor.number("H")
        name = cursor.number("H") if version == 1 or number >= 256 else 0
        cursor.skip(2)
        values = cursor.number("H")
        padding = 4 * (values % 2) if version == 1 else 0
        cursor.skip((name + -name % 8 if version == 1 else name) + 4 * values + padding)
        found.append(number)
    return tuple(found)


def link(cursor: Cursor, storage: Storage) -> Link:
    """Read a link (IV.A.2.g)."""
    most = storage.budget.limits.string_bytes
    if cursor.number("B") != 1:
        raise UnsupportedError("a link message of an unknown version")
    flags = cursor.number("B")
    kind = cursor.number("B") if flags & 8 else 0
    cursor.skip((8 if flags & 4 else 0) + (1 if flags & 0x10 else 0))
    name = cursor.text(cursor.sized(1 << (flags & 3)), most)
    if kind == 0:
        return Link(name, "hard", address=storage.address(cursor))
    value = cursor.take(cursor.number("H"))
    if kind == 1:
        return Link(name, "soft", target=value.decode("utf-8", "replace"))
    if kind == 64:
        file, _, target = value[1:].decode("utf-8", "replace").partition("\0")
        return Link(name, "external", target=target.rstrip("\0"), file=file)
    return Link(name, "user")


def attribute(cursor: Cursor, storage: Storage) -> Attribute:
    """Read an attribute (IV.A.2.m); only values of text are kept."""
    version = cursor.number("B")
    if version not in (1, 2, 3):
        raise UnsupportedError("an attribute of an unknown version")
    flags = cursor.number("B")
    sizes = [cursor.number("H") for _ in range(3)]
    cursor.skip(1 if version == 3 else 0)
    padded = [size + -size % 8 if version == 1 else size for size in sizes]
    name = cursor.take(padded[0])[: sizes[0]].split(b"\0")[0].decode("utf-8", "replace")
    parts = []
    for kind, size, bit in ((DATATYPE, padded[1], 1), (DATASPACE, padded[2], 2)):
        message = Message(
            kind, 2 if version > 1 and flags & bit else 0, cursor.position, cursor.position + size
        )
        parts.append(resolved(message, storage))
        cursor.skip(size)
    found = Attribute(name, cursor.position)
    try:
        found.texts = _texts(cursor, datatype(parts[0]), dataspace(parts[1], storage), storage)
    except MalformedError as error:
        raise MalformedError(f"attribute {name[:100]!r}: {error.message}", offset=error.offset) from error
    return found


def _texts(
    cursor: Cursor, kind: Datatype, shape: tuple[int, ...] | None, storage: Storage
) -> tuple[str, ...] | None:
    """Read the elements when they are text: of fixed size, or references into the global heap (III.E)."""
    if shape is None or not (kind.text or kind.kind == _FIXED_TEXT):
        return None
    count = 1
    for each in shape:
        count *= each
    if count > _MOST_TEXTS or count * kind.size > cursor.remaining:
        raise MalformedError(f"{count:,} texts beyond the end", offset=cursor.position)
    texts = []
    total = 0
    for _ in range(count):
        if kind.text:
            length, address = cursor.number("I"), storage.address(cursor)
            index = cursor.number("I")
            data = b"" if length == 0 else _heap_text(storage, address, index, length)
        else:
            data = cursor.take(kind.size)
        total += len(data)
        storage.budget.spend(Resource.NODES, 1 + len(data) // _PER_NODE)
        if total > MOST_ATTRIBUTE_BYTES:
            raise MalformedError("texts of more than 64 MiB", offset=cursor.position)
        texts.append(data.rstrip(b"\0 ").decode("utf-8", "replace"))
    return tuple(texts)


def _heap_text(storage: Storage, address: int | None, index: int, length: int) -> bytes:
    if length > MOST_ATTRIBUTE_BYTES:
        raise MalformedError(f"a text of {length:,} bytes", offset=storage.base)
    return storage.heap_object(address, index, length)
