"""XGBoost models: JSON, UBJSON and the old binary form; numbers that do not fit, and texts that hold more.

Formats: doc/tutorials/saving_model.rst and doc/model.schema of github.com/dmlc/xgboost; the old form is
LearnerImpl::Load of src/learner.cc and GBTreeModel::Load of version 1.7. A pickled Booster holds the
same UBJSON below "Model". The library reads a model natively and trusts most of its numbers.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing
from typing import Any, BinaryIO, Final

from supplyguard.archives.signs import embedded_format, text_signs
from supplyguard.errors import BudgetExceededError, MalformedError, SupplyguardError, UnsupportedError
from supplyguard.finding import Evidence, Fact, Level, Notification
from supplyguard.inspectors.xgboost_trees import Ensemble, Flaw
from supplyguard.inventory import Member, Probe
from supplyguard.limits import KIB, Budget
from supplyguard.resources import format_data
from supplyguard.streams import SliceReader, read_at, size_of
from supplyguard.wire.cursor import Cursor
from supplyguard.wire.json_document import parse_json
from supplyguard.wire.ubjson import TypedArray, UbjReader
from supplyguard.wire.xgboost_binary import NAMES_AT, OldReader

FORMAT: Final = "xgboost_model"

SHOWN: Final = 20
UBJSON: Final = b"{L\0\0\0\0\0"
"""An object whose first key is short: a mark, then a length of 8 bytes, big-endian."""
OLD: Final = (b"binf", b"bs64")
PICKLED: Final = b"CONFIG-offset:"
"""What Boosters of versions 1.0 to 1.5 were pickled as: this, the length of the old form, that form."""


def recognizes(probe: Probe) -> bool:
    """Whether it is UBJSON, JSON with a learner's keys, or starts like the old form."""
    head = probe.head
    if head.startswith((UBJSON, *OLD, PICKLED)) or _names_objective(head):
        return True
    ends = head + probe.tail
    return head.lstrip()[:1] == b"{" and b'"learner"' in head and b'"learner_model_param"' in ends


def inspect(member: Member, budget: Budget) -> Iterator[Evidence | Member | Notification]:
    """Yield what does not fit and what is odd; raises SupplyguardError past that."""
    with closing(member.open()) as stream:
        size = size_of(stream)
        head = read_at(stream, 0, min(size, KIB))
        if head.startswith(UBJSON):
            yield from _ubjson(member, stream, size, budget)
        elif head.startswith((*OLD, PICKLED)) or _names_objective(head):
            yield from _old(member, stream, size, budget)
        else:
            if size > budget.limits.document_bytes:
                raise BudgetExceededError("document_bytes", budget.limits.document_bytes)
            document = parse_json(read_at(stream, 0, size), budget)
            yield from _document(member, document, budget)


def _names_objective(head: bytes) -> bool:
    """Whether the old form's fixed part is followed by an objective and a booster, as it always is."""
    length = int.from_bytes(head[NAMES_AT : NAMES_AT + 8], "little")
    if not 0 < length <= 64:
        return False
    end = NAMES_AT + 8 + length
    name = head[NAMES_AT + 8 : end].decode("latin-1")
    booster = head[end + 8 : end + 8 + int.from_bytes(head[end : end + 1], "little")].decode("latin-1")
    table = format_data(FORMAT)
    return re.fullmatch(table["objectives"], name) is not None and booster in table["boosters"]


def _ubjson(
    member: Member, stream: BinaryIO, size: int, budget: Budget
) -> Iterator[Evidence | Member | Notification]:
    cursor = Cursor(stream, 0, size, ">")
    reader = UbjReader(cursor, budget)
    fault: SupplyguardError | None = None
    try:
        reader.read()
    except MalformedError as error:
        fault = error
        yield _flaw(member, Flaw("length", "the document", error.message, error.offset))
    except SupplyguardError as error:
        fault = error
    yield from _document(member, reader.root, budget, reader=reader, whole=fault is None)
    if fault is not None:
        raise fault
    yield from _appended(member, stream, cursor.position, size)


