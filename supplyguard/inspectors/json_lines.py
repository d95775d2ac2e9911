"""JSON lines: paths that leave the data set, programs in base64, and texts that speak to a model.

Only the name tells them: https://jsonlines.org/. Lines are searched, not parsed, in the first SEARCHED
bytes; a Notification says where more was left. That is a note and no gap: the rest is data, and nothing
loads it as anything else.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from functools import cache
from typing import Final

from supplyguard.finding import Evidence, Fact, Level, Notification
from supplyguard.inventory import Member, Probe
from supplyguard.limits import MIB, Budget
from supplyguard.resources import format_data
from supplyguard.streams import size_of
from supplyguard.wire.text_pieces import pieces

FORMAT: Final = "json_lines"

SUFFIXES: Final = (".jsonl", ".ndjson", ".jsonlines")
SEARCHED: Final = 64 * MIB
SHOWN: Final = 20
_LENGTH: Final = 120
_ESCAPE: Final = re.compile(rb"\\u00([2-7][0-9a-fA-F])")


def recognizes(probe: Probe) -> bool:
    """Whether it is named as JSON lines and begins like JSON."""
    return probe.name.lower().endswith(SUFFIXES) and probe.head.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] in {
        b"{",
        b"[",
    }


def inspect(member: Member, budget: Budget) -> Iterator[Evidence | Notification]:
    """Yield up to SHOWN odd values of a kind, and the first text of a kind that speaks to a model."""
    counts: Counter[str] = Counter()
    seen: set[int] = set()
    with closing(member.open()) as stream:
        for start, text in pieces(stream, SEARCHED, budget):
            for evidence in _values(member, _plain(text), start):
                counts[evidence.kind] += 1
                offset = evidence.location.offset or 0
                if counts[evidence.kind] <= SHOWN and offset not in seen:
                    seen.add(offset)
                    yield evidence
            for evidence in _texts(member, text, start):
                counts[evidence.symbol] += 1
                if counts[evidence.symbol] == 1:
                    yield evidence
        size = size_of(stream) if member.size is None else member.size
    for kind in ("jsonl-path", "jsonl-encoded"):
        if counts[kind] > SHOWN:
            said = f"{counts[kind] - SHOWN:,} more of {kind} are not listed"
            yield Notification(code="not-listed", message=said, level=Level.NOTE, location=member.at())
    if size > SEARCHED:
        said = f"only the first {SEARCHED // MIB} MiB of lines were searched"
        yield Notification(code="not-searched", message=said, level=Level.NOTE, location=member.at())


def _plain(text: bytes) -> bytes:
    """Undo the escapes of printable ASCII, but for quotes; places are then those of the plain text."""
    if rb"\u00" in text:
        text = _ESCAPE.sub(lambda found: bytes([int(found[1], 16)]) if found[1] != b"22" else found[0], text)
    return text


def _values(member: Member, text: bytes, start: int) -> Iterator[Evidence]:
    path, encoded = _patterns()
    for found in path.finditer(text):
        value = found[2].decode("utf-8", "replace").replace("\\/", "/").replace("\\\\", "\\")
        address = re.match(format_data(FORMAT)["addresses"], value, re.IGNORECASE)
        if address is None and not re.search(format_data(FORMAT)["sensitive"], value.replace("\\", "/")):
            continue
        facts: dict[str, Fact] = {"key": found[1].decode("latin-1"), "path": value[:_LENGTH]}
        place = member.at(max(0, start + found.start(2)), len(found[2]))
        yield Evidence(kind="jsonl-path", location=place, facts=facts, symbol=value[:_LENGTH])
    for found in encoded.finditer(text):
        row = next(
            row for row in format_data(FORMAT)["encoded"] if re.match(row["pattern"].encode(), found[1])
        )
        facts = {"what": row["what"]}
        place = member.at(max(0, start + found.start(1)), len(found[1]))
        yield Evidence(kind="jsonl-encoded", location=place, facts=facts, symbol=row["what"])


def _texts(member: Member, text: bytes, start: int) -> Iterator[Evidence]:
    for what, pattern in _signs():
        found = pattern.search(text)
        if found is not None:
            place = member.at(max(0, start + found.start()), len(found[0]))
            yield Evidence(kind="jsonl-text", location=place, facts={"what": what}, symbol=what)


@cache
def _patterns() -> tuple[re.Pattern[bytes], re.Pattern[bytes]]:
    table = format_data(FORMAT)
    keys = "|".join(table["path_keys"])
    starts = "|".join(row["pattern"] for row in table["encoded"])
    return (
        re.compile(rf'"((?:{keys}))"\s*:\s*"([^"\n]{{1,1000}})"'.encode()),
        re.compile(rf'"(?:data:[a-z0-9.+/;=-]{{0,80}}base64,)?((?:{starts})[A-Za-z0-9+/]{{20,60}})'.encode()),
    )


@cache
def _signs() -> tuple[tuple[str, re.Pattern[bytes]], ...]:
    return tuple(
        (row["what"], re.compile(row["pattern"].encode("latin-1"))) for row in format_data(FORMAT)["texts"]
    )
