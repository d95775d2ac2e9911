"""Bring a store up to date record by record, with OSV's list of what was modified when.

Beside all.zip lie modified_id.csv ("<time>,<id>" lines, newest first) and one JSON file a record
(https://google.github.io/osv.dev/data/#downloading-recent-changes). Whatever is odd ends the
attempt, and the whole zip is fetched instead.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Final
from urllib.parse import quote

from supplyguard import fetch
from supplyguard.advisories import parallel, store_build
from supplyguard.advisories.documents import item_of
from supplyguard.advisories.osv import Record, parse_time
from supplyguard.advisories.record_cache import RecordCache
from supplyguard.advisories.store import Refused, Store
from supplyguard.errors import FetchError, MalformedError, StoreError
from supplyguard.limits import MIB

_ARCHIVE: Final = "all.zip"
_LIST: Final = "modified_id.csv"
_LINE: Final = re.compile(r"([0-9T:.Z+-]{19,40}),([A-Za-z0-9][A-Za-z0-9._:+-]{0,99})")
_MOST: Final = 2_000
"""Records that are fetched one by one; for more of them the zip is faster."""
_OVERLAP: Final = timedelta(days=1)
"""How far behind the newest record of the store to look: an export takes its time."""
_WHOLE_EVERY: Final = timedelta(days=30)
"""How old the last whole import may be; it alone learns of records that were removed."""
_LEAST_SHARE: Final = 0.9
"""Part of the known records that the list must name, or it is cut off."""


class OddError(Exception):
    """Why the store cannot be brought up to date this way."""


def refresh(path: Path, origin: str, say: Callable[[str], None]) -> int:
    """Fetch what is newer than the store at `path`, and put it in; gives the number of records.

    Records that were fetched before an interruption are not fetched again. Raises OddError when the
    whole archive is needed, StoreError when the store cannot be written. Call it under `store.lock`.
    """
    store = _usable(path, origin)
    base = origin.removesuffix(_ARCHIVE)
    wanted = _newer(_read_list(base), store.seen(), parse_time(store.meta["updated"]))
    if len(wanted) > _MOST:
        raise OddError(f"{len(wanted):,} records are new")
    if not wanted:
        return 0
    cache = RecordCache(path.parent / "downloads" / "records")
    items = _fetched(base, wanted, cache, say)
    store_build.amend(path, lambda connection: store_build.put(connection, items))
    cache.clear()
    return len(items)


def _usable(path: Path, origin: str) -> Store:
    """Open a store that can be brought up to date."""
    if not origin.endswith(f"/{_ARCHIVE}"):
        raise OddError(f"the address does not end with {_ARCHIVE}")
    try:
        store = Store(path)
        store.data()
        full = datetime.fromisoformat(store.meta.get("full", ""))
    except (StoreError, ValueError):
        raise OddError("there is no usable store") from None
    if store.meta["source"] != origin or not store.meta["updated"]:
        raise OddError("the store is of another source")
    if datetime.now(UTC) - full > _WHOLE_EVERY:
        raise OddError("the last whole import is long ago")
    return store


def _read_list(base: str) -> list[tuple[datetime, str, str]]:
    """Give (time to the second, id, time as written) of every record, newest first."""
    try:
        text = fetch.read(base + _LIST, limits=fetch.Limits(size=64 * MIB)).decode("ascii")
        lines = []
        for line in text.splitlines():
            found = _LINE.fullmatch(line)
            if found is None:
                raise OddError(f"{_LIST} has an odd line")
            lines.append((parse_time(found[1]), found[2], found[1]))
    except (FetchError, MalformedError, UnicodeDecodeError) as error:
        raise OddError(f"{_LIST} cannot be used: {error}") from error
    if any(later[0] > earlier[0] for earlier, later in pairwise(lines)):
        raise OddError(f"{_LIST} is not in order")
    return lines


def _newer(
    lines: list[tuple[datetime, str, str]], seen: Mapping[str, str], newest: datetime
) -> dict[str, str]:
    """Give the ids, each with its time as written, that the store does not have as they are now."""
    named = {identifier for _, identifier, _ in lines}
    if len(named.intersection(seen)) < _LEAST_SHARE * len(seen):
        raise OddError(f"{_LIST} leaves out many records")
    since = newest - _OVERLAP
    return {
        identifier: written
        for time, identifier, written in lines
        if time >= since and seen.get(identifier) != time.isoformat()
    }


def _fetched(
    base: str, wanted: Mapping[str, str], cache: RecordCache, say: Callable[[str], None]
) -> list[Record | Refused]:
    """Fetch the records, those that an earlier attempt left behind from the cache."""
    contents = {one: kept for one, written in wanted.items() if (kept := cache.get(one, written)) is not None}
    missing = {f"{base}{quote(one, safe='')}.json": one for one in wanted if one not in contents}
    say(f"fetching advisories: {len(missing):,} new")
    limits = fetch.Limits(size=16 * MIB, seconds=60.0)
    failure: FetchError | None = None
    for url, outcome in parallel.read_many(list(missing), limits=limits, seconds=600.0):
        identifier = missing[url]
        if isinstance(outcome, FetchError):
            failure = failure or outcome
            continue
        contents[identifier] = outcome
        cache.put(identifier, wanted[identifier], outcome)
    if failure is not None:
        raise OddError(str(failure))
    try:
        items = [item_of(content) for content in contents.values()]
    except MalformedError as error:
        raise OddError(str(error)) from error
    if [item.id for item in items] != list(contents):
        raise OddError("a record has another id than its file")
    return items
