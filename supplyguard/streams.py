"""Views of bytes: a range of a parent, and the content of a compressed stream.

Both are seekable binary readers. When the bytes end early or break, `read(n)` first gives what is
there and only the next call raises, so that what a loader would have run before the error is seen.
`read()` of everything raises.
"""

from __future__ import annotations

import io
import tempfile
import weakref
from bisect import bisect_right
from collections.abc import Callable
from typing import BinaryIO, Final, Protocol, cast

from supplyguard.errors import BudgetExceededError, MalformedError, SupplyguardError, UnreadableError
from supplyguard.limits import KIB, MIB, Budget, Resource

CHUNK: Final = 64 * KIB
FIRST_CHUNK: Final = 512
"""Input of a stream's first step; doubled up to CHUNK, so that thousands of tiny streams stay cheap."""
PRODUCE: Final = 256 * KIB
"""At most so many bytes come out of one call of a decompressor."""
IN_MEMORY: Final = 8 * MIB
"""How much inflated content of one artifact is kept in memory before it goes to a temporary file."""


def read_at(stream: BinaryIO, offset: int, length: int) -> bytes:
    """Read `length` bytes at `offset`; raises MalformedError when there are fewer."""
    stream.seek(offset)
    data = stream.read(length)
    while len(data) < length:
        more = stream.read(length - len(data))
        if not more:
            raise MalformedError(f"ends early: {length:,} bytes expected", offset=offset)
        data += more
    return data


def buffered(stream: BinaryIO) -> BinaryIO:
    """Wrap a reader for many small reads; closing either closes both."""
    return io.BufferedReader(cast("io.RawIOBase", stream))


def size_of(stream: BinaryIO) -> int:
    """Measure a stream by seeking to its end; of a compressed one that inflates everything."""
    return stream.seek(0, io.SEEK_END)


class _View(io.RawIOBase, BinaryIO):
    """What both readers share: a position, and `read` in terms of `_read_at` and `_length`."""

    def __init__(self) -> None:
        super().__init__()
        self._position = 0

    def _read_at(self, position: int, size: int) -> bytes:
        raise NotImplementedError

    def _length(self) -> int:
        raise NotImplementedError

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        if whence == io.SEEK_CUR:
            offset += self._position
        elif whence == io.SEEK_END:
            offset += self._length()
        self._position = max(0, offset)
        return self._position

    def read(self, size: int | None = -1, /) -> bytes:
        if size is None or size < 0:
            return self.readall()
        if size == 0:
            return b""
        data = self._read_at(self._position, size)
        self._position += len(data)
        return data

    def readall(self) -> bytes:
        parts: list[bytes] = []
        while part := self.read(MIB):
            parts.append(part)
        return b"".join(parts)

    def readinto(self, buffer: bytearray | memoryview, /) -> int:  # type: ignore[override]
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)


class SliceReader(_View):
    """The bytes [offset, offset + length) of `parent`, which it owns and closes.

    Raises MalformedError where the parent ends before the range does.
    """

    def __init__(self, parent: BinaryIO, offset: int, length: int) -> None:
        super().__init__()
        self._parent = parent
        self._offset = offset
        self._size = length

    def _length(self) -> int:
        return self._size

    def _read_at(self, position: int, size: int) -> bytes:
        size = min(size, self._size - position)
        if size <= 0:
            return b""
        self._parent.seek(self._offset + position)
        data = self._parent.read(size)
        if not data:
            raise MalformedError("ends early: its container holds fewer bytes", offset=position)
        return data

    def close(self) -> None:  # noqa: D102 - as everywhere
        if not self.closed:
            self._parent.close()
        super().close()


class Decompressor(Protocol):
    """What bz2's, lzma's, lz4's and zstd's decompressors have in common."""

    @property
    def eof(self) -> bool:
        """Whether the end of the stream was reached."""
        ...

    @property
    def needs_input(self) -> bool:
        """Whether it gives nothing more without further input."""
        ...

    @property
    def unused_data(self) -> bytes | None:
        """Input after the end of the stream."""
        ...

    def decompress(self, data: bytes, max_length: int) -> bytes:
        """Take all of `data`, give at most `max_length` bytes."""
        ...


