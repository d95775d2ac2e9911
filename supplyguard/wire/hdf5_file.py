"""HDF5 on the lowest level: superblock, addresses, object headers and their messages, the global heap.

Format: the HDF5 File Format Specification, version 3.0
(https://docs.hdfgroup.org/hdf5/develop/_f_m_t3.html); section numbers below are of that document.
Checksums are not verified: a file that the library would refuse is read here all the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, Final

from supplyguard.errors import MalformedError, UnsupportedError
from supplyguard.limits import Budget, Resource
from supplyguard.wire.cursor import Cursor
from supplyguard.wire.window import Window

SIGNATURE: Final = b"\x89HDF\r\n\x1a\n"
FIRST_USER_BLOCK: Final = 512
"""A superblock is at 0 or at a power of two from here on (II.A)."""
MOST_CONTINUATIONS: Final = 10_000
_SIZES: Final = (2, 4, 8)
_CONTINUATION: Final = 0x10


@dataclass(frozen=True, slots=True)
class Message:
    """One message of an object header: its type and the bytes [start, end) of its body."""

    kind: int
    flags: int
    start: int
    end: int

    @property
    def shared(self) -> bool:
        """Whether the body only says where the message is."""
        return bool(self.flags & 2)


class Storage:
    """The bytes of a file from its superblock on; `root` is the address of the root's header."""

    __slots__ = ("_window", "base", "budget", "end", "length_size", "offset_size", "root", "version")

    def __init__(self, stream: BinaryIO, start: int, end: int, budget: Budget) -> None:
        self._window = Window(stream, 0, end)
        self.budget = budget
        self.base = start
        self.end = end
        cursor = Cursor.over(self._window, start + len(SIGNATURE), end)
        self.version = cursor.number("B")
        if self.version > 3:
            raise UnsupportedError(f"HDF5 superblock version {self.version}")
        cursor.skip(4 if self.version < 2 else 0)
        self.offset_size = cursor.number("B")
        self.length_size = cursor.number("B")
        if self.offset_size not in _SIZES or self.length_size not in _SIZES:
            raise MalformedError("addresses or lengths of an odd size", offset=start)
        if self.version < 2:
            cursor.skip(9 if self.version == 0 else 13)
        else:
            cursor.skip(1)
        # the library takes the place of the superblock as base address, whatever is written there
        cursor.skip(3 * self.offset_size)  # base, extension or free space, end of file
        if self.version < 2:
            cursor.skip(2 * self.offset_size)  # driver information, name of the root
        self.root = self.address(cursor)

    def at(self, address: int | None, length: int | None = None) -> Cursor:
        """Read `length` bytes, or up to the end, at an address."""
        if address is None:
            raise MalformedError("an address is missing", offset=self.base)
        start = self.base + address
        return Cursor.over(self._window, start, self.end if length is None else start + length)

    def within(self, start: int, end: int) -> Cursor:
        """Read bytes by their position in the stream."""
        return Cursor.over(self._window, start, end)

    def signed(self, address: int | None, signature: bytes) -> Cursor:
        """Read from what must begin with a signature."""
        cursor = self.at(address)
        start = cursor.position
        if cursor.take(len(signature)) != signature:
            raise MalformedError(f"no {signature.decode()} where one should be", offset=start)
        return cursor

    def address(self, cursor: Cursor) -> int | None:
        """Read an address; all ones mean that there is none."""
        value = cursor.sized(self.offset_size)
        return None if value == (1 << 8 * self.offset_size) - 1 else value

    def length(self, cursor: Cursor) -> int:
        """Read a length."""
        return cursor.sized(self.length_size)

    def messages(self, address: int | None) -> Iterator[Message]:
        """Yield the messages of an object header of either version, continuation blocks included."""
        cursor = self.at(address)
        if cursor.take(4) == b"OHDR":
            yield from self._new_messages(cursor)
        else:
            yield from self._old_messages(self.at(address))

    def _old_messages(self, cursor: Cursor) -> Iterator[Message]:
        """Read a header of version 1 (IV.A.1.a)."""
        start = cursor.position
        if cursor.number("B") != 1:
            raise MalformedError("no object header where one should be", offset=start)
        cursor.skip(7)
        size = cursor.number("I")
        cursor.skip(4)
        blocks = [(cursor.position, cursor.position + size)]
        for start, end in self._blocks(blocks):
            block = self.within(start, end)
            while block.remaining >= 8:
                kind, length = block.number("H"), block.number("H")
                flags = block.number("B")
                block.skip(3)
                message = Message(kind, flags, block.position, block.position + length)
                block.skip(length)
                yield from self._seen(message, blocks, 0)

    def _new_messages(self, cursor: Cursor) -> Iterator[Message]:
        """Read a header of version 2 (IV.A.1.b), after its signature."""
        if cursor.number("B") != 2:
            raise UnsupportedError("an HDF5 object header of an unknown version")
        flags = cursor.number("B")
        cursor.skip((16 if flags & 0x20 else 0) + (4 if flags & 0x10 else 0))
        size = cursor.sized(1 << (flags & 3))
        head = 6 if flags & 4 else 4
        blocks = [(cursor.position, cursor.position + size)]
        for start, end in self._blocks(blocks):
            block = self.within(start, end)
            while block.remaining >= head:
                kind, length, marks = block.number("B"), block.number("H"), block.number("B")
                block.skip(head - 4)
                message = Message(kind, marks, block.position, block.position + length)
                block.skip(length)
                yield from self._seen(message, blocks, 4)

    def _blocks(self, blocks: list[tuple[int, int]]) -> Iterator[tuple[int, int]]:
        """Yield the blocks of one header, those that are added meanwhile included, each once."""
        seen: set[int] = set()
        for place in blocks:
            self.budget.check_time()
            if place[0] in seen or len(seen) > MOST_CONTINUATIONS:
                raise MalformedError("an object header that continues in itself", offset=place[0])
            seen.add(place[0])
            yield place

    def _seen(self, message: Message, blocks: list[tuple[int, int]], signed: int) -> Iterator[Message]:
        """Note a continuation (IV.A.2.q), whose blocks of version 2 have a signature and a checksum."""
        self.budget.spend(Resource.NODES)
        if message.kind != _CONTINUATION:
            yield message
            return
        body = self.within(message.start, message.end)
        address, size = self.address(body), self.length(body)
        block = self.at(address, size)
        if signed and block.take(4) != b"OCHK":
            raise MalformedError("no OCHK where one should be", offset=block.position)
        blocks.append((block.position, block.end - signed))

    def heap_object(self, address: int | None, index: int, most: int) -> bytes:
        """Read at most `most` bytes of an object of the global heap (III.E)."""
        cursor = self.signed(address, b"GCOL")
        start = cursor.position - 4
        cursor.skip(4)
        size = self.length(cursor)
        heap = self.within(cursor.position, min(start + size, self.end))
        while heap.remaining >= 8 + self.length_size:
            self.budget.spend(Resource.NODES)
            number = heap.number("H")
            heap.skip(6)
            length = self.length(heap)
            if number == index:
                return heap.take(min(length, most, heap.remaining))
            if number == 0:
                break
            heap.skip(min(length + -length % 8, heap.remaining))
        raise MalformedError(f"no object {index} in the global heap", offset=start)


def find_superblock(stream: BinaryIO, size: int) -> int | None:
    """Find the first superblock, at 0 or a power of two from 512 on; None when there is none."""
    start = 0
    while start + len(SIGNATURE) <= size:
        stream.seek(start)
        if stream.read(len(SIGNATURE)) == SIGNATURE:
            return start
        start = 2 * start or FIRST_USER_BLOCK
    return None
