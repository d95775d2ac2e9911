"""Telling pickles from other files by a few bytes.

Protocols 2 to 5 start with PROTO. Protocols 0 and 1 have no mark of their own: their opcodes are
printable, so a short simulation decides, which plain text does not survive.
"""

from __future__ import annotations

import re
from itertools import islice
from typing import Final

from supplyguard.pickles.opcodes import ARGUMENT, FIXED_LENGTHS, LENGTH_BYTES, Argument, Op
from supplyguard.pickles.operand_data import operand_data

MOST_STEPS: Final = 5_000
ENOUGH_STEPS: Final = 500
"""Opcodes after which a program that goes on out of sight is believed."""
MOST_JUNK: Final = 4_096
"""How far into a file a pickle is looked for behind other bytes."""
MOST_TRIES: Final = 16
_PROTO: Final = re.compile(rb"\x80[\x02-\x05]")
_NAME: Final = re.compile(rb"[A-Za-z_][A-Za-z0-9_.]{0,255}\r?")
_SPACE: Final = b" \t\r\n\0"

_POPS: Final[dict[int, int]] = {
    **dict.fromkeys((Op.APPEND, Op.BUILD, Op.REDUCE, Op.NEWOBJ, Op.TUPLE2, Op.STACK_GLOBAL), 2),
    **dict.fromkeys((Op.SETITEM, Op.TUPLE3, Op.NEWOBJ_EX), 3),
    **dict.fromkeys((Op.POP, Op.DUP, Op.TUPLE1, Op.BINPERSID, Op.STOP, Op.READONLY_BUFFER, Op.MEMOIZE), 1),
    **dict.fromkeys((Op.PUT, Op.BINPUT, Op.LONG_BINPUT), 1),
}
_PUSHES: Final[dict[int, int]] = {
    **dict.fromkeys((Op.POP, Op.STOP, Op.PROTO, Op.FRAME), 0),
    **dict.fromkeys((Op.DUP,), 2),
}
_TO_MARK: Final[dict[int, int]] = {
    **dict.fromkeys((Op.TUPLE, Op.LIST, Op.DICT, Op.FROZENSET, Op.INST), 0),
    **dict.fromkeys((Op.APPENDS, Op.SETITEMS, Op.ADDITEMS), 1),
    Op.OBJ: 0,
}
"""Opcodes that take everything above a mark, and how many values they need below it."""
_ACTS: Final = frozenset({Op.REDUCE, Op.INST, Op.OBJ, Op.BUILD, Op.NEWOBJ})


def pickle_start(head: bytes, *, whole: bool) -> int | None:
    """Give where a pickle starts, None when there seems to be none. whole: `head` is the whole file."""
    start = len(head) - len(head.lstrip(b"\0"))
    if start == len(head):
        return None
    if _PROTO.match(head, start):
        follows = head[start + 2] if start + 2 < len(head) else None
        if follows in ARGUMENT or (follows is None and start == 0):
            return start
    elif head[start] in ARGUMENT and _survives(head, start, whole=whole):
        return start
    if head.startswith(operand_data().other_formats) or head[257:262] == b"ustar":
        return None
    for match in islice(_PROTO.finditer(head, start + 1, start + MOST_JUNK), MOST_TRIES):
        if _survives(head, match.start(), whole=whole, acts=True):
            return match.start()
    return None


def _survives(head: bytes, start: int, *, whole: bool, acts: bool = False) -> bool:
    """Whether the bytes are a program up to an acting opcode on an import, or to the file's end.

    acts: only the former will do.
    """
    depth = 0
    marks: list[int] = []
    named = False
    place = start
    for step in range(MOST_STEPS):
        code = head[place] if place < len(head) else -1
        end = _after(head, place, code)
        if end is None:
            return not acts and not whole and step > ENOUGH_STEPS
        if code in {Op.GLOBAL, Op.INST}:
            if not all(_NAME.fullmatch(each) for each in head[place + 1 : end - 1].split(b"\n")):
                return False
            named = True
        named = named or code == Op.STACK_GLOBAL
        moved = _moved(code, depth, marks)
        if moved is None:
            return False
        depth = moved
        if code == Op.STOP:
            return not acts and (named or (whole and not head[end:].strip(_SPACE)))
        if code in _ACTS and named:
            return True
        place = end
    return named or not acts


def _after(head: bytes, place: int, code: int) -> int | None:
    """Give where the opcode at `place` ends, None when it is none or does not end in sight."""
    argument = ARGUMENT.get(code)
    if argument is None:
        return None
    if argument in FIXED_LENGTHS:
        end = place + 1 + FIXED_LENGTHS[argument]
    elif argument in LENGTH_BYTES:
        width = LENGTH_BYTES[argument]
        end = place + 1 + width + int.from_bytes(head[place + 1 : place + 1 + width], "little")
    else:
        end = head.find(b"\n", place + 1) + 1
        if argument is Argument.PAIR and end:
            end = head.find(b"\n", end) + 1
        if not end or not _fits(code, head[place + 1 : end - 1]):
            return None
    return end if end <= len(head) else None


def _fits(code: int, text: bytes) -> bool:
    """Whether a text argument can be one of its opcode."""
    pattern = _ARGUMENTS.get(code)
    return pattern is None or pattern.fullmatch(text) is not None


_ARGUMENTS: Final[dict[int, re.Pattern[bytes]]] = {
    Op.INT: re.compile(rb"\s*[-+]?[0-9xXoObBa-fA-F_]+\s*"),
    Op.LONG: re.compile(rb"\s*[-+]?[0-9xXoObBa-fA-F_]+L?\s*"),
    Op.FLOAT: re.compile(rb"\s*[-+]?(?:[0-9.]+(?:[eE][-+]?[0-9]+)?|inf|nan)\s*"),
    Op.STRING: re.compile(rb"(?:'.*'|\".*\")\s*", re.DOTALL),
    Op.GET: re.compile(rb"[0-9]+\r?"),
    Op.PUT: re.compile(rb"[0-9]+\r?"),
    # "PK" and a zip's header up to its first LF would be one otherwise
    Op.PERSID: re.compile(rb"[^\0]*", re.DOTALL),
}


def _moved(code: int, depth: int, marks: list[int]) -> int | None:
    """Give the stack's depth after an opcode, None when it takes more than there is."""
    if code == Op.MARK:
        marks.append(depth)
        return depth
    if code in _TO_MARK or code == Op.POP_MARK:
        if not marks:
            return None
        below = marks.pop()
        if code == Op.POP_MARK:
            return below
        if code == Op.OBJ and depth == below:
            return None
        needed = _TO_MARK[code]
        if below - needed < (marks[-1] if marks else 0):
            return None
        return below if needed else below + 1
    floor = marks[-1] if marks else 0
    pops = _POPS.get(code, 0)
    if depth - pops < floor:
        return None
    if code in {Op.MEMOIZE, Op.PUT, Op.BINPUT, Op.LONG_BINPUT}:
        return depth
    return depth - pops + _PUSHES.get(code, 1)
