"""A zip archive opened for an inspector of one layout: find a member by name, read a small one."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from typing import BinaryIO, Final

from supplyguard.archives.zip_contents import Contents, Item, read_contents
from supplyguard.archives.zip_layouts import Layout, layout_of
from supplyguard.archives.zip_members import Archive
from supplyguard.errors import BudgetExceededError, MalformedError
from supplyguard.inventory import Member
from supplyguard.limits import KIB, Budget
from supplyguard.streams import Allowance, size_of

_CHUNK: Final = 256 * KIB


@dataclass(frozen=True, kw_only=True, slots=True)
class ZipView:
    """An archive, what its directory says, and the layout it has."""

    archive: Archive
    contents: Contents
    layout: Layout

    def inner(self, item: Item) -> Member:
        """Give a member under its name; raises MalformedError when it has no local header."""
        if item.local is None:
            raise MalformedError(f"{item.entry.name[:200]!r} has no local header where it should be")
        outer = self.archive.member
        opener, size = self.archive.content(item.entry, item.local.data)
        path = (*outer.path, item.entry.name)
        return Member(artifact=outer.artifact, path=path, open=opener, size=size)

    def read(self, item: Item) -> bytes:
        """Read a document; raises BudgetExceededError above the Budget's `document_bytes`."""
        most = self.archive.budget.limits.document_bytes
        data = bytearray()
        with closing(self.inner(item).open()) as stream:
            while more := stream.read(_CHUNK):
                data += more
                if len(data) > most:
                    raise BudgetExceededError("document_bytes", most)
        return bytes(data)


def view_of(stream: BinaryIO, member: Member, budget: Budget) -> ZipView | None:
    """Look at an archive; None when it cannot be read, which is zip_archive's to report."""
    size = size_of(stream)
    try:
        contents = read_contents(stream, size, budget)
    except MalformedError:
        return None
    archive = Archive(member=member, size=size, budget=budget, allowance=Allowance(budget, size))
    return ZipView(archive=archive, contents=contents, layout=layout_of(contents.names))
