"""The two-stage model against scikit-learn's own answers and a shop whose truth is known."""

import json

import numpy as np
import pytest
from scipy import special
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

from connector.errors import InsufficientDataError, ModelError
from connector.models.clv.trees import Forest, export
from connector.models.clv.two_stage import Growth, TwoStage, fit

FEATURES = ("visits", "age", "noise")
QUICK = Growth(iterations=80, learning_rate=0.08, leaves=8, depth=3)


def shop(n, seed):
    """Features, values and the truth: probability to buy, and mean value of buyers."""
    rng = np.random.default_rng(seed)
    matrix = rng.normal(size=(n, 3))
    p = special.expit(matrix[:, 0] - 0.5)
    mean = np.exp(3.0 + 0.5 * matrix[:, 1])
    value = np.where(rng.random(n) < p, rng.gamma(2.0, mean / 2.0), 0.0)
    matrix[rng.random(n) < 0.1, 2] = np.nan
    return matrix, value, p, mean


@pytest.fixture(scope="module")
def fitted():
    matrix, value, _, _ = shop(6_000, seed=1)
    return fit(FEATURES, matrix, value, np.random.default_rng(5), QUICK)


def test_exported_trees_answer_as_scikit_learn_does():
    rng = np.random.default_rng(2)
    matrix = rng.normal(size=(3_000, 4))
    matrix[:, 3] = rng.integers(0, 3, 3_000)
    matrix[rng.random((3_000, 4)) < 0.2] = np.nan
    # A feature that is informative by being missing alone makes an infinite threshold.
    score = np.nan_to_num(matrix[:, 0]) + 2 * np.isnan(matrix[:, 1]) + rng.normal(size=3_000)
    fresh = rng.normal(size=(2_000, 4)) * 3
    fresh[rng.random((2_000, 4)) < 0.3] = np.nan
    classifier = HistGradientBoostingClassifier(max_iter=25, random_state=0)
    classifier.fit(matrix, score > 0.5)
    forest = export(classifier, matrix, classifier.decision_function(matrix))
    assert forest.score(fresh) == pytest.approx(classifier.decision_function(fresh), abs=1e-9)
    regressor = HistGradientBoostingRegressor(loss="gamma", max_iter=25, random_state=0)
    regressor.fit(matrix, np.exp(score))
    forest = export(regressor, matrix, np.log(regressor.predict(matrix)))
    again = Forest.from_dict(json.loads(json.dumps(forest.to_dict(), allow_nan=False)))
    assert np.exp(again.score(fresh)) == pytest.approx(regressor.predict(fresh), rel=1e-9)


def test_an_export_that_answers_otherwise_is_refused():
    rng = np.random.default_rng(2)
    matrix = rng.normal(size=(400, 2))
    model = HistGradientBoostingRegressor(max_iter=3).fit(matrix, matrix[:, 0])
    with pytest.raises(ModelError, match="otherwise than scikit-learn"):
        export(model, matrix, model.predict(matrix) + 1e-6)
    with pytest.raises(ModelError, match="does not show"):
        export(object(), matrix, matrix[:, 0])  # type: ignore[arg-type]


def test_the_truth_of_a_simulated_shop_is_found(fitted):
    matrix, value, p, mean = shop(20_000, seed=99)
    found = fitted.predict(matrix)
    truth = p * mean
    assert np.corrcoef(found.expected, truth)[0, 1] > 0.95
    assert found.expected.sum() == pytest.approx(value.sum(), rel=0.04)
    assert (1 - found.p_no_purchase).mean() == pytest.approx((value > 0).mean(), abs=0.015)
    likely = 1 - found.p_no_purchase
    for group in (p < 0.3, (p > 0.3) & (p < 0.6), p > 0.6):
        assert likely[group].mean() == pytest.approx(p[group].mean(), abs=0.03)


def test_the_range_covers_what_it_says(fitted):
    matrix, value, _, _ = shop(20_000, seed=98)
    found = fitted.predict(matrix)
    some = found.high_80 > 0
    assert (value <= found.high_80)[some].mean() == pytest.approx(0.9, abs=0.015)
    assert (found.low_80 <= found.high_80).all()
    buys = 1 - found.p_no_purchase
    assert ((found.low_80 > 0) == (buys > 0.9)).all()


def test_what_trees_do_not_know_is_not_a_number(fitted):
    found = fitted.predict(np.zeros((2, 3)))
    for values in (found.p_alive, found.purchases, found.spend, found.next_purchase_days):
        assert np.isnan(values).all()


def test_the_same_seed_gives_the_same_model_and_json_keeps_it(fitted):
    matrix, value, _, _ = shop(6_000, seed=1)
    again = fit(FEATURES, matrix, value, np.random.default_rng(5), QUICK)
    assert json.dumps(again.to_dict()) == json.dumps(fitted.to_dict())
    read = TwoStage.from_dict(json.loads(json.dumps(fitted.to_dict(), allow_nan=False)))
    assert np.array_equal(read.predict(matrix).expected, fitted.predict(matrix).expected)
    assert np.array_equal(read.predict(matrix).high_80, fitted.predict(matrix).high_80)


@pytest.mark.parametrize("who", ["all", "buyers", "some buyers"])
def test_a_feature_that_is_unknown_of_everybody_changes_nothing(who):
    """Of all, of the buyers alone, or of those who happen to be in one part of them."""
    matrix, value, _, _ = shop(700, seed=1)
    unknown = np.full(value.size, np.nan)
    if who == "buyers":
        unknown[value <= 0] = 1.0
    if who == "some buyers":
        unknown[np.flatnonzero(value > 0)[:2]] = 1.0
    more = np.column_stack([matrix, unknown])
    found = fit((*FEATURES, "clicks"), more, value, np.random.default_rng(5), QUICK)
    assert np.isfinite(found.predict(more).expected).all()
    if who == "all":
        plain = fit(FEATURES, matrix, value, np.random.default_rng(5), QUICK)
        assert found.predict(more).expected.tolist() == plain.predict(matrix).expected.tolist()


def test_too_few_buyers_and_wrong_shapes_are_refused(fitted):
    matrix, value, _, _ = shop(500, seed=3)
    rng = np.random.default_rng(0)
    with pytest.raises(InsufficientDataError, match="99 of 500 customers bought"):
        fit(FEATURES, matrix, np.where(np.arange(500) < 99, 5.0, -1.0), rng)
    with pytest.raises(ModelError, match="do not make a matrix"):
        fit(("a", "b"), matrix, value, rng)
    with pytest.raises(ModelError, match="1 values are missing"):
        fit(FEATURES, matrix, np.where(np.arange(500) == 3, np.nan, value), rng)
    with pytest.raises(ModelError, match="ask for 3 features"):
        fitted.predict(np.zeros((2, 4)))


@pytest.mark.parametrize("damage", [{"left": [10**9]}, {"feature": [7]}, {"value": None}])
def test_damaged_trees_are_refused(damage):
    sound = {
        "n_features": 2, "baseline": 0.0, "depth": 0, "roots": [0], "feature": [0],
        "threshold": [None], "missing_left": [0], "left": [0], "right": [0], "value": [1.0],
    }  # fmt: skip
    assert Forest.from_dict(sound).score(np.zeros((1, 2))).tolist() == [1.0]
    with pytest.raises(ModelError, match=r"damaged|cannot be read"):
        Forest.from_dict({**sound, **damage})