class Codec(Protocol):
    """How one compression is undone."""

    @property
    def name(self) -> str:
        """For messages."""
        ...

    @property
    def errors(self) -> tuple[type[Exception], ...]:
        """What its decompressor raises on broken input."""
        ...

    def new(self) -> Decompressor:
        """Make a decompressor; raises UnsupportedError when the codec is not installed."""
        ...

    def continues(self, rest: bytes) -> bool:
        """Whether `rest`, what follows a stream's end, is one more stream that loaders read on into."""
        ...


class Allowance:
    """How much all streams of one archive may produce: its size times the ratio of the Budget."""

    def __init__(self, budget: Budget, size: int) -> None:
        self._limits = budget.limits
        self._most = max(self._limits.ratio_floor, self._limits.inflate_ratio * size)
        self._produced = 0

    def spend(self, amount: int) -> None:
        """Count; raises BudgetExceededError."""
        self._produced += amount
        if self._produced > self._most:
            raise BudgetExceededError("inflate_ratio", self._limits.inflate_ratio)


class Inflation:
    """The content of a compressed stream: inflated once, as far as asked for, and kept for re-reading.

    source: opens the compressed bytes. size: how many there are. allowance: shared by the streams
    of one archive. Content goes to the one scratch file of the Budget, so it costs memory only
    while it is small, and its total is bounded by `Limits.inflated_bytes`.
    """

    def __init__(
        self, source: Callable[[], BinaryIO], size: int, codec: Codec, budget: Budget, allowance: Allowance
    ) -> None:
        self._open_source = source
        self._size = size
        self._codec = codec
        self._budget = budget
        self._allowance = allowance
        self._scratch = _scratch_of(budget)
        self._starts: list[int] = []  # where each extent begins in the content ...
        self._places: list[int] = []  # ... and in the scratch file
        self._decoder: Decompressor | None = None
        self._source: BinaryIO | None = None
        self._readers = 0
        self._fed = 0
        self._chunk = FIRST_CHUNK
        self._last_feed = 0
        self._stream_at = 0  # where the current one of concatenated streams begins ...
        self._stream_content = 0  # ... and its content
        self.produced = 0
        self.finished = False
        self.error: SupplyguardError | None = None
        self.end: int | None = None

    def open(self) -> InflateReader:
        """Give a new reader, at 0."""
        self._readers += 1
        return InflateReader(self)

    def release(self) -> None:
        """Note that a reader was closed; the source is closed with the last one."""
        self._readers -= 1
        if self._readers == 0 and self._source is not None:
            self._source.close()
            self._source = None

    def advance(self, target: int) -> None:
        """Inflate until `target` bytes are there, the end is reached or `error` is set."""
        while self.produced < target and not self.finished and self.error is None:
            try:
                self._step()
            except SupplyguardError as error:
                self.error = error
            except self._codec.errors as error:
                broken = MalformedError(f"broken {self._codec.name} data: {error}", offset=self._fed)
                self.error = self._salvage(broken)
            except OSError as error:
                self.error = UnreadableError(f"cannot keep inflated content: {error.strerror or error}")

    def read_at(self, position: int, size: int) -> bytes:
        """Give up to `size` bytes; raises `error` when there are none before it."""
        self.advance(position + size)
        size = min(size, self.produced - position)
        if size <= 0:
            if self.error is not None:
                raise self.error
            return b""
        parts: list[bytes] = []
        while size > 0:
            index = bisect_right(self._starts, position) - 1
            end = self._starts[index + 1] if index + 1 < len(self._starts) else self.produced
            self._scratch.seek(self._places[index] + position - self._starts[index])
            part = self._scratch.read(min(size, end - position))
            parts.append(part)
            position += len(part)
            size -= len(part)
        return b"".join(parts)

    def _step(self) -> None:
        self._budget.check_time()
        if self._decoder is None:
            self._decoder = self._codec.new()
        data = b""
        if self._decoder.needs_input:
            self._last_feed = self._fed
            data = self._feed(self._chunk)
            self._chunk = min(2 * self._chunk, CHUNK)
        if self._decoder.needs_input and not data:
            raise MalformedError(f"{self._codec.name} data ends early", offset=self._fed)
        self._keep(self._decoder.decompress(data, PRODUCE))
        if self._decoder.eof:
            self._next_stream(self._fed - len(self._decoder.unused_data or b""))

    def _feed(self, length: int) -> bytes:
        if self._source is None:
            self._source = self._open_source()
        self._source.seek(self._fed)
        data = self._source.read(min(length, self._size - self._fed))
        self._fed += len(data)
        return data

    def _next_stream(self, end: int) -> None:
        """After a stream that ended at `end`: go on with the next one, or finish there."""
        self._fed = end
        rest = self._feed(FIRST_CHUNK)
        padding = len(rest) - len(rest.lstrip(b"\0"))
        if not self._codec.continues(rest[padding:]):
            self.finished = True
            self.end = end
            return
        self._fed = end + padding
        self._stream_at = self._fed
        self._stream_content = self.produced
        self._decoder = None
        self._chunk = FIRST_CHUNK

    def _salvage(self, broken: SupplyguardError) -> SupplyguardError:
        """Keep what came out of the last step's input before it broke; a decompressor drops that.

        The current stream is inflated again, and its last input byte by byte. Loaders that check a
        checksum only at the end, or ask for less at a time, get these bytes too.
        """
        decoder = self._codec.new()
        last = self._last_feed
        content = self._stream_content
        self._fed = self._stream_at
        try:
            while not decoder.eof:
                data = b""
                if decoder.needs_input:
                    data = self._feed(1 if self._fed >= last else min(CHUNK, last - self._fed))
                    if not data:
                        break
                output = decoder.decompress(data, PRODUCE)
                self._keep(output[max(0, self.produced - content) :])
                content += len(output)
        except SupplyguardError as error:
            return error
        except self._codec.errors:
            pass  # as before, and nothing more to be had
        return broken

    def _keep(self, data: bytes) -> None:
        if not data:
            return
        limits = self._budget.limits
        if (
            self.produced + len(data) > limits.ratio_floor
            and self.produced + len(data) > limits.inflate_ratio * self._fed
        ):
            raise BudgetExceededError("inflate_ratio", limits.inflate_ratio)
        self._allowance.spend(len(data))
        self._budget.spend(Resource.INFLATED_BYTES, len(data))
        place = self._scratch.seek(0, io.SEEK_END)
        self._scratch.write(data)
        last = self._places[-1] + self.produced - self._starts[-1] if self._starts else None
        if last != place:
            self._starts.append(self.produced)
            self._places.append(place)
        self.produced += len(data)


class InflateReader(_View):
    """A reader of an Inflation's content."""

    def __init__(self, inflation: Inflation) -> None:
        super().__init__()
        self._inflation = inflation

    def _length(self) -> int:
        while not self._inflation.finished:
            if self._inflation.error is not None:
                raise self._inflation.error
            self._inflation.advance(self._inflation.produced + MIB)
        return self._inflation.produced

    def _read_at(self, position: int, size: int) -> bytes:
        return self._inflation.read_at(position, size)

    def close(self) -> None:  # noqa: D102 - as everywhere
        if not self.closed:
            self._inflation.release()
        super().close()


_scratches: weakref.WeakKeyDictionary[Budget, tempfile.SpooledTemporaryFile[bytes]] = (
    weakref.WeakKeyDictionary()
)


def _scratch_of(budget: Budget) -> tempfile.SpooledTemporaryFile[bytes]:
    """Give the one scratch file of an artifact's Budget; it is deleted with it."""
    scratch = _scratches.get(budget)
    if scratch is None:
        scratch = tempfile.SpooledTemporaryFile(max_size=IN_MEMORY)  # noqa: SIM115 - closed by finalize
        _scratches[budget] = scratch
        weakref.finalize(budget, scratch.close)
    return scratch
