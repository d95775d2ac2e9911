"""The local advisory store: one SQLite file that holds every PyPI advisory of OSV.

    meta(key, value)                 source, etag, imported, updated, records
    record(number, id, problem, body)    body: the Record as zlib-compressed JSON (osv.dump)
    package(name, record)            normalised package name -> record number
    alias(problem, id)               every id of one problem, transitively joined
    refused(name, id)                packages of records that could not be read

A store is never changed in place: `build` writes a new file beside it and puts it in its stead.
"""

from __future__ import annotations

import os
import tempfile
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from supplyguard.advisories import aliases
from supplyguard.advisories.judge import judge
from supplyguard.advisories.osv import Record, dump, load, parse
from supplyguard.errors import MalformedError, StoreError
from supplyguard.finding import AdvisoryData, Audit, Evidence
from supplyguard.inventory import Dependency

if TYPE_CHECKING:
    import sqlite3

NAME: Final = "osv"
SCHEMA: Final = 1
_APPLICATION: Final = 0x73_67_61_64
"""Marks the file as ours ("sgad"), SQLite's application_id."""

_CHUNK: Final = 250
"""Dependencies asked for at once; SQLite takes at least 999 parameters."""

_BODY_BYTES: Final = 64 * 1024 * 1024
_MOST_ALIASES: Final = 50
_REBUILD: Final = "run: supplyguard db update"

_TABLES: Final = """
CREATE TABLE meta(key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE record(number INTEGER PRIMARY KEY, id TEXT NOT NULL, problem INTEGER, body BLOB NOT NULL);
CREATE TABLE package(name TEXT, record INTEGER, PRIMARY KEY(name, record)) WITHOUT ROWID;
CREATE TABLE alias(problem INTEGER, id TEXT, PRIMARY KEY(problem, id)) WITHOUT ROWID;
CREATE TABLE refused(name TEXT, id TEXT, PRIMARY KEY(name, id)) WITHOUT ROWID;
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Refused:
    """A record that could not be read: the packages it names."""

    id: str
    names: frozenset[str]


class Store:
    """An existing store, opened for reading; raises StoreError when it is missing or damaged."""

    def __init__(self, path: Path) -> None:
        self.path = path
        if not path.is_file():
            raise StoreError(f"no advisory store at {path}", hint=_REBUILD)
        with self._open() as connection:
            application = connection.execute("PRAGMA application_id").fetchone()[0]
            version = connection.execute("PRAGMA user_version").fetchone()[0]
            if application != _APPLICATION:
                raise StoreError(f"{path} is not an advisory store", hint="give another file with --db")
            if version != SCHEMA:
                text = f"{path} is an advisory store of version {version}, not {SCHEMA}"
                raise StoreError(text, hint=_REBUILD)
            self.meta: Mapping[str, str] = dict(connection.execute("SELECT key, value FROM meta"))

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        """Connect for reading only; SQLite's errors become StoreErrors."""
        import sqlite3  # noqa: PLC0415 - heavy: not for --version

        try:
            address = f"{self.path.resolve().as_uri()}?mode=ro"
            with closing(sqlite3.connect(address, uri=True)) as connection:
                yield connection
        except (sqlite3.Error, zlib.error, MalformedError, TypeError, UnicodeError, OverflowError) as error:
            raise StoreError(f"the advisory store {self.path} is damaged: {error}", hint=_REBUILD) from error

    def data(self) -> AdvisoryData:
        """Say which data it is: the newest record's date, the count and the source."""
        try:
            return AdvisoryData(
                name=NAME,
                updated=datetime.fromisoformat(self.meta["updated"]) if self.meta["updated"] else None,
                records=int(self.meta["records"]),
                origin=self.meta["source"],
            )
        except (KeyError, ValueError) as error:
            raise StoreError(f"the advisory store {self.path} is damaged: {error}", hint=_REBUILD) from error

    def audit(self, dependencies: Sequence[Dependency]) -> Iterator[Evidence | Audit]:
        """Yield the Evidence and the Audit of each dependency; every PyPI package is covered."""
        for start in range(0, len(dependencies), _CHUNK):
            chunk = dependencies[start : start + _CHUNK]
            names = sorted({dependency.name for dependency in chunk})
            with self._open() as connection:
                known = _records_of(connection, names)
                gaps = _gaps_of(connection, names)
            records = {name: [record for record, _ in found] for name, found in known.items()}
            more_ids = {record.id: ids for found in known.values() for record, ids in found}
            for dependency in chunk:
                yield from judge(
                    dependency,
                    records.get(dependency.name, ()),
                    database=NAME,
                    more_ids=more_ids,
                    gap=gaps.get(dependency.name),
                )


