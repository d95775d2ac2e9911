"""Results of calls that are certain: attributes, imports, and texts and bytes that are put together."""

from __future__ import annotations

import codecs
from collections.abc import Callable
from typing import Final

from supplyguard.limits import Resource
from supplyguard.pickles.context import Context, show
from supplyguard.pickles.decoders import CODEC_OF, DECODERS, MAX_DATA, TEXT_CODECS, tried
from supplyguard.pickles.knowledge import DANGEROUS, Effect
from supplyguard.pickles.values import (
    Accessor,
    Attribute,
    Computed,
    Container,
    Global,
    Instance,
    Kind,
    Module,
    Partial,
    Unknown,
    Value,
    View,
)

Arguments = tuple[Value, ...] | None
MAX_TEXT: Final = 1 << 20
"""Characters of a text that is put together."""
DILL_SETTER: Final = ("dill._dill", "_setattr", "builtins.setattr")
"""How dill fills closures: getattr(dill._dill, "_setattr", setattr)."""
MAX_REPEATED: Final = 256
"""How many times one operand is called for the items of a sequence."""
_UNREVIEWED: Final = frozenset({Effect.UNKNOWN, Effect.UNKNOWN_STDLIB})
_REVIEWED: Final = frozenset({Effect.INERT, Effect.TYPE, Effect.SETSTATE, Effect.CONDITIONAL})


def result(context: Context, callee: Global, given: Arguments, offset: int) -> Value | None:
    """Give what a call returns where that is certain, else None."""
    rule = _RULES.get((callee.module.removeprefix("_"), callee.name))
    if rule is None or given is None:
        return None
    return rule(context, callee, given, offset)


def attribute(context: Context, owner: Value, name: str, offset: int) -> Value:
    """Read an attribute."""
    if isinstance(owner, Module):
        return context.reached(owner.name, name, offset)
    if isinstance(owner, Global):
        judgement = context.knowledge.judge(owner.module, f"{owner.name}.{name}")
        if judgement.effect in _UNREVIEWED and owner.effect in _REVIEWED:
            return Attribute(owner, name)
        return context.reached(owner.module, f"{owner.name}.{name}", offset)
    if isinstance(owner, Instance) and isinstance(owner.callee, Global):
        kind = owner.callee
        if context.knowledge.judge(kind.module, f"{kind.name}.{name}").effect in DANGEROUS:
            return context.reached(kind.module, f"{kind.name}.{name}", offset)
    return Attribute(owner, name)


def access(context: Context, accessor: Accessor, given: Arguments, offset: int) -> Value:
    """Call an attrgetter, itemgetter or methodcaller."""
    owner = given[0] if given else Unknown("nothing")
    names = accessor.arguments
    if accessor.kind == "itemgetter":
        return _items_at(context, owner, names)
    if accessor.kind == "attrgetter":
        found: list[Value] = []
        for each in names:
            value = owner
            for step in (context.text(each) or "?").split("."):
                value = attribute(context, value, step, offset)
            found.append(value)
        return found[0] if len(found) == 1 else Container(Kind.TUPLE, list(found))
    name = context.text(names[0]) if names else None
    if name is None:
        return context.call(context, Unknown("a method whose name is computed"), given, offset)
    return context.call(context, attribute(context, owner, name, offset), names[1:], offset)


def method(context: Context, callee: Attribute, given: Arguments, offset: int) -> Value:
    """Call a method of a value."""
    owner = callee.owner
    if isinstance(owner, str | bytes) and given is not None:
        made = _text_method(context, owner, callee.name, given)
        return made if made is not None else Unknown(f"what {callee.name} gives")
    if isinstance(owner, Global) and callee.name == "__new__" and owner.effect in _REVIEWED:
        return Instance(owner, given, offset)
    if owner is None or isinstance(owner, bool | int | float | Container | View | str | bytes):
        return Unknown(f"what {callee.name} gives")
    return context.uncertain(context, callee, given, offset)


def _items_at(context: Context, owner: Value, keys: tuple[Value, ...]) -> Value:
    found = [_item_at(context, owner, key) for key in keys]
    return found[0] if len(found) == 1 else Container(Kind.TUPLE, list(found))


