"""The table of docs/detection.md: what the hostile fixtures hold, and what a scan finds in them today."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from supplyguard.examine import examine
from supplyguard.inventory import Artifact
from supplyguard.limits import Limits
from supplyguard.rules import judge, load_catalogue

FIXTURES: Final = Path(__file__).parent.parent / "fixtures"
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
        top = table.parent / name
        files = sorted(each for each in top.rglob("*") if each.is_file()) if top.is_dir() else [top]
        found = {
            finding.rule.id
            for file in files
            for evidence in examine(_artifact(file), Limits()).evidence
            for finding in judge(catalogue, evidence)
        }
        yield name, {each["rule"] for each in wanted}, found


def _artifact(file: Path) -> Artifact:
    return Artifact(uri=file.name, path=file, size=file.stat().st_size)
