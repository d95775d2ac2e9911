"""Archives that no model loader reads: 7z, RAR, cabinet and ar. Their contents are not examined here.

Under a model's name they are there to make scanners give up while code that comes along unpacks
them. Formats: 7zFormat.txt of the LZMA SDK; RAR 5.0 archive format (rarlab.com/technote.htm).
"""

from __future__ import annotations

import json
import re
import struct
import zlib
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import cache
from typing import BinaryIO, Final

from supplyguard.errors import MalformedError, RuleError
from supplyguard.finding import Evidence, Fact, Notification
from supplyguard.inventory import Member, Probe
from supplyguard.limits import MIB, Budget
from supplyguard.resources import rules_folder
from supplyguard.streams import read_at, size_of

FORMAT: Final = "seven_zip"

LARGEST_HEADER: Final = 16 * MIB
_ENCODED_HEADER: Final = 0x17
_AES: Final = b"\x06\xf1\x07\x01"
"""The coder id of AES-256 with SHA-256 in a 7z header."""
_RAR4_ENCRYPTED_HEADERS: Final = 0x80
_RAR5_ENCRYPTION: Final = 4


@dataclass(frozen=True, kw_only=True, slots=True)
class Kind:
    """A format. suffixes: names under which it is expected; skipped: names that are no model matter."""

    format: str
    pattern: re.Pattern[bytes]
    suffixes: tuple[str, ...]
    skipped: tuple[str, ...]


def recognizes(probe: Probe) -> bool:
    """Whether one of the magics is there, under a name that is not that format's own business."""
    kind = _kind(probe.head)
    return kind is not None and not probe.name.lower().endswith(kind.skipped)


def inspect(member: Member, budget: Budget) -> Iterator[Evidence | Notification]:  # noqa: ARG001 - a socket
    """Yield the format under the name it has, whether it is encrypted, and that it was not examined.

    Raises MalformedError when a 7z header is broken.
    """
    with closing(member.open()) as stream:
        size = size_of(stream)
        kind = _kind(read_at(stream, 0, min(size, 64)))
        if kind is None:
            raise MalformedError("no archive begins here", offset=0)
        facts: dict[str, Fact] = {"format": kind.format, "name": member.name}
        if not member.name.lower().endswith(kind.suffixes or ("\0",)):
            yield Evidence(kind="foreign-archive", location=member.at(0), facts=facts, symbol=kind.format)
        text = f"is a {kind.format} archive, whose members are not examined here: unpack it and scan them"
        yield Notification(code="not-unpacked", message=text, location=member.at(), incomplete=True)
        what = _encryption(stream, size, kind.format)
        if what is not None:
            yield Evidence(
                kind="foreign-archive-encrypted",
                location=member.at(0),
                facts={**facts, "what": what},
                symbol=what,
            )


def _encryption(stream: BinaryIO, size: int, name: str) -> str | None:
    """Say what is encrypted, or None."""
    if name == "7z":
        return _seven_zip(stream, size)
    if name == "RAR":
        return _rar(read_at(stream, 0, min(size, 64)))
    return None


def _seven_zip(stream: BinaryIO, size: int) -> str | None:
    """Read the signature header and look for AES among the coders of the header that it points to."""
    if size < 32:
        raise MalformedError("the 7z signature header is cut", offset=0)
    start = read_at(stream, 8, 24)
    stated, offset, length, crc = struct.unpack("<IQQI", start)
    if zlib.crc32(start[4:]) != stated:
        raise MalformedError("the 7z signature header's checksum is wrong", offset=8)
    if not length:
        return None
    if length > LARGEST_HEADER or 32 + offset + length > size:
        raise MalformedError("the 7z header lies outside the file", offset=12)
    header = read_at(stream, 32 + offset, length)
    if zlib.crc32(header) != crc:
        raise MalformedError("the 7z header's checksum is wrong", offset=32 + offset)
    if _AES not in header:
        return None
    return "names" if header[0] == _ENCODED_HEADER else "members"


def _rar(head: bytes) -> str | None:
    """Look at the first header: of type 4 in RAR 5, or with the flag for encrypted headers in RAR 4."""
    if head.startswith(b"Rar!\x1a\x07\x01\x00"):
        # CRC u32, then size and type as numbers of 7 bits a byte
        place = 12
        while place < len(head) and head[place] & 0x80:
            place += 1
        return "names" if head[place + 1 : place + 2] == bytes([_RAR5_ENCRYPTION]) else None
    flags = int.from_bytes(head[10:12], "little")
    return "names" if flags & _RAR4_ENCRYPTED_HEADERS else None


def _kind(head: bytes) -> Kind | None:
    return next((kind for kind in _kinds() if kind.pattern.match(head)), None)


@cache
def _kinds() -> tuple[Kind, ...]:
    path = rules_folder() / "formats" / "foreign_archives.json"
    try:
        return tuple(
            Kind(
                format=row["format"],
                pattern=re.compile(row["pattern"].encode("ascii")),
                suffixes=tuple(row["suffixes"]),
                skipped=tuple(row["skipped"]),
            )
            for row in json.loads(path.read_bytes())
        )
    except (OSError, ValueError, KeyError, re.error) as error:
        raise RuleError(f"cannot read {path}: {error!r}") from error
