"""Curves from score to probability: against Platt's, against a known truth, and as SQL."""

import numpy as np
import pytest
from scipy.special import expit
from sklearn.calibration import _SigmoidCalibration

from connector.models.propensity.calibration import MAX_BINS, Calibration, fit_calibration
from connector.models.propensity.metrics import expected_calibration_error
from connector.warehouse.duckdb import DuckDBWarehouse


def crowd(truth, n=20_000, seed=1):
    rng = np.random.default_rng(seed)
    score = np.round(rng.normal(size=n), 10)
    return score, (rng.random(n) < truth(score)).astype(float)


def bent(score):
    """A monotone truth that no logistic curve follows."""
    return 0.05 + 0.3 * (score > 0) + 0.2 * (score > 1.5)


def test_sigmoid_is_platts():
    score, label = crowd(lambda s: expit(0.7 * s - 0.3), n=2_000)
    mine = fit_calibration("sigmoid", score, label)
    reference = _SigmoidCalibration().fit(score, label)
    assert mine.slope == pytest.approx(-reference.a_, abs=1e-3)
    assert mine.intercept == pytest.approx(-reference.b_, abs=1e-3)


@pytest.mark.parametrize("method", ["isotonic", "sigmoid"])
def test_a_known_probability_is_recovered(method):
    def truth(score):
        return expit(0.7 * score - 1.5)

    curve = fit_calibration(method, *crowd(truth))
    score, label = crowd(truth, seed=2)
    assert np.abs(curve.apply(score) - truth(score)).mean() < 0.015
    assert expected_calibration_error(label, curve.apply(score)) < 0.015


def test_isotonic_follows_a_shape_that_sigmoid_cannot():
    score, _ = crowd(bent, seed=2)
    errors = {
        method: np.abs(fit_calibration(method, *crowd(bent)).apply(score) - bent(score)).mean()
        for method in ("isotonic", "sigmoid")
    }
    assert errors["isotonic"] < 0.6 * errors["sigmoid"]


def test_isotonic_rises_strictly_is_bounded_and_never_certain():
    curve = fit_calibration("isotonic", *crowd(bent))
    assert curve.scores.size <= MAX_BINS
    assert (np.diff(curve.scores) > 0).all()
    assert (np.diff(curve.probabilities) > 0).all()
    assert curve.probabilities[0] > 0
    assert curve.probabilities[-1] < 1


def test_few_positives_fall_back_to_sigmoid():
    score, label = crowd(lambda s: expit(s - 4), n=3_000)
    assert label.sum() < 500
    assert fit_calibration("isotonic", score, label).method == "sigmoid"


def test_a_score_that_ranks_backwards_says_the_base_rate():
    score, label = crowd(lambda s: expit(-s), n=2_000)
    curve = fit_calibration("sigmoid", score, label)
    assert curve.apply(np.array([-9.0, 9.0])) == pytest.approx(label.mean(), abs=0.001)


@pytest.mark.parametrize("method", ["isotonic", "sigmoid"])
def test_sql_and_text_keep_the_curve(method):
    curve = fit_calibration(method, *crowd(lambda s: expit(2 * s), n=4_000))
    score = np.array([-5e3, -3.0, -0.5, 0.0, 1e-9, 0.7, 2.5, 5e3])
    assert np.array_equal(Calibration.from_dict(curve.to_dict()).apply(score), curve.apply(score))
    values = " UNION ALL ".join(f"SELECT {i} AS i, {s} AS x" for i, s in enumerate(score))
    with_sql = DuckDBWarehouse().rows(
        f"SELECT t.i AS i, {curve.sql('CAST(t.x AS DOUBLE)')} AS p FROM ({values}) AS t ORDER BY 1"
    )
    assert [p for _, p in with_sql] == pytest.approx(list(curve.apply(score)), abs=1e-14)
