"""Looking at clusters: the dendrogram cut anywhere, and what makes an outlier one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from connector.errors import ModelError
from connector.models.clusters.lloyd import nearest
from connector.models.clusters.model import ClusterModel, describe
from connector.models.clusters.words import direction


@dataclass(frozen=True, slots=True)
class Part:
    """One cluster of a cut.

    Attributes:
        share: Of the people.
        words: What sets it apart from all people, strongest first.
        of: Id of a cluster in use -> share of this part's people in it, largest first.
    """

    share: float
    words: tuple[str, ...]
    of: Mapping[str, float]


def cut(model: ClusterModel, k: int) -> tuple[Part, ...]:
    """The dendrogram cut into ``k``, largest part first.

    Args:
        model: Its dendrogram stands for the sample that it was built of.
        k: Number of parts.

    Raises:
        ModelError: The model has no dendrogram, or one with fewer leaves.
    """
    tree = model.tree
    if tree is None:
        raise ModelError(
            f"The model {model.name!r} has no dendrogram.",
            hint="Add `hierarchical` to its `algorithms`, and run `liftline train`.",
        )
    if not 1 <= k <= len(tree.leaves):
        raise ModelError(
            f"The dendrogram of {model.name!r} cannot be cut into {k}.",
            hint=f"Choose a number from 1 to {len(tree.leaves)}.",
        )
    codes, shares = tree.cut(k), tree.sizes(k)
    words = describe(model.scaler, tree.centroids(k), model.origin, model.spread, model.meanings)
    home = nearest(tree.leaves, model.centroids)
    parts = []
    for j in np.argsort(-shares, kind="stable").tolist():
        mine = np.where(codes == j, tree.weights, 0.0)
        held = np.bincount(home, weights=mine, minlength=len(model.ids)) / mine.sum()
        order = [i for i in np.argsort(-held, kind="stable").tolist() if held[i] > 0]
        of = {model.ids[i]: round(float(held[i]), 6) for i in order}
        parts.append(Part(float(shares[j]), words[j], of))
    return tuple(parts)


def oddities(
    model: ClusterModel, frame: pd.DataFrame, scored: pd.DataFrame, *, top: int = 3
) -> pd.DataFrame:
    """The outliers, farthest first, and what sets each apart from the crowd that is nearest.

    Args:
        model: The clusters.
        frame: Features, index ``profile_id``.
        scored: The model's ``cluster``, ``distance`` and ``is_outlier`` of the same people.
        top: Reasons a person, at most.

    Returns:
        ``profile_id``, ``cluster``, ``distance`` (standard deviations), ``reasons``: words with
        the difference from the crowd's centre, strongest first.
    """
    there = scored.index.intersection(frame.index)
    odd = scored.loc[there][scored.loc[there, "is_outlier"].astype(bool)]
    odd = odd.assign(_far=-odd["distance"].round(6)).sort_values(["_far"], kind="stable")
    points = model.scaler.transform(frame.loc[odd.index])
    codes = pd.Index(model.ids).get_indexer(pd.Index(odd["cluster"]))
    apart = points - model.centroids[codes]
    order = np.argsort(-np.abs(np.round(apart, 9)), axis=1, kind="stable")[:, :top]
    reasons = [
        ", ".join(
            f"{direction(model.meanings, model.scaler.dimensions[j], apart[i, j])}"
            f" ({apart[i, j]:+.1f} sd)"
            for j in order[i].tolist()
        )
        for i in range(len(odd))
    ]
    return pd.DataFrame(
        {
            "profile_id": odd.index.astype("str"),
            "cluster": odd["cluster"].to_numpy(),
            "distance": odd["distance"].to_numpy(),
            "reasons": pd.Series(reasons, dtype="str").to_numpy(),
        }
    )