def _records_of(
    connection: sqlite3.Connection, names: Sequence[str]
) -> dict[str, list[tuple[Record, tuple[str, ...]]]]:
    """Read the records of packages, each with all ids of its problem."""
    marks = ",".join("?" * len(names))
    rows = connection.execute(
        f"SELECT p.name, r.number, r.problem, r.body FROM package p JOIN record r ON r.number = p.record"  # noqa: S608 - marks only
        f" WHERE p.name IN ({marks}) ORDER BY p.name, r.number",
        names,
    )
    ids_of: dict[int, tuple[str, ...]] = {}
    seen: dict[int, Record] = {}
    found: dict[str, list[tuple[Record, tuple[str, ...]]]] = {}
    for name, number, problem, body in rows:
        if problem not in ids_of:
            ids = connection.execute(
                "SELECT id FROM alias WHERE problem = ? LIMIT ?", (problem, _MOST_ALIASES)
            )
            ids_of[problem] = tuple(one for (one,) in ids)
        if number not in seen:
            seen[number] = parse(load(_inflate(body)))
        found.setdefault(name, []).append((seen[number], ids_of[problem]))
    return found


def _gaps_of(connection: sqlite3.Connection, names: Sequence[str]) -> dict[str, str]:
    """Say for which packages a record could not be read when the store was made."""
    marks = ",".join("?" * len(names))
    query = f"SELECT name, min(id) FROM refused WHERE name IN ({marks}) GROUP BY name"  # noqa: S608 - marks only
    return {name: f"{one} could not be read" for name, one in connection.execute(query, names)}


def _inflate(body: bytes) -> bytes:
    """Inflate a body, within bounds; raises MalformedError or zlib.error."""
    inflater = zlib.decompressobj()
    text = inflater.decompress(body, _BODY_BYTES)
    if not inflater.eof:
        raise MalformedError("a record is cut off or too large")
    return text


@contextmanager
def lock(path: Path) -> Iterator[None]:
    """Hold the store's update lock; raises StoreError when another update holds it.

    The lock is an SQLite lock on an empty file beside the store: the system drops it when the
    process ends, however it ends, on every platform.
    """
    import sqlite3  # noqa: PLC0415 - heavy: not for --version

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(path.with_name(path.name + ".lock"), timeout=0, isolation_level=None)
    except (OSError, sqlite3.Error) as error:
        raise _unwritable(path, error) from error
    try:
        connection.execute("BEGIN EXCLUSIVE")
        yield
    except sqlite3.Error as error:
        if "locked" in str(error):
            raise StoreError(f"another update of {path} is running", hint="wait for it to end") from error
        raise _unwritable(path, error) from error
    finally:
        connection.close()


def _unwritable(path: Path, error: Exception) -> StoreError:
    """Say that the store's folder cannot be written."""
    text = f"cannot write the advisory store {path}: {error}"
    return StoreError(text, hint="check the folder and its free space, or give another file with --db")


def build(path: Path, items: Iterable[Record | Refused], *, source: str, etag: str | None = None) -> None:
    """Write a new store and put it in the place of the old one, which stays whole until then.

    Call it under `lock`. Withdrawn records are left out. An error of `items` passes through.
    """
    import sqlite3  # noqa: PLC0415 - heavy: not for --version

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=path.name + ".", suffix=".new", dir=path.parent)
        os.close(handle)
    except OSError as error:
        raise _unwritable(path, error) from error
    new = Path(name)
    try:
        connection = sqlite3.connect(new, isolation_level=None)
        try:
            _fill(connection, items, {"source": source, "etag": etag or ""})
        finally:
            connection.close()
        _sync(new, os.O_RDWR)
        new.replace(path)
    except (OSError, sqlite3.Error) as error:
        raise _unwritable(path, error) from error
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


def _fill(connection: sqlite3.Connection, items: Iterable[Record | Refused], meta: Mapping[str, str]) -> None:
    """Write all tables in one transaction, without a journal: the file counts only when complete."""
    connection.execute("PRAGMA journal_mode = OFF")
    connection.execute("PRAGMA synchronous = OFF")
    connection.execute(f"PRAGMA application_id = {_APPLICATION}")
    connection.execute(f"PRAGMA user_version = {SCHEMA}")
    connection.executescript(_TABLES)
    connection.execute("BEGIN")
    id_sets: list[tuple[str, ...]] = []
    updated: datetime | None = None
    for item in items:
        if isinstance(item, Refused):
            rows = [(name, item.id) for name in item.names]
            connection.executemany("INSERT OR IGNORE INTO refused VALUES(?, ?)", rows)
            continue
        updated = item.modified if updated is None else max(updated, item.modified)
        if item.withdrawn:
            continue
        number = len(id_sets)
        body = zlib.compress(dump(item).encode(), 6)
        connection.execute("INSERT INTO record VALUES(?, ?, NULL, ?)", (number, item.id, body))
        connection.executemany("INSERT INTO package VALUES(?, ?)", [(name, number) for name in item.names])
        id_sets.append((item.id, *item.aliases))
    for problem, numbers in enumerate(aliases.groups(id_sets)):
        ids = {one for number in numbers for one in id_sets[number]}
        connection.executemany(
            "UPDATE record SET problem = ? WHERE number = ?", [(problem, n) for n in numbers]
        )
        connection.executemany("INSERT INTO alias VALUES(?, ?)", [(problem, one) for one in ids])
    facts: dict[str, Any] = {
        **meta,
        "records": len(id_sets),
        "updated": updated.isoformat() if updated is not None else "",
        "imported": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    connection.executemany(
        "INSERT INTO meta VALUES(?, ?)", [(key, str(value)) for key, value in facts.items()]
    )
    connection.execute("COMMIT")
