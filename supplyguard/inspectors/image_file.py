"""Images and sounds: another format after their end, absurd sizes, odd texts; and SVG, which can run script.

Nothing is decoded: `supplyguard.wire.media_end` walks to the end of PNG, JPEG, GIF and RIFF files. Cameras
write more pictures, films and tables after a JPEG's end, so what follows is Evidence only where it is a
format that acts. SVG: https://www.w3.org/TR/SVG2/interact.html and XML's external entities.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing
from typing import BinaryIO, Final

from supplyguard.archives.signs import embedded_format, text_signs
from supplyguard.archives.zip_directory import END_REACH, is_zip
from supplyguard.errors import BudgetExceededError, MalformedError
from supplyguard.finding import Evidence, Fact, Level, Notification
from supplyguard.inventory import Member, Probe
from supplyguard.limits import KIB, Budget
from supplyguard.resources import format_data
from supplyguard.streams import SliceReader, buffered, read_at, size_of
from supplyguard.wire.media_end import GIF, JPEG, PNG, RIFF, Media, read_media

FORMAT: Final = "image_file"

MOST_PIXELS: Final = 1 << 28
SLACK: Final = 64
"""So many bytes after the end are no finding: padding and line breaks."""
_PREVIEW: Final = 8 * KIB
_MOST_SVG: Final = 16 << 20
_SVG: Final = re.compile(rb"<svg[\s>]")


def recognizes(probe: Probe) -> bool:
    """Whether a known magic is there, or it is named .svg and holds an svg element."""
    if probe.head.startswith((PNG, JPEG, *GIF)) or (probe.head.startswith(RIFF) and len(probe.head) >= 12):
        return True
    return probe.name.lower().endswith(".svg") and _SVG.search(probe.head) is not None


def inspect(member: Member, budget: Budget) -> Iterator[Evidence | Member | Notification]:
    """Yield what is odd; a structure that breaks before its end is a Notification."""
    with closing(buffered(member.open())) as stream:
        size = size_of(stream)
        try:
            media = read_media(stream, size, budget)
        except MalformedError as error:
            # cut and damaged images are common, and nothing loads one as anything else: a note, no gap;
            # what can be told from the file's end is still looked for
            yield from _zip_behind(member, stream, 0, size)
            said = f"has no end that can be found ({error.message}); what may follow it was not told apart"
            yield Notification(
                code="no-end", message=said, level=Level.NOTE, location=member.at(error.offset)
            )
            return
        if media is None:
            yield from _svg(member, stream, size, budget)
            return
        if media.pixels > MOST_PIXELS:
            facts: dict[str, Fact] = {"format": media.kind, "pixels": media.pixels}
            yield Evidence(kind="image-pixels", location=member.at(), facts=facts, symbol=media.kind)
        yield from _texts(member, media)
        yield from _behind(member, stream, media, size)


def _texts(member: Member, media: Media) -> Iterator[Evidence]:
    for offset, data in media.texts:
        key, _, text = data.partition(b"\0")
        for what in text_signs(text.decode("latin-1")):
            shown = key[:80].decode("latin-1")
            facts: dict[str, Fact] = {"key": shown, "what": what}
            yield Evidence(
                kind="image-text", location=member.at(offset), facts=facts, symbol=f"{shown}:{what}"
            )


def _behind(member: Member, stream: BinaryIO, media: Media, size: int) -> Iterator[Evidence | Member]:
    """Yield what follows the end, where it is another format or more than padding."""
    length = size - media.end
    if length <= 0:
        yield from _zip_behind(member, stream, 0, size)
        return
    data = read_at(stream, media.end, min(_PREVIEW, length))
    text = data.lstrip(b"\0\xff \r\n\t")
    if not text and length <= _PREVIEW:
        return
    table = format_data(FORMAT)
    found = embedded_format(data) or embedded_format(text)
    if found is None:
        found = next((what for what, sign in table["signs"].items() if re.search(sign.encode(), data)), None)
    if found is not None:
        yield _second(member, media.end, found, media.kind)
    elif any(_zip_behind(member, stream, media.end, size)):
        found = "a zip archive"
        yield _second(member, media.end, found, media.kind)
    elif length > SLACK and media.kind in table["closed"]:
        facts: dict[str, Fact] = {"format": media.kind, "length": length}
        yield Evidence(kind="image-trailing", location=member.at(media.end, length), facts=facts)
    if length > SLACK or found is not None:
        yield Member(
            artifact=member.artifact,
            path=(*member.path, f"(bytes from {media.end})"),
            open=lambda: SliceReader(member.open(), media.end, length),
            size=length,
        )


def _zip_behind(member: Member, stream: BinaryIO, start: int, size: int) -> Iterator[Evidence]:
    reach = min(size - start, END_REACH)
    tail = read_at(stream, size - reach, reach)
    if is_zip(Probe(head=b"", tail=tail, name="", size=size)):
        yield _second(member, start, "a zip archive", "image")


def _second(member: Member, offset: int, what: str, kind: str) -> Evidence:
    facts: dict[str, Fact] = {"what": what, "format": kind}
    return Evidence(kind="image-second-format", location=member.at(offset), facts=facts, symbol=what)


def _svg(member: Member, stream: BinaryIO, size: int, budget: Budget) -> Iterator[Evidence]:
    """Yield elements that act; the text is searched, not parsed, as browsers forgive what parsers do not."""
    if size > min(_MOST_SVG, budget.limits.document_bytes):
        raise BudgetExceededError("document_bytes", min(_MOST_SVG, budget.limits.document_bytes))
    text = read_at(stream, 0, size)
    for row in format_data(FORMAT)["svg"]:
        found = re.search(row["pattern"].encode(), text, re.IGNORECASE)
        if found is not None:
            facts: dict[str, Fact] = {"what": row["what"], "role": row["role"]}
            place = member.at(found.start(), len(found[0]))
            yield Evidence(kind="svg-active", location=place, facts=facts, symbol=row["what"])
