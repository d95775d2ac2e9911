"""The parts of the work."""

from __future__ import annotations

from enum import StrEnum


class Aspect(StrEnum):
    """A part of the work that can be asked for by itself."""

    ARTIFACTS = "artifacts"
    DEPENDENCIES = "dependencies"
    CODE = "code"
