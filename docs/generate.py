"""Write docs/rules/ from rules/*.yaml, and the README's help block: `python docs/generate.py`.

A test compares them, so run this after changing a rule or an option.
"""

from __future__ import annotations

import os
import subprocess
import sys
from itertools import groupby
from pathlib import Path
from typing import Final

from detection import page as page_of_detection
from formats import page as page_of_formats

from supplyguard.finding import Rule
from supplyguard.rules import load_catalogue

FOLDER: Final = Path(__file__).parent / "rules"
DETECTION: Final = FOLDER.parent / "detection.md"
FORMATS: Final = FOLDER.parent / "formats.md"
README: Final = FOLDER.parent.parent / "README.md"
BEGIN: Final = "<!-- help: begin -->"
END: Final = "<!-- help: end -->"
NOTE: Final = "<!-- Written by docs/generate.py; change what it is written from, not this page. -->"


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


def help_block() -> str:
    """Give the README's block of --help texts."""
    texts = []
    for command in ((), ("scan",)):
        program = "import sys; sys.argv[0] = 'supplyguard'; from supplyguard.cli import main; main()"
        done = subprocess.run(
            [sys.executable, "-c", program, *command, "--help"],
            capture_output=True,
            text=True,
            check=True,
            cwd=FOLDER.parent.parent,
            env={**os.environ, "COLUMNS": "100", "NO_COLOR": "1"},
        )
        texts.append("\n".join(line.rstrip() for line in done.stdout.strip().splitlines()))
    return "\n```text\n" + "\n\n".join(texts) + "\n```\n"


def readme() -> str:
    """Give the README with today's help."""
    text = README.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    return before + BEGIN + help_block() + END + rest.partition(END)[2]


def detection() -> str:
    """Give the page of what is detected, from a run."""
    return page_of_detection(NOTE)


def formats() -> str:
    """Give the page of formats."""
    return page_of_formats(NOTE)


def main() -> None:
    """Write all pages, remove those whose family is gone, and renew the README's help."""
    FOLDER.mkdir(exist_ok=True)
    written = pages()
    for old in FOLDER.glob("*.md"):
        if old.name not in written:
            old.unlink()
    DETECTION.write_text(detection(), encoding="utf-8")
    FORMATS.write_text(formats(), encoding="utf-8")
    for name, text in written.items():
        (FOLDER / name).write_text(text, encoding="utf-8")
    README.write_text(readme(), encoding="utf-8")
    sys.stdout.write(f"{len(written)} pages\n")


if __name__ == "__main__":
    main()
