"""The local advisory store: one SQLite file that holds every PyPI advisory of OSV.

    meta(key, value)                 source, etag, imported, full, updated, records, epss, kev
    seen(id, modified)               every record that was read, withdrawn and refused ones too
    record(number, id, problem, body)    body: the Record as zlib-compressed JSON (osv.dump)
    package(name, record)            normalised package name -> record number
    alias(record, id)                the record's own id and the aliases that it gives
    refused(name, id, reason)        packages of records that could not be read
    epss(cve, score)                 probability that a problem is used within 30 days, 0 to 1
    kev(cve)                         problems that are known to have been used

Records with the same `problem` are one problem: they share an id, transitively. A store is never
changed in place: `store_build` writes a new file beside it and puts it in its stead.
"""

from __future__ import annotations

import zlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from supplyguard.advisories.evidence import Exploited
from supplyguard.advisories.judge import judge
from supplyguard.advisories.osv import Record, load, parse
from supplyguard.errors import MalformedError, StoreError
from supplyguard.finding import AdvisoryData, Audit, Evidence
from supplyguard.inventory import Dependency

if TYPE_CHECKING:
    import sqlite3

NAME: Final = "osv"
SCHEMA: Final = 2
APPLICATION: Final = 0x73_67_61_64
"""Marks the file as ours ("sgad"), SQLite's application_id."""

_CHUNK: Final = 250
"""Dependencies asked for at once; SQLite takes at least 999 parameters."""

_BODY_BYTES: Final = 64 * 1024 * 1024
_MOST_ALIASES: Final = 50
_EXTRAS: Final = {"epss": "EPSS", "kev": "CISA KEV"}
"""Keys of `meta` that date data on exploitation, and what it is called."""

_REBUILD: Final = "run: supplyguard db update"

TABLES: Final = """
CREATE TABLE meta(key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE seen(id TEXT PRIMARY KEY, modified TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE record(number INTEGER PRIMARY KEY, id TEXT NOT NULL, problem INTEGER, body BLOB NOT NULL);
CREATE TABLE package(name TEXT, record INTEGER, PRIMARY KEY(name, record)) WITHOUT ROWID;
CREATE TABLE alias(record INTEGER, id TEXT, PRIMARY KEY(record, id)) WITHOUT ROWID;
CREATE TABLE refused(name TEXT, id TEXT, reason TEXT, PRIMARY KEY(name, id)) WITHOUT ROWID;
CREATE TABLE epss(cve TEXT PRIMARY KEY, score REAL NOT NULL) WITHOUT ROWID;
CREATE TABLE kev(cve TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE INDEX record_id ON record(id);
CREATE INDEX record_problem ON record(problem);
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Refused:
    """A record that could not be read: the packages it names, why, and when it was changed ("": unknown)."""

    id: str
    names: frozenset[str]
    reason: str
    modified: str = ""


class Store:
    """An existing store, opened for reading; raises StoreError when it is missing or damaged."""

    def __init__(self, path: Path) -> None:
        self.path = path
        if not path.is_file():
            raise StoreError(f"no advisory store at {path}", hint=_REBUILD)
        with self._open() as connection:
            application = connection.execute("PRAGMA application_id").fetchone()[0]
            version = connection.execute("PRAGMA user_version").fetchone()[0]
            if application != APPLICATION:
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
        dates = [f"{name} of {self.meta[key]}" for key, name in _EXTRAS.items() if self.meta.get(key)]
        try:
            return AdvisoryData(
                name=NAME,
                updated=datetime.fromisoformat(self.meta["updated"]) if self.meta["updated"] else None,
                records=int(self.meta["records"]),
                origin=", with ".join((self.meta["source"], *([" and ".join(dates)] if dates else []))),
            )
        except (KeyError, ValueError) as error:
            raise StoreError(f"the advisory store {self.path} is damaged: {error}", hint=_REBUILD) from error

    def seen(self) -> dict[str, str]:
        """Give every record that the store was made of, with its time: as written, "" when unknown."""
        with self._open() as connection:
            return dict(connection.execute("SELECT id, modified FROM seen"))

    def exploited(self, ids: Collection[str]) -> tuple[float | None, bool]:
        """Give a problem's highest EPSS probability (None: not known) and whether it is in KEV."""
        if not any(self.meta.get(key) for key in _EXTRAS):
            return None, False
        marks = ",".join("?" * len(ids))
        with self._open() as connection:
            epss = f"SELECT max(score) FROM epss WHERE cve IN ({marks})"  # noqa: S608 - marks only
            kev = f"SELECT count(*) FROM kev WHERE cve IN ({marks})"  # noqa: S608 - marks only
            (score,) = connection.execute(epss, tuple(ids)).fetchone()
            (listed,) = connection.execute(kev, tuple(ids)).fetchone()
        return score, listed > 0

    def audit(
        self, dependencies: Sequence[Dependency], *, exploited: Exploited | None = None
    ) -> Iterator[Evidence | Audit]:
        """Yield the Evidence and the Audit of each dependency; every PyPI package is covered.

        exploited: asked in the stead of this store.
        """
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
                    exploited=exploited or self.exploited,
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
    ids_of: dict[int, list[str]] = {}
    same_problem = (
        "SELECT DISTINCT same.problem, a.id FROM package p JOIN record r ON r.number = p.record"  # noqa: S608 - marks only
        " JOIN record same ON same.problem = r.problem JOIN alias a ON a.record = same.number"
        f" WHERE p.name IN ({marks})"
    )
    for problem, one in connection.execute(same_problem, names):
        ids_of.setdefault(problem, []).append(one)
    seen: dict[int, Record] = {}
    found: dict[str, list[tuple[Record, tuple[str, ...]]]] = {}
    for name, number, problem, body in rows:
        if number not in seen:
            seen[number] = parse(load(_inflate(body)))
        ids = tuple(ids_of.get(problem, ())[:_MOST_ALIASES])
        found.setdefault(name, []).append((seen[number], ids))
    return found


def _gaps_of(connection: sqlite3.Connection, names: Sequence[str]) -> dict[str, str]:
    """Say for which packages a record could not be read when the store was made."""
    marks = ",".join("?" * len(names))
    query = f"SELECT name, min(reason) FROM refused WHERE name IN ({marks}) GROUP BY name"  # noqa: S608 - marks only
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
        raise unwritable(path, error) from error
    try:
        connection.execute("BEGIN EXCLUSIVE")
        yield
    except sqlite3.Error as error:
        if "locked" in str(error):
            raise StoreError(f"another update of {path} is running", hint="wait for it to end") from error
        raise unwritable(path, error) from error
    finally:
        connection.close()


def unwritable(path: Path, error: Exception) -> StoreError:
    """Say that the store's folder cannot be written."""
    text = f"cannot write the advisory store {path}: {error}"
    return StoreError(text, hint="check the folder and its free space, or give another file with --db")
