"""How good a partition is: separate, reproducible, and of usable sizes.

Three questions, three measures. Are people nearer to their own cluster than to the next
(silhouette, on people that the fit did not see)? Do the same clusters come back when the people are
drawn anew (Jaccard of each cluster and adjusted Rand index, over bootstrap samples)? Would a second
half of the people be split alike (prediction strength)? A silhouette alone prefers two clusters
nearly always; stability alone prefers too few.

References:
    Rousseeuw 1987 (silhouette); Hennig, Cluster-wise assessment of cluster stability, 2007, and his
    R package fpc (Jaccard: <= .6 unstable, > .75 stable, > .85 highly stable); Tibshirani and
    Walther, Cluster validation by prediction strength, 2005 (> .8 to .9).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from statistics import fmean

import numpy as np
import numpy.typing as npt
from sklearn.metrics import silhouette_score

from connector.models.clusters.lloyd import nearest
from connector.models.matching import adjusted_rand, contingency
from connector.models.threads import one_thread

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

UNSTABLE, STABLE, HIGHLY_STABLE = 0.6, 0.75, 0.85
"""fpc's scale of the bootstrap Jaccard."""
ENOUGH_SHARE = 0.05
"""A smallest cluster of this share of people counts as large enough to act on."""

Fitter = Callable[[Floats], Floats]
"""Points to centroids."""


@dataclass(frozen=True, slots=True)
class Quality:
    """Measures of one candidate.

    Attributes:
        silhouette: -1 to 1, on people that the fit did not see.
        jaccard: Mean bootstrap Jaccard of each cluster, 0 to 1.
        bootstrap_ari: Mean adjusted Rand index over bootstrap samples.
        prediction_strength: 0 to 1.
        min_share: Share of people in the smallest cluster.
    """

    silhouette: float
    jaccard: tuple[float, ...]
    bootstrap_ari: float
    prediction_strength: float
    min_share: float

    @property
    def bootstrap_jaccard(self) -> float:
        """Mean over the clusters."""
        return fmean(self.jaccard)

    def measures(self) -> dict[str, float]:
        """As on the model's card."""
        return {
            "silhouette": self.silhouette,
            "bootstrap_jaccard": self.bootstrap_jaccard,
            "lowest_jaccard": min(self.jaccard),
            "bootstrap_ari": self.bootstrap_ari,
            "prediction_strength": self.prediction_strength,
            "min_segment_share": self.min_share,
        }

    def criterion(self, name: str) -> float:
        """A measure as ``choose_by`` weighs it, about 0 to 1; the larger the better.

        The smallest share counts up to :data:`ENOUGH_SHARE` only: beyond it, equal sizes are no
        merit of a segmentation.
        """
        match name:
            case "silhouette":
                return max(0.0, self.silhouette)
            case "min_segment_share":
                return min(1.0, self.min_share / ENOUGH_SHARE)
            case "bootstrap_jaccard":
                return self.bootstrap_jaccard
            case "bootstrap_ari":
                return max(0.0, self.bootstrap_ari)
            case _:
                return self.prediction_strength


CRITERIA = (
    "silhouette",
    "bootstrap_jaccard",
    "bootstrap_ari",
    "prediction_strength",
    "min_segment_share",
)
"""What ``choose_by`` may weigh."""


def stability_word(jaccard: float) -> str:
    """The word of fpc for a bootstrap Jaccard."""
    if jaccard > HIGHLY_STABLE:
        return "highly stable"
    if jaccard > STABLE:
        return "stable"
    return "doubtful" if jaccard > UNSTABLE else "unstable"


def silhouette(points: Floats, labels: Ints) -> float:
    """Mean silhouette; 0 where all points have one label or each has its own."""
    n = len(np.unique(labels))
    if not 2 <= n < len(points):
        return 0.0
    with one_thread():
        return float(silhouette_score(points, labels))


def jaccards(counts: Ints) -> Floats:
    """For each row cluster the largest Jaccard coefficient with any column cluster."""
    union = counts.sum(axis=1, keepdims=True) + counts.sum(axis=0, keepdims=True) - counts
    best: Floats = (counts / np.maximum(union, 1)).max(axis=1)
    return best


def bootstrap(
    points: Floats, labels: Ints, k: int, samples: list[Ints], refits: list[Floats]
) -> tuple[tuple[float, ...], float]:
    """How well the clusters come back in bootstrap samples.

    Args:
        points: All points.
        labels: Their clusters, 0 to ``k`` - 1.
        k: Number of clusters.
        samples: Rows of each bootstrap sample, each row once (as fpc counts them).
        refits: Centroids found in each of them.

    Returns:
        Mean Jaccard of each cluster, and the mean adjusted Rand index.
    """
    found, aris = [], []
    for rows, centroids in zip(samples, refits, strict=True):
        counts = contingency(
            labels[rows], nearest(points[rows], centroids), n_before=k, n_after=len(centroids)
        )
        found.append(jaccards(counts))
        aris.append(adjusted_rand(counts))
    return tuple(np.mean(found, axis=0).tolist()), fmean(aris)


def prediction_strength(points: Floats, fit: Fitter) -> float:
    """Least share of pairs of a test cluster that the other half's centroids keep together.

    Args:
        points: In random order; the halves are the even and the odd rows.
        fit: Finds centroids.
    """
    scores = []
    for train, test in ((points[::2], points[1::2]), (points[1::2], points[::2])):
        own, other = fit(test), fit(train)
        counts = contingency(
            nearest(test, own), nearest(test, other), n_before=len(own), n_after=len(other)
        )
        sizes = counts.sum(axis=1)
        together = (counts * (counts - 1)).sum(axis=1)
        some = sizes > 1
        scores.append(float((together[some] / (sizes[some] * (sizes[some] - 1))).min()))
    return fmean(scores)
