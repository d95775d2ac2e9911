"""All pickle programs of one member: stacked ones, padded ones, nested ones, and each reading of each.

This is the package's door: `examine` yields Evidence, Members for nested payloads of other formats, and
Notifications.
"""

from __future__ import annotations

import io
from collections import deque
from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from typing import BinaryIO, Final

from supplyguard.errors import BudgetExceededError, MalformedError, SupplyguardError
from supplyguard.finding import Evidence, Notification
from supplyguard.inventory import Member
from supplyguard.limits import KIB, Budget, Resource
from supplyguard.pickles import calls
from supplyguard.pickles.context import Context, Payload
from supplyguard.pickles.knowledge import Knowledge
from supplyguard.pickles.machine import LUMPS_AFTER, new_state, run
from supplyguard.pickles.memo import Memo
from supplyguard.pickles.recognition import pickle_start
from supplyguard.pickles.record import CallSeen, Record, Sighting
from supplyguard.pickles.state import State
from supplyguard.pickles.stream import Stream
from supplyguard.pickles.values import Global, Value, View
from supplyguard.streams import SliceReader

MAX_READINGS: Final = 8
HEAD: Final = 64 * KIB
REPLAY_WINDOW: Final = 128 * KIB
TORCH_MAGIC: Final = 0x1950A86A20F9469CFC6C
"""The first pickle of a legacy torch file (`MAGIC_NUMBER` in torch/serialization.py)."""
TORCH_PICKLES: Final = 5
_CONTAINERS: Final = (b"PK\x03\x04", b"\x1f\x8b", b"BZh", b"\xfd7zXZ\x00", b"\x93NUMPY", b"\x89HDF\r\n")
"""First bytes of what other inspectors read."""
_MODELS: Final = (b"{L\0\0\0\0", b"binf", b"CONFIG-offset:", b"CBM1", b"tree\nversion=")
"""First bytes of the boosters' own formats, which their pickles hold."""


@dataclass(slots=True, kw_only=True)
class Program:
    """One program: where it starts and ends, and what it does. result: what it leaves on the stack."""

    path: tuple[str, ...]
    start: int
    end: int | None = None
    result: Value = None
    globals: tuple[Global, ...] = ()
    calls: tuple[CallSeen, ...] = ()
    persistent_ids: tuple[Value, ...] = ()


@dataclass(slots=True, kw_only=True)
class Programs:
    """Filled by `examine` for who wants more than Evidence: every program, with all its globals and calls."""

    keep_calls: bool = False
    found: list[Program] = field(default_factory=list)


@dataclass(slots=True, kw_only=True)
class _Source:
    """Bytes that hold programs. loaded: something unpickles them for sure."""

    member: Member
    depth: int = 0
    loaded: bool = False


def examine(
    member: Member,
    budget: Budget,
    knowledge: Knowledge,
    *,
    programs: Programs | None = None,
    lumps_after: int = LUMPS_AFTER,
) -> Iterator[Evidence | Notification | Member]:
    """Examine every program of a member that is a pickle; raises SupplyguardError for a spent budget."""
    job = _Job(
        budget=budget,
        knowledge=knowledge,
        programs=programs if programs is not None else Programs(),
        lumps_after=lumps_after,
        work=deque([_Source(member=member, loaded=True)]),
    )
    while job.work:
        yield from _Scan(job.work.popleft(), job).all()


@dataclass(slots=True, kw_only=True)
class _Job:
    """What all sources of one member share."""

    budget: Budget
    knowledge: Knowledge
    programs: Programs
    lumps_after: int
    work: deque[_Source]


