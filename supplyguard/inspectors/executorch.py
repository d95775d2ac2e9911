"""ExecuTorch programs (.pte) and tensor data (.ptd): references that lead nowhere, backends, operators.

The native runtime trusts much of what a file says. Slots are those of schema/program.fbs and
extension/flat_tensor/serialize/flat_tensor.fbs of ExecuTorch 1.5; the extended header is
exir/_serialize/_program.py. Weights are not read.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from math import prod
from typing import BinaryIO, Final

from supplyguard.archives.signs import embedded_format
from supplyguard.errors import MalformedError
from supplyguard.finding import Evidence, Fact, Notification
from supplyguard.inspectors.executorch_plan import Flaw, Limits, chain_flaws, tensor_flaw, value_flaws
from supplyguard.inspectors.keras_config import capped
from supplyguard.inventory import Member, Probe
from supplyguard.limits import KIB, Budget
from supplyguard.resources import format_data
from supplyguard.streams import SliceReader, buffered, read_at, size_of
from supplyguard.wire.flatbuffer import Buffer, Table

FORMAT: Final = "executorch"

PROGRAM: Final = b"ET12"
DATA: Final = b"FT01"
_HEADERS: Final = {b"eh00": 24, b"FH01": 40}
"""The extended headers by their magic, and their least lengths."""
_FAMILY: Final = b"ET"
_SIGNS: Final = 4 * KIB


@dataclass(slots=True)
class _File:
    """Where the parts of the file are. segments: offset and size of each, from the file's start."""

    member: Member
    stream: BinaryIO
    size: int
    end: int
    base: int = 0
    segments: list[tuple[int, int]] = field(default_factory=list)

    def flaw(self, offset: int, place: str, what: str, row: str = "range") -> Evidence:
        """Make the Evidence of something that cannot be."""
        facts: dict[str, Fact] = {"place": place, "what": what, "sort": row}
        where = self.member.at(offset)
        return Evidence(kind="executorch-flaw", location=where, facts=facts, symbol=f"{place}:{what}")


def recognizes(probe: Probe) -> bool:
    """Whether the file identifier is a program's (of any version) or tensor data's."""
    mark = probe.head[4:8]
    return mark == DATA or (mark[:2] == _FAMILY and mark[2:].isdigit())


def inspect(member: Member, budget: Budget) -> Iterator[Evidence | Member | Notification]:
    """Yield what the program needs and where it is wrong; raises MalformedError past that."""
    with closing(buffered(member.open())) as stream:
        size = size_of(stream)
        file = _File(member=member, stream=stream, size=size, end=size)
        kind = read_at(stream, 4, 4)
        yield from _header(file, kind)
        root = Buffer(stream, 0, min(file.end, size), budget).root()
        contents = _data(file, root) if kind == DATA else _program(file, root, budget)
        items: list[Member] = []
        yield from capped(_only_evidence(contents, items), member.at())
        yield from items


def _only_evidence(contents: Iterator[Evidence | Member], items: list[Member]) -> Iterator[Evidence]:
    for each in contents:
        if isinstance(each, Member):
            items.append(each)
        else:
            yield each


def _header(file: _File, kind: bytes) -> Iterator[Evidence]:
    """Read the extended header, which says where the flat buffer ends and the segments begin."""
    if file.size < 16:
        return
    head = read_at(file.stream, 8, min(file.size - 8, 48))
    least = _HEADERS.get(head[:4])
    if least is None:
        return
    length = int.from_bytes(head[4:8], "little")
    if length < least or len(head) < least:
        raise MalformedError(f"an extended header of {length:,} bytes", offset=8)
    words = [int.from_bytes(head[at : at + 8], "little") for at in range(8, min(length, len(head)) - 7, 8)]
    if kind == DATA:
        start, extent, base, total = words[:4]
        file.end, file.base = start + extent, base
    else:
        file.end, file.base = words[0], words[1]
        total = words[2] if len(words) > 2 else 0
    if file.end > file.size:
        yield file.flaw(16, "the header", f"the program ends at {file.end:,}, beyond the file")
    if file.base and (file.base < file.end or file.base + total > file.size):
        yield file.flaw(
            24, "the header", f"segments at {file.base:,} with {total:,} bytes are not in the file"
        )


def _segments(file: _File, root: Table, slot: int) -> Iterator[Evidence]:
    for index, each in enumerate(root.tables(slot)):
        start, length = file.base + each.scalar(4, "Q"), each.scalar(6, "Q")
        if start + length > file.size:
            what = f"ends at {start + length:,}, beyond the file"
            yield file.flaw(each.position, f"segment {index}", what)
        file.segments.append((start, length))


def _named(file: _File, root: Table, slot: int) -> Iterator[Evidence]:
    for each in root.tables(slot):
        name = (each.text(4) or "")[:100]
        if each.scalar(6, "I") >= len(file.segments):
            yield file.flaw(each.position, f"data {name}", "is in a segment that there is not", "index")
        layout = each.table(8)
        if layout is not None:
            flaw = tensor_flaw(layout, sizes=6, order=8)
            if flaw:
                yield file.flaw(each.position, f"data {name}", flaw, "tensor")
            elif each.scalar(6, "I") < len(file.segments):
                yield from _fits(file, layout, name, file.segments[each.scalar(6, "I")][1])


