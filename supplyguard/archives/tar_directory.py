"""Our own reader of tar headers: one walk over 512-byte blocks, overrides kept beside what they override.

Python's tarfile resolves pax and GNU overrides without a word; here both values are seen. Formats:
POSIX.1-2017 (pax), and "GNU tar and POSIX tar" in GNU tar's manual.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import BinaryIO, Final

from supplyguard.errors import BudgetExceededError, MalformedError
from supplyguard.limits import MIB, Budget
from supplyguard.streams import read_at

BLOCK: Final = 512
LARGEST_OVERRIDE: Final = MIB
SPARSE_BLOCKS: Final = 500
"""Continuation blocks of a GNU sparse map, 21 runs each."""
_TIME_STEP: Final = 1024
_RECORD: Final = re.compile(rb"([0-9]{1,7}) ([^=\n]{1,300})=")


@dataclass(frozen=True, kw_only=True, slots=True)
class TarHeader:
    """A member. name, link: effective; `overridden`: fields whose override contradicts the header.

    kind: the type flag, "0" for a regular file. offset: of its header, data: of its bytes.
    """

    offset: int
    data: int
    size: int
    name: str
    link: str
    kind: str
    mode: int
    overridden: tuple[str, ...]

    @property
    def is_file(self) -> bool:
        """Whether readers take it for a regular file (unknown types are taken for one)."""
        return self.kind not in "123456"


@dataclass(kw_only=True, slots=True)
class _Overrides:
    """What pax and GNU headers say of the next member; `always` is of all that follow."""

    always: dict[str, str] = field(default_factory=dict)
    next: dict[str, str] = field(default_factory=dict)


def is_tar(head: bytes) -> bool:
    """Whether the first block is a tar header: its checksum is right."""
    return len(head) >= BLOCK and head[0] != 0 and _checked(head[:BLOCK])


def walk_tar(stream: BinaryIO, size: int, budget: Budget) -> Iterator[TarHeader]:
    """Yield members to the end mark; raises MalformedError where a header is broken or missing."""
    place = 0
    count = 0
    overrides = _Overrides()
    while place < size:
        block = read_at(stream, place, BLOCK)
        if not any(block):
            return
        if not _checked(block):
            raise MalformedError("a header's checksum is wrong", offset=place)
        count += 1
        if count > budget.limits.members:
            raise BudgetExceededError("members", budget.limits.members)
        if count % _TIME_STEP == 0:
            budget.check_time()
        if block[156:157] in (b"x", b"g", b"X", b"L", b"K"):
            place = _read_override(stream, block, place, size, overrides)
            continue
        header = _member(stream, block, place, overrides)
        overrides.next = {}
        yield header
        place = _after(header.data, header.size if header.is_file or header.kind == "1" else 0)
    if place > size:
        raise MalformedError("the last member is cut", offset=size)


def end_of_tar(stream: BinaryIO, start: int, size: int) -> int:
    """Find the first block after the end mark at `start` that is not zero; `size` when there is none."""
    place = start
    while place < size:
        data = read_at(stream, place, min(BLOCK * 128, size - place))
        if data.strip(b"\0"):
            first = len(data) - len(data.lstrip(b"\0"))
            return place + first - first % BLOCK
        place += len(data)
    return size


def _after(data: int, size: int) -> int:
    return data + -(-size // BLOCK) * BLOCK


def _checked(block: bytes) -> bool:
    try:
        stated = _number(block[148:156])
    except ValueError:
        return False
    plain = sum(block) - sum(block[148:156]) + 8 * 32
    signed = plain - 256 * sum(byte > 127 for byte in block[:148] + block[156:])
    return stated in (plain, signed)


def _number(text: bytes) -> int:
    """Read an octal or base-256 number; raises ValueError."""
    if text[:1] in (b"\x80", b"\xff"):
        value = int.from_bytes(text[1:], "big")
        return value if text[0] == 0x80 else value - (1 << 8 * (len(text) - 1))
    digits = text.split(b"\0", 1)[0].strip(b" ")
    if digits and not re.fullmatch(rb"[0-7]+", digits):
        raise ValueError(digits)
    return int(digits or b"0", 8)


def _text(raw: bytes) -> str:
    return raw.split(b"\0", 1)[0].decode("utf-8", "backslashreplace")


def _size(block: bytes, place: int) -> int:
    try:
        size = _number(block[124:136])
    except ValueError as error:
        raise MalformedError("a size is no octal number", offset=place + 124) from error
    if size < 0:
        raise MalformedError("a size is negative", offset=place + 124)
    return size


def _read_override(stream: BinaryIO, block: bytes, place: int, size: int, overrides: _Overrides) -> int:
    """Take in a pax or GNU header and give where the next header is."""
    length = _size(block, place)
    if length > min(LARGEST_OVERRIDE, size - place - BLOCK):
        raise MalformedError("an extended header is too long", offset=place)
    data = read_at(stream, place + BLOCK, length)
    kind = block[156:157]
    if kind in b"LK":
        overrides.next["path" if kind == b"L" else "linkpath"] = _text(data)
    else:
        target = overrides.always if kind == b"g" else overrides.next
        target.update(_pax(data, place + BLOCK))
    return _after(place + BLOCK, length)


def _pax(data: bytes, offset: int) -> Iterator[tuple[str, str]]:
    place = 0
    while place < len(data) and data[place]:
        found = _RECORD.match(data, place)
        length = int(found[1]) if found is not None else 0
        end = place + length
        if found is None or found.end() >= end or end > len(data) or data[end - 1 : end] != b"\n":
            raise MalformedError("an extended header's record is broken", offset=offset + place)
        yield _text(found[2]), data[found.end() : end - 1].decode("utf-8", "backslashreplace")
        place = end


def _member(stream: BinaryIO, block: bytes, place: int, overrides: _Overrides) -> TarHeader:
    name = _text(block[:100])
    prefix = _text(block[345:500])
    if prefix and block[257:263] == b"ustar\0":
        name = f"{prefix}/{name}"
    link = _text(block[157:257])
    size = _size(block, place)
    said = overrides.always | overrides.next
    overridden: list[str] = []
    if _contradicts(name, said.get("path")):
        overridden.append("name")
    if _contradicts(link, said.get("linkpath")):
        overridden.append("link")
    wide = said.get("size")
    if wide is not None:
        if not re.fullmatch(r"[0-9]{1,19}", wide):
            raise MalformedError("a size is no decimal number", offset=place)
        if size not in (0, int(wide)):
            overridden.append("size")
        size = int(wide)
    kind = block[156:157].decode("latin-1")
    data = place + BLOCK
    if kind == "S":
        data = _after_sparse_map(stream, block, place)
    try:
        mode = _number(block[100:108])
    except ValueError:
        mode = 0
    return TarHeader(
        offset=place,
        data=data,
        size=size,
        name=said.get("path", name),
        link=said.get("linkpath", link),
        kind="0" if kind == "\0" else kind,
        mode=mode,
        overridden=tuple(overridden),
    )


def _contradicts(plain: str, override: str | None) -> bool:
    """Whether an override says another thing although the plain field could have held it."""
    if override is None or not override.isascii() or len(override) >= 100:
        return False
    return override.rstrip("/") != plain.rstrip("/")


def _after_sparse_map(stream: BinaryIO, block: bytes, place: int) -> int:
    """Skip the continuation blocks of a GNU sparse map (byte 482 of the header, 504 of each block)."""
    more = block[482]
    for _ in range(SPARSE_BLOCKS):
        place += BLOCK
        if not more:
            return place
        more = read_at(stream, place, BLOCK)[504]
    raise MalformedError("a sparse map is too long", offset=place)
