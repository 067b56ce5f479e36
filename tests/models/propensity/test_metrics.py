"""Measures and tables against scikit-learn, and what they say of ties."""

import numpy as np
import pytest
from sklearn import metrics as sk
from sklearn.calibration import calibration_curve

from connector.errors import ModelError
from connector.models.propensity import curves, metrics


def people(n=2_000, seed=3, decimals=2):
    """Probabilities with many ties, and outcomes that follow them."""
    rng = np.random.default_rng(seed)
    p = np.round(rng.beta(2, 5, n), decimals)
    return (rng.random(n) < p).astype(float), p


@pytest.mark.parametrize("decimals", [1, 2, 12])
def test_measures_agree_with_scikit_learn(decimals):
    y, p = people(decimals=decimals)
    p = np.clip(p, 0.01, 0.99)
    found = metrics.measures(y, p, p)
    assert found["auc"] == pytest.approx(sk.roc_auc_score(y, p), abs=1e-12)
    assert found["average_precision"] == pytest.approx(sk.average_precision_score(y, p), abs=1e-12)
    assert found["brier"] == pytest.approx(sk.brier_score_loss(y, p), abs=1e-12)
    assert found["log_loss"] == pytest.approx(sk.log_loss(y, p), abs=1e-12)
    assert found["calibration_in_the_large"] == pytest.approx(p.mean() - y.mean())


def test_bins_are_those_of_scikit_learn():
    y, p = people(decimals=12)
    observed, predicted = calibration_curve(y, p, n_bins=10, strategy="quantile")
    table = curves.calibration_table(y, p)
    assert [b.predicted for b in table] == pytest.approx(list(predicted))
    assert [b.observed for b in table] == pytest.approx(list(observed))
    gaps = sum(b.n_people * abs(b.predicted - b.observed) for b in table) / y.size
    assert metrics.expected_calibration_error(y, p) == pytest.approx(gaps)


def test_calibration_error_of_the_truth_is_small_and_of_a_shifted_one_is_the_shift():
    y, p = people(n=50_000, decimals=12)
    assert metrics.expected_calibration_error(y, p) < 0.01
    assert metrics.expected_calibration_error(y, p + 0.2) == pytest.approx(0.2, abs=0.01)


def test_top_decile_lift_by_hand():
    y = np.zeros(100)
    y[:5] = y[50:55] = 1
    score = -np.arange(100.0)
    assert metrics.lift(y, score) == pytest.approx((5 / 10) / (10 / 100))
    # With everybody alike a tenth of the people brings a tenth of the positives.
    assert metrics.lift(y, np.zeros(100)) == pytest.approx(1.0)


def test_no_measure_depends_on_the_order_of_rows():
    y, p = people(decimals=1)
    order = np.random.default_rng(1).permutation(y.size)
    there, here = metrics.measures(y, p, p), metrics.measures(y[order], p[order], p[order])
    assert here == pytest.approx(there, abs=1e-13)
    assert curves.gain_curve(y, p) == curves.gain_curve(y[order], p[order])


def test_tenths_add_up_and_agree_with_the_lift():
    y, p = people(decimals=2)
    tenths = curves.tenths(curves.gain_curve(y, p))
    assert sum(t.n_people for t in tenths) == pytest.approx(y.size)
    assert sum(t.n_positive for t in tenths) == pytest.approx(y.sum())
    assert tenths[0].lift == pytest.approx(metrics.lift(y, p), rel=0.02)
    assert tenths[-1].gain == pytest.approx(1.0)
    assert np.mean([t.lift for t in tenths]) == pytest.approx(1.0)


def test_a_long_gain_curve_is_thinned_and_keeps_its_ends():
    y, p = people(n=20_000, decimals=12)
    points = curves.gain_curve(y, p)
    assert len(points) == curves.MAX_POINTS
    assert points[-1].n_people == y.size
    assert points[-1].n_positive == y.sum()
    for point in points[::20]:
        assert point.n_people == (p >= point.probability).sum()
        assert point.n_positive == y[p >= point.probability].sum()


def test_profit_is_that_of_trying_every_cut_off():
    y, p = people(n=300)
    curve = curves.profit_curve(curves.gain_curve(y, p), value=20, cost=6)
    tried = {c: y[p >= c].sum() * 20 - (p >= c).sum() * 6 for c in np.unique(p)}
    assert curve.best.profit == max([*tried.values(), 0])
    assert tried[curve.best.probability] == curve.best.profit
    assert curve.break_even == pytest.approx(0.3)
    assert abs(curve.best.probability - curve.break_even) < 0.15


def test_a_campaign_that_cannot_pay_treats_nobody():
    y, p = people(n=300)
    best = curves.profit_curve(curves.gain_curve(y, p), value=1, cost=5).best
    assert (best.n_people, best.profit) == (0, 0.0)
    with pytest.raises(ModelError, match="positive value"):
        curves.profit_curve(curves.gain_curve(y, p), value=0, cost=1)
