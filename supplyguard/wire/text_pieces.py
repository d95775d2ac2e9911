"""Large texts in pieces: searched as they are read, never held as a whole."""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from typing import BinaryIO, Final

from supplyguard.limits import MIB, Budget

PIECE: Final = MIB
OVERLAP: Final = 4096
"""The last bytes of a piece are given again with the next one, so that what lies across is seen whole."""
_MARKS: Final = ((codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))


def pieces(stream: BinaryIO, most: int, budget: Budget) -> Iterator[tuple[int, bytes]]:
    """Yield (offset, bytes) of the first `most` bytes; UTF-16 with a mark is given as UTF-8.

    Offsets count bytes as given. A line break is put before the first piece (offset -1), so that
    "after a line break" also means "at the start". Raises BudgetExceededError when the time is used up.
    """
    first = stream.read(3)
    encoding = next((name for mark, name in _MARKS if first.startswith(mark)), None)
    decoder = codecs.getincrementaldecoder(encoding)("replace") if encoding else None
    data, kept, place = first, b"\n", -1
    left = most
    while data and left > 0:
        left -= len(data)
        if decoder is not None:
            data = decoder.decode(data).encode("utf-8", "replace")
        elif place < 0:
            data = data.removeprefix(codecs.BOM_UTF8)
        text = kept + data
        if len(data) > 3 or left <= 0:
            yield place, text
            place += max(0, len(text) - OVERLAP)
            kept = text[-OVERLAP:]
        else:
            kept = text
        budget.check_time()
        data = stream.read(min(PIECE, max(left, 0)))
    if kept and place < 0:
        yield place, kept
