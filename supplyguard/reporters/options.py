"""What a caller may ask of a report beyond its format."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class RenderOptions:
    """How to render; each format takes what it has a use for.

    color, width (columns), verbose, quiet: text. show_suppressed: text, sarif and markdown (json
    has them always). category: sarif.
    """

    color: bool = False
    width: int = 100
    verbose: bool = False
    quiet: bool = False
    show_suppressed: bool = False
    category: str | None = None
