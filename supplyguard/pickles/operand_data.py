"""The lists that operand rules consult: rules/knowledge/pickle_operands.json."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import cache

from supplyguard.resources import rules_folder


@dataclass(frozen=True, kw_only=True, slots=True)
class OperandData:
    """The lists, each named after the operand rule that uses it.

    armed_attributes: names that a loader calls when BUILD puts them on an object. order_patterns:
    what a text that gives orders looks like. other_formats: first bytes of files in which no
    pickle is searched for.
    """

    armed_attributes: frozenset[str]
    code_roots: frozenset[str]
    encodings: frozenset[str]
    order_patterns: tuple[tuple[str, re.Pattern[str]], ...]
    random_modules: frozenset[str]
    reconstructor_bases: frozenset[str]
    storing_callables: frozenset[str]
    dict_types: frozenset[str]
    zone_folders: tuple[str, ...]
    other_formats: tuple[bytes, ...]


@cache
def operand_data() -> OperandData:
    """Read the lists."""
    data = json.loads((rules_folder() / "knowledge" / "pickle_operands.json").read_bytes())
    return OperandData(
        armed_attributes=frozenset(data["armed_attributes"]),
        code_roots=frozenset(data["code_roots"]),
        encodings=frozenset(data["encodings"]),
        order_patterns=tuple((name, re.compile(text)) for name, text in data["order_patterns"].items()),
        random_modules=frozenset(data["random_modules"]),
        reconstructor_bases=frozenset(data["reconstructor_bases"]),
        storing_callables=frozenset(data["storing_callables"]),
        dict_types=frozenset(data["dict_types"]),
        zone_folders=tuple(data["zone_folders"]),
        other_formats=tuple(bytes.fromhex(each) for each in data["other_formats"]),
    )
