"""The format of rules/*.yaml: read, check and normalise. A rule that lacks a part does not load."""

from __future__ import annotations

import re
import string
from collections.abc import Mapping
from typing import Any, Final

from supplyguard.errors import RuleError
from supplyguard.finding import Confidence, Severity

ID: Final = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
FIELD: Final = re.compile(r"[a-z][a-z0-9_]*")
CWE: Final = re.compile(r"CWE-[1-9][0-9]{0,4}")
ATLAS: Final = re.compile(r"AML\.T[0-9]{4}(\.[0-9]{3})?")
NAME_LENGTH: Final = 255
"""GitHub's limit on a rule's name; 1,024 is its limit on descriptions."""
TEXT_LENGTH: Final = 1024
REQUIRED: Final = (
    "id",
    "name",
    "severity",
    "confidence",
    "match",
    "message",
    "help",
    "references",
    "examples",
)
OPTIONAL: Final = ("cwe", "atlas", "tags")


def parse_rules(family: str, text: str, origin: str) -> list[dict[str, Any]]:
    """Read one rules file into normalised entries (plain data, JSON-ready).

    family: the file's stem. origin: how to name the file in errors. Raises RuleError with the path
    to the bad key.
    """
    import yaml  # noqa: PLC0415 - heavy: only needed when rules are compiled or added

    try:
        document = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise RuleError(f"{origin}: not YAML: {error}") from error
    if not isinstance(document, list):
        raise RuleError(f"{origin}: expected a list of rules")
    return [_entry(family, rule, f"{origin}[{index}]") for index, rule in enumerate(document)]


def _entry(family: str, rule: Any, where: str) -> dict[str, Any]:
    if not isinstance(rule, dict):
        raise RuleError(f"{where}: expected a mapping")
    if isinstance(rule.get("id"), str):
        where = f"{where} ({rule['id']})"
    _check_keys(rule, REQUIRED, OPTIONAL, where)
    _check_match(rule["id"], ID, f"{where}.id")
    severity = _choice(rule["severity"], Severity, f"{where}.severity")
    confidence = _choice(rule["confidence"], Confidence, f"{where}.confidence")
    if Confidence[confidence.upper()] is Confidence.LOW and Severity[severity.upper()] > Severity.MEDIUM:
        raise RuleError(f"{where}: a heuristic (confidence low) is at most of medium severity")
    kind, match = _match(rule["match"], f"{where}.match")
    _check_keys(rule["help"], ("what", "why", "fix"), (), f"{where}.help")
    _check_examples(rule["examples"], f"{where}.examples")
    references = _texts(rule["references"], f"{where}.references")
    if not references or not all(each.startswith("https://") for each in references):
        raise RuleError(f"{where}.references: at least one https address")
    return {
        "id": rule["id"],
        "name": _text(rule["name"], f"{where}.name", NAME_LENGTH),
        "severity": severity,
        "confidence": confidence,
        "kind": kind,
        "match": match,
        "message": _message(rule["message"], f"{where}.message"),
        "help": {part: _text(rule["help"][part], f"{where}.help.{part}") for part in ("what", "why", "fix")},
        "cwe": _all_match(rule.get("cwe", []), CWE, f"{where}.cwe"),
        "atlas": _all_match(rule.get("atlas", []), ATLAS, f"{where}.atlas"),
        "references": references,
        "tags": _texts(rule.get("tags", []), f"{where}.tags"),
        "family": family,
    }


def _check_keys(value: Any, required: tuple[str, ...], optional: tuple[str, ...], where: str) -> None:
    if not isinstance(value, dict):
        raise RuleError(f"{where}: expected a mapping")
    for key in required:
        if key not in value:
            raise RuleError(f"{where}: {key} is missing")
    for key in value:
        if key not in required and key not in optional:
            raise RuleError(f"{where}: unknown key {key!r}")


def _match(value: Any, where: str) -> tuple[str, dict[str, list[Any]]]:
    if not isinstance(value, Mapping) or not isinstance(value.get("kind"), str):
        raise RuleError(f"{where}: expected a mapping with a kind")
    _check_match(value["kind"], ID, f"{where}.kind")
    match: dict[str, list[Any]] = {}
    for name, wanted in value.items():
        if name == "kind":
            continue
        _check_match(name, FIELD, f"{where}.{name}")
        values = wanted if isinstance(wanted, list) else [wanted]
        if not values or not all(isinstance(each, str | int | float | bool | None) for each in values):
            raise RuleError(f"{where}.{name}: expected a value or a list of values")
        match[name] = values
    return value["kind"], match


def _message(value: Any, where: str) -> str:
    text = _text(value, where)
    try:
        fields = [
            (name, spec, conversion) for _literal, name, spec, conversion in string.Formatter().parse(text)
        ]
    except ValueError as error:
        raise RuleError(f"{where}: {error}") from error
    for name, spec, conversion in fields:
        if name is not None and (not FIELD.fullmatch(name) or spec or conversion):
            raise RuleError(f"{where}: a placeholder is {{fact_name}} and nothing else")
    return text


def _check_examples(value: Any, where: str) -> None:
    _check_keys(value, ("fires", "silent"), (), where)
    for part in ("fires", "silent"):
        if not isinstance(value[part], list) or not value[part]:
            raise RuleError(f"{where}.{part}: at least one example")
        for index, example in enumerate(value[part]):
            keys = set(example) if isinstance(example, dict) else set()
            if keys not in ({"fixture"}, {"name", "text"}, {"name", "hex"}, {"name", "text", "yanked"}):
                raise RuleError(f"{where}.{part}[{index}]: give fixture, or name with text or hex")


def _choice(value: Any, kind: type[Severity | Confidence], where: str) -> str:
    words = [each.name.lower() for each in kind]
    if value not in words:
        raise RuleError(f"{where}: one of {', '.join(words)}")
    return str(value)


def _check_match(value: Any, pattern: re.Pattern[str], where: str) -> None:
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise RuleError(f"{where}: {value!r} does not have the form {pattern.pattern}")


def _all_match(value: Any, pattern: re.Pattern[str], where: str) -> list[str]:
    texts = _texts(value, where)
    for index, each in enumerate(texts):
        _check_match(each, pattern, f"{where}[{index}]")
    return texts


def _texts(value: Any, where: str) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(each, str) and each for each in value):
        raise RuleError(f"{where}: expected a list of texts")
    return value


def _text(value: Any, where: str, most: int = TEXT_LENGTH) -> str:
    if not isinstance(value, str) or not value.strip():
        raise RuleError(f"{where}: expected a text")
    text = " ".join(value.split())
    if len(text) > most:
        raise RuleError(f"{where}: longer than {most} characters")
    return text
