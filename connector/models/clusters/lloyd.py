"""k-means that gives one answer for one seed, and the nearest centroid.

scikit-learn does the work, on one thread: with several, sums are taken in another order each time,
and a person on the border falls to the other side. MiniBatchKMeans was tried: slower here and worse
(73 s against 7 s for 5M people, inertia 9 % higher), and a fit on 100,000 people is as good as one
on all of them.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from sklearn.cluster import KMeans

from connector.models.threads import one_thread

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

DECIMALS = 9
"""Centroids and squared distances are rounded to so many decimals, in numpy as in SQL."""
BLOCK = 65_536
"""People whose distances are computed at once."""


def kmeans(
    points: Floats,
    k: int,
    *,
    rng: np.random.Generator,
    n_init: int = 4,
    weights: Floats | None = None,
) -> Floats:
    """Centroids of the best of several k-means++ starts, shape (k, dimensions).

    Args:
        points: At least ``k`` distinct rows.
        k: Number of clusters.
        rng: Draws the seed.
        n_init: Number of starts.
        weights: Of each point; None: all alike.
    """
    seed = int(rng.integers(0, 2**31 - 1))
    return _run(points, KMeans(k, n_init=n_init, random_state=seed), weights)


def refine(points: Floats, start: Floats) -> Floats:
    """Centroids that Lloyd's iterations reach from ``start``, in its order."""
    return _run(points, KMeans(len(start), init=start, n_init=1, random_state=0), None)


def _run(points: Floats, estimator: KMeans, weights: Floats | None) -> Floats:
    with one_thread():
        estimator.fit(points, sample_weight=weights)
    centers: Floats = np.round(estimator.cluster_centers_.astype(np.float64), DECIMALS)
    return centers


def squared_distances(points: Floats, centroids: Floats) -> Floats:
    """Squared Euclidean distances, shape (points, centroids), rounded to :data:`DECIMALS`."""
    result = np.empty((len(points), len(centroids)))
    norms = (centroids**2).sum(axis=1)
    for start in range(0, len(points), BLOCK):
        block = points[start : start + BLOCK]
        squares = (block**2).sum(axis=1)[:, None] - 2.0 * (block @ centroids.T) + norms
        result[start : start + BLOCK] = np.round(squares, DECIMALS)
    return np.maximum(result, 0.0, out=result)


def nearest(points: Floats, centroids: Floats) -> Ints:
    """Number of the nearest centroid of each point; of equally near ones the first."""
    return np.asarray(squared_distances(points, centroids).argmin(axis=1), dtype=np.int64)


def n_distinct(points: Floats, *, at_least: int) -> int:
    """Number of distinct rows, counted up to ``at_least`` only where that is quicker."""
    head = len(np.unique(points[: 20 * at_least], axis=0))
    return head if head >= at_least else len(np.unique(points, axis=0))
