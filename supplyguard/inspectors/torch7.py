"""Torch7 files: Lua functions that a `.t7` carries as bytecode, in the binary and the ASCII form.

Format: File.lua (readObject), lib/TH/THDiskFile.c and generic/{Tensor,Storage}.c of
github.com/torch/torch7. Every object is a type tag and what it needs; the objects inside follow in a
row, so that counting the objects still to come takes the place of recursion. Storages are passed over.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing
from typing import BinaryIO, Final

from supplyguard.errors import BudgetExceededError, MalformedError
from supplyguard.finding import Evidence, Fact, Level, Notification
from supplyguard.inventory import Member, Probe
from supplyguard.limits import KIB, Budget, Resource
from supplyguard.resources import format_data
from supplyguard.streams import buffered, read_at, size_of
from supplyguard.wire.cursor import Cursor
from supplyguard.wire.number_text import NumberText

FORMAT: Final = "torch7"

SHOWN: Final = 50
MOST_DIMS: Final = 256
_NIL, _NUMBER, _STRING, _TABLE, _TORCH, _BOOLEAN = range(6)
_PLAIN_FUNCTION: Final = 6
_FUNCTIONS: Final = frozenset({6, 7, 8})
_LOOKED_AT: Final = 64 * KIB
_NAME: Final = 200
_CHECK_EVERY: Final = 4096
_BINARY_START: Final = re.compile(
    rb"\x04\0{3}.\0{3}[\x03-\x05]\0{3}V [0-9]"
    rb"|\x03\0{3}\x01\0{3}..[\0-\x0f]\0(\x02\0{3}.\0{3}[ -~]|[\x03\x04\x06-\x08]\0{3}.\0{3})"
    rb"|[\x07\x08]\0{3}\x01\0{3}...\0\x1bL|\x06\0{3}...\0\x1bL",
    re.DOTALL,
)
_TEXT_START: Final = re.compile(
    rb"4\n1\n[3-5]\nV [0-9]|3\n1\n[0-9]{1,7}\n2\n[0-9]{1,4}\n[A-Za-z_]"
    rb"|[78]\n1\n[0-9]+\n\x1bL|6\n[0-9]+\n\x1bL"
)
_TEXT: Final = re.compile(rb"\s*[0-8]\s")
_VERSION: Final = re.compile(rb"V [0-9.]+\Z")


class _Binary:
    """The numbers and bytes of the binary form; `long` has eight bytes, as on every usual machine."""

    least = 4

    def __init__(self, stream: BinaryIO, size: int) -> None:
        self._cursor = Cursor(stream, 0, size)

    @property
    def position(self) -> int:
        return self._cursor.position

    @property
    def remaining(self) -> int:
        return self._cursor.remaining

    def integer(self) -> int:
        return self._cursor.number("i")

    def long(self) -> int:
        return self._cursor.number("q")

    def skip_real(self) -> None:
        self._cursor.skip(8)

    def skip_array(self, count: int, width: int) -> None:
        self._cursor.skip(count * width)

    def characters(self, length: int, most: int) -> bytes:
        if length < 0 or length > self.remaining:
            raise MalformedError(f"{length:,} bytes expected, {self.remaining:,} left", offset=self.position)
        data = self._cursor.take(min(length, most))
        self._cursor.skip(length - len(data))
        return data


def recognizes(probe: Probe) -> bool:
    """Whether it starts like an object of Torch7, or is named as one."""
    if probe.name.lower().endswith(tuple(format_data(FORMAT)["names"])):
        return bool(probe.head)
    return _BINARY_START.match(probe.head) is not None or _TEXT_START.match(probe.head) is not None


def inspect(member: Member, budget: Budget) -> Iterator[Evidence | Notification]:
    """Yield each function; raises MalformedError where the objects break."""
    with closing(buffered(member.open())) as stream:
        size = size_of(stream)
        source: _Binary | NumberText = _Binary(stream, size)
        if _TEXT.match(read_at(stream, 0, min(size, 64))):
            if size > budget.limits.document_bytes:
                raise BudgetExceededError("document_bytes", budget.limits.document_bytes)
            source = NumberText(read_at(stream, 0, size))
        yield from _objects(member, source, budget)


def _objects(
    member: Member, source: _Binary | NumberText, budget: Budget
) -> Iterator[Evidence | Notification]:
    """Walk the objects of the file: usually one, of which the others are parts."""
    seen: set[int] = set()
    steps = functions = 0
    if source.remaining == 0:
        raise MalformedError("an empty file", offset=0)
    while source.remaining > 0:
        waiting = 1
        while waiting:
            steps += 1
            budget.spend(Resource.NODES)
            if steps % _CHECK_EVERY == 0:
                budget.check_time()
            at = source.position
            tag = source.integer()
            if tag in _FUNCTIONS:
                found = _function(member, source, tag, at, seen)
                functions += found is not None
                if found is not None and functions <= SHOWN:
                    yield found
                elif found is not None and functions == SHOWN + 1:
                    text = f"more than {SHOWN} functions: the others are not listed"
                    yield Notification(
                        code="not-listed", message=text, level=Level.NOTE, location=member.at()
                    )
                inside = int(found is not None)
            else:
                inside = _plain(source, tag, at, seen)
            waiting += inside - 1
            if waiting * source.least > source.remaining + source.least:
                text = f"{waiting:,} objects are to come in {source.remaining:,} bytes"
                raise MalformedError(text, offset=at)


def _again(source: _Binary | NumberText, seen: set[int]) -> bool:
    """Read an object's number and say whether it has been read before: then nothing follows."""
    index = source.integer()
    if index in seen:
        return True
    seen.add(index)
    return False


