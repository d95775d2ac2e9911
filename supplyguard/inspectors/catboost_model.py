"""CatBoost models (`.cbm`): cores and trees that contradict themselves, odd notes, what follows the core.

Format: TFullModel::Load of catboost/libs/model/model.cpp and catboost/libs/model/flatbuffers/model.fbs of
github.com/catboost/catboost: "CBM1", the size of a flat buffer in 4 bytes, that buffer, then the parts that
it names (tables of categories, texts, embeddings), which are not looked into. Leaf values are not read.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from contextlib import closing
from itertools import accumulate
from typing import BinaryIO, Final

from supplyguard.archives.referenced_paths import is_sensitive
from supplyguard.archives.signs import embedded_format, text_signs
from supplyguard.errors import MalformedError, UnsupportedError
from supplyguard.finding import Evidence, Fact
from supplyguard.inventory import Member, Probe
from supplyguard.limits import KIB, Budget, Resource
from supplyguard.resources import format_data
from supplyguard.streams import SliceReader, buffered, read_at, size_of
from supplyguard.wire.flatbuffer import Buffer, Table

FORMAT: Final = "catboost_model"

MAGIC: Final = b"CBM1"
_CORE_AT: Final = 8
_DEEPEST_TREE: Final = 62
_VERSION, _TREES, _INFO, _PARTS = 4, 6, 8, 10
_DIMENSION, _SPLITS, _SIZES, _STARTS, _LEAVES, _STEPS = 4, 6, 8, 10, 20, 24
_URL: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]{1,20}://")


def recognizes(probe: Probe) -> bool:
    """Whether the magic is there."""
    return probe.head.startswith(MAGIC)


def inspect(member: Member, budget: Budget) -> Iterator[Evidence | Member]:
    """Yield what does not fit and what is odd; raises MalformedError past that."""
    with closing(buffered(member.open())) as stream:
        size = size_of(stream)
        try:
            end = _core_end(stream, size)
            core = _core(stream, end, budget)
            yield from _info(member, core)
            trees = core.table(_TREES)
            if trees is not None:
                for detail in _trees(trees, budget):
                    yield _flaw(member, trees.position, detail)
            parts = _texts(core, _PARTS)
        except MalformedError as error:
            yield _flaw(member, error.offset, error.message)
            raise
        yield from _after(member, stream, end, size, parts)


def _core_end(stream: BinaryIO, size: int) -> int:
    """Give where the core ends, as the file says."""
    end = _CORE_AT + int.from_bytes(read_at(stream, 4, 4), "little")
    if end > size:
        raise MalformedError(f"the core ends at {end:,}, the file has {size:,} bytes", offset=4)
    return end


def _core(stream: BinaryIO, end: int, budget: Budget) -> Table:
    """Give the core's root table, of a version that is known."""
    core = Buffer(stream, _CORE_AT, end, budget).root()
    version = core.text(_VERSION)
    if version not in format_data(FORMAT)["versions"]:
        raise UnsupportedError(f"a CatBoost model of the format {str(version)[:50]!r}")
    return core


def _flaw(member: Member, offset: int | None, detail: str) -> Evidence:
    facts: dict[str, Fact] = {"detail": detail}
    return Evidence(kind="catboost-flaw", location=member.at(offset), facts=facts, symbol=detail[:100])


def _texts(table: Table, slot: int) -> list[str]:
    """Read a vector of texts; CatBoost writes some with their closing NUL."""
    vector, buffer = table.vector(slot, 4), table.buffer
    return [buffer.text_at(buffer.follow(vector.at(index))).rstrip("\0") for index in range(vector.count)]


def _info(member: Member, core: Table) -> Iterator[Evidence]:
    """Yield entries of the model's notes that hold more than notes."""
    for entry in core.tables(_INFO):
        key, value = entry.text(4) or "", entry.text(6) or ""
        signs = list(text_signs(value))
        if not signs and key not in format_data(FORMAT)["own_keys"]:
            if _URL.match(value):
                signs = ["an address"]
            elif len(value) < KIB and is_sensitive(value):
                signs = ["a path of the system"]
        for what in signs:
            facts: dict[str, Fact] = {"key": key[:200], "what": what}
            at = member.at(entry.position)
            yield Evidence(kind="catboost-text", location=at, facts=facts, symbol=key[:200])


def _trees(trees: Table, budget: Budget) -> Iterator[str]:
    """Say what contradicts: sizes of trees, where they start, and how many leaves they have."""
    dimension = trees.scalar(_DIMENSION, "i", 0)
    if dimension < 1:
        yield f"gives {dimension:,} values for an object"
    sizes, starts = _integers(trees, _SIZES, budget), _integers(trees, _STARTS, budget)
    splits = _integers(trees, _SPLITS, budget)
    if any(each < 0 for each in sizes):
        yield "has a tree of a negative size"
        return
    if sum(sizes) != len(splits):
        yield f"has trees of {sum(sizes):,} splits together, there are {len(splits):,}"
    if starts and list(starts) != list(accumulate(sizes[:-1], initial=0)):
        yield "has trees that do not start where the ones before them end"
    if any(each < 0 for each in splits):
        yield "has a split of a negative number"
    if trees.vector(_STEPS, 4).count == 0:
        leaves = trees.vector(_LEAVES, 8).count
        if any(each > _DEEPEST_TREE for each in sizes):
            yield "has a tree that is too deep"
        elif sum(1 << each for each in sizes) * dimension != leaves:
            yield f"has {leaves:,} values in leaves, the trees have another number"


def _integers(table: Table, slot: int, budget: Budget) -> tuple[int, ...]:
    """Read a vector of 32-bit integers."""
    vector = table.vector(slot, 4)
    budget.spend(Resource.NODES, vector.count)
    return struct.unpack(f"<{vector.count}i", table.buffer.raw(vector.start, 4 * vector.count))


def _after(
    member: Member, stream: BinaryIO, end: int, size: int, parts: list[str]
) -> Iterator[Evidence | Member]:
    """Yield what follows the core and is none of the parts that it names."""
    head = read_at(stream, end, min(size - end, 64 * KIB))
    unknown = [each for each in parts if each not in format_data(FORMAT)["parts"]]
    what = embedded_format(head)
    if what is None and not unknown and (parts or (size - end <= len(head) and not head.strip(b"\0"))):
        return
    facts: dict[str, Fact] = {"length": size - end, "format": what or "data", "parts": tuple(unknown[:8])}
    yield Evidence(kind="catboost-appended", location=member.at(end), facts=facts, symbol="appended")
    yield Member(
        artifact=member.artifact,
        path=(*member.path, "(after the core)"),
        open=lambda: SliceReader(member.open(), end, size - end),
        size=size - end,
    )
