"""The table of docs/detection.md: what the hostile fixtures hold, and what a scan finds in them today."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from supplyguard.finding import Severity
from supplyguard.policy import Policy
from supplyguard.rules import load_catalogue
from supplyguard.scan import ScanOptions, scan

FIXTURES: Final = Path(__file__).parent.parent / "fixtures"
EVERYTHING: Final = Policy(min_severity=Severity.INFO)
INTRODUCTION: Final = """\
# Detection

Every trick under `fixtures/`, what is expected of a scan, and what a scan finds: this page is written from a
run, and a test compares it with the run of the day. The payloads are inert. Each honest neighbour must have
no finding at all. The honest files of real libraries under `fixtures/honest/` are checked by the tests in the
same way and are not listed here.
"""


def page(note: str) -> str:
    """Give the whole page."""
    lines = [note, "", INTRODUCTION]
    total = missed = alarms = quiet = 0
    for table in sorted(FIXTURES.glob("*/expected.json")):
        rows = list(_rows(table))
        lines += [f"## {table.parent.name}", "", "| file | expected | found |", "| --- | --- | --- |"]
        for name, wanted, found in rows:
            missing = sorted(wanted - found)
            if wanted:
                total += 1
                missed += bool(missing)
                verdict = "yes" if not missing else f"**missed**: {', '.join(missing)}"
                lines.append(f"| {name} | {', '.join(sorted(wanted))} | {verdict} |")
            else:
                quiet += 1
                alarms += bool(found)
                verdict = "silent" if not found else f"**false alarm**: {', '.join(sorted(found))}"
                lines.append(f"| {name} | silent | {verdict} |")
        lines.append("")
    summary = f"{total} hostile files, {missed} missed; {quiet} honest neighbours, {alarms} false alarms."
    lines.insert(3, f"{summary}\n")
    return "\n".join(lines)


def _rows(table: Path) -> Iterator[tuple[str, set[str], set[str]]]:
    catalogue = load_catalogue()
    expected: dict[str, list[dict[str, Any]]] = json.loads(table.read_text(encoding="utf-8"))
    for name, wanted in sorted(expected.items()):
        options = ScanOptions(catalogue=catalogue, policy=EVERYTHING)
        found = {finding.rule.id for finding in scan([table.parent / name], options).findings}
        yield name, {each["rule"] for each in wanted}, found
