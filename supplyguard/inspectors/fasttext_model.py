"""fastText models: arguments, dictionary and matrices that do not fit the file.

Format: src/{fasttext,args,dictionary,densematrix,quantmatrix,productquantizer}.cc of
github.com/facebookresearch/fastText, version 12 (and 11, without a difference here). Little-endian; the
native reader allocates what the numbers ask for. Words are passed over, matrices are skipped.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Final

from supplyguard.errors import MalformedError, UnsupportedError
from supplyguard.finding import Evidence, Fact
from supplyguard.inventory import Member, Probe
from supplyguard.limits import MIB, Budget, Resource
from supplyguard.streams import buffered, size_of
from supplyguard.wire.cursor import Cursor

FORMAT: Final = "fasttext_model"

MAGIC: Final = bytes.fromhex("ba164f2f")
VERSIONS: Final = (11, 12)
LEAST_ENTRY: Final = 10
"""A word's NUL, i64 count and i8 kind."""
_CENTROIDS: Final = 256
_ARGUMENTS: Final = 12


def recognizes(probe: Probe) -> bool:
    """Whether the magic is there."""
    return probe.head.startswith(MAGIC)


def inspect(member: Member, budget: Budget) -> Iterator[Evidence]:
    """Walk the file; raises MalformedError after the Evidence of what does not fit."""
    with closing(buffered(member.open())) as stream:
        size = size_of(stream)
        cursor = Cursor(stream, 4, size)
        try:
            version = cursor.number("i")
            if version not in VERSIONS:
                raise UnsupportedError(f"fastText version {version}, which is not read here")
            _model(cursor, budget)
        except MalformedError as error:
            facts: dict[str, Fact] = {"detail": error.message}
            yield Evidence(kind="fasttext-flaw", location=member.at(error.offset), facts=facts)
            raise
        if cursor.remaining:
            facts = {"length": cursor.remaining}
            place = member.at(cursor.position, cursor.remaining)
            yield Evidence(kind="fasttext-trailing", location=place, facts=facts)


def _model(cursor: Cursor, budget: Budget) -> None:
    arguments = [cursor.number("i") for _ in range(_ARGUMENTS)]
    cursor.skip(8)
    if arguments[0] <= 0 or any(value < 0 for value in arguments[1:4]):
        raise MalformedError(f"arguments that make no sense (dimension {arguments[0]:,})", offset=8)
    _dictionary(cursor, budget)
    for _ in range(2):
        quantised = cursor.number("B")
        if quantised > 1:
            raise MalformedError("a flag that is neither 0 nor 1", offset=cursor.position - 1)
        if quantised:
            _quantised(cursor)
        else:
            _matrix(cursor)


def _dictionary(cursor: Cursor, budget: Budget) -> None:
    at = cursor.position
    size, words, labels = (cursor.number("i") for _ in range(3))
    tokens, pruned = cursor.number("q"), cursor.number("q")
    # labels and tokens differ from what is listed in models that were cut down, so only signs are compared
    if min(size, words, labels, tokens) < 0 or pruned < -1:
        raise MalformedError("a dictionary of a negative size", offset=at)
    if size > cursor.remaining // LEAST_ENTRY:
        raise MalformedError(f"claims {size:,} words in {cursor.remaining:,} bytes", offset=at)
    for number in range(size):
        if number & 4095 == 0:
            budget.check_time()
        budget.spend(Resource.NODES)
        _word(cursor)
        cursor.skip(9)
    if pruned > 0:
        _sized(cursor, pruned, 8, "pruned words")


def _word(cursor: Cursor) -> None:
    """Pass over text up to its NUL."""
    start = cursor.position
    width = 32
    while True:
        piece = cursor.take(min(width, cursor.remaining))
        end = piece.find(b"\0")
        if end >= 0:
            cursor.position += end + 1 - len(piece)
            return
        if not cursor.remaining or cursor.position - start > MIB:
            raise MalformedError("a word without an end", offset=start)
        width = 4096


def _matrix(cursor: Cursor) -> None:
    at = cursor.position
    rows, columns = cursor.number("q"), cursor.number("q")
    if rows < 0 or columns < 0:
        raise MalformedError("a matrix of a negative size", offset=at)
    _sized(cursor, rows * columns, 4, "numbers of a matrix")


def _quantised(cursor: Cursor) -> None:
    normed = cursor.number("B")
    at = cursor.position
    rows, columns, codes = cursor.number("q"), cursor.number("q"), cursor.number("i")
    if min(rows, columns, codes) < 0:
        raise MalformedError("a matrix of a negative size", offset=at)
    _sized(cursor, codes, 1, "codes of a matrix")
    _quantiser(cursor)
    if normed:
        _sized(cursor, rows, 1, "norms of a matrix")
        _quantiser(cursor)


def _quantiser(cursor: Cursor) -> None:
    at = cursor.position
    dimension, parts, width, last = (cursor.number("i") for _ in range(4))
    if min(dimension, parts, width, last) < 0:
        raise MalformedError("a quantiser of a negative size", offset=at)
    _sized(cursor, dimension * _CENTROIDS, 4, "centroids")


def _sized(cursor: Cursor, count: int, width: int, what: str) -> None:
    if count * width > cursor.remaining:
        raise MalformedError(
            f"claims {count:,} {what}, {cursor.remaining:,} bytes are left", offset=cursor.position
        )
    cursor.skip(count * width)
