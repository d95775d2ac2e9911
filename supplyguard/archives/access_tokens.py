"""Access tokens by their form (rules/formats/hub_repository.json)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache

from supplyguard.resources import format_data


def secrets_in(text: str) -> Iterator[str]:
    """Say what kinds of access tokens a text holds."""
    return (what for what, pattern in _patterns() if pattern.search(text))


@cache
def _patterns() -> tuple[tuple[str, re.Pattern[str]], ...]:
    return tuple(
        (row["what"], re.compile(row["pattern"])) for row in format_data("hub_repository")["secrets"]
    )
