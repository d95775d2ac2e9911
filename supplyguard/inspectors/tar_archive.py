"""Tar archives: names and links that leave the folder, overrides that contradict, and every file."""

from __future__ import annotations

import json
import posixpath
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from functools import cache
from typing import Any, BinaryIO, Final

from supplyguard.archives.member_names import Segments, unsafe_reasons
from supplyguard.archives.tar_directory import BLOCK, TarHeader, end_of_tar, is_tar, walk_tar
from supplyguard.errors import MalformedError, RuleError, SupplyguardError
from supplyguard.finding import Evidence, Fact, Level, Notification
from supplyguard.inventory import Member, Probe
from supplyguard.limits import Budget
from supplyguard.pickles.torch_tar import CUT, cut_tar_member
from supplyguard.resources import rules_folder
from supplyguard.streams import SliceReader, buffered, size_of

FORMAT: Final = "tar_archive"

SHOWN: Final = 50
"""At most so many Evidences of one kind from one archive; a Notification says how many more."""
PICKLED: Final = frozenset({"pickle", "pkl", "pyd"})
"""Endings whose content a WebDataset decoder unpickles."""
_SPECIAL: Final = {"3": "character device", "4": "block device", "6": "fifo"}
_LINKS: Final = {"1": "hard link", "2": "symbolic link"}
_LEAVING: Final = frozenset({"absolute", "drive", "parent", "home"})
_SETUID: Final = 0o4000


def recognizes(probe: Probe) -> bool:
    """Whether the first block is a header with a right checksum."""
    return is_tar(probe.head)


def inspect(member: Member, budget: Budget) -> Iterator[Evidence | Member | Notification]:
    """Yield what is odd about the headers, then the files; raises MalformedError where headers break off."""
    headers: list[TarHeader] = []
    error: SupplyguardError | None = None
    with closing(buffered(member.open())) as stream:
        size = size_of(stream)
        try:
            headers.extend(walk_tar(stream, size, budget))
        except SupplyguardError as stopped:
            error = stopped
        trailer = size if error is not None else _trailer(stream, headers, size)
    yield from _limited(member, _evidence(member, headers))
    yield from _pickled_samples(member, headers)
    if trailer < size:
        facts: dict[str, Fact] = {"length": size - trailer}
        yield Evidence(kind="tar-trailing", location=member.at(trailer, size - trailer), facts=facts)
    yield from _members(member, headers, trailer, size, budget)
    if error is not None:
        raise error


