"""The table of calls that load models and data (rules/code/loaders.json)."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from supplyguard.resources import rules_folder

WORD: Final = re.compile(r"\w+")
IMPORTERS: Final = frozenset({"__import__", "import_module"})
ALWAYS: Final = frozenset({"trust_remote_code", "enable_unsafe_deserialization"})
"""Words that matter wherever they stand."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Parameter:
    """A parameter of a callable: its position (None: by keyword only) and its names."""

    position: int | None
    keywords: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Loader:
    """A callable that loads something. reference: what kind of repository its argument names."""

    family: str
    argument: Parameter
    reference: str | None = None
    revision: Parameter | None = None
    repo_type: str | None = None
    yaml_loader: Parameter | None = None
    flags: tuple[Parameter, ...] = ()
    local_names: frozenset[str] = frozenset()
    prefixes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Table:
    """All that is known about loaders; names are canonical, see `canonical`."""

    exact: Mapping[str, Loader]
    by_last: Mapping[str, tuple[tuple[str, Loader], ...]]
    aliases: Mapping[str, str]
    recorded: tuple[str, ...]
    downloads: frozenset[str]
    yaml_loaders: Mapping[str, str]
    known_owners: frozenset[str]
    file_suffixes: tuple[str, ...]
    triggers: Mapping[str, frozenset[str]]

    def is_mentioned(self, words: AbstractSet[str]) -> bool:
        """Whether source with these words can hold a call that matters.

        It needs a callable's own name, and its library's unless that does not matter or the source
        imports by computed name.
        """
        for name in self.triggers.keys() & words:
            libraries = self.triggers[name]
            if not libraries or not words.isdisjoint(libraries | IMPORTERS):
                return True
        return False

    def canonical(self, dotted: str) -> str:
        """Replace the longest beginning of a dotted name that is an alias."""
        end = len(dotted)
        while end > 0:
            known = self.aliases.get(dotted[:end])
            if known is not None:
                return known + dotted[end:]
            end = dotted.rfind(".", 0, end)
        return dotted

    def find(self, dotted: str) -> Loader | None:
        """Give the loader of a canonical dotted name."""
        exact = self.exact.get(dotted)
        if exact is not None:
            return exact
        head, dot, last = dotted.rpartition(".")
        if not dot:
            return None
        for prefix, loader in self.by_last.get(last, ()):
            if head.startswith(prefix):
                return loader
        return None

    def is_download(self, dotted: str) -> bool:
        """Whether a canonical dotted name fetches something from the network."""
        return dotted in self.downloads or f"*.{dotted.rpartition('.')[2]}" in self.downloads


def mentions_loader(text: str) -> bool:
    """Whether a text has the words that some call worth looking at needs.

    Identifiers are compared as Python does, in normal form NFKC.
    """
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text)
    return table().is_mentioned(set(WORD.findall(text)))


@cache
def table() -> Table:
    """Load the table."""
    data: dict[str, Any] = json.loads((rules_folder() / "code" / "loaders.json").read_bytes())
    exact: dict[str, Loader] = {}
    by_last: dict[str, list[tuple[str, Loader]]] = {}
    for row in data["calls"]:
        loader = _loader(row)
        for name in row["names"]:
            prefix, star, last = name.partition("*.")
            if star:
                by_last.setdefault(last, []).append((prefix, loader))
            else:
                exact[name] = loader
    # the most particular pattern first: "peft.*.from_pretrained" before "*.from_pretrained"
    ordered = {last: tuple(sorted(rows, key=lambda row: -len(row[0]))) for last, rows in by_last.items()}
    yaml_loaders = {name: kind for kind in ("safe", "full", "unsafe") for name in data[f"yaml_{kind}"]}
    return Table(
        exact=exact,
        by_last=ordered,
        aliases=data["aliases"],
        recorded=tuple(data["recorded"]),
        downloads=frozenset(data["downloads"]),
        yaml_loaders=yaml_loaders,
        known_owners=frozenset(data["known_owners"]),
        file_suffixes=tuple(data["file_suffixes"]),
        triggers=_triggers(data),
    )


def _triggers(data: Mapping[str, Any]) -> dict[str, frozenset[str]]:
    """Map each callable's own name to the first words of its libraries; no word: any will do."""
    libraries: dict[str, set[str]] = {}
    for written, canonical in data["aliases"].items():
        libraries.setdefault(canonical.partition(".")[0], set()).add(written.partition(".")[0])
    triggers: dict[str, frozenset[str]] = {}
    for row in data["calls"]:
        for name in row["names"]:
            top, last = name.partition(".")[0], name.rpartition(".")[2]
            words = frozenset({top, *libraries.get(top, ())})
            triggers[last] = triggers.get(last, frozenset()) | words
    for row in data["calls"]:
        triggers.update({name[2:]: frozenset() for name in row["names"] if name.startswith("*.")})
    return triggers | dict.fromkeys(ALWAYS, frozenset())


def _loader(row: Mapping[str, Any]) -> Loader:
    return Loader(
        family=row["family"],
        argument=Parameter(position=row["argument"][0], keywords=tuple(row["argument"][1])),
        reference=row.get("reference"),
        revision=_single(row.get("revision")),
        repo_type=row.get("repo_type"),
        yaml_loader=_single(row.get("loader")),
        flags=tuple(
            Parameter(position=position, keywords=(name,)) for name, position in row.get("facts", {}).items()
        ),
        local_names=frozenset(row.get("local_names", ())),
        prefixes=tuple(row.get("prefixes", ())),
    )


def _single(pair: list[Any] | None) -> Parameter | None:
    return None if pair is None else Parameter(position=pair[0], keywords=(pair[1],))
