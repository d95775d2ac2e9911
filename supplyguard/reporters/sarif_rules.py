"""The rule catalogue of a SARIF log, as GitHub code scanning reads it."""

from __future__ import annotations

import re
from typing import Any, Final

from supplyguard.finding import Confidence, Level, Rule, Severity
from supplyguard.reporters.escape import shorten

LEVELS: Final = {
    Severity.CRITICAL: "error",
    Severity.HIGH: "error",
    Severity.MEDIUM: "warning",
    Severity.LOW: "note",
    Severity.INFO: "note",
}
_PROBLEM_SEVERITIES: Final = {"error": "error", "warning": "warning", "note": "recommendation"}
# GitHub's bands: critical above 9.0, high 7.0 to 8.9, medium 4.0 to 6.9, low 0.1 to 3.9
_SECURITY_SEVERITIES: Final = {
    Severity.CRITICAL: "9.5",
    Severity.HIGH: "8.0",
    Severity.MEDIUM: "5.5",
    Severity.LOW: "2.0",
    Severity.INFO: "0.1",
}
_PRECISIONS: Final = {Confidence.HIGH: "high", Confidence.MEDIUM: "medium", Confidence.LOW: "low"}

_NAME_CHARS: Final = 255
_DESCRIPTION_CHARS: Final = 1024
_TAGS: Final = 10
_CWE: Final = re.compile(r"CWE-(\d+)")


def descriptor(rule: Rule) -> dict[str, Any]:
    """Give a rule's reportingDescriptor (SARIF 2.1.0, 3.49)."""
    level = LEVELS[rule.severity]
    entry: dict[str, Any] = {
        "id": rule.id,
        "name": shorten(_pascal_case(rule.id), _NAME_CHARS),
        "shortDescription": {"text": _sentence(rule.name)},
        "fullDescription": {
            "text": shorten(f"{_sentence(rule.help.what)} {rule.help.why}", _DESCRIPTION_CHARS)
        },
        "help": {"text": _help_text(rule), "markdown": _help_markdown(rule)},
        "defaultConfiguration": {"level": level},
        "properties": {
            "precision": _PRECISIONS[rule.confidence],
            "problem.severity": _PROBLEM_SEVERITIES[level],
            "security-severity": _SECURITY_SEVERITIES[rule.severity],
            "tags": _tags(rule),
        },
    }
    if rule.references:
        entry["helpUri"] = rule.references[0]
    return entry


def notification_descriptor(code: str) -> dict[str, Any]:
    """Give the reportingDescriptor of a notification code."""
    meaning = f"About the scan itself: {code.replace('-', ' ')}."
    advice = "Each notification says what happened and where; what was not examined is not known to be safe."
    return {
        "id": code,
        "name": shorten(f"{_pascal_case(code)}Notification", _NAME_CHARS),
        "shortDescription": {"text": meaning},
        "fullDescription": {"text": f"{meaning} {advice}"},
        "help": {"text": advice, "markdown": advice},
        "defaultConfiguration": {"level": Level.WARNING.value},
    }


def _tags(rule: Rule) -> list[str]:
    weaknesses = (_CWE.fullmatch(cwe) for cwe in rule.cwe)
    tags = ["security", *(f"external/cwe/cwe-{int(found[1]):03d}" for found in weaknesses if found)]
    # unique, because the property is a set (SARIF 2.1.0, 3.8.2.2)
    return list(dict.fromkeys([*tags, *rule.atlas, *rule.tags]))[:_TAGS]


def _pascal_case(identifier: str) -> str:
    return "".join(word[:1].upper() + word[1:] for word in identifier.split("-"))


def _sentence(text: str) -> str:
    cut = shorten(text.strip(), _DESCRIPTION_CHARS - 1)
    return cut if cut.endswith((".", "!", "?", "…")) else f"{cut}."


def _help_text(rule: Rule) -> str:
    lines = [rule.help.what, f"Why it matters: {rule.help.why}", f"What to do: {rule.help.fix}"]
    return "\n".join([*lines, *(f"See {reference}" for reference in rule.references)])


def _help_markdown(rule: Rule) -> str:
    pages = (*rule.references, *filter(None, map(_weakness_page, rule.cwe)))
    parts = [
        rule.help.what,
        f"**Why it matters.** {rule.help.why}",
        f"**What to do.** {rule.help.fix}",
    ]
    # the texts are plain sentences: a placeholder such as <version> in one is no HTML
    plain = [part.replace("<", "&lt;") for part in parts]
    return "\n\n".join([*plain, "\n".join(f"- <{page}>" for page in pages)]).rstrip()


def _weakness_page(cwe: str) -> str:
    found = _CWE.fullmatch(cwe)
    return f"https://cwe.mitre.org/data/definitions/{found[1]}.html" if found else ""
