"""Fingerprints: what tells that a finding of today is the finding of yesterday.

A fingerprint has two parts, "PRIMARY/OWN". PRIMARY is what code-scanning services compare within
one rule and file: GitHub's hash of the line for text, and a hash of rule, member and symbol for
binaries, each with a count. OWN adds rule, path and symbol, so that the whole is unique within a
report. Neither depends on line numbers, byte offsets or the version of supplyguard.
"""

from __future__ import annotations

import hashlib
import re
import sys
from array import array
from collections import Counter
from itertools import pairwise
from typing import Final

_WINDOW: Final = 100
_FACTOR: Final = 37
_MASK: Final = (1 << 64) - 1
_DROPPED: Final = pow(_FACTOR, _WINDOW, 1 << 64)
_END_OF_FILE: Final = 0xFFFF
_BLANKS: Final = str.maketrans("", "", " \t")
_LINE_END: Final = re.compile("\r\n?")
_HEX_DIGITS: Final = 16


class Occurrences:
    """Counts equal keys, so that the second one differs from the first."""

    __slots__ = ("_seen",)

    def __init__(self) -> None:
        self._seen: Counter[tuple[str, ...]] = Counter()

    def number(self, key: str, *scope: str) -> str:
        """Give "key:n", n counting from 1 how often this key was given in this scope so far."""
        self._seen[(key, *scope)] += 1
        return f"{key}:{self._seen[(key, *scope)]}"


def line_hashes(text: str) -> tuple[str, ...]:
    """GitHub's `primaryLocationLineHash` of every line; index 0 is line 1.

    text: the file, decoded as UTF-8 with errors="replace" and newline="" (no translation).

    A line's hash covers the first 100 UTF-16 code units from its start, through the lines after
    it, without spaces and tabs and with CR and CRLF as LF; U+FFFF and then zeros follow the end
    of the file. It is the sum of unit * 37^(99 - i) modulo 2^64, in unpadded hex, and ":n" counts
    equal hashes. Every file has a line more than it has line ends. Defined by
    github/codeql-action, src/fingerprints.ts.
    """
    occurrences = Occurrences()
    units, starts = _code_units(_LINE_END.sub("\n", text).translate(_BLANKS))
    # the polynomial of the units before each place that a line's window begins or ends at
    places = sorted({place for start in starts for place in (start, start + _WINDOW)})
    value = 0
    prefix = {places[0]: 0}
    for before, place in pairwise(places):
        for unit in units[before:place]:
            value = (value * _FACTOR + unit) & _MASK
        prefix[place] = value
    return tuple(
        occurrences.number(f"{(prefix[start + _WINDOW] - prefix[start] * _DROPPED) & _MASK:x}")
        for start in starts
    )


def _code_units(text: str) -> tuple[array[int], list[int]]:
    """Give the UTF-16 code units that lines' windows cover, and where in them each line starts."""
    # no window reaches past the hundredth unit of a line, so the rest of a long one (minified
    # JSON, an image in a notebook) counts for nothing
    encoding = f"utf-16-{sys.byteorder[0]}e"
    units = array("H")
    starts: list[int] = []
    for line in (text + chr(_END_OF_FILE)).split("\n"):
        starts.append(len(units))
        units.frombytes((line[:_WINDOW] + "\n").encode(encoding, "surrogatepass"))
    # what follows the end of the file is zeros, not a line end
    units.pop()
    units.extend([0] * _WINDOW)
    return units, starts


def binary_fingerprint(rule_id: str, member: tuple[str, ...], symbol: str) -> str:
    """Give 16 hex digits for a finding in a binary: its rule, the member's names, its symbol."""
    return _digest(rule_id, *member, symbol)


class Fingerprints:
    """Makes the fingerprints of one report's findings; give them in a stable order.

    path: the file as the report names it, from the repository's root.
    """

    __slots__ = ("_in_file", "_in_report")

    def __init__(self) -> None:
        self._in_file = Occurrences()
        self._in_report = Occurrences()

    def text(self, *, rule_id: str, path: str, symbol: str, line_hash: str) -> str:
        """Make the fingerprint of a finding on a line; `line_hash` is from `line_hashes`."""
        return f"{line_hash}/{self._own(rule_id, path, symbol, line_hash)}"

    def binary(self, *, rule_id: str, path: str, member: tuple[str, ...], symbol: str) -> str:
        """Make the fingerprint of a finding in a binary, or in a file as a whole."""
        key = binary_fingerprint(rule_id, member, symbol)
        primary = self._in_file.number(key, path)
        return f"{primary}/{self._own(rule_id, path, symbol, primary)}"

    def _own(self, rule_id: str, path: str, symbol: str, primary: str) -> str:
        return self._in_report.number(_digest(rule_id, path, symbol, primary))


def primary_of(fingerprint: str) -> str:
    """Give the part of a finding's fingerprint that is compared within one rule and file."""
    return fingerprint.partition("/")[0]


def distinct_primary(fingerprint: str) -> str:
    """Stand in for `primary_of` where two findings of one rule and file share it."""
    return f"{_digest(fingerprint)}:1"


def _digest(*parts: str) -> str:
    # the lengths keep ("ab", "c") and ("a", "bc") apart
    joined = "".join(f"{len(part)}:{part}" for part in parts)
    return hashlib.sha256(joined.encode("utf-8", "surrogatepass")).hexdigest()[:_HEX_DIGITS]
