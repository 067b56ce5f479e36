"""Boosted trees as plain arrays: out of scikit-learn, into JSON, evaluated here.

A pickle runs code when it is loaded, and skops' files are bound to the version of scikit-learn that
wrote them. A boosted tree is nothing but thresholds and leaf values, so those are kept, as numbers
in JSON, and walked down by a few lines of numpy. scikit-learn grows the trees and has no part in
predicting; it shows them under a private name (``_predictors``), therefore :func:`export` compares
its own answers with scikit-learn's on the training rows and refuses at any difference.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from connector.errors import ModelError
from connector.models.clv.histories import Booleans, Floats, Integers

CHUNK = 16_384
"""Rows that walk down a tree at once: what fits into the processor's cache."""


@dataclass(frozen=True, slots=True, eq=False)
class Forest:
    """Boosted trees whose leaf values add up to a score; all nodes in one list.

    Attributes:
        n_features: Columns of the matrix.
        baseline: Score before the first tree.
        roots: Node that each tree starts at.
        depth: Steps from any root to the lowest leaf.
        feature: Column that a node asks about.
        threshold: A value up to it goes left; infinite where only missing values go right.
        missing_left: Whether a missing value goes left.
        left, right: Next nodes; a leaf's are itself.
        value: Of a leaf.
    """

    n_features: int
    baseline: float
    roots: Integers
    depth: int
    feature: Integers
    threshold: Floats
    missing_left: Booleans
    left: Integers
    right: Integers
    value: Floats

    def score(self, matrix: Floats) -> Floats:
        """Sum of the leaf values of each row.

        Args:
            matrix: Features, one row a customer; NaN where missing.

        Raises:
            ModelError: The matrix has another number of columns.
        """
        if matrix.ndim != 2 or matrix.shape[1] != self.n_features:
            raise ModelError(
                f"The trees ask for {self.n_features} features, found the shape {matrix.shape}."
            )
        total = np.full(matrix.shape[0], self.baseline)
        children = np.stack([self.right, self.left], axis=1).ravel()
        for at in range(0, matrix.shape[0], CHUNK):
            rows = np.ascontiguousarray(matrix[at : at + CHUNK], dtype=np.float64)
            flat, missing = rows.ravel(), np.isnan(rows).any()
            starts = np.arange(rows.shape[0]) * self.n_features
            for root in self.roots:
                node = np.full(rows.shape[0], root)
                for _ in range(self.depth):
                    asked = flat[starts + self.feature[node]]
                    left = asked <= self.threshold[node]
                    if missing:
                        left |= np.isnan(asked) & self.missing_left[node]
                    node = children[2 * node + left]
                total[at : at + CHUNK] += self.value[node]
        return total

    def to_dict(self) -> dict[str, object]:
        """Plain values for JSON; an infinite threshold is null."""
        return {
            "n_features": self.n_features,
            "baseline": self.baseline,
            "depth": self.depth,
            "roots": self.roots.tolist(),
            "feature": self.feature.tolist(),
            "threshold": [t if np.isfinite(t) else None for t in self.threshold.tolist()],
            "missing_left": self.missing_left.astype(int).tolist(),
            "left": self.left.tolist(),
            "right": self.right.tolist(),
            "value": self.value.tolist(),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Forest:
        """Inverse of :meth:`to_dict`.

        Raises:
            ModelError: The data has another shape, or points out of the list of nodes.
        """
        try:
            forest = cls(
                n_features=int(data["n_features"]),
                baseline=float(data["baseline"]),
                roots=np.array(data["roots"], dtype=np.int64),
                depth=int(data["depth"]),
                feature=np.array(data["feature"], dtype=np.int64),
                threshold=np.array(
                    [np.inf if t is None else t for t in data["threshold"]], dtype=np.float64
                ),
                missing_left=np.array(data["missing_left"], dtype=bool),
                left=np.array(data["left"], dtype=np.int64),
                right=np.array(data["right"], dtype=np.int64),
                value=np.array(data["value"], dtype=np.float64),
            )
        except (KeyError, TypeError, ValueError) as problem:
            raise ModelError(
                "Stored trees cannot be read.", hint="Fit the model again."
            ) from problem
        n_nodes = forest.value.size
        nodes = (forest.roots, forest.left, forest.right)
        lengths = {a.size for a in (forest.feature, forest.threshold, forest.missing_left)}
        lengths |= {forest.left.size, forest.right.size}
        sound = (
            lengths == {n_nodes}
            and forest.depth >= 0
            and bool(
                np.isfinite(forest.value).all()
                and ((forest.feature >= 0) & (forest.feature < forest.n_features)).all()
                and all(((a >= 0) & (a < n_nodes)).all() for a in nodes)
            )
        )
        if not sound:
            raise ModelError("Stored trees are damaged.", hint="Fit the model again.")
        return forest


class Boosted(Protocol):
    """What is asked of scikit-learn's boosted trees: private there, hence checked."""

    _predictors: Sequence[Sequence[Any]]
    _baseline_prediction: Any


def export(estimator: Boosted, matrix: Floats, expected: Floats) -> Forest:
    """Take the trees out of a fitted ``HistGradientBoosting`` estimator of one output.

    Args:
        estimator: Fitted on numeric features alone.
        matrix: Rows that it was fitted on.
        expected: Its own raw scores of these rows (before any link).

    Raises:
        ModelError: This version of scikit-learn keeps its trees otherwise.
    """
    try:
        trees = [trees[0].nodes for trees in estimator._predictors]
        baseline = float(np.ravel(estimator._baseline_prediction)[0])
        sizes = [tree.size for tree in trees]
        offsets = np.cumsum([0, *sizes])[:-1]
        nodes = np.concatenate(trees)
        own = np.arange(nodes.size)
        shift = np.repeat(offsets, sizes)
        leaf = nodes["is_leaf"].astype(bool)
        forest = Forest(
            n_features=matrix.shape[1],
            baseline=baseline,
            roots=offsets.astype(np.int64),
            depth=int(nodes["depth"].max()),
            feature=np.where(leaf, 0, nodes["feature_idx"]).astype(np.int64),
            threshold=np.where(leaf, np.inf, nodes["num_threshold"]),
            missing_left=nodes["missing_go_to_left"].astype(bool) & ~leaf,
            left=np.where(leaf, own, nodes["left"] + shift).astype(np.int64),
            right=np.where(leaf, own, nodes["right"] + shift).astype(np.int64),
            value=np.where(leaf, nodes["value"], 0.0),
        )
        categorical = bool(nodes["is_categorical"].any())
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as problem:
        raise ModelError(
            "This version of scikit-learn does not show its boosted trees.",
            hint="Install the version named in constraints.txt.",
        ) from problem
    if categorical or not np.allclose(forest.score(matrix), expected, rtol=1e-9, atol=1e-9):
        raise ModelError(
            "The exported trees answer otherwise than scikit-learn does.",
            hint="Install the version of scikit-learn named in constraints.txt.",
        )
    return forest
