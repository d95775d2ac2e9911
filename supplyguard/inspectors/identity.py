"""What a file is against what its name says, two formats in one, and files with nothing in them.

Only first and last bytes are looked at (rules/formats/families.json); what the content does is for the
inspectors of its own format. Names that loaders use for anything (`.bin`, `.pt`, `.ckpt`, `.model`, `.pkl`)
claim nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Final

from supplyguard.archives.zip_directory import END_REACH, END_SIGNATURE, is_zip
from supplyguard.finding import Evidence, Fact, Notification
from supplyguard.inspectors.executable import program_of
from supplyguard.inventory import Member, Probe
from supplyguard.limits import KIB, Budget
from supplyguard.pickles.recognition import pickle_start
from supplyguard.resources import format_data
from supplyguard.streams import read_at, size_of

FORMAT: Final = "identity"

HEAD: Final = 64 * KIB
_END_SIZE: Final = 22
_COMMENT_AT: Final = 20
_TITLES: Final = {"pickle": "a pickle", "program": "a program", "script": "a script"}


def recognizes(probe: Probe) -> bool:
    """Whether there is something to say, so that ordinary files are not counted as inspected for it."""
    return _empty(probe) or next(_evidence(probe), None) is not None


def inspect(member: Member, budget: Budget) -> Iterator[Evidence | Notification]:  # noqa: ARG001 - a socket
    """Yield what the ends show; an empty model is a gap too."""
    with closing(member.open()) as stream:
        size = size_of(stream) if member.size is None else member.size
        head = read_at(stream, 0, min(size, HEAD))
        # the tail of an inflated stream is not looked at: see `examine.probe_of`
        reach = min(size, END_REACH) if member.size is not None else 0
        tail = read_at(stream, size - reach, reach)
    probe = Probe(head=head, tail=tail, name=member.name, size=size)
    if _empty(probe):
        yield Evidence(kind="identity-empty", location=member.at(), facts={"name": member.name})
        text = "is empty, so there was no content to examine"
        yield Notification(code="empty", message=text, location=member.at(), incomplete=True)
    for kind, offset, facts in _evidence(probe):
        symbol = str(facts["content"])
        yield Evidence(kind=kind, location=member.at(offset), facts=facts, symbol=symbol)


def _empty(probe: Probe) -> bool:
    return probe.size == 0 and _suffix(probe.name) in format_data("families")["never_empty"]


def _suffix(name: str) -> str:
    dot = name.rfind(".")
    return name[dot:].lower() if dot >= 0 else ""


def _evidence(probe: Probe) -> Iterator[tuple[str, int, dict[str, Fact]]]:
    """Yield (kind, offset, facts)."""
    table = format_data("families")
    found = _family(probe)
    if found is None:
        return
    family, title = found
    suffix = _suffix(probe.name)
    claim = table["names"].get(suffix)
    # a program under a model's name is the executable inspector's
    told = family == "program" and suffix in format_data("executable")["model_suffixes"]
    if claim is not None and family not in claim["may_be"] and not told:
        role = "acting" if claim["strict"] and family in table["acting"] else "other"
        facts: dict[str, Fact] = {
            "claims": claim["claims"],
            "content": title,
            "role": role,
            "name": probe.name,
        }
        yield "identity-mismatch", 0, facts
    if family in table["no_zip_behind"] and _ends_as_zip(probe):
        offset = (probe.size or 0) - len(probe.tail) + probe.tail.rfind(END_SIGNATURE)
        yield "identity-polyglot", offset, {"content": title, "second": "a zip archive", "name": probe.name}


def _family(probe: Probe) -> tuple[str, str] | None:
    """Name the content's family, and the same in words."""
    head = probe.head
    if program_of(head) is not None:
        return "program", _TITLES["program"]
    for row in format_data("families")["content"]:
        if head.startswith(bytes.fromhex(row["hex"]), row["offset"]):
            return str(row["family"]), str(row["title"])
    if pickle_start(head, whole=probe.size is not None and probe.size <= len(head)) == 0:
        return "pickle", _TITLES["pickle"]
    return ("script", _TITLES["script"]) if head.startswith((b"#!/bin/", b"#!/usr/")) else None


def _ends_as_zip(probe: Probe) -> bool:
    """Whether the very last bytes are a zip's end record, and there is a directory where it says."""
    tail = probe.tail
    place = tail.rfind(END_SIGNATURE)
    if place < 0 or len(tail) - place < _END_SIZE:
        return False
    comment = int.from_bytes(tail[place + _COMMENT_AT : place + _END_SIZE], "little")
    empty = not any(tail[place + 4 : place + _COMMENT_AT])
    fits = place + _END_SIZE + comment == len(tail)
    return fits and not empty and is_zip(Probe(head=b"", tail=tail, name="", size=probe.size))