def _fits(file: _File, layout: Table, name: str, length: int) -> Iterator[Evidence]:
    """Yield tensor data that is shorter than its shape."""
    width = format_data(FORMAT)["bytes"].get(str(layout.scalar(4, "b")))
    sizes = layout.vector(6, 4)
    if width is None:
        return
    needed = width * prod(layout.buffer.scalar(sizes.at(index), "i") for index in range(sizes.count))
    if needed > length:
        what = f"needs {needed:,} bytes of a segment of {length:,}"
        yield file.flaw(layout.position, f"data {name}", what, "tensor")


def _data(file: _File, root: Table) -> Iterator[Evidence]:
    yield from _segments(file, root, 6)
    yield from _named(file, root, 8)


def _program(file: _File, root: Table, budget: Budget) -> Iterator[Evidence | Member]:
    yield from _segments(file, root, 12)
    yield from _named(file, root, 18)
    limits = Limits(segments=len(file.segments), inline=root.vector(10, 4).count)
    limits.constants = root.vector(8, 4).count
    constant = root.table(14)
    if constant is not None and constant.vector(6, 8).count:
        limits.constants = constant.vector(6, 8).count
        yield from _offsets(file, constant, "the constants")
    for table in root.tables(16):
        limits.mutable.append(table.vector(6, 8).count)
        yield from _offsets(file, table, "the mutable data")
    for plan in root.tables(6):
        yield from _plan(file, root, plan, limits, budget)


def _offsets(file: _File, table: Table, place: str) -> Iterator[Evidence]:
    """Yield places inside of a segment that are beyond it."""
    index = table.scalar(4, "I")
    if index >= len(file.segments):
        yield file.flaw(table.position, place, "are in a segment that there is not", "index")
        return
    offsets, size = table.vector(6, 8), file.segments[index][1]
    for number in range(offsets.count):
        offset = table.buffer.scalar(offsets.at(number), "Q")
        if offset > size:
            yield file.flaw(offsets.at(number), place, f"begin at {offset:,} of a segment of {size:,} bytes")


def _plan(
    file: _File, root: Table, plan: Table, limits: Limits, budget: Budget
) -> Iterator[Evidence | Member]:
    lists = format_data(FORMAT)
    name = (plan.text(4) or "")[:100]
    flaws: list[Iterator[Flaw]] = [value_flaws(plan, limits), chain_flaws(plan, budget)]
    for each in (flaw for group in flaws for flaw in group):
        if each.sort == "loop":
            where = file.member.at(each.offset)
            yield Evidence(kind="executorch-loop", location=where, facts={"method": name}, symbol=name)
        else:
            yield file.flaw(each.offset, f"{name}: {each.place}", each.what, each.sort)
    for table in plan.tables(16):
        operator = (table.text(4) or "")[:200]
        namespace = operator.partition("::")[0]
        if namespace not in lists["namespaces"]:
            facts: dict[str, Fact] = {"operator": operator, "namespace": namespace}
            place = file.member.at(table.position)
            yield Evidence(kind="executorch-operator", location=place, facts=facts, symbol=operator)
    for table in plan.tables(18):
        yield from _delegate(file, root, table, limits)


def _delegate(file: _File, root: Table, table: Table, limits: Limits) -> Iterator[Evidence | Member]:
    """Look at a part of the program that is for a backend."""
    lists = format_data(FORMAT)
    backend = (table.text(4) or "")[:200]
    facts: dict[str, Fact] = {"backend": backend}
    if backend not in lists["backends"]:
        place = file.member.at(table.position)
        yield Evidence(kind="executorch-backend", location=place, facts=facts, symbol=backend)
    reference = table.table(6)
    if reference is None:
        return
    inside, index = reference.scalar(4, "b") == 0, reference.scalar(6, "I")
    if index >= (limits.inline if inside else limits.segments):
        yield file.flaw(table.position, f"the backend {backend}", "has data that there are not", "index")
        return
    if inside:
        blob = list(root.tables(10))[index].vector(4, 1)
        start, length = blob.start, blob.count
    else:
        start, length = file.segments[index]
    if start >= file.size:
        return
    length = min(length, file.size - start)
    found = embedded_format(read_at(file.stream, start, min(length, _SIGNS)))
    if found is None:
        return
    compiled = backend in lists["compiled_backends"]
    facts |= {"content": found, "compiled": compiled}
    yield Evidence(kind="executorch-native", location=file.member.at(start), facts=facts, symbol=backend)
    if not compiled:
        yield Member(
            artifact=file.member.artifact,
            path=(*file.member.path, f"({backend} at {start})"),
            open=lambda: SliceReader(file.member.open(), start, length),
            size=length,
        )
