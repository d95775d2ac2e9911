"""Signs of other formats inside data and text: rules/formats/embedded.json and metadata_signs.json."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import cache
from typing import Any

from supplyguard.errors import RuleError
from supplyguard.resources import rules_folder


def embedded_format(head: bytes) -> str | None:
    """Name the executable or container format that begins with `head`, if it surely does."""
    return next((what for what, pattern in _embedded() if pattern.match(head)), None)


def text_signs(text: str) -> Iterator[str]:
    """Say what a metadata value holds that plain metadata does not."""
    table = _metadata()
    for sign in table["signs"]:
        if re.search(sign["pattern"], text):
            yield str(sign["what"])
    if len(text) > table["largest"] and not any(re.match(each, text) for each in table["large_but_plain"]):
        yield f"more than {table['largest']:,} characters of unknown content"


def targets(text: str) -> Iterator[tuple[str, bool]]:
    """Yield each `_target_` of a configuration in `text`, and whether it names a module that acts.

    Libraries that instantiate configurations (Hydra and its kind) import and call such targets.
    """
    table = _metadata()
    for found in re.finditer(table["target"], text):
        yield found[1], re.fullmatch(table["executing_targets"], found[1]) is not None


@cache
def _embedded() -> tuple[tuple[str, re.Pattern[bytes]], ...]:
    return tuple(
        (row["what"], re.compile(row["pattern"].encode("ascii"), re.DOTALL)) for row in _read("embedded")
    )


@cache
def _metadata() -> Any:
    return _read("metadata_signs")


def _read(name: str) -> Any:
    path = rules_folder() / "formats" / f"{name}.json"
    try:
        return json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise RuleError(f"cannot read {path}: {error}") from error
