"""What constant expressions come to: joined, sliced, decoded and decompressed texts, never by running them.

Every step and every byte is counted, so that a bomb ends at once.
"""

from __future__ import annotations

import ast
import base64
import binascii
import bz2
import codecs
import lzma
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from supplyguard.code.names import Scope, value_of
from supplyguard.limits import MIB

DEPTH: Final = 40
STEPS: Final = 100_000
"""Operations of one file."""
PRODUCED: Final = 4 * MIB
"""Bytes and characters that all operations of one file may make."""
LARGEST: Final = MIB
"""Bytes or characters of one value."""

Value = str | bytes | int | list["Value"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Folded:
    """A value and the kinds of steps that led to it: "join", "base64", "character", ..."""

    value: Value
    steps: frozenset[str] = frozenset()


class _UnfoldableError(Exception):
    """The expression is not constant, or too much work."""


class Folder:
    """Folds the expressions of one file. resolve: gives the dotted names of a callee."""

    def __init__(self, resolve: Callable[[ast.expr, Scope], list[str]], decoders: Mapping[str, str]) -> None:
        self._resolve = resolve
        self._decoders = decoders
        self._steps = 0
        self._produced = 0

    def fold(self, node: ast.expr, scope: Scope) -> Folded | None:
        """Give a constant expression's value, or None."""
        steps: set[str] = set()
        try:
            value = _One(self, scope, steps).value(node, {}, DEPTH)
        except (_UnfoldableError, ValueError, TypeError, IndexError, OverflowError, RecursionError):
            return None
        return Folded(value=value, steps=frozenset(steps))

    def names(self, node: ast.expr, scope: Scope) -> list[str]:
        """Resolve a callee."""
        return self._resolve(node, scope)

    def decoder(self, name: str) -> str | None:
        """Give the kind of decoding that a callable does."""
        return self._decoders.get(name)

    def step(self) -> None:
        """Count an operation."""
        self._steps += 1
        if self._steps > STEPS:
            raise _UnfoldableError

    def made(self, value: Value) -> Value:
        """Count what an operation made."""
        size = 8 if isinstance(value, int) else len(value)
        self._produced += size
        if size > LARGEST or self._produced > PRODUCED:
            raise _UnfoldableError
        return value


class _One:
    """One expression."""

    def __init__(self, folder: Folder, scope: Scope, steps: set[str]) -> None:
        self.folder = folder
        self.scope = scope
        self.steps = steps

    def value(self, node: ast.expr, names: Mapping[str, Value], depth: int) -> Value:
        """Fold one node; raises when it is not constant."""
        self.folder.step()
        if depth == 0:
            raise _UnfoldableError
        if isinstance(node, ast.Constant):
            if isinstance(node.value, bool) or not isinstance(node.value, str | bytes | int):
                raise _UnfoldableError
            return node.value
        look = _FOLDS.get(type(node))
        if look is None:
            raise _UnfoldableError
        return self.folder.made(look(self, node, names, depth - 1))

    def name(self, node: ast.Name, names: Mapping[str, Value], depth: int) -> Value:
        """Look a name up: a comprehension's, or one that is assigned once."""
        if node.id in names:
            return names[node.id]
        found = value_of(node.id, self.scope)
        if found is None:
            raise _UnfoldableError
        return _One(self.folder, found[1], self.steps).value(found[0], {}, depth)

    def binary(self, node: ast.BinOp, names: Mapping[str, Value], depth: int) -> Value:
        """Fold an operator; a long chain of additions is walked, not recursed into."""
        if isinstance(node.op, ast.Add):
            parts: list[ast.expr] = []
            left: ast.expr = node
            while isinstance(left, ast.BinOp) and isinstance(left.op, ast.Add):
                parts.append(left.right)
                left = left.left
            values = [self.value(each, names, depth) for each in (left, *reversed(parts))]
            return self._sum(values)
        left_value, right_value = self.value(node.left, names, depth), self.value(node.right, names, depth)
        if isinstance(node.op, ast.Mod) and isinstance(left_value, str | bytes):
            return self._formatted(left_value, right_value)
        if isinstance(left_value, int) and isinstance(right_value, int):
            return self._arithmetic(node.op, left_value, right_value)
        raise _UnfoldableError

    def _sum(self, values: list[Value]) -> Value:
        if all(isinstance(each, int) for each in values):
            return sum(each for each in values if isinstance(each, int))
        self.steps.add("join")
        if all(isinstance(each, str) for each in values):
            return "".join(each for each in values if isinstance(each, str))
        if all(isinstance(each, bytes) for each in values):
            return b"".join(each for each in values if isinstance(each, bytes))
        raise _UnfoldableError

    def _formatted(self, form: str | bytes, given: Value) -> Value:
        if isinstance(form, bytes) or len(form) > 4096 or "*" in form or any(each.isdigit() for each in form):
            raise _UnfoldableError
        self.steps.add("join")
        return form % (tuple(given) if isinstance(given, list) else given)

    def _arithmetic(self, operator: ast.operator, left: int, right: int) -> int:
        if abs(left) > 1 << 64 or abs(right) > 1 << 64:
            raise _UnfoldableError
        if isinstance(operator, ast.BitXor):
            self.steps.add("xor")
            return left ^ right
        plain = _ARITHMETIC.get(type(operator))
        if plain is None or (right == 0 and isinstance(operator, ast.FloorDiv | ast.Mod)):
            raise _UnfoldableError
        return plain(left, right)

    def joined(self, node: ast.JoinedStr, names: Mapping[str, Value], depth: int) -> Value:
        """Fold an f-string without formatting."""
        parts: list[str] = []
        for each in node.values:
            if isinstance(each, ast.FormattedValue):
                if each.conversion != -1 or each.format_spec is not None:
                    raise _UnfoldableError
                self.steps.add("join")
                parts.append(str(self.value(each.value, names, depth)))
            else:
                parts.append(str(self.value(each, names, depth)))
        return "".join(parts)

    def subscript(self, node: ast.Subscript, names: Mapping[str, Value], depth: int) -> Value:
        """Fold an index or a slice of a text or list."""
        held = self.value(node.value, names, depth)
        if isinstance(held, int):
            raise _UnfoldableError
        if isinstance(node.slice, ast.Slice):
            edges = [
                None if each is None else self._integer(each, names, depth)
                for each in (node.slice.lower, node.slice.upper, node.slice.step)
            ]
            if edges[2] is not None and edges[2] != 1:
                self.steps.add("slice")
            return held[slice(*edges)]
        return held[self._integer(node.slice, names, depth)]

    def _integer(self, node: ast.expr, names: Mapping[str, Value], depth: int) -> int:
        value = self.value(node, names, depth)
        if not isinstance(value, int):
            raise _UnfoldableError
        return value

    def negative(self, node: ast.UnaryOp, names: Mapping[str, Value], depth: int) -> Value:
        """Fold a sign."""
        value = self._integer(node.operand, names, depth)
        if isinstance(node.op, ast.USub):
            return -value
        raise _UnfoldableError

    def sequence(self, node: ast.List | ast.Tuple, names: Mapping[str, Value], depth: int) -> Value:
        """Fold a list or tuple."""
        return [self.value(each, names, depth) for each in node.elts]

    def comprehension(
        self, node: ast.ListComp | ast.GeneratorExp, names: Mapping[str, Value], depth: int
    ) -> Value:
        """Fold a comprehension over one constant sequence."""
        generator = node.generators[0]
        plain = len(node.generators) == 1 and not generator.ifs and not generator.is_async
        targets = generator.target.elts if isinstance(generator.target, ast.Tuple) else [generator.target]
        variables = [each.id for each in targets if isinstance(each, ast.Name)]
        if not plain or len(variables) != len(targets):
            raise _UnfoldableError
        over = self.value(generator.iter, names, depth)
        if isinstance(over, int):
            raise _UnfoldableError
        return [self.value(node.elt, {**names, **_bound(variables, each)}, depth) for each in over]

    def call(self, node: ast.Call, names: Mapping[str, Value], depth: int) -> Value:
        """Fold a call of a known decoder, or of a text's method."""
        for callee in self.folder.names(node.func, self.scope):
            kind = self.folder.decoder(callee)
            if kind is not None:
                return self._decoded(kind, node, names, depth)
        if isinstance(node.func, ast.Attribute):
            return self._method(node.func, node, names, depth)
        raise _UnfoldableError

    def _decoded(self, kind: str, node: ast.Call, names: Mapping[str, Value], depth: int) -> Value:
        if kind == "map":
            function, over = node.args[0], self.value(node.args[1], names, depth)
            inner = {self.folder.decoder(each) for each in self.folder.names(function, self.scope)}
            if isinstance(over, int) or "character" not in inner:
                raise _UnfoldableError
            self.steps.add("character")
            return [_character(each) for each in over]
        values = [self.value(each, names, depth) for each in node.args]
        decode = _DECODERS[kind]
        if kind not in _PLAIN_STEPS:
            self.steps.add(kind)
        elif kind == "bytes" and values and isinstance(values[0], list):
            self.steps.add("character")
        return decode(*values)

    def _method(self, func: ast.Attribute, node: ast.Call, names: Mapping[str, Value], depth: int) -> Value:
        method = _METHODS.get(func.attr)
        if method is None:
            raise _UnfoldableError
        held = self.value(func.value, names, depth)
        given = [self.value(each, names, depth) for each in node.args]
        result, step = method(held, given)
        if step:
            self.steps.add(step)
        return result


def _character(value: Value) -> Value:
    return chr(value) if isinstance(value, int) else _refuse()


def _bound(variables: list[str], value: Value) -> dict[str, Value]:
    """Give each of a comprehension's variables its part of a value."""
    if len(variables) == 1:
        return {variables[0]: value}
    if not isinstance(value, list) or len(value) != len(variables):
        raise _UnfoldableError
    return dict(zip(variables, value, strict=True))


def _ordinal(value: Value) -> Value:
    return ord(value) if isinstance(value, str | bytes) else _refuse()


def _zipped(*values: Value) -> Value:
    lists = [each for each in values if not isinstance(each, int)]
    return [list(each) for each in zip(*lists, strict=False)]


def _refuse() -> str:
    raise _UnfoldableError


def _bytes(value: Value) -> bytes:
    if isinstance(value, str):
        return value.encode("utf-8")
    if isinstance(value, list):
        return bytes(each for each in value if isinstance(each, int))
    return value if isinstance(value, bytes) else _refuse().encode()


def _inflated(machine: zlib._Decompress | bz2.BZ2Decompressor | lzma.LZMADecompressor, data: Value) -> bytes:
    """Decompress into at most `LARGEST` bytes."""
    try:
        made = machine.decompress(_bytes(data), LARGEST + 1)
    except (zlib.error, lzma.LZMAError, OSError, EOFError) as error:
        raise _UnfoldableError from error
    return made


def _codec(value: Value, name: Value = "utf-8", *_errors: Value) -> Value:
    """Decode as `codecs.decode` does, for codecs that compute only."""
    plain = str(name).lower().replace("-", "").replace("_", "")
    if plain in {"rot13", "rot 13"}:
        return codecs.decode(value, "rot13") if isinstance(value, str) else _refuse()
    if plain in {"hex", "hexcodec"}:
        return binascii.unhexlify(_bytes(value))
    if plain in {"base64", "base64codec"}:
        return base64.b64decode(_bytes(value))
    if plain in {"zlib", "zip", "zlibcodec"}:
        return _inflated(zlib.decompressobj(), value)
    if plain in {"utf8", "ascii", "latin1", "utf16", "unicodeescape"} and isinstance(value, bytes):
        return value.decode(plain)
    raise _UnfoldableError


def _join(held: Value, given: list[Value]) -> tuple[Value, str]:
    parts = given[0]
    if isinstance(held, str):
        return held.join(each for each in parts if isinstance(each, str)), "join"  # type: ignore[union-attr]
    if isinstance(held, bytes):
        return held.join(each for each in parts if isinstance(each, bytes)), "join"  # type: ignore[union-attr]
    raise _UnfoldableError


def _decode(held: Value, given: list[Value]) -> tuple[Value, str]:
    name = given[0] if given else "utf-8"
    plain = isinstance(held, bytes) and str(name).lower() in {"utf-8", "utf8", "ascii", "latin-1", "latin1"}
    return _codec(held, name), "" if plain else "codec"


def _encode(held: Value, _given: list[Value]) -> tuple[Value, str]:
    return (held.encode("utf-8"), "") if isinstance(held, str) else (_refuse(), "")


def _replace(held: Value, given: list[Value]) -> tuple[Value, str]:
    if isinstance(held, str) and all(isinstance(each, str) for each in given[:2]) and given[0]:
        if len(held) * max(1, len(str(given[1]))) > LARGEST:
            raise _UnfoldableError
        return held.replace(str(given[0]), str(given[1])), "replace"
    raise _UnfoldableError


def _reversed(value: Value) -> Value:
    return _refuse() if isinstance(value, int) else value[::-1]


_METHODS: Final[Mapping[str, Callable[[Value, list[Value]], tuple[Value, str]]]] = {
    "join": _join,
    "decode": _decode,
    "encode": _encode,
    "replace": _replace,
    "strip": lambda held, _given: (held.strip(), "") if isinstance(held, str | bytes) else (_refuse(), ""),
}
_PLAIN_STEPS: Final = frozenset({"bytes", "list", "text", "ordinal", "zip"})
_DECODERS: Final[Mapping[str, Callable[..., Value]]] = {
    "base64": lambda value, *_: base64.b64decode(_bytes(value)),
    "urlsafe_base64": lambda value, *_: base64.urlsafe_b64decode(_bytes(value)),
    "base32": lambda value, *_: base64.b32decode(_bytes(value)),
    "base85": lambda value, *_: base64.b85decode(_bytes(value)),
    "ascii85": lambda value, *_: base64.a85decode(_bytes(value)),
    "hex": lambda value, *_: binascii.unhexlify(_bytes(value)),
    "hex_text": lambda value, *_: bytes.fromhex(value),
    "zlib": lambda value, *_: _inflated(zlib.decompressobj(), value),
    "gzip": lambda value, *_: _inflated(zlib.decompressobj(31), value),
    "bz2": lambda value, *_: _inflated(bz2.BZ2Decompressor(), value),
    "lzma": lambda value, *_: _inflated(lzma.LZMADecompressor(), value),
    "codec": _codec,
    "character": _character,
    "ordinal": _ordinal,
    "zip": _zipped,
    "reversed": _reversed,
    "bytes": lambda value, *_: _bytes(value),
    "list": lambda value: list(value) if isinstance(value, list | bytes | str) else _refuse(),
    "text": lambda value, *_: str(value, "utf-8") if isinstance(value, bytes) else str(value),
}
_ARITHMETIC: Final[Mapping[type[ast.operator], Callable[[int, int], int]]] = {
    ast.Sub: lambda left, right: left - right,
    ast.Mult: lambda left, right: left * right,
    ast.Mod: lambda left, right: left % right,
    ast.FloorDiv: lambda left, right: left // right,
    ast.BitAnd: lambda left, right: left & right,
    ast.BitOr: lambda left, right: left | right,
}
_FOLDS: Final[Mapping[type[ast.expr], Callable[..., Value]]] = {
    ast.Name: _One.name,
    ast.BinOp: _One.binary,
    ast.JoinedStr: _One.joined,
    ast.Subscript: _One.subscript,
    ast.UnaryOp: _One.negative,
    ast.List: _One.sequence,
    ast.Tuple: _One.sequence,
    ast.ListComp: _One.comprehension,
    ast.GeneratorExp: _One.comprehension,
    ast.Call: _One.call,
}
