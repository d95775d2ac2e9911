"""Which versions an install of the open declarations would take today, found out without running anything.

uv does the work: as a program, in an empty folder, with requirements that were written anew from
what was read. `resolver.resolve` is the way in; docs/resolution.md is the whole picture.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

INDEX: Final = "https://pypi.org/simple"
SECONDS: Final = 60


class When(StrEnum):
    """When to resolve: where declarations are open and the network may be used; always; never."""

    AUTO = "auto"
    ALWAYS = "always"
    NEVER = "never"


@dataclass(frozen=True, kw_only=True, slots=True)
class Terms:
    """How to resolve.

    index: address of a simple index (PEP 503 or 691). python_version: such as "3.12", "" for that of
    the interpreter that runs us. python_platform: as uv names it, "" for this one. seconds: for all
    of a scan together. cache: folder that uv keeps its answers in. forbidden: folders of which no
    program is started: those that are scanned. progress: called with a short text now and then.
    """

    when: When
    cache: Path
    progress: Callable[[str], None]
    offline: bool = False
    index: str = INDEX
    python_version: str = ""
    python_platform: str = ""
    seconds: int = SECONDS
    forbidden: tuple[Path, ...] = ()
