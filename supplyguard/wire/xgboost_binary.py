"""XGBoost's old binary form, given as a learner of its JSON form: names, counts, nodes of trees, attributes.

Little-endian structures of src/learner.cc (LearnerModelParamLegacy), src/gbm/gbtree_model.h
(GBTreeModelParam), include/xgboost/tree_model.h (TreeParam, Node, RTreeNodeStat) of version 1.7; texts
and vectors begin with their length in 8 bytes. Weights and statistics are passed over.
"""

from __future__ import annotations

import struct
from itertools import repeat
from typing import Any, Final

from supplyguard.errors import MalformedError, UnsupportedError
from supplyguard.limits import Budget, Resource
from supplyguard.wire.cursor import Cursor

NAMES_AT: Final = 136
"""Bytes of the learner's parameters; the names of the objective and the booster follow."""
_FOREST: Final = 160
_LINEAR: Final = 136
_TREE: Final = 148
_NODE: Final = struct.Struct("<iiiIf")
_STATISTICS: Final = 16
_LONGEST_NAME: Final = 256
_NO_SIGN: Final = 0x7FFF_FFFF
"""The top bits of a parent and a split say something else."""


class OldReader:
    """Reads a model from a cursor. learner: what was read so far, also when `read` raised."""

    __slots__ = ("_budget", "_cursor", "learner")

    def __init__(self, cursor: Cursor, budget: Budget) -> None:
        self._cursor = cursor
        self._budget = budget
        self.learner: dict[str, Any] = {}

    def read(self) -> None:
        """Fill `learner`; raises MalformedError where a count or length does not fit what is left."""
        fields = struct.unpack("<fIiiiIII", self._cursor.take(32))
        self._cursor.skip(NAMES_AT - 32)
        _, features, classes, extra, _, _, _, outputs = fields
        self.learner["learner_model_param"] = {
            "num_feature": features,
            "num_class": classes,
            "num_target": outputs,
        }
        self.learner["objective"] = {"name": self._text(_LONGEST_NAME)}
        name = self._text(_LONGEST_NAME)
        booster: dict[str, Any] = {"name": name}
        self.learner["gradient_booster"] = booster
        if name == "gblinear":
            self._cursor.skip(_LINEAR)
            booster["model"] = {"weights": self._floats()}
        elif name in {"gbtree", "dart"}:
            model: dict[str, Any] = {}
            booster["model"] = model
            self._forest(model)
            if name == "dart" and model["trees"]:
                booster["weight_drop"] = self._floats()
        else:
            raise UnsupportedError(f"a booster of the kind {name!r}, which is not known")
        if extra:
            self._attributes()

    def _forest(self, model: dict[str, Any]) -> None:
        at = self._cursor.position
        count = self._cursor.number("i")
        self._cursor.skip(_FOREST - 4)
        if not 0 <= count <= self._cursor.remaining // _TREE:
            raise MalformedError(f"claims {count:,} trees in {self._cursor.remaining:,} bytes", offset=at)
        trees: list[dict[str, Any]] = []
        model["gbtree_model_param"] = {"num_trees": count}
        model["trees"] = trees
        for _ in range(count):
            trees.append(self._tree(len(trees)))
        model["tree_info"] = list(struct.unpack(f"<{count}i", self._cursor.take(4 * count)))

    def _tree(self, index: int) -> dict[str, Any]:
        at = self._cursor.position
        _, count, _, _, features, vector = struct.unpack("<6i", self._cursor.take(24))
        self._cursor.skip(_TREE - 24)
        if not 0 < count <= self._cursor.remaining // (_NODE.size + _STATISTICS):
            left = self._cursor.remaining
            raise MalformedError(f"tree {index} claims {count:,} nodes in {left:,} bytes", offset=at)
        if vector not in {0, 1}:
            raise UnsupportedError("an old XGBoost model with vectors in its leaves")
        self._budget.spend(Resource.NODES, count)
        self._budget.check_time()
        nodes = _NODE.iter_unpack(self._cursor.take(count * _NODE.size))
        parents, left_children, right_children, splits, _ = zip(*nodes, strict=True)
        self._cursor.skip(count * _STATISTICS)
        return {
            "id": index,
            "tree_param": {"num_nodes": count, "num_feature": features},
            "left_children": list(left_children),
            "right_children": list(right_children),
            "parents": [each & _NO_SIGN for each in parents],
            "split_indices": [each & _NO_SIGN for each in splits],
            "split_conditions": list(repeat(0, count)),
            "default_left": list(repeat(0, count)),
        }

    def _attributes(self) -> None:
        found: dict[str, str] = {}
        self.learner["attributes"] = found
        for _ in range(self._count(16)):
            key = self._text(self._budget.limits.string_bytes)
            found[key] = self._text(self._budget.limits.string_bytes)

    def _floats(self) -> list[int]:
        """Pass over numbers of 4 bytes; only their count is kept."""
        count = self._count(4)
        self._budget.spend(Resource.NODES, count)
        self._cursor.skip(4 * count)
        return list(repeat(0, count))

    def _count(self, least: int) -> int:
        at = self._cursor.position
        count = self._cursor.number("Q")
        if count > self._cursor.remaining // least:
            raise MalformedError(f"claims {count:,} values in {self._cursor.remaining:,} bytes", offset=at)
        return count

    def _text(self, most: int) -> str:
        return self._cursor.text(self._cursor.number("Q"), most)
