"""What a file that no inspector recognised probably is: by its ending, or by well-known first bytes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from supplyguard.resources import rules_folder


@dataclass(frozen=True, kw_only=True, slots=True)
class Suspicion:
    """A likely format. certain: the file is a model for sure, so not inspecting it is a gap."""

    format: str
    certain: bool


def suspect(head: bytes, name: str) -> Suspicion | None:
    """Name the format that a file seems to have, or None when it is not model-like."""
    for offset, magic, kind in _magics():
        if head.startswith(magic, offset):
            return Suspicion(format=kind, certain=True)
    lower = name.lower()
    dot = lower.rfind(".")
    return _suffixes().get(lower[dot:]) if dot >= 0 else None


@cache
def _suffixes() -> Mapping[str, Suspicion]:
    rows: dict[str, Any] = json.loads((rules_folder() / "formats" / "suffixes.json").read_bytes())
    return {suffix: Suspicion(format=row["format"], certain=row["certain"]) for suffix, row in rows.items()}


@cache
def _magics() -> tuple[tuple[int, bytes, str], ...]:
    rows: list[Any] = json.loads((rules_folder() / "formats" / "magics.json").read_bytes())
    return tuple((row["offset"], bytes.fromhex(row["hex"]), row["format"]) for row in rows)
