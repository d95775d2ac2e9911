"""Decompressors with bounded output, by name.

lz4 and zstd come from the extra `codecs` (zstd from the standard library since Python 3.14).
Without them a stream raises UnsupportedError: it is not examined, and said so.
"""

from __future__ import annotations

import bz2
import importlib
import lzma
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Final

from supplyguard.errors import UnsupportedError
from supplyguard.limits import MIB
from supplyguard.streams import Decompressor

LZMA_MEMORY: Final = 256 * MIB
ZSTD_WINDOW_LOG: Final = 27
"""Windows up to 128 MiB, zstd's own limit for what it decodes by default."""


class _Zlib:
    """zlib's decompressobj in the manner of the other decompressors: it keeps input by itself."""

    def __init__(self, wbits: int) -> None:
        self._inner = zlib.decompressobj(wbits)
        self._more = False  # output may be pending although all input was taken

    @property
    def eof(self) -> bool:
        return self._inner.eof

    @property
    def needs_input(self) -> bool:
        return not (self._inner.eof or self._inner.unconsumed_tail or self._more)

    @property
    def unused_data(self) -> bytes:
        return self._inner.unused_data

    def decompress(self, data: bytes, max_length: int) -> bytes:
        output = self._inner.decompress(self._inner.unconsumed_tail + data, max_length)
        self._more = len(output) == max_length
        return output


class _ZipLzma:
    """LZMA as zip files have it: 4 bytes (version, size of properties), properties, raw data (5.8.8)."""

    def __init__(self) -> None:
        self._header = b""
        self._inner: lzma.LZMADecompressor | None = None

    @property
    def eof(self) -> bool:
        return self._inner is not None and self._inner.eof

    @property
    def needs_input(self) -> bool:
        return self._inner is None or self._inner.needs_input

    @property
    def unused_data(self) -> bytes:
        return self._inner.unused_data if self._inner is not None else b""

    def decompress(self, data: bytes, max_length: int) -> bytes:
        if self._inner is None:
            self._header += data
            if len(self._header) < 9:
                return b""
            if self._header[2:4] != b"\x05\0":
                raise lzma.LZMAError("properties of an unknown size")
            # the .lzma header is the same properties and an unknown size
            alone = self._header[4:9] + b"\xff" * 8
            self._inner = lzma.LZMADecompressor(lzma.FORMAT_ALONE, memlimit=LZMA_MEMORY)
            self._inner.decompress(alone, 0)
            data = self._header[9:]
        return self._inner.decompress(data, max_length)


@dataclass(frozen=True, kw_only=True, slots=True)
class NamedCodec:
    """A codec. magics: how a further stream begins that loaders read on into (none: they stop)."""

    name: str
    make: Callable[[], Decompressor]
    errors: tuple[type[Exception], ...]
    magics: tuple[bytes, ...] = ()

    def new(self) -> Decompressor:
        """Make a decompressor."""
        return self.make()

    def continues(self, rest: bytes) -> bool:
        """Whether one more stream begins."""
        return rest.startswith(self.magics) if self.magics else False


def _optional(*modules: str) -> ModuleType:
    for name in modules:
        try:
            return importlib.import_module(name)
        except ImportError:
            continue
    hint = "install supplyguard[codecs]"
    raise UnsupportedError(f"{modules[-1]} is not installed, so this was not read", hint=hint)


def _lz4() -> Decompressor:
    decoder: Decompressor = _optional("lz4.frame").LZ4FrameDecompressor()
    return decoder


class _Zstd:
    """zstd's decompressor, with errors of a kind that is known without importing it."""

    def __init__(self) -> None:
        zstd = _optional("compression.zstd", "backports.zstd")
        options = {zstd.DecompressionParameter.window_log_max: ZSTD_WINDOW_LOG}
        self._inner: Decompressor = zstd.ZstdDecompressor(options=options)
        self._error: type[Exception] = zstd.ZstdError

    @property
    def eof(self) -> bool:
        return self._inner.eof

    @property
    def needs_input(self) -> bool:
        return self._inner.needs_input

    @property
    def unused_data(self) -> bytes | None:
        return self._inner.unused_data

    def decompress(self, data: bytes, max_length: int) -> bytes:
        try:
            return self._inner.decompress(data, max_length)
        except self._error as error:
            raise ValueError(str(error)) from error


def _lzma(form: int) -> Callable[[], Decompressor]:
    return lambda: lzma.LZMADecompressor(form, memlimit=LZMA_MEMORY)


XZ_MAGIC: Final = b"\xfd7zXZ\0"
LZ4_MAGIC: Final = b"\x04\x22\x4d\x18"
ZSTD_MAGIC: Final = b"\x28\xb5\x2f\xfd"

_LZMA_ERRORS: Final = (lzma.LZMAError, EOFError)
SKIPPABLE: Final = tuple(bytes([0x50 + low]) + b"\x2a\x4d\x18" for low in range(16))
"""Frames of user data that lz4 and zstd decoders skip (RFC 8878, 3.1.2)."""

GZIP: Final = NamedCodec(name="gzip", make=lambda: _Zlib(31), errors=(zlib.error,), magics=(b"\x1f\x8b\x08",))
ZLIB: Final = NamedCodec(name="zlib", make=lambda: _Zlib(15), errors=(zlib.error,))
DEFLATE: Final = NamedCodec(name="deflate", make=lambda: _Zlib(-15), errors=(zlib.error,))
BZIP2: Final = NamedCodec(
    name="bzip2", make=bz2.BZ2Decompressor, errors=(OSError, EOFError, ValueError), magics=(b"BZh",)
)
XZ: Final = NamedCodec(name="xz", make=_lzma(lzma.FORMAT_XZ), errors=_LZMA_ERRORS, magics=(XZ_MAGIC,))
LZMA: Final = NamedCodec(name="lzma", make=_lzma(lzma.FORMAT_ALONE), errors=_LZMA_ERRORS)
ZIP_LZMA: Final = NamedCodec(name="lzma", make=_ZipLzma, errors=_LZMA_ERRORS)
LZ4: Final = NamedCodec(
    name="lz4", make=_lz4, errors=(RuntimeError, EOFError, ValueError), magics=(LZ4_MAGIC, *SKIPPABLE)
)
ZSTD: Final = NamedCodec(
    name="zstd", make=_Zstd, errors=(ValueError, EOFError), magics=(ZSTD_MAGIC, *SKIPPABLE)
)


def unread(name: str) -> NamedCodec:
    """Make a codec that is recognised and not read here: its decompressor raises UnsupportedError."""

    def refuse() -> Decompressor:
        raise UnsupportedError(f"{name} compression is not read here")

    return NamedCodec(name=name, make=refuse, errors=())
