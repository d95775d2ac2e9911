"""Write the pages of docs/rules/ from rules/*.yaml: `python docs/generate.py`.

A test compares the pages with the rules, so run this after changing a rule.
"""

from __future__ import annotations

import sys
from itertools import groupby
from pathlib import Path
from typing import Final

from supplyguard.finding import Rule
from supplyguard.rules import load_catalogue

FOLDER: Final = Path(__file__).parent / "rules"
NOTE: Final = "<!-- Written by docs/generate.py from rules/; change the rules, not this page. -->"


def pages() -> dict[str, str]:
    """Give every page's text by its file name."""
    ordered = sorted(load_catalogue().rules, key=lambda rule: (rule.family, rule.id))
    families = {family: list(rules) for family, rules in groupby(ordered, key=lambda rule: rule.family)}
    written = {f"{family}.md": page(family, rules) for family, rules in families.items()}
    written["README.md"] = index(families)
    return written


def index(families: dict[str, list[Rule]]) -> str:
    """List all rules, a table for each family."""
    lines = [NOTE, "", "# Rules", "", "How to read and add them: [the rule format](../rule-format.md).", ""]
    for family, rules in families.items():
        lines += [
            f"## [{family}]({family}.md)",
            "",
            "| rule | severity | what it is |",
            "| --- | --- | --- |",
        ]
        lines += [
            f"| [{rule.id}]({family}.md#{rule.id}) | {rule.severity.label} | {rule.name} |" for rule in rules
        ]
        lines.append("")
    return "\n".join(lines)


def page(family: str, rules: list[Rule]) -> str:
    """Describe the rules of one family."""
    lines = [NOTE, "", f"# {family}", ""]
    for rule in rules:
        ids = ", ".join((*rule.cwe, *rule.atlas))
        lines += [f"## {rule.id}", "", f"**{rule.name}**", ""]
        lines += [
            f"Severity {rule.severity.label}, confidence {rule.confidence.label}{ids and ', ' + ids}.",
            "",
        ]
        lines += [rule.help.what, "", f"*Why it matters.* {rule.help.why}", ""]
        lines += [f"*What to do.* {rule.help.fix}", "", "References:", ""]
        lines += [f"- <{each}>" for each in rule.references]
        lines.append("")
    return "\n".join(lines)


def main() -> None:
    """Write all pages and remove those whose family is gone."""
    FOLDER.mkdir(exist_ok=True)
    written = pages()
    for old in FOLDER.glob("*.md"):
        if old.name not in written:
            old.unlink()
    for name, text in written.items():
        (FOLDER / name).write_text(text, encoding="utf-8")
    sys.stdout.write(f"{len(written)} pages\n")


if __name__ == "__main__":
    main()
