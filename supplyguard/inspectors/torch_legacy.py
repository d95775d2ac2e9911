"""PyTorch's legacy stream (`torch.save` before 1.6): five pickles, then the numbers of each storage.

The pickles are examined as pickles; this holds the numbers against what they say. After the fifth
pickle, a list of storage keys, follows for each key a little-endian count of elements in 8 bytes and
the elements. Source: `_legacy_save` and `_legacy_load` in torch/serialization.py.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import closing
from typing import BinaryIO, Final

from supplyguard.finding import Evidence, Fact, Level, Notification
from supplyguard.inventory import Member, Probe
from supplyguard.limits import Budget
from supplyguard.pickles.knowledge import current_knowledge
from supplyguard.pickles.programs import TORCH_MAGIC, TORCH_PICKLES, Program
from supplyguard.pickles.torch_storages import programs_of, storages_of
from supplyguard.pickles.values import Container, Kind
from supplyguard.streams import SliceReader, buffered, read_at, size_of

FORMAT: Final = "torch_legacy"

_MAGIC: Final = TORCH_MAGIC.to_bytes(10, "little")
_NEAR: Final = 1024
_COUNT: Final = 8


def recognizes(probe: Probe) -> bool:
    """Whether a pickle that begins the file has PyTorch's magic number."""
    return probe.head.startswith(b"\x80") and _MAGIC in probe.head[:_NEAR]


def inspect(member: Member, budget: Budget) -> Iterator[Evidence | Member | Notification]:
    """Yield a first pickle that does more than give the number, and numbers that are not as said."""
    programs = programs_of(member, budget, current_knowledge())
    if not programs or programs[0].result != TORCH_MAGIC:
        return
    first = programs[0]
    if first.globals or first.calls:
        names = tuple(sorted(each.dotted for each in first.globals))
        yield Evidence(kind="torch-magic-acts", location=member.at(first.start), facts={"names": names})
    keys = _keys(programs)
    if keys is None:
        yield Notification(
            code="not-compared",
            message="the list of storages could not be read, so their numbers were not counted",
            level=Level.NOTE,
            location=member.at(),
        )
        return
    with closing(buffered(member.open())) as stream:
        yield from _numbers(member, stream, programs, keys, budget)


def _keys(programs: list[Program]) -> list[str] | None:
    """Give the keys that the fifth pickle lists, None when it is no list of texts."""
    if len(programs) < TORCH_PICKLES:
        return None
    last = programs[TORCH_PICKLES - 1]
    listed = last.result
    if last.end is None or not isinstance(listed, Container) or listed.kind != Kind.LIST:
        return None
    keys = [each for each in listed.items if isinstance(each, str)]
    return keys if listed.complete and len(keys) == len(listed.items) else None


def _numbers(
    member: Member, stream: BinaryIO, programs: list[Program], keys: list[str], budget: Budget
) -> Iterator[Evidence | Member]:
    """Walk the storages; yield the first that is not as its pickle says, or what follows the last."""
    place = programs[TORCH_PICKLES - 1].end or 0
    size = size_of(stream)
    stated = {each.key: each for each in storages_of(programs[TORCH_PICKLES - 2])}
    for key in keys:
        budget.check_time()
        storage = stated.get(key)
        if storage is None or storage.size is None:
            # a storage that no tensor names, or one of an unknown class: no telling where it ends
            return
        count = struct.unpack("<Q", read_at(stream, place, _COUNT))[0] if place + _COUNT <= size else None
        if count != storage.count or place + _COUNT + storage.size > size:
            facts: dict[str, Fact] = {
                "key": key,
                "stated": storage.count,
                "actual": count,
                "left": max(0, size - place - _COUNT),
            }
            yield Evidence(kind="torch-legacy-storage", location=member.at(place), facts=facts, symbol=key)
            return
        place += _COUNT + storage.size
    if place < size:
        facts = {"length": size - place}
        yield Evidence(kind="torch-legacy-trailing", location=member.at(place), facts=facts)
        yield Member(
            artifact=member.artifact,
            path=(*member.path, f"<after storages@{place}>"),
            open=lambda: SliceReader(member.open(), place, size - place),
            size=size - place,
        )
