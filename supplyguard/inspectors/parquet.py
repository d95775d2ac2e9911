"""Parquet tables: the footer's key-value metadata, and whether the footer fits the file.

Format: README.md and src/main/thrift/parquet.thrift of github.com/apache/parquet-format: `PAR1`, pages, a
FileMetaData struct in Thrift's compact protocol, its length as u32, `PAR1`. Pages are not read. What pyarrow
keeps under `ARROW:schema` is an Arrow stream in base64; the Arrow inspector looks into it as a member.
"""

from __future__ import annotations

import base64
import binascii
import io
import struct
from collections.abc import Iterator
from contextlib import closing
from typing import BinaryIO, Final, cast

from supplyguard.archives.signs import text_signs
from supplyguard.errors import BudgetExceededError, MalformedError, UnsupportedError
from supplyguard.finding import Evidence, Fact
from supplyguard.inventory import Member, Probe
from supplyguard.limits import Budget
from supplyguard.streams import read_at, size_of
from supplyguard.wire.thrift_compact import Path, Walker

FORMAT: Final = "parquet"

MAGIC: Final = b"PAR1"
ENCRYPTED: Final = b"PARE"
ARROW_SCHEMA: Final = "ARROW:schema"
KEY, VALUE = (5, 0, 1), (5, 0, 2)
"""FileMetaData.key_value_metadata, its elements, their fields."""
_ENDS: Final = 12
_SHOWN: Final = 100


def recognizes(probe: Probe) -> bool:
    """Whether the magic is there."""
    return probe.head.startswith((MAGIC, ENCRYPTED))


def inspect(member: Member, budget: Budget) -> Iterator[Evidence | Member]:
    """Yield odd metadata and the Arrow schema; raises MalformedError after the Evidence of a flaw."""
    with closing(member.open()) as stream:
        size = size_of(stream)
        if size < _ENDS:
            raise MalformedError("ends before its footer", offset=size)
        length, magic = struct.unpack("<I4s", read_at(stream, size - 8, 8))
        if magic == ENCRYPTED:
            raise UnsupportedError("its footer is encrypted")
        flaw = "no magic at its end" if magic != MAGIC else ""
        if not flaw and length > size - _ENDS:
            flaw = f"claims a footer of {length:,} bytes in {size:,}"
        if flaw:
            yield _flaw(member, flaw, size - 8)
            raise MalformedError(flaw, offset=size - 8)
        if length > budget.limits.document_bytes:
            raise BudgetExceededError("document_bytes", budget.limits.document_bytes)
        start = size - 8 - length
        footer = read_at(stream, start, length)
    walker = Walker(footer, budget)
    try:
        yield from _metadata(member, walker, start)
    except MalformedError as error:
        yield _flaw(member, error.message, start + walker.position)
        raise MalformedError(error.message, offset=start + walker.position) from error


def _wanted(path: Path) -> bool:
    return path in {KEY, VALUE}


def _metadata(member: Member, walker: Walker, start: int) -> Iterator[Evidence | Member]:
    key = ""
    for path, value in walker.values(_wanted):
        if not isinstance(value, bytes):
            continue
        if path == KEY:
            key = value.decode("utf-8", "replace")
            continue
        place = start + walker.position - len(value)
        if key == ARROW_SCHEMA:
            try:
                schema = base64.b64decode(value)
            except (binascii.Error, ValueError):
                yield _flaw(member, "an Arrow schema that is not base64", place)
            else:
                yield _part(member, schema)
            continue
        for what in text_signs(value.decode("utf-8", "replace")):
            facts: dict[str, Fact] = {"key": key[:_SHOWN], "what": what}
            where = member.at(place, len(value))
            yield Evidence(kind="parquet-metadata", location=where, facts=facts, symbol=f"{key}:{what}")


def _part(member: Member, data: bytes) -> Member:
    return Member(
        artifact=member.artifact,
        path=(*member.path, ARROW_SCHEMA),
        open=lambda: cast("BinaryIO", io.BytesIO(data)),
        size=len(data),
    )


def _flaw(member: Member, detail: str, offset: int) -> Evidence:
    return Evidence(
        kind="parquet-flaw", location=member.at(offset), facts={"detail": detail}, symbol=detail[:_SHOWN]
    )
