"""The table of what code does (rules/code/acts.json), ready to look names and texts up."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import cache
from typing import Any

from supplyguard.pickles.knowledge import current_knowledge
from supplyguard.resources import rules_folder


class Table:
    """acts.json, ready to look names up."""

    def __init__(self, data: dict[str, Any]) -> None:
        self.data = data
        self.decoding = frozenset(data["decoding"])
        self.readers = frozenset(data["readers"])
        self.callers = frozenset(data["callers"])
        self.copies = frozenset(data["copies"])
        self.executors = frozenset(data["executors"])
        self._ecosystem = frozenset(data["ecosystem"])
        self._sends = frozenset(data["sends"])
        self._exact: dict[str, str] = {}
        self._begins: list[tuple[str, str]] = []
        for act, patterns in data["acts"].items():
            for pattern in patterns:
                if pattern.endswith("*"):
                    self._begins.append((pattern[:-1], act))
                else:
                    self._exact[pattern] = act
        self._starts = tuple(start for start, _ in self._begins)
        self._places = [(act, re.compile("|".join(patterns))) for act, patterns in data["places"].items()]
        self._decodes = re.compile(
            "|".join(re.escape(each).replace(r"\*", ".*") for each in data["decoding_calls"])
        )
        self._paths = re.compile(
            "|".join(re.escape(each).replace(r"\*", ".*") for each in data["path_calls"])
        )
        self._replaced = re.compile(
            "|".join(re.escape(each).replace(r"\*", ".*") for each in data["replaced"])
        )

    @cache  # noqa: B019 - one table for the whole process
    def act_of(self, name: str) -> str | None:
        """Say what a call of a dotted name does, or None."""
        found = self._exact.get(name)
        if found is not None:
            return found
        if name.startswith(self._starts):
            return max((len(start), act) for start, act in self._begins if name.startswith(start))[1]
        module, dot, last = name.rpartition(".")
        top = module.partition(".")[0]
        if not dot or not top.isidentifier() or top in self._ecosystem or last not in self._sends:
            return None
        knowledge = current_knowledge()
        if knowledge.is_standard(top):
            return None
        kind: str | None = self.data["third_party"].get(knowledge.judge(module, last).effect.value)
        return kind

    def place_of(self, text: str) -> Iterator[str]:
        """Say which guarded places a text names."""
        if 3 < len(text) < 400 and "\n" not in text and text.count(" ") < 4:
            yield from (act for act, pattern in self._places if pattern.search(text))

    def decodes(self, name: str) -> bool:
        """Whether a callable turns hidden text into plain text."""
        return self._decodes.fullmatch(name) is not None

    def uses_paths(self, name: str) -> bool:
        """Whether a callable's arguments are paths."""
        return self._paths.fullmatch(name) is not None

    def is_replaced(self, name: str) -> bool:
        """Whether a name is one that loaders or scanners rely on."""
        return self._replaced.fullmatch(name) is not None

    def is_known_host(self, text: str) -> bool:
        """Whether an address is one of the hosts that models and data come from."""
        match = re.match(r"[a-z]+://(?:[^/@]*@)?([^/:?#]+)", text)
        hosts = self.data["known_hosts"]
        return match is not None and any(match[1] == host or match[1].endswith("." + host) for host in hosts)


@cache
def acts_data() -> dict[str, Any]:
    """Read rules/code/acts.json."""
    data: dict[str, Any] = json.loads((rules_folder() / "code" / "acts.json").read_bytes())
    return data


@cache
def acts_table() -> Table:
    """Load the table."""
    return Table(acts_data())
