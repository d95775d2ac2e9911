"""What lies beside a hub repository's configuration: pickled weights, and shards that its index leaves out.

Only names are looked at; each file is examined by itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Final

from supplyguard.finding import Evidence, Fact
from supplyguard.inventory import Member
from supplyguard.resources import format_data

MOST_ENTRIES: Final = 5000
"""Entries of a folder that are looked at."""
_SHARD: Final = re.compile(r"(.+)-\d{5}-of-\d{5}(\.\w{1,20})")


def weights_beside(member: Member) -> Iterator[Evidence]:
    """Say when a model's weights are pickled: instead of safetensors, or beside them."""
    lists = format_data("hub_repository")
    names = _names(member)
    pickled = [each for each in names if re.fullmatch(lists["pickled_weights"], each)]
    if pickled:
        plain = any(re.fullmatch(lists["plain_weights"], each) for each in names)
        facts: dict[str, Fact] = {"file": pickled[0], "also_plain": plain}
        yield Evidence(kind="hub-pickled-weights", location=member.at(), facts=facts, symbol=pickled[0])


def unlisted_shards(member: Member, listed: Sequence[str]) -> Iterator[Evidence]:
    """Say when a shard lies beside those of an index that does not name it."""
    series = {(found[1], found[2]) for each in listed if (found := _SHARD.fullmatch(each))}
    extra = [
        each
        for each in _names(member)
        if (found := _SHARD.fullmatch(each)) and (found[1], found[2]) in series and each not in listed
    ]
    if extra:
        facts: dict[str, Fact] = {"files": tuple(extra[:8]), "count": len(extra)}
        yield Evidence(kind="hub-unlisted-shard", location=member.at(), facts=facts, symbol=extra[0])


def _names(member: Member) -> list[str]:
    """Give the names of the folder that an artifact lies in; none for a member of an archive."""
    if member.path or not member.artifact.path.parent.is_dir():
        return []
    return sorted(path.name for path in islice(member.artifact.path.parent.iterdir(), MOST_ENTRIES))
