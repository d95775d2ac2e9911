"""Decoders and decompressors that are worked out symbolically: they only compute, within limits."""

from __future__ import annotations

import base64
import binascii
import bz2
import codecs
import lzma
import quopri
import warnings
import zlib
from collections.abc import Callable
from typing import Final

from supplyguard.limits import MIB

MAX_DATA: Final = 16 * MIB
"""A bytes operand longer than this is not computed with, and no result gets longer."""


def unescaped(text: bytes) -> bytes:
    """Decode the escapes of a bytes literal; one that Python does not know stands for itself."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return codecs.escape_decode(text)[0]


def tried(function: Callable[[bytes], bytes] | Callable[[str], bytes], data: bytes | str) -> bytes | None:
    """Decode; None when the data is not of the kind."""
    try:
        return function(data)  # type: ignore[arg-type]
    except (ValueError, EOFError, OSError, zlib.error, lzma.LZMAError, UnicodeError):
        return None


def _unzlib(data: bytes) -> bytes:
    for wbits in (47, -15):
        decoder = zlib.decompressobj(wbits)
        try:
            return decoder.decompress(data, MAX_DATA)
        except zlib.error:
            continue
    raise ValueError("not deflated")


DECODERS: Final[dict[str, Callable[[bytes], bytes]]] = {
    "base64": base64.b64decode,
    "urlsafe": base64.urlsafe_b64decode,
    "base32": base64.b32decode,
    "base85": base64.b85decode,
    "ascii85": base64.a85decode,
    "hex": binascii.unhexlify,
    "quopri": quopri.decodestring,
    "uu": binascii.a2b_uu,
    "zlib": _unzlib,
    "zip": _unzlib,
    "bz2": lambda data: bz2.BZ2Decompressor().decompress(data, MAX_DATA),
    "lzma": lambda data: lzma.LZMADecompressor(memlimit=128 << 20).decompress(data, MAX_DATA),
    "escape": unescaped,
}
CODEC_OF: Final = {
    "b64decode": "base64",
    "standard_b64decode": "base64",
    "decodebytes": "base64",
    "a2b_base64": "base64",
    "urlsafe_b64decode": "urlsafe",
    "b32decode": "base32",
    "b85decode": "base85",
    "a85decode": "ascii85",
    "b16decode": "hex",
    "unhexlify": "hex",
    "a2b_hex": "hex",
    "a2b_qp": "quopri",
    "a2b_uu": "uu",
    "decompress": "zlib",
    "escape_decode": "escape",
}
TEXT_CODECS: Final = frozenset(
    {
        "latin1",
        "latin_1",
        "iso_8859_1",
        "iso8859_1",
        "utf_8",
        "utf8",
        "ascii",
        "utf_16",
        "utf_32",
        "rot13",
        "rot_13",
    }
)
