"""Numbers as text between raw bytes, as C's fscanf and fread take them: Torch7's ASCII form.

Source: lib/TH/THDiskFile.c of github.com/torch/torch7: numbers after white space; one line end after each
value or run of bytes belongs to it.
"""

from __future__ import annotations

import re
from typing import Final

from supplyguard.errors import MalformedError

_INTEGER: Final = re.compile(rb"\s*([+-]?[0-9]{1,20})\n?")
_REAL: Final = re.compile(rb"\s*[+-]?[0-9A-Za-z.][0-9A-Za-z.+-]*\n?")
_SPACE: Final = re.compile(rb"\s*")


class NumberText:
    """Reads on from the start of `data`; every method raises MalformedError where it does not fit."""

    __slots__ = ("_data", "position")

    least: Final = 2
    """The fewest bytes of an object: a digit and a space."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.position = 0

    @property
    def remaining(self) -> int:
        """How many bytes are left; 0 when only white space is."""
        after = _SPACE.match(self._data, self.position)
        if after is not None and after.end() == len(self._data):
            return 0
        return len(self._data) - self.position

    def integer(self) -> int:
        """Read one whole number."""
        found = _INTEGER.match(self._data, self.position)
        if found is None:
            raise MalformedError("a number expected", offset=self.position)
        self.position = found.end()
        return int(found[1])

    long = integer

    def skip_real(self) -> None:
        """Pass over one number of any kind."""
        found = _REAL.match(self._data, self.position)
        if found is None:
            raise MalformedError("a number expected", offset=self.position)
        self.position = found.end()

    def skip_array(self, count: int, width: int) -> None:
        """Pass over `count` numbers; those of one byte are written as they are."""
        if width == 1:
            self.characters(count, 0)
            return
        for _ in range(count):
            self.skip_real()

    def characters(self, length: int, most: int) -> bytes:
        """Read `length` bytes and keep the first `most`."""
        left = len(self._data) - self.position
        if length < 0 or length > left:
            raise MalformedError(f"{length:,} bytes expected, {left:,} left", offset=self.position)
        start, self.position = self.position, self.position + length
        if length and self._data[self.position : self.position + 1] == b"\n":
            self.position += 1
        return self._data[start : start + min(length, most)]
