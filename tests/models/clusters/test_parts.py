"""The parts against scipy, scikit-learn and published definitions."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import cdist
from sklearn.decomposition import PCA
from sklearn.metrics import adjusted_rand_score, jaccard_score, silhouette_score
from sklearn.preprocessing import RobustScaler

from connector.errors import InsufficientDataError, ModelError
from connector.models.clusters.density import dbscan, hdbscan, outlier_cut
from connector.models.clusters.lloyd import nearest, squared_distances
from connector.models.clusters.projection import fit_projection
from connector.models.clusters.quality import (
    bootstrap,
    jaccards,
    prediction_strength,
    silhouette,
    stability_word,
)
from connector.models.clusters.scaling import CLIP, NORMAL_IQR, fit_scaler
from connector.models.clusters.ward import build_tree, ward
from connector.models.matching import contingency
from tests.models.clusters.people import FEATURES, planted


def test_scaling_is_scikit_learns_within_the_clip() -> None:
    frame, _ = planted(1)
    scaler, notes = fit_scaler(frame, FEATURES)
    expected = RobustScaler().fit_transform(frame.to_numpy()) * NORMAL_IQR
    np.testing.assert_allclose(scaler.transform(frame), np.clip(expected, -CLIP, CLIP), atol=1e-9)
    assert notes == ()


def test_what_is_missing_takes_the_median_and_a_flag() -> None:
    frame, _ = planted(1)
    frame.iloc[:100, 0] = np.nan
    frame.iloc[:5, 1] = np.nan
    scaler, _ = fit_scaler(frame, FEATURES)
    assert scaler.keys[0] == "promo_share_365d"
    flag = scaler.keys.index("promo_share_365d is missing")
    assert "log_aov is missing" not in scaler.keys  # under 2 % of people
    points = scaler.transform(frame)
    assert points[:100, 0].tolist() == [0.0] * 100
    assert points[:, flag].sum() == 100


def test_features_without_news_are_left_out() -> None:
    frame, _ = planted(1)
    frame["same"] = 7.0
    frame["rare"] = np.where(np.arange(len(frame)) < 300, 1.0, np.nan)
    frame["mostly_zero"] = np.where(np.arange(len(frame)) < 90, 4.0, 0.0)
    scaler, notes = fit_scaler(frame, ("same", "rare", "mostly_zero"))
    assert scaler.features == ("mostly_zero",)
    assert sorted(note.split(" ")[2] for note in notes) == ["rare", "same"]
    with pytest.raises(InsufficientDataError, match="same"):
        fit_scaler(frame, ("same",))


def test_impossible_values_are_told() -> None:
    frame, _ = planted(1)
    frame.iloc[3, 0] = np.inf
    with pytest.raises(ModelError, match="infinite for the profile p000003"):
        fit_scaler(frame, FEATURES)
    with pytest.raises(ModelError, match="'age' is not there"):
        fit_scaler(frame, ("age",))
    scaler, _ = fit_scaler(planted(1)[0], FEATURES)
    with pytest.raises(ModelError, match="no numbers"):
        scaler.transform(frame.assign(**{FEATURES[0]: "x"}))


def test_points_are_carried_to_another_scale() -> None:
    frame, _ = planted(1)
    one, _ = fit_scaler(frame, FEATURES, logs=("log_aov",))
    other, _ = fit_scaler(frame * 1.5 + 0.2, FEATURES, logs=("log_aov",))
    carried = one.carry(one.transform(frame), other)
    assert carried is not None
    direct = other.transform(frame)
    inside = (np.abs(direct) < CLIP) & (np.abs(one.transform(frame)) < CLIP)
    np.testing.assert_allclose(carried[inside], direct[inside], atol=1e-9)
    assert one.carry(np.zeros((1, 4)), fit_scaler(frame, FEATURES)[0]) is None


def test_distances_are_scipys() -> None:
    rng = np.random.default_rng(1)
    points, centroids = rng.normal(size=(300, 7)), rng.normal(size=(5, 7))
    expected = cdist(points, centroids, "sqeuclidean")
    np.testing.assert_allclose(squared_distances(points, centroids), expected, atol=2e-9)
    assert (nearest(points, centroids) == expected.argmin(axis=1)).all()


def test_wards_tree_is_scipys() -> None:
    points = np.random.default_rng(2).normal(size=(60, 3))
    ours, theirs = ward(points, np.ones(60)), linkage(points, "ward")
    np.testing.assert_allclose(ours, theirs, atol=1e-9)


def test_a_weight_of_two_is_the_point_twice() -> None:
    rng = np.random.default_rng(3)
    points, weights = rng.normal(size=(30, 3)), rng.integers(1, 4, 30)
    twice = linkage(np.repeat(points, weights, axis=0), "ward")
    apart = twice[twice[:, 2] > 1e-9]
    np.testing.assert_allclose(ward(points, weights.astype(float))[:, 2], apart[:, 2], atol=1e-9)


@pytest.mark.parametrize("k", [1, 2, 5, 17])
def test_the_tree_is_cut_at_any_level_as_scipys(k: int) -> None:
    frame, _ = planted(4, n=400)
    tree = build_tree(frame.to_numpy(), rng=np.random.default_rng(0))
    expected = fcluster(tree.linkage, k, "maxclust")
    assert adjusted_rand_score(tree.cut(k), expected) == 1.0
    assert tree.centroids(k).shape == (k, 4)
    mean = np.average(tree.leaves, axis=0, weights=tree.weights)
    sizes = np.bincount(tree.cut(k), weights=tree.weights)
    np.testing.assert_allclose(np.average(tree.centroids(k), axis=0, weights=sizes), mean)


def test_the_map_is_scikit_learns_up_to_signs() -> None:
    frame, _ = planted(5)
    ours, theirs = fit_projection(frame.to_numpy()), PCA(3).fit(frame.to_numpy())
    np.testing.assert_allclose(ours.explained, theirs.explained_variance_ratio_, atol=1e-8)
    np.testing.assert_allclose(np.abs(ours.axes), np.abs(theirs.components_), atol=1e-8)
    assert all(axis[np.abs(axis).argmax()] > 0 for axis in ours.axes)


def test_the_map_does_not_flip_at_a_refit() -> None:
    frame, _ = planted(5)
    first = fit_projection(frame.to_numpy())
    turned = type(first)(first.mean, -first.axes, first.explained)
    # Fewer people: other data, the same directions, which follow the turned map. Its second and
    # third component explain nearly alike, so alone they would turn by 40 degrees.
    assert turned.explained[2] > 0.8 * turned.explained[1]
    again = fit_projection(frame.to_numpy()[::2], before=turned)
    assert (np.diagonal(again.axes @ turned.axes.T) > 0.99).all()
    np.testing.assert_allclose(again.axes @ again.axes.T, np.eye(3), atol=1e-8)
    best = PCA(3).fit(frame.to_numpy()[::2]).explained_variance_ratio_
    assert sum(again.explained) == pytest.approx(best.sum())


def test_jaccard_is_scikit_learns() -> None:
    rng = np.random.default_rng(6)
    a, b = rng.integers(0, 3, 200), rng.integers(0, 4, 200)
    expected = [max(jaccard_score(a == i, b == j) for j in range(4)) for i in range(3)]
    counts = contingency(a, b, n_before=3, n_after=4)
    np.testing.assert_allclose(jaccards(counts), expected)


def test_silhouette_is_scikit_learns_and_0_where_it_is_not_defined() -> None:
    frame, truth = planted(7, n=200)
    points = frame.to_numpy()
    assert silhouette(points, truth) == pytest.approx(silhouette_score(points, truth))
    assert silhouette(points, np.zeros(200, dtype=np.int64)) == 0.0


def test_planted_clusters_come_back_and_noise_does_not() -> None:
    frame, truth = planted(8, n=400, k=3)
    centres = np.array([frame.to_numpy()[truth == i].mean(axis=0) for i in range(3)])
    rng = np.random.default_rng(0)
    samples = [np.unique(rng.integers(0, 400, 400)) for _ in range(5)]
    jaccard, ari = bootstrap(frame.to_numpy(), truth, 3, samples, [centres] * 5)
    assert min(jaccard) > 0.99
    assert ari > 0.99
    elsewhere = [rng.normal(size=(3, 4)) for _ in range(5)]
    jaccard, ari = bootstrap(rng.normal(size=(400, 4)), truth, 3, samples, elsewhere)
    assert max(jaccard) < 0.6
    assert abs(ari) < 0.05


@pytest.mark.parametrize(("k", "above"), [(3, True), (6, False)])
def test_prediction_strength_marks_the_planted_number(k: int, above: bool) -> None:
    from connector.models.clusters.lloyd import kmeans

    frame, _ = planted(9, n=400, k=3)
    rng = np.random.default_rng(1)
    strength = prediction_strength(frame.to_numpy(), lambda x: kmeans(x, k, rng=rng))
    assert (strength > 0.8) is above


@pytest.mark.parametrize(
    ("jaccard", "word"),
    [(0.6, "unstable"), (0.61, "doubtful"), (0.76, "stable"), (0.86, "highly stable")],
)
def test_the_scale_of_fpc(jaccard: float, word: str) -> None:
    assert stability_word(jaccard) == word


def test_far_away_people_are_outliers() -> None:
    frame, truth = planted(10, n=600, k=3)
    points = frame.to_numpy()
    centres = np.array([points[truth == i].mean(axis=0) for i in range(3)])
    strangers = np.random.default_rng(0).uniform(-30, 30, (6, 4)) + 40
    everybody = np.vstack([points, strangers])
    chosen = nearest(everybody, centres)
    for method in (dbscan, hdbscan):
        found = method(everybody, chosen)
        assert (found.labels[600:] == -1).all()
        assert found.measures["n_clusters"] == 3
        assert found.measures["ari_with_chosen"] > 0.99
    cut = outlier_cut(everybody, centres, dbscan(everybody, chosen).labels)
    assert cut is not None
    gaps = np.sqrt(squared_distances(everybody, centres).min(axis=1))
    assert (gaps[600:] >= cut).all()
    assert (gaps[:600] >= cut).mean() < 0.02
    assert outlier_cut(points, centres, truth) is None


def test_equal_people_are_no_failure() -> None:
    frame = pd.DataFrame(np.zeros((50, 2)))
    assert dbscan(frame.to_numpy(), np.zeros(50, dtype=np.int64)).measures["n_clusters"] == 1
