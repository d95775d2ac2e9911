"""What is inside one member: one module a format."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from supplyguard.finding import Evidence, Notification
from supplyguard.inspectors import (
    compressed,
    lfs_pointer,
    numpy_array,
    pickle_stream,
    safetensors_file,
    seven_zip,
    tar_archive,
    torch_zip,
    zip_archive,
)
from supplyguard.inventory import Member, Probe
from supplyguard.limits import Budget


class Inspector(Protocol):
    """A module that understands one format. Every inspector that recognises a member is run."""

    @property
    def FORMAT(self) -> str:  # noqa: N802 - a module constant
        """The stem of its rules, tests and fixtures."""
        ...

    def recognizes(self, probe: Probe) -> bool:
        """Whether the bytes are of this format; the name counts only where bytes cannot tell."""
        ...

    def inspect(self, member: Member, budget: Budget) -> Iterator[Evidence | Member | Notification]:
        """Yield what is there; raises SupplyguardError when it cannot go on."""
        ...


INSPECTORS: tuple[Inspector, ...] = (
    pickle_stream,
    zip_archive,
    torch_zip,
    safetensors_file,
    compressed,
    lfs_pointer,
    tar_archive,
    numpy_array,
    seven_zip,
)
