"""Any cut of the dendrogram, and the list of outliers with reasons."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.cluster.hierarchy import fcluster

from connector.errors import ModelError
from connector.models.clusters import ClusterSpec, FeatureMeaning, cut, fit, oddities
from tests.models.clusters.people import AS_OF, FEATURES, planted

SPEC = ClusterSpec(
    features=FEATURES, algorithms=("hierarchical", "dbscan"), k=(5, 5), n_bootstrap=2
)


def test_any_cut_holds_everybody_once() -> None:
    frame, _ = planted(1)
    model = fit(frame, SPEC, as_of=AS_OF, rng=np.random.default_rng(0))
    tree = model.tree
    assert tree is not None
    for k in (1, 2, 5, 9, len(tree.leaves)):
        parts = cut(model, k)
        assert len(parts) == k
        assert sum(part.share for part in parts) == pytest.approx(1)
        assert [part.share for part in parts] == sorted((p.share for p in parts), reverse=True)
        assert all(sum(part.of.values()) == pytest.approx(1, abs=1e-5) for part in parts)
        theirs = fcluster(tree.linkage, k, criterion="maxclust")
        shares = np.bincount(theirs, weights=tree.weights)[1:] / tree.weights.sum()
        assert np.sort(tree.sizes(k)) == pytest.approx(np.sort(shares))
        # The line of a cut crosses as many branches: joins above it, plus one.
        assert (tree.linkage[:, 2] > tree.height(k)).sum() == k - 1
    # At the number in use a part is a persona.
    assert all(max(part.of.values()) > 0.95 for part in cut(model, 5))
    with pytest.raises(ModelError, match="cannot be cut into 0"):
        cut(model, 0)
    with pytest.raises(ModelError, match="has no dendrogram"):
        cut(replace(model, tree=None), 3)


def test_outliers_are_listed_farthest_first_with_what_makes_them_odd() -> None:
    frame, _ = planted(2)
    frame.iloc[7, 1] = 30.0
    frame.iloc[11, 2] = -40.0
    meanings = {"log_aov": FeatureMeaning("large baskets", "small baskets")}
    model = fit(frame, SPEC, as_of=AS_OF, rng=np.random.default_rng(0), meanings=meanings)
    scored = model.predict(frame)
    listed = oddities(model, frame.sample(frac=1, random_state=0), scored)
    assert set(listed["profile_id"]) == set(scored.index[scored["is_outlier"]])
    assert listed["distance"].is_monotonic_decreasing
    reasons = dict(zip(listed["profile_id"], listed["reasons"], strict=True))
    assert reasons[frame.index[7]].startswith("large baskets (+")
    assert reasons[frame.index[11]].startswith("low sessions (-")
    nobody = oddities(model, frame, scored.assign(is_outlier=False))
    assert nobody.empty
    assert list(nobody) == list(listed)
