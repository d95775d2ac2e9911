"""Compiled byte patterns that pass over inert opcodes many at a time.

A stretch is a run of opcodes that only builds plain data: literals, memo writes, memo reads,
containers. What makes it safe to pass over without interpreting it:

- An opcode that mutates (APPENDS, SETITEMS, ADDITEMS) acts on the value under its mark. Inside a
  stretch that value is plain, because a memo read, which alone could bring in something else, is
  only taken where no mark, memo write or DUP follows it. (Under a mark directly on a mark there is
  nothing: unpicklers refuse.)
- APPEND and SETITEM are only taken right after the EMPTY_LIST or EMPTY_DICT that they fill.
- The tuple opcodes cannot reach below a mark, so they are only taken above one.
- No opcode here imports, calls or builds.

Possessive repetition keeps the cost linear and the memory constant.
"""

from __future__ import annotations

import re
from enum import StrEnum
from functools import cache
from typing import Final

DEPTH: Final = 3
"""How many levels of marks one stretch may hold."""
PIECES: Final = 16
"""How many values a stretch holds at most, so that its end can be looked at cheaply."""


WRITES: Final = frozenset(b"pqr\x94")
"""Memo writes; a stretch does not start with one, so that what it writes lies in the stretch."""
LEANING: Final = frozenset(b"(pqr\x94\x85\x86\x87")
"""Opcodes whose meaning depends on the value on top of the stack."""


class Family(StrEnum):
    """Which opcodes a writer uses: text, binary with numbered memo writes, binary with MEMOIZE."""

    TEXT = "text"
    NUMBERED = "numbered"
    MEMOIZE = "memoize"


def family_of(protocol: int) -> Family:
    """Give the family of a protocol."""
    if protocol >= 4:
        return Family.MEMOIZE
    return Family.NUMBERED if protocol >= 1 else Family.TEXT


def _counted(zeros: int, longest: int = 255) -> bytes:
    """Make the pattern of a length byte, `zeros` zero bytes and that many bytes."""
    alternatives = (
        re.escape(bytes([length])) + rb"\x00" * zeros + b".{%d}" % length for length in range(longest + 1)
    )
    return b"(?:" + b"|".join(alternatives) + b")"


_WRITES: Final = {
    Family.TEXT: rb"p[0-9]{1,7}\n",
    Family.NUMBERED: rb"(?:r.{3}\x00|q.)",
    Family.MEMOIZE: rb"\x94",
}
_READS: Final = {
    Family.TEXT: rb"g[0-9]++\n(?![(p2])",
    Family.NUMBERED: rb"h.(?![(qr2p\x94])|j.{4}(?![(qr2p\x94])",
    Family.MEMOIZE: rb"h.(?![(\x94qr2p])|j.{4}(?![(\x94qr2p])",
}
_ONE_BYTE: Final = {
    Family.TEXT: rb"[N]",
    Family.NUMBERED: rb"[N\x88\x89)\]}\x85-\x87]",
    Family.MEMOIZE: rb"[N\x88\x89)\]}\x8f\x85-\x87\x94]",
}
_CLOSERS: Final = {Family.TEXT: rb"[tld]", Family.NUMBERED: rb"[eutld]", Family.MEMOIZE: rb"[eu\x90tld\x91]"}
_NUMBERS: Final = rb"K.|M..|J.{4}|\x8a" + _counted(0, 9)


def _texts(family: Family) -> bytes:
    """Make the pattern of a string, with the memo write that mostly follows it."""
    if family is Family.TEXT:
        return rb"[IFLSV][^\n]*+\n"
    write = _WRITES[family] + b"?+"
    if family is Family.MEMOIZE:
        return rb"\x8c" + _counted(0) + write
    return b"X" + _counted(3) + write


def _flat(family: Family) -> bytes:
    """Make the pattern of one opcode that is no mark, the most frequent ones first."""
    parts = [_texts(family), _ONE_BYTE[family], _READS[family]]
    if family is not Family.TEXT:
        key_and_value = rb"h.[N\x88\x89)]"  # of a dict, in one go
        parts = [rb"G.{8}", *parts[:2], key_and_value, parts[2], _NUMBERS]
    if family is not Family.MEMOIZE:
        parts.append(_WRITES[family])
    return b"|".join([*parts, rb"[CU]" + _counted(0, 63)] if family is not Family.TEXT else parts)


def _literals(family: Family) -> bytes:
    """Make the pattern of one literal with an argument, without memo writes."""
    if family is Family.TEXT:
        return _texts(family)
    strings = rb"\x8c" + _counted(0) if family is Family.MEMOIZE else b"X" + _counted(3)
    return rb"G.{8}|" + _NUMBERS + b"|" + strings + rb"|[CU]" + _counted(0)


def _single(family: Family) -> bytes:
    """Make the pattern of a container that is filled one value at a time."""
    write = _WRITES[family] + b"*+"
    if family is Family.TEXT:
        filled, literal = rb"\([dl]", rb"[IFLSV][^\n]*+\n|N|\([dlt]"
    else:
        filled, literal = rb"[\]}]", rb"G.{8}|[)N\x88\x89]|" + _NUMBERS + b"|" + _texts(family)
    item = b"(?:(?:" + literal + b")" + write + b"|" + _READS[family] + b")"
    return filled + write + b"(?:" + item + b"(?:a|" + item + b"s))++"


def _pieces(family: Family, depth: int, *, outermost: bool = True) -> bytes:
    """Make the pattern of one value, memo write or tuple opcode above a mark."""
    flat = _flat(family)
    if not depth:
        return b"(?:" + flat + b")"
    inner = rb"\(" + _pieces(family, depth - 1, outermost=False) + b"*+" + _CLOSERS[family]
    single = b"|" + _single(family) if outermost or family is Family.TEXT else b""
    if family is Family.TEXT:
        return b"(?:" + single[1:] + b"|" + inner + b"|" + flat + b")"
    return b"(?:" + single[1:] + b"|" * bool(single) + inner + b"|" + flat + b")"


def _compile(pattern: bytes) -> re.Pattern[bytes]:
    return re.compile(pattern, re.DOTALL)


@cache
def stretch(family: Family) -> re.Pattern[bytes]:
    """Pass over inert opcodes; where the value on top is not plain, LEANING opcodes must not come first."""
    return _compile(_pieces(family, DEPTH) + b"{1,%d}+" % PIECES)


@cache
def group(family: Family) -> re.Pattern[bytes]:
    """Pass over a mark, inert opcodes and the opcode that takes them up; group 1 is what it takes."""
    return _compile(rb"\((" + _pieces(family, DEPTH - 1) + b"*+)" + _CLOSERS[family])


@cache
def memo_writes(family: Family) -> re.Pattern[bytes]:
    """Find the next memo write (group 2) after inert opcodes; group 1 is the last of those.

    Group 3 matches, emptily, where some other opcode comes.
    """
    literal = _literals(family)
    other = b"%b|%b|[%b]" % (literal, _READS[family], rb"(tdlaseu)\]}N\x85-\x89\x8f-\x91")
    return _compile(b"(?:(" + other + b"))*+(?:(" + _WRITES[family] + b")|())")
