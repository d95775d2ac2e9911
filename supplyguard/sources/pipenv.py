"""Pipenv's Pipfile and Pipfile.lock.

Formats: Pipenv's documentation, "Pipfile specification"; the lock as Pipenv 2026 writes it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, Final

from supplyguard.aspect import Aspect
from supplyguard.errors import MalformedError
from supplyguard.finding import Notification
from supplyguard.inventory import Artifact, Dependency, DependencyKind, Location
from supplyguard.limits import MIB, Budget, Resource
from supplyguard.sources.constraints import pip_specifier
from supplyguard.sources.end_of_life import asked_exactly
from supplyguard.sources.named_tables import Style, read_named, read_one
from supplyguard.sources.references import take_apart
from supplyguard.sources.statements import option_evidence, unparsed
from supplyguard.sources.toml_document import Found, parse_toml, read_places, read_toml_text, table_at
from supplyguard.wire.json_positions import KeyPath, find_starts
from supplyguard.wire.text import Lines, read_bytes

NAME: Final = "pipenv"
ASPECT: Final = Aspect.DEPENDENCIES
FILE_SIZE: Final = 4 * MIB
LOCK_SIZE: Final = 64 * MIB
STYLE: Final = Style(place="pipfile", specifier=pip_specifier)
OTHER_TABLES: Final = frozenset({"source", "requires", "scripts", "pipenv", "_meta"})
GROUPS: Final[Mapping[str, str | None]] = {
    "packages": None,
    "default": None,
    "dev-packages": "dev",
    "develop": "dev",
}
"""Which group a table of the Pipfile or its lock stands for; others are groups of their own name."""


def claims(name: str) -> bool:
    """Whether a file is called Pipfile or Pipfile.lock."""
    return name in {"Pipfile", "Pipfile.lock"}


def collect(artifact: Artifact, budget: Budget) -> Iterator[Found]:
    """Yield what is declared or locked; raises MalformedError for what is not TOML or JSON."""
    return _lock(artifact, budget) if artifact.path.suffix == ".lock" else _declared(artifact, budget)


def _declared(artifact: Artifact, budget: Budget) -> Iterator[Found]:
    text = read_toml_text(artifact, budget, FILE_SIZE)
    places = read_places(artifact.uri, text)
    document = parse_toml(text)
    for name, table in document.items():
        budget.spend(Resource.NODES)
        if isinstance(table, dict) and name not in OTHER_TABLES:
            yield from read_named(table, (name,), places, STYLE, GROUPS.get(name, name))
    requires = table_at(document, ("requires",))
    for key in ("python_version", "python_full_version"):
        version = requires.get(key)
        if isinstance(version, str):
            yield from asked_exactly(version, places.of(("requires", key), version))
    sources = document.get("source")
    for number, source in enumerate(sources if isinstance(sources, list) else []):
        if isinstance(source, dict) and isinstance(source.get("url"), str):
            url = source["url"]
            place = places.of(("source", number, "url"), url)
            option = "--index-url" if number == 0 else "--extra-index-url"
            yield option_evidence(option, url, place, place=STYLE.place)
            if source.get("verify_ssl") is False:
                host = take_apart(url).host
                yield option_evidence("--trusted-host", host, place, place=STYLE.place)


def _lock(artifact: Artifact, budget: Budget) -> Iterator[Found]:
    raw = read_bytes(artifact.path, min(LOCK_SIZE, budget.limits.document_bytes))
    try:
        text = raw.decode("utf-8-sig")
        document = json.loads(text)
    except UnicodeDecodeError as error:
        raise MalformedError(f"not UTF-8: {error.reason}", offset=error.start) from error
    except (ValueError, RecursionError) as error:
        raise MalformedError(f"not JSON: {error}") from error
    if not isinstance(document, dict):
        raise MalformedError("not a lock: its JSON is not an object")
    places = _KeyPlaces(artifact.uri, text)
    for section, table in document.items():
        if section in OTHER_TABLES or not isinstance(table, dict):
            continue
        for name, entry in table.items():
            budget.spend(Resource.NODES)
            place = places.key((section, name))
            if not isinstance(entry, dict):
                yield unparsed(name, place, "expected an object")
                continue
            yield from _locked(name, entry, section, place)


def _locked(name: str, entry: Mapping[str, Any], section: str, place: Location) -> Iterator[Found]:
    listed = entry.get("hashes")
    hashes = tuple(each for each in listed if isinstance(each, str)) if isinstance(listed, list) else ()
    for item in read_one(name, entry, place, STYLE, GROUPS.get(section, section)):
        if not isinstance(item, Dependency):
            yield item
            continue
        if item.version is None and item.url is None:
            message = f"{item.raw_name} is locked without a version"
            yield Notification(code="unpinned-lock", message=message, location=place)
        # "index" is only set for what the Pipfile names, which the drift step knows better
        yield replace(item, hashes=hashes, kind=DependencyKind.LOCKED, direct=False)


class _KeyPlaces:
    """Finds the keys of the objects in the sections of a lock."""

    def __init__(self, uri: str, text: str) -> None:
        self.uri = uri
        self.text = text
        self.lines = Lines(text)
        self.starts = find_starts(text, lambda path: len(path) == 2)

    def key(self, path: KeyPath) -> Location:
        """Give the place of a key, or of its value where the key is written with escapes."""
        start = self.starts.get(path)
        if start is None:
            return Location(uri=self.uri, line=1, column=1)
        quoted = json.dumps(path[-1], ensure_ascii=False)
        at = self.text.rfind(quoted, 0, start)
        if at < 0 or self.text[at + len(quoted) : start].strip() != ":":
            return self.lines.location(self.uri, start, start + 1)
        return self.lines.location(self.uri, at + 1, at + len(quoted) - 1)
