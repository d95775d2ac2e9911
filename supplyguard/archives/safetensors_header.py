"""The header of a safetensors file, parsed as strictly as the library does and with what it forgives.

Every deviation is kept as a Flaw instead of being an error, so that one file shows all of them.
Format and dtypes: safetensors/src/tensor.rs of huggingface/safetensors 0.8.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any, Final

from supplyguard.errors import MalformedError
from supplyguard.limits import Limits

BITS: Final = {
    **dict.fromkeys(("BOOL", "U8", "I8"), 8),
    **dict.fromkeys(("F8_E4M3", "F8_E5M2", "F8_E8M0", "F8_E4M3FNUZ", "F8_E5M2FNUZ"), 8),
    "F4": 4,
    **dict.fromkeys(("F6_E2M3", "F6_E3M2"), 6),
    **dict.fromkeys(("I16", "U16", "F16", "BF16"), 16),
    **dict.fromkeys(("I32", "U32", "F32"), 32),
    **dict.fromkeys(("I64", "U64", "F64", "C64"), 64),
}
"""Bits of one element, by dtype."""
METADATA: Final = "__metadata__"
FIELDS: Final = ("dtype", "shape", "data_offsets")
ORDINARY_DEPTH: Final = 4
"""{ name: { shape: [ ] } } nests three deep."""
_USIZE: Final = 1 << 64
_STRINGS: Final = re.compile(rb'"(?:[^"\\]++|\\.)*+(?:"|\\?\Z)', re.DOTALL)
"""A string, or an unclosed one to the end: so that each byte is looked at once."""
_NOT_BRACKETS: Final = bytes(set(range(256)) - set(b"[]{}"))


@dataclass(frozen=True, kw_only=True, slots=True)
class Flaw:
    """A deviation. what: its kind; name: the tensor or key; detail: in words."""

    what: str
    name: str
    detail: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Header:
    """Tensors by name as (begin, end) in the data section, metadata, and all deviations."""

    tensors: dict[str, tuple[int, int]]
    metadata: dict[str, str]
    flaws: tuple[Flaw, ...]


class _Number(float):
    """A JSON number that is no integer for the library: a fraction, an exponent or -0."""


class _Pairs(list[tuple[str, Any]]):
    """A JSON object with its keys in order, duplicates kept."""


def parse_header(text: bytes, data_size: int, limits: Limits) -> Header:
    """Parse a header whose data section has `data_size` bytes; MalformedError when it is no JSON object."""
    flaws: list[Flaw] = []
    document = _document(text, limits, flaws)
    tensors: dict[str, tuple[int, int]] = {}
    metadata: dict[str, str] = {}
    seen: set[str] = set()
    for name, value in document:
        if name in seen:
            what = "duplicate field" if name == METADATA else "duplicate tensor"
            flaws.append(Flaw(what=what, name=name, detail="is there twice"))
        seen.add(name)
        if name == METADATA:
            metadata = _metadata(value, flaws)
        else:
            tensors.pop(name, None)
            place = _tensor(name, value, flaws)
            if place is not None:
                tensors[name] = place
    flaws += _coverage(tensors, data_size, complete=len(tensors) == len(seen - {METADATA}))
    return Header(tensors=tensors, metadata=metadata, flaws=tuple(flaws))


def _document(text: bytes, limits: Limits, flaws: list[Flaw]) -> _Pairs:
    padded = text.lstrip(b" \t\r\n")
    if len(padded) != len(text) or len(text.rstrip(b" ")) != len(text.rstrip(b" \t\r\n\0")):
        flaws.append(Flaw(what="padding", name="", detail="is not made of trailing spaces"))
    trimmed = text.rstrip(b" \t\r\n\0")
    depth = _depth(text, limits)
    if depth > ORDINARY_DEPTH:
        flaws.append(Flaw(what="nesting", name="", detail=f"is {depth} deep"))
    try:
        plain = trimmed.decode("utf-8")
        document = json.loads(
            plain,
            object_pairs_hook=_Pairs,
            parse_constant=_refuse,
            parse_float=_Number,
            parse_int=_integer,
        )
        if "\\u" in plain:
            json.dumps(document, ensure_ascii=False).encode("utf-8")
    except (ValueError, RecursionError) as error:
        raise MalformedError(f"the header is not JSON as safetensors has it: {error}", offset=8) from error
    if not isinstance(document, _Pairs):
        raise MalformedError("the header is not a JSON object", offset=8)
    return document


def _depth(text: bytes, limits: Limits) -> int:
    """Measure the nesting without parsing; raises MalformedError beyond the limits."""
    if text.count(b":") + text.count(b",") > limits.nodes:
        raise MalformedError(f"the header has more than {limits.nodes:,} values", offset=8)
    depth = deepest = 0
    for byte in _STRINGS.sub(b"", text).translate(None, _NOT_BRACKETS):
        if byte in b"[{":
            depth += 1
            deepest = max(deepest, depth)
            if depth > limits.document_depth:
                raise MalformedError(f"the header nests more than {limits.document_depth} deep", offset=8)
        else:
            depth -= 1
    return deepest


def _refuse(word: str) -> Any:
    raise ValueError(f"{word} is no JSON")


def _integer(digits: str) -> int | _Number:
    return _Number(0) if digits == "-0" else int(digits)


def _metadata(value: Any, flaws: list[Flaw]) -> dict[str, str]:
    found: dict[str, str] = {}
    if value is None:
        return found
    if not isinstance(value, _Pairs):
        flaws.append(Flaw(what="metadata type", name=METADATA, detail="is not an object"))
        return found
    for key, text in value:
        if key in found:
            flaws.append(Flaw(what="duplicate key", name=key, detail="is there twice in the metadata"))
        if isinstance(text, str):
            found[key] = text
        else:
            flaws.append(Flaw(what="metadata type", name=key, detail="is not a string"))
    return found


def _tensor(name: str, value: Any, flaws: list[Flaw]) -> tuple[int, int] | None:
    """Check one entry; None when its place in the data is not known."""
    if isinstance(value, list) and not isinstance(value, _Pairs) and len(value) == len(FIELDS):
        flaws.append(Flaw(what="extra field", name=name, detail="is a list instead of an object"))
        value = _Pairs(zip(FIELDS, value, strict=True))
    if not isinstance(value, _Pairs):
        flaws.append(Flaw(what="tensor", name=name, detail="is not an object"))
        return None
    fields: dict[str, Any] = {}
    for key, part in value:
        if key in fields and key in FIELDS:
            flaws.append(Flaw(what="duplicate field", name=name, detail=f"has {key} twice"))
        elif key not in FIELDS:
            flaws.append(Flaw(what="extra field", name=name, detail=f"has a field {key!r}"))
        fields[key] = part
    bits = BITS.get(fields["dtype"]) if isinstance(fields.get("dtype"), str) else None
    if bits is None:
        flaws.append(Flaw(what="dtype", name=name, detail=f"has the dtype {fields.get('dtype')!r:.40}"))
    shape = _numbers(fields.get("shape"))
    offsets = _numbers(fields.get("data_offsets"))
    if shape is None:
        flaws.append(Flaw(what="tensor", name=name, detail="has no shape of whole numbers"))
    if offsets is None or len(offsets) != 2:
        flaws.append(Flaw(what="tensor", name=name, detail="has no two offsets"))
        return None
    begin, end = offsets
    if bits is not None and shape is not None and (problem := _misfit(shape, bits, begin, end)):
        flaws.append(Flaw(what="tensor", name=name, detail=problem))
    return begin, end


def _numbers(value: Any) -> list[int] | None:
    """Give a list of unsigned 64-bit numbers, or None."""
    if not isinstance(value, list) or isinstance(value, _Pairs):
        return None
    if all(type(each) is int and 0 <= each < _USIZE for each in value):
        return value
    return None


def _misfit(shape: list[int], bits: int, begin: int, end: int) -> str | None:
    """Say how a shape does not fit its bytes."""
    total = 1
    for size in (*shape, bits):
        total *= size
        if total >= _USIZE:
            return "has a size that overflows 64 bits"
    if total % 8:
        return "does not end at a byte"
    if end - begin != total // 8:
        return f"has {end - begin:,} bytes for {total // 8:,}"
    return None


def _coverage(tensors: dict[str, tuple[int, int]], data_size: int, *, complete: bool) -> list[Flaw]:
    """Check that tensors follow each other without hole or overlap to the end of the file."""
    flaws: list[Flaw] = []
    reached = 0
    for name, (begin, end) in sorted(tensors.items(), key=lambda item: item[1]):
        if begin > reached and complete:
            flaws.append(
                Flaw(what="coverage", name=name, detail=f"begins {begin - reached:,} bytes too late")
            )
        elif begin < reached:
            flaws.append(
                Flaw(what="coverage", name=name, detail=f"begins {reached - begin:,} bytes too early")
            )
        elif end < begin:
            flaws.append(Flaw(what="coverage", name=name, detail="ends before it begins"))
        reached = max(reached, end)
    if reached > data_size:
        flaws.append(Flaw(what="coverage", name="", detail=f"the file lacks {reached - data_size:,} bytes"))
    elif reached < data_size and complete:
        flaws.append(
            Flaw(what="coverage", name="", detail=f"{data_size - reached:,} bytes belong to no tensor")
        )
    return flaws
