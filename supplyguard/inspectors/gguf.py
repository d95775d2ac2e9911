"""GGUF models: headers that break the format's limits, chat templates, texts, missing shards.

Format: docs/gguf.md of github.com/ggml-org/ggml. Tensor data is not read but for its first bytes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing
from typing import BinaryIO, Final

from supplyguard.archives.signs import embedded_format, text_signs
from supplyguard.archives.tensor_starts import embedded_tensors
from supplyguard.errors import SupplyguardError
from supplyguard.finding import Evidence, Fact, Level, Notification
from supplyguard.inventory import Member, Probe
from supplyguard.limits import Budget
from supplyguard.resources import format_data
from supplyguard.streams import SliceReader, read_at, size_of
from supplyguard.wire.gguf_header import STRING, Header, HeaderReader

FORMAT: Final = "gguf"

SHOWN: Final = 50
MOST_SHARDS: Final = 1000
_PREVIEW: Final = 8192
_LOGIN: Final = re.compile(r"[a-z][a-z0-9+.-]*://[^/\s:@]+:[^/\s@]+@", re.IGNORECASE)


def recognizes(probe: Probe) -> bool:
    """Whether the magic is there."""
    return probe.head.startswith(b"GGUF")


def inspect(member: Member, budget: Budget) -> Iterator[Evidence | Member | Notification]:
    """Yield the header's flaws, its templates and odd texts; raises MalformedError where it breaks."""
    with closing(member.open()) as stream:
        size = size_of(stream)
        reader = HeaderReader(stream, size, budget)
        fault: SupplyguardError | None = None
        try:
            reader.read()
        except SupplyguardError as error:
            fault = error
        header = reader.header
        yield from _flaws(member, header)
        yield from _texts(member, header)
        yield from _templates(member, header)
        if fault is not None:
            raise fault
        yield from _data(member, stream, header, size)
        yield from _inside(member, stream, header, size, budget)
    yield from _shards(member)


def _flaws(member: Member, header: Header) -> Iterator[Evidence | Notification]:
    for flaw in header.flaws[:SHOWN]:
        yield Evidence(
            kind="gguf-flaw",
            location=member.at(flaw.offset),
            facts={"what": flaw.what, "name": flaw.name, "detail": flaw.detail},
            symbol=f"{flaw.what}:{flaw.name}",
        )
    if len(header.flaws) > SHOWN:
        text = f"more than {SHOWN} flaws: the others are not listed"
        yield Notification(code="not-listed", message=text, level=Level.NOTE, location=member.at())
    for pattern, most in format_data(FORMAT)["absurd"]:
        for key, value in header.values.items():
            if re.search(pattern + r"\Z", key) and isinstance(value.value, int) and value.value > most:
                facts = {"what": "absurd", "name": key, "detail": f"is {value.value:,}"}
                yield Evidence(kind="gguf-flaw", location=member.at(value.offset), facts=facts, symbol=key)


def _texts(member: Member, header: Header) -> Iterator[Evidence]:
    """Yield values that are not plain text; templates are looked at as members."""
    template = format_data(FORMAT)["templates"]
    for key, value in header.values.items():
        if value.kind != STRING or re.fullmatch(template, key):
            continue
        signs = list(text_signs(value.value))
        if _LOGIN.search(value.value):
            signs.append("an address with a password")
        for what in signs:
            facts = {"key": key, "what": what}
            yield Evidence(kind="gguf-text", location=member.at(value.offset), facts=facts, symbol=key)


def _templates(member: Member, header: Header) -> Iterator[Member]:
    for key, value in header.values.items():
        if value.kind == STRING and re.fullmatch(format_data(FORMAT)["templates"], key):
            yield _part(member, f"{key}.jinja", value.start, value.count)


def _data(member: Member, stream: BinaryIO, header: Header, size: int) -> Iterator[Evidence | Member]:
    """Yield another format where the tensors begin, and what follows them."""
    places = [("(tensors)", header.data)] if header.tensors else []
    if any(flaw.what == "trailing" for flaw in header.flaws):
        places.append(("(after the tensors)", header.end))
    for segment, start in places:
        if start >= size:
            continue
        found = embedded_format(read_at(stream, start, min(_PREVIEW, size - start)))
        if found is not None:
            facts = {"what": found}
            yield Evidence(kind="gguf-second-format", location=member.at(start), facts=facts, symbol=found)
        if found is not None or segment != "(tensors)":
            yield _part(member, segment, start, size - start)


def _inside(
    member: Member, stream: BinaryIO, header: Header, size: int, budget: Budget
) -> Iterator[Evidence | Member]:
    """Yield tensors behind the first that begin as another format."""
    base = header.data
    places = [
        (name, base + start, base + end)
        for name, start, end in header.starts
        if start > 0 and base + end <= size
    ]
    for (name, start, end), what in embedded_tensors(stream, places, budget):
        facts: dict[str, Fact] = {"name": name, "what": what}
        place = member.at(start, end - start)
        yield Evidence(kind="gguf-embedded", location=place, facts=facts, symbol=name)
        yield _part(member, f"(tensor {name})", start, end - start)


def _part(member: Member, segment: str, start: int, length: int) -> Member:
    return Member(
        artifact=member.artifact,
        path=(*member.path, segment),
        open=lambda: SliceReader(member.open(), start, length),
        size=length,
    )


def _shards(member: Member) -> Iterator[Notification]:
    """Say which files of a split model are not beside this one."""
    found = re.fullmatch(format_data(FORMAT)["shard"], member.name)
    if found is None or member.path:
        return
    stem, _, count = found.groups()
    folder = member.artifact.path.parent
    names = [f"{stem}-{number:05}-of-{count}.gguf" for number in range(1, min(int(count), MOST_SHARDS) + 1)]
    missing = [name for name in names if not (folder / name).exists()]
    if missing:
        text = f"{len(missing):,} of {len(names):,} files of this split model are missing, first {missing[0]}"
        yield Notification(code="companion-missing", message=text, location=member.at(), incomplete=True)
