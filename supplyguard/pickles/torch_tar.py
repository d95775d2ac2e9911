"""The members `storages` and `tensors` of PyTorch's tar checkpoints (before 0.1.10) cut into parts.

Each is pickles with raw numbers between them, and says only by its pickles where the numbers end.
Layout: `legacy_load` in torch/serialization.py.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, Final

from supplyguard.errors import MalformedError
from supplyguard.limits import Budget
from supplyguard.pickles.opcodes import Op
from supplyguard.pickles.stream import Stream
from supplyguard.pickles.torch_storages import element_size
from supplyguard.streams import read_at, size_of

CUT: Final = ("storages", "tensors")


@dataclass(frozen=True, kw_only=True, slots=True)
class TarPart:
    """Bytes [start, end) of a member: a pickle, or raw numbers that nothing interprets."""

    start: int
    end: int
    pickle: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class _Program:
    end: int
    number: int | None
    storage: str


def cut_tar_member(file: BinaryIO, name: str, budget: Budget) -> Iterator[TarPart]:
    """Yield the parts of `storages` or `tensors`; raises MalformedError where the layout breaks off.

    The part that breaks off comes first, as a pickle to the end of the member.
    """
    size = size_of(file)
    place = 0
    try:
        count = _program(file, 0, budget)
        yield TarPart(start=0, end=count.end, pickle=True)
        place = count.end
        for _ in range(count.number or 0):
            budget.check_time()
            program = _program(file, place, budget)
            yield TarPart(start=place, end=program.end, pickle=True)
            place = program.end
            end = place + _raw(file, place, name, program.storage, size)
            yield TarPart(start=place, end=end, pickle=False)
            place = end
    except MalformedError:
        yield TarPart(start=place, end=size, pickle=True)
        raise
    if place < size:  # the views of storages, or what does not belong there
        yield TarPart(start=place, end=size, pickle=True)


def _program(file: BinaryIO, start: int, budget: Budget) -> _Program:
    """Walk one pickle to its end; keeps the last integer and the last class's name."""
    stream = Stream(file)
    stream.position = start
    number: int | None = None
    storage = ""
    steps = 0
    while True:
        code, argument = stream.next()
        steps += 1
        if steps % 4096 == 0:
            budget.check_time()
        if code == Op.STOP:
            return _Program(end=stream.position, number=number, storage=storage)
        if type(argument) is int and code in (Op.BININT, Op.BININT1, Op.BININT2):
            number = argument
        elif code == Op.GLOBAL and isinstance(argument, tuple):
            storage = argument[1]


def _raw(file: BinaryIO, place: int, name: str, storage: str, size: int) -> int:
    """Measure the numbers that follow a pickle; raises MalformedError when they are not all there."""
    length = _stated(file, place, name, storage)
    if place + length > size:
        raise MalformedError("numbers end early", offset=place)
    return length


def _stated(file: BinaryIO, place: int, name: str, storage: str) -> int:
    if name == "storages":
        (count,) = struct.unpack("<q", read_at(file, place, 8))
        element = element_size(storage)
        if element is None or count < 0:
            raise MalformedError(f"a storage of {count:,} elements of the class {storage!r}", offset=place)
        return int(8 + count * element)
    # dimensions i32 and 4 bytes of padding, sizes and strides i64 each, offset i64
    (dimensions,) = struct.unpack("<i", read_at(file, place, 4))
    if not 0 <= dimensions <= 1024:
        raise MalformedError(f"a tensor of {dimensions:,} dimensions", offset=place)
    return 8 + 16 * int(dimensions) + 8
