"""Wheels and source archives that lie in the tree: their metadata, read without unpacking them.

Formats: packaging.python.org, "Binary distribution format" (*.dist-info/METADATA in a zip) and
"Source distribution format" (<name>-<version>/PKG-INFO in a gzipped tar); POSIX.1-1988 ustar headers.
"""

from __future__ import annotations

import gzip
import re
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import replace
from typing import BinaryIO, Final

from supplyguard.aspect import Aspect
from supplyguard.errors import BudgetExceededError, MalformedError, UnreadableError
from supplyguard.inventory import Artifact, Dependency, DependencyKind, Location
from supplyguard.limits import MIB, Budget, Resource
from supplyguard.sources.core_metadata import FILE_SIZE, read_metadata
from supplyguard.sources.toml_document import Found

NAME: Final = "distributions"
ASPECT: Final = Aspect.DEPENDENCIES
WHEEL: Final = re.compile(r"[^/]+\.dist-info/METADATA")
SOURCE: Final = re.compile(r"(?:\./)?[^/]+/PKG-INFO")
DIRECTORY: Final = 64 * MIB
"""Bytes of a zip file's directory; zipfile reads it whole."""
BLOCK: Final = 512
END_RECORD: Final = re.compile(rb"PK\x05\x06.{8}(?P<size>.{4})", re.DOTALL)
TAIL: Final = 65_557
FAILURES: Final = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    OSError,
    RuntimeError,
    ValueError,
    NotImplementedError,
    OverflowError,
)
"""What the standard library raises for damaged, encrypted or unknown archives."""


def claims(name: str) -> bool:
    """Whether a file has the name of a wheel or source archive."""
    from packaging.utils import (  # noqa: PLC0415 - heavy: few files are archives
        InvalidSdistFilename,
        InvalidWheelFilename,
        parse_sdist_filename,
        parse_wheel_filename,
    )

    try:
        if name.endswith(".whl"):
            parse_wheel_filename(name)
        elif name.endswith(".tar.gz"):
            parse_sdist_filename(name)
        else:
            return False
    except (InvalidWheelFilename, InvalidSdistFilename):
        return False
    return True


def collect(artifact: Artifact, budget: Budget) -> Iterator[Found]:
    """Yield the package and what it requires; raises MalformedError for what is no such archive."""
    is_wheel = artifact.path.name.endswith(".whl")
    try:
        with artifact.path.open("rb") as stream:
            found = _from_zip(stream, artifact.size) if is_wheel else _from_tar(stream, budget)
    except BudgetExceededError:
        raise
    except FAILURES as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise UnreadableError(f"cannot be read: {error.strerror}") from error
        raise MalformedError(f"its metadata cannot be read: {error}") from error
    if found is None:
        if is_wheel:
            raise MalformedError("a wheel without metadata")
        return  # any project may be packed in a file of such a name
    member, raw = found
    place = Location(uri=artifact.uri, member=(member,))
    items = read_metadata(raw, place, budget, kind=DependencyKind.REQUIREMENT, direct=True)
    for number, item in enumerate(items):
        if number == 0 and isinstance(item, Dependency):
            yield replace(item, url=artifact.path.name)
        else:
            yield item


def _from_zip(stream: BinaryIO, size: int) -> tuple[str, bytes] | None:
    stream.seek(max(0, size - TAIL))
    records = END_RECORD.findall(stream.read())
    if not records or int.from_bytes(records[-1], "little") > DIRECTORY:
        raise MalformedError("no directory, or one that is too large")
    with zipfile.ZipFile(stream) as archive:
        for info in archive.infolist():
            if WHEEL.fullmatch(info.filename) is None:
                continue
            with archive.open(info) as member:
                raw = member.read(FILE_SIZE + 1)
            if len(raw) > FILE_SIZE:
                raise BudgetExceededError("document_bytes", FILE_SIZE)
            return info.filename, raw
    return None


def _from_tar(stream: BinaryIO, budget: Budget) -> tuple[str, bytes] | None:
    """Go from header to header until the metadata comes; what is skipped counts as inflated."""
    with gzip.GzipFile(fileobj=stream) as inflated:
        while True:
            header = _read(inflated, BLOCK, budget)
            if len(header) < BLOCK or not header.strip(b"\0"):
                return None
            name = header[:100].partition(b"\0")[0].decode("utf-8", "replace")
            size = _number(header[124:136])
            if header[156:157] in {b"0", b"\0"} and SOURCE.fullmatch(name) is not None:
                if size > FILE_SIZE:
                    raise BudgetExceededError("document_bytes", FILE_SIZE)
                return name, _read(inflated, size, budget)
            left = -(-size // BLOCK) * BLOCK
            while left > 0:
                chunk = _read(inflated, min(left, MIB), budget)
                if not chunk:
                    return None
                left -= len(chunk)


def _number(field: bytes) -> int:
    """Read a size: octal digits, or binary where the first bit is set (GNU tar, "base-256")."""
    if field[:1] and field[0] & 0x80:
        return int.from_bytes(bytes([field[0] & 0x7F]) + field[1:], "big")
    digits = field.strip(b" \0")
    return int(digits, 8) if digits else 0


def _read(stream: gzip.GzipFile, size: int, budget: Budget) -> bytes:
    data = stream.read(size)
    budget.spend(Resource.INFLATED_BYTES, len(data))
    budget.check_time()
    return data
