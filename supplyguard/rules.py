"""Rules: load and validate rules/*.yaml, and turn Evidence into Findings.

The YAML is compiled to JSON when the wheel is built, or at first use from a source checkout (kept
in the user's cache folder, keyed by the files' names, sizes and times), because parsing it takes
longer than a whole scan of a small file.
"""

from __future__ import annotations

import hashlib
import json
import os
import string
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from supplyguard import __version__
from supplyguard.errors import RuleError
from supplyguard.finding import Confidence, Evidence, Fact, Finding, Help, Rule, Severity
from supplyguard.resources import cache_folder, rules_folder
from supplyguard.rule_format import parse_rules

LISTED_VALUES: Final = 8
"""How many values of a many-valued fact a message names."""
SHOWN_CHARACTERS: Final = 200
"""How much of one value a message shows."""
COMPILED: Final = "compiled.json"


@dataclass(frozen=True, kw_only=True, slots=True)
class Catalogue:
    """All rules, sorted by id, and the same by the kind of Evidence that they look at."""

    rules: tuple[Rule, ...]
    by_kind: Mapping[str, tuple[Rule, ...]]

    def get(self, rule_id: str) -> Rule | None:
        """Find a rule by id."""
        return next((rule for rule in self.rules if rule.id == rule_id), None)


def load_catalogue(extra: Sequence[Path] = ()) -> Catalogue:
    """Load the built-in rules and those of the folders or files in `extra`.

    Raises RuleError for a rule that breaks the format or repeats an id.
    """
    built_in = _built_in()
    if not extra:
        return built_in
    entries: list[Any] = []
    for path in extra:
        files = sorted(path.glob("*.yaml")) if path.is_dir() else [path]
        for file in files:
            entries += parse_rules(file.stem, _read(file), str(file))
    return catalogue_of((*built_in.rules, *map(_rule, entries)))


def catalogue_of(rules: tuple[Rule, ...]) -> Catalogue:
    """Index `rules`; raises RuleError when an id occurs twice."""
    seen: dict[str, Rule] = {}
    by_kind: dict[str, list[Rule]] = {}
    for rule in sorted(rules, key=lambda each: each.id):
        if rule.id in seen:
            raise RuleError(f"rule id {rule.id!r} is used twice ({seen[rule.id].family}, {rule.family})")
        seen[rule.id] = rule
        by_kind.setdefault(rule.kind, []).append(rule)
    return Catalogue(
        rules=tuple(seen.values()), by_kind={kind: tuple(each) for kind, each in by_kind.items()}
    )


def judge(catalogue: Catalogue, evidence: Evidence) -> Iterator[Finding]:
    """Yield a Finding, without fingerprint yet, for each rule that matches."""
    for rule in catalogue.by_kind.get(evidence.kind, ()):
        if all(_fits(evidence.facts.get(name), wanted) for name, wanted in rule.match.items()):
            yield Finding(
                rule=rule,
                message=render_message(rule.message, evidence.facts),
                location=evidence.location,
                facts=evidence.facts,
                fingerprint="",
                symbol=evidence.symbol,
                related=evidence.related,
            )


def render_message(template: str, facts: Mapping[str, Fact]) -> str:
    """Fill `{fact}` placeholders; long values are cut and said to be cut."""
    parts: list[str] = []
    for literal, name, _spec, _conversion in string.Formatter().parse(template):
        parts.append(literal)
        if name is not None:
            parts.append(_shown(facts.get(name)))
    return "".join(parts)


def compile_folder(folder: Path) -> str:
    """Validate all rules of a folder and give them as one JSON text; raises RuleError."""
    entries: list[Any] = []
    for file in sorted(folder.glob("*.yaml")):
        entries += parse_rules(file.stem, _read(file), str(file))
    return json.dumps(entries, ensure_ascii=False, separators=(",", ":"))


def _fits(value: Fact, wanted: tuple[Fact, ...]) -> bool:
    if isinstance(value, tuple):
        return any(each in wanted for each in value)
    # True == 1 in Python, but not in a rule
    return any(value == each and isinstance(value, bool) is isinstance(each, bool) for each in wanted)


def _shown(value: Fact) -> str:
    if value is None or value in ((), ""):
        return "(unknown)"
    if isinstance(value, tuple):
        text = ", ".join(_cut(each) for each in value[:LISTED_VALUES])
        more = len(value) - LISTED_VALUES
        return f"{text} and {more} more" if more > 0 else text
    if isinstance(value, bool):
        return "true" if value else "false"
    return _cut(str(value))


def _cut(text: str) -> str:
    return text if len(text) <= SHOWN_CHARACTERS else f"{text[:SHOWN_CHARACTERS]}…"


def _built_in() -> Catalogue:
    folder = rules_folder()
    packaged = folder / COMPILED
    if packaged.is_file():
        return _load_json(packaged)
    cached = cache_folder() / f"rules-{_signature(folder)}.json"
    if cached.is_file():
        return _load_json(cached)
    text = compile_folder(folder)
    _keep(cached, text)
    return _catalogue(text.encode())


def _load_json(path: Path) -> Catalogue:
    try:
        return _catalogue(path.read_bytes())
    except (OSError, ValueError) as error:
        raise RuleError(f"cannot read the compiled rules {path}: {error}", hint="delete that file") from error


@lru_cache(maxsize=2)
def _catalogue(text: bytes) -> Catalogue:
    """Make the catalogue of compiled rules; the same text gives the same one."""
    return catalogue_of(tuple(_rule(entry) for entry in json.loads(text)))


def _signature(folder: Path) -> str:
    digest = hashlib.sha256(__version__.encode())
    parser = Path(__file__).with_name("rule_format.py")
    for file in (parser, *sorted(folder.glob("*.yaml"))):
        status = file.stat()
        digest.update(f"{file.name}\0{status.st_mtime_ns}\0{status.st_size}\0".encode())
    return digest.hexdigest()[:16]


def _keep(path: Path, text: str) -> None:
    """Write the cache atomically; a folder that cannot be written only costs the time again."""
    temporary = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        for old in path.parent.glob("rules-*.json"):
            old.unlink(missing_ok=True)
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(path)
    except OSError:
        return


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise RuleError(f"cannot read the rules file {file}: {error}") from error


def _rule(entry: Mapping[str, Any]) -> Rule:
    return Rule(
        id=entry["id"],
        name=entry["name"],
        severity=Severity[entry["severity"].upper()],
        confidence=Confidence[entry["confidence"].upper()],
        kind=entry["kind"],
        match={name: tuple(values) for name, values in entry["match"].items()},
        message=entry["message"],
        help=Help(**entry["help"]),
        cwe=tuple(entry["cwe"]),
        atlas=tuple(entry["atlas"]),
        references=tuple(entry["references"]),
        tags=tuple(entry["tags"]),
        family=entry["family"],
    )
