"""Paths that a model file names for its loader to open: whether they leave the model's folder."""

from __future__ import annotations

import re
from functools import cache
from typing import Final

from supplyguard.archives.member_names import unsafe_reasons
from supplyguard.errors import RuleError
from supplyguard.finding import Fact
from supplyguard.resources import format_data

_URL: Final = re.compile(r"(file:|[A-Za-z][A-Za-z0-9+.-]*://)", re.IGNORECASE)
_ESCAPES: Final = frozenset({"absolute", "drive", "parent", "home", "nul", "url", "empty"})


def path_reasons(path: str) -> tuple[str, ...]:
    """Say how `path` can lead out of the folder of the file that names it; empty when it cannot.

    "absolute", "drive", "parent", "home", "nul", "url", "empty".
    """
    found = [reason for reason in unsafe_reasons(path) if reason in _ESCAPES]
    if _URL.match(path):
        found.append("url")
    if not path.strip():
        found.append("empty")
    return tuple(found)


def is_sensitive(path: str) -> bool:
    """Whether a path names a place of credentials or of the system (rules/formats/sensitive_paths.json)."""
    return _sensitive().search(path.replace("\\", "/")) is not None


def path_facts(path: str) -> dict[str, Fact]:
    """Give the facts of a path that a rule matches on: path, reasons, escapes, sensitive."""
    reasons = path_reasons(path)
    escapes = bool(reasons)
    return {
        "path": path,
        "reasons": reasons,
        "escapes": escapes,
        "sensitive": escapes and is_sensitive(path),
    }


@cache
def _sensitive() -> re.Pattern[str]:
    try:
        return re.compile("|".join(format_data("sensitive_paths")["patterns"]), re.IGNORECASE)
    except (KeyError, TypeError, re.error) as error:
        raise RuleError(f"cannot read the sensitive paths: {error!r}") from error
