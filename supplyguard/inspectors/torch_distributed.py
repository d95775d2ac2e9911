"""PyTorch's distributed checkpoints: where the pickled `.metadata` says that things are stored.

The pickle itself is the pickle inspector's, and the `.distcp` files beside it are cut into their
archives by zip_archive. Items that are no tensors are unpickled at the offset that the metadata gives,
so those places are members here. Source: torch/distributed/checkpoint/filesystem.py (PyTorch 2.13).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from supplyguard.archives.member_names import Segments
from supplyguard.finding import Evidence, Fact, Level, Notification
from supplyguard.inventory import Member, Probe
from supplyguard.limits import Budget, Resource
from supplyguard.pickles.knowledge import current_knowledge
from supplyguard.pickles.torch_storages import programs_of
from supplyguard.pickles.values import Container, Instance, Value, View
from supplyguard.resources import format_data
from supplyguard.streams import SliceReader, read_at

FORMAT: Final = "torch_distributed"

_SHOWN: Final = 200
_LISTED: Final = 50
_ZIP: Final = b"PK\x03\x04"


@dataclass(frozen=True, slots=True)
class _Place:
    """Where an item is: a file's name, and bytes in it."""

    path: str
    offset: int
    length: int


def recognizes(probe: Probe) -> bool:
    """Whether it is a pickle under the one name that PyTorch reads, which names PyTorch's classes."""
    lists = format_data(FORMAT)
    named = probe.name.rpartition("/")[2].lower() == lists["name"]
    return named and lists["package"].encode() in probe.head


def inspect(member: Member, budget: Budget) -> Iterator[Evidence | Member | Notification]:
    """Yield places outside of the folder or of their file, and pickles at the places that are given."""
    places: dict[_Place, None] = {}
    for program in programs_of(member, budget, current_knowledge()):
        places |= dict.fromkeys(_places(program.result, budget))
    segments = Segments()
    sizes: dict[str, int | None] = {}
    counts: dict[str, int] = {}
    for place in places:
        for item in _judged(member, place, sizes, segments):
            if isinstance(item, Evidence):
                counts[item.kind] = counts.get(item.kind, 0) + 1
                if counts[item.kind] > _LISTED:
                    continue
            yield item
    for kind, count in counts.items():
        if count > _LISTED:
            text = f"{count - _LISTED:,} more of {kind} are not listed"
            yield Notification(code="not-listed", message=text, level=Level.NOTE, location=member.at())
    missing = sorted(name for name, size in sizes.items() if size is None)
    if missing and not member.path:
        text = (
            f"names {len(missing):,} files that are not here, so they were not examined: {missing[0][:200]}"
        )
        yield Notification(code="missing-shards", message=text, location=member.at(), incomplete=True)


def _places(root: Value, budget: Budget) -> Iterator[_Place]:
    """Yield what every storage record in a pickled value says; each value is looked at once."""
    record = format_data(FORMAT)["record"]
    work: list[object] = [root]
    seen: set[int] = set()
    while work:
        value = work.pop()
        if not isinstance(value, Container | Instance) or id(value) in seen:
            continue
        seen.add(id(value))
        budget.spend(Resource.NODES)
        if isinstance(value, Container):
            work.extend(reversed(value.items))
            continue
        work.extend(value.states)
        work.extend(value.arguments or ())
        if value.type_name == record:
            yield from _place(value)


def _place(value: Instance) -> Iterator[_Place]:
    for state in value.states:
        if not isinstance(state, Container):
            continue
        fields = dict(zip(map(str, state.items[::2]), state.items[1::2], strict=False))
        path, offset, length = (fields.get(key) for key in ("relative_path", "offset", "length"))
        if isinstance(path, View):
            path = f"/(a path of {path.length:,} bytes)"
        if isinstance(path, str) and isinstance(offset, int) and isinstance(length, int):
            yield _Place(path, offset, length)


def _judged(
    member: Member, place: _Place, sizes: dict[str, int | None], segments: Segments
) -> Iterator[Evidence | Member]:
    """Look at one place; its file is looked at when it lies beside the metadata."""
    name = place.path
    facts: dict[str, Fact] = {"path": name[:_SHOWN], "offset": place.offset, "length": place.length}
    if re.search(r"[/\\\0]|^\.{0,2}$|^[A-Za-z]:", name):
        yield Evidence(kind="dcp-path", location=member.at(), facts=facts, symbol=name[:_SHOWN])
        return
    if member.path:
        return
    path = member.artifact.path.parent / name
    if name not in sizes:
        sizes[name] = _size(path, member.artifact.root)
    size = sizes[name]
    if size is None:
        return
    if place.offset < 0 or place.length < 0 or place.offset + place.length > size:
        facts["size"] = size
        yield Evidence(
            kind="dcp-range", location=member.at(), facts=facts, symbol=f"{name[:_SHOWN]}:{place.offset}"
        )
        return
    with closing(path.open("rb")) as stream:
        begins = read_at(stream, place.offset, min(place.length, len(_ZIP)))
    if place.length and begins != _ZIP:
        yield Member(
            artifact=member.artifact,
            path=(segments.take(f"{name} (bytes from {place.offset})"),),
            open=lambda: SliceReader(path.open("rb"), place.offset, place.length),
            size=place.length,
        )


def _size(path: Path, root: Path | None) -> int | None:
    """Give the size of a regular file below `root` (or beside the metadata), None where there is none."""
    try:
        allowed = (root or path.parent).resolve()
        if not path.is_file() or not path.resolve().is_relative_to(allowed):
            return None
        return path.stat().st_size
    except (OSError, ValueError, RuntimeError):
        return None
