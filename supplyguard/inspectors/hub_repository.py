"""JSON of Hugging Face repositories: which code, repositories and files a configuration selects.

Formats: the configuration classes of transformers, diffusers, peft and sentence-transformers. Names
that lists decide about are in rules/formats/hub_repository.json.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import cache
from typing import Any, BinaryIO, Final, cast

from supplyguard.archives.access_tokens import secrets_in
from supplyguard.errors import BudgetExceededError, MalformedError
from supplyguard.finding import Evidence, Fact, Notification
from supplyguard.inspectors.hub_folder import unlisted_shards, weights_beside
from supplyguard.inspectors.hub_tokenizer import TOKENIZER, tokenizer_patterns
from supplyguard.inventory import Location, Member, Probe
from supplyguard.limits import MIB, Budget, Resource
from supplyguard.pickles.knowledge import DANGEROUS, current_knowledge
from supplyguard.resources import format_data
from supplyguard.wire.json_document import parse_json

FORMAT: Final = "hub_repository"

LARGEST: Final = 32 * MIB
MOST_SHARDS: Final = 2000
_SHOWN: Final = 200
_IDENTIFIER: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_REPOSITORY: Final = re.compile(r"[\w.-]+/[\w.-]+(@[\w./-]+)?(:[\w.:-]+)?")
_URL: Final = re.compile(r"[a-z][a-z0-9+.-]{1,20}://", re.IGNORECASE)
_ABSOLUTE: Final = re.compile(r"[/\\~]|[A-Za-z]:[/\\]")
_PARENT: Final = re.compile(r"(^|[/\\])\.\.([/\\]|$)")


@dataclass(frozen=True, kw_only=True, slots=True)
class _Document:
    """One file: its text to find lines in, and its name."""

    member: Member
    raw: bytes
    name: str

    def evidence(self, kind: str, key: str, facts: dict[str, Fact], symbol: str = "") -> Evidence:
        """Make an Evidence at the line of the first `key`."""
        place = self.raw.find(b'"' + key.encode("utf-8", "replace") + b'"')
        line = self.raw.count(b"\n", 0, place) + 1 if place >= 0 else None
        where = Location(uri=self.member.artifact.uri, member=self.member.path, line=line)
        return Evidence(kind=kind, location=where, facts={**facts, "key": key}, symbol=symbol or key)


def recognizes(probe: Probe) -> bool:
    """Whether it is JSON under one of the names; the common ones need a word that only models have."""
    name = probe.name.replace("\\", "/").rpartition("/")[2].lower()
    lists = _lists()
    if name not in lists["files"] and not name.endswith(lists["index_suffix"]):
        return False
    if probe.head.removeprefix(b"\xef\xbb\xbf").lstrip()[:1] not in (b"{", b"["):
        return False
    if name not in lists["generic"] or (probe.size or 0) > len(probe.head):
        return True
    return any(mark.encode() in probe.head for mark in lists["marks"]) or b"\\u00" in probe.head


def inspect(member: Member, budget: Budget) -> Iterator[Evidence | Member | Notification]:
    """Yield what the configuration selects; raises MalformedError when it is not JSON."""
    name = member.name.replace("\\", "/").rpartition("/")[2].lower()
    if name == TOKENIZER:
        yield from tokenizer_patterns(member, budget)
        return
    with closing(member.open()) as stream:
        raw = stream.read(LARGEST + 1)
    if len(raw) > LARGEST:
        raise BudgetExceededError("document_bytes", LARGEST)
    repeated: dict[str, None] = {}
    tree = parse_json(raw, budget, repeated=repeated)
    document = _Document(member=member, raw=raw, name=name)
    for key in list(repeated)[:50]:
        yield document.evidence("hub-repeated-key", key[:_SHOWN], {})
    if name.endswith(_lists()["index_suffix"]) and isinstance(tree, dict):
        yield from _index(document, tree)
        return
    if name == "modules.json" and isinstance(tree, list):
        yield from _modules(document, tree)
    if name == "model_index.json" and isinstance(tree, dict):
        yield from _pipeline(document, tree)
    if name in _lists()["weights_beside"]:
        yield from weights_beside(member)
    yield from _walk(document, tree, budget)


def _walk(document: _Document, tree: Any, budget: Budget) -> Iterator[Evidence | Member | Notification]:
    """Look at every key of every object."""
    work: list[tuple[str, Any]] = [("", tree)]
    templates = 0
    while work:
        key, value = work.pop()
        budget.spend(Resource.NODES)
        if isinstance(value, str):
            yield from _text(document, key, value)
        look = _LOOKS.get(key)
        if look is not None:
            yield from look(document, key, value)
        yield from _listed(document, key, value)
        if key == "chat_template":
            for text in _templates(value):
                yield _embedded(document.member, text, templates)
                templates += 1
        elif isinstance(value, dict):
            work.extend(reversed(list(value.items())))
        elif isinstance(value, list):
            work.extend((key if isinstance(each, str) else "", each) for each in reversed(value))


def _listed(document: _Document, key: str, value: Any) -> Iterator[Evidence]:
    """Look at keys that the lists name."""
    lists = _lists()
    if key in lists["internal"] and value is not None:
        text = str(value)[:_SHOWN]
        yield document.evidence("hub-internal-code", key, {"value": text, "repository": "/" in text})
    elif key in lists["implementations"] and isinstance(value, str):
        if _REPOSITORY.fullmatch(value):
            known = value.partition("/")[0] in lists["kernel_owners"]
            yield document.evidence("hub-kernel", key, {"value": value[:_SHOWN], "known_owner": known})
    elif key in lists["classes"] and isinstance(value, str) and not _IDENTIFIER.fullmatch(value):
        yield document.evidence("hub-odd-class", key, {"value": value[:_SHOWN]})
    elif key in lists["paths"] and isinstance(value, str):
        form = _form(value)
        if form is not None:
            facts: dict[str, Fact] = {"value": value[:_SHOWN], "form": form, "file": document.name}
            yield document.evidence("hub-path", key, facts, value[:_SHOWN])


def _auto_map(document: _Document, key: str, value: Any) -> Iterator[Evidence]:
    entries = list(value.items()) if isinstance(value, dict) else [(key, value)]
    for name, given in entries:
        for target in given if isinstance(given, list) else [given]:
            if isinstance(target, str) and target:
                repository, found, _ = target.rpartition("--")
                facts: dict[str, Fact] = {
                    "target": target[:_SHOWN],
                    "class": str(name)[:_SHOWN],
                    "form": "repository" if found else "local",
                    "repository": repository[:_SHOWN],
                }
                yield document.evidence("hub-remote-code", key, facts, target[:_SHOWN])


def _trust(document: _Document, key: str, value: Any) -> Iterator[Evidence]:
    if value is True or (isinstance(value, str) and value.lower() == "true"):
        yield document.evidence("hub-trusts-itself", key, {})


def _custom_pipelines(document: _Document, key: str, value: Any) -> Iterator[Evidence]:
    for task, given in value.items() if isinstance(value, dict) else ():
        target = given.get("impl") if isinstance(given, dict) else given
        facts: dict[str, Fact] = {"task": str(task)[:_SHOWN], "target": str(target)[:_SHOWN]}
        yield document.evidence("hub-custom-pipeline", key, facts, str(task)[:_SHOWN])


def _auto_mapping(document: _Document, key: str, value: Any) -> Iterator[Evidence]:
    module = value.get("parent_library") if isinstance(value, dict) else None
    if isinstance(module, str) and module.partition(".")[0] not in _lists()["parent_libraries"]:
        yield document.evidence("hub-adapter-import", key, {"module": module[:_SHOWN]}, module[:_SHOWN])


def _quantization(document: _Document, key: str, value: Any) -> Iterator[Evidence]:
    if isinstance(value, str) and value not in _lists()["quantization"]:
        yield document.evidence("hub-unknown-quantization", key, {"value": value[:_SHOWN]})


def _custom_generate(document: _Document, key: str, value: Any) -> Iterator[Evidence]:
    if isinstance(value, str) and value:
        yield document.evidence("hub-custom-generate", key, {"value": value[:_SHOWN]})


def _target(document: _Document, key: str, value: Any) -> Iterator[Evidence]:
    if not isinstance(value, str):
        return
    module, _, name = value.rpartition(".")
    judgement = current_knowledge().judge(module or "builtins", name)
    facts: dict[str, Fact] = {
        "target": value[:_SHOWN],
        "effect": judgement.effect.value,
        "acts": judgement.effect in DANGEROUS,
    }
    yield document.evidence("hub-target", key, facts, value[:_SHOWN])


_LOOKS: Final[dict[str, Callable[[_Document, str, Any], Iterator[Evidence]]]] = {
    "auto_map": _auto_map,
    "trust_remote_code": _trust,
    "custom_pipelines": _custom_pipelines,
    "auto_mapping": _auto_mapping,
    "quant_method": _quantization,
    "custom_generate": _custom_generate,
    "_target_": _target,
}


def _modules(document: _Document, tree: list[Any]) -> Iterator[Evidence]:
    """Look at the list of modules of sentence-transformers: each type is imported."""
    for entry in tree:
        if not isinstance(entry, dict):
            continue
        kind, path = entry.get("type"), entry.get("path")
        if isinstance(kind, str) and kind.partition(".")[0] not in _lists()["module_types"]:
            yield document.evidence("hub-module-type", "type", {"value": kind[:_SHOWN]}, kind[:_SHOWN])
        form = _form(path) if isinstance(path, str) else None
        if isinstance(path, str) and form is not None:
            facts: dict[str, Fact] = {"value": path[:_SHOWN], "form": form, "file": document.name}
            yield document.evidence("hub-path", "path", facts, path[:_SHOWN])


def _pipeline(document: _Document, tree: dict[str, Any]) -> Iterator[Evidence]:
    """Look at a diffusers pipeline: each component is [library, class]; another library is a file here."""
    for key, value in tree.items():
        if isinstance(value, str) and key == "_class_name" and not _IDENTIFIER.fullmatch(value):
            yield document.evidence("hub-odd-class", key, {"value": value[:_SHOWN]})
        if not isinstance(value, list) or not value or not isinstance(value[0], str):
            continue
        custom = key == "_class_name"
        if custom or (not key.startswith("_") and value[0].partition(".")[0] not in _libraries()):
            facts: dict[str, Fact] = {
                "module": value[0][:_SHOWN],
                "class": str(value[1])[:_SHOWN] if len(value) > 1 else "",
            }
            yield document.evidence("hub-pipeline-code", key[:_SHOWN], facts, value[0][:_SHOWN])


def _index(document: _Document, tree: dict[str, Any]) -> Iterator[Evidence | Notification]:
    """Look at the shards that an index of weights names."""
    weights = tree.get("weight_map")
    if not isinstance(weights, dict):
        raise MalformedError("an index of shards without a weight_map")
    shards = sorted({str(each) for each in weights.values()})
    for shard in shards[:MOST_SHARDS]:
        form = _form(shard) or ("separator" if "/" in shard or "\\" in shard else None)
        if form is not None:
            facts: dict[str, Fact] = {"value": shard[:_SHOWN], "form": form, "file": "index"}
            yield document.evidence("hub-path", "weight_map", facts, shard[:_SHOWN])
    endings = sorted({each.rpartition(".")[2].lower()[:20] for each in shards})
    if len(endings) > 1:
        yield document.evidence("hub-mixed-shards", "weight_map", {"endings": tuple(endings)})
    if document.member.path:
        return
    folder = document.member.artifact.path.parent
    plain = [
        each for each in shards[:MOST_SHARDS] if _form(each) is None and "\0" not in each and len(each) < 256
    ]
    missing = [each for each in plain if not (folder / each).exists()]
    yield from unlisted_shards(document.member, plain)
    if missing:
        text = f"names {len(missing):,} shards that are not here, so they were not examined: {missing[0]}"
        yield Notification(
            code="missing-shards", message=text, location=document.member.at(), incomplete=True
        )


def _text(document: _Document, key: str, value: str) -> Iterator[Evidence]:
    for what in secrets_in(value):
        yield document.evidence("hub-secret", key, {"what": what}, what)
    if key == "_name_or_path" and re.match(_lists()["home"], value):
        yield document.evidence("hub-home-path", key, {"value": value[:_SHOWN]})


def _form(path: str) -> str | None:
    """Say how a path leaves the repository's folder, or None."""
    if _URL.match(path):
        return "address"
    if _PARENT.search(path):
        return "parent"
    return "absolute" if _ABSOLUTE.match(path) else None


def _templates(value: Any) -> Iterator[str]:
    """Give the templates of a chat_template: one text, a list of named ones, or an object of them."""
    for each in value if isinstance(value, list) else [value]:
        if isinstance(each, str):
            yield each
        elif isinstance(each, dict):
            yield from (text for key, text in each.items() if isinstance(text, str) and key != "name")


def _embedded(member: Member, text: str, number: int) -> Member:
    data = text.encode("utf-8", "replace")
    name = "chat_template.jinja" if number == 0 else f"chat_template.{number}.jinja"
    return Member(
        artifact=member.artifact,
        path=(*member.path, name),
        open=lambda: cast("BinaryIO", io.BytesIO(data)),
        size=len(data),
    )


def _lists() -> Any:
    return format_data("hub_repository")


@cache
def _libraries() -> frozenset[str]:
    return frozenset(_lists()["pipeline_libraries"])
