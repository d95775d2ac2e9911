"""Jupyter notebooks: hidden code and commands in cells, and what acts when a notebook is opened.

Format: nbformat 3 and 4. A trusted notebook's HTML and JavaScript outputs run in the browser.
"""

from __future__ import annotations

import ast
import base64
import binascii
import re
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from supplyguard.archives.access_tokens import secrets_in
from supplyguard.archives.signs import embedded_format
from supplyguard.code.acts import find_acts
from supplyguard.code.notebook_cells import Cell, Places, cells_of, is_other_language, parse_cell, shell_text
from supplyguard.errors import BudgetExceededError, MalformedError
from supplyguard.finding import Evidence, Fact, Notification
from supplyguard.inventory import Location, Member, Probe
from supplyguard.limits import Budget
from supplyguard.resources import format_data
from supplyguard.wire.json_document import parse_json
from supplyguard.wire.json_positions import KeyPath, find_starts
from supplyguard.wire.text import Lines

FORMAT: Final = "notebook_document"

LARGEST_TEXT: Final = 1 << 20
"""Characters of one output that are searched."""
MOST: Final = 200
"""Pieces of evidence of one kind."""
HEAD: Final = 6000
"""Characters of base64 that tell a format: 4 KiB and more."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Seen:
    """Something at a path of the document."""

    kind: str
    path: KeyPath
    facts: dict[str, Fact]
    symbol: str


def recognizes(probe: Probe) -> bool:
    """Whether it is an object in a file named as a notebook."""
    name = probe.name.lower()
    return name.endswith(".ipynb") and probe.head.removeprefix(b"\xef\xbb\xbf").lstrip()[:1] == b"{"


def inspect(member: Member, budget: Budget) -> Iterator[Evidence | Member | Notification]:
    """Yield what hides or acts; raises MalformedError for what is no notebook."""
    largest = budget.limits.document_bytes
    with closing(member.open()) as stream:
        raw = stream.read(largest + 1)
    if len(raw) > largest:
        raise BudgetExceededError("document_bytes", largest)
    document = parse_json(raw, budget)
    if not isinstance(document, dict):
        raise MalformedError("not a notebook: its JSON is not an object")
    text = raw.decode("utf-8-sig")
    seen = [*_kernel(document), *_shell(document), *_contents(document)]
    paths = {each.path for each in seen}
    starts = find_starts(text, paths.__contains__) if paths else {}
    lines = Lines(text)
    for each in seen:
        line, column = lines.position(starts.get(each.path, 0))
        where = Location(uri=member.artifact.uri, member=member.path, line=line, column=column)
        yield Evidence(kind=each.kind, location=where, facts=each.facts, symbol=each.symbol)
    if not is_other_language(document):
        yield from _code(member, document, text, budget)


def _code(member: Member, document: dict[str, Any], text: str, budget: Budget) -> Iterator[Evidence]:
    """Read the code cells as one module, as a person would run them."""
    cells = [cell for cell in cells_of(document) if cell.code.strip()]
    parsed = [(cell, tree) for cell in cells if isinstance(tree := parse_cell(cell.code), ast.Module)]
    if not parsed:
        return
    places = Places(member.artifact.uri, text, cells)
    for act in find_acts([tree for _cell, tree in parsed], budget):
        cell = parsed[act.index][0]
        found = places.locator(cell)(act.node)
        where = Location(
            uri=found.uri,
            member=member.path,
            line=found.line,
            column=found.column,
            end_line=found.end_line,
            end_column=found.end_column,
        )
        facts: dict[str, Fact] = {
            "act": act.act,
            "when": "later",
            "place": "notebook",
            "callee": act.callee,
            "operand": act.operand,
            "decoded": act.decoded,
            "source": act.source,
            "hidden": act.hidden,
            "nested": act.depth > 0,
            "cell": cell.number,
        }
        yield Evidence(kind="model-code", location=where, facts=facts, symbol=f"{act.act} {act.callee}")


def _kernel(document: dict[str, Any]) -> Iterator[_Seen]:
    metadata = document.get("metadata")
    kernel = metadata.get("kernelspec") if isinstance(metadata, dict) else None
    for key in kernel if isinstance(kernel, dict) else ():
        if key in _lists()["kernel_keys"]:
            path = ("metadata", "kernelspec", key)
            yield _Seen(kind="notebook-kernel", path=path, facts={"key": key}, symbol=key)


def _shell(document: dict[str, Any]) -> Iterator[_Seen]:
    """Look at commands for a shell, and at the tokens in all cells' source."""
    for cell in cells_of(document):
        if not cell.paths:
            continue
        code = cell.code[:LARGEST_TEXT]
        commands = shell_text(code)
        for what, hidden, pattern in _commands():
            match = pattern.search(commands)
            if match is not None:
                facts: dict[str, Fact] = {"what": what, "hidden": hidden, "command": match[0][:200]}
                path = cell.paths[_piece(cell, match.start())]
                yield _Seen(kind="notebook-command", path=path, facts=facts, symbol=what)
        for what in secrets_in(code):
            facts = {"what": what, "where": "source"}
            yield _Seen(kind="notebook-secret", path=cell.paths[0], facts=facts, symbol=what)


