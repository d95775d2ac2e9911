"""How a store is written: a whole new one, or a changed copy of the one that is there.

The old file stays whole and in use until the new one is complete and on the disk.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from supplyguard.advisories import aliases
from supplyguard.advisories.osv import Record, dump
from supplyguard.advisories.store import APPLICATION, SCHEMA, TABLES, Refused, Store, unwritable
from supplyguard.errors import StoreError

if TYPE_CHECKING:
    import sqlite3

_CARRIED: Final = {"epss": "cve, score", "kev": "cve"}
"""Tables, with their columns, that a new store takes over from the old one."""


def build(path: Path, items: Iterable[Record | Refused], *, source: str, etag: str | None = None) -> None:
    """Write a new store and put it in the place of the old one.

    Call it under `store.lock`. Withdrawn records are left out, and those of no package. What the
    old store knows of exploitation is kept. An error of `items` passes through.
    """
    with _replacing(path, None) as connection:
        connection.execute(f"PRAGMA application_id = {APPLICATION}")
        connection.execute(f"PRAGMA user_version = {SCHEMA}")
        connection.executescript(TABLES)
        _carry_over(connection, path)
        connection.execute("BEGIN")
        set_meta(connection, source=source, etag=etag or "", full=_now())
        put(connection, items)
        connection.execute("COMMIT")


def amend(path: Path, change: Callable[[sqlite3.Connection], None]) -> None:
    """Apply `change` to a copy of the store and put that in its place; call it under `store.lock`."""
    Store(path)  # raises StoreError when it is not one that can be changed
    with _replacing(path, path) as connection:
        connection.execute("BEGIN")
        change(connection)
        connection.execute("COMMIT")


def put(connection: sqlite3.Connection, items: Iterable[Record | Refused]) -> None:
    """Add records, each in the stead of an older one of the same id; then join what is one problem."""
    (number,) = connection.execute("SELECT coalesce(max(number), -1) FROM record").fetchone()
    replacing = number >= 0 or connection.execute("SELECT 1 FROM seen LIMIT 1").fetchone() is not None
    for item in items:
        if replacing:
            _drop(connection, item.id)
        if isinstance(item, Refused):
            rows = [(name, item.id, item.reason) for name in item.names]
            connection.executemany("INSERT OR IGNORE INTO refused VALUES(?, ?, ?)", rows)
            connection.execute("INSERT OR REPLACE INTO seen VALUES(?, ?)", (item.id, item.modified))
            continue
        connection.execute("INSERT OR REPLACE INTO seen VALUES(?, ?)", (item.id, item.modified.isoformat()))
        if item.withdrawn or not item.names:
            continue
        number += 1
        body = zlib.compress(dump(item).encode(), 6)
        connection.execute("INSERT INTO record VALUES(?, ?, NULL, ?)", (number, item.id, body))
        connection.executemany("INSERT INTO package VALUES(?, ?)", [(name, number) for name in item.names])
        ids = dict.fromkeys((item.id, *item.aliases))
        connection.executemany("INSERT INTO alias VALUES(?, ?)", [(number, one) for one in ids])
    _join(connection)
    (records,) = connection.execute("SELECT count(*) FROM record").fetchone()
    (updated,) = connection.execute("SELECT coalesce(max(modified), '') FROM seen").fetchone()
    set_meta(connection, records=str(records), updated=updated, imported=_now())


def _drop(connection: sqlite3.Connection, identifier: str) -> None:
    """Take out what was known under an id."""
    for (number,) in connection.execute("SELECT number FROM record WHERE id = ?", (identifier,)).fetchall():
        connection.execute("DELETE FROM package WHERE record = ?", (number,))
        connection.execute("DELETE FROM alias WHERE record = ?", (number,))
        connection.execute("DELETE FROM record WHERE number = ?", (number,))
    connection.execute("DELETE FROM refused WHERE id = ?", (identifier,))


def _join(connection: sqlite3.Connection) -> None:
    """Give each problem a number: records that share an id, directly or by a chain, are one."""
    ids_of: dict[int, list[str]] = {}
    for number, one in connection.execute("SELECT record, id FROM alias"):
        ids_of.setdefault(number, []).append(one)
    numbers = list(ids_of)
    rows = [
        (problem, numbers[place])
        for problem, places in enumerate(aliases.groups(list(ids_of.values())))
        for place in places
    ]
    connection.executemany("UPDATE record SET problem = ? WHERE number = ?", rows)


def put_exploited(
    connection: sqlite3.Connection,
    *,
    epss: tuple[str, Iterable[tuple[str, float]]] | None = None,
    kev: tuple[str, Iterable[str]] | None = None,
) -> None:
    """Put in EPSS scores and KEV's list, each with its date, in the stead of older ones."""
    if epss is not None:
        connection.execute("DELETE FROM epss")
        connection.executemany("INSERT OR REPLACE INTO epss VALUES(?, ?)", epss[1])
        set_meta(connection, epss=epss[0])
    if kev is not None:
        connection.execute("DELETE FROM kev")
        connection.executemany("INSERT OR REPLACE INTO kev VALUES(?)", ((cve,) for cve in kev[1]))
        set_meta(connection, kev=kev[0])


