"""safetensors: a length, a JSON header, and tensors that must cover the rest of the file exactly.

Format: the README of huggingface/safetensors. The library refuses most deviations; what it lets
pass (duplicate names, unknown fields, entries spelled as lists) is Evidence too, because other
readers resolve it differently. Only the header is read, and the first bytes of the data.
"""

from __future__ import annotations

import re
import struct
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from typing import BinaryIO, Final

from supplyguard.archives.safetensors_header import Header, parse_header
from supplyguard.archives.signs import embedded_format, targets, text_signs
from supplyguard.archives.tensor_starts import embedded_tensors
from supplyguard.archives.zip_directory import END_REACH, is_zip
from supplyguard.errors import BudgetExceededError, MalformedError
from supplyguard.finding import Evidence, Level, Notification
from supplyguard.inventory import Member, Probe
from supplyguard.limits import Budget
from supplyguard.streams import SliceReader, read_at, size_of

FORMAT: Final = "safetensors_file"

LARGEST_HEADER: Final = 100_000_000
"""The library's own limit, in bytes."""
SHOWN: Final = 50
"""At most so many Evidences of one kind from one file; a Notification says how many more."""
_PLAUSIBLE: Final = 1 << 48
_PREVIEW: Final = 8192
_ODD_NAME: Final = re.compile(r"(^|[/\\])\.\.([/\\]|$)|[\x00-\x1f\x7f\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def recognizes(probe: Probe) -> bool:
    """Whether a length is followed by what can begin a JSON object."""
    if len(probe.head) < 10:
        return False
    (length,) = struct.unpack_from("<Q", probe.head)
    text = probe.head[8:72].lstrip(b" \t\r\n")
    if text[:1] != b"{" or (len(text) > 1 and text[1:2] not in b'"} \t\r\n'):
        return False
    fits = probe.size is not None and 2 <= length <= probe.size - 8
    return fits or probe.name.lower().endswith(".safetensors") or 2 <= length < _PLAUSIBLE


def inspect(member: Member, budget: Budget) -> Iterator[Evidence | Member | Notification]:
    """Yield the header's deviations; raises MalformedError when there is no header to read."""
    with closing(member.open()) as stream:
        size = size_of(stream)
        (length,) = struct.unpack("<Q", read_at(stream, 0, 8))
        if length > min(LARGEST_HEADER, size - 8):
            facts = {"length": length, "size": size}
            yield Evidence(kind="safetensors-header-size", location=member.at(0, 8), facts=facts)
            raise MalformedError(f"the header is said to have {length:,} bytes", offset=0)
        if length > budget.limits.document_bytes:
            raise BudgetExceededError("document_bytes", budget.limits.document_bytes)
        data = 8 + length
        yield from _other_formats(member, stream, data, size)
        try:
            header = parse_header(read_at(stream, 8, length), size - data, budget.limits)
        except MalformedError as error:
            place = member.at(8, length)
            yield Evidence(kind="safetensors-not-json", location=place, facts={"detail": error.message})
            raise
        yield from _inside(member, stream, header, data, budget)
    yield from _flaws(member, header, length)
    yield from _texts(member, header, length)


def _flaws(member: Member, header: Header, length: int) -> Iterator[Evidence | Notification]:
    counts: Counter[str] = Counter()
    for flaw in header.flaws:
        counts[flaw.what] += 1
        if counts[flaw.what] <= SHOWN:
            yield Evidence(
                kind="safetensors-flaw",
                location=member.at(8, length),
                facts={"what": flaw.what, "name": flaw.name, "detail": flaw.detail},
                symbol=f"{flaw.what}:{flaw.name}",
            )
    for what, count in counts.items():
        if count > SHOWN:
            text = f"{count - SHOWN:,} more flaws of the kind {what} are not listed"
            yield Notification(code="not-listed", message=text, level=Level.NOTE, location=member.at())


def _texts(member: Member, header: Header, length: int) -> Iterator[Evidence]:
    """Yield what names and metadata hold that they should not."""
    place = member.at(8, length)
    for name in header.tensors:
        if _ODD_NAME.search(name):
            facts: dict[str, str | bool] = {"name": name}
            yield Evidence(kind="safetensors-odd-name", location=place, facts=facts, symbol=name)
    for key, text in header.metadata.items():
        for what in text_signs(text):
            facts = {"key": key, "what": what}
            yield Evidence(kind="safetensors-metadata", location=place, facts=facts, symbol=key)
        for target, acts in dict.fromkeys(targets(text)):
            facts = {"key": key, "target": target, "acts": acts}
            yield Evidence(kind="safetensors-target", location=place, facts=facts, symbol=target)


def _other_formats(member: Member, stream: BinaryIO, data: int, size: int) -> Iterator[Evidence | Member]:
    """Yield a second format that begins with the data, or a zip that ends with the file."""
    found = embedded_format(read_at(stream, data, min(_PREVIEW, size - data)))
    if found is not None:
        yield _second(member, found, data)
        yield Member(
            artifact=member.artifact,
            path=(*member.path, "(tensors)"),
            open=lambda: SliceReader(member.open(), data, size - data),
            size=size - data,
        )
    reach = min(size, END_REACH)
    tail = read_at(stream, size - reach, reach)
    if is_zip(Probe(head=b"", tail=tail, name="", size=size)):
        yield _second(member, "a zip archive's directory", size - reach)


def _inside(
    member: Member, stream: BinaryIO, header: Header, data: int, budget: Budget
) -> Iterator[Evidence | Member]:
    """Yield tensors behind the first that begin as another format."""
    places = [
        (name, data + begin, data + end) for name, (begin, end) in header.tensors.items() if 0 < begin < end
    ]
    for (name, start, end), what in embedded_tensors(stream, places, budget):
        facts: dict[str, str | bool] = {"name": name, "what": what}
        place = member.at(start, end - start)
        yield Evidence(kind="safetensors-embedded", location=place, facts=facts, symbol=name)
        yield Member(
            artifact=member.artifact,
            path=(*member.path, f"(tensor {name})"),
            open=lambda start=start, end=end: SliceReader(member.open(), start, end - start),  # type: ignore[misc]
            size=end - start,
        )


def _second(member: Member, what: str, offset: int) -> Evidence:
    return Evidence(
        kind="safetensors-second-format", location=member.at(offset), facts={"what": what}, symbol=what
    )
