"""Gamma-Gamma against printed numbers, an independent integral and simulated customers."""

import math

import numpy as np
import pytest
from scipy import integrate, stats

from connector.errors import InsufficientDataError, ModelError
from connector.models.clv.spend import (
    GammaGamma,
    PooledSpend,
    expected_spend,
    fit,
    fit_or_rule,
    from_parameters,
    objective,
    parameters,
)
from tests.models.clv.cdnow import cdnow

MODEL = GammaGamma(6.25, 3.74, 15.44)


def customers(n, model, seed=4):
    """Repeats and mean values of customers who live by the model."""
    rng = np.random.default_rng(seed)
    x = rng.geometric(0.4, n) - 1.0
    nu = rng.gamma(model.q, 1 / model.v, n)
    total = rng.gamma(model.p * np.maximum(x, 1), 1 / nu)
    return x, np.where(x > 0, total / np.maximum(x, 1), np.nan)


@pytest.mark.data
def test_the_fit_of_the_cdnow_sample_is_the_printed_one():
    sample = cdnow()
    found = fit(sample.histories.repeats, sample.customers.mean_value)
    assert found.n_customers == 946
    assert found.log_likelihood == pytest.approx(-4055.9177, abs=5e-5)
    assert found.model.p == pytest.approx(6.25, abs=5e-3)
    assert found.model.q == pytest.approx(3.74, abs=5e-3)
    assert found.model.v == pytest.approx(15.44, abs=5e-3)
    assert found.correlation == pytest.approx(0.11, abs=5e-3)


def test_the_likelihood_is_the_integral_over_the_customers_rate():
    x, mean = 3.0, 28.0
    gamma = stats.gamma

    def joint(nu):
        value = gamma.pdf(mean, MODEL.p * x, scale=1 / (nu * x))
        return value * gamma.pdf(nu, MODEL.q, scale=1 / MODEL.v)

    density, _ = integrate.quad(joint, 0, 3, epsabs=0, epsrel=1e-10)
    found = MODEL.log_likelihood(np.array([x]), np.array([mean]))
    assert found == pytest.approx(math.log(density), abs=1e-8)
    weighted, _ = integrate.quad(lambda nu: MODEL.p / nu * joint(nu), 0, 3, epsabs=0, epsrel=1e-10)
    spend = expected_spend(MODEL, np.array([x]), np.array([mean]))
    assert spend == pytest.approx(weighted / density, rel=1e-8)


def test_gradient():
    x, mean = customers(500, MODEL)
    evaluate = objective(x[x > 0], mean[x > 0])
    theta = np.log([4.0, 2.5, 20.0])
    value, gradient = evaluate(theta)
    shifts = 1e-6 * np.eye(3)
    slopes = [(evaluate(theta + s)[0] - evaluate(theta - s)[0]) / 2e-6 for s in shifts]
    assert gradient == pytest.approx(slopes, abs=1e-6)
    model = GammaGamma(4.0, 2.5, 20.0)
    assert value == pytest.approx(-model.log_likelihood(x[x > 0], mean[x > 0]).mean(), rel=1e-12)


def test_known_parameters_are_recovered_and_spend_is_unbiased():
    x, mean = customers(60_000, MODEL)
    found = fit(x, mean)
    for name, value in parameters(MODEL).items():
        assert abs(parameters(found.model)[name] - value) < 4 * found.standard_errors[name]
    assert abs(found.correlation) < 0.02
    spend = expected_spend(found.model, x, mean)
    everybody = MODEL.p * MODEL.v / (MODEL.q - 1)
    assert spend[x == 0] == pytest.approx(np.full((x == 0).sum(), everybody), rel=0.02)
    assert spend.mean() == pytest.approx(everybody, rel=0.02)


def test_money_in_another_currency_gives_the_same_answers_in_it():
    x, mean = customers(2_000, MODEL)
    a, b = fit(x, mean).model, fit(x, mean * 130).model
    assert expected_spend(b, x, mean * 130) == pytest.approx(
        130 * expected_spend(a, x, mean), rel=1e-4
    )


def test_values_at_or_below_zero_are_not_fitted_on_and_draw_the_forecast_down():
    x, mean = customers(3_000, MODEL)
    clean = fit(x, mean)
    spoilt = fit(np.append(x, [4.0, 2.0, 3.0]), np.append(mean, [0.0, -12.0, -1e-9]))
    assert parameters(spoilt.model) == pytest.approx(parameters(clean.model))
    assert spoilt.n_left_out == 3
    found = expected_spend(clean.model, np.array([0.0, 4.0, 4.0]), np.array([np.nan, 0.0, -50.0]))
    assert found[1] == found[2]
    assert 0 < found[1] < found[0]


def test_spend_without_a_mean_is_refused_and_the_rule_answers():
    x, mean = customers(20_000, GammaGamma(3.0, 0.7, 10.0))
    with pytest.raises(InsufficientDataError, match=r"q = 0\.\d+, at most 1"):
        fit(x, mean)
    model, reason = fit_or_rule(x, mean, np.full(x.size, 10.0))
    assert isinstance(model, PooledSpend)
    assert "does not exist" in reason
    with pytest.raises(ModelError, match="no expected spend"):
        expected_spend(GammaGamma(3.0, 0.7, 10.0), np.array([0.0]), np.array([np.nan]))


def test_the_pooled_mean_weighs_one_purchase():
    x, mean = np.array([0.0] * 40 + [3.0] * 10), np.array([np.nan] * 40 + [20.0] * 10)
    model = PooledSpend.of(x, mean, np.full(50, 10.0))
    pooled = (50 * 10 + 30 * 20) / 80
    assert model.mean_value == pytest.approx(pooled)
    found = expected_spend(model, np.array([0.0, 3.0]), np.array([np.nan, 20.0]))
    assert found == pytest.approx([pooled, (3 * 20 + pooled) / 4])


def test_too_few_or_worthless_purchases_are_refused():
    with pytest.raises(InsufficientDataError, match="49 customers bought again"):
        fit(np.ones(49), np.full(49, 9.0))
    few = np.zeros(10)
    with pytest.raises(InsufficientDataError, match="do not tell"):
        fit_or_rule(few, np.full(10, np.nan), np.full(10, 5.0))


def test_everybody_spending_the_same_is_refused():
    with pytest.raises(InsufficientDataError):
        fit(np.full(200, 2.0), np.full(200, 10.0))


def test_a_missing_value_is_told_with_its_position():
    x, mean = customers(100, MODEL)
    first = int(np.flatnonzero(x > 0)[0])
    mean[first] = np.nan
    with pytest.raises(ModelError, match=rf"first at position {first}\)"):
        fit(x, mean)


def test_parameters_come_back_by_name_or_are_refused():
    for model in (MODEL, PooledSpend(20.0, 0.7)):
        assert from_parameters(model.name, parameters(model)) == model
    with pytest.raises(ModelError, match="unknown"):
        from_parameters("log_normal", {"p": 1.0})
    with pytest.raises(ModelError, match="positive number"):
        from_parameters("gamma_gamma", {"p": 1.0, "q": 0.0, "v": 2.0})
