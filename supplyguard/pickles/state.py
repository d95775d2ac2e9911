"""The state of one program's run: stack, memo, cursor; and the Runs on the stack.

Handlers (`data_opcodes`, `acting_opcodes`) are functions of a State, an opcode's argument and its
offset.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Final

from supplyguard.errors import MalformedError
from supplyguard.limits import KIB
from supplyguard.pickles.context import Context
from supplyguard.pickles.joblib_arrays import ArrayBytes
from supplyguard.pickles.lumps import stretch
from supplyguard.pickles.stream import Literal, Stream
from supplyguard.pickles.values import MARK, Entry, Mark, Run, Value

STRETCH: Final = 512 * KIB
"""How far one pattern match looks at most."""
LONG_RUN: Final = 2 * KIB
"""A Run of more bytes is cut at its stretches before it is interpreted."""
MOST_UNROLLED: Final = 4 << 20
"""Bytes of Runs in one operand that are interpreted to look into it."""
MOST_VALUES: Final = 50_000
"""Values of one operand that are looked at."""

Handler = Callable[["State", Literal, int], None]


class State:
    """One program's run. lumps_after: so many of its first bytes are interpreted one by one.

    replaying: opcodes that were passed over are being interpreted, up to replay_end; next: where to
    go on then.
    array: bytes that follow and are no opcodes. detour: (from, to) around such bytes. edge: what
    follows the last stretch was not in sight. pause: how many opcodes to interpret before passing
    over is tried again.
    """

    def __init__(
        self, stream: Stream, context: Context, table: Mapping[int, Handler], lumps_after: int
    ) -> None:
        self.stream = stream
        self.context = context
        self.memo = context.memo
        self.table = table
        self.lumps_after = lumps_after
        self.stack: list[Entry] = []
        self.start = 0
        self.marks = 0
        self.finished = False
        self.result: Value = None
        self.replaying = False
        self.replay_end = 0
        self.next = 0
        self.edge = False
        self.detour: tuple[int, int] | None = None
        self.array: ArrayBytes | None = None
        self.pause = 0
        self.last_pause = 0

    def exhausted(self, what: str, limit: int, offset: int) -> MalformedError:
        """Note that a pickle exhausts its loader, and make the error that ends its examination."""
        self.context.record.add("pickle-resource", what, offset, what=what, limit=limit)
        return MalformedError(f"more than {limit:,} {what} entries", offset=offset)

    def pop(self) -> Value:
        """Take the value on top; raises MalformedError when there is none above the mark."""
        stack = self.stack
        entry = stack.pop() if stack else MARK
        while isinstance(entry, Run):
            self.unroll(entry)
            entry = stack.pop() if stack else MARK
        if isinstance(entry, Mark):
            raise MalformedError("the stack has no value for an opcode", offset=self.stream.position)
        return entry

    def top(self) -> Value:
        """Look at the value on top."""
        value = self.pop()
        self.stack.append(value)
        return value

    def to_mark(self) -> list[Value | Run]:
        """Take everything above the topmost mark."""
        stack = self.stack
        place = len(stack) - 1
        while place >= 0 and not isinstance(stack[place], Mark):
            place -= 1
        if place < 0:
            raise MalformedError("there is no mark", offset=self.stream.position)
        taken: list[Value | Run] = stack[place + 1 :]  # type: ignore[assignment]  # no mark is above the mark
        del stack[place:]
        self.marks -= 1
        return taken

    def unroll(self, run: Run) -> None:
        """Interpret a Run on top of the stack, at least its last stretch."""
        if run.tail > run.start:
            self.stack.append(Run(run.start, run.start, run.tail, run.cuts))
        elif run.cuts:
            *earlier, last = run.cuts
            self.stack.append(Run(run.start, run.start, last, tuple(earlier)))
            run = Run(last, last, run.end)
        if run.tail == run.start and run.end - run.start > LONG_RUN:
            parts = list(self.split(run.start, run.end))
            self.stack.extend(Run(start, start, end) for start, end in parts[:-1])
            run = Run(run.start, parts[-1][0], run.end)
        self.interpret(run.tail, run.end)

    def split(self, start: int, end: int) -> Iterator[tuple[int, int]]:
        """Cut a range of passed-over opcodes at its stretches."""
        reader = self.context.reader
        pattern = stretch(self.memo.family)
        while start < end:
            reader.position = start
            window, index = reader.window(min(STRETCH, end - start))
            match = pattern.match(window, index, min(len(window), index + end - start))
            stop = end if match is None else start + match.end() - index
            yield start, stop
            start = stop

    def interpret(self, start: int, end: int) -> None:
        """Interpret passed-over opcodes onto the stack; their memo writes are already noted."""
        reader = self.context.reader
        saved = self.stream, self.replaying, self.replay_end, self.next, self.edge
        self.stream, self.replaying, self.replay_end = reader, True, end
        try:
            while start < end:
                reader.position = start
                reader.frame_end = None
                code, argument = reader.next()
                self.next = reader.position
                handler = self.table.get(code)
                if handler is None:
                    self.stack.append(argument)  # type: ignore[arg-type]  # only literals have no handler
                else:
                    handler(self, argument, start)
                start = self.next
        finally:
            self.stream, self.replaying, self.replay_end, self.next, self.edge = saved

    def unrolled(self, items: list[Value | Run]) -> list[Value] | None:
        """Interpret the Runs among items that were taken off the stack; None when that is too much."""
        runs = sum(each.end - each.start for each in items if isinstance(each, Run))
        if runs > MOST_UNROLLED:
            return None
        stack, self.stack = self.stack, [MARK]
        try:
            for each in items:
                if not isinstance(each, Run):
                    self.stack.append(each)
                    continue
                for start, end in self.split(each.start, each.end):
                    self.interpret(start, end)
                if len(self.stack) > MOST_VALUES:
                    return None
            return [each for each in self.stack if not isinstance(each, Run | Mark)]
        finally:
            self.stack = stack
