"""Triton: what the config.pbtxt of a model in a repository makes the server load.

Format: model_config.proto of Triton's common repository, as protobuf text. Only the fields of interest
are found, by name; a model.py or shared library beside it is examined by itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing
from typing import Final

from supplyguard.archives.referenced_paths import path_reasons
from supplyguard.errors import BudgetExceededError
from supplyguard.finding import Evidence, Fact
from supplyguard.inventory import Location, Member, Probe
from supplyguard.limits import MIB, Budget, Resource
from supplyguard.resources import format_data

FORMAT: Final = "triton_config"

LARGEST: Final = 4 * MIB
_SHOWN: Final = 200
_TEXT: Final = r"""["']((?:[^"'\\\n]|\\.)*+)["']"""
_FIELD: Final = re.compile(
    r"""#[^\n]*|\b(backend|platform|default_model_filename|model_library_name|name|key|string_value)\s*:\s*"""
    + _TEXT
)


def recognizes(probe: Probe) -> bool:
    """Whether it is a config.pbtxt that names a backend or platform."""
    name = probe.name.replace("\\", "/").rpartition("/")[2].lower()
    return name == "config.pbtxt" and b"\0" not in probe.head


def inspect(member: Member, budget: Budget) -> Iterator[Evidence]:
    """Yield the backend that runs code, and paths that are loaded."""
    with closing(member.open()) as stream:
        raw = stream.read(LARGEST + 1)
    if len(raw) > LARGEST:
        raise BudgetExceededError("document_bytes", LARGEST)
    text = raw.decode("utf-8", "replace")
    parameter = ""
    for found in _FIELD.finditer(text):
        budget.spend(Resource.NODES)
        field, value = found[1], found[2]
        if field is None:
            continue
        where = Location(
            uri=member.artifact.uri, member=member.path, line=text.count("\n", 0, found.start()) + 1
        )
        if field == "key":
            parameter = value
        yield from _look(where, field, value, parameter)


def _look(where: Location, field: str, value: str, parameter: str) -> Iterator[Evidence]:
    """Look at one field; `parameter` is the key of the parameter that a string_value belongs to."""
    lists = format_data(FORMAT)
    facts: dict[str, Fact] = {"field": field, "value": value[:_SHOWN]}
    symbol = f"{field}:{value[:_SHOWN]}"
    if field == "backend" and value:
        standing = "python" if value in lists["python"] else "known" if value in lists["known"] else "other"
        yield Evidence(
            kind="triton-backend", location=where, facts={**facts, "standing": standing}, symbol=symbol
        )
    if field == "string_value":
        if parameter not in lists["path_parameters"]:
            return
        inside = value.startswith(lists["own_folder"])
        plain = value.removeprefix(lists["own_folder"]).lstrip("/") if inside else value
        archive = parameter == lists["environment"]
        leaves = path_reasons(plain) != ()
        facts |= {"parameter": parameter, "leaves": leaves, "environment": archive}
        yield Evidence(kind="triton-loads", location=where, facts=facts, symbol=f"{parameter}:{symbol}")
    elif field in lists["file_fields"] and value and (reasons := path_reasons(value)):
        yield Evidence(kind="triton-path", location=where, facts={**facts, "reasons": reasons}, symbol=symbol)
