"""Jupyter notebooks: their code cells are read as one Python module.

Format: nbformat 4 (cells[].source) and 3 (worksheets[].cells[].input).
"""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator
from typing import Final

from supplyguard.aspect import Aspect
from supplyguard.code.notebook_cells import Places, cells_of, is_other_language, parse_cell
from supplyguard.errors import MalformedError
from supplyguard.finding import Evidence, Notification
from supplyguard.inventory import Artifact, ModelRef
from supplyguard.limits import Budget, Resource
from supplyguard.sources.loader_calls import Module, find_calls
from supplyguard.sources.loaders import mentions_loader
from supplyguard.sources.python_code import folders_of, unparsed
from supplyguard.wire.text import read_bytes

NAME: Final = "notebook"
ASPECT: Final = Aspect.CODE
Found = ModelRef | Evidence | Notification


def claims(name: str) -> bool:
    """Whether a file is a notebook by its ending."""
    return name.lower().endswith(".ipynb")


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
    if is_other_language(document):
        return
    cells = list(cells_of(document))
    budget.spend(Resource.NODES, len(cells))
    if not any(mentions_loader(cell.code) for cell in cells):
        return
    places = Places(artifact.uri, text, cells)
    modules: list[Module] = []
    for cell in cells:
        tree = parse_cell(cell.code)
        if isinstance(tree, ast.Module):
            facts = (("cell", cell.number),)
            modules.append(Module(tree=tree, locate=places.locator(cell), facts=facts))
        elif mentions_loader(cell.code):
            yield unparsed(f"cell {cell.number}: {tree}", places.start(cell))
    yield from find_calls(modules, folders_of(artifact), budget)
