"""Stable-Baselines3 archives: the JSON member `data`, whose values are pickles in base64.

`load` decodes and unpickles every value with the key `:serialized:`. They become members, which the
pickle inspector reads. Format: stable_baselines3/common/save_util.py (data_to_json, json_to_data).
"""

from __future__ import annotations

import base64
import binascii
import io
from collections.abc import Iterator
from contextlib import closing
from typing import Any, BinaryIO, Final, cast

from supplyguard.archives.member_names import Segments
from supplyguard.errors import BudgetExceededError
from supplyguard.finding import Evidence, Fact
from supplyguard.inventory import Member, Probe
from supplyguard.limits import Budget, Resource
from supplyguard.resources import format_data
from supplyguard.streams import read_at, size_of
from supplyguard.wire.json_document import parse_json

FORMAT: Final = "stable_baselines"

_SHOWN: Final = 200


def recognizes(probe: Probe) -> bool:
    """Whether it is JSON with the key for pickles, or has the name that the library reads."""
    lists = format_data(FORMAT)
    if probe.head.removeprefix(b"\xef\xbb\xbf").lstrip()[:1] != b"{":
        return False
    key = f'"{lists["serialized"]}"'.encode()
    return probe.name.rpartition("/")[2] == lists["name"] or key in probe.head


def inspect(member: Member, budget: Budget) -> Iterator[Evidence | Member]:
    """Yield each pickle as a member, and values that are none; raises MalformedError for what is not JSON."""
    with closing(member.open()) as stream:
        size = size_of(stream)
        if size > budget.limits.document_bytes:
            raise BudgetExceededError("document_bytes", budget.limits.document_bytes)
        data = read_at(stream, 0, size)
    lists = format_data(FORMAT)
    segments = Segments()
    work: list[tuple[str, Any]] = [("", parse_json(data, budget))]
    while work:
        name, value = work.pop()
        budget.spend(Resource.NODES)
        if isinstance(value, list):
            work.extend((name, each) for each in reversed(value))
        elif isinstance(value, dict):
            if lists["serialized"] in value:
                yield _decoded(member, name, value, segments)
            work.extend((str(key), each) for key, each in reversed(value.items()))


def _decoded(member: Member, name: str, value: dict[str, Any], segments: Segments) -> Evidence | Member:
    """Decode one value as the library does, which passes over characters that are not of base64."""
    lists = format_data(FORMAT)
    text = value[lists["serialized"]]
    try:
        raw = base64.b64decode(text.encode("utf-8", "replace")) if isinstance(text, str) else b""
    except binascii.Error:
        raw = b""
    if not raw:
        facts: dict[str, Fact] = {"name": name[:_SHOWN], "type": str(value.get(lists["type"]))[:_SHOWN]}
        return Evidence(kind="sb3-not-decoded", location=member.at(), facts=facts, symbol=name[:_SHOWN])
    return Member(
        artifact=member.artifact,
        path=(*member.path, segments.take(name[:_SHOWN])),
        open=lambda: cast("BinaryIO", io.BytesIO(raw)),
        size=len(raw),
    )
