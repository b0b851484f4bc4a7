"""Fitted scikit-learn trees as plain arrays: shipped in safetensors, read without scikit-learn, no pickle.

Shape legend: N rows, F features, T trees, P nodes of all trees.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from doyen_finance.risk.stored import Tensors, unusable

if TYPE_CHECKING:
    from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier

Floats = NDArray[np.float64]
_CELLS = 200_000
_ARRAYS = ("roots", "feature", "threshold", "left", "right", "value")


class _Nodes(NamedTuple):
    feature: NDArray[np.int64]
    threshold: Floats
    left: NDArray[np.int64]
    right: NDArray[np.int64]
    value: Floats
    leaf: NDArray[np.bool_]


@dataclass(frozen=True)
class Trees:
    """T binary trees, one after the other: a row goes left where its feature is at most the threshold.

    Attributes:
        roots: the first node of each tree, (T,).
        feature, threshold, left, right, value: of each node, (P,); a leaf points to itself.
        depth: steps that reach every leaf.
    """

    roots: NDArray[np.int32]
    feature: NDArray[np.int16]
    threshold: NDArray[np.float32]
    left: NDArray[np.int32]
    right: NDArray[np.int32]
    value: NDArray[np.float32]
    depth: int

    def total(self, x_NF: NDArray[Any]) -> Floats:
        """The sum over the trees of the leaf that each row falls into, (N,)."""
        x_NF = np.ascontiguousarray(x_NF, np.float32)
        found = np.empty(len(x_NF))
        block = max(_CELLS // max(len(self.roots), 1), 1)
        for start in range(0, len(x_NF), block):
            x_BF = x_NF[start : start + block]
            rows = np.arange(len(x_BF))
            node_TB = np.repeat(self.roots[:, None], len(x_BF), axis=1)
            for _ in range(self.depth):
                below = x_BF[rows, self.feature[node_TB]] <= self.threshold[node_TB]
                node_TB = np.where(below, self.left[node_TB], self.right[node_TB])
            found[start : start + block] = self.value[node_TB].sum(0, dtype=np.float64)
        return found

    def mean(self, x_NF: NDArray[Any]) -> Floats:
        """The mean over the trees, (N,)."""
        return self.total(x_NF) / len(self.roots)

    def tensors(self, prefix: str) -> dict[str, NDArray[Any]]:
        """The arrays under ``prefix.name``, for safetensors."""
        arrays = {f"{prefix}.{name}": getattr(self, name) for name in _ARRAYS}
        return arrays | {f"{prefix}.depth": np.array([self.depth], np.int32)}

    @classmethod
    def load(cls, tensors: Tensors, prefix: str, features: int) -> Self:
        """Raises FIN-075: an array is missing, or a node points outside the arrays."""
        roots, feature, threshold, left, right, value = (tensors[f"{prefix}.{name}"] for name in _ARRAYS)
        made = cls(roots, feature, threshold, left, right, value, int(tensors[f"{prefix}.depth"][0]))
        count = len(made.value)
        pointers = np.concatenate([made.roots, made.left, made.right])
        if (
            pointers.min(initial=0) < 0
            or pointers.max(initial=0) >= count
            or made.feature.max(initial=0) >= features
        ):
            raise unusable(f"the trees {prefix} point outside their arrays.")
        return made


def from_forest(forest: RandomForestClassifier) -> Trees:
    """The probability of class 1 by tree; fit the forest on float32 (it compares in float32 anyway)."""
    parts = []
    for tree in (estimator.tree_ for estimator in forest.estimators_):
        share = tree.value[:, 0, 1] / tree.value[:, 0].sum(1)
        leaf = tree.children_left < 0
        parts.append(
            _Nodes(tree.feature, tree.threshold, tree.children_left, tree.children_right, share, leaf)
        )
    return _joined(parts)


def from_boosting(model: HistGradientBoostingClassifier) -> tuple[Trees, float]:
    """The trees, whose leaves sum up to the log-odds, and the log-odds that they start from."""
    parts = []
    for (predictor,) in model._predictors:
        nodes = predictor.nodes
        parts.append(
            _Nodes(
                nodes["feature_idx"].astype(np.int64), nodes["num_threshold"], nodes["left"].astype(np.int64),
                nodes["right"].astype(np.int64), nodes["value"], nodes["is_leaf"].astype(bool),
            )
        )  # fmt: skip
    return _joined(parts), float(np.ravel(model._baseline_prediction)[0])


def _joined(parts: list[_Nodes]) -> Trees:
    sizes = np.array([len(part.value) for part in parts])
    roots = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    own = np.arange(sizes.sum())
    shift = np.repeat(roots, sizes)
    leaf = np.concatenate([part.leaf for part in parts])
    left = np.where(leaf, own, np.concatenate([part.left for part in parts]) + shift)
    right = np.where(leaf, own, np.concatenate([part.right for part in parts]) + shift)
    return Trees(
        roots=roots.astype(np.int32),
        feature=np.where(leaf, 0, np.concatenate([part.feature for part in parts])).astype(np.int16),
        threshold=_at_most(np.where(leaf, 0.0, np.concatenate([part.threshold for part in parts]))),
        left=left.astype(np.int32),
        right=right.astype(np.int32),
        value=np.concatenate([part.value for part in parts]).astype(np.float32),
        depth=max(_depth(part) for part in parts),
    )


def _at_most(threshold: Floats) -> NDArray[np.float32]:
    """The largest float32 not above each threshold: comparing float32 values with it gives the same answer."""
    near = threshold.astype(np.float32)
    return np.where(near > threshold, np.nextafter(near, np.float32(-np.inf)), near)


def _depth(nodes: _Nodes) -> int:
    depth, level = 0, np.array([0])
    while len(inner := level[~nodes.leaf[level]]):
        level = np.concatenate([nodes.left[inner], nodes.right[inner]])
        depth += 1
    return depth
