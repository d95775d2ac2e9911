"""Git LFS pointers: a few lines of text that stand where the weights should be.

Format: docs/spec.md of git-lfs/git-lfs. What the pointer stands for was not examined.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing
from typing import Final

from supplyguard.finding import Evidence, Fact, Level, Notification
from supplyguard.inventory import Member, Probe
from supplyguard.limits import Budget

FORMAT: Final = "lfs_pointer"

LARGEST: Final = 1024
"""A pointer is shorter than this many bytes (the specification's own limit)."""
VERSIONS: Final = (
    "https://git-lfs.github.com/spec/v1",
    "https://hawser.github.com/spec/v1",
)
KEYS: Final = ("version", "oid", "size")
_START: Final = re.compile(rb"version https?://[\x21-\x7e]{1,200}\r?\n")
_LINE: Final = re.compile(r"([a-z0-9.-]+) ([\x20-\x7e]*)")
_OID: Final = re.compile(r"sha256:([0-9a-f]{64})")


def recognizes(probe: Probe) -> bool:
    """Whether it is short, begins with a version line and has an oid."""
    if probe.size is not None and probe.size >= LARGEST:
        return False
    return _START.match(probe.head) is not None and b"\noid " in probe.head[:LARGEST]


def inspect(member: Member, budget: Budget) -> Iterator[Evidence | Notification]:  # noqa: ARG001 - a socket
    """Yield the pointer, what is odd about it, and that its content was not examined."""
    with closing(member.open()) as stream:
        text = stream.read(LARGEST).decode("utf-8", "backslashreplace")
    fields: dict[str, str] = {}
    odd: list[str] = []
    for line in text.splitlines():
        found = _LINE.fullmatch(line)
        if found is None:
            odd.append(f"a line that is no key and value: {line[:80]!r}")
        elif found[1] in fields:
            odd.append(f"{found[1]} twice")
        else:
            fields[found[1]] = found[2]
    odd += [f"the key {key}" for key in fields if key not in KEYS]
    if fields.get("version") not in VERSIONS:
        odd.append(f"the version {fields.get('version', '')!r}")
    oid = _OID.fullmatch(fields.get("oid", ""))
    size = fields.get("size", "")
    if oid is None:
        odd.append("no sha256 oid")
    if not re.fullmatch(r"[0-9]{1,19}", size):
        odd.append("no size")
    digest = oid[1] if oid is not None else ""
    facts: dict[str, Fact] = {"oid": digest, "size": size}
    yield Evidence(kind="lfs-pointer", location=member.at(0, len(text)), facts=facts, symbol=digest)
    if odd:
        yield Evidence(kind="lfs-pointer-odd", location=member.at(0, len(text)), facts={"odd": tuple(odd)})
    text = "is a Git LFS pointer, so the content that it stands for was not examined"
    yield Notification(
        code="lfs-pointer", message=text, level=Level.WARNING, location=member.at(), incomplete=True
    )
