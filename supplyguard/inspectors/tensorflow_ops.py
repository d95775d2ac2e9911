"""What TensorFlow operations can do, from rules/formats/tensorflow_ops.json; shared by graph formats.

The registry of names is that of TensorFlow 2.21 (tensorflow_op_names.txt).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from typing import Any, Final

from supplyguard.errors import RuleError
from supplyguard.resources import rules_folder
from supplyguard.wire.tensorflow_graph import Body, Node, Origin, origin, texts_of

UNKNOWN: Final = Origin("unknown")


@dataclass(frozen=True, kw_only=True, slots=True)
class Capability:
    """What one operation does. path: inputs that name files; attribute: or an attribute that does.

    only: the operation counts only when the attribute's value looks like this.
    """

    group: str
    path: tuple[int, ...] = ()
    attribute: str = ""
    only: re.Pattern[str] | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Operations:
    """The lists: capabilities, the registry, and what names and paths look like."""

    capabilities: Mapping[str, Capability]
    registry: frozenset[str]
    through: Mapping[str, tuple[int, ...]]
    known_families: tuple[str, ...]
    collections: frozenset[str]
    any_types: tuple[str, ...]
    absolute: re.Pattern[str]
    parent: re.Pattern[str]
    url: re.Pattern[str]
    name: re.Pattern[str]
    local_device: re.Pattern[str]

    def family(self, op: str) -> bool:
        """Whether the operation belongs to a well-known extension of TensorFlow."""
        return any(fnmatchcase(op, pattern) for pattern in self.known_families)

    def where(self, text: str) -> str:
        """Say what kind of path a text is."""
        if not text:
            return "empty"
        if self.absolute.search(text):
            return "absolute"
        if self.parent.search(text):
            return "parent"
        return "url" if self.url.search(text) else "relative"


def uses(body: Body, node: Node, assets: frozenset[str]) -> Iterator[tuple[str, str, str]]:
    """Yield (group, kind of path, path) for each file that a node with a capability uses.

    assets: constants of the graph that the loader replaces by the path of an asset or checkpoint.
    """
    table = operations()
    capability = table.capabilities.get(node.op)
    if capability is None:
        return
    if capability.attribute:
        value = node.attributes.get(capability.attribute)
        texts = () if value is None else texts_of(value)
        if capability.only is not None:
            texts = tuple(text for text in texts if capability.only.search(text))
            if not texts:
                return
        yield from ((capability.group, table.where(text), text) for text in texts or ("",))
        return
    operands = [node.inputs[index] for index in capability.path if index < len(node.inputs)]
    if not operands:
        yield capability.group, "unknown", ""
    for operand in operands:
        found = origin(body, operand, table.through)
        if found.kind == "constant" and found.node in assets and not body.name:
            yield capability.group, "asset", ""
        elif found.kind == "constant":
            yield from ((capability.group, table.where(text), text) for text in found.texts or ("",))
        else:
            yield capability.group, found.kind, ""


@cache
def operations() -> Operations:
    """Read the lists once; raises RuleError when they break their format."""
    folder = rules_folder() / "formats"
    try:
        rows: dict[str, Any] = json.loads((folder / "tensorflow_ops.json").read_bytes())
        names = (folder / "tensorflow_op_names.txt").read_text(encoding="ascii").split()
        return Operations(
            capabilities={op: _capability(row) for op, row in rows["ops"].items()},
            registry=frozenset(names),
            through={op: tuple(inputs) for op, inputs in rows["through"].items()},
            known_families=tuple(rows["known_families"]),
            collections=frozenset(rows["collections"]),
            any_types=tuple(rows["any_types"]),
            absolute=re.compile(rows["absolute"]),
            parent=re.compile(rows["parent"]),
            url=re.compile(rows["url"]),
            name=re.compile(rows["name"]),
            local_device=re.compile(rows["local_device"]),
        )
    except (OSError, ValueError, KeyError, re.error) as error:
        raise RuleError(f"cannot read TensorFlow's operations in {folder}: {error!r}") from error


def _capability(row: Mapping[str, Any]) -> Capability:
    return Capability(
        group=row["group"],
        path=tuple(row.get("path", ())),
        attribute=row.get("attribute", ""),
        only=re.compile(row["only"]) if "only" in row else None,
    )
