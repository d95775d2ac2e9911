"""Files whose name says plain data and whose bytes are a pickle or an archive.

What is inside is examined by the inspector of the real format; here only the contradiction is seen.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing
from functools import cache
from typing import Any, Final

from supplyguard.finding import Evidence, Fact
from supplyguard.inventory import Member, Probe
from supplyguard.limits import Budget
from supplyguard.resources import format_data

FORMAT: Final = "disguised_file"

_SHOWN: Final = 64
"""Bytes that tell what a file is."""


def recognizes(probe: Probe) -> bool:
    """Whether the name claims one thing and the first bytes are another."""
    return _claim(probe.name) is not None and _content(probe.head[:_SHOWN]) is not None


def inspect(member: Member, _budget: Budget) -> Iterator[Evidence]:
    """Yield the contradiction."""
    claim = _claim(member.name)
    with closing(member.open()) as stream:
        content = _content(stream.read(_SHOWN))
    if claim is not None and content is not None:
        facts: dict[str, Fact] = {"claims": claim["format"], "is": content, "model": claim["model"]}
        yield Evidence(kind="disguised-file", location=member.at(0), facts=facts, symbol=content)


def _claim(name: str) -> Any:
    """Give what the ending of a name claims, or None."""
    lower = name.lower()
    return next((row for row in format_data(FORMAT)["claims"] if lower.endswith(tuple(row["endings"]))), None)


def _content(head: bytes) -> str | None:
    return next((what for what, pattern in _patterns() if pattern.match(head)), None)


@cache
def _patterns() -> tuple[tuple[str, re.Pattern[bytes]], ...]:
    rows = format_data(FORMAT)["contents"]
    return tuple((row["what"], re.compile(row["pattern"].encode("ascii"), re.DOTALL)) for row in rows)
