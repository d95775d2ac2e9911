"""Jupyter notebooks: their code cells are read as one Python module.

Format: nbformat 4 (cells[].source) and 3 (worksheets[].cells[].input).
"""

from __future__ import annotations

import ast
import json
import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, Final

from supplyguard.aspect import Aspect
from supplyguard.code.syntax import FILE_SIZE, code_lines, column, parse
from supplyguard.errors import MalformedError
from supplyguard.finding import Evidence, Notification
from supplyguard.inventory import Artifact, Location, ModelRef
from supplyguard.limits import Budget, Resource
from supplyguard.sources.loader_calls import Module, find_calls
from supplyguard.sources.loaders import mentions_loader
from supplyguard.sources.python_code import folders_of, unparsed
from supplyguard.wire.json_positions import KeyPath, find_starts, raw_offset
from supplyguard.wire.text import Lines, read_bytes

NAME: Final = "notebook"
ASPECT: Final = Aspect.CODE
MAGIC: Final = re.compile(r"(?:[\w.,() \t]+=[ \t]*)?(?:!|%(?![%\s]))|\?|[\w.]+\?{1,2}\s*$")
"""A line for IPython, not for Python: a shell command, a magic, its result assigned, a question."""
CELL_MAGIC: Final = re.compile(r"\s*%%[ \t]*(?P<name>\w+)")
PYTHON_MAGICS: Final = frozenset({"time", "timeit", "capture", "prun", "python", "python3", "pypy", "debug"})
"""Cell magics whose cell is Python all the same (IPython's documentation, "Built-in magic commands")."""
OTHER_LANGUAGES: Final = re.compile(r"^(?!python|ipython|sage)", re.IGNORECASE)

Found = ModelRef | Evidence | Notification


def claims(name: str) -> bool:
    """Whether a file is a notebook by its ending."""
    return name.lower().endswith(".ipynb")


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


def collect(artifact: Artifact, budget: Budget) -> Iterator[Found]:
    """Yield the calls in code cells that load models and data, and the references in them.

    Places are lines and columns of the file. Raises MalformedError for what is no notebook.
    """
    raw = read_bytes(artifact.path, budget.limits.document_bytes)
    try:
        text = raw.decode("utf-8-sig")
        document = json.loads(text)
    except UnicodeDecodeError as error:
        raise MalformedError(f"not UTF-8: {error.reason}", offset=error.start) from error
    except (ValueError, RecursionError) as error:
        reason = "nested too deep" if isinstance(error, RecursionError) else str(error)
        raise MalformedError(f"not JSON: {reason}") from error
    if not isinstance(document, dict):
        raise MalformedError("not a notebook: its JSON is not an object")
    if _is_other_language(document):
        return
    cells = list(cells_of(document))
    budget.spend(Resource.NODES, len(cells))
    if not any(mentions_loader(cell.code) for cell in cells):
        return
    places = _Places(artifact.uri, text, cells)
    modules: list[Module] = []
    for cell in cells:
        tree = _parse(cell.code)
        if isinstance(tree, ast.Module):
            modules.append(places.module(tree, cell))
        elif mentions_loader(cell.code):
            yield unparsed(f"cell {cell.number}: {tree}", places.start(cell))
    yield from find_calls(modules, folders_of(artifact), budget)


def _is_other_language(document: dict[str, Any]) -> bool:
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


def _parse(code: str) -> ast.Module | str:
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


class _Places:
    """Turns places in cells into places in the file."""

    def __init__(self, uri: str, text: str, cells: list[Cell]) -> None:
        wanted = {path for cell in cells for path in cell.paths}
        wanted |= {cell.paths[0][:-1] for cell in cells if cell.paths}
        self.uri = uri
        self.text = text
        self.lines = Lines(text)
        self.starts = find_starts(text, wanted.__contains__)

    def module(self, tree: ast.Module, cell: Cell) -> Module:
        """Make a module whose nodes are found in the file."""
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

        return Module(tree=tree, locate=locate, facts=(("cell", cell.number),))

    def start(self, cell: Cell) -> Location:
        """Give the place where a cell's source begins."""
        for path in (*cell.paths[:1], cell.paths[0][:-1]):
            start = self.starts.get(path)
            if start is not None:
                line, at = self.lines.position(start)
                return Location(uri=self.uri, line=line, column=at, end_line=line, end_column=at + 1)
        return Location(uri=self.uri)
