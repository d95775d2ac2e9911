"""SQLite databases: statements of the schema that act when the database is used.

Triggers run on writes, views on reads, virtual tables through modules of the program. Rows are not read.
Format: https://www.sqlite.org/fileformat2.html; why a schema is not to be trusted:
https://www.sqlite.org/security.html.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing
from typing import Final

from supplyguard.errors import MalformedError
from supplyguard.finding import Evidence, Fact, Level, Notification
from supplyguard.inventory import Member, Probe
from supplyguard.limits import Budget
from supplyguard.resources import format_data
from supplyguard.streams import buffered, size_of
from supplyguard.wire.sqlite_schema import MAGIC, Entry, SchemaReader

FORMAT: Final = "sqlite_database"

SHOWN: Final = 50
_NAME: Final = 100
_MODULE: Final = re.compile(
    r"\A\s*CREATE\s+VIRTUAL\s+TABLE\s.*?\bUSING\s+[\"'`\[]?(\w+)", re.IGNORECASE | re.DOTALL
)


def recognizes(probe: Probe) -> bool:
    """Whether the magic is there."""
    return probe.head.startswith(MAGIC)


def inspect(member: Member, budget: Budget) -> Iterator[Evidence | Notification]:
    """Yield what acts; raises MalformedError where the schema breaks."""
    count = 0
    with closing(buffered(member.open())) as stream:
        size = size_of(stream)
        if size < 512:
            raise MalformedError("ends within its first page", offset=size)
        for entry in SchemaReader(stream, size, budget).entries():
            for evidence in _acts(member, entry):
                count += 1
                if count <= SHOWN:
                    yield evidence
            if entry.cut:
                text = f"the statement of {entry.name[:_NAME]!r} is long and was read in part"
                yield Notification(code="not-read", message=text, location=member.at(), incomplete=True)
    if count > SHOWN:
        text = f"{count - SHOWN:,} more statements of the schema are not listed"
        yield Notification(code="not-listed", message=text, level=Level.NOTE, location=member.at())


def _acts(member: Member, entry: Entry) -> Iterator[Evidence]:
    table = format_data(FORMAT)
    found: list[tuple[str, str]] = []
    called = re.search(table["reaching"], entry.sql, re.IGNORECASE)
    if called is not None:
        found.append(("reaches", called[0].rstrip(" (")))
    elif entry.kind == "trigger":
        found.append(("trigger", "a trigger"))
    module = _MODULE.match(entry.sql)
    if module is not None and not re.fullmatch(table["ordinary_modules"], module[1], re.IGNORECASE):
        found.append(("module", module[1]))
    for role, what in found:
        facts: dict[str, Fact] = {
            "role": role,
            "what": what[:_NAME],
            "name": entry.name[:_NAME],
            "type": entry.kind,
        }
        place = member.at(entry.offset)
        yield Evidence(
            kind="sqlite-statement",
            location=place,
            facts=facts,
            symbol=f"{entry.name[:_NAME]}:{what[:_NAME]}",
        )
