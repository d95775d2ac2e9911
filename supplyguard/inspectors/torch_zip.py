"""PyTorch zip checkpoints (`torch.save` since 1.6): what the zip layout says beyond any zip.

`zip_archive` yields the members; this looks at what PyTorch's reader makes of their names and at the
two small text members, and holds the pickle's storages and tensors against the members with raw numbers.
Layout: torch/serialization.py and caffe2/serialize/inline_container.cc. Whether `weights_only` loading
would refuse a pickle is no fact of its own here: honest whole models are refused too, and what matters
in it, the names that it imports, is judged one by one in the pickle.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing
from typing import Final

from supplyguard.archives.zip_contents import Contents, Item, read_contents
from supplyguard.archives.zip_directory import is_zip
from supplyguard.archives.zip_layouts import Layout, is_concatenation, layout_of
from supplyguard.archives.zip_members import Archive
from supplyguard.errors import MalformedError, SupplyguardError, UnsupportedError
from supplyguard.finding import Evidence, Fact, Level, Notification
from supplyguard.inventory import Member, Probe
from supplyguard.limits import Budget
from supplyguard.pickles.knowledge import current_knowledge
from supplyguard.pickles.programs import Program
from supplyguard.pickles.torch_storages import MOST_BYTES, programs_of, storages_of, tensors_of
from supplyguard.resources import format_data
from supplyguard.streams import Allowance, buffered, size_of

FORMAT: Final = "torch_zip"

BYTE_ORDERS: Final = (b"little", b"big")
_PROGRAM: Final = re.compile(r"[^/]+/data\.pkl", re.IGNORECASE)
_VERSION: Final = re.compile(rb"[0-9]{1,4}\n?")
_SMALL: Final = 64
_SHOWN: Final = 20
"""At most so many storages or tensors of one kind are told."""


def recognizes(probe: Probe) -> bool:
    """Whether it is a zip whose seen part names a `data.pkl`, or whose directory is not all seen."""
    if not is_zip(probe) or is_concatenation(probe.name):
        return False
    whole = probe.size is not None and probe.size <= len(probe.head) + len(probe.tail)
    return not whole or b"/data.pkl" in probe.head.lower() or b"/data.pkl" in probe.tail.lower()


def inspect(member: Member, budget: Budget) -> Iterator[Evidence | Notification]:
    """Yield what is odd for PyTorch's reader; an archive that cannot be read is zip_archive's to report."""
    with closing(buffered(member.open())) as stream:
        size = size_of(stream)
        try:
            contents = read_contents(stream, size, budget)
        except MalformedError:
            return
        layout = layout_of(contents.names)
        if not layout.name.startswith("torch"):
            return
        archive = Archive(member=member, size=size, budget=budget, allowance=Allowance(budget, size))
        yield from _programs(member, contents)
        yield from _outsiders(member, contents, layout)
        for item in contents.items:
            yield from _text(archive, item, layout)
        yield from _numbers(archive, contents, layout)


def _programs(member: Member, contents: Contents) -> Iterator[Evidence]:
    """Yield the second and further members that a reader can take for the pickle."""
    items = [item for item in contents.items if _PROGRAM.fullmatch(item.entry.name)]
    if len(items) > 1:
        names = tuple(item.entry.name for item in items)
        facts: dict[str, Fact] = {"names": names, "count": len(names)}
        place = member.at(items[1].entry.target)
        yield Evidence(kind="torch-second-program", location=place, facts=facts, symbol=names[1])


def _outsiders(member: Member, contents: Contents, layout: Layout) -> Iterator[Evidence]:
    """Yield members outside the one root folder, which PyTorch's reader refuses."""
    prefix = f"{layout.root}/".casefold()
    outside = [item for item in contents.items if not item.entry.name.casefold().startswith(prefix)]
    if outside:
        names = tuple(item.entry.name for item in outside)
        facts: dict[str, Fact] = {"names": names, "root": layout.root}
        place = member.at(outside[0].entry.target)
        yield Evidence(kind="torch-outside-root", location=place, facts=facts, symbol=names[0])


