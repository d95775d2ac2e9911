"""HDF5 indexes: what a group or an object holds, whichever of four ways it is stored.

Old groups keep names in a B-tree of version 1 with a local heap; new ones keep links and attributes
in messages, or ("dense") in a fractal heap indexed by a B-tree of version 2. Sections are those of
the HDF5 File Format Specification, version 3.0.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from supplyguard.errors import MalformedError, UnsupportedError
from supplyguard.limits import KIB, Resource
from supplyguard.wire.cursor import Cursor
from supplyguard.wire.hdf5_file import Storage
from supplyguard.wire.hdf5_records import Link

_SOFT: Final = 2
_BY_NAME_LINKS: Final = 5
_BY_NAME_ATTRIBUTES: Final = 8
_HUGE_OBJECTS: Final = 1
_HUGE_FILTERED: Final = 2
_MOST_LEVELS: Final = 64
MOST_NAME: Final = 64 * KIB
"""Longer names are cut."""


def old_tree(
    storage: Storage, address: int | None, kind: int, key: int
) -> Iterator[tuple[Cursor, int | None]]:
    """Yield (key, child) of all leaves of a B-tree of version 1 (III.A.1).

    kind: 0 for groups, 1 for chunks. key: bytes of a key.
    """
    seen: set[int] = set()
    pending = [address]
    while pending:
        place = pending.pop()
        cursor = storage.signed(place, b"TREE")
        if cursor.position in seen:
            raise MalformedError("a tree that contains itself", offset=cursor.position)
        seen.add(cursor.position)
        storage.budget.check_time()
        if cursor.number("B") != kind:
            raise MalformedError("a tree of another kind", offset=cursor.position)
        level, count = cursor.number("B"), cursor.number("H")
        cursor.skip(2 * storage.offset_size)
        children = []
        for _ in range(count):
            storage.budget.spend(Resource.NODES)
            start = cursor.position
            cursor.skip(key)
            child = storage.address(cursor)
            if level:
                children.append(child)
            else:
                yield storage.within(start, start + key), child
        pending += reversed(children)


def old_links(storage: Storage, tree: int | None, heap: int | None) -> Iterator[Link]:
    """Yield the links of an old group (III.A.1, III.B, III.C, III.D)."""
    cursor = storage.signed(heap, b"HEAP")
    cursor.skip(4)
    size = storage.length(cursor)
    cursor.skip(storage.length_size)
    names = storage.at(storage.address(cursor), size)
    for _, child in old_tree(storage, tree, 0, storage.length_size):
        node = storage.signed(child, b"SNOD")
        node.skip(2)
        for _ in range(node.number("H")):
            storage.budget.spend(Resource.NODES)
            name = _named(storage, names, node.sized(storage.offset_size))
            address = storage.address(node)
            kind = node.number("I")
            node.skip(4)
            scratch = node.number("I")
            node.skip(12)
            if kind == _SOFT:
                yield Link(name, "soft", target=_named(storage, names, scratch))
            else:
                yield Link(name, "hard", address=address)


def heap_name(storage: Storage, heap: int | None, offset: int) -> str:
    """Read a text of a local heap (III.D)."""
    cursor = storage.signed(heap, b"HEAP")
    cursor.skip(4)
    size = storage.length(cursor)
    cursor.skip(storage.length_size)
    return _named(storage, storage.at(storage.address(cursor), size), offset)


def _named(storage: Storage, names: Cursor, offset: int) -> str:
    start = names.position + offset
    if start >= names.end:
        raise MalformedError("a name outside of its heap", offset=names.position)
    length = min(names.end - start, MOST_NAME)
    step, text = 256, b""
    while len(text) < length:
        text += storage.within(start + len(text), start + min(len(text) + step, length)).take(
            min(step, length - len(text))
        )
        if b"\0" in text:
            break
        step *= 2
    storage.budget.spend(Resource.NODES, len(text) // 64)
    return text.split(b"\0")[0].decode("utf-8", "replace")


def dense_objects(storage: Storage, heap: int | None, index: int | None) -> Iterator[Cursor]:
    """Yield the links or attributes that a name index finds in a fractal heap."""
    objects = FractalHeap(storage, heap)
    for kind, record in new_tree(storage, index):
        if kind == _BY_NAME_LINKS:
            record.skip(4)
            yield objects.get(record.take(7))
        elif kind == _BY_NAME_ATTRIBUTES:
            identity = record.take(8)
            if record.number("B") & 2:
                raise UnsupportedError("an attribute in the shared message heap")
            yield objects.get(identity)
        else:
            raise MalformedError(f"an index of type {kind}", offset=record.position)


def new_tree(storage: Storage, address: int | None) -> Iterator[tuple[int, Cursor]]:
    """Yield (type, record) of all records of a B-tree of version 2 (III.A.2)."""
    header = storage.signed(address, b"BTHD")
    header.skip(1)
    kind, size, record = header.number("B"), header.number("I"), header.number("H")
    levels = header.number("H")
    header.skip(2)
    root, count = storage.address(header), header.number("H")
    if root is None:
        return
    if levels > _MOST_LEVELS or record == 0 or size < 10 + record:
        raise MalformedError("a tree whose description makes no sense", offset=header.position)
    widths = _pointer_widths(storage, size, record, levels)
    seen: set[int] = set()
    pending: list[tuple[int | None, int, int]] = [(root, count, levels)]
    while pending:
        place, count, level = pending.pop()
        cursor = storage.signed(place, b"BTIN" if level else b"BTLF")
        if cursor.position in seen:
            raise MalformedError("a tree that contains itself", offset=cursor.position)
        seen.add(cursor.position)
        storage.budget.check_time()
        cursor.skip(2)
        for _ in range(count):
            storage.budget.spend(Resource.NODES)
            start = cursor.position
            cursor.skip(record)
            yield kind, storage.within(start, start + record)
        if level:
            for _ in range(count + 1):
                child, records = storage.address(cursor), cursor.sized(widths[0])
                cursor.skip(widths[level - 1] if level > 1 else 0)
                pending.append((child, records, level - 1))


def _pointer_widths(storage: Storage, size: int, record: int, levels: int) -> list[int]:
    """Work out how many bytes the counts in inner nodes take: [0] of records, [n] of all below level n."""
    most = (size - 10) // record
    widths = [_width(most)]
    total = most
    for level in range(1, levels + 1):
        pointer = storage.offset_size + widths[0] + (widths[level - 1] if level > 1 else 0)
        most = max(0, (size - 10 - pointer) // (record + pointer))
        total = (most + 1) * total + most
        widths.append(_width(total))
    return widths


def _width(limit: int) -> int:
    return max(1, (limit.bit_length() + 7) // 8)


class FractalHeap:
    """Objects by identity (III.G)."""

    def __init__(self, storage: Storage, address: int | None) -> None:
        self._storage = storage
        cursor = storage.signed(address, b"FRHP")
        cursor.skip(1)
        self._identity = cursor.number("H")
        filtered = cursor.number("H")
        cursor.skip(1)
        largest = cursor.number("I")
        cursor.skip(storage.length_size)
        self._huge = storage.address(cursor)
        cursor.skip(storage.length_size + storage.offset_size + 8 * storage.length_size)
        self._width = cursor.number("H")
        self._start = storage.length(cursor)
        self._direct = storage.length(cursor)
        bits = cursor.number("H")
        cursor.skip(2)
        self._root = storage.address(cursor)
        self._rows = cursor.number("H")
        if filtered:
            raise UnsupportedError("a fractal heap behind filters")
        sound = self._start and self._direct >= self._start and self._width
        if not sound or self._start & (self._start - 1) or self._direct & (self._direct - 1) or bits > 64:
            raise MalformedError("a fractal heap whose description makes no sense", offset=cursor.position)
        self._offset_bytes = (bits + 7) // 8
        self._length_bytes = min(_width(self._direct), _width(largest))
        self._huge_objects: dict[int, tuple[int | None, int]] | None = None

    def get(self, identity: bytes) -> Cursor:
        """Find an object: within a block, in the identity itself, or by itself in the file."""
        kind = identity[0] >> 4 & 3
        if kind == 0:
            split = 1 + self._offset_bytes
            offset = int.from_bytes(identity[1:split], "little")
            length = int.from_bytes(identity[split : split + self._length_bytes], "little")
            return self._managed(offset, length)
        if kind == 1:
            return self._alone(int.from_bytes(identity[1:], "little"))
        raise UnsupportedError("an object within a fractal heap's identity")

    def _managed(self, offset: int, length: int) -> Cursor:
        """Walk the doubling table down to the direct block that holds `offset`."""
        address, rows, base = self._root, self._rows, 0
        head = 5 + self._storage.offset_size + self._offset_bytes
        for _ in range(_MOST_LEVELS):
            self._storage.budget.spend(Resource.NODES)
            if rows == 0:
                block = self._storage.signed(address, b"FHDB")
                start = block.position - 4 + offset - base
                return self._storage.within(start, start + length)
            block = self._storage.signed(address, b"FHIB")
            block.skip(head - 4)
            row, column, size, base = self._find(offset, base)
            if row >= rows:
                break
            block.skip((row * self._width + column) * self._storage.offset_size)
            address = self._storage.address(block)
            rows = 0 if size <= self._direct else self._rows_of(size)
        raise MalformedError("an object outside of its fractal heap", offset=self._storage.base)

    def _find(self, offset: int, base: int) -> tuple[int, int, int, int]:
        """Give (row, column, size, start) of the block that holds `offset`."""
        size, start = self._start, base
        for row in range(8 * self._offset_bytes + 2):
            span = size * self._width
            if offset < start + span:
                column = (offset - start) // size
                return row, column, size, start + column * size
            start += span
            if row:
                size *= 2
        raise MalformedError("an object outside of its fractal heap", offset=self._storage.base)

    def _rows_of(self, size: int) -> int:
        """Count the rows of an indirect block that covers `size` bytes of the heap."""
        return (size // (self._start * self._width)).bit_length()

    def _alone(self, number: int) -> Cursor:
        if self._huge_objects is None:
            self._huge_objects = {}
            for kind, record in new_tree(self._storage, self._huge):
                if kind != _HUGE_OBJECTS:
                    raise UnsupportedError("a large object that is stored in another way")
                place, size = self._storage.address(record), self._storage.length(record)
                self._huge_objects[self._storage.length(record)] = place, size
        if number not in self._huge_objects:
            raise MalformedError("no such large object", offset=self._storage.base)
        place, size = self._huge_objects[number]
        return self._storage.at(place, size)
