"""Where the data files of supplyguard lie: rules, knowledge and advisories."""

from __future__ import annotations

import json
import os
from functools import cache
from pathlib import Path
from typing import Any

from supplyguard.errors import RuleError


@cache
def rules_folder() -> Path:
    """Give the folder of rules: inside the installed package, or beside it in a source checkout."""
    package = Path(__file__).resolve().parent
    for folder in (package / "_rules", package.parent / "rules"):
        if folder.is_dir():
            return folder
    raise RuleError("the rules folder is missing", hint="reinstall supplyguard")


@cache
def format_data(name: str) -> Any:
    """Read rules/formats/<name>.json once: the lists that an inspector of that stem judges by."""
    path = rules_folder() / "formats" / f"{name}.json"
    try:
        return json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise RuleError(f"cannot read {path}: {error}") from error


def cache_folder() -> Path:
    """Give the folder for what can be made again: $SUPPLYGUARD_CACHE_DIR or the user's cache folder."""
    chosen = os.environ.get("SUPPLYGUARD_CACHE_DIR")
    if chosen:
        return Path(chosen)
    from platformdirs import user_cache_path  # noqa: PLC0415 - heavy: most calls are answered above

    return user_cache_path("supplyguard", appauthor=False)
