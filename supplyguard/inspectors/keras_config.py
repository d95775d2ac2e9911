"""What a Keras configuration names and embeds; shared by the containers that hold one.

A configuration is JSON in which every object with a `class_name` is built when the model is loaded.
Formats: keras/src/saving/serialization_lib.py (Keras 3) and keras/src/legacy/saving (Keras 2). Which
names matter is in rules/formats/keras_config.json.
"""

from __future__ import annotations

import base64
import binascii
import io
import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from typing import Any, BinaryIO, Final, cast

from supplyguard.errors import MalformedError, RuleError
from supplyguard.finding import Evidence, Fact, Level, Notification
from supplyguard.inventory import Location, Member
from supplyguard.limits import Budget, Resource
from supplyguard.pickles.knowledge import DANGEROUS, Effect, current_knowledge
from supplyguard.pickles.operand_data import operand_data
from supplyguard.resources import rules_folder
from supplyguard.wire.json_document import parse_json
from supplyguard.wire.marshal_code import CODE_STARTS, CodeSummary, read_code

SHOWN: Final = 50
"""At most so many Evidences of one kind from one configuration; a Notification says how many more."""
_TELLING: Final = ("acts", "group", "known", "standing", "where")
"""Facts on which rules tell Evidences of one kind apart."""
_LAMBDA_PARTS: Final = ("function", "output_shape", "mask")
_ACCESSORS: Final = frozenset({Effect.ACCESSOR})
_MOST_NAMES: Final = 50


@dataclass(frozen=True, slots=True)
class Text:
    """A configuration's bytes; where: the place that evidence names; holder: what kind of file."""

    data: bytes
    member: Member
    where: Location
    holder: str


def examine_config(text: Text, budget: Budget) -> Iterator[Evidence | Member | Notification]:
    """Yield what acts when the objects are built; raises MalformedError for what is not JSON."""
    repeated: dict[str, None] = {}
    document = parse_json(text.data, budget, repeated=repeated)
    if text.holder == "archive" and not _is_object(document):
        return  # JSON of another program: Keras begins with an object that it can build
    yield from capped(_all(text, document, repeated, budget), text.where)


def _is_object(document: Any) -> bool:
    return isinstance(document, dict) and isinstance(document.get("class_name"), str) and "config" in document


def capped(
    items: Iterator[Evidence | Member | Notification], where: Location
) -> Iterator[Evidence | Member | Notification]:
    """Pass on at most SHOWN Evidences that rules judge alike, and say how many were left out."""
    counts: Counter[tuple[Fact, ...]] = Counter()
    for item in items:
        if isinstance(item, Evidence):
            # harmless ones must not crowd out the others of their kind
            alike = (item.kind, *(item.facts.get(name) for name in _TELLING))
            counts[alike] += 1
            if counts[alike] > SHOWN:
                continue
        yield item
    for (kind, *_), count in counts.items():
        if count > SHOWN:
            message = f"{count - SHOWN:,} more of {kind} are not listed"
            yield Notification(code="not-listed", message=message, level=Level.NOTE, location=where)


def _all(
    text: Text, document: Any, repeated: Mapping[str, None], budget: Budget
) -> Iterator[Evidence | Member | Notification]:
    for key in repeated:
        yield _see(text, "keras-duplicate-key", key, key=key)
    pending: list[tuple[str, Any]] = [("", document)]
    while pending:
        path, value = pending.pop()
        budget.spend(Resource.NODES)
        if isinstance(value, dict):
            if isinstance(value.get("class_name"), str):
                yield from _object(text, path, value, budget)
            pending += [(f"{path}.{key}" if path else key, each) for key, each in reversed(value.items())]
        elif isinstance(value, list):
            pending += [(f"{path}[{index}]", value[index]) for index in range(len(value) - 1, -1, -1)]


def _see(text: Text, kind: str, symbol: str, **facts: Fact) -> Evidence:
    return Evidence(kind=kind, location=text.where, facts={"holder": text.holder, **facts}, symbol=symbol)


def _object(text: Text, path: str, value: dict[str, Any], budget: Budget) -> Iterator[Evidence | Member]:
    """Yield what one object that will be built does."""
    name = value["class_name"]
    plain = name.rsplit(">", 1)[-1]
    config = value.get("config")
    if plain == "__lambda__":
        yield from _marshalled(text, path, "function", config, budget)
    elif plain == "__typespec__":
        yield from _type_spec(text, path, value)
    else:
        yield from _named(text, path, value)
    if not isinstance(config, dict):
        return
    if plain == "Lambda":
        yield from _lambda(text, path, config, budget)
    elif plain == "TorchModuleWrapper":
        yield from _torch_module(text, path, config)
    if plain in _table().symbol_layers:
        yield from _symbol(text, path, plain, config)
    yield from _paths(text, path, plain, config)


