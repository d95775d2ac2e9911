"""GGML files of before GGUF (ggml, ggmf, ggjt, ggla): named as legacy, their vocabulary walked.

Format: llama.cpp of 2023 (convert.py, llama_file_loader). Families other than LLaMA share the magics
with other parameters; theirs are not walked.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Final

from supplyguard.errors import MalformedError, UnsupportedError
from supplyguard.finding import Evidence, Fact
from supplyguard.inventory import Member, Probe
from supplyguard.limits import Budget, Resource
from supplyguard.streams import size_of
from supplyguard.wire.cursor import Cursor

FORMAT: Final = "ggml"

MAGICS: Final = {b"lmgg": "ggml", b"fmgg": "ggmf", b"tjgg": "ggjt", b"algg": "ggla"}
_MOST: Final = (1 << 20, 1 << 17, 1 << 17, 1 << 11, 1 << 11, 1 << 17, 1 << 14)
"""Above these, vocabulary, embedding, multiple, heads, layers, rotation and type are no LLaMA model's."""


def recognizes(probe: Probe) -> bool:
    """Whether one of the magics is there."""
    return probe.head[:4] in MAGICS and len(probe.head) >= 36


def inspect(member: Member, budget: Budget) -> Iterator[Evidence]:
    """Yield the legacy format, and a vocabulary that does not fit; raises where it cannot go on."""
    with closing(member.open()) as stream:
        cursor = Cursor(stream, 0, size_of(stream))
        name = MAGICS.get(cursor.take(4))
        if name is None:
            raise MalformedError("no GGML magic", offset=0)
        facts: dict[str, Fact] = {"format": name}
        yield Evidence(kind="ggml-legacy", location=member.at(0, 4), facts=facts, symbol=name)
        if name == "ggla":
            raise UnsupportedError("a GGML adapter, whose tensors are not walked")
        if name != "ggml":
            cursor.skip(4)
        numbers = [cursor.number("i") for _ in _MOST]
        if not all(0 < each <= most for each, most in zip(numbers[:6], _MOST, strict=False)):
            raise UnsupportedError("a GGML file of another family than LLaMA's, which is not walked")
        try:
            for _ in range(numbers[0]):
                budget.spend(Resource.NODES)
                length = cursor.number("I")
                cursor.skip(length + (0 if name == "ggml" else 4))
        except MalformedError as error:
            facts = {"detail": error.message}
            yield Evidence(kind="ggml-length", location=member.at(error.offset), facts=facts)
            raise
