"""Affinities of people: planted topics found, named, stored, and labelled for good."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import linear_sum_assignment

from connector.errors import InsufficientDataError, ModelError
from connector.models.affinity import AffinityModel, AffinitySpec, fit, relabel
from connector.models.affinity.lda import shares
from connector.models.affinity.model import name_items
from connector.models.labels import Registry, read_registry, write_registry
from tests.models.affinity.shoppers import AS_OF, planted

QUICK = AffinitySpec(topics=(4, 4), n_starts=1, choose_sample=500)


def shop(seed: int = 1, n_people: int = 450) -> tuple[pd.DataFrame, np.ndarray, np.ndarray]:
    return planted(seed, n_people=n_people, k=4, n_items=30)


def fitted(lines: pd.DataFrame, spec: AffinitySpec = QUICK) -> AffinityModel:
    return fit(lines, spec, as_of=AS_OF, rng=np.random.default_rng(0))


@pytest.fixture(scope="module")
def model() -> AffinityModel:
    return fitted(shop()[0])


def test_the_planted_number_of_topics_is_chosen() -> None:
    lines, phi, theta = shop(n_people=600)
    found = fitted(lines, replace(QUICK, topics=(3, 5), choose_sample=600))
    assert found.card.metrics["topics"] == 4
    assert set(found.card.candidates) == {f"lda k={k}" for k in (3, 4, 5)}
    assert found.card.is_publishable
    popular = found.card.baselines["popularity"]["perplexity"]
    assert found.card.metrics["perplexity"] < 0.85 * popular
    # Topics and people's shares are those that were planted (Hellinger, total variation).
    known = [int(name.split()[1]) for name in found.items]
    overlap = np.sqrt(phi[:, known]) @ np.sqrt(shares(found.weights)).T
    rows, columns = linear_sum_assignment(overlap, maximize=True)
    assert overlap[rows, columns].min() > 0.96
    scores = found.predict(lines)
    given = scores[list(found.keys)].to_numpy()[:, columns]
    people = [int(profile[1:]) for profile in scores.index]
    assert np.abs(given - theta[people][:, rows]).sum(axis=1).mean() / 2 < 0.15


def test_neither_the_order_of_lines_nor_a_second_fit_changes_anything(
    model: AffinityModel,
) -> None:
    lines, _, _ = shop()
    shuffled = lines.sample(frac=1, random_state=1)
    assert fitted(shuffled).version == model.version
    pd.testing.assert_frame_equal(model.predict(shuffled), model.predict(lines))


def test_shares_add_up_and_the_first_topic_is_the_largest(model: AffinityModel) -> None:
    scores = model.predict(shop()[0])
    assert list(scores) == [column.name for column in model.columns]
    given = scores[list(model.keys)]
    np.testing.assert_allclose(given.sum(axis=1), 1.0, atol=3e-4)
    np.testing.assert_allclose(given.max(axis=1), scores["top_share"])
    first = given.to_numpy().argmax(axis=1)
    assert scores["top_id"].tolist() == [model.ids[i] for i in first]
    assert scores["top_name"].tolist() == [model.names[i] for i in first]


def test_people_with_too_few_baskets_have_no_affinity(model: AffinityModel) -> None:
    lines, _, _ = shop()
    few = lines[(lines["profile_id"] != "p000003") | lines["basket_id"].isin(["b18", "b19"])]
    scores = model.predict(few)
    assert scores.loc["p000003"].isna().all()
    assert scores.drop("p000003").notna().all().all()


def test_guests_and_unknown_items_are_no_failure(model: AffinityModel) -> None:
    lines, _, _ = shop()
    extra = pd.DataFrame(
        {
            "profile_id": [None, "new", "new", "new"],
            "basket_id": ["g1", "n1", "n2", "n3"],
            "item": [lines["item"].iloc[0], "unheard of", "unheard of", "unheard of"],
        }
    )
    scores = model.predict(pd.concat([lines, extra]))
    assert scores.loc["new"].isna().all()
    pd.testing.assert_frame_equal(scores.drop("new"), model.predict(lines))


def test_a_giant_basket_is_capped() -> None:
    lines, _, _ = shop()
    items = sorted(lines["item"].unique())
    giant = pd.DataFrame({"profile_id": "p000000", "basket_id": "giant", "item": items})
    model = fitted(pd.concat([lines, giant]), replace(QUICK, basket_cap=10))
    assert any("more than 10 items" in note for note in model.card.notes)


def test_topics_are_named_after_what_lifts_them() -> None:
    weights = np.array([[50.0, 30, 1, 1], [50.0, 1, 30, 1]])
    popularity = np.array([0.6, 0.18, 0.18, 0.04])
    words = name_items(("milk", "yoga mats", "drills", "tea"), weights, popularity)
    assert [word[0] for word in words] == ["yoga mats", "drills"]
    assert all("tea" not in word for word in words)


def test_a_stored_model_is_the_same_model(model: AffinityModel) -> None:
    again = AffinityModel.from_dict(json.loads(json.dumps(model.to_dict())))
    assert again.version == model.version
    lines, _, _ = shop()
    pd.testing.assert_frame_equal(again.predict(lines), model.predict(lines))
    with pytest.raises(ModelError, match="cannot be read"):
        AffinityModel.from_dict({**model.to_dict(), "items": ["a"]})
    with pytest.raises(ModelError, match="cannot be read"):
        AffinityModel.from_dict({})
    assert model.predict_sql("features") is None


def test_a_humans_name_becomes_the_column_and_survives_a_warm_retrain(
    model: AffinityModel,
) -> None:
    lines, _, _ = shop()
    first = relabel(model, Registry("affinity"))
    text = write_registry(first.registry).replace("name: ''", "name: Home & Spa", 1)
    registry = read_registry(text, model="affinity")
    named = first.model.named(registry)
    assert named.keys[0] == "home_spa"
    assert "home_spa" in named.predict(lines)
    # Two weeks later: more orders of the same people, some new people, one new item.
    later, _, _ = planted(1, n_people=480, k=4, n_items=30, n_baskets=7)
    later.loc[later.index[:40], "item"] = "brand new"
    rng = np.random.default_rng(5)
    warm = fit(later, QUICK, as_of=AS_OF, rng=rng, before=named)
    again = relabel(warm, registry, before=named, frame=later)
    assert again.is_accepted
    assert set(again.model.ids) == set(named.ids)
    assert again.churn < 0.05
    assert again.model.keys[again.model.ids.index(named.ids[0])] == "home_spa"
    assert "brand new" in again.model.items


def test_labels_do_not_depend_on_the_numbers_of_topics(model: AffinityModel) -> None:
    lines, _, _ = shop()
    first = relabel(model, Registry("affinity"))
    order = [2, 0, 3, 1]
    turned = replace(model, weights=model.weights[order])
    again = relabel(turned, first.registry, before=first.model, frame=lines)
    assert again.churn == 0.0
    assert again.raw_churn > 0.5
    assert again.model.ids == tuple(first.model.ids[i] for i in order)
    one, other = first.model.predict(lines), again.model.predict(lines)
    pd.testing.assert_frame_equal(one, other[list(one)], atol=1e-3)


def test_the_first_topic_changes_only_for_a_clearly_larger_one(model: AffinityModel) -> None:
    lines, _, _ = shop()
    plain = model.predict(lines)
    held = pd.Series(model.ids[1], index=plain.index)
    kept = model.predict(lines, held)
    given = plain[list(model.keys)].to_numpy()
    stays = given.max(axis=1) < 1.1 * given[:, 1]
    assert ((kept["top_id"] == model.ids[1]).to_numpy() == stays).all()
    np.testing.assert_allclose(kept["top_share"][stays], given[stays, 1])


def test_chances_of_items_follow_the_topics(model: AffinityModel) -> None:
    scores = model.predict(shop()[0])
    scores.iloc[0] = np.nan
    chances = model.item_chances(scores)
    np.testing.assert_allclose(chances.sum(axis=1), 1.0, atol=1e-3)
    np.testing.assert_allclose(chances[0], model.popularity)


def test_too_little_is_refused() -> None:
    lines, _, _ = shop()
    with pytest.raises(InsufficientDataError, match="450 people with 3 or more"):
        fitted(lines, replace(QUICK, min_people=451))
    with pytest.raises(InsufficientDataError, match="more than that"):
        fitted(lines, replace(QUICK, topics=(4, 40)))
    with pytest.raises(ModelError, match="cannot try 1 to 4"):
        fitted(lines, replace(QUICK, topics=(1, 4)))
    with pytest.raises(ModelError, match="lack the columns item"):
        fitted(lines.drop(columns="item"))
    lines.loc[0, "profile_id"] = "p999999"
    torn = pd.concat([lines, lines.iloc[[0]].assign(profile_id="p1")])
    with pytest.raises(ModelError, match="belongs to two people"):
        fitted(torn)


def test_nobody_is_no_failure(model: AffinityModel) -> None:
    nobody = model.predict(shop()[0].head(0))
    assert nobody.shape == (0, len(model.columns))
