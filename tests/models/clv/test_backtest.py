"""Backtests: published accuracies of the baselines, no look ahead, and the rule of choice."""

import numpy as np
import pytest

from connector.errors import ModelError
from connector.models.clv.backtest import (
    Accuracy,
    Target,
    Window,
    accuracy,
    backtest,
    choose,
    last_windows,
    predict_last_year,
    predict_same_rate,
    predict_zero,
)
from connector.models.clv.purchase_fit import Family, fit
from connector.models.clv.purchases import expected_purchases
from connector.models.clv.transactions import Transactions
from tests.models.clv.cdnow import CALIBRATION_END, HOLDOUT_DAYS, cdnow

WINDOW = Window(CALIBRATION_END, HOLDOUT_DAYS)


def predict_with(family):
    def predict(transactions, customers, window):
        model = fit(customers.histories, family).model
        return expected_purchases(model, customers.histories, window.n_days)

    return predict


@pytest.mark.data
def test_the_cdnow_holdout_with_its_baselines_and_the_choice():
    results = backtest(
        cdnow().transactions,
        [WINDOW],
        {
            "same_rate": predict_same_rate,
            "zero": predict_zero,
            **{family.value: predict_with(family) for family in Family},
        },
        Target.PURCHASES,
    )
    (rate,), (zero,) = results["same_rate"], results["zero"]
    assert (rate.n_customers, rate.actual_total) == (2357, 1882)
    assert rate.mae == pytest.approx(1.0237, abs=5e-5)
    assert rate.bias_share == pytest.approx(0.557, abs=5e-4)
    assert zero.mae == pytest.approx(0.7985, abs=5e-5)
    assert zero.bias_share == -1
    choice = choose(results, {"same_rate", "zero"}, total_error_at_most=0.15)
    assert choice.name == "pareto_nbd"
    assert set(choice.refusals) == {"mbg_nbd"}
    assert "off by 16.2%" in choice.refusals["mbg_nbd"]


def test_the_smallest_absolute_error_does_not_win():
    actual = np.array([0.0] * 80 + [5.0] * 20)
    results = {
        "zero": [accuracy(np.zeros(100), actual)],
        "half": [accuracy(np.where(actual > 0, 1.0, 0.0), actual)],
        "mean": [accuracy(np.where(actual > 0, 3.0, 0.5), actual)],
    }
    assert results["half"][0].mae == pytest.approx(0.8)
    assert results["mean"][0].mae == pytest.approx(0.8)
    choice = choose(results, {"zero"}, total_error_at_most=0.15)
    assert choice.name == "mean"
    assert "off by 80.0%" in choice.refusals["half"]


def test_who_does_not_beat_a_baseline_is_not_chosen():
    actual = np.array([1.0, 2.0, 3.0, 4.0])
    results = {
        "same": [accuracy(np.full(4, 2.5), actual)],
        "worse": [accuracy(actual[::-1].copy(), actual)],
    }
    choice = choose(results, {"same"}, total_error_at_most=0.15)
    assert choice.name is None
    assert choice.refusals == {"worse": "It does not beat same in squared error."}
    with pytest.raises(ModelError, match=r"\['absent'\] were not backtested"):
        choose(results, {"absent"}, total_error_at_most=0.15)


@pytest.mark.data
@pytest.mark.parametrize("family", [Family.MBG])
def test_predictions_do_not_see_the_holdout(family):
    """Rows after the window's start are changed and added; no prediction moves."""
    t = cdnow().transactions
    later = t.day > CALIBRATION_END
    value = np.where(later, -9 * t.value, t.value)
    tampered = Transactions(
        t.ids,
        np.append(t.customer, t.customer[:500]),
        np.append(t.day, np.full(500, CALIBRATION_END + 1)),
        np.append(value, np.full(500, 1e6)),
        np.append(t.is_return, np.zeros(500, dtype=bool)),
    )
    contenders = {
        "model": predict_with(family),
        "same_rate": predict_same_rate,
        "last_year": predict_last_year,
    }
    a, b = (backtest(one, [WINDOW], contenders, Target.VALUE) for one in (t, tampered))
    for name in contenders:
        assert a[name][0].predicted_total == b[name][0].predicted_total
        assert a[name][0].actual_total != b[name][0].actual_total


def test_last_year_is_the_own_spend_in_proportion():
    transactions = Transactions.of(
        ["a", "a", "b", "b", "b"], [10, 500, 480, 490, 600], [99.0, 40.0, 10.0, -4.0, 7.0]
    )
    results = backtest(transactions, [Window(505, 73)], {"last": predict_last_year}, Target.VALUE)
    assert results["last"][0].predicted_total == pytest.approx((40 + 6) / 5)
    assert results["last"][0].actual_total == 0
    assert results["last"][0].bias_share == float("inf")


def test_windows_step_back_from_the_last_day():
    assert last_windows(1000, 100, 3, 50) == (
        Window(800, 100), Window(850, 100), Window(900, 100),
    )  # fmt: skip
    transactions = Transactions.of(["a"], [100], [1.0])
    with pytest.raises(ModelError, match="end on day 100, before the holdout"):
        backtest(transactions, [Window(60, 41)], {"zero": predict_zero}, Target.PURCHASES)


def test_predictions_must_be_numbers_for_everybody():
    with pytest.raises(ModelError, match="cannot be held against"):
        accuracy(np.ones(2), np.ones(3))
    with pytest.raises(ModelError, match="1 predictions are missing"):
        accuracy(np.array([np.nan, 1.0]), np.ones(2))
    assert accuracy(np.ones(2), np.ones(2)) == Accuracy(2, 2.0, 2.0, 0.0, 0.0, 0.0)
