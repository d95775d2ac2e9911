"""The 68 opcodes of pickle protocols 0 to 5.

Names are those of CPython's `pickletools`; the argument layouts are those that CPython's
`Lib/pickle.py` and `Modules/_pickle.c` read.
"""

from __future__ import annotations

from enum import IntEnum, StrEnum
from typing import Final


class Argument(StrEnum):
    """How an opcode's argument is written after its byte."""

    NONE = "none"
    LINE = "line"  # up to the next line feed, which is not part of it
    PAIR = "pair"  # two lines
    U1 = "u1"
    U2 = "u2"
    I4 = "i4"
    U4 = "u4"
    U8 = "u8"
    F8 = "f8"  # big endian
    BYTES1 = "bytes1"  # a length of 1, 4 (unsigned or signed) or 8 bytes, then that many bytes
    BYTES4 = "bytes4"
    BYTES4S = "bytes4s"
    BYTES8 = "bytes8"


class Op(IntEnum):
    """An opcode's byte."""

    MARK = 0x28
    EMPTY_TUPLE = 0x29
    STOP = 0x2E
    POP = 0x30
    POP_MARK = 0x31
    DUP = 0x32
    BINBYTES = 0x42
    SHORT_BINBYTES = 0x43
    FLOAT = 0x46
    BINFLOAT = 0x47
    INT = 0x49
    BININT = 0x4A
    BININT1 = 0x4B
    LONG = 0x4C
    BININT2 = 0x4D
    NONE = 0x4E
    PERSID = 0x50
    BINPERSID = 0x51
    REDUCE = 0x52
    STRING = 0x53
    BINSTRING = 0x54
    SHORT_BINSTRING = 0x55
    UNICODE = 0x56
    BINUNICODE = 0x58
    EMPTY_LIST = 0x5D
    APPEND = 0x61
    BUILD = 0x62
    GLOBAL = 0x63
    DICT = 0x64
    APPENDS = 0x65
    GET = 0x67
    BINGET = 0x68
    INST = 0x69
    LONG_BINGET = 0x6A
    LIST = 0x6C
    OBJ = 0x6F
    PUT = 0x70
    BINPUT = 0x71
    LONG_BINPUT = 0x72
    SETITEM = 0x73
    TUPLE = 0x74
    SETITEMS = 0x75
    EMPTY_DICT = 0x7D
    PROTO = 0x80
    NEWOBJ = 0x81
    EXT1 = 0x82
    EXT2 = 0x83
    EXT4 = 0x84
    TUPLE1 = 0x85
    TUPLE2 = 0x86
    TUPLE3 = 0x87
    NEWTRUE = 0x88
    NEWFALSE = 0x89
    LONG1 = 0x8A
    LONG4 = 0x8B
    SHORT_BINUNICODE = 0x8C
    BINUNICODE8 = 0x8D
    BINBYTES8 = 0x8E
    EMPTY_SET = 0x8F
    ADDITEMS = 0x90
    FROZENSET = 0x91
    NEWOBJ_EX = 0x92
    STACK_GLOBAL = 0x93
    MEMOIZE = 0x94
    FRAME = 0x95
    BYTEARRAY8 = 0x96
    NEXT_BUFFER = 0x97
    READONLY_BUFFER = 0x98


HIGHEST_PROTOCOL: Final = 5

_WRITTEN: Final = {
    Argument.LINE: (Op.INT, Op.LONG, Op.STRING, Op.UNICODE, Op.FLOAT, Op.GET, Op.PUT, Op.PERSID),
    Argument.PAIR: (Op.GLOBAL, Op.INST),
    Argument.U1: (Op.BININT1, Op.BINGET, Op.BINPUT, Op.EXT1, Op.PROTO),
    Argument.U2: (Op.BININT2, Op.EXT2),
    Argument.I4: (Op.BININT, Op.EXT4),
    Argument.U4: (Op.LONG_BINGET, Op.LONG_BINPUT),
    Argument.U8: (Op.FRAME,),
    Argument.F8: (Op.BINFLOAT,),
    Argument.BYTES1: (Op.LONG1, Op.SHORT_BINSTRING, Op.SHORT_BINBYTES, Op.SHORT_BINUNICODE),
    Argument.BYTES4: (Op.BINBYTES, Op.BINUNICODE),
    Argument.BYTES4S: (Op.LONG4, Op.BINSTRING),
    Argument.BYTES8: (Op.BINBYTES8, Op.BINUNICODE8, Op.BYTEARRAY8),
}

ARGUMENT: Final[dict[int, Argument]] = {op.value: Argument.NONE for op in Op} | {
    op.value: argument for argument, ops in _WRITTEN.items() for op in ops
}
"""How the argument of each opcode byte is written; a byte that is not here is no opcode."""

FIXED_LENGTHS: Final = {
    Argument.NONE: 0,
    Argument.U1: 1,
    Argument.U2: 2,
    Argument.I4: 4,
    Argument.U4: 4,
    Argument.U8: 8,
    Argument.F8: 8,
}
LENGTH_BYTES: Final = {Argument.BYTES1: 1, Argument.BYTES4: 4, Argument.BYTES4S: 4, Argument.BYTES8: 8}
"""Bytes of the length that precedes a counted argument."""

PUSHES_BYTES: Final = frozenset({Op.BINBYTES, Op.SHORT_BINBYTES, Op.BINBYTES8, Op.BYTEARRAY8})
"""Counted arguments that are bytes; the others are text or, for LONG1 and LONG4, a number."""