def _item_at(context: Context, owner: Value, key: Value) -> Value:
    if isinstance(owner, Container) and owner.kind is Kind.DICT:
        for known, value in reversed(context.pairs(owner) or []):
            if known == key and isinstance(key, str | int | bytes):
                return Computed(value) if isinstance(value, str) else value
    elif isinstance(key, int):
        items = context.items(owner) if isinstance(owner, Container) else owner
        if isinstance(items, tuple | str | bytes) and -len(items) <= key < len(items):
            found = items[key]
            return Computed(found) if isinstance(found, str) else found
    return Unknown(f"an item of {show(owner)}")


def _text_method(context: Context, owner: str | bytes, name: str, given: tuple[Value, ...]) -> Value | None:
    """Do a method of str or bytes whose operands are all constants."""
    operands: list[str | bytes | int | list[str | bytes]] = []
    for each in given:
        value = context.settle(each)
        if isinstance(value, Container):
            inner = context.items(value)
            if inner is None or not all(isinstance(one, str | bytes) for one in inner):
                return None
            operands.append([one for one in inner if isinstance(one, str | bytes)])
        elif isinstance(value, str | bytes | int):
            operands.append(value)
        else:
            return None
    if name not in _TEXT_METHODS or _grows(owner, operands):
        return None
    try:
        made = getattr(type(owner), name)(owner, *operands)
    except (TypeError, ValueError, LookupError, AttributeError):
        return None
    return _as_value(made)


def _grows(owner: str | bytes, operands: list[str | bytes | int | list[str | bytes]]) -> bool:
    """Whether the result could be long."""
    longest = sum(len(each) for each in operands if isinstance(each, str | bytes)) + len(owner) + 1
    parts = sum(len(one) + len(owner) for each in operands if isinstance(each, list) for one in each)
    numbers = sum(abs(each) for each in operands if isinstance(each, int))
    return longest * longest > MAX_TEXT or parts > MAX_TEXT or numbers > MAX_TEXT


_TEXT_METHODS: Final = frozenset(
    {
        *(
            "join",
            "replace",
            "lower",
            "upper",
            "strip",
            "lstrip",
            "rstrip",
            "title",
            "capitalize",
            "swapcase",
        ),
        *("casefold", "removeprefix", "removesuffix", "encode", "decode", "split", "rsplit", "splitlines"),
        *("partition", "rpartition", "center", "ljust", "rjust", "zfill", "hex", "__add__", "__str__"),
        *("__getitem__", "expandtabs"),
    }
)
"""Methods of str and bytes that only compute a new value."""


def _as_value(made: object) -> Value | None:
    if isinstance(made, str):
        return Computed(made)
    if isinstance(made, bytes | int):
        return made
    if isinstance(made, list | tuple):
        items = [Computed(each) if isinstance(each, str) else each for each in made]
        return Container(Kind.LIST if isinstance(made, list) else Kind.TUPLE, items)
    return None


# One function for each callable that can be evaluated.


def _getattr(context: Context, _: Global, given: tuple[Value, ...], offset: int) -> Value | None:
    name = context.text(given[1]) if len(given) > 1 else None
    if name is None:
        return None
    default = context.settle(given[2]) if len(given) > 2 else None
    if isinstance(default, Global) and default.effect in DANGEROUS:
        if (show(given[0]), name, default.dotted) != DILL_SETTER:
            return default  # the worse of what it may give
        default.called = True
    return attribute(context, given[0], name, offset)


def _import(context: Context, _: Global, given: tuple[Value, ...], __: int) -> Value | None:
    name = context.text(given[0]) if given else None
    return None if name is None else Module(str(name))


def _top_import(context: Context, callee: Global, given: tuple[Value, ...], offset: int) -> Value | None:
    """Do __import__, which gives the top-level module unless names are asked for."""
    module = _import(context, callee, given, offset)
    if isinstance(module, Module) and len(given) < 4:
        return Module(module.name.partition(".")[0])
    return module


def _accessor(_: Context, callee: Global, given: tuple[Value, ...], __: int) -> Value | None:
    return Accessor(callee.name, given) if given else None


