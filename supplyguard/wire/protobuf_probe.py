"""The first fields of what may be a protocol buffer, seen in a file's first bytes alone.

Protocol buffers have no magic: a format is recognised by the numbers and wire types of its top-level
fields and by lengths that fit the file.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Final

from supplyguard.errors import MalformedError
from supplyguard.inventory import Probe
from supplyguard.limits import Budget
from supplyguard.wire.protobuf import Field, Message
from supplyguard.wire.window import Window

MOST_FIELDS: Final = 64
NOT_A_WIRE: Final = -1
_FAR: Final = 1 << 62


def top_fields(probe: Probe, schema: Mapping[int, int], *, strict: bool = True) -> list[Field] | None:
    """Give the fields that begin in the head, at most 64; None when one does not fit `schema`.

    schema: the wire type of each field number that the message may have. strict: others do not fit.
    Bodies are not looked at.
    A field that claims more than the file holds ends the list with None.
    """
    head = probe.head
    end = probe.size if probe.size is not None else _FAR
    window = Window(io.BytesIO(head), 0, max(end, len(head)))
    found: list[Field] = []
    try:
        for field in Message(window, 0, end, Budget()):
            if schema.get(field.number, NOT_A_WIRE if strict else field.wire) != field.wire:
                return None
            found.append(field)
            if len(found) >= MOST_FIELDS or field.offset + field.length >= len(head):
                break
    except MalformedError:
        # a tag that the head cuts is no fault; one that makes no sense is
        return found if found and len(head) < end and _cut(found[-1], head) else None
    return found


def _cut(last: Field, head: bytes) -> bool:
    return last.offset + last.length + 20 > len(head)


def inner_fields(probe: Probe, field: Field, schema: Mapping[int, int]) -> list[Field] | None:
    """Give the fields of a message field as far as the head shows them, as `top_fields` does."""
    part = probe.head[field.offset : field.offset + field.length]
    return top_fields(Probe(head=part, tail=b"", name="", size=field.length), schema)
