"""spaCy: which registered functions and files a pipeline's config.cfg needs.

Format: spaCy's training configuration (confection): sections of `key = JSON value`, in which keys
that begin with @ name functions of a registry. Only lines are read; nothing is interpolated.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator
from contextlib import closing
from typing import BinaryIO, Final, cast

from supplyguard.archives.referenced_paths import path_reasons
from supplyguard.errors import BudgetExceededError, MalformedError
from supplyguard.finding import Evidence, Fact
from supplyguard.inventory import Location, Member, Probe
from supplyguard.limits import MIB, Budget, Resource
from supplyguard.resources import format_data

FORMAT: Final = "spacy_config"

LARGEST: Final = 4 * MIB
_SHOWN: Final = 200
_LINE: Final = re.compile(r"([@\w.]{1,200})\s*=\s*(.*)")
_SECTION: Final = re.compile(r"\[([^\]]{1,300})\]")


def recognizes(probe: Probe) -> bool:
    """Whether it is a .cfg with the sections of a pipeline."""
    if not probe.name.lower().endswith(".cfg"):
        return False
    return b"[nlp]" in probe.head and (b"[components" in probe.head or b"pipeline" in probe.head)


def inspect(member: Member, budget: Budget) -> Iterator[Evidence | Member]:
    """Yield functions that do not come with spaCy, callbacks and paths; templates are members."""
    with closing(member.open()) as stream:
        raw = stream.read(LARGEST + 1)
    if len(raw) > LARGEST:
        raise BudgetExceededError("document_bytes", LARGEST)
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise MalformedError("not UTF-8", offset=error.start) from error
    section = ""
    for number, line in enumerate(text.split("\n"), 1):
        budget.spend(Resource.NODES)
        if found := _SECTION.match(line.strip()):
            section = found[1]
        elif found := _LINE.match(line.strip()):
            where = Location(uri=member.artifact.uri, member=member.path, line=number)
            yield from _entry(member, where, section, (found[1], _plain(found[2])))


def _entry(
    member: Member, where: Location, section: str, pair: tuple[str, str | None]
) -> Iterator[Evidence | Member]:
    """Look at one line: a key and its text."""
    lists = format_data(FORMAT)
    key, said = pair
    if said is None:
        return
    facts: dict[str, Fact] = {"section": section[:_SHOWN], "key": key, "value": said[:_SHOWN]}
    symbol = f"{section}.{key}"[:_SHOWN]
    if key.startswith("@"):
        plain = key in lists["plain_registries"] and re.fullmatch(lists["plain"], said) is not None
        if not plain and not re.fullmatch(lists["namespaces"], said):
            facts["callback"] = key == "@callbacks"
            yield Evidence(kind="spacy-function", location=where, facts=facts, symbol=symbol)
    elif key == "factory" and said not in lists["factories"]:
        yield Evidence(
            kind="spacy-function", location=where, facts={**facts, "callback": False}, symbol=symbol
        )
    elif section in lists["path_sections"] and said and (reasons := path_reasons(said)):
        yield Evidence(kind="spacy-path", location=where, facts={**facts, "reasons": reasons}, symbol=symbol)
    elif key == "template" and re.search(r"\{[{%]", said):
        data = said.encode("utf-8", "replace")
        yield Member(
            artifact=member.artifact,
            path=(*member.path, f"{section}.jinja"),
            open=lambda: cast("BinaryIO", io.BytesIO(data)),
            size=len(data),
        )


def _plain(value: str) -> str | None:
    """Give a text value, None for others; what is no JSON stands for itself."""
    try:
        found = json.loads(value)
    except (ValueError, RecursionError):
        return value
    return found if isinstance(found, str) else None