def _partial(_: Context, __: Global, given: tuple[Value, ...], ___: int) -> Value | None:
    return Partial(given[0], given[1:]) if given else None


def _call(context: Context, _: Global, given: tuple[Value, ...], offset: int) -> Value | None:
    return context.call(context, given[0], given[1:], offset) if given else None


def _reduce(context: Context, _: Global, given: tuple[Value, ...], offset: int) -> Value | None:
    """Do functools.reduce: call the first operand on the items from the left."""
    items = context.items(given[1]) if len(given) > 1 else None
    if items is None or len(items) > MAX_REPEATED:
        return context.call(context, given[0], None, offset) if given else None
    values = [*given[2:3], *items]
    made: Value = values[0] if values else None
    for each in values[1:]:
        made = context.call(context, given[0], (made, each), offset)
    return made


def _map(context: Context, callee: Global, given: tuple[Value, ...], offset: int) -> Value | None:
    """Do map and the like at once, though the real one is lazy: whatever takes it runs it."""
    if len(given) < 2:
        return None
    columns = [context.items(each) for each in given[1:]]
    known = [each for each in columns if each is not None]
    if len(known) < len(columns) or any(len(each) > MAX_REPEATED for each in known):
        context.call(context, given[0], None, offset)
        return Instance(callee, given, offset)
    made = [context.call(context, given[0], row, offset) for row in zip(*known, strict=False)]
    return Container(Kind.LIST, list(made))


def _add(context: Context, _: Global, given: tuple[Value, ...], __: int) -> Value | None:
    left, right = (context.settle(each) for each in given) if len(given) == 2 else (None, None)
    if isinstance(left, str) and isinstance(right, str) and len(left) + len(right) < MAX_TEXT:
        return Computed(left + right)
    if isinstance(left, bytes) and isinstance(right, bytes) and len(left) + len(right) < MAX_TEXT:
        return left + right
    return None


def _chr(_: Context, __: Global, given: tuple[Value, ...], ___: int) -> Value | None:
    number = given[0] if len(given) == 1 else None
    return Computed(chr(number)) if isinstance(number, int) and 0 <= number < 0x110000 else None


def _str(context: Context, _: Global, given: tuple[Value, ...], __: int) -> Value | None:
    value = context.settle(given[0]) if given else None
    encoding = context.text(given[1]) if len(given) > 1 else None
    if isinstance(value, bytes) and encoding is not None:
        return _text_method(context, value, "decode", (encoding,))
    return Computed(value) if isinstance(value, str) else None


def _bytes(context: Context, _: Global, given: tuple[Value, ...], __: int) -> Value | None:
    value = context.settle(given[0]) if given else None
    encoding = context.text(given[1]) if len(given) > 1 else None
    if isinstance(value, str) and encoding is not None:
        return _text_method(context, value, "encode", (encoding,))
    if isinstance(value, Container):
        items = context.items(value)
        if items is not None and all(isinstance(each, int) and 0 <= each < 256 for each in items):
            return bytes(each for each in items if isinstance(each, int))
    return context.data(value)


def _method_of(context: Context, callee: Global, given: tuple[Value, ...], _: int) -> Value | None:
    """Do a method reached through its type, such as str.join."""
    owner = context.settle(given[0]) if given else None
    name = callee.name.partition(".")[2]
    if name == "fromhex" and isinstance(owner, str):
        return tried(bytes.fromhex, owner)
    return _text_method(context, owner, name, given[1:]) if isinstance(owner, str | bytes) else None


def _getitem(context: Context, _: Global, given: tuple[Value, ...], __: int) -> Value | None:
    return _item_at(context, given[0], given[1]) if len(given) == 2 else None


