"""What a project is made of: artifacts, members, dependencies and model references."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import BinaryIO


@dataclass(frozen=True, kw_only=True, slots=True)
class Location:
    """A place in an artifact; maps one to one to a SARIF location.

    uri: path with "/" separators, relative to the working folder where it lies below it,
        absolute otherwise; or a URI such as "hf://org/name@commit/file".
    member: names of the members that lead into a container, outermost first.
    offset, length: bytes from the start of the innermost member.
    line, column, end_line, end_column: counted from 1, columns in Unicode code points,
        end_column is exclusive (SARIF 2.1.0, 3.30).
    """

    uri: str
    member: tuple[str, ...] = ()
    offset: int | None = None
    length: int | None = None
    line: int | None = None
    column: int | None = None
    end_line: int | None = None
    end_column: int | None = None

    def __str__(self) -> str:
        """Show as "uri:line:column" for text and "uri!member!member@offset" for binaries."""
        text = "!".join((self.uri, *self.member))
        if self.line is not None:
            text += f":{self.line}"
            if self.column is not None:
                text += f":{self.column}"
        elif self.offset is not None:
            text += f"@{self.offset}"
        return text


@dataclass(frozen=True, kw_only=True, slots=True)
class Artifact:
    """One file under examination.

    path: where its bytes are on disk. size: in bytes.
    origin: the place that refers to it, when it was not found by walking (a cached model).
    root: the folder that its own references to other files must stay in; None: its own folder.
    """

    uri: str
    path: Path
    size: int
    origin: Location | None = None
    root: Path | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Member:
    """A run of bytes to inspect: a whole artifact (empty `path`) or something inside one.

    open: gives a new seekable binary reader, positioned at 0; the caller closes it. Reading may
        raise SupplyguardError (budget, malformed container).
    size: bytes, or None when it is not known before reading.
    inert: why the container's format says that no loader interprets these bytes (raw tensor
        data); such members are counted, not inspected.
    """

    artifact: Artifact
    path: tuple[str, ...] = ()
    open: Callable[[], BinaryIO]
    size: int | None = None
    inert: str | None = None

    @property
    def name(self) -> str:
        """The innermost name: a member's, or the artifact's file name."""
        return self.path[-1] if self.path else self.artifact.path.name

    def at(self, offset: int | None = None, length: int | None = None) -> Location:
        """Make the Location of `length` bytes at `offset` in this member."""
        return Location(uri=self.artifact.uri, member=self.path, offset=offset, length=length)


@dataclass(frozen=True, kw_only=True, slots=True)
class Probe:
    """What an inspector may look at to recognise a member.

    head: the first bytes (at most 64 KiB). tail: the last bytes (at most 65,557, the farthest
    back that a zip end record can start); the same bytes as `head` when the member is small.
    Empty when the size is not known. artifact, path: where the bytes are, for formats that only their
    neighbours tell; None and empty when nobody says.
    """

    head: bytes
    tail: bytes
    name: str
    size: int | None
    artifact: Artifact | None = None
    path: tuple[str, ...] = ()


class DependencyKind(StrEnum):
    """How a dependency was said."""

    REQUIREMENT = "requirement"
    CONSTRAINT = "constraint"
    LOCKED = "locked"
    INSTALLED = "installed"
    RESOLVED = "resolved"


@dataclass(frozen=True, kw_only=True, slots=True)
class Dependency:
    """One statement that the project uses a Python package.

    name: normalised (PEP 503). raw_name: as written. version: the exact version when the
    statement pins one (`==` or `===` without a wildcard, or a lock), else None. specifier, marker:
    PEP 508 text, "" and None when absent. url: direct reference. group: extra or dependency
    group. hashes: "algorithm:hex". via: for a package that another brings along, the names of those
    that lead to it, the declared one first.
    """

    name: str
    raw_name: str
    location: Location
    version: str | None = None
    specifier: str = ""
    extras: tuple[str, ...] = ()
    marker: str | None = None
    hashes: tuple[str, ...] = ()
    group: str | None = None
    url: str | None = None
    direct: bool = True
    kind: DependencyKind = DependencyKind.REQUIREMENT
    via: tuple[str, ...] = ()


class RevisionKind(StrEnum):
    """How firmly a model reference is tied to content."""

    COMMIT = "commit"
    NAME = "tag-or-branch"
    NONE = "none"
    DYNAMIC = "unresolved"


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelRef:
    """A reference in code to a model, data set or code repository that is loaded by name.

    loader: the callable's dotted name. repo: None when it is computed at run time.
    repo_type: "model", "dataset", "space" or "github" (torch.hub).
    """

    loader: str
    repo: str | None
    location: Location
    revision: str | None = None
    revision_kind: RevisionKind = RevisionKind.NONE
    repo_type: str = "model"
