"""What the shell lines and magics of notebooks install: "%pip install", "!pip install", "%%bash" cells.

Format: nbformat 3 and 4; IPython's documentation, "Built-in magic commands".
"""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Iterator
from itertools import accumulate
from typing import Final

from supplyguard.aspect import Aspect
from supplyguard.code.notebook_cells import Cell, cells_of, shell_text
from supplyguard.errors import MalformedError
from supplyguard.inventory import Artifact, Location
from supplyguard.limits import Budget
from supplyguard.sources.command_lines import read_commands
from supplyguard.sources.notebook import claims as is_notebook
from supplyguard.sources.toml_document import Found
from supplyguard.wire.json_positions import find_starts, raw_offset
from supplyguard.wire.text import Lines, read_bytes

NAME: Final = "notebook_commands"
ASPECT: Final = Aspect.DEPENDENCIES
SIGNS: Final = (b"install", b"create", b" add")


def claims(name: str) -> bool:
    """Whether a file is a notebook by its ending."""
    return is_notebook(name)


def collect(artifact: Artifact, budget: Budget) -> Iterator[Found]:
    """Yield what the commands in code cells install; raises MalformedError for what is no notebook."""
    raw = read_bytes(artifact.path, budget.limits.document_bytes)
    if not any(sign in raw for sign in SIGNS):
        return
    try:
        text = raw.decode("utf-8-sig")
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise MalformedError(f"not JSON: {str(error)[:200]}") from error
    if not isinstance(document, dict):
        raise MalformedError("not a notebook: its JSON is not an object")
    found = [(cell, shell) for cell in cells_of(document) if (shell := shell_text(cell.code)).strip()]
    wanted = {path for cell, _shell in found for path in cell.paths}
    starts = find_starts(text, wanted.__contains__)
    lines = Lines(text)
    for cell, shell in found:
        ends = list(accumulate(len(piece) for piece in cell.pieces))

        def locate(start: int, end: int, cell: Cell = cell, ends: list[int] = ends) -> Location:
            first = _offset(start, cell, ends)
            last = _offset(end - 1, cell, ends)
            return lines.location(artifact.uri, first, last + 1)

        def _offset(index: int, cell: Cell, ends: list[int]) -> int:
            piece = min(bisect_right(ends, index), len(ends) - 1)
            before = ends[piece - 1] if piece else 0
            return raw_offset(text, starts.get(cell.paths[piece], 0), index - before)

        yield from read_commands(shell, locate, budget)
