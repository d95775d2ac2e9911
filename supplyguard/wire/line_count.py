"""Line numbers of places that are met in order: the text is counted once, not once a place."""

from __future__ import annotations


class LineCount:
    """Counts on from the last place."""

    __slots__ = ("_line", "_position", "_text")

    def __init__(self, text: str) -> None:
        self._text = text
        self._position = 0
        self._line = 1

    def at(self, position: int) -> int:
        """Give the line of a place, from 1; no place may lie before the one asked for last."""
        self._line += self._text.count("\n", self._position, position)
        self._position = position
        return self._line