def _appended(member: Member, stream: BinaryIO, end: int, size: int) -> Iterator[Evidence | Member]:
    """Yield what follows the document."""
    head = read_at(stream, end, min(size - end, 64 * KIB))
    if size - end <= len(head) and not head.strip(b"\0\r\n "):
        return
    facts: dict[str, Fact] = {"length": size - end, "format": embedded_format(head) or "data"}
    yield Evidence(kind="xgboost-appended", location=member.at(end), facts=facts, symbol="appended")
    yield Member(
        artifact=member.artifact,
        path=(*member.path, "(after the model)"),
        open=lambda: SliceReader(member.open(), end, size - end),
        size=size - end,
    )


def _document(
    member: Member, document: Any, budget: Budget, *, reader: UbjReader | None = None, whole: bool = True
) -> Iterator[Evidence | Notification]:
    """Judge a document's keys, texts and trees. whole: it was read to its end."""
    table = format_data(FORMAT)
    known = isinstance(document, dict) and not document.keys().isdisjoint(table["document_keys"])
    if not known:
        if whole:
            raise UnsupportedError("UBJSON or JSON that is no XGBoost model")
        return
    for key in list(document.keys() - set(table["document_keys"]))[:SHOWN]:
        facts: dict[str, Fact] = {"key": key[:200]}
        yield Evidence(kind="xgboost-key", location=member.at(), facts=facts, symbol=key[:200])
    inner = document.get("Model")
    learner = (inner if isinstance(inner, dict) else document).get("learner")
    if not isinstance(learner, dict):
        if whole:
            raise MalformedError("a model without a learner", offset=0)
        return
    yield from _texts(member, learner.get("attributes"))
    ensemble = Ensemble(learner, reader.numbers if reader is not None else _unreadable, budget, whole=whole)
    for number, flaw in enumerate(ensemble.flaws()):
        if number >= SHOWN:
            text = f"more than {SHOWN} flaws: the others are not listed"
            yield Notification(code="not-listed", message=text, level=Level.NOTE, location=member.at())
            return
        yield _flaw(member, flaw)


def _unreadable(_array: TypedArray) -> tuple[int, ...]:
    return ()


def _texts(member: Member, attributes: Any) -> Iterator[Evidence]:
    """Yield attributes that hold more than a text of a few words or JSON."""
    if not isinstance(attributes, dict):
        return
    for key, value in attributes.items():
        if not isinstance(value, str):
            continue
        signs = list(text_signs(value))
        if not signs and len(value) >= format_data(FORMAT)["longest_attribute"]:
            signs = ["a very long text"]
        for what in signs:
            facts: dict[str, Fact] = {"key": key[:200], "what": what}
            yield Evidence(kind="xgboost-text", location=member.at(), facts=facts, symbol=key[:200])


def _old(member: Member, stream: BinaryIO, size: int, budget: Budget) -> Iterator[Evidence | Notification]:
    """Read the old form as a document of the new one."""
    yield Evidence(kind="xgboost-old-format", location=member.at(0), symbol="old")
    head = read_at(stream, 0, min(size, len(PICKLED) + 8))
    if head.startswith(b"bs64"):
        raise UnsupportedError("an old XGBoost model in base64, which is not read here")
    start, end = (4 if head.startswith(OLD) else 0), size
    if head.startswith(PICKLED):
        start = len(PICKLED) + 8
        end = start + int.from_bytes(head[len(PICKLED) :], "little")
        if end > size:
            error = MalformedError("a model longer than the file", offset=len(PICKLED))
            yield _flaw(member, Flaw("length", "the model", error.message, error.offset))
            raise error
    reader = OldReader(Cursor(stream, start, end), budget)
    fault: SupplyguardError | None = None
    try:
        reader.read()
    except MalformedError as error:
        fault = error
        yield _flaw(member, Flaw("length", "the model", error.message, error.offset))
    except SupplyguardError as error:
        fault = error
    yield from _document(member, {"learner": reader.learner}, budget, whole=fault is None)
    if fault is not None:
        raise fault


def _flaw(member: Member, flaw: Flaw) -> Evidence:
    facts: dict[str, Fact] = {"what": flaw.what, "place": flaw.place, "detail": flaw.detail}
    symbol = f"{flaw.what}:{flaw.place}"
    return Evidence(kind="xgboost-flaw", location=member.at(flaw.offset), facts=facts, symbol=symbol)