def _piece(cell: Cell, offset: int) -> int:
    """Find the piece of a cell's source that a character is in."""
    for index, piece in enumerate(cell.pieces):
        offset -= len(piece)
        if offset < 0:
            return index
    return len(cell.pieces) - 1


def _contents(document: dict[str, Any]) -> Iterator[_Seen]:
    """Look at outputs and attachments."""
    found = 0
    for path, mime, value in _bundles(document):
        text = "".join(each for each in value if isinstance(each, str)) if isinstance(value, list) else value
        if not isinstance(text, str) or found > MOST:
            continue
        for each in _content(path, mime, text):
            found += 1
            yield each


def _content(path: KeyPath, mime: str, text: str) -> Iterator[_Seen]:
    if mime in _lists()["image"]:
        what = embedded_format(_decoded(text))
        if what is not None:
            facts: dict[str, Fact] = {"mime": mime, "what": what}
            yield _Seen(kind="notebook-disguise", path=path, facts=facts, symbol=what)
        return
    text = text[:LARGEST_TEXT]
    for what in secrets_in(text):
        yield _Seen(kind="notebook-secret", path=path, facts={"what": what, "where": "output"}, symbol=what)
    if mime not in _lists()["markup"]:
        return
    for what, form, pattern in _active():
        if pattern.search(text):
            yield _Seen(kind="notebook-active", path=path, facts={"what": what, "form": form}, symbol=form)
    for host in sorted({_host(match[2]) for match in _foreign().finditer(text)} - {""})[:8]:
        yield _Seen(kind="notebook-foreign", path=path, facts={"host": host}, symbol=host)


def _bundles(document: dict[str, Any]) -> Iterator[tuple[KeyPath, str, Any]]:
    """Yield path, MIME type and value of each output and attachment; streams count as plain text."""
    cells = document.get("cells")
    for number, cell in enumerate(cells if isinstance(cells, list) else []):
        if not isinstance(cell, dict):
            continue
        outputs = cell.get("outputs")
        for index, output in enumerate(outputs if isinstance(outputs, list) else []):
            if isinstance(output, dict):
                here: KeyPath = ("cells", number, "outputs", index)
                yield (*here, "text"), "text/plain", output.get("text")
                yield from _data((*here, "data"), output.get("data"))
        attachments = cell.get("attachments")
        for name, data in attachments.items() if isinstance(attachments, dict) else ():
            yield from _data(("cells", number, "attachments", name), data)


def _data(path: KeyPath, data: Any) -> Iterator[tuple[KeyPath, str, Any]]:
    for mime, value in data.items() if isinstance(data, dict) else ():
        yield (*path, mime), mime.lower(), value


def _decoded(text: str) -> bytes:
    compact = "".join(text[:HEAD].split())
    try:
        return base64.b64decode(compact[: len(compact) // 4 * 4])
    except (binascii.Error, ValueError):
        return b""


def _host(name: str) -> str:
    """Give a host that is not one of those which libraries load scripts from, else nothing."""
    host = name.rpartition("@")[2].lower()
    known = any(host == each or host.endswith(f".{each}") for each in _lists()["hosts"])
    return "" if known else host


def _lists() -> Any:
    return format_data("notebook_document")


@cache
def _commands() -> tuple[tuple[str, bool, re.Pattern[str]], ...]:
    return tuple((row["what"], row["hidden"], re.compile(row["pattern"])) for row in _lists()["shell"])


@cache
def _active() -> tuple[tuple[str, str, re.Pattern[str]], ...]:
    return tuple(
        (row["what"], row["form"], re.compile(row["pattern"], re.IGNORECASE)) for row in _lists()["active"]
    )


@cache
def _foreign() -> re.Pattern[str]:
    return re.compile(_lists()["foreign"], re.IGNORECASE)
