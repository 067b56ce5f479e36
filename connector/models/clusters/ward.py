"""Hierarchical clusters: Ward's tree over micro-centroids, cut at any level.

Ward's method compares every pair, so 10,000 people take seconds and 100,000 do not finish. People
are first gathered into a few hundred micro-centroids by k-means; the tree joins those, each
weighted by its people, and so stands for everybody. With one person for each micro-centroid it is
exactly the tree that scipy builds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from connector.models.arrays import decode, encode
from connector.models.clusters.lloyd import kmeans, n_distinct, nearest

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

MAX_LEAVES = 200
"""Micro-centroids at most."""
PEOPLE_A_LEAF = 10
"""People for each micro-centroid at least, on average."""


@dataclass(frozen=True, slots=True, eq=False)
class Tree:
    """A dendrogram.

    Attributes:
        leaves: Micro-centroids, shape (n, dimensions).
        weights: People of each leaf.
        linkage: scipy's form, shape (n - 1, 4): the two that are joined, their distance, and the
            number of leaves below.
    """

    leaves: Floats
    weights: Floats
    linkage: Floats

    def cut(self, k: int) -> Ints:
        """Cluster of each leaf when the tree is cut into ``k``, numbered by the first leaf.

        Raises:
            ValueError: ``k`` is not between 1 and the number of leaves.
        """
        n = len(self.leaves)
        if not 1 <= k <= n:
            msg = f"a tree of {n} leaves cannot be cut into {k}"
            raise ValueError(msg)
        owner = np.arange(n)
        for step, (a, b) in enumerate(self.linkage[: n - k, :2].astype(np.int64)):
            owner[(owner == a) | (owner == b)] = n + step
        _, first, codes = np.unique(owner, return_index=True, return_inverse=True)
        rank = np.empty(k, dtype=np.int64)
        rank[np.argsort(first)] = np.arange(k)
        return rank[codes]

    def centroids(self, k: int) -> Floats:
        """Weighted means of the ``k`` clusters of :meth:`cut`, in its order."""
        codes = self.cut(k)
        total = np.bincount(codes, weights=self.weights, minlength=k)
        sums = np.zeros((k, self.leaves.shape[1]))
        np.add.at(sums, codes, self.leaves * self.weights[:, None])
        means: Floats = sums / total[:, None]
        return means

    def sizes(self, k: int) -> Floats:
        """Share of people in each of the ``k`` clusters of :meth:`cut`, in its order."""
        people = np.bincount(self.cut(k), weights=self.weights, minlength=k)
        shares: Floats = people / self.weights.sum()
        return shares

    def height(self, k: int) -> float:
        """Where a line crosses ``k`` branches: halfway between two joins, in the joins' unit."""
        n = len(self.leaves)
        joins: list[float] = [0.0, *self.linkage[:, 2].tolist()]
        if k <= 1:
            return 1.05 * joins[-1]
        return (joins[n - k] + joins[n - k + 1]) / 2

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "leaves": encode(self.leaves),
            "weights": encode(self.weights),
            "linkage": encode(self.linkage),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Tree:
        """Inverse of :meth:`to_dict`."""
        return cls(decode(data["leaves"]), decode(data["weights"]), decode(data["linkage"]))


def build_tree(points: Floats, *, rng: np.random.Generator) -> Tree:
    """Gather the points into micro-centroids and join those by Ward's method."""
    wanted = max(2, min(MAX_LEAVES, len(points) // PEOPLE_A_LEAF))
    n = min(wanted, n_distinct(points, at_least=wanted))
    leaves = kmeans(points, n, rng=rng, n_init=1)
    weights = np.bincount(nearest(points, leaves), minlength=n).astype(np.float64)
    leaves, weights = leaves[weights > 0], weights[weights > 0]
    return Tree(leaves, weights, ward(leaves, weights))


def ward(leaves: Floats, weights: Floats) -> Floats:
    """Ward's linkage of weighted points by the formula of Lance and Williams.

    Args:
        leaves: Shape (n, dimensions), n >= 2.
        weights: Positive, shape (n,).

    Returns:
        As :func:`scipy.cluster.hierarchy.linkage`; for weights of 1 the same numbers.
    """
    n = len(leaves)
    gaps = ((leaves[:, None, :] - leaves[None, :, :]) ** 2).sum(axis=2)
    d = gaps * 2 * np.multiply.outer(weights, weights) / np.add.outer(weights, weights)
    np.fill_diagonal(d, np.inf)
    ids, w, below = np.arange(n), weights.astype(np.float64).copy(), np.ones(n)
    linkage = np.empty((n - 1, 4))
    for step in range(n - 1):
        i, j = sorted(divmod(int(d.argmin()), n))
        pair = sorted((ids[i], ids[j]))
        linkage[step] = (*pair, np.sqrt(d[i, j]), below[i] + below[j])
        total = w[i] + w[j] + w
        joined = ((w[i] + w) * d[i] + (w[j] + w) * d[j] - w * d[i, j]) / total
        joined[[i, j]] = np.inf
        joined[np.isinf(d[i])] = np.inf
        d[i], d[:, i] = joined, joined
        d[j], d[:, j] = np.inf, np.inf
        ids[i], w[i], below[i] = n + step, w[i] + w[j], below[i] + below[j]
    return linkage
