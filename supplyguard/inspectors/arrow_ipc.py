r"""Arrow files and streams: extension types whose metadata old readers unpickle.

Format: docs/source/format/Columnar.rst and format/{Message,Schema,File}.fbs of github.com/apache/arrow. A
message is FF FF FF FF (since 0.15), i32 length, a Message flat buffer, a body; the first one holds the
schema. A file is `ARROW1\0\0`, a stream, a Footer flat buffer with the schema again, its i32 length,
`ARROW1`. Record batches are not read. pyarrow 0.14 to 14.0.0 unpickles the metadata of the extension type
`arrow.py_extension_type` when it reads a schema (CVE-2023-47248).
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from contextlib import closing
from typing import BinaryIO, Final, cast

from supplyguard.archives.signs import embedded_format, text_signs
from supplyguard.errors import MalformedError, SupplyguardError
from supplyguard.finding import Evidence, Fact
from supplyguard.inventory import Member, Probe
from supplyguard.limits import Budget
from supplyguard.resources import format_data
from supplyguard.streams import SliceReader, buffered, read_at, size_of
from supplyguard.wire.flatbuffer import Buffer, Table

FORMAT: Final = "arrow_ipc"

MAGIC: Final = b"ARROW1"
MARK: Final = b"\xff\xff\xff\xff"
NAME, METADATA = "ARROW:extension:name", "ARROW:extension:metadata"
_SCHEMA: Final = 1
"""MessageHeader.Schema."""
_LATEST: Final = 4
"""MetadataVersion.V5."""
_FILE_START: Final = 8
_FILE_END: Final = 10
_SHOWN: Final = 100


def recognizes(probe: Probe) -> bool:
    """Whether it is a file by its magic, or begins with a message that holds a schema."""
    if probe.head.startswith(MAGIC):
        return True
    if not probe.head.startswith(MARK) or len(probe.head) < 16:
        return False
    (length,) = struct.unpack_from("<i", probe.head, 4)
    if length < 16 or (probe.size is not None and length > probe.size - 8):
        return False
    stream = cast("BinaryIO", io.BytesIO(probe.head))
    try:
        root = Buffer(stream, 8, len(probe.head), Budget()).root()
        return root.scalar(6, "B") == _SCHEMA and 0 <= root.scalar(4, "h") <= _LATEST
    except SupplyguardError:
        return False


def inspect(member: Member, budget: Budget) -> Iterator[Evidence | Member]:
    """Yield what the schemas ask for; raises MalformedError after the Evidence of a flaw."""
    with closing(buffered(member.open())) as stream:
        size = size_of(stream)
        seen: set[tuple[str, str]] = set()
        try:
            is_file = read_at(stream, 0, min(6, size)) == MAGIC
            if is_file:
                yield from _schema(member, _footer(stream, size, budget).table(6), seen)
            message = _message(stream, _FILE_START if is_file else 0, size, budget)
            if message is not None and message.scalar(6, "B") == _SCHEMA:
                yield from _schema(member, message.table(8), seen)
        except MalformedError as error:
            facts: dict[str, Fact] = {"detail": error.message}
            yield Evidence(kind="arrow-flaw", location=member.at(error.offset), facts=facts)
            raise


def _footer(stream: BinaryIO, size: int, budget: Budget) -> Table:
    if size < _FILE_START + _FILE_END:
        raise MalformedError("ends before its footer", offset=size)
    length, magic = struct.unpack("<i6s", read_at(stream, size - _FILE_END, _FILE_END))
    if magic != MAGIC:
        raise MalformedError("no magic at its end", offset=size - 6)
    if not 8 <= length <= size - _FILE_START - _FILE_END:
        raise MalformedError(f"claims a footer of {length:,} bytes", offset=size - _FILE_END)
    end = size - _FILE_END
    return Buffer(stream, end - length, end, budget).root()


def _message(stream: BinaryIO, start: int, size: int, budget: Budget) -> Table | None:
    """Give the first message, None where there is none."""
    if size - start < 8:
        return None
    if read_at(stream, start, 4) == MARK:
        start += 4
    (length,) = struct.unpack("<i", read_at(stream, start, 4))
    if length == 0:
        return None
    if not 8 <= length <= size - start - 4:
        raise MalformedError(f"claims a message of {length:,} bytes", offset=start)
    return Buffer(stream, start + 4, start + 4 + length, budget).root()


def _schema(member: Member, schema: Table | None, seen: set[tuple[str, str]]) -> Iterator[Evidence | Member]:
    """Walk a schema's fields with a list, children after parents."""
    if schema is None:
        return
    yield from _texts(member, schema, 8, "(schema)", seen)
    work = list(schema.tables(6))
    while work:
        field = work.pop()
        name = (field.text(4) or "")[:_SHOWN]
        yield from _extension(member, field, name, seen)
        yield from _texts(member, field, 16, name, seen)
        work.extend(field.tables(14))


def _pairs(owner: Table, slot: int) -> Iterator[tuple[str, int, int]]:
    """Yield (key, start, length) of the values."""
    for pair in owner.tables(slot):
        position = pair.field(6)
        if position is not None:
            value = owner.buffer.vector_at(owner.buffer.follow(position), 1)
            yield pair.text(4) or "", value.start, value.count


def _extension(
    member: Member, field: Table, name: str, seen: set[tuple[str, str]]
) -> Iterator[Evidence | Member]:
    """Yield an extension type that is unpickled, and its pickle."""
    pairs = {key: (start, length) for key, start, length in _pairs(field, 16)}
    if METADATA not in pairs:
        return
    start, length = pairs[METADATA]
    at, size = pairs.get(NAME, (0, 0))
    extension = field.buffer.raw(at, min(size, _SHOWN)).decode("utf-8", "replace")
    pickled = embedded_format(field.buffer.raw(start, min(length, _SHOWN))) == "a pickle"
    unpickled = extension in format_data(FORMAT)["unpickled"]
    if not (pickled or unpickled) or (name, extension) in seen:
        return
    seen.add((name, extension))
    facts: dict[str, Fact] = {"field": name, "extension": extension, "unpickled": unpickled}
    yield Evidence(kind="arrow-extension", location=member.at(start, length), facts=facts, symbol=name)
    yield Member(
        artifact=member.artifact,
        path=(*member.path, f"({name}: {METADATA})"),
        open=lambda: SliceReader(member.open(), start, length),
        size=length,
    )


def _texts(
    member: Member, owner: Table, slot: int, name: str, seen: set[tuple[str, str]]
) -> Iterator[Evidence]:
    """Yield metadata that is not plain text."""
    limit = owner.buffer.budget.limits.string_bytes
    for key, start, length in _pairs(owner, slot):
        if key in {NAME, METADATA}:
            continue
        for what in text_signs(owner.buffer.raw(start, min(length, limit)).decode("utf-8", "replace")):
            if (f"{name}:{key}", what) not in seen:
                seen.add((f"{name}:{key}", what))
                facts: dict[str, Fact] = {"field": name, "key": key[:_SHOWN], "what": what}
                place = member.at(start, length)
                yield Evidence(kind="arrow-metadata", location=place, facts=facts, symbol=f"{name}:{key}")