def _named(text: Text, path: str, value: dict[str, Any]) -> Iterator[Evidence]:
    """Judge the class or function that is looked up by module and name."""
    module, name = value.get("module"), value["class_name"]
    if name == "function" and isinstance(value.get("config"), str):
        name = value["config"]
    registered = value.get("registered_name")
    custom = next((each for each in (registered, name) if isinstance(each, str) and ">" in each), None)
    if not isinstance(module, str) or not module:
        if custom is not None and custom.partition(">")[0] not in _table().families:
            yield _see(text, "keras-custom-class", custom, name=custom, path=path)
        return
    dotted = f"{module}.{name}"
    table = _table()
    if table.is_family(module):
        if table.is_gadget(module, name):
            yield _see(text, "keras-gadget", dotted, callable=dotted, path=path)
        return
    judgement = current_knowledge().judge(module, name)
    acts = judgement.effect in DANGEROUS or judgement.effect is Effect.UNKNOWN_MODULE
    if module == "builtins" and not acts:
        return
    standing = "custom"
    if acts:
        standing = "acting"
    elif judgement.library == "python" or not isinstance(registered, str):
        standing = "foreign"
    elif judgement.effect is Effect.LOCAL:
        standing = "local"
    facts: dict[str, Fact] = {"callable": dotted, "module": module, "path": path}
    yield _see(text, "keras-object", dotted, standing=standing, effect=judgement.effect.value, **facts)


def _type_spec(text: Text, path: str, value: dict[str, Any]) -> Iterator[Evidence]:
    module = value.get("module")
    if isinstance(module, str) and module.partition(".")[0] not in _table().type_spec_modules:
        yield _see(text, "keras-type-spec", module, module=module, path=path)


def _lambda(text: Text, path: str, config: dict[str, Any], budget: Budget) -> Iterator[Evidence]:
    """Yield code or names in the three places where a Lambda layer takes a function."""
    for part in _LAMBDA_PARTS:
        value = config.get(part)
        kind = config.get(f"{part}_type")
        if isinstance(value, dict) and value.get("class_name") == "__tuple__":
            value = value.get("items")  # as SavedModel's metadata spells a tuple
        if isinstance(value, list) and value and isinstance(value[0], str):
            yield from _marshalled(text, path, part, {"code": value[0]}, budget)
        elif isinstance(value, str) and kind == "lambda":
            yield from _marshalled(text, path, part, {"code": value}, budget)
        elif isinstance(value, str):
            yield _lambda_name(text, path, config.get(_module_key(part)), value)
        elif isinstance(value, dict) and value.get("class_name") == "function":
            yield _lambda_name(text, path, value.get("module"), str(value.get("config")))
    given = config.get("arguments")
    function = config.get("function")
    if not isinstance(given, dict) or not isinstance(function, str | dict):
        return
    for key, argument in given.items():
        telling = isinstance(argument, str) and _table().path_text.search(argument)
        if telling or key in _table().dangerous_arguments:
            yield _see(text, "keras-lambda-argument", key, argument=key, value=str(argument)[:200], path=path)


def _module_key(part: str) -> str:
    return "module" if part == "function" else f"{part}_module"


def _lambda_name(text: Text, path: str, module: object, name: str) -> Evidence:
    holder = module if isinstance(module, str) else ""
    dotted = f"{holder}.{name}" if holder else name
    acts = False
    if holder and not _table().is_family(holder):
        acts = current_knowledge().judge(holder, name).effect in DANGEROUS
    return _see(text, "keras-lambda-name", dotted, callable=dotted, acts=acts, path=path)


def _marshalled(text: Text, path: str, part: str, config: object, budget: Budget) -> Iterator[Evidence]:
    """Yield a function's code: its names, and those of them that reach outside."""
    code = None
    if isinstance(config, dict):
        code = next((config[key] for key in ("code", "value") if isinstance(config.get(key), str)), None)
    if code is None:
        return
    summary = _summary(code, budget)
    reaches = _reaches(summary) if summary is not None else ()
    yield _see(
        text,
        "keras-lambda-code",
        f"{path}:{part}",
        part=part,
        path=path,
        readable=summary is not None,
        names=() if summary is None else summary.names[:_MOST_NAMES],
        reaches=reaches,
        acts=bool(reaches),
        version="" if summary is None else summary.version,
    )


def _summary(code: str, budget: Budget) -> CodeSummary | None:
    """Decode as Keras does: base64, or (before 2.1) the bytes as escaped text."""
    try:
        data = base64.b64decode("".join(code.split()), validate=True)
    except (binascii.Error, ValueError):
        data = b""
    if not data.startswith(CODE_STARTS):
        data = code.encode("raw_unicode_escape")
    try:
        return read_code(data, budget)
    except MalformedError:
        return None  # told as `readable: false`


