"""Write the table of docs/dependencies.md: `python docs/dependency_sources.py`.

The table comes from tests/data/dependency_sources.json: what a cell says is what a test expects of a
file (tests/sources/test_dependency_sources.py), so a cell without a test cannot be written.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).parent.parent
NONE: Final = "\N{EN DASH}"
PAGE: Final = Path(__file__).parent / "dependencies.md"
REGISTRY: Final = ROOT / "tests" / "data" / "dependency_sources.json"
VERSIONS: Final = ROOT / "fixtures" / "locks" / "versions.json"
COLUMNS: Final = ("read", "lines", "markers", "hashes", "extras", "groups", "drift")
BEGIN: Final = "<!-- sources: begin; written by docs/dependency_sources.py -->"
END: Final = "<!-- sources: end -->"


def table() -> str:
    """Give the table: a row for each source, "yes" for each cell that has a test."""
    rows: list[dict[str, Any]] = json.loads(REGISTRY.read_text(encoding="utf-8"))
    versions: dict[str, str] = json.loads(VERSIONS.read_text(encoding="utf-8"))
    lines = [f"| source | {' | '.join(COLUMNS)} | tested on a file of |", "| --- " * (len(COLUMNS) + 2) + "|"]
    for row in rows:
        cells = ["yes" if column in row else NONE for column in COLUMNS]
        tool = f"{row['tool']} {versions[row['tool']]}" if row["tool"] in versions else "the format"
        if "text" in row:
            tool = "the format"
        lines.append(f"| {row['source']} | {' | '.join(cells)} | {tool} |")
    return "\n".join(lines)


def page(text: str) -> str:
    """Put the table between its marks in the page's text."""
    head, _, rest = text.partition(BEGIN)
    tail = rest.partition(END)[2]
    return f"{head}{BEGIN}\n\n{table()}\n\n{END}{tail}"


def main() -> None:
    """Write the page."""
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    sys.stdout.write(f"{PAGE.name}\n")


if __name__ == "__main__":
    main()