def _codec(context: Context, callee: Global, given: tuple[Value, ...], _: int) -> Value | None:
    """Do codecs.encode and decode for codecs that only compute."""
    value = context.settle(given[0]) if given else None
    encoding = context.text(given[1]) if len(given) > 1 else "utf-8"
    if encoding is None or not isinstance(value, str | bytes) or len(value) > MAX_DATA:
        return None
    codec = encoding.lower().replace("-", "_").removesuffix("_codec")
    if codec in DECODERS and callee.name == "decode" and isinstance(value, bytes):
        return _decoded(context, DECODERS[codec], value)
    if codec not in TEXT_CODECS:
        return None
    coder = codecs.decode if callee.name == "decode" else codecs.encode
    try:
        return _as_value(coder(value, codec))  # type: ignore[arg-type]  # a wrong pair raises TypeError
    except (ValueError, TypeError, LookupError):
        return None


def _held(context: Context, callee: Global, given: tuple[Value, ...], offset: int) -> Value | None:
    """Do io.BytesIO."""
    value = context.settle(given[0]) if given else None
    held = value if isinstance(value, bytes | View) else context.data(value)
    return Instance(callee, given, offset, content=held)


def _decode(context: Context, callee: Global, given: tuple[Value, ...], _: int) -> Value | None:
    """Do a function that decodes or decompresses bytes."""
    value = context.settle(given[0]) if given else None
    data = value.encode("ascii", "replace") if isinstance(value, str) else context.data(value)
    return None if data is None else _decoded(context, DECODERS[CODEC_OF[callee.name]], data)


def _decoded(context: Context, decoder: Callable[[bytes], bytes], data: bytes) -> Value | None:
    made = tried(decoder, data)
    if isinstance(made, bytes):
        context.budget.spend(Resource.INFLATED_BYTES, len(made))
    return made


def _named_type(context: Context, _: Global, given: tuple[Value, ...], offset: int) -> Value | None:
    """Do cloudpickle's and dill's look-up of a type by name."""
    name = context.text(given[0]) if len(given) == 1 else None
    return None if name is None else context.reached("types", name, offset)


def _first(context: Context, given: tuple[Value, ...], codec: str) -> Value | None:
    data = context.data(given[0]) if given else None
    return None if data is None else _decoded(context, DECODERS[codec], data)


_Rule = Callable[[Context, Global, tuple[Value, ...], int], Value | None]
_RULES: Final[dict[tuple[str, str], _Rule]] = {
    ("builtins", "getattr"): _getattr,
    ("builtins", "__import__"): _top_import,
    ("importlib", "import_module"): _import,
    ("importlib", "__import__"): _top_import,
    ("operator", "attrgetter"): _accessor,
    ("operator", "itemgetter"): _accessor,
    ("operator", "methodcaller"): _accessor,
    ("operator", "getitem"): _getitem,
    ("operator", "call"): _call,
    ("operator", "add"): _add,
    ("operator", "concat"): _add,
    ("operator", "iadd"): _add,
    ("operator", "iconcat"): _add,
    ("functools", "partial"): _partial,
    ("functools", "reduce"): _reduce,
    ("cloudpickle.cloudpickle", "_builtin_type"): _named_type,
    ("cloudpickle.cloudpickle_fast", "_builtin_type"): _named_type,
    ("builtins", "map"): _map,
    ("builtins", "filter"): _map,
    ("builtins", "chr"): _chr,
    ("builtins", "str"): _str,
    ("builtins", "bytes"): _bytes,
    ("builtins", "bytearray"): _bytes,
    ("codecs", "decode"): _codec,
    ("codecs", "encode"): _codec,
    ("io", "BytesIO"): _held,
    ("lzma", "decompress"): lambda context, _, given, __: _first(context, given, "lzma"),
    ("bz2", "decompress"): lambda context, _, given, __: _first(context, given, "bz2"),
    ("zlib", "decompress"): _decode,
    ("gzip", "decompress"): _decode,
    ("quopri", "decodestring"): lambda context, _, given, __: _first(context, given, "quopri"),
    ("codecs", "escape_decode"): _decode,
    **{
        (module, name): _decode
        for module in ("base64", "binascii")
        for name in CODEC_OF
        if name != "decompress"
    },
    **{
        ("builtins", f"{kind}.{name}"): _method_of
        for kind in ("str", "bytes")
        for name in (*_TEXT_METHODS, "fromhex")
    },
}
"""By module (without a leading underscore) and name."""