class _Scan:
    """The examination of one run of bytes."""

    def __init__(self, source: _Source, job: _Job) -> None:
        self.member = source.member
        self.source = source
        self.job = job
        self.budget = job.budget
        self.payloads: list[Payload] = []
        self.seen: set[tuple[str, str]] = set()

    def all(self) -> Iterator[Evidence | Notification | Member]:
        """Examine the programs one after the other."""
        with closing(self.member.open()) as file:
            start = self._first(file)
            if start is None:
                return
            if start:
                yield self._evidence("pickle-hidden", "lead", start, gap=start, place="before")
            count = 0
            first: Program | None = None
            while start is not None:
                count += 1
                self.budget.spend(Resource.PICKLES)
                program = Program(path=self.member.path, start=start)
                self.job.programs.found.append(program)
                yield from self._program(file, program)
                first = first or program
                if program.end is None:
                    return
                start = yield from self._next(file, program.end, count, first)

    def _first(self, file: BinaryIO) -> int | None:
        head = file.read(HEAD)
        start = pickle_start(head, whole=len(head) < HEAD)
        return 0 if start is None and self.source.loaded and head else start

    def _next(
        self, file: BinaryIO, end: int, count: int, first: Program
    ) -> Generator[Evidence, None, int | None]:
        """Give where the program after `end` starts, None when there is none."""
        start = end
        file.seek(end)
        data = file.read(HEAD)
        while data and not data.strip(b"\0"):
            self.budget.check_time()
            start += len(data)
            data = file.read(HEAD)
        if not data:
            return None
        torch = first.result == TORCH_MAGIC
        if torch and count >= TORCH_PICKLES:
            return None
        place = pickle_start(data, whole=len(data) < HEAD)
        if place is None:
            if not torch and data.strip(b"\0 \t\r\n"):
                yield self._evidence("pickle-trailing", "", start, size=len(data))
            return None
        start += place
        symbol = "padded" if start > end else ""
        if not torch and ("pickle-stacked", symbol) not in self.seen:
            self.seen.add(("pickle-stacked", symbol))
            yield self._evidence("pickle-stacked", symbol, start, gap=start - end, apart=start > end)
        return start

    def _program(self, file: BinaryIO, program: Program) -> Iterator[Evidence | Notification | Member]:
        """Run one program in every reading of it, and yield what was seen whatever happens."""
        record = Record(keep_calls=self.job.programs.keep_calls)
        error: SupplyguardError | None = None
        try:
            error = self._readings(file, program, record)
        except BudgetExceededError as exceeded:
            error = exceeded
        program.globals = tuple(record.globals.values())
        program.calls = tuple(record.calls)
        program.persistent_ids = tuple(record.persistent_ids)
        for each in record.summary():
            if (each.kind, each.symbol) not in self.seen:
                self.seen.add((each.kind, each.symbol))
                yield self._sighting(each)
        yield from self._follow()
        if error is None:
            return
        if not isinstance(error, MalformedError):
            raise error
        yield Notification(
            code="malformed",
            message=f"the pickle was read up to byte {error.offset or 0:,}: {error.message}",
            location=self.member.at(error.offset),
            incomplete=True,
        )

    def _readings(self, file: BinaryIO, program: Program, record: Record) -> SupplyguardError | None:
        """Run the program in every reading; gives the first error of any."""
        error: SupplyguardError | None = None
        todo: list[frozenset[int]] = [frozenset()]
        done: set[frozenset[int]] = set()
        while todo:
            dropping = todo.pop()
            if dropping in done:
                continue
            done.add(dropping)
            stream = Stream(file, dropping=dropping)
            state = self._new_state(file, stream, record, program.start)
            try:
                end = run(state, program.start)
            except BudgetExceededError:
                raise
            except SupplyguardError as failure:
                error = error or failure
            else:
                program.end = end if program.end is None else program.end
                program.result = state.result
            for crossing in stream.crossings:
                record.add("pickle-ambiguous-frame", "", crossing)
                if len(done) + len(todo) < MAX_READINGS:
                    todo.append(dropping | {crossing})
                elif error is None:
                    error = MalformedError(
                        "there are more ways to read it than are followed", offset=crossing
                    )
        return error

    def _new_state(self, file: BinaryIO, stream: Stream, record: Record, start: int) -> State:
        reader = Stream(file, window=REPLAY_WINDOW)
        context = Context(
            knowledge=self.job.knowledge,
            record=record,
            budget=self.budget,
            reader=reader,
            memo=Memo(reader, start),
            unroll=lambda _: None,
            call=calls.call,
            uncertain=calls.uncertain,
            payloads=self.payloads,
        )
        return new_state(stream, context, self.job.lumps_after)

    def _sighting(self, seen: Sighting) -> Evidence:
        return Evidence(
            kind=seen.kind,
            location=self.member.at(seen.offset),
            facts={**seen.facts, "count": seen.count},
            symbol=seen.symbol,
        )

    def _evidence(self, kind: str, symbol: str, offset: int, **facts: int | str) -> Evidence:
        return Evidence(kind=kind, location=self.member.at(offset), facts=facts, symbol=symbol)

    def _follow(self) -> Iterator[Member | Notification]:
        """Send the payloads where they are read: other formats out, pickles onto our own list."""
        for each in self._payloads():
            member = self._payload_member(each)
            with closing(member.open()) as file:
                head = file.read(HEAD)
            if head.startswith((*_CONTAINERS, *_MODELS)):
                yield member
            elif each.loaded or pickle_start(head, whole=len(head) < HEAD) is not None:
                if self.source.depth >= self.budget.limits.pickle_depth:
                    yield Notification(
                        code="nested-too-deep",
                        message="pickles are nested too deep",
                        location=member.at(),
                        incomplete=True,
                    )
                else:
                    self.job.work.append(
                        _Source(member=member, depth=self.source.depth + 1, loaded=each.loaded)
                    )

    def _payloads(self) -> list[Payload]:
        """Take the payloads, each once, however many calls were given it."""
        once: dict[object, Payload] = {}
        for each in self.payloads:
            key = (each.data.offset, each.data.length) if isinstance(each.data, View) else each.data
            if key not in once or each.loaded:
                once[key] = each
        self.payloads.clear()
        return list(once.values())

    def _payload_member(self, payload: Payload) -> Member:
        data = payload.data
        outer = self.member
        if isinstance(data, View):
            place, length = data.offset, data.length
            return Member(
                artifact=outer.artifact,
                path=(*outer.path, f"<bytes@{place}>"),
                open=lambda: SliceReader(outer.open(), place, length),
                size=length,
            )
        return Member(
            artifact=outer.artifact,
            path=(*outer.path, f"<bytes@{payload.offset}>"),
            open=lambda: io.BytesIO(data),
            size=len(data),
        )
