"""Keras configurations as JSON documents: `config.json` of a .keras archive, and architecture files.

The archive itself is a zip like others. Format: keras/src/saving/saving_lib.py of Keras 3.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Final

from supplyguard.errors import BudgetExceededError
from supplyguard.finding import Evidence, Fact, Notification
from supplyguard.inspectors.keras_config import Text, examine_config
from supplyguard.inventory import Member, Probe
from supplyguard.limits import Budget
from supplyguard.streams import read_at, size_of
from supplyguard.wire.json_document import parse_json

FORMAT: Final = "keras_zip"

CONFIG: Final = "config.json"
"""The one name that Keras reads; many other libraries use it too."""
SHARDS: Final = ".weights.json"
_KEY: Final = b'"class_name"'


def recognizes(probe: Probe) -> bool:
    """Whether it is JSON with Keras' key for classes, or has the name under which Keras reads it."""
    start = probe.head[:64].lstrip(b"\xef\xbb\xbf \t\r\n")[:1]
    if probe.name == CONFIG or probe.name.endswith(SHARDS):
        return start in {b"{", b""}
    return start == b"{" and _KEY in probe.head


def inspect(member: Member, budget: Budget) -> Iterator[Evidence | Member | Notification]:
    """Yield what the configuration builds; raises MalformedError for what is not JSON."""
    with closing(member.open()) as stream:
        size = size_of(stream)
        if size > budget.limits.document_bytes:
            raise BudgetExceededError("document_bytes", budget.limits.document_bytes)
        data = read_at(stream, 0, size)
    if member.name.endswith(SHARDS):
        yield from _shards(member, data, budget)
    elif _KEY in data or b"\\u" in data:
        yield from examine_config(Text(data, member, member.at(0, size), "archive"), budget)


def _shards(member: Member, data: bytes, budget: Budget) -> Iterator[Evidence]:
    """Yield names of weight files that lead out of the archive's folder."""
    document = parse_json(data, budget)
    weights = document.get("weight_map") if isinstance(document, dict) else None
    names: dict[str, None] = {}
    for each in weights.values() if isinstance(weights, dict) else ():
        for name in each if isinstance(each, list) else (each,):
            if isinstance(name, str) and ("/" in name or "\\" in name):
                names[name] = None
    if names:
        facts: dict[str, Fact] = {"names": tuple(names)[:50], "count": len(names)}
        yield Evidence(kind="keras-shard-path", location=member.at(), facts=facts, symbol=next(iter(names)))
