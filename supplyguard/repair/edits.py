"""A text file with some pins raised: everything else stays byte for byte as it was."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator
from typing import Final

from supplyguard.errors import MalformedError
from supplyguard.repair.plan import Edit
from supplyguard.reporters.escape import NAME_CHARS, defuse_commands, for_terminal
from supplyguard.wire.text import Lines, declared_encoding, decode

AFTER: Final = r"(?![A-Za-z0-9.!+_*-])"


def raised(raw: bytes, edits: Iterable[Edit]) -> tuple[bytes, tuple[Edit, ...]]:
    """Give a file's new content, and the edits whose pin was not found where it was read.

    Raises MalformedError for a text that could not be written back as it was.
    """
    text, encoding, mark = _read(raw)
    lines = Lines(text)
    spans: dict[tuple[int, int], str] = {}
    missed: list[Edit] = []
    for edit in edits:
        span = _span(text, lines, edit)
        if span is None:
            missed.append(edit)
        else:
            spans[span] = edit.version
    for (start, end), version in sorted(spans.items(), reverse=True):
        text = text[:start] + version + text[end:]
    return mark + text.encode(encoding), tuple(missed)


def diff(uri: str, before: bytes, after: bytes) -> str:
    """Give the unified diff, safe for a terminal; "" when nothing changes."""
    name = for_terminal(uri, NAME_CHARS)
    texts = [_read(each)[0].replace("\r\n", "\n").replace("\r", "\n").split("\n") for each in (before, after)]
    lines = difflib.unified_diff(texts[0], texts[1], f"a/{name}", f"b/{name}", lineterm="", n=2)
    return defuse_commands("\n".join(_shown(lines)))


def _shown(lines: Iterable[str]) -> Iterator[str]:
    return (for_terminal(line) for line in lines)


def _read(raw: bytes) -> tuple[str, str, bytes]:
    """Decode; gives the text, its encoding and its byte order mark."""
    text, problem = decode(raw)
    encoding, skip = declared_encoding(raw)
    if problem is not None:
        encoding, skip = "latin-1", 0
    if raw[:skip] + text.encode(encoding, "surrogatepass") != raw:
        raise MalformedError(f"it cannot be written back as {encoding}")
    return text, encoding, raw[:skip]


def _span(text: str, lines: Lines, edit: Edit) -> tuple[int, int] | None:
    """Find the version of a pin in the statement's text, before any marker; None when it is not plain."""
    place, old = edit.dependency.location, edit.dependency.version
    if old is None or None in {place.line, place.column, place.end_line, place.end_column}:
        return None
    start = lines.offset(place.line or 1, place.column or 1)
    end = lines.offset(place.end_line or 1, place.end_column or 1)
    statement = text[start:end].partition(";")[0]
    found = list(re.finditer(rf"===?\s*({re.escape(old)}){AFTER}", statement))
    name = re.match(r"\s*([A-Za-z0-9][A-Za-z0-9._-]*)", statement)
    if len(found) != 1 or name is None or name[1] != edit.dependency.raw_name:
        return None
    return start + found[0].start(1), start + found[0].end(1)
