"""The code cells of Jupyter notebooks: their source, what in it is for a shell, and where it stands.

Format: nbformat 4 (cells[].source) and 3 (worksheets[].cells[].input).
"""

from __future__ import annotations

import ast
import re
from bisect import bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, Final

from supplyguard.code.syntax import FILE_SIZE, code_lines, column, parse
from supplyguard.inventory import Location
from supplyguard.wire.json_positions import KeyPath, find_starts, raw_offset
from supplyguard.wire.text import Lines

MAGIC: Final = re.compile(r"(?:[\w.,() \t]+=[ \t]*)?(?:!|%(?![%\s]))|\?|[\w.]+\?{1,2}\s*$")
"""A line for IPython, not for Python: a shell command, a magic, its result assigned, a question."""
CELL_MAGIC: Final = re.compile(r"\s*%%[ \t]*(?P<name>\w+)")
PYTHON_MAGICS: Final = frozenset({"time", "timeit", "capture", "prun", "python", "python3", "pypy", "debug"})
"""Cell magics whose cell is Python all the same (IPython's documentation, "Built-in magic commands")."""
OTHER_LANGUAGES: Final = re.compile(r"^(?!python|ipython|sage)", re.IGNORECASE)

SHELL_LINE: Final = re.compile(
    r"[ \t]*(?:!!?|%(?!%)[ \t]*(?=(?:pip|conda|mamba|micromamba|uv)\b)|%(?:sx|system)\b)"
)
"""What stands before a command: the shell's mark, or a magic that is a command's name."""
SHELL_CELL: Final = re.compile(r"\s*%%[ \t]*(?:bash|sh|script[ \t]+\S+|!|sx|system)\b[^\n]*")


@dataclass(frozen=True, kw_only=True, slots=True)
class Cell:
    """A code cell: its number among all cells, from 1, and its source in pieces with their paths."""

    number: int
    pieces: tuple[str, ...]
    paths: tuple[KeyPath, ...]

    @property
    def code(self) -> str:
        """The cell's whole source."""
        return "".join(self.pieces)


def is_other_language(document: dict[str, Any]) -> bool:
    """Whether a notebook's code is not Python."""
    metadata = document.get("metadata")
    info = metadata.get("language_info") if isinstance(metadata, dict) else None
    name = info.get("name") if isinstance(info, dict) else None
    return isinstance(name, str) and name != "" and OTHER_LANGUAGES.match(name) is not None


def cells_of(document: dict[str, Any]) -> Iterator[Cell]:
    """Yield the code cells of either format; what does not have its form is left out."""
    lists: list[tuple[KeyPath, Any, str]] = [(("cells",), document.get("cells"), "source")]
    sheets = document.get("worksheets")
    for index, sheet in enumerate(sheets if isinstance(sheets, list) else []):
        if isinstance(sheet, dict):
            lists.append((("worksheets", index, "cells"), sheet.get("cells"), "input"))
    number = 0
    for path, cells, key in lists:
        for index, cell in enumerate(cells if isinstance(cells, list) else []):
            number += 1
            if not isinstance(cell, dict) or cell.get("cell_type") != "code":
                continue
            source = cell.get(key)
            here: KeyPath = (*path, index, key)
            if isinstance(source, str):
                yield Cell(number=number, pieces=(source,), paths=(here,))
            elif isinstance(source, list):
                parts = [(each, (*here, at)) for at, each in enumerate(source) if isinstance(each, str)]
                pieces = tuple(each for each, _path in parts)
                yield Cell(number=number, pieces=pieces, paths=tuple(each for _piece, each in parts))


def parse_cell(code: str) -> ast.Module | str:
    """Parse a cell: as it is, or else without what is for IPython, every line kept in its place."""
    if len(code) > FILE_SIZE:
        return f"larger than {FILE_SIZE:,} characters"
    tree = parse(code)
    if isinstance(tree, ast.Module):
        return tree
    magic = CELL_MAGIC.match(code)
    if magic is not None and magic["name"] not in PYTHON_MAGICS:
        return ast.Module(body=[], type_ignores=[])
    return parse("\n".join(_without_magics(code_lines(code))))


def _without_magics(lines: list[str]) -> Iterator[str]:
    goes_on = False
    for line in lines:
        if goes_on or MAGIC.match(line.lstrip()) or CELL_MAGIC.match(line):
            indent = line[: len(line) - len(line.lstrip())]
            yield "" if goes_on else f"{indent}pass"
            goes_on = line.rstrip().endswith("\\")
        else:
            yield line


class Places:
    """Turns places in cells into places in the file."""

    def __init__(self, uri: str, text: str, cells: list[Cell]) -> None:
        wanted = {path for cell in cells for path in cell.paths}
        wanted |= {cell.paths[0][:-1] for cell in cells if cell.paths}
        self.uri = uri
        self.text = text
        self.lines = Lines(text)
        self.starts = find_starts(text, wanted.__contains__)

    def locator(self, cell: Cell) -> Callable[[ast.AST], Location]:
        """Make the function that finds the places of a cell's nodes in the file."""
        code = cell.code
        inner = Lines(code)
        lines = code_lines(code)
        ends = list(accumulate(len(piece) for piece in cell.pieces))

        def place(line: int, byte_offset: int, *, is_end: bool) -> tuple[int, int] | None:
            index = inner.offset(line, column(lines[line - 1], byte_offset)) - is_end
            piece = bisect_right(ends, index)
            start = self.starts.get(cell.paths[piece])
            if start is None:
                return None
            before = ends[piece - 1] if piece else 0
            return self.lines.position(raw_offset(self.text, start, index - before + is_end))

        def locate(node: ast.AST) -> Location:
            first = place(getattr(node, "lineno", 1), getattr(node, "col_offset", 0), is_end=False)
            last = place(getattr(node, "end_lineno", 1), getattr(node, "end_col_offset", 1), is_end=True)
            if first is None or last is None:
                return self.start(cell)
            return Location(
                uri=self.uri, line=first[0], column=first[1], end_line=last[0], end_column=last[1]
            )

        return locate

    def start(self, cell: Cell) -> Location:
        """Give the place where a cell's source begins."""
        for path in (*cell.paths[:1], cell.paths[0][:-1]):
            start = self.starts.get(path)
            if start is not None:
                line, at = self.lines.position(start)
                return Location(uri=self.uri, line=line, column=at, end_line=line, end_column=at + 1)
        return Location(uri=self.uri)


def shell_text(code: str) -> str:
    """Give a cell's text with everything that is not for a shell made blank, every character in its place."""
    whole = SHELL_CELL.match(code)
    if whole is not None:
        return " " * whole.end() + code[whole.end() :]
    kept: list[str] = []
    goes_on = False
    for line in code.splitlines(keepends=True):
        match = SHELL_LINE.match(line)
        if goes_on:
            kept.append(line)
        elif match is not None:
            kept.append(" " * match.end() + line[match.end() :])
        else:
            end = len(line.rstrip("\r\n"))
            kept.append(" " * end + line[end:])
            continue
        goes_on = line.rstrip("\r\n").endswith("\\")
    return "".join(kept)
