"""The table of docs/formats.md, which docs/generate.py writes. Every cell comes from what a test checks.

- recognised, bounded: tests/inspectors/test_hostile_formats.py finds a fixture that the inspector recognises
  and cuts and changes it; it covers every entry of the registry.
- hazards: the rules of the format's family; tests/test_rule_examples.py runs each rule's examples.
- honest: tests/test_fixtures.py scans the files that the maker's expected.json names without a finding.
- CVEs: embedded advisories whose records name one of the format's words (rules/formats/advisory_words.json).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from supplyguard.inspectors import INSPECTORS
from supplyguard.rules import load_catalogue

ROOT: Final = Path(__file__).parent.parent
NONE: Final = "\N{EN DASH}"
INTRODUCTION: Final = """\
# Formats

What is inspected, by the name of the inspector. A file is recognised by its content; its name counts only
where content cannot tell.

- *hazards*: rules of this format, each with an example that fires and one that is silent.
- *known loaders*: advisories of the embedded data whose trigger is a file of this format.
- *honest files*: files without a danger under `fixtures/`, on which a scan stays silent; those of real
  libraries under `fixtures/honest/` come on top.
- *bounded*: a small file of the format is cut at every byte and changed at random; nothing but evidence and
  errors of our own comes out, within the limits.

"""


def page(note: str) -> str:
    """Give the whole page."""
    head = "| format | recognised | hazards | known loaders | honest files | bounded |"
    return f"{note}\n\n{INTRODUCTION}" + "\n".join([head, "| --- " * 6 + "|", *_rows()]) + "\n"


def _rows() -> Iterator[str]:
    catalogue = load_catalogue()
    words: dict[str, list[str]] = json.loads((ROOT / "rules/formats/advisory_words.json").read_bytes())
    ids = _advisories()
    for inspector in INSPECTORS:
        stem = inspector.FORMAT
        hazards = sum(rule.family == stem for rule in catalogue.rules)
        known = sorted({name for word in words.get(stem, ()) for name in ids.get(word, ())})
        shown = ", ".join(known[:3]) + (f" and {len(known) - 3} more" if len(known) > 3 else "")
        expected: dict[str, list[Any]] = json.loads((ROOT / "fixtures" / stem / "expected.json").read_bytes())
        honest = sum(not found for found in expected.values())
        yield f"| [{stem}](rules/{stem}.md) | yes | {hazards} | {shown or NONE} | {honest or NONE} | yes |"


def _advisories() -> dict[str, list[str]]:
    """Give the CVE (or else our own) ids of the embedded advisories by the formats that they name."""
    found: dict[str, list[str]] = {}
    for path in sorted((ROOT / "rules" / "advisories").glob("*.json")):
        record: dict[str, Any] = json.loads(path.read_bytes())
        name = next((alias for alias in record.get("aliases", ()) if alias.startswith("CVE-")), record["id"])
        for word in record.get("database_specific", {}).get("formats", ()):
            found.setdefault(word, []).append(name)
    return found
