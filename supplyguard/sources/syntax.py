"""Python source to syntax trees, without trusting it: bounded, and never run."""

from __future__ import annotations

import ast
import re
import unicodedata
import warnings
from typing import Final

from supplyguard.limits import MIB
from supplyguard.sources.loaders import table
from supplyguard.sources.text import LINE_END

FILE_SIZE: Final = 4 * MIB
NESTING: Final = 200
"""Brackets open at once: CPython's own limit (MAXLEVEL in its tokenizer)."""
BRACKETS: Final = re.compile(r"[()\[\]{}]")
WORD: Final = re.compile(r"\w+")
FAILURES: Final = (SyntaxError, ValueError, RecursionError, MemoryError)
"""What ast.parse raises: bad syntax, a NUL, deep nesting, a full parser stack."""


def mentions_loader(text: str) -> bool:
    """Whether a text has the words that some call worth looking at needs.

    Identifiers are compared as Python does, in normal form NFKC.
    """
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text)
    return table().is_mentioned(set(WORD.findall(text)))


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


def code_lines(text: str) -> list[str]:
    """Split source as Python counts lines."""
    return LINE_END.split(text)


def column(line: str, byte_offset: int) -> int:
    """Turn ast's offset, in bytes of UTF-8, into a column in code points, counted from 1."""
    if line.isascii():
        return byte_offset + 1
    return len(line.encode("utf-8", "surrogatepass")[:byte_offset].decode("utf-8", "replace")) + 1
