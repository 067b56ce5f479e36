"""Density clusters, for comparison and for the list of outliers.

DBSCAN and HDBSCAN leave people out who are in no crowd. That makes them poor segmentations (on
behavioural data they leave out half, and a newcomer has no place) and good critics: what they find
is put beside the chosen clusters, and their leftovers are the outliers. They run on a sample
(HDBSCAN takes 1 s for 10,000 people, minutes for 100,000); a distance from the own centroid, beyond
which most of the sample are leftovers, carries the verdict to everybody, in SQL too.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from sklearn.cluster import DBSCAN, HDBSCAN
from sklearn.neighbors import NearestNeighbors

from connector.models.clusters.lloyd import squared_distances
from connector.models.clusters.quality import silhouette
from connector.models.matching import adjusted_rand, contingency
from connector.models.threads import one_thread

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

LONELY_SHARE = 0.01
"""DBSCAN's radius is the distance to the n-th neighbour that all but this share keep within."""
MIN_CLUSTER_SHARE = 0.02
"""HDBSCAN's smallest cluster, as a share of the sample."""


@dataclass(frozen=True, slots=True, eq=False)
class Density:
    """What a density method finds in a sample.

    Attributes:
        labels: Cluster of each point; -1: in no crowd.
        measures: Number of clusters, share left out, silhouette of the rest, and the adjusted Rand
            index with the chosen clusters.
    """

    labels: Ints
    measures: dict[str, float]


def dbscan(points: Floats, chosen: Ints) -> Density:
    """DBSCAN with twice as many neighbours as dimensions (Sander et al. 1998).

    Args:
        points: A sample.
        chosen: The chosen clusters of the same points.
    """
    n_neighbours = min(len(points) - 1, max(4, 2 * points.shape[1]))
    with one_thread():
        finder = NearestNeighbors(n_neighbors=n_neighbours + 1).fit(points)
        reach = finder.kneighbors(points)[0][:, -1]
        # A radius of 0 would be refused; it comes from a sample of equal points.
        radius = max(float(np.quantile(reach, 1 - LONELY_SHARE)), 1e-9)
        labels = DBSCAN(eps=radius, min_samples=n_neighbours + 1).fit_predict(points)
    return _density(points, labels.astype(np.int64), chosen)


def hdbscan(points: Floats, chosen: Ints) -> Density:
    """HDBSCAN; arguments as for :func:`dbscan`."""
    size = max(5, int(MIN_CLUSTER_SHARE * len(points)))
    with one_thread():
        found = HDBSCAN(min_cluster_size=size, min_samples=5, copy=True).fit_predict(points)
    return _density(points, found.astype(np.int64), chosen)


def _density(points: Floats, labels: Ints, chosen: Ints) -> Density:
    inside = labels >= 0
    n_clusters = int(labels.max(initial=-1)) + 1
    counts = contingency(
        labels, chosen, n_before=max(1, n_clusters), n_after=int(chosen.max(initial=0)) + 1
    )
    return Density(
        labels,
        {
            "n_clusters": float(n_clusters),
            "left_out_share": float(1 - inside.mean()),
            "silhouette": silhouette(points[inside], labels[inside]) if inside.any() else 0.0,
            "ari_with_chosen": adjusted_rand(counts) if inside.any() else 0.0,
        },
    )


def outlier_cut(points: Floats, centroids: Floats, labels: Ints) -> float | None:
    """The least distance from the own centroid beyond which at least half are in no crowd.

    Args:
        points: A sample.
        centroids: Of the chosen clusters.
        labels: Of a density method; -1: in no crowd.

    Returns:
        A distance in standard deviations, or None when nobody is far out.
    """
    distances = np.sqrt(squared_distances(points, centroids).min(axis=1))
    order = np.argsort(-distances, kind="stable")
    share = np.cumsum(labels[order] < 0) / np.arange(1, len(order) + 1)
    beyond = np.flatnonzero(share >= 0.5)
    if not len(beyond):
        return None
    return float(np.floor(distances[order[beyond[-1]]] * 1e6) / 1e6)
