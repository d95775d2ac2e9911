"""Python source: what it loads, from where, and how carefully."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from supplyguard.aspect import Aspect
from supplyguard.code.syntax import FILE_SIZE, code_lines, locate, parse
from supplyguard.errors import BudgetExceededError
from supplyguard.finding import Evidence, Level, Notification
from supplyguard.inventory import Artifact, Location, ModelRef
from supplyguard.limits import Budget
from supplyguard.sources.loader_calls import Module, find_calls
from supplyguard.sources.loaders import mentions_loader
from supplyguard.wire.text import decode, read_bytes

NAME: Final = "python_code"
ASPECT: Final = Aspect.CODE
SUFFIXES: Final = (".py", ".pyw", ".pyi")

Found = ModelRef | Evidence | Notification


def claims(name: str) -> bool:
    """Whether a file is Python source by its ending."""
    return name.lower().endswith(SUFFIXES)


def collect(artifact: Artifact, budget: Budget) -> Iterator[Found]:
    """Yield the calls in a file that load models and data, and the references in them.

    A file without any word that such a call needs is not parsed. One that has them and cannot be
    parsed (Python 2, a newer syntax, a template) is a gap.
    """
    place = Location(uri=artifact.uri)
    try:
        raw = read_bytes(artifact.path, FILE_SIZE)
    except BudgetExceededError as error:
        yield unparsed(f"larger than {error.limit:,} bytes", place)
        return
    text, problem = decode(raw)
    if not mentions_loader(text):
        return
    tree = parse(text) if problem is None else problem
    if isinstance(tree, str):
        yield unparsed(tree, place)
        return
    lines = code_lines(text)
    module = Module(tree=tree, locate=lambda node: locate(node, artifact.uri, (), lines))
    yield from find_calls([module], folders_of(artifact), budget)


def folders_of(artifact: Artifact) -> tuple[Path, ...]:
    """Give the folders that a relative path in an artifact's code may start from."""
    folders = [artifact.path.parent]
    if artifact.root is not None and artifact.root not in folders:
        folders.append(artifact.root)
    return tuple(folders)


def unparsed(reason: str, place: Location) -> Notification:
    """Say that code which mentions loaders could not be parsed."""
    return Notification(
        code="unparsed-python",
        message=f"cannot be parsed as Python, but mentions calls that load models: {reason}",
        level=Level.WARNING,
        location=place,
        incomplete=True,
    )
