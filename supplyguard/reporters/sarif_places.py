"""Where things are, in SARIF's words: URIs, regions, logical locations and the artifact table."""

from __future__ import annotations

import re
from collections.abc import Iterable
from mimetypes import MimeTypes
from typing import Any, Final
from urllib.parse import quote

from supplyguard.finding import Finding, Report
from supplyguard.inventory import Artifact, Location
from supplyguard.reporters.escape import NAME_CHARS, for_terminal

Json = dict[str, Any]

REPOSITORY: Final = "%SRCROOT%"
FILE_SYSTEM: Final = "FILE_SYSTEM_ROOT"
REMOTE: Final = "REMOTE"
_BASES: Final[dict[str, Json]] = {
    REPOSITORY: {"description": {"text": "The root of the repository that was scanned."}},
    FILE_SYSTEM: {"uri": "file:///", "description": {"text": "Files outside the repository."}},
    REMOTE: {"description": {"text": "Files that were read from a remote service, by its scheme."}},
}

_LOCATIONS: Final = 100
_SCHEME: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")
_ABSOLUTE: Final = re.compile(r"/|[A-Za-z]:/")
_REVISION: Final = re.compile(r"@[^/]*")


class Places:
    """The places of one log.

    strict: follow the standard where GitHub departs from it: no line in a binary, a member is an
        artifact with its own region of bytes.
    """

    def __init__(self, report: Report, *, strict: bool) -> None:
        self._prefix = report.root_prefix
        self._strict = strict
        self._known = {artifact.uri: (artifact, sha256) for artifact, sha256 in report.artifacts}
        self._types = MimeTypes(filenames=())
        self._indexes: dict[tuple[str, ...], int] = {}
        self._used_bases: set[str] = set()
        self.artifacts: list[Json] = []
        self.left_out = 0
        """How many related places did not fit into their results."""

    @property
    def bases(self) -> Json:
        """The `originalUriBaseIds` that the places written so far need."""
        return {name: base for name, base in _BASES.items() if name in self._used_bases}

    def locations(self, finding: Finding) -> tuple[Json, list[Json]]:
        """Give a result's one location and its relatedLocations."""
        place = self.primary_place(finding)
        related = [finding.location] if place is not finding.location or place.member else []
        related += [location for location in finding.related if location != place]
        primary: Json = {"physicalLocation": self._physical(place)}
        if place is not finding.location or place.member:
            primary["logicalLocations"] = [self._logical(finding.location)]
        shown = related[: _LOCATIONS - 1]
        self.left_out += len(related) - len(shown)
        return primary, [self._related(number, location) for number, location in enumerate(shown, 1)]

    def primary_place(self, finding: Finding) -> Location:
        """Choose where an alert is shown: for a remote file, the line that refers to it.

        GitHub shows only files of the repository; the remote file is then a logical location.
        """
        if not _SCHEME.match(finding.location.uri):
            return finding.location
        known = self._known.get(finding.location.uri)
        origin = known[0].origin if known else None
        referring = (*finding.related, *([origin] if origin else []))
        return next((place for place in referring if _is_below(place.uri)), finding.location)

    def of_notification(self, location: Location) -> Json:
        """Give the location of a notification."""
        entry: Json = {"physicalLocation": self._physical(location)}
        if location.member:
            entry["logicalLocations"] = [self._logical(location)]
        return entry

    def of_suppression(self, location: Location) -> Json:
        """Give the location of a suppression."""
        return {"physicalLocation": self._physical(location)}

    def add(self, artifacts: Iterable[Artifact]) -> None:
        """Add artifacts that no result has named."""
        for artifact in artifacts:
            self._index(artifact.uri, (), is_text=False)

    def _physical(self, place: Location) -> Json:
        is_text = place.line is not None
        index = self._index(place.uri, (), is_text=is_text and not place.member)
        location = {**self._artifact_location(place.uri), "index": index}
        return {"artifactLocation": location, "region": self._region(place)}

    def _region(self, place: Location) -> Json:
        if place.line is not None and not place.member:
            return _text_region(place)
        if not self._strict:
            # GitHub wants a line; the fingerprint tells findings in one binary apart
            return {"startLine": 1, "startColumn": 1, "endLine": 1, "endColumn": 1}
        return self._whole(place.uri) if place.member or place.offset is None else _byte_region(place)

    def _whole(self, uri: str) -> Json:
        # where in a container its member's bytes are is not known: packed, encrypted, in pieces
        artifact, _ = self._known.get(uri, (None, None))
        return {"byteOffset": 0} if artifact is None else {"byteOffset": 0, "byteLength": artifact.size}

    def _related(self, number: int, place: Location) -> Json:
        entry: Json = {"id": number, "message": {"text": _words(place)}}
        index = self._index(place.uri, place.member, is_text=False)
        if self._strict and place.member:
            location = self.artifacts[index]["location"]
            entry["physicalLocation"] = {"artifactLocation": {**location, "index": index}}
            region = _text_region(place) if place.line is not None else _byte_region(place)
            if region:
                entry["physicalLocation"]["region"] = region
        else:
            entry["physicalLocation"] = self._physical(place)
        if place.member:
            entry["logicalLocations"] = [self._logical(place)]
        return entry

    def _logical(self, place: Location) -> Json:
        prefix = self._prefix if _is_below(place.uri) else ""
        return {
            "name": for_terminal(place.member[-1] if place.member else place.uri, NAME_CHARS),
            "fullyQualifiedName": for_terminal(f"{prefix}{place}"),
            "kind": "resource",
        }

    def _artifact_location(self, uri: str) -> Json:
        if _SCHEME.match(uri):
            # no commit in it, or every new one would be a new alert
            base, path = REMOTE, _REVISION.sub("", uri.partition("://")[2], count=1)
        elif _ABSOLUTE.match(uri):
            base, path = FILE_SYSTEM, uri.lstrip("/")
        else:
            base, path = REPOSITORY, self._prefix + uri
        self._used_bases.add(base)
        return {"uri": _percent_encoded(path), "uriBaseId": base}

    def _index(self, uri: str, member: tuple[str, ...], *, is_text: bool) -> int:
        """Find or make the entries of an artifact and of the members that lead into it."""
        parent = -1
        for depth in range(len(member) + 1):
            key = (uri, *member[:depth])
            if key not in self._indexes:
                self._indexes[key] = len(self.artifacts)
                entry = self._member(key[-1], parent) if depth else self._file(uri, is_text=is_text)
                self.artifacts.append(entry)
            parent = self._indexes[key]
        return parent

    def _file(self, uri: str, *, is_text: bool) -> Json:
        kind = self._mime_type(uri, "text/plain" if is_text else "application/octet-stream")
        entry: Json = {
            "location": self._artifact_location(uri),
            "mimeType": kind,
            "roles": ["analysisTarget"],
        }
        artifact, sha256 = self._known.get(uri, (None, None))
        if artifact is not None:
            entry["length"] = artifact.size
        if sha256 is not None:
            entry["hashes"] = {"sha-256": sha256}
        return entry

    def _member(self, name: str, parent: int) -> Json:
        # relative to its container's root, which `parentIndex` names (SARIF 2.1.0, 3.24.3)
        location = {"uri": _percent_encoded(name.lstrip("/"))}
        kind = self._mime_type(name, "application/octet-stream")
        return {
            "location": location,
            "parentIndex": parent,
            "mimeType": kind,
            "roles": ["analysisTarget"],
        }

    def _mime_type(self, name: str, default: str) -> str:
        suffix = name.rpartition("/")[2].rpartition(".")[2].lower()
        return self._types.types_map[True].get(f".{suffix}", default)


