"""Python source to syntax trees, without trusting it: bounded, and never run."""

from __future__ import annotations

import ast
import re
import warnings
from typing import Final

from supplyguard.inventory import Location
from supplyguard.limits import MIB
from supplyguard.wire.text import LINE_END

FILE_SIZE: Final = 4 * MIB
NESTING: Final = 200
"""Brackets open at once: CPython's own limit (MAXLEVEL in its tokenizer)."""
BRACKETS: Final = re.compile(r"[()\[\]{}]")
LONGEST_DOTTED: Final = 100
FAILURES: Final = (SyntaxError, ValueError, RecursionError, MemoryError)
"""What ast.parse raises: bad syntax, a NUL, deep nesting, a full parser stack."""


def parse(text: str) -> ast.Module | str:
    """Parse source text, or say why that cannot be done."""
    depth = 0
    # brackets in strings count too: the limit only has to hold for what people write
    for match in BRACKETS.finditer(text):
        depth += 1 if match[0] in "([{" else -1
        if depth > NESTING:
            return f"more than {NESTING} brackets are open at once"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(text)
    except FAILURES as error:
        if isinstance(error, SyntaxError):
            return f"{error.msg}, line {error.lineno}"
        return str(error) or type(error).__name__


def mentions(tree: ast.AST, words: frozenset[str], bare: frozenset[str]) -> bool:
    """Whether a name, text or import in a tree is one of `words`, or of `bare` with no dot before it.

    Comments and texts that only hold a word do not count. It looks at each node once and keeps nothing.
    """
    both = words | bare
    work = [tree]
    while work:
        node = work.pop()
        found = words if node.__class__ is ast.Attribute else both
        for name in node._fields:
            value = getattr(node, name, None)
            if value.__class__ is list:
                work.extend(each for each in value if isinstance(each, ast.AST))
            elif isinstance(value, ast.AST):
                work.append(value)
            elif value.__class__ is str and (
                value in found
                or (len(value) < LONGEST_DOTTED and "." in value and not found.isdisjoint(value.split(".")))
            ):
                return True
    return False


def code_lines(text: str) -> list[str]:
    """Split source as Python counts lines."""
    return LINE_END.split(text)


def column(line: str, byte_offset: int) -> int:
    """Turn ast's offset, in bytes of UTF-8, into a column in code points, counted from 1."""
    if line.isascii():
        return byte_offset + 1
    return len(line.encode("utf-8", "surrogatepass")[:byte_offset].decode("utf-8", "replace")) + 1


def locate(node: ast.AST, uri: str, member: tuple[str, ...], lines: list[str]) -> Location:
    """Give a node's region; ast counts lines from 1 and columns from 0 in bytes."""
    line, end_line = getattr(node, "lineno", 1), getattr(node, "end_lineno", 1)
    return Location(
        uri=uri,
        member=member,
        line=line,
        column=column(lines[line - 1], getattr(node, "col_offset", 0)),
        end_line=end_line,
        end_column=column(lines[end_line - 1], getattr(node, "end_col_offset", 0)),
    )
