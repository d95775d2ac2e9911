"""TorchScript source as `torch.jit.save` writes it: which names each method uses, and its strings.

The dialect looks like Python but is its own; a tokenizer is enough, and it needs no recursion. A name
is followed through what can stand for it: parentheses, `getattr` with a literal, a local variable
that is only another name for it. Grammar: torch/csrc/jit/frontend/lexer.h and
torch/csrc/jit/serialization/import_source.cpp.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from supplyguard.errors import MalformedError
from supplyguard.limits import Budget, Resource

DEEPEST: Final = 200
"""Open brackets at once."""
_STEP: Final = 1024
_TOKEN: Final = re.compile(
    r"""(?P<blank>[ \t\r\f]+|\#[^\n]*|\\\n)
    |(?P<string>"(?:[^"\\\n]|\\.)*+"|'(?:[^'\\\n]|\\.)*+')
    |(?P<name>[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*+)
    |(?P<attribute>\.[A-Za-z_]\w*)
    |(?P<number>(?:[0-9][\w]*+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?j?)
    |(?P<line>\n)
    |(?P<sign>[-+*/%<>=!&|^~@,:;.?$()\[\]{}])""",
    re.VERBOSE | re.ASCII,
)
_ESCAPE: Final = re.compile(r"\\(?:x([0-9A-Fa-f]{2})|([0-7]{1,3}))")
_OPERATOR: Final = re.compile(r"(?:torch\.)?ops\.(\w+)\.(.+)")
_BUILT_IN: Final = re.compile(r"torch\.(?!(?:ops|classes)(?:\.|\Z))(.+)")


@dataclass(frozen=True, slots=True)
class Token:
    """One token. kind: name, string, number, line or sign. place: a character's index."""

    kind: str
    text: str
    place: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Method:
    """One function. names: each name used, operators as "aten::save", with where; strings: likewise.

    name is "" for what stands outside functions.
    """

    name: str
    names: dict[str, int]
    strings: dict[str, int]


def read_methods(text: str, budget: Budget) -> Iterator[Method]:
    """Yield each function of a source text in order; raises MalformedError where it does not tokenise.

    The function that breaks off comes before that, as far as it was read.
    """
    method = Method(name="", names={}, strings={})
    aliases: dict[str, str] = {}
    statements = _statements(text, budget)
    broken: MalformedError | None = None
    while True:
        try:
            statement = next(statements, None)
        except MalformedError as error:
            statement, broken = None, error
        if statement is None:
            break
        if len(statement) > 1 and statement[0].text == "def":
            yield method
            method = Method(name=statement[1].text, names={}, strings={})
            aliases = {}
        reduced = _reduced(statement, aliases)
        for token in reduced:
            if token.kind == "name":
                method.names.setdefault(_operator(token.text), token.place)
        for token in statement:
            if token.kind == "string":
                method.strings.setdefault(token.text[1:-1], token.place)
        alias = "".join(_letter(token) for token in reduced) == "n=n" and "." not in reduced[0].text
        if alias:
            aliases[reduced[0].text] = reduced[2].text
    yield method
    if broken is not None:
        raise broken


def _statements(text: str, budget: Budget) -> Iterator[list[Token]]:
    """Cut into statements: lines, joined while a bracket is open."""
    statement: list[Token] = []
    depth = place = count = 0
    while place < len(text):
        found = _TOKEN.match(text, place)
        if found is None:
            raise MalformedError(f"no TorchScript at character {place:,}", offset=place)
        kind = found.lastgroup or ""
        count += 1
        if count % _STEP == 0:
            budget.spend(Resource.NODES, _STEP)
            budget.check_time()
        if kind == "sign":
            depth += (found[0] in "([{") - (found[0] in ")]}")
            if depth > DEEPEST:
                raise MalformedError(f"more than {DEEPEST} brackets are open", offset=place)
        if kind == "line":
            if depth <= 0 and statement:
                yield statement
                statement, depth = [], 0
        elif kind != "blank":
            statement.append(Token(kind, found[0], place))
        place = found.end()
    if statement:
        yield statement


def _reduced(statement: list[Token], aliases: dict[str, str]) -> list[Token]:
    """Replace what stands for a dotted name by that name, innermost first."""
    stack: list[Token] = []
    for token in statement:
        stack.append(_joined(token, stack, aliases))
        if token.text == ")" and token.kind == "sign":
            _close(stack)
    return stack


def _joined(token: Token, stack: list[Token], aliases: dict[str, str]) -> Token:
    """Join an attribute to the name before it, and put an alias's meaning in its place."""
    if token.kind == "attribute" and stack and stack[-1].kind == "name":
        before = stack.pop()
        return Token("name", before.text + token.text, before.place)
    if token.kind != "name":
        return token
    if len(stack) > 1 and stack[-1].text == "." and stack[-2].kind == "name":
        stack.pop()
        before = stack.pop()
        return Token("name", f"{before.text}.{token.text}", before.place)
    first, dot, rest = token.text.partition(".")
    return Token("name", aliases[first] + dot + rest, token.place) if first in aliases else token


def _close(stack: list[Token]) -> None:
    """Reduce `(name)` and `getattr(name, "attribute")` at the top of the stack."""
    kinds = "".join(_letter(token) for token in stack[-7:])
    called = len(stack) > 3 and (stack[-4].kind == "name" or stack[-4].text in ")]")
    if kinds.endswith("(n)") and not called:
        name = stack[-2]
        del stack[-3:]
        stack.append(name)
        return
    for shape in ("n(n,s)", "n(n,s,)"):
        if kinds.endswith(shape) and stack[-len(shape)].text == "getattr":
            owner, attribute = stack[-len(shape) + 2], stack[-len(shape) + 4]
            del stack[-len(shape) :]
            stack.append(Token("name", f"{owner.text}.{_literal(attribute.text)}", owner.place))
            return


def _literal(text: str) -> str:
    """Give a literal's text, its escaped characters by number resolved."""
    return _ESCAPE.sub(lambda found: chr(int(found[1], 16) if found[1] else int(found[2], 8)), text[1:-1])


def _letter(token: Token) -> str:
    return token.text if token.kind == "sign" else token.kind[0]


def _operator(name: str) -> str:
    """Spell an operator as "namespace::name": `torch.` is `aten`, `ops.` and `torch.ops.` any."""
    found = _OPERATOR.fullmatch(name)
    if found is not None:
        return f"{found[1]}::{found[2]}"
    found = _BUILT_IN.fullmatch(name)
    return f"aten::{found[1]}" if found else name
