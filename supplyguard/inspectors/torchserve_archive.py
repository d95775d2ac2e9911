"""TorchServe: what the manifest of a model archive (.mar) names to be run, installed and unpacked.

Format: MAR-INF/MANIFEST.json as torch-model-archiver writes it: {"model": {"handler", "serializedFile",
"modelFile", "requirementsFile", "extraFiles", ...}}. The archive itself is zip_archive's, and its
Python files, pickles and configurations are members of their own.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Any, Final

from supplyguard.archives.referenced_paths import path_reasons
from supplyguard.errors import BudgetExceededError, MalformedError
from supplyguard.finding import Evidence, Fact
from supplyguard.inventory import Member, Probe
from supplyguard.limits import MIB, Budget
from supplyguard.resources import format_data
from supplyguard.wire.json_document import parse_json

FORMAT: Final = "torchserve_archive"

LARGEST: Final = MIB
_SHOWN: Final = 200


def recognizes(probe: Probe) -> bool:
    """Whether it is the manifest of an archive, packed or unpacked."""
    name = probe.name.replace("\\", "/").rpartition("/")[2].lower()
    if name != "manifest.json" or probe.head.lstrip()[:1] != b"{":
        return False
    return any(mark.encode() in probe.head for mark in format_data(FORMAT)["marks"])


def inspect(member: Member, budget: Budget) -> Iterator[Evidence]:
    """Yield what the manifest names; raises MalformedError when it is no manifest."""
    with closing(member.open()) as stream:
        raw = stream.read(LARGEST + 1)
    if len(raw) > LARGEST:
        raise BudgetExceededError("document_bytes", LARGEST)
    document = parse_json(raw, budget)
    model = document.get("model") if isinstance(document, dict) else None
    if not isinstance(model, dict):
        raise MalformedError("a manifest without a model", offset=0)
    lists = format_data(FORMAT)
    handler = str(model.get("handler", "")).partition(":")[0]
    if handler and handler.removesuffix(".py") not in lists["handlers"]:
        yield _evidence(member, "torchserve-handler", "handler", handler)
    if model.get("requirementsFile"):
        yield _evidence(member, "torchserve-requirements", "requirementsFile", str(model["requirementsFile"]))
    for key in lists["paths"]:
        for path in _paths(model.get(key)):
            if reasons := path_reasons(path):
                yield _evidence(member, "torchserve-path", key, path, reasons)


def _paths(value: Any) -> Iterator[str]:
    """Give the paths of a value: a text, several with commas between them, or a list."""
    for each in value if isinstance(value, list) else [value]:
        if isinstance(each, str):
            yield from (path.strip() for path in each.split(",") if path.strip())


def _evidence(member: Member, kind: str, key: str, value: str, reasons: tuple[str, ...] = ()) -> Evidence:
    facts: dict[str, Fact] = {"key": key, "value": value[:_SHOWN], "reasons": reasons}
    return Evidence(kind=kind, location=member.at(), facts=facts, symbol=f"{key}:{value[:_SHOWN]}")
