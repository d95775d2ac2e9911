"""PyTorch zip checkpoints (`torch.save` since 1.6): what the zip layout says beyond any zip.

`zip_archive` yields the members; this looks at what PyTorch's reader makes of their names and at the
two small text members. Layout: torch/csrc/jit/serialization (caffe2/serialize/inline_container.cc).
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
from supplyguard.errors import MalformedError, SupplyguardError
from supplyguard.finding import Evidence, Fact
from supplyguard.inventory import Member, Probe
from supplyguard.limits import Budget
from supplyguard.streams import Allowance, buffered, size_of

FORMAT: Final = "torch_zip"

BYTE_ORDERS: Final = (b"little", b"big")
_PROGRAM: Final = re.compile(r"[^/]+/data\.pkl", re.IGNORECASE)
_VERSION: Final = re.compile(rb"[0-9]{1,4}\n?")
_SMALL: Final = 64


def recognizes(probe: Probe) -> bool:
    """Whether it is a zip whose seen part names a `data.pkl`, or whose directory is not all seen."""
    if not is_zip(probe) or is_concatenation(probe.name):
        return False
    whole = probe.size is not None and probe.size <= len(probe.head) + len(probe.tail)
    return not whole or b"/data.pkl" in probe.head.lower() or b"/data.pkl" in probe.tail.lower()


def inspect(member: Member, budget: Budget) -> Iterator[Evidence]:
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
