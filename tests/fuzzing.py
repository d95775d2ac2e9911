"""What every reader of a format must survive: cuts at every byte, and bytes changed at random."""

from __future__ import annotations

import random
from collections.abc import Iterator

from supplyguard.errors import SupplyguardError
from supplyguard.finding import Evidence, Notification
from supplyguard.inspectors import Inspector
from supplyguard.inventory import Member
from supplyguard.limits import Budget, Limits
from tests.examined import probe, yielded

LIMITS = Limits(seconds=20, nodes=200_000, members=1000)


def survives(inspector: Inspector, data: bytes, name: str = "file") -> bool:
    """Run one inspector over bytes; only SupplyguardError may come out. Says whether it read to the end."""
    inspector.recognizes(probe(data, name))
    try:
        for item in yielded(inspector, data, name, Budget(LIMITS)):
            assert isinstance(item, Evidence | Member | Notification)
            if isinstance(item, Member):
                with item.open() as stream:
                    stream.read(256)
    except SupplyguardError:
        return False
    return True


def cuts(data: bytes, most: int = 1500) -> Iterator[bytes]:
    """Give every prefix of a small file; of a larger one, `most` evenly spread."""
    step = max(1, len(data) // most)
    return (data[:end] for end in range(0, len(data), step))


def mutations(data: bytes, count: int, seed: int = 0) -> Iterator[bytes]:
    """Give copies with bytes set, flipped, removed, doubled or set to extremes."""
    rng = random.Random(seed)  # noqa: S311 - repeatable, not secret
    for _ in range(count):
        copy = bytearray(data)
        for _ in range(rng.randint(1, 6)):
            place = rng.randrange(len(copy)) if copy else 0
            kind = rng.randrange(5)
            if kind == 0:
                copy[place : place + 1] = bytes([rng.randrange(256)])
            elif kind == 1 and copy:
                copy[place] ^= 1 << rng.randrange(8)
            elif kind == 2:
                del copy[place : place + rng.randint(1, 8)]
            elif kind == 3:
                copy[place:place] = copy[place : place + rng.randint(1, 16)]
            else:
                width = rng.choice((1, 2, 4, 8))
                copy[place : place + width] = rng.choice((b"\xff", b"\x7f", b"\0", b"\x80")) * width
        yield bytes(copy)