def _is_below(uri: str) -> bool:
    return not (_SCHEME.match(uri) or _ABSOLUTE.match(uri))


def _percent_encoded(path: str) -> str:
    # bytes of a name that are not UTF-8 come as surrogates and are written as those bytes
    escaped = re.sub("[\ud800-\udc7f\udd00-\udfff]", "\N{REPLACEMENT CHARACTER}", path)
    segments = quote(escaped, safe="/@+,=!~", errors="surrogateescape").split("/")
    # a member named ".." is a name here, not a step: readers resolve dot segments
    return "/".join({".": "%2E", "..": "%2E%2E"}.get(segment, segment) for segment in segments)


def _text_region(place: Location) -> Json:
    line, column = place.line or 1, place.column or 1
    end_line = max(place.end_line or line, line)
    end_column = place.end_column or (column + 1 if end_line == line else 1)
    if end_line == line:
        end_column = max(end_column, column)
    return {"startLine": line, "startColumn": column, "endLine": end_line, "endColumn": end_column}


def _byte_region(place: Location) -> Json:
    if place.offset is None:
        return {}
    region = {"byteOffset": place.offset}
    return region if place.length is None else {**region, "byteLength": place.length}


def _words(place: Location) -> str:
    text = "!".join(place.member) or place.uri
    if place.line is not None:
        text += f", line {place.line}"
    elif place.offset is not None:
        text += f", byte {place.offset}"
    return for_terminal(text)