def set_meta(connection: sqlite3.Connection, **facts: str) -> None:
    """Write rows of the table `meta`."""
    connection.executemany("INSERT OR REPLACE INTO meta VALUES(?, ?)", facts.items())


def _now() -> str:
    """Give the time in UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def _carry_over(connection: sqlite3.Connection, old: Path) -> None:
    """Copy what the old store knows of exploitation, provided that there is one that can be read."""
    import sqlite3  # noqa: PLC0415 - heavy: not for --version

    try:
        meta = Store(old).meta
    except StoreError:  # none, or damaged: it is about to be replaced
        return
    connection.execute("ATTACH ? AS old", (f"{old.resolve().as_uri()}?mode=ro",))
    try:
        for table, columns in _CARRIED.items():
            if meta.get(table):
                connection.execute(f"INSERT INTO {table} SELECT {columns} FROM old.{table}")  # noqa: S608 - constants
                set_meta(connection, **{table: meta[table]})
    except sqlite3.DatabaseError:  # this part of the old store is damaged; the next update fetches it
        connection.executescript("DELETE FROM epss; DELETE FROM kev; DELETE FROM meta;")
    finally:
        connection.execute("DETACH old")


@contextmanager
def _replacing(path: Path, start: Path | None) -> Iterator[sqlite3.Connection]:
    """Open a new file, a copy of `start` if given, that takes the place of `path` at the end.

    No journal: the file counts only when it is complete. Raises StoreError when it cannot be
    written; any error leaves the old file as it was.
    """
    import sqlite3  # noqa: PLC0415 - heavy: not for --version

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=path.name + ".", suffix=".new", dir=path.parent)
        os.close(handle)
    except OSError as error:
        raise unwritable(path, error) from error
    new = Path(name)
    try:
        if start is not None:
            shutil.copyfile(start, new)
        with closing(sqlite3.connect(new.as_uri(), uri=True, isolation_level=None)) as connection:
            connection.execute("PRAGMA journal_mode = OFF")
            connection.execute("PRAGMA synchronous = OFF")
            yield connection
        _sync(new, os.O_RDWR)
        new.replace(path)
    except (OSError, sqlite3.Error) as error:
        raise unwritable(path, error) from error
    finally:
        new.unlink(missing_ok=True)
    with suppress(OSError):  # a folder cannot be opened on Windows, where replacing is durable by itself
        _sync(path.parent, os.O_RDONLY)


def _sync(path: Path, flags: int) -> None:
    """Have the system write a file or folder to the disk now."""
    handle = os.open(path, flags)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
