"""CSV and TSV tables: cells that a spreadsheet program takes for formulas.

A table is data to a program that reads it and a sheet of formulas to one that shows it: see
https://owasp.org/www-community/attacks/CSV_Injection. Only the name tells a table. The first SEARCHED
bytes are searched, which is more than a sheet's 1,048,576 rows of ordinary width; a Notification says
where more was left. That is a note and no gap, as no program runs the rest of such a table.
"""

from __future__ import annotations

import re
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

FORMAT: Final = "csv_table"

SUFFIXES: Final = (".csv", ".tsv")
SEARCHED: Final = 64 * MIB
LONGEST: Final = 1024
"""How much of one cell is looked at."""
SHOWN: Final = 120
_CELL: Final = re.compile(rb"[\n\r,;\t|\"][ \t\r\"']{0,4}(=|[+\-@](?=[A-Za-z(]))")
_END: Final = re.compile(rb"[,;\t\r\n]")
_QUOTED_END: Final = re.compile(rb"\"\s*(?:[,;\t\r\n]|\Z)")


def recognizes(probe: Probe) -> bool:
    """Whether it is named as a table and is not binary."""
    utf16 = probe.head.startswith((b"\xff\xfe", b"\xfe\xff"))
    return probe.name.lower().endswith(SUFFIXES) and (utf16 or b"\0" not in probe.head[:1024])


def inspect(member: Member, budget: Budget) -> Iterator[Evidence | Notification]:
    """Yield the first formula that reaches out of the sheet, or else the first that calculates."""
    calculating: Evidence | None = None
    with closing(member.open()) as stream:
        for start, text in pieces(stream, SEARCHED, budget):
            for found in _CELL.finditer(text):
                seen = _formula(member, text, start, found)
                if seen is not None and seen.facts["role"] != "calculates":
                    yield seen
                    return
                calculating = calculating or seen
        if calculating is not None:
            yield calculating
        size = size_of(stream) if member.size is None else member.size
    if size > SEARCHED:
        said = f"formulas were looked for in the first {SEARCHED // MIB} MiB only"
        yield Notification(code="not-searched", message=said, level=Level.NOTE, location=member.at())


def _formula(member: Member, text: bytes, start: int, found: re.Match[bytes]) -> Evidence | None:
    """Judge one cell that begins like a formula."""
    begin = found.start(1)
    cell = text[begin : begin + LONGEST]
    end = (_QUOTED_END if b'"' in found[0] else _END).search(cell)
    cell = cell[: end.start()] if end else cell
    equals = found[1] == b"="
    for role, pattern in _patterns():
        if not equals and role in {"reaches", "calculates"}:
            continue  # "@register(", "-log(" and "+if(" begin lines of program text
        if (call := pattern.search(cell)) is None:
            continue
        name = call[1].decode("utf-8", "replace")
        shown = cell[:SHOWN].decode("utf-8", "replace")
        facts: dict[str, Fact] = {"role": role.split()[0], "name": name, "cell": shown}
        place = member.at(max(0, start + begin), len(cell))
        return Evidence(kind="csv-formula", location=place, facts=facts, symbol=name)
    return None


@cache
def _patterns() -> tuple[tuple[str, re.Pattern[bytes]], ...]:
    table = format_data(FORMAT)

    def calls(names: list[str], before: str) -> re.Pattern[bytes]:
        words = "|".join(re.escape(name) for name in names)
        return re.compile(rf"{before}({words})\s*\(".encode("ascii"), re.IGNORECASE)

    inside = r"(?<![A-Za-z0-9_.])"
    return (
        ("exchanges", re.compile(table["exchange"].encode("ascii"))),
        ("reaches anyhow", calls(table["reaches_after_any_sign"], inside)),
        ("reaches", calls(table["reaches_after_equals"], inside)),
        ("calculates", calls(table["calculates"], r"\A=\s*")),
    )
