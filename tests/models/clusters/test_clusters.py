"""Clusters of people: recovered, independent of row order, alike in numpy and SQL, explained."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from sklearn.metrics import adjusted_rand_score

from connector.errors import InsufficientDataError, ModelError
from connector.models.clusters import ClusterModel, ClusterSpec, FeatureMeaning, fit
from connector.models.clusters.sql import MAX_TERMS
from connector.models.matching import LabelRules
from connector.warehouse.duckdb import DuckDBWarehouse
from tests.models.clusters.people import AS_OF, FEATURES, planted

SPEC = ClusterSpec(features=FEATURES, k=(3, 6), n_bootstrap=4, choose_sample=500)
QUICK = replace(SPEC, algorithms=("kmeans",), k=(5, 5), n_bootstrap=2, choose_sample=300)
MEANINGS = {
    "promo_share_365d": FeatureMeaning("buys on promotion", "pays full price", "never bought"),
    "log_aov": FeatureMeaning("large baskets", "small baskets"),
}


def fitted(frame: pd.DataFrame, spec: ClusterSpec = QUICK, seed: int = 0) -> ClusterModel:
    return fit(frame, spec, as_of=AS_OF, rng=np.random.default_rng(seed), meanings=MEANINGS)


@pytest.mark.parametrize("algorithm", ["kmeans", "hierarchical"])
def test_planted_clusters_and_their_number_are_found(algorithm: str) -> None:
    frame, truth = planted(1)
    model = fitted(frame, replace(SPEC, algorithms=(algorithm, "dbscan")))
    assert len(model.ids) == 5
    assert adjusted_rand_score(truth, model.codes(frame)) > 0.99
    card = model.card
    assert card.algorithm == algorithm
    assert card.is_publishable
    shuffled = card.baselines["shuffled_features"]
    assert card.metrics["silhouette"] > shuffled["silhouette"] + 0.2
    assert {f"{algorithm} k={k}" for k in (3, 4, 5, 6)} | {"dbscan"} == set(card.candidates)
    assert (model.tree is not None) is (algorithm == "hierarchical")


def test_one_crowd_is_said_to_be_one() -> None:
    frame = planted(2, k=1)[0]
    model = fitted(frame, replace(QUICK, k=(6, 6), min_jaccard=0.9))
    assert not model.card.is_publishable
    assert any("continuum" in note or "drawn anew" in note for note in model.card.notes)


def test_neither_the_order_of_rows_nor_a_second_fit_changes_anything() -> None:
    frame, _ = planted(3)
    model = fitted(frame)
    shuffled = frame.sample(frac=1, random_state=1)
    assert fitted(shuffled).version == model.version
    one, other = model.predict(frame), model.predict(shuffled)
    pd.testing.assert_frame_equal(one, other.loc[one.index])


def test_a_sample_is_as_good_as_all() -> None:
    frame, truth = planted(4, n=2000)
    model = fitted(frame, replace(QUICK, fit_sample=400))
    assert adjusted_rand_score(truth, model.codes(frame)) > 0.99


def test_a_stored_model_is_the_same_model() -> None:
    frame, _ = planted(5, n=400)
    model = fitted(frame, replace(QUICK, algorithms=("hierarchical", "dbscan")))
    again = ClusterModel.from_dict(json.loads(json.dumps(model.to_dict())))
    assert again.version == model.version
    pd.testing.assert_frame_equal(again.predict(frame), model.predict(frame))
    with pytest.raises(ModelError, match="cannot be read"):
        ClusterModel.from_dict({**model.to_dict(), "ids": ["c1"]})
    with pytest.raises(ModelError, match="cannot be read"):
        ClusterModel.from_dict({"kind": "cluster"})


def test_the_columns_are_those_announced() -> None:
    frame, _ = planted(5, n=400)
    model = fitted(frame)
    scores = model.predict(frame)
    assert list(scores) == [column.name for column in model.columns]
    assert set(scores["name"]) <= set(model.columns[1].labels)


def test_names_are_contrasts_and_never_numbers() -> None:
    frame, _ = planted(6)
    model = fitted(frame)
    assert len(set(model.names)) == 5
    assert not any(character.isdigit() for name in model.names for character in name)
    codes = model.codes(frame)
    for j, words in enumerate(model.contrasts):
        promo = frame["promo_share_365d"]
        difference = (promo[codes == j].mean() - promo.mean()) / promo.std()
        if abs(difference) > 0.3:
            assert ("buys on promotion" if difference > 0 else "pays full price") in words
            assert ("pays full price" if difference > 0 else "buys on promotion") not in words


def test_people_without_any_feature_have_no_cluster() -> None:
    frame, _ = planted(7)
    frame.iloc[10] = np.nan
    scores = fitted(frame).predict(frame)
    assert scores.iloc[10].isna().tolist() == [True, True, True, False]
    assert scores["cluster"].notna().sum() == len(frame) - 1


def test_drivers_say_what_sets_a_person_apart() -> None:
    frame, _ = planted(8)
    model = fitted(frame)
    person = frame.iloc[[0]]
    reasons = model.drivers(person, top=4)
    assert reasons["rank"].tolist() == list(range(1, len(reasons) + 1))
    scaled = model.scaler.transform(person)[0]
    centre = model.centroids[model.codes(person)[0]]
    pulls = dict(
        zip(
            model.scaler.keys,
            (scaled - model.origin) ** 2 - (scaled - centre) ** 2,
            strict=True,
        )
    )
    ranked = [pulls[feature] for feature in reasons["feature"]]
    assert ranked == sorted(ranked, reverse=True)
    assert min(ranked) > 0
    word = dict(zip(reasons["feature"], reasons["words"], strict=True))["log_aov"]
    assert word == ("large baskets" if scaled[1] > model.origin[1] else "small baskets")


def warehouse(frame: pd.DataFrame, held: pd.Series | None = None) -> DuckDBWarehouse:
    lake = DuckDBWarehouse()
    lake.load("features", pa.Table.from_pandas(frame.reset_index(), preserve_index=False))
    if held is not None:
        table = held.rename("cluster").reset_index()
        lake.load("held", pa.Table.from_pandas(table, preserve_index=False))
    return lake


def rough(seed: int) -> pd.DataFrame:
    """Overlapping clusters with holes, zeros, far-off values and whole empty rows."""
    frame, _ = planted(seed, n=1500, gap=0.8, noise=0.9)
    rng = np.random.default_rng(seed)
    frame.iloc[rng.integers(0, 1500, 200), 0] = np.nan
    frame.iloc[rng.integers(0, 1500, 40), 2] = 500.0
    frame.iloc[rng.integers(0, 1500, 40), 1] = -1e6
    frame.iloc[:4] = np.nan
    return frame


@pytest.mark.parametrize("seed", [1, 2])
def test_sql_and_numpy_agree_on_everybody(seed: int) -> None:
    frame = rough(seed)
    spec = replace(QUICK, logs=("log_aov",), algorithms=("kmeans", "dbscan"))
    model = replace(fitted(frame, spec), outlier_cut=3.0)
    # Names are people's text: quotes must not end the literal.
    model = replace(model, names=("it's", *model.names[1:]))
    held = model.predict(rough(seed + 10))["cluster"].sample(frac=0.8, random_state=0)
    held.iloc[0] = "c99"
    lake = warehouse(frame, held)
    for previous, relation in ((None, None), (held, "held")):
        sql = model.predict_sql("features", relation)
        assert sql is not None
        lake.create_table_as("scores", sql)
        found = lake.batches("SELECT s.* FROM scores AS s").read_all().to_pandas()
        found = found.set_index("profile_id").loc[frame.index]
        expected = model.predict(frame, previous)
        for column in ("cluster", "name", "is_outlier"):
            same = found[column].fillna("") == expected[column].fillna("")
            assert same.all(), column
        np.testing.assert_allclose(found["distance"], expected["distance"], atol=2e-6)
        assert expected["is_outlier"].any()
    lake.close()


def test_too_large_a_statement_is_not_written() -> None:
    frame, _ = planted(1, n=400)
    model = fitted(frame)
    wide = np.zeros((MAX_TERMS, 4))
    assert replace(model, centroids=wide).predict_sql("features") is None


def test_a_held_cluster_stays_until_another_is_nearer_by_a_tenth() -> None:
    frame = rough(3)
    model = fitted(frame)
    distances = np.sqrt(
        ((model.scaler.transform(frame)[:, None, :] - model.centroids) ** 2).sum(axis=2)
    )
    held = pd.Series("c2", index=frame.index)
    moved = model.predict(frame, held)["cluster"] != "c2"
    known = frame.notna().any(axis=1)
    expected = distances.min(axis=1) <= 0.9 * distances[:, 1] + 1e-12
    assert (moved[known] == expected[known]).all()


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (replace(QUICK, algorithms=("dbscan",)), "needs algorithms"),
        (replace(QUICK, algorithms=("kmeans", "magic")), "needs algorithms"),
        (replace(QUICK, choose_by={"beauty": 1.0}), "chooses by beauty"),
        (replace(QUICK, k=(1, 3)), "cannot try 1 to 3"),
    ],
)
def test_settings_that_make_no_model_are_refused(spec: ClusterSpec, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        fitted(planted(1, n=300)[0], spec)


def test_too_few_people_are_refused() -> None:
    with pytest.raises(InsufficientDataError, match="has 90 people with features, 200"):
        fitted(planted(1, n=90)[0])
    same = pd.concat([planted(1, n=4)[0]] * 100)
    same.index = pd.Index([f"p{i}" for i in range(len(same))])
    with pytest.raises(InsufficientDataError, match="only 4 different people"):
        fitted(same)
    with pytest.raises(ModelError, match="twice"):
        fitted(pd.concat([planted(1, n=300)[0]] * 2))


def test_the_hysteresis_is_the_configurations() -> None:
    frame, _ = planted(1, n=300)
    assert fitted(frame, replace(QUICK, labels=LabelRules(hysteresis=0.3))).hysteresis == 0.3


def test_nobody_is_no_failure() -> None:
    frame, _ = planted(1, n=300)
    model = fitted(frame)
    assert model.predict(frame.head(0)).shape == (0, len(model.columns))
    assert model.drivers(frame.head(0)).empty
