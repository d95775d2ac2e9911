"""NeMo models (.nemo, .qnemo): what the configuration in the tar instantiates, resolves and refers to.

Format: nemo/core/connectors/save_restore_connector.py: a tar (maybe compressed) of model_config.yaml,
weights and artifacts; `target` names the model's class, `_target_` what Hydra instantiates, and a value
"nemo:NAME" is a file of the tar. Names, links and members of the tar are tar_archive's; targets that act
are yaml_document's.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from contextlib import closing
from typing import Any, Final

from supplyguard.archives.referenced_paths import path_reasons
from supplyguard.archives.signs import text_signs
from supplyguard.archives.tar_directory import is_tar, walk_tar
from supplyguard.errors import BudgetExceededError, MalformedError
from supplyguard.finding import Evidence, Fact
from supplyguard.inventory import Member, Probe
from supplyguard.limits import MIB, Budget
from supplyguard.resources import format_data
from supplyguard.streams import buffered, read_at, size_of
from supplyguard.wire.yaml_events import Seen, walk_yaml

FORMAT: Final = "nemo_archive"

CONFIG: Final = "model_config.yaml"
LARGEST: Final = 8 * MIB
_SHOWN: Final = 200
_REFERENCE: Final = "nemo:"
_DOTTED: Final = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)+")
_CLASS: Final = re.compile(r"_{0,2}[A-Z]\w*")


def recognizes(probe: Probe) -> bool:
    """Whether it is a tar that is called NeMo's or has the configuration among its first members."""
    if not is_tar(probe.head):
        return False
    return probe.name.lower().endswith((".nemo", ".qnemo")) or CONFIG.encode() in probe.head


def inspect(member: Member, budget: Budget) -> Iterator[Evidence]:
    """Yield what the configurations select; raises MalformedError where headers or YAML break off."""
    with closing(buffered(member.open())) as stream:
        size = size_of(stream)
        for header in walk_tar(stream, size, budget):
            if not (header.is_file and posixpath.basename(header.name) == CONFIG):
                continue
            if header.size > LARGEST:
                raise BudgetExceededError("document_bytes", LARGEST)
            if header.size > size - header.data:
                raise MalformedError("the configuration is cut", offset=header.data)
            raw = read_at(stream, header.data, header.size)
            path = (*member.path, header.name)
            inner = Member(artifact=member.artifact, path=path, open=member.open, size=header.size)
            for seen in walk_yaml(raw, budget):
                yield from _look(inner, seen)


def _look(inner: Member, seen: Seen) -> Iterator[Evidence]:
    """Look at one value, or at the arguments of a mapping that is instantiated."""
    if seen.what == "mapping":
        yield from _arguments(inner, seen)
    if seen.what != "scalar":
        return
    lists, key, value = _lists(), seen.key, seen.text
    if key in lists["targets"] and _DOTTED.fullmatch(value):
        standing = _standing(value)
        if standing is not None:
            facts: dict[str, Fact] = {"target": value[:_SHOWN], "standing": standing}
            yield _evidence(inner, "nemo-target", seen, facts, value)
    if value.startswith(_REFERENCE):
        path = value.removeprefix(_REFERENCE)
        reasons = path_reasons(path)
        if reasons:
            yield _evidence(inner, "nemo-reference", seen, {"path": path[:_SHOWN], "reasons": reasons}, value)
    for found in re.finditer(lists["resolver"], value):
        name = found[1]
        if name not in lists["known_resolvers"]:
            evaluates = re.fullmatch(lists["evaluating_resolvers"], name) is not None
            facts = {"resolver": name[:_SHOWN], "evaluates": evaluates, "value": value[:_SHOWN]}
            yield _evidence(inner, "nemo-resolver", seen, facts, f"{key}:{name}")


def _arguments(inner: Member, seen: Seen) -> Iterator[Evidence]:
    """Look at the arguments of what is instantiated and is not one of NeMo's own classes."""
    lists = _lists()
    target = next((seen.scalars[key] for key in lists["targets"] if key in seen.scalars), "")
    if not _DOTTED.fullmatch(target) or _standing(target) is None:
        return
    for key, value in seen.scalars.items():
        signs = list(text_signs(value))
        signs += [row["what"] for row in lists["arguments"] if re.search(row["pattern"], value)]
        if signs and key not in lists["targets"]:
            facts: dict[str, Fact] = {"target": target[:_SHOWN], "key": key[:_SHOWN], "what": signs[0]}
            yield _evidence(inner, "nemo-argument", seen, facts, f"{target}:{key}")


def _standing(target: str) -> str | None:
    """Say what is odd about a target: "trampoline", "outside", "function"; None for classes of NeMo's."""
    lists = _lists()
    if target in lists["trampolines"]:
        return "trampoline"
    if target.partition(".")[0] not in lists["libraries"]:
        return "outside"
    known = any(re.fullmatch(pattern, target) for pattern in lists["functions"])
    return None if known or _CLASS.fullmatch(target.rpartition(".")[2]) else "function"


def _evidence(inner: Member, kind: str, seen: Seen, facts: dict[str, Fact], symbol: str) -> Evidence:
    """Make an Evidence at its line of the configuration in the tar."""
    return Evidence(kind=kind, location=seen.place.within(inner), facts=facts, symbol=symbol[:_SHOWN])


def _lists() -> Any:
    return format_data(FORMAT)
