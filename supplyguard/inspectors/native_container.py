"""Containers of native runtimes: RKNN, ncnn, MNN and CNTK. Their headers only; the rest is opaque here.

Formats: RKNN's signature, version, length; ncnn's param files (net.cpp of github.com/Tencent/ncnn); MNN's
flatbuffer without identifier; CNTK's first format ("BCN" in UTF-16) and its protobuf Dictionary.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from contextlib import closing
from typing import BinaryIO, Final

from supplyguard.errors import MalformedError
from supplyguard.finding import Evidence, Fact
from supplyguard.inventory import Member, Probe
from supplyguard.limits import MIB, Budget, Resource
from supplyguard.streams import read_at, size_of

FORMAT: Final = "native_container"

LOOKED_AT: Final = MIB
"""Bytes at each end of a CNTK file in which names of functions are sought."""

_RKNN: Final = (b"RKNN\0\0\0\0", b"CYPTRKNN")
_NCNN_TEXT: Final = re.compile(rb"7767517\r?\n([0-9]{1,12})\s+([0-9]{1,12})\r?\n")
_NCNN_BINARY: Final = struct.pack("<I", 7767517)
_CNTK_FIRST: Final = "BCN".encode("utf-16-le")
_CNTK_WORDS: Final = (b"CompositeFunction", b"PrimitiveFunction", b"primitive_functions")
_USER: Final = re.compile(rb"UserFunction|U\0s\0e\0r\0F\0u\0n\0c\0t\0i\0o\0n\0|user_defined_state")
_LEAST_LAYER: Final = 8
_LEAST_BINARY_LAYER: Final = 12
_RKNN_HEADER: Final = 24


def recognizes(probe: Probe) -> bool:
    """Whether it has one of the magics; MNN has none, so its name and root count."""
    return _kind(probe.head, probe.name.lower(), probe.size or len(probe.head)) != ""


def _kind(head: bytes, name: str, size: int) -> str:
    if head.startswith(_RKNN):
        return "RKNN"
    if _NCNN_TEXT.match(head) or (head.startswith(_NCNN_BINARY) and name.endswith(".bin")):
        return "ncnn"
    if head.startswith(_CNTK_FIRST):
        return "CNTK"
    if head[:1] == b"\x08" and any(word in head for word in _CNTK_WORDS):
        return "CNTK"
    return "MNN" if name.endswith(".mnn") and size > 0 else ""


def inspect(member: Member, budget: Budget) -> Iterator[Evidence]:
    """Yield the runtime whose file it is, what of its header lies beyond the file, and user functions."""
    budget.spend(Resource.NODES)
    with closing(member.open()) as stream:
        size = size_of(stream)
        head = read_at(stream, 0, min(size, LOOKED_AT))
        kind = _kind(head[: 1 << 16], member.name.lower(), size)
        facts: dict[str, Fact] = {"runtime": kind}
        yield Evidence(kind="native-container", location=member.at(), facts=facts, symbol=kind)
        detail = _misfit(kind, head, size)
        if detail:
            facts = {"runtime": kind, "detail": detail}
            yield Evidence(kind="native-container-bounds", location=member.at(), facts=facts, symbol=kind)
        if kind == "CNTK":
            yield from _user_functions(member, stream, head, size)


def _misfit(kind: str, head: bytes, size: int) -> str:
    """Say what the header claims that the file does not hold; raises MalformedError for a cut header."""
    if kind == "RKNN":
        if size < _RKNN_HEADER:
            raise MalformedError("the header of an RKNN file is cut", offset=0)
        (length,) = struct.unpack_from("<Q", head, 16)
        return f"says {length:,} bytes, {size - _RKNN_HEADER:,} are there" if length > size - 24 else ""
    if kind == "ncnn":
        text = _NCNN_TEXT.match(head)
        if text is None and size < _LEAST_BINARY_LAYER:
            raise MalformedError("the header of an ncnn file is cut", offset=0)
        layers, least = (
            (int(text[1]), _LEAST_LAYER)
            if text
            else (struct.unpack_from("<I", head, 4)[0], _LEAST_BINARY_LAYER)
        )
        return f"says {layers:,} layers in {size:,} bytes" if layers * least > size else ""
    if kind == "MNN":
        if size < 8:
            raise MalformedError("the header of an MNN file is cut", offset=0)
        (root,) = struct.unpack_from("<I", head)
        if not 4 <= root <= size - 4:
            return f"begins at {root:,} of {size:,} bytes"
        if root + 4 > len(head):
            return ""
        (back,) = struct.unpack_from("<i", head, root)
        return "" if 0 <= root - back <= size - 4 else f"has a table at {root - back:,} of {size:,} bytes"
    return ""


def _user_functions(member: Member, stream: BinaryIO, head: bytes, size: int) -> Iterator[Evidence]:
    """Yield the first mention of a user's function near one of the ends."""
    start = max(len(head), size - LOOKED_AT)
    for offset, data in ((0, head), (start, read_at(stream, start, size - start))):
        found = _USER.search(data)
        if found is not None:
            where = member.at(offset + found.start(), len(found[0]))
            yield Evidence(kind="cntk-user-function", location=where, facts={}, symbol="UserFunction")
            return
