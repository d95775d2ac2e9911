"""XML as a bounded run of events; declarations are told and never followed.

Parser: expat (https://libexpat.github.io), without a tree. External entities are not fetched, parameter
entities are not read, and a document that declares entities is read no further than its first element,
so that nothing is ever expanded.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import BinaryIO, Final
from xml.parsers import expat

from supplyguard.errors import BudgetExceededError, MalformedError, UnsupportedError
from supplyguard.limits import KIB, MIB, Budget, Resource

CHUNK: Final = 64 * KIB
LARGEST_CHUNK: Final = 16 * MIB
_PROLOG: Final = re.compile(r"<!--.*?-->|<\?.*?\?>", re.DOTALL)
_NAMES: Final = re.compile(r"<(?:!DOCTYPE\s+)?(?:[A-Za-z_][\w.-]*:)?([A-Za-z_][\w.-]*)")


class Kind(StrEnum):
    """What an event tells. The last four are declarations that plain documents do not have."""

    START = "start"
    END = "end"
    TEXT = "text"
    DOCTYPE = "doctype"
    ENTITY = "entity"
    EXTERNAL = "external"
    INSTRUCTION = "instruction"


DECLARATIONS: Final = frozenset({Kind.DOCTYPE, Kind.ENTITY, Kind.EXTERNAL, Kind.INSTRUCTION})


@dataclass(frozen=True, slots=True)
class Event:
    """One event. name: of an element without its prefix, of an entity or of an instruction's target.

    text: character data, a system identifier or an instruction's data. offset: in bytes.
    """

    kind: Kind
    name: str
    offset: int
    text: str = ""
    attributes: Mapping[str, str] = field(default_factory=dict)


def root_names(head: bytes) -> frozenset[str]:
    """Give the names that the root element may have: of the first element, and of the DOCTYPE.

    head: the first bytes of a file. Empty when it does not begin like XML.
    """
    encoding = "utf-16" if head[:2] in {b"\xff\xfe", b"\xfe\xff"} else "utf-8-sig"
    if encoding != "utf-16" and b"\0" in head[:4]:
        encoding = "utf-16-le" if head[:1] == b"<" else "utf-16-be"
    text = head.decode(encoding, "replace").lstrip()
    if not text.startswith("<"):
        return frozenset()
    text = _PROLOG.sub("", text)
    found = set()
    for match in _NAMES.finditer(text):
        found.add(match[1])
        if not match[0].startswith("<!"):
            break
    return frozenset(found)


def xml_events(stream: BinaryIO, budget: Budget, *, depth: int | None = None) -> Iterator[Event]:
    """Yield the events of a document, declarations first.

    depth: how deep elements may nest, the Budget's `document_depth` by default. Raises MalformedError
    for what is not XML, UnsupportedError after the declarations of a document with entities, and
    BudgetExceededError past a limit.
    """
    reader = _Reader(budget, budget.limits.document_depth if depth is None else depth)
    stream.seek(0)
    chunk = CHUNK
    while True:
        budget.check_time()
        data = stream.read(chunk)
        fault: Exception | None = None
        try:
            reader.parser.Parse(data, not data)
        except expat.ExpatError as error:
            fault = MalformedError(f"not XML: {error}", offset=reader.parser.ErrorByteIndex)
        except (UnsupportedError, BudgetExceededError, MalformedError) as error:
            fault = error
        except (ValueError, LookupError, OverflowError) as error:
            fault = MalformedError(f"not XML: {error}", offset=0)
        # a long token is looked at anew with each piece, so pieces grow until something comes out
        chunk = CHUNK if reader.found else min(2 * chunk, LARGEST_CHUNK)
        yield from reader.found
        reader.found.clear()
        if fault is not None:
            raise fault
        if not data:
            return


class _Reader:
    """Expat's handlers: each appends an event."""

    def __init__(self, budget: Budget, most_depth: int) -> None:
        self.found: list[Event] = []
        self.parser = expat.ParserCreate()
        self._budget = budget
        self._most_depth = most_depth
        self._depth = 0
        self._entities = False
        parser = self.parser
        parser.buffer_text = True
        parser.SetParamEntityParsing(expat.XML_PARAM_ENTITY_PARSING_NEVER)
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._text
        parser.StartDoctypeDeclHandler = self._doctype
        parser.EntityDeclHandler = self._entity
        parser.ProcessingInstructionHandler = self._instruction
        parser.ExternalEntityRefHandler = self._reference

    def _add(
        self, kind: Kind, name: str, text: str = "", attributes: Mapping[str, str] | None = None
    ) -> None:
        self._budget.spend(Resource.NODES)
        most = self._budget.limits.string_bytes
        self.found.append(
            Event(kind, name[:most], self.parser.CurrentByteIndex, text[:most], attributes or {})
        )

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        if self._entities:
            raise UnsupportedError("the document declares entities; it is not read further")
        self._depth += 1
        if self._depth > self._most_depth:
            raise BudgetExceededError("document_depth", self._most_depth)
        self._budget.spend(Resource.NODES, len(attributes))
        most = self._budget.limits.string_bytes
        kept = {key[:most]: value[:most] for key, value in attributes.items()}
        self._add(Kind.START, name.rpartition(":")[2], attributes=kept)

    def _end(self, name: str) -> None:
        self._depth -= 1
        self._add(Kind.END, name.rpartition(":")[2])

    def _text(self, data: str) -> None:
        if data.strip():
            self._add(Kind.TEXT, "", data)

    def _doctype(self, name: str, system: str | None, _public: str | None, _internal: bool) -> None:  # noqa: FBT001 - expat's
        self._add(Kind.EXTERNAL if system else Kind.DOCTYPE, name, system or "")

    def _entity(
        self,
        name: str,
        _parameter: bool,  # noqa: FBT001 - expat's
        _value: str | None,
        _base: str | None,
        system: str | None,
        _public: str | None,
        _notation: str | None,
    ) -> None:
        self._entities = True
        self._add(Kind.EXTERNAL if system else Kind.ENTITY, name, system or "")

    def _instruction(self, target: str, data: str) -> None:
        self._add(Kind.INSTRUCTION, target, data)

    def _reference(self, _context: str, _base: str | None, system: str | None, _public: str | None) -> int:
        self._add(Kind.EXTERNAL, "", system or "")
        return 1
