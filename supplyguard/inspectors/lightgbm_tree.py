"""Whether one tree of a LightGBM text fits itself: the lengths of its arrays, and where its nodes lead.

Fields: Tree::Tree(const char*, size_t*) of src/io/tree.cpp (github.com/microsoft/LightGBM).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

_INNER: Final = ("split_feature", "threshold", "left_child", "right_child")
_INNER_OR_NONE: Final = ("decision_type", "split_gain", "internal_value", "internal_weight", "internal_count")
_LEAF_OR_NONE: Final = ("leaf_weight", "leaf_count")
_CATEGORICAL: Final = 1
"""The bit of `decision_type` that says that the threshold is the number of a set of categories."""


@dataclass(frozen=True, slots=True)
class Flaw:
    """What does not fit. what: "length", "index", "cycle", "categories" or "linear"."""

    what: str
    detail: str


class _NoNumbersError(Exception):
    """A field holds something else than whole numbers."""


def tree_flaw(fields: Mapping[str, str], most_feature: int) -> Flaw | None:
    """Give the first flaw of a tree. most_feature: the highest number of a feature, -1 when not known."""
    try:
        (leaves,) = _numbers(fields, "num_leaves")
        return (
            _lengths(fields, leaves)
            or _nodes(fields, leaves, most_feature)
            or _categories(fields)
            or _linear(fields, leaves)
        )
    except (ValueError, _NoNumbersError) as error:
        return Flaw("length", str(error) if isinstance(error, _NoNumbersError) else "has no number of leaves")


def _numbers(fields: Mapping[str, str], key: str) -> list[int]:
    try:
        return list(map(int, fields.get(key, "").split()))
    except ValueError:
        raise _NoNumbersError(f"has something else than whole numbers in {key}") from None


def _lengths(fields: Mapping[str, str], leaves: int) -> Flaw | None:
    if leaves < 1:
        return Flaw("length", f"claims {leaves:,} leaves")
    wanted: dict[str, tuple[int, ...]] = {"leaf_value": (leaves,)}
    wanted |= dict.fromkeys(_INNER, (leaves - 1,))
    wanted |= dict.fromkeys(_INNER_OR_NONE, (0, leaves - 1))
    wanted |= dict.fromkeys(_LEAF_OR_NONE, (0, leaves))
    for key, right in wanted.items():
        count = len(fields.get(key, "").split())
        if count not in right:
            return Flaw("length", f"has {count:,} values in {key} for {leaves:,} leaves")
    return None


def _nodes(fields: Mapping[str, str], leaves: int, most_feature: int) -> Flaw | None:
    """Check where nodes lead; a leaf is the complement of its number.

    Where no node has two parents and the root has none, no cycle can be reached from the root.
    """
    children = _numbers(fields, "left_child") + _numbers(fields, "right_child")
    if any(not -leaves <= child < leaves - 1 for child in children):
        return Flaw("index", f"has a child beyond its {leaves:,} leaves and {leaves - 1:,} nodes")
    if len(set(children)) != len(children) or 0 in children:
        return Flaw("cycle", "has a node that is the child of two, or above itself")
    if most_feature >= 0 and any(not 0 <= each <= most_feature for each in _numbers(fields, "split_feature")):
        return Flaw("index", f"splits on a feature beyond {most_feature:,}, the last")
    return None


def _categories(fields: Mapping[str, str]) -> Flaw | None:
    (sets,) = _numbers(fields, "num_cat") or [0]
    bounds = _numbers(fields, "cat_boundaries")
    words = len(fields.get("cat_threshold", "").split())
    if sets < 0 or (sets and not _rising(bounds, sets, words)):
        return Flaw(
            "categories", f"has {sets:,} sets of categories whose bounds do not rise from 0 to {words:,}"
        )
    kinds = _numbers(fields, "decision_type")
    thresholds = fields.get("threshold", "").split()
    for kind, threshold in zip(kinds, thresholds, strict=False):
        if kind & _CATEGORICAL and not (threshold.isdecimal() and int(threshold[:20]) < sets):
            return Flaw("categories", f"names a set of categories beyond the {sets:,} that there are")
    return None


def _rising(bounds: Sequence[int], sets: int, words: int) -> bool:
    return (
        len(bounds) == sets + 1 and bounds[0] == 0 and bounds[-1] == words and list(bounds) == sorted(bounds)
    )


def _linear(fields: Mapping[str, str], leaves: int) -> Flaw | None:
    if fields.get("is_linear", "0").strip() in {"0", ""}:
        return None
    counts = _numbers(fields, "num_features")
    constants = len(fields.get("leaf_const", "").split())
    features, factors = (len(fields.get(key, "").split()) for key in ("leaf_features", "leaf_coeff"))
    fits = len(counts) == constants == leaves and sum(counts) == features == factors
    if not fits or any(each < 0 for each in counts):
        return Flaw("linear", "has linear functions in its leaves whose numbers do not add up")
    return None
