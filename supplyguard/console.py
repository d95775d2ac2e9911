"""The terminal: messages and progress on stderr."""

from __future__ import annotations

import os
import shutil
import sys
import time
from enum import StrEnum
from types import TracebackType
from typing import Final, Self, TextIO

FIRST_PROGRESS: Final = 1.0
"""Seconds before progress is shown at all, and between two updates of it."""
PROGRESS_INTERVAL: Final = 0.1


class ColorChoice(StrEnum):
    """When to use colours; NO_COLOR and FORCE_COLOR count for AUTO."""

    AUTO = "auto"
    ALWAYS = "always"
    NEVER = "never"


class Console:
    """stderr for people: one progress line while it lasts, then messages."""

    def __init__(
        self,
        *,
        color: ColorChoice = ColorChoice.AUTO,
        quiet: bool = False,
        verbose: bool = False,
        progress: bool = False,
    ) -> None:
        self.color = color
        self.quiet = quiet
        self.verbose = verbose
        self._shows_progress = progress and sys.stderr.isatty()
        self._next = time.monotonic() + FIRST_PROGRESS
        self._on_screen = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._on_screen:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()

    def progress(self, what: str) -> None:
        """Show what is being looked at, at most ten times a second, on a terminal only."""
        if not self._shows_progress or time.monotonic() < self._next:
            return
        self._next = time.monotonic() + PROGRESS_INTERVAL
        width = shutil.get_terminal_size().columns - 1
        sys.stderr.write("\r\x1b[K" + _safe(what)[:width])
        sys.stderr.flush()
        self._on_screen = True

    def error(self, message: str, hint: str = "") -> None:
        """Print one failure, and what to do about it."""
        text = f"supplyguard: error: {_safe(message)}"
        if hint:
            text += f" ({_safe(hint)})"
        print(text, file=sys.stderr)  # noqa: T201 - this is the console

    def colors(self, stream: TextIO) -> bool:
        """Whether `stream` gets colours."""
        if self.color is not ColorChoice.AUTO:
            return self.color is ColorChoice.ALWAYS
        if os.environ.get("NO_COLOR"):
            return False
        return bool(os.environ.get("FORCE_COLOR")) or stream.isatty()


def _safe(text: str) -> str:
    """Make text from a file or an argument harmless for a terminal."""
    from supplyguard.reporters.escape import for_terminal  # noqa: PLC0415 - heavy: brings all reporters

    return for_terminal(text)
