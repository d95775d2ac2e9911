"""The memo of one pickle program, in memory that does not grow with plain data.

A value that matters (an import, a call's result) is kept by its index. Plain data is kept up to
PLAIN_KEPT values; beyond that, and in the stretches of opcodes that were passed over, only the
places are remembered where the memo was written: ranges of the file in which every write has an
index higher than all before it. An index is looked up by reading its range again. Stretches that
were passed over are put in order only when an index could be theirs.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections import OrderedDict
from dataclasses import dataclass
from typing import Final, TypeGuard

from supplyguard.errors import MalformedError
from supplyguard.limits import KIB
from supplyguard.pickles.knowledge import Effect
from supplyguard.pickles.lumps import Family, memo_writes
from supplyguard.pickles.opcodes import Op
from supplyguard.pickles.stream import Stream
from supplyguard.pickles.values import Global, Instance, Stored, Unknown, Value, is_plain

PLAIN_KEPT: Final = 20_000
SMALL: Final = 4 * KIB
"""Stretches of this many bytes together are put in order at once."""
RANGE: Final = 64 * KIB
MAX_PENDING: Final = 20_000
MAX_IRREGULAR: Final = 50_000
"""Writes to an index at or below an earlier one; no pickler makes any."""
VALUES_KEPT: Final = 50_000
"""Beyond so many values, the results of harmless calls are kept as one for each callable."""
MOST_SHARED: Final = 60_000
SHARED_STEP: Final = 4_096
FARTHEST: Final = 1 << 20
"""How far beyond the known indices the table of such results is extended at once."""
MAX_REPLAYED: Final = 48
"""How many ranges are kept after they were read again."""


@dataclass(slots=True)
class _Range:
    """Memo writes in the bytes [start, end): indices grow from `first`; `filled` slots before it."""

    first: int
    start: int
    end: int
    filled: int


@dataclass(slots=True)
class _Write:
    """A write that waits for the stretches before it. start: an opcode boundary somewhat before it."""

    start: int
    offset: int
    end: int
    index: int | None
    value: Value | None


@dataclass(slots=True)
class _Replay:
    """What a range was found to write, up to `end`: (offset, offset of the opcode before) by index."""

    end: int
    before: int
    writes: dict[int, tuple[int, int]]


class Memo:
    """The memo of the program at `start`. `reader`: a second cursor over the same file."""

    def __init__(self, reader: Stream, start: int) -> None:
        self._reader = reader
        self._values: dict[int, Value] = {}
        self._plain = 0
        self._filled = 0
        self._highest = -1
        self._boundary = start
        self._ranges: list[_Range] = []
        self._open = False
        self._irregular: dict[int, int] = {}
        self._shared = array("H")
        self._results: list[Instance] = []
        self._numbers: dict[str, int] = {}
        self._pending: list[tuple[int, int] | _Write] = []
        self._pending_bytes = 0
        self._replayed: OrderedDict[int, _Replay] = OrderedDict()
        self.family = Family.MEMOIZE

    def passed(self, start: int, end: int) -> None:
        """Note a stretch of opcodes that was not interpreted."""
        last = self._pending[-1] if self._pending else None
        if isinstance(last, tuple) and last[1] == start:
            self._pending[-1] = (last[0], end)
        else:
            self._pending.append((start, end))
        self._pending_bytes += end - start
        self._boundary = end
        if len(self._pending) > MAX_PENDING:
            self._settle()

    def interrupt(self, resume: int) -> None:
        """Note that bytes follow which are no opcodes, up to `resume`."""
        self._settle()
        self._open = False
        self._boundary = resume

    def write(self, index: int | None, value: Value, offset: int, end: int) -> bool:
        """Store `value` (at the next free index when None), by the opcode at [offset, end).

        Gives whether the value itself is kept.
        """
        kept = True
        if is_plain(value):
            self._plain += 1
            kept = self._plain <= PLAIN_KEPT
        start, self._boundary = self._boundary, end
        if self._pending_bytes > SMALL:
            self._pending.append(_Write(start, offset, end, index, value if kept else None))
            return kept
        if self._pending:
            self._settle()
        self._write(start, offset, end, index, value if kept else None)
        return kept

    def use(self, family: Family) -> None:
        """Expect the opcodes of `family` from here on."""
        if family is not self.family:
            self._settle()
            self.family = family

    def read_now(self, index: int, offset: int) -> Value:
        """Give the value at `index`; raises MalformedError when there is none."""
        if self._pending and (
            index >= self._filled or self.family is not Family.MEMOIZE or self._highest >= self._filled
        ):
            self._settle()
        if index in self._values:
            return self._values[index]
        if index < len(self._shared) and self._shared[index]:
            return self._results[self._shared[index] - 1]
        written = self._irregular.get(index)
        if written is None:
            found = self._locate(index)
            if found is None:
                raise MalformedError(f"memo {index:,} is read but was never written", offset=offset)
            return Stored(index, found[0])
        return Stored(index, written)

    def read_as_of(self, index: int, offset: int) -> Value:
        """Give the value that an opcode at `offset`, passed over before, read."""
        value = self.read_now(index, offset)
        if self._irregular.get(index, -1) > offset:
            return Unknown("the memo was written again since")
        return value

    def _write(self, start: int, offset: int, end: int, index: int | None, value: Value | None) -> None:
        if index is None:
            index = self._filled
        if index <= self._highest:
            self._write_again(index, value, offset)
            return
        last = self._ranges[-1] if self._open else None
        if last is None or end - last.start > RANGE:
            self._ranges.append(_Range(index, start, end, self._filled))
            self._open = True
        else:
            last.end = end
        self._filled += 1
        self._highest = index
        if value is not None:
            self._keep(index, value)

    def _keep(self, index: int, value: Value) -> None:
        """Keep a value; of many results of harmless calls only what was called."""
        if len(self._values) < VALUES_KEPT or not _is_harmless(value) or index > len(self._shared) + FARTHEST:
            self._values[index] = value
            return
        key = value.type_name
        number = self._numbers.get(key)
        if number is None:
            if len(self._results) >= MOST_SHARED:
                self._values[index] = value
                return
            self._results.append(Instance(value.callee, None, value.offset))
            number = self._numbers[key] = len(self._results)
        if index >= len(self._shared):
            self._shared.frombytes(bytes(2 * (index + SHARED_STEP - len(self._shared))))
        self._shared[index] = number

    def _write_again(self, index: int, value: Value | None, offset: int) -> None:
        known = self._holds(index) or index in self._irregular or self._locate(index) is not None
        if not known:
            self._filled += 1
        self._open = False
        self._irregular[index] = offset
        self._values.pop(index, None)
        if index < len(self._shared):
            self._shared[index] = 0
        if value is not None:
            self._keep(index, value)
        if len(self._irregular) > MAX_IRREGULAR:
            raise MalformedError("the memo is overwritten more often than can be followed", offset=offset)

    def _holds(self, index: int) -> bool:
        return index in self._values or (index < len(self._shared) and self._shared[index] > 0)

    def _settle(self) -> None:
        """Put the stretches in order."""
        pending, self._pending, self._pending_bytes = self._pending, [], 0
        for each in pending:
            if isinstance(each, _Write):
                self._write(each.start, each.offset, each.end, each.index, each.value)
            else:
                self._settle_stretch(*each)

    def _settle_stretch(self, start: int, end: int) -> None:
        for offset, stop, index, before in self._writes(start, end):
            self._write(before, offset, stop, index, None)

    def _writes(
        self, start: int, end: int, before: int | None = None
    ) -> list[tuple[int, int, int | None, int]]:
        """List (offset, end, index or None, offset of the opcode before) of the memo writes in a range."""
        reader = self._reader
        reader.position = start
        pattern = memo_writes(self.family)
        found: list[tuple[int, int, int | None, int]] = []
        before = start if before is None else before
        while reader.position < end:
            window, place = reader.window(RANGE)
            base = reader.position - place
            for match in pattern.finditer(window, place, min(len(window), end - base)):
                if match.start(1) >= 0:
                    before = base + match.start(1)
                place = match.start(3)
                if place >= 0:
                    break
                found.append((base + match.start(2), base + match.end(), _index_of(match[2]), before))
            reader.position = base + place
            if reader.position < end:
                before = self._explicit_write(found, before)
        return found

    def _explicit_write(self, found: list[tuple[int, int, int | None, int]], before: int) -> int:
        """Read one opcode that the pattern does not know; gives the opcode before the next one."""
        offset = self._reader.position
        code, argument = self._reader.next()
        if code == Op.MEMOIZE or code in _PUTS:
            index = argument if isinstance(argument, int) else None
            found.append((offset, self._reader.position, index, before))
            return before
        return before if code == Op.FRAME else offset

    def _locate(self, index: int) -> tuple[int, int] | None:
        """Give (offset of the write, offset of the opcode before it)."""
        place = bisect_right(self._ranges, index, key=lambda each: each.first) - 1
        if place < 0:
            return None
        return self._replay(place).get(index)

    def _replay(self, place: int) -> dict[int, tuple[int, int]]:
        """Read a range again; one that still grows is read on from where it was left."""
        chunk = self._ranges[place]
        known = self._replayed.get(place)
        if known is None:
            known = self._replayed[place] = _Replay(chunk.start, chunk.start, {})
            if len(self._replayed) > MAX_REPLAYED:
                self._replayed.popitem(last=False)
        if known.end < chunk.end:
            count = chunk.filled + len(known.writes)
            for offset, _, index, before in self._writes(known.end, chunk.end, known.before):
                known.writes[count if index is None else index] = (offset, before)
                known.before = before
                count += 1
            known.end = chunk.end
        return known.writes

    def place_of(self, stored: Stored) -> int | None:
        """Give the offset of the opcode that made a stored value."""
        if self._irregular.get(stored.index) == stored.offset:
            return None
        found = self._locate(stored.index)
        return found[1] if found is not None and found[0] == stored.offset else None


_PUTS: Final = frozenset({Op.PUT, Op.BINPUT, Op.LONG_BINPUT})


def _index_of(opcode: bytes) -> int | None:
    """Read the index out of a memo write's bytes."""
    code = opcode[0]
    if code == Op.MEMOIZE:
        return None
    if code == Op.PUT:
        return int(opcode[1:])
    return int.from_bytes(opcode[1:], "little")


_HARMLESS: Final = frozenset({Effect.INERT, Effect.TYPE, Effect.SETSTATE, Effect.UNKNOWN, Effect.LOCAL})


def _is_harmless(value: Value) -> TypeGuard[Instance]:
    """Whether it is the result of a call after which only the callable's name matters."""
    return (
        isinstance(value, Instance)
        and not value.armed
        and isinstance(value.callee, Global)
        and value.callee.effect in _HARMLESS
    )
