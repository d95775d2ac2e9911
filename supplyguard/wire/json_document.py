"""JSON with bounds: size, depth and number of values are known before the parser starts."""

from __future__ import annotations

import json
import re
from typing import Any, Final

from supplyguard.errors import BudgetExceededError, MalformedError
from supplyguard.limits import Budget, Resource

_STRINGS: Final = re.compile(rb'"(?:[^"\\]++|\\.)*+"', re.DOTALL)
_NOT_BRACKETS: Final = bytes(byte for byte in range(256) if byte not in b"[]{}")
_MOST_DIGITS: Final = 4300
"""Longer integers are kept as 0: Python refuses to convert them, and no model has them."""


def parse_json(data: bytes, budget: Budget, *, repeated: dict[str, None] | None = None) -> Any:
    """Parse UTF-8 JSON into dicts, lists, texts and numbers.

    repeated: takes the keys that occur twice in one object, whose last value counts.
    Raises BudgetExceededError past a limit and MalformedError for what is not JSON.
    """
    limits = budget.limits
    if len(data) > limits.document_bytes:
        raise BudgetExceededError("document_bytes", limits.document_bytes)
    budget.spend(Resource.NODES, data.count(b":") + data.count(b",") + 1)
    if depth_of(data) > limits.document_depth:
        raise BudgetExceededError("document_depth", limits.document_depth)

    def made(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key, value in pairs:
            if key in found and repeated is not None:
                repeated[key] = None
            found[key] = value
        return found

    hook = None if repeated is None else made
    try:
        return json.loads(data.decode("utf-8-sig"), parse_int=_integer, object_pairs_hook=hook)
    except (ValueError, RecursionError) as error:
        raise MalformedError(f"not JSON: {error}") from error


def depth_of(data: bytes) -> int:
    """Measure how deep brackets nest, without parsing."""
    depth = deepest = 0
    for byte in _STRINGS.sub(b"", data).translate(None, _NOT_BRACKETS):
        if byte in b"[{":
            depth += 1
            deepest = max(deepest, depth)
        else:
            depth -= 1
    return deepest


def _integer(digits: str) -> int:
    return int(digits) if len(digits) <= _MOST_DIGITS else 0
