"""How the bytes of one zip member are reached: a slice of the archive, or inflated from one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import BinaryIO, Final

from supplyguard.archives.codecs import BZIP2, DEFLATE, XZ, ZIP_LZMA, ZSTD, NamedCodec
from supplyguard.archives.zip_directory import Header
from supplyguard.errors import UnsupportedError
from supplyguard.inventory import Member
from supplyguard.limits import Budget
from supplyguard.streams import Allowance, Inflation, SliceReader

STORED: Final = 0
DEFLATED: Final = 8
CODECS: Final[dict[int, NamedCodec]] = {8: DEFLATE, 12: BZIP2, 14: ZIP_LZMA, 93: ZSTD, 95: XZ}
"""Compression methods by number (APPNOTE 4.4.5)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Archive:
    """An archive whose members are opened: the member that holds it, its size, what it may cost."""

    member: Member
    size: int
    budget: Budget
    allowance: Allowance
    _inflations: dict[tuple[int, int, int], Inflation] = field(default_factory=dict)

    def slice(self, start: int, length: int) -> Callable[[], BinaryIO]:
        """Give an opener of raw bytes of the archive."""
        return lambda: SliceReader(self.member.open(), start, length)

    def content(self, header: Header, data: int) -> tuple[Callable[[], BinaryIO], int]:
        """Give an opener of a member's content and its size, as `header` describes the bytes at `data`.

        A stored member whose two sizes differ is read as far as either says. A method without a
        codec here gives an opener that raises UnsupportedError.
        """
        if header.method == STORED:
            length = max(header.compressed, header.size)
            return self.slice(data, min(length, max(0, self.size - data))), length
        codec = CODECS.get(header.method)
        if codec is None:
            return _refuse(header.method), header.size
        # bytes that several entries point to are inflated once
        key = (header.method, data, header.compressed)
        inflation = self._inflations.get(key)
        if inflation is None:
            source = self.slice(data, header.compressed)
            inflation = Inflation(source, header.compressed, codec, self.budget, self.allowance)
            self._inflations[key] = inflation
        return inflation.open, header.size


def _refuse(method: int) -> Callable[[], BinaryIO]:
    def opener() -> BinaryIO:
        raise UnsupportedError(f"compressed with zip method {method}, which is not read here")

    return opener