def _text(archive: Archive, item: Item, layout: Layout) -> Iterator[Evidence]:
    """Yield a `byteorder` or `version` that PyTorch does not write."""
    name = item.entry.name
    if item.local is None or name not in (f"{layout.root}/byteorder", f"{layout.root}/version"):
        return
    opener, _ = archive.content(item.entry, item.local.data)
    try:
        with closing(opener()) as stream:
            text = stream.read(_SMALL)
    except SupplyguardError:
        # the member itself is yielded by zip_archive, and reading it says the same
        return
    good = text in BYTE_ORDERS if name.endswith("/byteorder") else _VERSION.fullmatch(text) is not None
    if not good:
        facts = {"name": name, "value": text.decode("ascii", "backslashreplace")}
        place = archive.member.at(item.local.data, len(text))
        yield Evidence(kind="torch-odd-text", location=place, facts=facts, symbol=name)


def _numbers(archive: Archive, contents: Contents, layout: Layout) -> Iterator[Evidence | Notification]:
    """Hold what the pickle says of storages and tensors against the members that have the numbers."""
    item = next((item for item in contents.items if _PROGRAM.fullmatch(item.entry.name)), None)
    if item is None or item.local is None:
        return
    outer = archive.member
    opener, size = archive.content(item.entry, item.local.data)
    inner = Member(
        artifact=outer.artifact,
        path=(*outer.path, item.entry.name),
        open=opener,
        size=min(size, archive.size),
    )
    try:
        programs = programs_of(inner, archive.budget, current_knowledge())
    except (MalformedError, UnsupportedError):
        # zip_archive yields the member, and reading it there says the same
        return
    for program in programs[:1]:
        if program.end is None and size > MOST_BYTES:
            yield Notification(
                code="not-compared",
                message="the pickle is too long to compare its storages with the archive's members",
                level=Level.NOTE,
                location=inner.at(),
            )
        sizes = {each.entry.name.casefold(): each.entry.size for each in contents.items}
        yield from _storages(inner, program, sizes, f"{layout.root}/data/".casefold())
        yield from _tensors(inner, program)


def _storages(member: Member, program: Program, sizes: dict[str, int], folder: str) -> Iterator[Evidence]:
    """Yield storages whose member is missing or of another size, and unusual devices."""
    usual = re.compile(format_data("torch_storages")["locations"])
    shown = 0
    odd: set[str] = set()
    for storage in storages_of(program):
        if not usual.fullmatch(storage.location):
            odd.add(storage.location)
        if storage.location == "meta" or shown >= _SHOWN:
            continue
        actual = sizes.get(f"{folder}{storage.key}".casefold())
        if actual is not None and (storage.size is None or storage.size == actual):
            continue
        shown += 1
        facts: dict[str, Fact] = {
            "key": storage.key,
            "missing": actual is None,
            "stated": storage.size if storage.size is not None else storage.count,
            "actual": actual,
        }
        yield Evidence(kind="torch-storage-size", location=member.at(), facts=facts, symbol=storage.key)
    if odd:
        named = tuple(sorted(odd)[:_SHOWN])
        yield Evidence(
            kind="torch-odd-device", location=member.at(), facts={"devices": named}, symbol=named[0]
        )


def _tensors(member: Member, program: Program) -> Iterator[Evidence]:
    """Yield tensors that reach outside their storage."""
    outside = [tensor for tensor in tensors_of(program) if not tensor.fits()]
    for tensor in outside[:_SHOWN]:
        facts: dict[str, Fact] = {
            "key": tensor.key,
            "elements": tensor.elements,
            "offset": tensor.offset,
            "shape": str(tensor.sizes),
            "strides": str(tensor.strides),
        }
        place = member.at(tensor.call)
        yield Evidence(kind="torch-tensor-outside", location=place, facts=facts, symbol=tensor.key)
