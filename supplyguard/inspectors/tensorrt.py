"""TensorRT plans: opaque native programs; only the header and an exporter's JSON prefix are looked at.

Header as trtexec and the ONNX Runtime write it: tag, version, size. The rest is not documented.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import closing
from typing import Final

from supplyguard.archives.signs import text_signs
from supplyguard.errors import MalformedError
from supplyguard.finding import Evidence, Fact
from supplyguard.inventory import Member, Probe
from supplyguard.limits import KIB, Budget
from supplyguard.streams import read_at, size_of

FORMAT: Final = "tensorrt"

TAGS: Final = (b"ptrt", b"ftrt")
LARGEST_PREFIX: Final = 60 * KIB
_HEADER: Final = 16


def recognizes(probe: Probe) -> bool:
    """Whether a tag is at the start, or after a length and that many bytes of JSON."""
    return _start(probe.head) is not None


def _start(head: bytes) -> int | None:
    """Give the place of the tag."""
    if head.startswith(TAGS):
        return 0
    if head[4:5] != b"{":
        return None
    start = 4 + int(struct.unpack_from("<I", head)[0])
    return start if start <= LARGEST_PREFIX and head.startswith(TAGS, start) else None


def inspect(member: Member, budget: Budget) -> Iterator[Evidence]:  # noqa: ARG001 - a socket
    """Yield the plan, its prefix's odd texts, and a size that lies beyond the file."""
    with closing(member.open()) as stream:
        size = size_of(stream)
        head = read_at(stream, 0, min(size, LARGEST_PREFIX + _HEADER))
        start = _start(head)
        if start is None or start + _HEADER > size:
            raise MalformedError("the header of a TensorRT plan is cut", offset=start or 0)
        version, length = struct.unpack_from("<IQ", head, start + 4)
        facts: dict[str, Fact] = {"version": version}
        yield Evidence(kind="tensorrt-plan", location=member.at(start), facts=facts)
        for what in text_signs(head[4:start].decode("utf-8", "replace")) if start else ():
            yield Evidence(kind="tensorrt-text", location=member.at(4), facts={"what": what}, symbol=what)
        if length > size - start:
            facts = {"length": length, "left": size - start}
            yield Evidence(kind="tensorrt-size", location=member.at(start + 8, 8), facts=facts)
