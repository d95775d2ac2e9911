"""PaddlePaddle programs: operators that run Python, open files or need other code, and odd attributes.

Formats: ProgramDesc of paddle/fluid/framework/framework.proto (`.pdmodel`, `__model__`), and the JSON of
paddle/fluid/pir/serialize_deserialize (`.json`), of github.com/PaddlePaddle/Paddle.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from functools import cache
from typing import Any, Final

from supplyguard.archives.referenced_paths import path_reasons
from supplyguard.archives.signs import text_signs
from supplyguard.errors import BudgetExceededError, MalformedError
from supplyguard.finding import Evidence, Fact, Level, Notification
from supplyguard.inventory import Member, Probe
from supplyguard.limits import Budget, Resource
from supplyguard.resources import format_data
from supplyguard.streams import buffered, read_at, size_of
from supplyguard.wire.json_document import parse_json
from supplyguard.wire.protobuf import BYTES, Message

FORMAT: Final = "paddle_program"

SHOWN: Final = 50
_PROGRAM: Final = re.compile(rb"\x0a[\x80-\xff]{0,8}[\0-\x7f]\x08\0\x10\xff{9}\x01")
"""The first block, of number 0 and of no parent (-1)."""
_PIR: Final = re.compile(rb'"base_code"\s*:\s*\{[^{}]{0,200}"magic"\s*:\s*"pir"')
_SHOWN_TEXT: Final = 200
_MARK: Final = b"\xef\xbb\xbf"


def recognizes(probe: Probe) -> bool:
    """Whether it is a program's first block, the usual name with a field of it, or PIR's JSON."""
    head = probe.head
    if head.startswith(b"\n"):
        name = re.split(r"[/\\]", probe.name.lower())[-1]
        return _PROGRAM.match(head) is not None or name.endswith(".pdmodel") or name == "__model__"
    return head.removeprefix(_MARK).lstrip().startswith(b"{") and _PIR.search(head) is not None


def inspect(member: Member, budget: Budget) -> Iterator[Evidence | Notification]:
    """Yield what operators and attributes ask for; raises MalformedError where the program breaks."""
    counts: Counter[str] = Counter()
    seen: dict[tuple[str, str], None] = {}
    for found in _found(member, budget):
        key = (found.kind, found.symbol)
        if key in seen:
            continue
        seen[key] = None
        counts[found.kind] += 1
        if counts[found.kind] > SHOWN:
            text = f"more than {SHOWN} of {found.kind}: the others are not listed"
            yield Notification(code="not-listed", message=text, level=Level.NOTE, location=member.at())
            return
        yield found


def _found(member: Member, budget: Budget) -> Iterator[Evidence]:
    with closing(buffered(member.open())) as stream:
        size = size_of(stream)
        if _is_message(read_at(stream, 0, min(64, size))):
            yield from _description(member, Message.of(stream, 0, size, budget))
            return
        if size > budget.limits.document_bytes:
            raise BudgetExceededError("document_bytes", budget.limits.document_bytes)
        document = parse_json(read_at(stream, 0, size), budget)
    yield from _pir(member, document, budget)


def _is_message(head: bytes) -> bool:
    """Whether a field's tag begins it: JSON may begin with the same byte, a line's end."""
    return head.startswith(b"\n") and not head.lstrip().startswith(b"{")


def _description(member: Member, program: Message) -> Iterator[Evidence]:
    """Walk a ProgramDesc (1 blocks) and its blocks (4 operators)."""
    for block in program:
        if (block.number, block.wire) != (1, BYTES):
            continue
        for field in program.message(block):
            if (field.number, field.wire) == (4, BYTES):
                yield from _described(member, program.message(field), field.offset)


def _described(member: Member, operator: Message, at: int) -> Iterator[Evidence]:
    """Look at an operator (3 type, 4 attributes); the type may come last, so it is sought first."""
    op = ""
    for field in operator:
        if (field.number, field.wire) == (3, BYTES):
            op = operator.text(field)
    place = ""
    for field in operator:
        if (field.number, field.wire) != (4, BYTES):
            continue
        attribute = operator.message(field)
        key = ""
        for part in attribute:
            if (part.number, part.wire) == (1, BYTES):
                key = attribute.text(part)
        for part in attribute:
            if part.number in {5, 8} and part.wire == BYTES:
                value = attribute.text(part)
                place = value if key in format_data(FORMAT)["path_keys"] else place
                yield from _attribute(member, op, key, value, part.offset)
    yield from _operator(member, op, place, at)


def _pir(member: Member, document: Any, budget: Budget) -> Iterator[Evidence]:
    """Walk PIR's regions, blocks and operators ("#" name, "A" attributes, "I" and "O" values)."""
    if not isinstance(document, dict) or not isinstance(document.get("program"), dict):
        raise MalformedError("PIR without a program", offset=0)
    dialects = format_data(FORMAT)["dialects"]
    work: list[Any] = [document["program"]]
    while work:
        value = work.pop()
        budget.spend(Resource.NODES)
        if isinstance(value, list):
            work.extend(value)
        if not isinstance(value, dict):
            continue
        work.extend(value.values())
        name = value.get("#")
        if not isinstance(name, str) or not ({"I", "O", "A"} & value.keys()):
            continue
        dialect, dot, op = name.partition(".")
        place = ""
        for key, text in _texts(value.get("A"), budget):
            place = text if key in format_data(FORMAT)["path_keys"] else place
            yield from _attribute(member, op or name, key, text, None)
        if dot and dialects.get(dialect) != "plain":
            custom = dialects.get(dialect, "custom") == "custom"
            yield from _operator(member, name if custom else op, place, None)


