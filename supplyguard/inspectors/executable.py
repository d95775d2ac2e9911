"""Programs where models are expected: ELF, PE, Mach-O and APE, and llamafiles, which are programs by design.

Formats: ELF (gabi), PE/COFF (Microsoft), Mach-O (mach-o/loader.h), Actually Portable Executable
(justine.lol/ape.html); `.args`: github.com/Mozilla-Ocho/llamafile. A llamafile's members are the zip
inspector's; only the program and the arguments are looked at here.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from contextlib import closing
from typing import BinaryIO, Final

from supplyguard.archives.zip_directory import is_zip
from supplyguard.finding import Evidence, Fact
from supplyguard.inventory import Member, Probe
from supplyguard.limits import KIB, Budget
from supplyguard.resources import format_data
from supplyguard.streams import read_at, size_of

FORMAT: Final = "executable"

APE: Final = (b"MZqFpD='", b"jartsr='")
_MACH_O: Final = (b"\xfe\xed\xfa\xce", b"\xfe\xed\xfa\xcf", b"\xce\xfa\xed\xfe", b"\xcf\xfa\xed\xfe")
_FAT: Final = b"\xca\xfe\xba\xbe"
_MOST_ARCHITECTURES: Final = 40
"""A Java class file has the same magic and, where a fat binary counts, a version above this."""
STUB: Final = 8 * KIB
_ARGUMENTS: Final = ".args"
_MOST_ARGUMENTS: Final = 64 * KIB


def recognizes(probe: Probe) -> bool:
    """Whether it is a program, or the arguments inside a llamafile."""
    return program_of(probe.head) is not None or probe.name == _ARGUMENTS


def program_of(head: bytes) -> str | None:
    """Name the kind of program that begins with `head`."""
    if head.startswith(APE):
        return "APE"
    if head.startswith(b"\x7fELF") and head[4:5] in {b"\1", b"\2"} and head[5:6] in {b"\1", b"\2"}:
        return "ELF"
    if head.startswith(_MACH_O) and len(head) >= 28:
        return "Mach-O"
    if head.startswith(_FAT) and len(head) >= 8:
        (count,) = struct.unpack_from(">I", head, 4)
        return "Mach-O" if 0 < count < _MOST_ARCHITECTURES else None
    if head.startswith(b"MZ") and len(head) >= 64:
        (place,) = struct.unpack_from("<I", head, 60)
        return "PE" if head[place : place + 4] == b"PE\0\0" else None
    return None


def inspect(member: Member, budget: Budget) -> Iterator[Evidence]:  # noqa: ARG001 - a socket
    """Yield what kind of program it is and under which name, or what the arguments ask for."""
    with closing(member.open()) as stream:
        size = size_of(stream)
        head = read_at(stream, 0, min(size, _MOST_ARGUMENTS))
        kind = program_of(head)
        if kind is None:
            yield from _arguments(member, head)
            return
        lower = member.name.lower()
        container = kind == "APE" or (lower.endswith(".llamafile") and _has_zip(stream, size))
        modelled = lower.endswith(tuple(format_data(FORMAT)["model_suffixes"]))
        facts: dict[str, Fact] = {"format": kind, "name": member.name}
        native = re.fullmatch(format_data(FORMAT)["native_names"], lower, re.DOTALL)
        other = "native name" if native else "program"
        facts["role"] = "model name" if modelled else "model container" if container else other
        facts["inside"] = bool(member.path)
        yield Evidence(kind="executable", location=member.at(0), facts=facts, symbol=kind)
        if kind == "APE":
            yield from _stub(member, head[:STUB])


def _has_zip(stream: BinaryIO, size: int) -> bool:
    reach = min(size, 65_557)
    return is_zip(Probe(head=b"", tail=read_at(stream, size - reach, reach), name="", size=size))


def _stub(member: Member, head: bytes) -> Iterator[Evidence]:
    """Yield commands in the shell part of an APE that the usual loader does not have."""
    text = head.decode("latin-1")
    for pattern in format_data(FORMAT)["stub_signs"]:
        if found := re.search(pattern, text):
            facts: dict[str, Fact] = {"command": found[0]}
            place = member.at(found.start(), len(found[0]))
            yield Evidence(kind="llamafile-stub", location=place, facts=facts, symbol=found[0])


def _arguments(member: Member, data: bytes) -> Iterator[Evidence]:
    """Yield arguments that open the server to others, write files, or are not known."""
    table = format_data(FORMAT)
    lines = [line.strip() for line in data.decode("utf-8", "replace").splitlines()]
    previous = ""
    for number, line in enumerate(lines, 1):
        what = ""
        flag, _, value = line.partition("=")
        host = value if flag == "--host" else line if previous == "--host" else ""
        if host in table["public_hosts"]:
            what = "opens the server to other machines"
        elif flag in table["writing_flags"]:
            what = "lets the program use files that the arguments name"
        elif re.match(r"--?[A-Za-z]", line) and flag not in table["argument_flags"]:
            what = "is not among the usual arguments"
        if what:
            facts: dict[str, Fact] = {"argument": line, "what": what}
            place = member.at()
            yield Evidence(kind="llamafile-argument", location=place, facts=facts, symbol=f"{number}:{line}")
        previous = line
