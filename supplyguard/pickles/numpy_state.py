"""numpy's pickled dtypes and arrays: states that turn bytes into pointers.

A dtype is made by `numpy.dtype(code, align, copy)` and a BUILD with (version, byte order, subdtype,
names, fields, itemsize, alignment, flags[, metadata]); an array's BUILD is (version, shape, dtype,
is_fortran, bytes or list). See `arraydescr_setstate` and `array_setstate` in numpy's C sources.
Bit 0 of the flags says that items are object pointers; an object dtype whose state clears it lets
raw bytes be taken for pointers.
"""

from __future__ import annotations

import re
from typing import Final

from supplyguard.pickles.context import Context
from supplyguard.pickles.values import Container, Instance, Kind, Value, View

HAS_OBJECTS: Final = 1
_CODE: Final = re.compile(r"[<>|=]?([?a-zA-Z])(\d{0,9})")
_SIZES: Final = {
    **dict.fromkeys("?bB", 1),
    **dict.fromkeys("hHe", 2),
    **dict.fromkeys("iIf", 4),
    **dict.fromkeys("qQdlLFpP", 8),
    **dict.fromkeys("gD", 16),
    "G": 32,
    "O": 8,
}
"""Bytes of one item, for codes without a number; `l` is 8 where pickles of arrays come from."""
_DTYPES: Final = frozenset({"numpy.dtype", "numpy._core.multiarray.dtype", "numpy.core.multiarray.dtype"})
MAX_FIELDS: Final = 10_000


def is_dtype(value: Value) -> bool:
    """Whether a value was made by numpy.dtype."""
    return isinstance(value, Instance) and value.type_name in _DTYPES


def code_of(context: Context, dtype: Instance) -> str:
    """Give a dtype's code, such as "f8"."""
    text = context.text(dtype.arguments[0]) if dtype.arguments else None
    return text or ""


def _state(context: Context, dtype: Instance) -> tuple[Value, ...] | None:
    return context.items(dtype.states[-1]) if dtype.states else None


def has_objects(context: Context, dtype: Value, depth: int = 0) -> bool | None:
    """Whether a dtype's code, or that of a part of it, is the object code; None when not known."""
    dtype = context.settle(dtype)
    if isinstance(dtype, str):
        return dtype.lstrip("<>|=").startswith("O")
    if not isinstance(dtype, Instance) or not is_dtype(dtype) or depth > 8:
        return None
    code = code_of(context, dtype)
    if code.lstrip("<>|=").startswith("O"):
        return True
    state = _state(context, dtype)
    if dtype.states and (state is None or len(state) < 8):
        return None
    found: bool | None = False
    for part in _parts(context, state) if state else ():
        inner = has_objects(context, part, depth + 1)
        if inner:
            return True
        if inner is None:
            found = None
    return found


def _parts(context: Context, state: tuple[Value, ...]) -> list[Value]:
    """Give the dtypes of a dtype's subarray and fields."""
    parts: list[Value] = []
    subarray = context.items(state[2]) if isinstance(state[2], Container) else None
    if subarray:
        parts.append(subarray[0])
    for _, field in (context.pairs(state[4]) or [])[:MAX_FIELDS]:
        described = context.items(field)
        if described:
            parts.append(described[0])
    return parts


def dtype_problem(context: Context, dtype: Value, *, raw: bool) -> str:
    """Say what is forged in a dtype; `raw`: its items are given as bytes."""
    dtype = context.settle(dtype)
    objects = has_objects(context, dtype)
    if not isinstance(dtype, Instance) or not is_dtype(dtype):
        return "raw bytes are given as object pointers" if raw and objects else ""
    state = _state(context, dtype)
    flags = state[7] if state is not None and len(state) > 7 else None
    if isinstance(flags, int) and objects and not flags & HAS_OBJECTS:
        return "an object dtype whose flags deny it"
    if dtype.states and state is None:
        return "a dtype whose state could not be recovered"
    if raw and objects:
        return "raw bytes are given as object pointers"
    return _overlap(context, state) if state is not None and objects else ""


def _overlap(context: Context, state: tuple[Value, ...]) -> str:
    """Find a field that lies over an object field."""
    if len(state) < 8 or not isinstance(state[4], Container):
        return ""
    spans: list[tuple[int, int, bool]] = []
    for _, field in (context.pairs(state[4]) or [])[:MAX_FIELDS]:
        described = context.items(field)
        if described and len(described) > 1 and isinstance(described[1], int):
            size = itemsize(context, described[0]) or 1
            spans.append((described[1], described[1] + size, bool(has_objects(context, described[0]))))
    spans.sort()
    end, end_objects = -1, False
    for start, stop, objects in spans:
        if start < end and (objects or end_objects):
            return "a dtype in which another field lies over object pointers"
        if stop > end:
            end, end_objects = stop, objects
    return ""


def array_problem(context: Context, state: Value) -> str:
    """Say what is forged in an array's BUILD state."""
    parts = context.items(state) if isinstance(state, Container) and state.kind is Kind.TUPLE else None
    if parts is None:
        return ""
    if len(parts) > 5 or len(parts) < 4:  # subclasses and old versions keep other things here
        return ""
    dtype, data = parts[-3], context.settle(parts[-1])
    raw = isinstance(data, bytes | str | View)
    return dtype_problem(context, dtype, raw=raw)


def itemsize(context: Context, dtype: Value, depth: int = 0) -> int | None:
    """Give the bytes of one item, None when not known."""
    dtype = context.settle(dtype)
    code = dtype if isinstance(dtype, str) else ""
    state = None
    if isinstance(dtype, Instance) and is_dtype(dtype) and depth < 8:
        code = code_of(context, dtype)
        state = _state(context, dtype)
    match = _CODE.fullmatch(code)
    if match is None:
        return None
    letter, digits = match[1], match[2]
    if letter == "V" or (letter in "SUa" and not digits):
        size = state[5] if state is not None and len(state) > 5 else None
        return size if isinstance(size, int) and size >= 0 else (int(digits) if digits else None)
    if digits:
        return int(digits) * (4 if letter == "U" else 1)
    return 8 if letter in "mM" else _SIZES.get(letter)