def _reaches(summary: CodeSummary) -> tuple[str, ...]:
    """Give the names that reach outside of the model, and what constants look like orders."""
    known, table = current_knowledge(), _table()
    acting = DANGEROUS - _ACCESSORS
    found = [
        name
        for name in summary.names
        if name in operand_data().code_roots
        or name in table.acting_names
        or known.judge("builtins", name).effect in acting
    ]
    for constant in summary.constants:
        for what, pattern in operand_data().order_patterns:
            if pattern.search(constant[:4096]):
                found.append(f"{what}: {constant[:80]!r}")
    return tuple(dict.fromkeys(found))[:_MOST_NAMES]


def _torch_module(text: Text, path: str, config: dict[str, Any]) -> Iterator[Evidence | Member]:
    """Yield a serialized torch module, which is a torch checkpoint of its own."""
    payload = config.get("module")
    if isinstance(payload, dict) and payload.get("class_name") == "__bytes__":
        inner = payload.get("config")
        payload = inner.get("value") if isinstance(inner, dict) else None
    yield _see(text, "keras-torch-module", path, path=path, embedded=isinstance(payload, str))
    if not isinstance(payload, str):
        return
    try:
        data = base64.b64decode("".join(payload.split()), validate=True)
    except (binascii.Error, ValueError):
        data = payload.encode("latin-1", "replace")
    yield Member(
        artifact=text.member.artifact,
        path=(*text.member.path, f"(torch module at {path[:200]})"),
        open=lambda: cast("BinaryIO", io.BytesIO(data)),
        size=len(data),
    )


def _symbol(text: Text, path: str, name: str, config: dict[str, Any]) -> Iterator[Evidence]:
    """Yield a layer that calls a TensorFlow function by the name of its public symbol."""
    symbol = config.get(_table().symbol_layers[name])
    if isinstance(symbol, str):
        bare = symbol.removeprefix("tf.").removeprefix("tensorflow.")
        if any(fnmatchcase(bare, pattern) for pattern in _table().acting_symbols):
            yield _see(text, "keras-symbol", symbol, callable=symbol, layer=name, path=path)


def _paths(text: Text, path: str, name: str, config: dict[str, Any]) -> Iterator[Evidence]:
    """Yield files and addresses that a layer reads when it is built."""
    table = _table()
    for key in (*table.paths.get(name, ()), *table.path_keys):
        value = config.get(key)
        if isinstance(value, str) and value:
            facts: dict[str, Fact] = {"layer": name, "key": key, "value": value[:500], "path": path}
            yield _see(text, "keras-path", value[:500], **facts)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Names:
    families: frozenset[str]
    family_modules: tuple[str, ...]
    gadgets: tuple[str, ...]
    gadget_modules: tuple[str, ...]
    paths: Mapping[str, tuple[str, ...]]
    path_keys: tuple[str, ...]
    symbol_layers: Mapping[str, str]
    acting_symbols: tuple[str, ...]
    acting_names: frozenset[str]
    type_spec_modules: frozenset[str]
    path_text: re.Pattern[str]
    dangerous_arguments: frozenset[str]

    def is_family(self, module: str) -> bool:
        """Whether the module is one of Keras' own."""
        return module.partition(".")[0] in self.families or _below(module, self.family_modules)

    def is_gadget(self, module: str, name: str) -> bool:
        """Whether a name of Keras' own does something else than modelling."""
        last = name.rsplit(".", 1)[-1]
        if any(fnmatchcase(last, pattern) for pattern in self.gadgets):
            return True
        return _below(module.removeprefix("tensorflow.").removeprefix("tf_"), self.gadget_modules)


def _below(module: str, roots: tuple[str, ...]) -> bool:
    return any(module == root or module.startswith(f"{root}.") for root in roots)


@cache
def _table() -> _Names:
    path = rules_folder() / "formats" / "keras_config.json"
    try:
        rows: dict[str, Any] = json.loads(path.read_bytes())
        return _Names(
            families=frozenset(rows["families"]),
            family_modules=tuple(rows["family_modules"]),
            gadgets=tuple(rows["gadgets"]),
            gadget_modules=tuple(rows["gadget_modules"]),
            paths={name: tuple(keys) for name, keys in rows["paths"].items()},
            path_keys=tuple(rows["path_keys"]),
            symbol_layers=rows["symbol_layers"],
            acting_symbols=tuple(rows["acting_symbols"]),
            acting_names=frozenset(rows["acting_names"]),
            type_spec_modules=frozenset(rows["type_spec_modules"]),
            path_text=re.compile(rows["path_text"]),
            dangerous_arguments=frozenset(rows["dangerous_arguments"]),
        )
    except (OSError, ValueError, KeyError, re.error) as error:
        raise RuleError(f"cannot read {path}: {error!r}") from error