def _function(
    member: Member, source: _Binary | NumberText, tag: int, at: int, seen: set[int]
) -> Evidence | None:
    """Read a function; one object, its upvalues, follows. None when it was read before."""
    if tag != _PLAIN_FUNCTION and _again(source, seen):
        return None
    table = format_data(FORMAT)
    length = source.integer()
    code = source.characters(length, _LOOKED_AT)
    form = next((name for start, name in table["forms"].items() if code.startswith(bytes.fromhex(start))), "")
    words = tuple(word for word in table["words"] if re.search(rb"\b" + word.encode() + rb"\b", code))
    facts: dict[str, Fact] = {"form": form or "Lua source", "size": length, "words": words}
    return Evidence(
        kind="torch7-function",
        location=member.at(at, source.position - at),
        facts=facts,
        symbol=",".join(words),
    )


def _plain(source: _Binary | NumberText, tag: int, at: int, seen: set[int]) -> int:
    """Pass over any other object; give how many objects follow as its parts."""
    if tag == _NUMBER:
        source.skip_real()
    elif tag == _BOOLEAN:
        source.integer()
    elif tag == _STRING:
        source.characters(source.integer(), 0)
    elif tag == _TABLE:
        if not _again(source, seen):
            count = source.integer()
            if not 0 <= count <= source.remaining // source.least:
                raise MalformedError(f"a table of {count:,} in {source.remaining:,} bytes", offset=at)
            return 2 * count
    elif tag == _TORCH:
        return 0 if _again(source, seen) else _instance(source, at)
    elif tag != _NIL:
        raise MalformedError(f"an object of the type {tag}, which Torch7 does not have", offset=at)
    return 0


def _instance(source: _Binary | NumberText, at: int) -> int:
    """Pass over the head of a class' object: a storage, a tensor's shape, or what a table follows."""
    name = source.characters(source.integer(), _NAME)
    if _VERSION.match(name):
        name = source.characters(source.integer(), _NAME)
    table = format_data(FORMAT)
    kind = name.decode("latin-1")
    stored = re.fullmatch(table["storage"], kind)
    if stored is not None:
        count = source.long()
        if not 0 <= count <= source.remaining:
            raise MalformedError(f"a storage of {count:,} in {source.remaining:,} bytes", offset=at)
        source.skip_array(count, table["bytes"][stored[1] or "Float"])
        return 0
    if re.fullmatch(table["tensor"], kind):
        dims = source.integer()
        if not 0 <= dims <= MOST_DIMS:
            raise MalformedError(f"a tensor of {dims:,} dimensions", offset=at)
        for _ in range(2 * dims + 1):
            source.long()
    return 1
