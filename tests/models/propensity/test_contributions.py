"""Scores taken apart, against Shapley's value by brute force, and the law that parts add up."""

from itertools import combinations
from math import factorial

import numpy as np
import pytest

from connector.models.propensity.model import _carried_over
from connector.models.propensity.scorers import fit_scorer, in_blocks
from tests.models.propensity.simulated import ONE_OF_EACH, model, snapshots

PLAYERS = np.array([0, 1, 2, 3, 3])


def data(n=600, seed=4):
    """Four features, the last with a flag beside it, and an outcome with interactions."""
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(n, 4))
    flag = (rng.random(n) < 0.2).astype(float)
    odds = values[:, 0] + values[:, 1] * values[:, 2] - flag + 0.5 * (values[:, 3] > 0)
    return np.column_stack([values, flag]), (rng.random(n) < 1 / (1 + np.exp(-odds))).astype(float)


def shapley(scorer, person, reference, players):
    """The definition: the mean over all coalitions of what a player adds."""
    n = players.max() + 1

    groups = [g for size in range(n + 1) for g in combinations(range(n), size)]
    mixed = [np.where(np.isin(players, group), person, reference) for group in groups]
    worth = dict(zip(groups, in_blocks(scorer.additive, np.array(mixed)), strict=True))

    def value(coalition):
        return worth[tuple(sorted(coalition))]

    result = np.zeros(n)
    for i in range(n):
        others = [j for j in range(n) if j != i]
        for size in range(n):
            weight = factorial(size) * factorial(n - size - 1) / factorial(n)
            for group in combinations(others, size):
                result[i] += weight * (value([*group, i]) - value(list(group)))
    return result


@pytest.mark.parametrize("algorithm", ["logistic", "random_forest", "gradient_boosting"])
def test_parts_are_shapley_values(algorithm):
    matrix, label = data()
    scorer = fit_scorer(algorithm, matrix, label, n_values=4, seed=1)
    reference = np.array([0.1, -0.2, 0.3, 0.0, 0.0])
    parts = scorer.contributions(matrix[:4], reference, PLAYERS)
    for person, found in zip(matrix[:4], parts, strict=True):
        assert found == pytest.approx(shapley(scorer, person, reference, PLAYERS), abs=1e-9)


def test_parts_of_a_net_are_shapley_values_where_two_features_interact():
    matrix, label = data()
    net = fit_scorer("neural_net", matrix[:, :2], label, n_values=2, seed=1)
    players = np.array([0, 1])
    parts = net.contributions(matrix[:4, :2], np.zeros(2), players)
    for person, found in zip(matrix[:4, :2], parts, strict=True):
        assert found == pytest.approx(shapley(net, person, np.zeros(2), players), abs=1e-12)


def test_parts_of_a_net_are_near_shapley_values_beyond_that():
    matrix, label = data()
    net = fit_scorer("neural_net", matrix, label, n_values=4, seed=1)
    parts = net.contributions(matrix[:5], np.zeros(5), PLAYERS)
    exact = np.array([shapley(net, person, np.zeros(5), PLAYERS) for person in matrix[:5]])
    assert np.abs(parts - exact).mean() < 0.1 * np.abs(exact).mean()


@pytest.mark.parametrize("algorithm", ONE_OF_EACH)
def test_parts_add_up_to_the_probability_against_the_typical_person(algorithm):
    one = model(algorithm)
    people = snapshots()[3].features.head(500)
    parts = one.explain(people)
    rise = one.predict(people)["probability"] - one.reference_probability
    assert np.abs(parts.sum(axis=1) - rise).max() < 1e-9
    assert list(parts.columns) == list(one.card.features)
    # What does not matter gets little, what matters gets much, and more orders help.
    size = parts.abs().mean()
    assert size["orders"] > 3 * size["noise"]
    many = people["orders"] >= 4
    assert (parts.loc[many, "orders"] > 0).mean() > 0.95


def test_reasons_tell_the_largest_parts():
    one = model("logistic")
    people = snapshots()[3].features.head(100)
    parts, told = one.explain(people), one.predict(people)["reasons"]
    for person in people.index:
        first = told[person].split("; ")[0]
        largest = parts.loc[person].abs().idxmax()
        shown = f"{parts.loc[person, largest] * 100:+.0f} point"
        if abs(parts.loc[person, largest]) > 0.02:
            assert first.startswith("bought" if largest == "recency_days" else largest)
            assert shown in first


def test_the_typical_person_has_no_reasons():
    one = model("gradient_boosting")
    typical = snapshots()[0].features.iloc[[0]].copy()
    typical[list(one.inputs.features)] = one.inputs.medians
    assert one.explain(typical).to_numpy() == pytest.approx(0.0, abs=1e-12)
    answer = one.predict(typical)
    assert answer["probability"].iloc[0] == pytest.approx(one.reference_probability)
    assert answer["reasons"].iloc[0] == "close to the typical score"


def test_people_whose_parts_cancel_out_still_add_up():
    parts = np.array([[1.0, -1.0], [1e-9, -2e-9], [0.0, 0.0], [2.0, 1.0]])
    rise = np.array([1e-12, -1e-10, 0.0, 0.3])
    found = _carried_over(parts, rise, slope=0.2)
    assert found.sum(axis=1) == pytest.approx(rise, abs=1e-15)
    assert found[0] == pytest.approx([0.2, -0.2])
    assert found[3] == pytest.approx([0.2, 0.1])
