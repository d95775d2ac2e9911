"""word2vec vectors: a count that the file has no room for.

Format: word2vec.c (code.google.com/archive/p/word2vec): a line `words dimensions`, then for each word its
text, a space and float32 numbers, or the numbers as text. Only the first line and the file's size are
compared; vectors are not read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing
from typing import Final

from supplyguard.finding import Evidence, Fact
from supplyguard.inventory import Member, Probe
from supplyguard.limits import Budget
from supplyguard.streams import read_at, size_of

FORMAT: Final = "word2vec_binary"

SUFFIXES: Final = (".bin", ".vec", ".w2v", ".kv", ".vectors", ".txt")
_FIRST: Final = re.compile(rb"([0-9]{1,18}) ([0-9]{1,6})\r?\n")
_FIRST_LINE: Final = 32
_PREVIEW: Final = 4096
_TEXT: Final = re.compile(rb"\S+(?: -?[0-9.]+(?:e[-+]?[0-9]+)?){2}", re.IGNORECASE)
_BINARY_NAMES: Final = (".bin", ".w2v")


def recognizes(probe: Probe) -> bool:
    """Whether it is named like vectors and its first lines are a count and a word with its vector."""
    first = _FIRST.match(probe.head) if probe.name.lower().endswith(SUFFIXES) else None
    return first is not None and _kind(probe.head[first.end() :], int(first[2]), probe.name) is not None


def _kind(rest: bytes, dimensions: int, name: str) -> str | None:
    """Tell text from binary by the first word's vector; None when it is neither for sure."""
    if dimensions < 2:
        return None
    if _TEXT.match(rest):
        return "text"
    space = rest.find(b" ", 0, 256)
    binary = space > 0 and name.lower().endswith(_BINARY_NAMES)
    return "binary" if binary and (b"\0" in rest[:_PREVIEW] or not rest[:_PREVIEW].isascii()) else None


def inspect(member: Member, budget: Budget) -> Iterator[Evidence]:  # noqa: ARG001 - a socket
    """Yield a count that does not fit."""
    with closing(member.open()) as stream:
        size = size_of(stream)
        head = read_at(stream, 0, min(size, _FIRST_LINE + _PREVIEW))
    first = _FIRST.match(head)
    if first is None:
        return
    words, dimensions = int(first[1]), int(first[2])
    text = _kind(head[first.end() :], dimensions, member.name) == "text"
    # the least a word takes: one byte and a space with float32, or a digit and a space for each number
    least = words * (2 + 2 * dimensions if text else 2 + 4 * dimensions)
    if least > size:
        facts: dict[str, Fact] = {"words": words, "dimensions": dimensions, "size": size}
        yield Evidence(kind="word2vec-count", location=member.at(0, first.end()), facts=facts)
