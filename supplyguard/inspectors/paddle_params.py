"""PaddlePaddle's combined parameters (`.pdiparams`): tensors that do not fit the file.

Format: SerializeToStream of paddle/phi/core/framework/dense_tensor_serialize.h and TensorDesc of
framework.proto, github.com/PaddlePaddle/Paddle: one record after another, without names or a count.
The tensors' data is passed over.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing
from math import prod
from typing import BinaryIO, Final

from supplyguard.errors import MalformedError, UnsupportedError
from supplyguard.finding import Evidence, Fact
from supplyguard.inventory import Member, Probe
from supplyguard.limits import Budget, Resource
from supplyguard.resources import format_data
from supplyguard.streams import buffered, size_of
from supplyguard.wire.cursor import Cursor
from supplyguard.wire.protobuf import Message

FORMAT: Final = "paddle_params"

_RECORD: Final = re.compile(rb"\0{16}[\x02-\xff][\0-\x03]\0\0\x08[\0-\x26]")
"""No version, no levels, no version, a short description that begins with the type of the data."""
_NO_VERSION: Final = bytes(4)
_MOST_LEVELS: Final = 64
_MOST_DIMS: Final = 64


def recognizes(probe: Probe) -> bool:
    """Whether a record of no levels begins, or a record at all under the usual name."""
    named = probe.name.lower().endswith(".pdiparams")
    return (named and probe.head.startswith(_NO_VERSION)) or _RECORD.match(probe.head) is not None


def inspect(member: Member, budget: Budget) -> Iterator[Evidence]:
    """Yield the record that does not fit, then raise its MalformedError: what follows is not read."""
    with closing(buffered(member.open())) as stream:
        cursor = Cursor(stream, 0, size_of(stream))
        count = 0
        try:
            while cursor.remaining:
                budget.spend(Resource.NODES)
                budget.check_time()
                _record(stream, cursor, budget)
                count += 1
        except MalformedError as error:
            facts: dict[str, Fact] = {"number": count + 1, "detail": error.message}
            yield Evidence(kind="paddle-parameters", location=member.at(error.offset), facts=facts)
            raise


def _record(stream: BinaryIO, cursor: Cursor, budget: Budget) -> None:
    """Pass over one tensor."""
    _version(cursor)
    at = cursor.position
    levels = cursor.number("Q")
    if levels > _MOST_LEVELS:
        raise MalformedError(f"a tensor of {levels:,} levels", offset=at)
    for _ in range(levels):
        cursor.skip(cursor.number("Q"))
    _version(cursor)
    at = cursor.position
    size = cursor.number("i")
    if not 0 <= size <= cursor.remaining:
        raise MalformedError(f"a description of {size:,} bytes, {cursor.remaining:,} are left", offset=at)
    needed = _needed(Message.of(stream, cursor.position, cursor.position + size, budget), cursor.position)
    cursor.skip(size)
    if needed > cursor.remaining:
        text = f"a tensor of {min(needed, 1 << 66):,} bytes, {cursor.remaining:,} are left"
        raise MalformedError(text, offset=at)
    cursor.skip(needed)


def _version(cursor: Cursor) -> None:
    at = cursor.position
    version = cursor.number("I")
    if version:
        raise MalformedError(f"no tensor begins here: version {version:,}", offset=at)


def _needed(description: Message, at: int) -> int:
    """Give the bytes of data that a TensorDesc (1 type, 2 sizes) needs."""
    kind, shape = None, list[int]()
    for field in description:
        if field.number == 1:
            kind = field.value
        elif field.number == 2:
            for size in description.numbers(field):
                if size >= 1 << 63:
                    raise MalformedError("a tensor of a negative size", offset=at)
                shape.append(size)
                if len(shape) > _MOST_DIMS:
                    raise MalformedError(f"a tensor of more than {_MOST_DIMS} dimensions", offset=at)
    width = format_data(FORMAT)["bytes"].get(str(kind))
    if width is None:
        raise UnsupportedError(f"a tensor of the type {kind}, which is not read here")
    return int(prod(shape) * width)