def _texts(attributes: Any, budget: Budget) -> Iterator[tuple[str, str]]:
    """Give the texts of attributes: "N" the name, "AT" the type "#" and the value "D", perhaps of more."""
    for each in attributes if isinstance(attributes, list) else ():
        if not isinstance(each, dict):
            continue
        work = [each.get("AT")]
        while work:
            budget.spend(Resource.NODES)
            value = work.pop()
            if isinstance(value, dict):
                work.append(value.get("D"))
            elif isinstance(value, list):
                work.extend(value)
            elif isinstance(value, str):
                yield str(each.get("N", "")), value


def _operator(member: Member, op: str, place: str, at: int | None) -> Iterator[Evidence]:
    table = format_data(FORMAT)
    role = table["acting"].get(_plain(op), "")
    if role == "file":
        outside = bool(place.strip() and path_reasons(place))
        role = "outside file" if outside else "file"
    elif not role and not _known(op):
        role = "unknown"
    if role:
        facts: dict[str, Fact] = {"op": op[:_SHOWN_TEXT], "role": role, "place": place[:_SHOWN_TEXT]}
        symbol = f"{facts['op']}:{facts['place']}"
        yield Evidence(kind="paddle-operator", location=member.at(at), facts=facts, symbol=symbol)


def _attribute(member: Member, op: str, key: str, value: str, at: int | None) -> Iterator[Evidence]:
    """Yield what a text attribute holds beyond a name; paths of the operators for files are theirs."""
    table = format_data(FORMAT)
    if key in table["plain_attributes"]:
        return
    signs = list(text_signs(value))
    if table["acting"].get(_plain(op)) != "file":
        reasons = path_reasons(value) if value.strip() else ()
        if "url" in reasons:
            signs.append("an address")
        elif reasons and re.search(table["keys_of_paths"], key):
            signs.append("a path outside the model's folder")
    for what in signs:
        facts: dict[str, Fact] = {"op": op[:_SHOWN_TEXT], "key": key[:_SHOWN_TEXT], "what": what}
        symbol = f"{facts['op']}:{facts['key']}:{what}"
        yield Evidence(kind="paddle-attribute", location=member.at(at), facts=facts, symbol=symbol)


def _plain(op: str) -> str:
    """Take the endings of gradients and of operators in place off a name."""
    return re.sub(r"(_double_grad|_triple_grad|_grad|_)+\Z", "", op[:_SHOWN_TEXT])


def _known(op: str) -> bool:
    return _plain(op) in _operators() or re.fullmatch(format_data(FORMAT)["families"], op) is not None


@cache
def _operators() -> frozenset[str]:
    return frozenset(format_data(FORMAT)["operators"].split())
