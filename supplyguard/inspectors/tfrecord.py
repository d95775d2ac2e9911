"""TFRecord files: records whose length does not fit the file.

Format: tensorflow/core/lib/io/record_writer.h: u64 length, u32 masked CRC-32C of those eight bytes, data, u32
masked CRC-32C of the data. The first checksum makes recognition certain. Data is passed over: what reads
records parses protocol buffers.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import closing
from typing import Final

from supplyguard.errors import MalformedError
from supplyguard.finding import Evidence, Fact, Level, Notification
from supplyguard.inventory import Member, Probe
from supplyguard.limits import Budget, Resource
from supplyguard.streams import buffered, size_of
from supplyguard.wire.cursor import Cursor

FORMAT: Final = "tfrecord"

WALKED: Final = 100_000
"""Records after which the rest is believed; a Notification says so."""
_POLYNOMIAL: Final = 0x82F63B78
"""CRC-32C (Castagnoli), reflected."""
_MASK: Final = 0xA282EAD8
_AROUND: Final = 16


def masked_crc(data: bytes) -> int:
    """Give the checksum as TensorFlow masks it: rotated right by 15 bits, plus a constant."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (_POLYNOMIAL if crc & 1 else 0)
    crc ^= 0xFFFFFFFF
    return ((crc >> 15 | crc << 17) + _MASK) & 0xFFFFFFFF


def recognizes(probe: Probe) -> bool:
    """Whether the first record is shorter than 4 GiB and its length has the right checksum."""
    head = probe.head
    return (
        len(head) >= 12
        and head[4:8] == bytes(4)
        and masked_crc(head[:8]) == struct.unpack_from("<I", head, 8)[0]
    )


def inspect(member: Member, budget: Budget) -> Iterator[Evidence | Notification]:
    """Walk the lengths; raises MalformedError after the Evidence of one that does not fit."""
    with closing(buffered(member.open())) as stream:
        cursor = Cursor(stream, 0, size_of(stream))
        for number in range(WALKED):
            if not cursor.remaining:
                return
            at = cursor.position
            budget.spend(Resource.NODES)
            if number & 1023 == 0:
                budget.check_time()
            size = 0
            detail = "" if cursor.remaining >= _AROUND else f"{cursor.remaining} bytes are no record"
            if not detail:
                length, crc = cursor.take(8), cursor.number("I")
                size = int.from_bytes(length, "little")
                if crc != masked_crc(length):
                    detail = "a length with a wrong checksum"
                elif size + 4 > cursor.remaining:
                    detail = f"a record of {size:,} bytes, {cursor.remaining:,} are left"
            if detail:
                facts: dict[str, Fact] = {"detail": detail}
                yield Evidence(kind="tfrecord-flaw", location=member.at(at), facts=facts)
                raise MalformedError(detail, offset=at)
            cursor.skip(size + 4)
    text = f"only the lengths of the first {WALKED:,} records were compared with the file"
    yield Notification(code="not-listed", message=text, level=Level.NOTE, location=member.at())
