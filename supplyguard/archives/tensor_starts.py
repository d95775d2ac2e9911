"""Another format where a tensor begins: looked for at each tensor's first bytes only.

A format inside a tensor is not looked for: that costs as much as reading the weights, and among random bytes
every short pattern occurs somewhere. Patterns are those of rules/formats/embedded.json, the weakest of which
random bytes meet once in 10**8 tensors.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import BinaryIO, Final

from supplyguard.archives.signs import embedded_format
from supplyguard.limits import Budget, Resource
from supplyguard.streams import read_at

LOOKED_AT: Final = 20_000
"""Tensors of one file, in its order, whose beginnings are looked at."""
_FIRST: Final = 256
_PROGRAM: Final = 4200
"""A Windows program's second mark is up to 4,096 bytes behind its first."""

Place = tuple[str, int, int]
"""A tensor's name, its first byte and the one after its last, from the stream's 0."""


def embedded_tensors(
    stream: BinaryIO, places: Iterable[Place], budget: Budget
) -> Iterator[tuple[Place, str]]:
    """Yield tensors that begin as another format, and which one. `places` lie in the stream."""
    for count, place in enumerate(places):
        if count >= LOOKED_AT:
            return
        budget.spend(Resource.NODES)
        if count & 1023 == 0:
            budget.check_time()
        _, start, end = place
        head = read_at(stream, start, min(_FIRST, end - start))
        if head.startswith(b"MZ"):
            head = read_at(stream, start, min(_PROGRAM, end - start))
        found = embedded_format(head)
        if found is not None:
            yield place, found
