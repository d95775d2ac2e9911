"""What a zip archive is, by its members' names: rules/layouts/zip.json read once.

A layout names the members that must be there and those whose bytes no loader interprets.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from supplyguard.errors import RuleError
from supplyguard.resources import rules_folder


@dataclass(frozen=True, kw_only=True, slots=True)
class Layout:
    """A recognised kind of archive.

    model: a machine-learning loader reads it. extracted: that loader writes members to disk.
    root: the folder that all members share, where the layout has one.
    """

    name: str
    title: str
    model: bool = False
    extracted: bool = False
    root: str = ""
    _inert: tuple[tuple[re.Pattern[str], str], ...] = ()

    def inert(self, name: str) -> str | None:
        """Say why no loader interprets the member's bytes, or None."""
        return next((why for pattern, why in self._inert if pattern.fullmatch(name)), None)


OTHER: Final = Layout(name="other", title="zip archive")


def layout_of(names: Sequence[str]) -> Layout:
    """Find the first layout that fits; `OTHER` when none does."""
    for row in _table()["layouts"]:
        if "every" in row:
            files = [name for name in names if not name.endswith("/")]
            if files and all(re.fullmatch(row["every"], name, re.IGNORECASE) for name in files):
                return _layout(row, "")
            continue
        root = _root(row["requires"], names)
        if root is not None:
            return _layout(row, root)
    return OTHER


def is_control(name: str) -> bool:
    """Whether the member is a small one that steers a loader (JSON, pickle, Python)."""
    return name.lower().endswith(tuple(_table()["control_suffixes"]))


def is_concatenation(name: str) -> bool:
    """Whether files of this name are several archives one after the other by design."""
    return any(re.fullmatch(pattern, name) for pattern in _table()["concatenated"])


def _root(requires: Sequence[str], names: Sequence[str]) -> str | None:
    """Give the root under which every pattern has a member ("" for layouts without one)."""
    first = re.compile(requires[0], re.IGNORECASE)
    for name in names:
        if found := first.fullmatch(name):
            root: str = found.groupdict().get("root", "")
            rest = [
                re.compile(text.replace("{root}", re.escape(root)), re.IGNORECASE) for text in requires[1:]
            ]
            if all(any(pattern.fullmatch(each) for each in names) for pattern in rest):
                return root
    return None


def _layout(row: Mapping[str, Any], root: str) -> Layout:
    return Layout(
        name=row["name"],
        title=row["title"],
        model=row["model"],
        extracted=row["extracted"],
        root=root,
        _inert=tuple(
            (re.compile(each["members"].replace("{root}", re.escape(root))), each["why"])
            for each in row.get("inert", ())
        ),
    )


@cache
def _table() -> Mapping[str, Any]:
    path = rules_folder() / "layouts" / "zip.json"
    try:
        table: Mapping[str, Any] = json.loads(path.read_bytes())
        for row in table["layouts"]:
            layout = _layout(row, "root")
            if not (layout.name and ("every" in row or row["requires"])):
                raise RuleError(f"{path}: a layout needs a name and `requires` or `every`")
    except (OSError, ValueError, KeyError, re.error) as error:
        raise RuleError(f"cannot read the layouts {path}: {error!r}") from error
    return table
