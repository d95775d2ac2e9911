"""Whether the numbers of an XGBoost document fit each other: trees, counts, groups, categories.

The native library reads features and writes outputs at these numbers. Schema: doc/model.schema of
github.com/dmlc/xgboost and the SaveModel functions of src/tree/tree_model.cc and src/gbm/gbtree_model.cc.
Numbers are taken from JSON lists or from UBJSON's typed arrays; those of weights are only counted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from supplyguard.limits import Budget
from supplyguard.wire.ubjson import TypedArray

ROOTLESS: Final = (-1, 2**31 - 1)
"""What stands for the parent of a root."""
_PER_NODE: Final = ("right_children", "parents", "split_indices", "split_conditions", "default_left")
_CATEGORIES: Final = ("categories_nodes", "categories_segments", "categories_sizes")

Numbers = Callable[[TypedArray], tuple[int | float, ...]]


@dataclass(frozen=True, slots=True)
class Flaw:
    """What does not fit. what: "index", "cycle" or "count"; place: which part; offset: bytes, if known."""

    what: str
    place: str
    detail: str
    offset: int | None = None


class Ensemble:
    """The learner of a document, whose flaws are asked for.

    numbers: reads a typed array. whole: the document was read to its end, so what is missing is a flaw.
    """

    def __init__(self, learner: dict[str, Any], numbers: Numbers, budget: Budget, *, whole: bool) -> None:
        self._learner = learner
        self._numbers = numbers
        self._budget = budget
        self._whole = whole
        parameters = _mapping(learner.get("learner_model_param"))
        self._features = _number(parameters.get("num_feature")) or 0
        self._groups = max(
            1, _number(parameters.get("num_class")) or 0, _number(parameters.get("num_target")) or 0
        )

    def flaws(self) -> Iterator[Flaw]:
        """Yield what does not fit; a tree with many flaws gives one."""
        booster = _mapping(self._learner.get("gradient_booster"))
        inner = _mapping(booster.get("gbtree")) if "gbtree" in booster else booster
        model = _mapping(inner.get("model"))
        trees = model.get("trees")
        if not isinstance(trees, list):
            if "weights" in model:
                yield from self._linear(model["weights"])
            elif self._whole:
                yield Flaw("count", "the model", "has neither trees nor weights")
            return
        yield from self._counts(model, len(trees))
        if "weight_drop" in booster and _length(booster["weight_drop"]) != len(trees):
            yield Flaw("count", "weight_drop", f"is not as long as there are trees ({len(trees):,})")
        for index, tree in enumerate(trees):
            self._budget.check_time()
            flaw = self._tree(_mapping(tree), f"tree {index}", len(trees))
            if flaw is not None:
                yield flaw

    def _linear(self, weights: Any) -> Iterator[Flaw]:
        count, wanted = _length(weights), (self._features + 1) * self._groups
        if self._features and count != wanted:
            yield Flaw("count", "the weights", f"are {count:,}, not {wanted:,}")

    def _counts(self, model: dict[str, Any], trees: int) -> Iterator[Flaw]:
        """Compare the model's own counts with the trees that are there."""
        if not self._whole:
            return
        said = _number(_mapping(model.get("gbtree_model_param")).get("num_trees"))
        if said != trees:
            yield Flaw("count", "num_trees", f"says {said}, there are {trees:,}")
        groups = self._integers(model.get("tree_info"))
        if groups is None or len(groups) != trees:
            yield Flaw("count", "tree_info", f"is not one number for each of {trees:,} trees")
        elif groups and not 0 <= min(groups) <= max(groups) < self._groups:
            yield Flaw("index", "tree_info", f"names an output beyond the {self._groups:,} that there are")
        pointers = self._integers(model.get("iteration_indptr", []))
        if pointers is None:
            yield Flaw("count", "iteration_indptr", "is not a list of numbers")
        elif pointers and (pointers[0] != 0 or pointers[-1] != trees or sorted(pointers) != list(pointers)):
            yield Flaw("index", "iteration_indptr", f"does not lead from 0 to {trees:,}")

    def _tree(self, tree: dict[str, Any], place: str, trees: int) -> Flaw | None:
        """Give the first flaw of one tree."""
        left = self._integers(tree.get("left_children"))
        if left is None or not left or any(key not in tree for key in _PER_NODE):
            return Flaw("count", place, "is not complete") if self._whole else None
        at = _offset(tree["left_children"])
        lengths = {key: _length(tree[key]) for key in _PER_NODE}
        wrong = next((key for key, length in lengths.items() if length != len(left)), None)
        if wrong is not None:
            what = f"has {lengths[wrong]:,} {wrong} for {len(left):,} nodes"
            return Flaw("count", place, what, _offset(tree[wrong]))
        parameters = _mapping(tree.get("tree_param"))
        said = _number(parameters.get("num_nodes"))
        if said is not None and said != len(left):
            return Flaw("count", place, f"says that it has {said:,} nodes, there are {len(left):,}", at)
        if not 0 <= (_number(tree.get("id", 0)) or 0) < trees and self._whole:
            return Flaw("index", place, "has a number beyond the trees that there are", at)
        return self._nodes(tree, left, place) or self._categorical(tree, len(left), place)

    def _nodes(self, tree: dict[str, Any], left: Sequence[int], place: str) -> Flaw | None:
        """Check where nodes lead.

        Where no node has two parents and the root has none, no cycle can be reached from the root.
        """
        right, parents = self._integers(tree["right_children"]), self._integers(tree["parents"])
        splits = self._integers(tree["split_indices"])
        at, count = _offset(tree["left_children"]), len(left)
        if right is None or parents is None or splits is None:
            return Flaw("count", place, "has nodes that are not numbers", at)
        inner = [pair for pair in zip(left, right, splits, strict=True) if pair[0] != -1]
        children = [child for pair in inner for child in pair[:2]]
        if not all(0 <= child < count for child in children):
            return Flaw("index", place, f"has a child beyond its {count:,} nodes", at)
        if len(set(children)) != len(children) or 0 in children:
            return Flaw("cycle", place, "has a node that is the child of two, or above itself", at)
        if any(not 0 <= parent < count and parent not in ROOTLESS for parent in parents):
            return Flaw("index", place, f"has a parent beyond its {count:,} nodes", _offset(tree["parents"]))
        features = self._features or _number(_mapping(tree.get("tree_param")).get("num_feature")) or 0
        if features and any(not 0 <= split < features for _, _, split in inner):
            what = f"splits on a feature beyond the {features:,} that there are"
            return Flaw("index", place, what, _offset(tree["split_indices"]))
        return None

    def _categorical(self, tree: dict[str, Any], nodes: int, place: str) -> Flaw | None:
        """Check that the categories of each node lie in the list of all."""
        found = [self._integers(tree.get(key, [])) for key in _CATEGORIES]
        which, starts, sizes = found
        if which is None or starts is None or sizes is None:
            return Flaw("count", place, "has categories that are not numbers")
        if not len(which) == len(starts) == len(sizes):
            return Flaw("count", place, "has lists of categories of unequal length")
        total = _length(tree.get("categories", []))
        if any(not 0 <= node < nodes for node in which) or any(
            start < 0 or size < 0 or start + size > total for start, size in zip(starts, sizes, strict=True)
        ):
            return Flaw("index", place, "has categories beyond their list", _offset(tree.get(_CATEGORIES[1])))
        return None

    def _integers(self, value: Any) -> Sequence[int] | None:
        """Give whole numbers, None for anything else."""
        if isinstance(value, TypedArray):
            if value.code in "fd":
                return None
            return [int(each) for each in self._numbers(value)]
        if isinstance(value, list) and all(isinstance(each, int) for each in value):
            return value
        return None


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _length(value: Any) -> int:
    """Count without reading."""
    if isinstance(value, TypedArray):
        return value.count
    return len(value) if isinstance(value, list) else -1


def _offset(value: Any) -> int | None:
    return value.start if isinstance(value, TypedArray) else None


def _number(value: Any) -> int | None:
    """Take a count, which XGBoost writes as text."""
    if isinstance(value, str) and len(value) <= 20:
        try:
            return int(value)
        except ValueError:
            return None
    return value if isinstance(value, int) else None
