"""Advisory records in the Open Source Vulnerability format, version 1.

Format: https://ossf.github.io/osv-schema/. Only what concerns PyPI packages is kept. Records come
from outside, so every field is checked and capped; what is not understood is left out where that
cannot hide a vulnerability, and is a MalformedError where it could.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, TypeGuard

from supplyguard.errors import MalformedError

ECOSYSTEM: Final = "PyPI"
MALICIOUS_PREFIX: Final = "MAL-"

_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:+-]{0,99}")
_NAME: Final = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,198}[A-Za-z0-9])?")
_TIME: Final = re.compile(r"(\d{1,4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d):(\d\d)")
_SPACE: Final = re.compile(r"[\s\x00-\x1f\x7f-\x9f]+")
_SUMMARY_CHARACTERS: Final = 200
_VERSION_CHARACTERS: Final = 200
_MOST: Final = {
    "affected": 5_000,
    "ranges": 5_000,
    "events": 50_000,
    "versions": 100_000,
    "severity": 50,
    "aliases": 500,
}
_EVENTS: Final = ("introduced", "fixed", "last_affected", "limit")


@dataclass(frozen=True, kw_only=True, slots=True)
class Event:
    """A turn of a range: `kind` is introduced, fixed, last_affected or limit."""

    kind: str
    version: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Range:
    """Versions as events; `type` is ECOSYSTEM, SEMVER or GIT (only the first concerns PyPI)."""

    type: str
    events: tuple[Event, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Rating:
    """A severity as given: `type` is CVSS_V2, CVSS_V3, CVSS_V4 or another, `score` its vector."""

    type: str
    score: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Affected:
    """What one record says of one PyPI package; `name` is normalised (PEP 503).

    word: severity as a word, from `database_specific`, "" when there is none.
    """

    name: str
    ranges: tuple[Range, ...] = ()
    versions: frozenset[str] = frozenset()
    ratings: tuple[Rating, ...] = ()
    word: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Record:
    """One advisory, as far as it concerns PyPI packages.

    summary: one line, capped. word: severity as a word (`database_specific.severity`).
    malicious: the package, or the releases named, were made to do harm. exploited: the record
    itself says that attackers use the problem (`database_specific.known-exploited`).
    """

    id: str
    modified: datetime
    affected: tuple[Affected, ...] = ()
    aliases: tuple[str, ...] = ()
    withdrawn: bool = False
    summary: str = ""
    ratings: tuple[Rating, ...] = ()
    word: str = ""
    malicious: bool = False
    exploited: bool = False
    names: frozenset[str] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "names", frozenset(entry.name for entry in self.affected))


def canonical_name(name: str) -> str:
    """Normalise a package name (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def is_id(value: object) -> TypeGuard[str]:
    """Whether it can be the id of an advisory."""
    return isinstance(value, str) and _ID.fullmatch(value) is not None


def one_line(text: str) -> str:
    """Make one printable line of a text from outside, capped, without a final stop."""
    line = _SPACE.sub(" ", text[: 4 * _SUMMARY_CHARACTERS]).strip()
    line = line.encode("utf-8", "replace").decode("utf-8")
    if len(line) > _SUMMARY_CHARACTERS:
        line = line[: _SUMMARY_CHARACTERS - 1].rstrip() + "…"
    return line.rstrip(".")


def load(text: str | bytes) -> object:
    """Parse JSON; raises MalformedError for what is not JSON, too deep, or has numbers too long."""
    try:
        parsed: object = json.loads(text)
    except RecursionError:
        raise MalformedError("advisory nested too deeply") from None
    except ValueError as error:
        raise MalformedError(f"advisory is not JSON: {error}") from None
    return parsed


def parse(document: object) -> Record:
    """Make a Record of a parsed JSON document; raises MalformedError, naming the bad field."""
    if not _is_mapping(document):
        raise MalformedError("advisory is not a JSON object")
    identifier = document.get("id")
    if not is_id(identifier):
        raise MalformedError("advisory has no usable id")
    try:
        specific = _mapping(document, "database_specific")
        aliases = tuple(dict.fromkeys(alias for alias in _list(document, "aliases") if is_id(alias)))
        return Record(
            id=identifier,
            modified=_time(document),
            aliases=tuple(alias for alias in aliases if alias != identifier),
            withdrawn=bool(document.get("withdrawn")),
            summary=_summary(document),
            ratings=_ratings(document),
            word=_word(specific),
            malicious=_is_malicious((identifier, *aliases), specific),
            exploited=bool(specific.get("known-exploited")),
            affected=tuple(_affected(_list(document, "affected"))),
        )
    except MalformedError as error:
        raise MalformedError(f"{identifier}: {error.message}") from None


def named_packages(document: object) -> frozenset[str]:
    """Give the PyPI names that a record mentions, for records that `parse` refuses."""
    names: set[str] = set()
    entries = document.get("affected") if _is_mapping(document) else None
    for entry in entries if isinstance(entries, list) else []:
        package = entry.get("package") if _is_mapping(entry) else None
        if _is_mapping(package) and package.get("ecosystem") == ECOSYSTEM:
            name = package.get("name")
            if isinstance(name, str) and _NAME.fullmatch(name):
                names.add(canonical_name(name))
    return frozenset(names)


def dump(record: Record) -> str:
    """Write a Record as compact JSON in the same format, which `parse` reads back."""
    affected = [
        {
            "package": {"ecosystem": ECOSYSTEM, "name": entry.name},
            "ranges": [
                {"type": span.type, "events": [{event.kind: event.version} for event in span.events]}
                for span in entry.ranges
            ],
            "versions": sorted(entry.versions),
            **_dump_severity(entry.ratings, entry.word),
        }
        for entry in record.affected
    ]
    document: dict[str, Any] = {
        "id": record.id,
        "modified": record.modified.isoformat(),
        "aliases": list(record.aliases),
        "summary": record.summary,
        "affected": affected,
        **_dump_severity(record.ratings, record.word),
    }
    if record.withdrawn:
        document["withdrawn"] = document["modified"]
    if record.malicious:
        document.setdefault("database_specific", {})["malicious-packages-origins"] = []
    if record.exploited:
        document.setdefault("database_specific", {})["known-exploited"] = True
    return json.dumps(document, separators=(",", ":"))


def _dump_severity(ratings: tuple[Rating, ...], word: str) -> dict[str, Any]:
    """Give the JSON fields of a severity, none where there is none."""
    fields: dict[str, Any] = {}
    if ratings:
        fields["severity"] = [{"type": rating.type, "score": rating.score} for rating in ratings]
    if word:
        fields["database_specific"] = {"severity": word}
    return fields


def _is_mapping(value: object) -> TypeGuard[Mapping[str, Any]]:
    """Whether it is a JSON object."""
    return isinstance(value, dict)


def _mapping(document: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    """Give an object that may be absent; its content is free, so another type counts as absent."""
    value = document.get(key)
    return value if _is_mapping(value) else {}


def _list(document: Mapping[str, Any], key: str) -> list[Any]:
    """Give a list that may be absent; raises MalformedError for another type or too many items."""
    value = document.get(key)
    if value is None:
        return []
    if not isinstance(value, list):
        raise MalformedError(f"{key} is not a list")
    if len(value) > _MOST[key]:
        raise MalformedError(f"{key} has {len(value):,} items (at most {_MOST[key]:,})")
    return value


def _time(document: Mapping[str, Any]) -> datetime:
    """Read `modified`, which the format requires."""
    return parse_time(document.get("modified"))


def parse_time(value: object) -> datetime:
    """Read a time of the format, as UTC to the second; raises MalformedError."""
    found = _TIME.match(value) if isinstance(value, str) else None
    if found is None:
        raise MalformedError("modified is not a time")
    try:
        return datetime(*(int(part) for part in found.groups()), tzinfo=UTC)  # type: ignore[misc,arg-type]
    except ValueError:
        raise MalformedError("modified is not a time") from None


def _summary(document: Mapping[str, Any]) -> str:
    """Give `summary`, or the beginning of `details`, as one line."""
    texts = (document.get(key) for key in ("summary", "details"))
    return next((one_line(text) for text in texts if isinstance(text, str) and text.strip()), "")


def _ratings(document: Mapping[str, Any]) -> tuple[Rating, ...]:
    """Read `severity`; entries of another shape carry no score and are left out."""
    return tuple(
        Rating(type=entry["type"][:40], score=entry["score"][:600])
        for entry in _list(document, "severity")
        if _is_mapping(entry) and isinstance(entry.get("type"), str) and isinstance(entry.get("score"), str)
    )


def _word(specific: Mapping[str, Any]) -> str:
    """Read the severity word that GHSA and others keep in `database_specific`."""
    word = specific.get("severity")
    return word[:20].strip().lower() if isinstance(word, str) else ""


def _is_malicious(ids: Iterable[str], specific: Mapping[str, Any]) -> bool:
    """Whether the record is about malice: an OpenSSF MAL- id, or its origin field."""
    return "malicious-packages-origins" in specific or any(one.startswith(MALICIOUS_PREFIX) for one in ids)


def _affected(entries: list[Any]) -> Iterable[Affected]:
    """Read the `affected` entries of PyPI packages."""
    for entry in entries:
        if not _is_mapping(entry):
            raise MalformedError("affected has an entry that is not an object")
        package = _mapping(entry, "package")
        if package.get("ecosystem") != ECOSYSTEM:
            continue
        name = package.get("name")
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise MalformedError("affected.package.name is not a package name")
        versions = _list(entry, "versions")
        if not set(map(type, versions)) <= {str}:
            raise MalformedError("affected.versions has an item that is not text")
        yield Affected(
            name=canonical_name(name),
            ranges=tuple(_range(span) for span in _list(entry, "ranges") if _concerns_pypi(span)),
            versions=_capped(versions),
            ratings=_ratings(entry),
            word=_word(_mapping(entry, "database_specific")) or _word(_mapping(entry, "ecosystem_specific")),
        )


def _capped(versions: list[str]) -> frozenset[str]:
    """Leave out texts that are too long for a version; there mostly are none."""
    if max(map(len, versions), default=0) <= _VERSION_CHARACTERS:
        return frozenset(versions)
    return frozenset(version for version in versions if len(version) <= _VERSION_CHARACTERS)


def _concerns_pypi(span: object) -> bool:
    """Whether a range is of versions; commits (GIT) and SEMVER say nothing of PyPI releases."""
    if not _is_mapping(span) or not isinstance(span.get("type"), str):
        raise MalformedError("affected.ranges has an entry without a type")
    return bool(span["type"] == "ECOSYSTEM")


def _range(span: Mapping[str, Any]) -> Range:
    """Read one range; each event has one of the four keys."""
    events = []
    for event in _list(span, "events"):
        if not _is_mapping(event):
            raise MalformedError("affected.ranges.events has an entry that is not an object")
        for kind in _EVENTS:
            if kind in event:
                version = event[kind]
                if not isinstance(version, str) or len(version) > _VERSION_CHARACTERS:
                    raise MalformedError(f"affected.ranges.events.{kind} is not a version")
                events.append(Event(kind=kind, version=version))
    return Range(type=span["type"], events=tuple(events))
