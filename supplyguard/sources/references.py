"""Direct references: a package named by an address or a path instead of by name and version."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote

ARCHIVES: Final = (".whl", ".zip", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".tar")
VCS: Final = frozenset({"git", "hg", "svn", "bzr"})
COMMIT: Final = re.compile(r"[0-9a-fA-F]{40}|[0-9a-fA-F]{64}")
DIGEST: Final = re.compile(r"(?:sha256|sha384|sha512)=[0-9a-fA-F]{64,128}")
"""A fragment that pip checks the file against; md5 and sha1 can be forged."""
EGG: Final = re.compile(r"egg=([A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)")
USERINFO: Final = re.compile(r"^([^/?#]*//)([^/?#]*)@")
SCHEME: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*(?=:)")
DRIVE: Final = re.compile(r"[A-Za-z]:[\\/]")
NAMED: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*\s*(?:\[[^\]]*\])?\s*@")
PLAIN: Final = frozenset({"http", "ftp", "git", "svn"})
"""Transports without encryption or authentication."""
LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})


@dataclass(frozen=True, kw_only=True, slots=True)
class Address:
    """An address taken apart. shown: without its credentials. scheme: lower case, "" for a path."""

    shown: str
    scheme: str
    host: str
    path: str
    fragment: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Reference:
    """Where a package comes from: form is "vcs", "archive" or "path".

    pinned: the address names content (a commit, a digest), not just a place.
    """

    address: Address
    form: str
    pinned: bool
    name: str | None = None
    version: str | None = None


def take_apart(text: str) -> Address:
    """Split an address or a path; never fails, whatever the text."""
    scheme = SCHEME.match(text)
    if scheme is None or DRIVE.match(text):
        return Address(shown=text, scheme="", host="", path=text, fragment="")
    rest, _hash, fragment = text.partition("#")
    place = rest[scheme.end() + 1 :]
    authority = ""
    if place.startswith("//"):
        authority, slash, path = place[2:].partition("/")
        place = slash + path
    host = authority.rpartition("@")[2]
    bracketed = re.match(r"\[([^\]]*)\]", host)
    host = bracketed[1] if bracketed is not None else host.partition(":")[0]
    place = place.partition("?")[0]
    return Address(
        shown=mask(text), scheme=scheme[0].lower(), host=host.lower(), path=place, fragment=fragment
    )


def mask(text: str) -> str:
    """Hide the credentials in an address; the user "git" is none."""
    match = USERINFO.match(text)
    if match is None or match[2] == "git":
        return text
    return f"{match[1]}****@{text[match.end() :]}"


def is_reference(text: str) -> bool:
    """Whether a requirement is an address or a path, not a name (PEP 508's "name @ url" is a name)."""
    if NAMED.match(text):
        return False
    head = re.split(r"[\s;\[]", text, maxsplit=1)[0]
    if "://" in head or head.lower().startswith(("file:", "git+", "hg+", "svn+", "bzr+")):
        return True
    if "==" in head:
        return False
    return head.startswith((".", "~/")) or "/" in head or "\\" in head or head.lower().endswith(ARCHIVES)


def read_reference(text: str, *, hashed: bool = False) -> Reference:
    """Say what kind of reference it is. hashed: the file's content is checked by other means."""
    address = take_apart(text)
    tool, plus, _transport = address.scheme.partition("+")
    egg = EGG.search(address.fragment)
    name = egg[1] if egg is not None else None
    if (plus and tool in VCS) or address.scheme == "git":
        revision = address.path.rpartition("@")[2] if "@" in address.path else ""
        fixed = COMMIT.fullmatch(revision) is not None or (tool == "svn" and revision.isdecimal())
        return Reference(address=address, form="vcs", pinned=fixed, name=name)
    if address.scheme in {"", "file"}:
        pinned = hashed or DIGEST.search(address.fragment) is not None
        found, version = _from_file_name(address.path)
        return Reference(address=address, form="path", pinned=pinned, name=name or found, version=version)
    found, version = _from_file_name(address.path)
    pinned = hashed or DIGEST.search(address.fragment) is not None
    return Reference(address=address, form="archive", pinned=pinned, name=name or found, version=version)


def _from_file_name(path: str) -> tuple[str | None, str | None]:
    """Give the package and version that a wheel's or source archive's file name says."""
    from packaging.utils import (  # noqa: PLC0415 - heavy: few projects name files
        InvalidSdistFilename,
        InvalidWheelFilename,
        parse_sdist_filename,
        parse_wheel_filename,
    )

    file = unquote(re.split(r"[/\\]", path)[-1])
    try:
        if file.endswith(".whl"):
            name, version, _build, _tags = parse_wheel_filename(file)
        else:
            name, version = parse_sdist_filename(file)
    except (InvalidWheelFilename, InvalidSdistFilename):
        return None, None
    return name, str(version)