def _trailer(stream: BinaryIO, headers: list[TarHeader], size: int) -> int:
    last = headers[-1] if headers else None
    end = 0 if last is None else last.data + (-(-last.size // BLOCK) * BLOCK if last.is_file else 0)
    return end_of_tar(stream, min(end, size), size)


def _limited(member: Member, items: Iterator[Evidence]) -> Iterator[Evidence | Notification]:
    counts: Counter[str] = Counter()
    for item in items:
        counts[item.kind] += 1
        if counts[item.kind] <= SHOWN:
            yield item
    for kind, count in counts.items():
        if count > SHOWN:
            text = f"{count - SHOWN:,} more of {kind} in this archive are not listed"
            yield Notification(code="not-listed", message=text, level=Level.NOTE, location=member.at())


def _evidence(member: Member, headers: list[TarHeader]) -> Iterator[Evidence]:
    extracted = _layout(headers) is not None
    links: set[str] = set()
    seen: Counter[str] = Counter()

    def see(kind: str, header: TarHeader, **facts: Fact) -> Evidence:
        known: dict[str, Fact] = {"name": header.name, "extracted": extracted, **facts}
        place = member.at(header.offset, BLOCK)
        return Evidence(kind=kind, location=place, facts=known, symbol=header.name)

    for header in headers:
        path = posixpath.normpath(header.name)
        if reasons := _LEAVING & set(unsafe_reasons(header.name)):
            yield see("tar-unsafe-name", header, reason=tuple(sorted(reasons)))
        if header.kind in _LINKS and _leaves(header, path):
            yield see("tar-link-leaves", header, type=_LINKS[header.kind], target=header.link)
        if any(path.startswith(f"{link}/") for link in _parents(path) & links):
            yield see("tar-through-link", header)
        if header.kind == "2":
            links.add(path)
        special = _SPECIAL.get(header.kind) or ("setuid file" if _is_setuid(header) else None)
        if special is not None:
            yield see("tar-special-member", header, type=special)
        if header.overridden:
            yield see("tar-override", header, fields=header.overridden)
        if header.kind != "5":
            seen[path] += 1
            if seen[path] == 2:
                yield see("tar-duplicate-name", header)


def _pickled_samples(member: Member, headers: list[TarHeader]) -> Iterator[Evidence]:
    """Yield the first member that a WebDataset decoder unpickles by its name's ending.

    Such archives hold samples: files that differ only in what follows the name's first dot
    (webdataset/autodecode.py of github.com/webdataset/webdataset). What the pickles do is judged as members.
    """
    files = [header for header in headers if header.is_file]
    keys = Counter(_sample(header.name)[0] for header in files)
    pickled = [each for each in files if _sample(each.name)[1] in PICKLED and keys[_sample(each.name)[0]] > 1]
    if pickled:
        name = pickled[0].name
        facts: dict[str, Fact] = {"name": name, "count": len(pickled)}
        place = member.at(pickled[0].offset, BLOCK)
        yield Evidence(kind="tar-pickled-sample", location=place, facts=facts, symbol="pickled")


def _sample(name: str) -> tuple[str, str]:
    """Split a name into its sample's key and the lower-case ending that a decoder goes by."""
    folder, base = posixpath.split(name)
    stem, _, rest = base.partition(".")
    return f"{folder}/{stem}", rest.rpartition(".")[2].lower()


def _is_setuid(header: TarHeader) -> bool:
    return header.is_file and bool(header.mode & _SETUID)


def _parents(path: str) -> set[str]:
    found: set[str] = set()
    while (path := posixpath.dirname(path)) not in ("", "/"):
        found.add(path)
    return found


def _leaves(header: TarHeader, path: str) -> bool:
    """Whether a link points out of the archive; hard links count from its root."""
    start = posixpath.dirname(path) if header.kind == "2" else ""
    target = posixpath.normpath(posixpath.join(start, header.link))
    return target.startswith(("/", "../")) or target == ".."


def _members(
    member: Member, headers: list[TarHeader], trailer: int, size: int, budget: Budget
) -> Iterator[Member | Notification]:
    """Yield every file, and what follows the end mark."""
    segments = Segments()
    torch = _layout(headers) == "torch_tar"
    for header in headers:
        if torch and header.is_file and posixpath.normpath(header.name) in CUT:
            yield from _cut(member, header, segments, budget)
        elif header.is_file:
            yield _slice(member, segments.take(header.name), header.data, header.size)
        if header.kind == "S":
            text = f"{header.name!r} is sparse: its stored bytes were examined, not its holes"
            yield Notification(code="sparse", message=text, location=member.at(), incomplete=True)
    if trailer < size:
        yield _slice(member, segments.take(f"(bytes from {trailer})"), trailer, size - trailer)


def _slice(member: Member, segment: str, start: int, length: int) -> Member:
    def opener() -> BinaryIO:
        return SliceReader(member.open(), start, length)

    return Member(artifact=member.artifact, path=(*member.path, segment), open=opener, size=length)


def _cut(
    member: Member, header: TarHeader, segments: Segments, budget: Budget
) -> Iterator[Member | Notification]:
    """Yield the pickles and the numbers of a member that holds both.

    The numbers are left to recognition by content: that they are numbers is only what the pickles say.
    """
    whole = _slice(member, header.name, header.data, header.size)
    with closing(whole.open()) as file:
        parts = cut_tar_member(file, posixpath.normpath(header.name), budget)
        try:
            for part in parts:
                segment = segments.take(f"{header.name}@{part.start}")
                yield _slice(member, segment, header.data + part.start, part.end - part.start)
        except MalformedError as error:
            text = f"{header.name!r} could not be cut into pickles and numbers: {error.message}"
            yield Notification(code="malformed", message=text, location=member.at(), incomplete=True)


def _layout(headers: list[TarHeader]) -> str | None:
    """Name the kind of archive that a loader is known to unpack, by its members."""
    names = {posixpath.normpath(header.name) for header in headers}
    return next((row["name"] for row in _layouts() if set(row["requires"]) <= names), None)


@cache
def _layouts() -> list[dict[str, Any]]:
    path = rules_folder() / "layouts" / "tar.json"
    try:
        rows: list[dict[str, Any]] = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise RuleError(f"cannot read the layouts {path}: {error}") from error
    return rows
