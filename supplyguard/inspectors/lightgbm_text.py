"""LightGBM models: trees whose arrays and children do not fit, sizes that mislead, paths as parameters.

Format: GBDT::SaveModelToString and LoadModelFromString of src/boosting/gbdt_model_text.cpp, Tree::ToString
of src/io/tree.cpp, versions v2 to v4 (github.com/microsoft/LightGBM). The native reader allocates and
copies by these numbers. The text is read line by line; values of leaves are only counted.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import closing
from typing import BinaryIO, Final

from supplyguard.archives.referenced_paths import path_reasons
from supplyguard.errors import BudgetExceededError, MalformedError
from supplyguard.finding import Evidence, Fact, Level, Notification
from supplyguard.inspectors.lightgbm_tree import Flaw, tree_flaw
from supplyguard.inventory import Member, Probe
from supplyguard.limits import MIB, Budget, Resource
from supplyguard.resources import format_data
from supplyguard.streams import buffered

FORMAT: Final = "lightgbm_text"

SHOWN: Final = 20
LONGEST_LINE: Final = 64 * MIB
_START: Final = re.compile(rb"tree\r?\nversion=")
_BINARY: Final = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_PARAMETER: Final = re.compile(r"\[([a-z0-9_]{1,60}): (.*)\]\s*")


def recognizes(probe: Probe) -> bool:
    """Whether it begins with the name of the model's kind and its version."""
    return _START.match(probe.head) is not None


def inspect(member: Member, budget: Budget) -> Iterator[Evidence | Notification]:
    """Yield trees that do not fit and parameters that name files; raises MalformedError for a cut file."""
    with closing(buffered(member.open())) as stream:
        yield from _Text(member, stream, budget).all()


class _Text:
    """One pass over the lines of a model."""

    def __init__(self, member: Member, stream: BinaryIO, budget: Budget) -> None:
        self._member = member
        self._stream = stream
        self._budget = budget
        self._position = 0
        self._header: dict[str, str] = {}
        self._starts: list[int] = []
        self._shown = 0
        self._binary = False

    def all(self) -> Iterator[Evidence | Notification]:
        """Read the header, the trees and what follows them."""
        fields = self._header
        at, ended = 0, False
        for start, line in self._lines():
            self._budget.spend(Resource.NODES)
            if not self._binary and _BINARY.search(line):
                self._binary = True
                yield self._see("lightgbm-binary", start, "binary", what="bytes that are no text")
            text = line.decode("utf-8", "replace").rstrip("\r\n")
            if ended:
                yield from self._parameter(text, start)
                continue
            if text.startswith("Tree=") or text == "end of trees":
                yield from self._finish(fields, at)
                ended = text == "end of trees"
                at, fields = start, {}
                self._starts.append(start)
                self._budget.check_time()
            key, sign, value = text.partition("=")
            if sign:
                fields[key] = value
        if not ended:
            raise MalformedError("ends before the end of the trees", offset=self._position)
        yield from self._sizes()

    def _lines(self) -> Iterator[tuple[int, bytes]]:
        """Yield each line with where it begins; raises BudgetExceededError for an endless one."""
        while True:
            start = self._position
            line = self._stream.readline(LONGEST_LINE + 1)
            if not line:
                return
            self._position += len(line)
            if len(line) > LONGEST_LINE:
                raise BudgetExceededError("line_bytes", LONGEST_LINE)
            yield start, line

    def _finish(self, fields: Mapping[str, str], at: int) -> Iterator[Evidence | Notification]:
        """Judge the tree that ends here, or take leave of the header."""
        if fields is self._header:
            return
        try:
            features = int(self._header.get("max_feature_idx", ""))
        except ValueError:
            features = -1
        flaw = tree_flaw(fields, features)
        if flaw is not None:
            yield from self._flaw(flaw, at, f"tree {fields.get('Tree', '')[:20]}")

    def _flaw(self, flaw: Flaw, at: int, place: str) -> Iterator[Evidence | Notification]:
        self._shown += 1
        if self._shown <= SHOWN:
            yield self._see(
                "lightgbm-tree", at, f"{flaw.what}:{place}", what=flaw.what, place=place, detail=flaw.detail
            )
        elif self._shown == SHOWN + 1:
            text = f"more than {SHOWN} trees do not fit: the others are not listed"
            yield Notification(code="not-listed", message=text, level=Level.NOTE, location=self._member.at())

    def _sizes(self) -> Iterator[Evidence]:
        """Compare the sizes that the header states with where trees are: readers start there."""
        if "tree_sizes" not in self._header:
            return
        said = self._header["tree_sizes"].split()
        pairs = zip(self._starts, self._starts[1:], strict=False)
        real = [str(end - start) for start, end in pairs]
        if said != real:
            index = next((n for n, (a, b) in enumerate(zip(said, real, strict=False)) if a != b), None)
            detail = f"states {len(said):,} sizes for {len(real):,} trees"
            if index is not None:
                detail = f"states {said[index][:30]} bytes for tree {index}, which has {real[index]}"
            yield self._see("lightgbm-sizes", 0, "tree_sizes", detail=detail)

    def _parameter(self, text: str, at: int) -> Iterator[Evidence]:
        """Yield a parameter that names a file or other machines."""
        table = format_data(FORMAT)
        found = _PARAMETER.fullmatch(text[:10_000])
        if found is None:
            return
        key, value = found[1], found[2].strip()
        if key in table["path_parameters"] and value and value != table["path_parameters"][key]:
            leaves = any(path_reasons(each) for each in value.split(","))
            yield self._see("lightgbm-parameter", at, key, key=key, value=value[:200], escapes=leaves)

    def _see(self, kind: str, at: int, symbol: str, **facts: Fact) -> Evidence:
        return Evidence(kind=kind, location=self._member.at(at), facts=facts, symbol=symbol)
