"""Fill the local store from OSV's zip of all PyPI advisories, or from a file like it."""

from __future__ import annotations

import re
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from supplyguard import fetch
from supplyguard.advisories import incremental, store, store_build
from supplyguard.advisories.documents import item_of
from supplyguard.advisories.osv import Record
from supplyguard.errors import MalformedError, StoreError
from supplyguard.finding import AdvisoryData
from supplyguard.limits import GIB, MIB

DEFAULT_SOURCE: Final = "https://osv-vulnerabilities.storage.googleapis.com/PyPI/all.zip"
"""OSV's export of one ecosystem (https://google.github.io/osv.dev/data/#data-dumps)."""

_EVERY: Final = 2_000
"""Records between two words of progress."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ZipLimits:
    """How much a zip of advisories may hold. OSV's of 2026: 24,500 members, 32 MB, 150 MB inflated.

    archive: bytes of the file. members: entries. member: inflated bytes of one. total: of all.
    """

    archive: int = GIB
    members: int = 1_000_000
    member: int = 16 * MIB
    total: int = 4 * GIB


Progress = Callable[[str], None]


def update(
    store_path: Path,
    source: str | None = None,
    *,
    full: bool = False,
    progress: Progress | None = None,
    limits: ZipLimits | None = None,
) -> AdvisoryData:
    """Fill the store from a local zip or an address (default: OSV) and say what it now holds.

    A store of the same address only gets what is new, record by record; the whole zip is fetched
    where that is not possible, or `full` is set. An interrupted download goes on where it stopped.
    Raises StoreError or FetchError; the old store then stays as it was.
    """
    say = progress if progress is not None else _silent
    origin = source or DEFAULT_SOURCE
    bounds = limits if limits is not None else ZipLimits()
    with store.lock(store_path):
        if not is_address(origin):
            path = Path(origin)
            if not path.is_file():
                raise StoreError(f"no such file: {origin}", hint="give OSV's zip of PyPI, or its address")
            store_build.build(store_path, _records(path, bounds, say), source=origin)
        elif full or not _refreshed(store_path, origin, say):
            _import(store_path, origin, bounds, say, full=full)
        return store.Store(store_path).data()


def is_address(text: str) -> bool:
    """Whether it is an address, not a file's path."""
    return re.match(r"[A-Za-z][A-Za-z0-9+.-]+://", text) is not None


def _refreshed(store_path: Path, origin: str, say: Progress) -> bool:
    """Bring the store up to date without the whole zip; false where that cannot be done."""
    try:
        incremental.refresh(store_path, origin, say)
    except incremental.OddError as error:
        say(f"fetching all advisories: {error}")
        return False
    return True


def _import(store_path: Path, origin: str, bounds: ZipLimits, say: Progress, *, full: bool) -> None:
    """Fetch the whole zip, unless it is unchanged (ETag) and not forced, and import it."""
    got = fetch.download(
        origin,
        store_path.parent / "downloads",
        limits=fetch.Limits(size=bounds.archive, seconds=1800.0),
        etag=None if full else _known_etag(store_path, origin),
        progress=lambda done, total: say(_amount(done, total)),
    )
    if got is not None:
        try:
            store_build.build(store_path, _records(got.path, bounds, say), source=origin, etag=got.etag)
        finally:
            got.path.unlink(missing_ok=True)


def _silent(_text: str) -> None:
    """Show nothing."""


def _amount(done: int, total: int | None) -> str:
    """Say how much of a download is there."""
    whole = f" of {total / MIB:.1f}" if total is not None else ""
    return f"downloading advisories: {done / MIB:.1f}{whole} MiB"


def _known_etag(store_path: Path, origin: str) -> str | None:
    """Give the ETag of the data in the store, when it is whole and of the same source."""
    try:
        meta = store.Store(store_path).meta
    except StoreError:  # missing or damaged: it is about to be replaced
        return None
    return meta.get("etag") or None if meta.get("source") == origin else None


def _records(path: Path, limits: ZipLimits, say: Progress) -> Iterator[Record | store.Refused]:
    """Read the records of a zip, one JSON document a member; raises StoreError."""

    def broken(why: object) -> StoreError:
        return StoreError(f"{path.name} is not a usable zip of advisories: {why}", hint="fetch it again")

    found = 0
    try:
        if path.stat().st_size > limits.archive:
            raise broken(f"larger than {limits.archive:,} bytes")
        with zipfile.ZipFile(path) as archive:
            members = [member for member in archive.infolist() if member.filename.endswith(".json")]
            if len(members) > limits.members:
                raise broken(f"{len(members):,} members (at most {limits.members:,})")
            if sum(member.file_size for member in members) > limits.total:
                raise broken(f"more than {limits.total:,} bytes inflated")
            for count, member in enumerate(members):
                if count % _EVERY == 0:
                    say(f"importing advisories: {count:,} of {len(members):,}")
                item = item_of(_read(archive, member, limits.member))
                if item.names:
                    found += 1
                    yield item
    except MalformedError as error:
        raise broken(error) from error
    # zipfile: RuntimeError for encrypted members, NotImplementedError for unknown methods
    except (
        zipfile.BadZipFile,
        zlib.error,
        EOFError,
        OSError,
        RuntimeError,
        NotImplementedError,
        ValueError,
    ) as e:
        raise broken(e) from e
    if not found:
        raise broken("it holds no advisory of a PyPI package")


def _read(archive: zipfile.ZipFile, member: zipfile.ZipInfo, most: int) -> bytes:
    """Inflate one member, within its bound whatever the zip claims."""
    if member.file_size > most:
        raise MalformedError(f"{member.filename!r} is larger than {most:,} bytes")
    with archive.open(member) as stream:
        return stream.read(most)  # zipfile gives no more than the size claimed
