"""Build hook: compile rules/*.yaml to JSON, so that an installed supplyguard parses no YAML at start."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class CompileRules(BuildHookInterface):  # type: ignore[type-arg]
    """Adds the compiled rules to the wheel."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile; an editable install reads the YAML itself, so that edits count."""
        if self.target_name != "wheel" or version == "editable":
            return
        sys.path.insert(0, self.root)
        from supplyguard.rules import COMPILED, compile_folder  # noqa: PLC0415 - not importable before

        folder = Path(self.directory) / "compiled"
        folder.mkdir(parents=True, exist_ok=True)
        file = folder / COMPILED
        file.write_text(compile_folder(Path(self.root) / "rules"), encoding="utf-8")
        build_data["force_include"][str(file)] = f"supplyguard/_rules/{COMPILED}"
