"""Names of archive members: what is dangerous in them, and how instances of one name are told apart."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

_DRIVE: Final = re.compile(r"[A-Za-z]:")
_HOME: Final = re.compile(r"~[A-Za-z0-9._-]*/")
_CONTROL: Final = re.compile(r"[\x01-\x1f\x7f]")


def unsafe_reasons(name: str) -> tuple[str, ...]:
    """Say in which ways an extraction of `name` could leave its folder or mislead a reader.

    "absolute", "drive", "parent" (a `..` component), "home" (a leading `~/` or `~user/`), "nul",
    "control", "backslash".
    """
    slashed = name.replace("\\", "/")
    found = []
    if slashed.startswith("/"):
        found.append("absolute")
    if _DRIVE.match(name):
        found.append("drive")
    if ".." in slashed.split("/"):
        found.append("parent")
    if _HOME.match(slashed):
        found.append("home")
    if "\0" in name:
        found.append("nul")
    if _CONTROL.search(name):
        found.append("control")
    if "\\" in name:
        found.append("backslash")
    return tuple(found)


def folded(name: str) -> str:
    """Give what readers that ignore case, Unicode form, separators or what follows a NUL compare."""
    return unicodedata.normalize("NFC", name.split("\0", 1)[0].replace("\\", "/")).casefold()


class Segments:
    """Gives each instance a path segment of its own: "a", "a#2", "a#3"."""

    def __init__(self) -> None:
        self._used: set[str] = set()
        self._next: dict[str, int] = {}

    def take(self, name: str) -> str:
        """Give a segment that was not given before."""
        name = name or "(unnamed)"
        segment = name
        while segment in self._used:
            self._next[name] = self._next.get(name, 1) + 1
            segment = f"{name}#{self._next[name]}"
        self._used.add(segment)
        return segment
