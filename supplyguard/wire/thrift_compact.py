"""Thrift's compact protocol, walked without a schema: only what is asked for is kept.

Format: doc/specs/thrift-compact-protocol.md of github.com/apache/thrift. Field: one byte, the high four
bits the distance to the field's id before (0: a zigzag varint follows), the low four the type. Types: 1 true,
2 false, 3 byte, 4 to 6 varints, 7 double, 8 binary, 9 list, 10 set, 11 map, 12 struct.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from supplyguard.errors import MalformedError
from supplyguard.limits import Budget, Resource

TRUE, FALSE, BYTE, I16, I32, I64, DOUBLE, BINARY, LIST, SET, MAP, STRUCT = range(1, 13)
MOST_DEPTH: Final = 32
_LONG: Final = 15
_STEPS: Final = 4096

Path = tuple[int, ...]
"""Field ids from the outermost struct; an element of a list, set or map counts as field 0."""


class Walker:
    """Walks one struct in `data`; positions count from its first byte."""

    __slots__ = ("_budget", "_data", "position")

    def __init__(self, data: bytes, budget: Budget) -> None:
        self._data = data
        self._budget = budget
        self.position = 0

    def values(self, wanted: Callable[[Path], bool]) -> Iterator[tuple[Path, int | bytes]]:
        """Yield (path, value) of binaries and integers whose path is wanted, in the file's order.

        Raises MalformedError past the end and for nesting beyond MOST_DEPTH.
        """
        # of each open container: its kind, path, what is left of it (structs: the last field's id), types
        stack: list[list[int]] = [[STRUCT, 0, 0, 0]]
        path: list[int] = []
        steps = 0
        while stack:
            steps += 1
            if steps % _STEPS == 0:
                self._budget.check_time()
            self._budget.spend(Resource.NODES)
            frame = stack[-1]
            kind = self._next(frame, path, len(stack))
            if kind == 0:
                stack.pop()
                continue
            value = self._value(kind, stack, inside=frame[0] != STRUCT)
            if value is not None:
                here = tuple(path)
                if wanted(here):
                    yield here, value

    def _next(self, frame: list[int], path: list[int], depth: int) -> int:
        """Give the type of the container's next value, 0 at its end; keeps `path` in step."""
        del path[depth - 1 :]
        if frame[0] != STRUCT:
            if frame[1] == 0:
                return 0
            frame[1] -= 1
            path.append(0)
            if frame[0] == MAP:
                frame[2], frame[3] = frame[3], frame[2]  # keys and values by turns
            return frame[2]
        head = self._byte()
        if head == 0:
            return 0
        distance = head >> 4
        frame[1] = frame[1] + distance if distance else self._zigzag()
        path.append(frame[1])
        return head & 15

    def _value(self, kind: int, stack: list[list[int]], *, inside: bool) -> int | bytes | None:
        """Read one value, or open a container."""
        if kind in {TRUE, FALSE}:
            return self._byte() if inside else kind
        if kind == BYTE:
            return self._byte()
        if kind in {I16, I32, I64}:
            return self._zigzag()
        if kind == DOUBLE:
            self._take(8)
            return None
        if kind == BINARY:
            return self._take(self._varint())
        if len(stack) >= MOST_DEPTH:
            raise MalformedError(f"nested more than {MOST_DEPTH} deep", offset=self.position)
        if kind == STRUCT:
            stack.append([STRUCT, 0, 0, 0])
        elif kind in {LIST, SET}:
            head = self._byte()
            count = head >> 4 if head >> 4 != _LONG else self._varint()
            stack.append([kind, self._count(count), head & 15, 0])
        elif kind == MAP:
            count = self._count(self._varint())
            types = self._byte() if count else 0
            stack.append([MAP, 2 * count, types & 15, types >> 4])
        else:
            raise MalformedError(f"a value of the unknown type {kind}", offset=self.position)
        return None

    def _count(self, count: int) -> int:
        if count > len(self._data) - self.position:
            raise MalformedError(f"claims {count:,} elements beyond the end", offset=self.position)
        return count

    def _byte(self) -> int:
        if self.position >= len(self._data):
            raise MalformedError("ends early", offset=self.position)
        self.position += 1
        return self._data[self.position - 1]

    def _take(self, length: int) -> bytes:
        if length > len(self._data) - self.position:
            raise MalformedError(f"{length:,} bytes expected, beyond the end", offset=self.position)
        self.position += length
        return self._data[self.position - length : self.position]

    def _varint(self) -> int:
        value = 0
        for shift in range(0, 70, 7):
            byte = self._byte()
            value |= (byte & 127) << shift
            if byte < 128:
                return value
        raise MalformedError("a number of more than ten bytes", offset=self.position)

    def _zigzag(self) -> int:
        value = self._varint()
        return value >> 1 ^ -(value & 1)
