"""Repeat purchases against printed numbers, published formulas and simulated shops."""

import math

import numpy as np
import pytest
from scipy import integrate, optimize, special

from connector.errors import InsufficientDataError, ModelError
from connector.models.clv import pareto, purchase_fit
from connector.models.clv.beta_geometric import BetaGeometric, Variant
from connector.models.clv.beta_geometric import objective as beta_geometric_objective
from connector.models.clv.histories import NEWCOMER, Histories, Unit, compress
from connector.models.clv.pareto import Pareto
from connector.models.clv.purchase_fit import Family, fit, fit_or_rule, from_parameters, parameters
from connector.models.clv.purchases import (
    PooledRate,
    discounted_if_alive,
    expected_purchases,
    next_purchase_days,
    p_alive,
    p_at_least,
    p_no_purchase,
)
from connector.models.clv.quadrature import beta_rule
from tests.models.clv.cdnow import HOLDOUT_DAYS, beta_geometric_shop, cdnow, pareto_shop

WEEK = Unit.WEEKS.value

BG = BetaGeometric(Variant.BG, 0.2425945, 4.4136019 * WEEK, 0.7929199, 2.4258881)
PRINTED = {
    Family.BG: (
        {"r": (0.2425945, 5e-6), "alpha": (4.4136019, 5e-5), "a": (0.7929199, 5e-5),
         "b": (2.4258881, 2e-4)},
        {"r": (0.0126, 5e-5), "alpha": (0.378, 5e-4), "a": (0.186, 5e-4), "b": (0.705, 5e-4)},
        (-9582.429, 5e-4),
    ),
    Family.PARETO: (
        {"r": (0.55315, 5e-4), "alpha": (10.57633, 5e-3), "s": (0.60625, 1e-4),
         "beta": (11.67150, 1e-2)},
        {"r": (0.0476, 5e-5), "alpha": (0.8427, 5e-4), "s": (0.1873, 5e-5),
         "beta": (6.2105, 1e-3)},
        (-9594.976, 5e-4),
    ),
    Family.MBG: (
        {"r": (0.525, 5e-4), "alpha": (6.183, 5e-4), "a": (0.891, 5e-4), "b": (1.614, 5e-4)},
        {},
        (-9582.136, 5e-4),
    ),
}  # fmt: skip


def one(model, x, last, age):
    """A history of one customer in days, for the functions over many."""
    return Histories.of([x], [last], [age])


def published_expectation(model, x, age, t):
    """E[Y(t) | active] with the 2F1 of the papers (a not 1, a + b + chances not 1)."""
    k = x if model.variant is Variant.BG else x + 1
    m, start = model.r + x, model.alpha_days + age
    z = t / (start + t)
    hypergeometric = special.hyp2f1(m, model.b + k, model.a + model.b + k - 1, z)
    shrink = (start / (start + t)) ** m
    return (model.a + model.b + k - 1) / (model.a - 1) * (1 - shrink * hypergeometric)


def counted_expectation(model, x, age, t, n_max=20_000):
    """E[Y(t) | active] as the sum of P(Y >= n), each a product of two textbook functions."""
    k = x if model.variant is Variant.BG else x + 1
    n = np.arange(1.0, n_max)
    z = t / (model.alpha_days + age + t)
    stays = special.betaln(model.a, model.b + k + n - 1) - special.betaln(model.a, model.b + k)
    return float(special.betainc(n, model.r + x, z) @ np.exp(stays))


@pytest.mark.data
@pytest.mark.parametrize("family", Family)
def test_a_fit_of_the_cdnow_sample_is_the_printed_one(family):
    printed, errors, (likelihood, digits) = PRINTED[family]
    found = fit(cdnow().histories, family)
    for expected, read in (
        (printed, found.parameters(Unit.WEEKS)),
        (errors, found.errors(Unit.WEEKS)),
    ):
        for name, (value, tolerance) in expected.items():
            assert read[name] == pytest.approx(value, abs=tolerance), name
    assert found.log_likelihood_in(Unit.WEEKS) == pytest.approx(likelihood, abs=digits)
    by_record = found.model.log_likelihood(cdnow().histories).sum()  # type: ignore[attr-defined]
    assert by_record == pytest.approx(found.log_likelihood, abs=1e-6)


@pytest.mark.data
@pytest.mark.parametrize(
    ("family", "mae", "bias", "correlation"),
    [
        (Family.PARETO, 0.7545, -0.115, 0.630),
        (Family.MBG, 0.7648, -0.162, 0.627),
        (Family.BG, 0.7855, -0.121, 0.626),
    ],
)
def test_the_holdout_of_the_cdnow_sample(family, mae, bias, correlation):
    sample = cdnow()
    predicted = expected_purchases(
        fit(sample.histories, family).model, sample.histories, HOLDOUT_DAYS
    )
    actual = sample.holdout.purchases
    assert np.abs(predicted - actual).mean() == pytest.approx(mae, abs=5e-5)
    assert predicted.sum() / actual.sum() - 1 == pytest.approx(bias, abs=1e-3)
    assert np.corrcoef(predicted, actual)[0, 1] == pytest.approx(correlation, abs=1e-3)


@pytest.mark.data
@pytest.mark.parametrize(
    ("family", "purchases"), [(Family.PARETO, 1.473434), (Family.BG, 1.444004)]
)
def test_a_new_customer_buys_as_often_as_printed(family, purchases):
    model = fit(cdnow().histories, family).model
    assert expected_purchases(model, NEWCOMER, 52 * WEEK) == pytest.approx(purchases, abs=1e-5)


def test_printed_expectation_of_one_customer():
    history = Histories.of([2], [30.43], [38.86], unit=Unit.WEEKS)
    assert expected_purchases(BG, history, 39 * WEEK) == pytest.approx(1.226, abs=5e-4)


def test_printed_log_likelihoods():
    model = BetaGeometric(Variant.BG, 0.25, 4.0, 0.8, 2.5)
    found = model.log_likelihood(Histories.of([0, 200], [0, 38], [40, 40]))
    assert found == pytest.approx([-0.59947382, 100.7957], abs=5e-5)


def test_the_more_purchases_before_a_silence_the_less_is_expected():
    history = Histories.of([10, 15, 20, 25], [20] * 4, [39] * 4, unit=Unit.WEEKS)
    found = expected_purchases(BG, history, 52 * WEEK)
    printed = [0.3474606, 0.04283391, 0.004158973, 0.0003583685]
    assert found == pytest.approx(printed, rel=2e-4)


@pytest.mark.data
@pytest.mark.parametrize("family", Family)
def test_days_and_weeks_give_the_same_answers(family):
    in_days = cdnow().histories
    in_weeks = Histories.of(
        in_days.repeats, in_days.last_age_days / 7, in_days.age_days / 7, unit=Unit.WEEKS
    )
    a, b = fit(in_days, family), fit(in_weeks, family)
    assert parameters(a.model) == parameters(b.model)
    assert a.log_likelihood == b.log_likelihood
    # Rounded to two decimals of a week, no time is whole; the answers move by the rounding alone.
    rounded = Histories.of(
        in_days.repeats,
        np.round(in_days.last_age_days / 7, 2),
        np.round(in_days.age_days / 7, 2),
        unit=Unit.WEEKS,
    )
    c = fit(rounded, family)
    assert c.log_likelihood_in(Unit.WEEKS) == pytest.approx(
        a.log_likelihood_in(Unit.WEEKS), abs=0.02
    )


@pytest.mark.parametrize("variant", Variant)
def test_gradients_of_the_beta_geometric_models(variant):
    h = shop(variant, 400).histories
    objective = beta_geometric_objective(variant, compress(h))
    theta = np.log([0.4, 25.0, 0.6, 3.0])
    value, gradient = objective(theta)
    assert gradient == pytest.approx(numeric(objective, theta), abs=1e-7)
    model = BetaGeometric(variant, *np.exp(theta))
    assert value == pytest.approx(-model.log_likelihood(h).mean(), rel=1e-12)


@pytest.mark.parametrize("theta", [[0.6, 60.0, 0.7, 90.0], [2.0, 300.0, 0.4, 5.0]])
def test_gradient_of_the_pareto_model(theta):
    h = shop(Variant.BG, 400).histories
    objective = pareto.objective(compress(h))
    value, gradient = objective(np.log(theta))
    assert gradient == pytest.approx(numeric(objective, np.log(theta)), abs=1e-7)
    assert value == pytest.approx(-Pareto(*theta).log_likelihood(h).mean(), rel=1e-12)


def shop(variant, n, seed=11):
    rng = np.random.default_rng(seed)
    age = rng.integers(60, 500, n).astype(float)
    return beta_geometric_shop(
        rng, age, 100.0, r=0.5, alpha=30.0, a=0.8, b=2.5, modified=variant is Variant.MBG
    )


def numeric(objective, theta, step=1e-6):
    shifts = step * np.eye(theta.size)
    return [(objective(theta + s)[0] - objective(theta - s)[0]) / (2 * step) for s in shifts]


@pytest.mark.parametrize(
    "history", [(0, 0.0, 200.0), (3, 150.0, 200.0), (12, 90.0, 400.0), (1, 5.0, 30.0)]
)
def test_the_pareto_likelihood_is_the_integral_over_the_moment_of_dropout(history):
    x, last, age = history
    model = Pareto(0.55, 74.0, 0.61, 82.0)

    def rate_part(u):
        m = model.r + x
        return math.exp(
            special.gammaln(m) - special.gammaln(model.r) + model.r * math.log(model.alpha_days)
            - m * math.log(model.alpha_days + u)
        )  # fmt: skip

    def dropout(u):
        return model.s * model.beta_days**model.s / (model.beta_days + u) ** (model.s + 1)

    alive = rate_part(age) * (model.beta_days / (model.beta_days + age)) ** model.s
    dead, _ = integrate.quad(lambda u: rate_part(u) * dropout(u), last, age, epsabs=0, epsrel=1e-11)
    read = one(model, x, last, age)
    assert model.log_likelihood(read) == pytest.approx(math.log(alive + dead), abs=1e-9)
    assert p_alive(model, read) == pytest.approx(alive / (alive + dead), rel=1e-9)


@pytest.mark.parametrize("variant", Variant)
@pytest.mark.parametrize("x", [0, 1, 7])
def test_expectations_are_those_of_the_published_formula(variant, x):
    model = BetaGeometric(variant, 0.243, 30.9, 0.793, 2.426)
    for age, t in ((40.0, 30.0), (300.0, 365.0), (20.0, 365.0)):
        found = model.expected_if_alive(*(np.array([float(v)]) for v in (x, age, t)))
        assert found == pytest.approx(published_expectation(model, x, age, t), rel=1e-9)


EXTREMES = [
    (0.25, 30.0, 0.3, 0.4),
    (0.25, 30.0, 1.0, 2.0),
    (0.25, 30.0, 1.0 + 1e-9, 2.0),
    (0.25, 2.0, 0.05, 0.05),
    (2.0, 3.0, 5.0, 0.1),
    (0.25, 30.0, 1e-3, 1.0),
    (0.25, 30.0, 300.0, 900.0),
]


@pytest.mark.parametrize("variant", Variant)
@pytest.mark.parametrize("values", EXTREMES)
def test_expectations_hold_where_the_published_formula_breaks(variant, values):
    """a + b < 1, a = 1, x = 2,000 and 5,000: against the sum over counts."""
    model = BetaGeometric(variant, *values)
    for x, age, t in (
        (0, 100, 365),
        (0, 0, 365),
        (3, 50, 3650),
        (2000, 300, 365),
        (5000, 700, 365),
    ):
        found = model.expected_if_alive(*(np.array([float(v)]) for v in (x, age, t)))
        assert found == pytest.approx(counted_expectation(model, x, age, t), rel=1e-8), (x, age, t)
    for x, last in ((0, 0.0), (2000, 300.0), (5000, 200.0)):
        read = one(model, x, last, 300.0)
        assert 0 <= p_alive(model, read)[0] <= 1
        assert np.isfinite(model.log_likelihood(read)).all()


def test_one_time_buyers_with_a_small_a_and_b_by_simulation():
    """Where lifetimes answers NaN (its issue 442): a + b < 1, T = 100, the next 365 days."""
    model = BetaGeometric(Variant.BG, 0.25, 30.0, 0.3, 0.4)
    rng = np.random.default_rng(442)
    seen = beta_geometric_shop(
        rng, np.full(400_000, 100.0), 365.0, r=0.25, alpha=30.0, a=0.3, b=0.4, modified=False
    )
    bought = seen.bought[seen.histories.repeats == 0]
    found = expected_purchases(model, one(model, 0, 0, 100.0), 365.0)[0]
    error = bought.std() / math.sqrt(bought.size)
    assert found == pytest.approx(bought.mean(), abs=4 * error)
    assert error < 0.005


@pytest.mark.parametrize("family", Family)
def test_predictions_are_what_simulated_customers_do(family):
    """Totals and shares in groups of like customers, at the true parameters."""
    rng = np.random.default_rng(7)
    age = rng.choice([200.0, 300.0, 450.0, 600.0], 60_000)
    t = 250.0
    if family is Family.PARETO:
        model: BetaGeometric | Pareto = Pareto(0.55, 74.0, 0.61, 82.0)
        seen = pareto_shop(rng, age, t, r=0.55, alpha=74.0, s=0.61, beta=82.0)
    else:
        modified = family is Family.MBG
        model = BetaGeometric(Variant(family.value), 0.4, 40.0, 0.8, 2.4)
        seen = beta_geometric_shop(rng, age, t, r=0.4, alpha=40.0, a=0.8, b=2.4, modified=modified)
    h, bought = seen.histories, seen.bought
    expected = expected_purchases(model, h, t)
    none = p_no_purchase(model, h, t)
    at_least = {n: p_at_least(model, h, t, n) for n in (1, 2, 5)}
    assert at_least[1] == pytest.approx(1 - none, abs=1e-9)
    for group in (h.repeats == 0, h.repeats == 1, (h.repeats > 1) & (h.repeats < 6), h.repeats > 5):
        agree(bought[group], expected[group])
        agree(bought[group] == 0, none[group])
        for n, likely in at_least.items():
            agree(bought[group] >= n, likely[group])
    # Second moments carry the ranges of value.
    x, T = h.repeats, h.age_days  # noqa: N806
    pairs = p_alive(model, h) * model.pairs_if_alive(x, T, np.full(x.size, t))
    agree((bought * (bought - 1.0))[x < 4], pairs[x < 4])


def agree(happened, predicted):
    """The means differ by less than 4.5 standard errors."""
    difference = happened.astype(float) - predicted
    assert abs(difference.mean()) < 4.5 * difference.std() / math.sqrt(difference.size)


@pytest.mark.parametrize("family", Family)
def test_known_parameters_are_recovered(family):
    rng = np.random.default_rng(21)
    age = rng.integers(100, 700, 15_000).astype(float)
    if family is Family.PARETO:
        truth = {"r": 0.55, "alpha": 74.0, "s": 0.61, "beta": 82.0}
        seen = pareto_shop(rng, age, 1.0, **truth)
    else:
        truth = {"r": 0.6, "alpha": 40.0, "a": 0.8, "b": 2.4}
        seen = beta_geometric_shop(rng, age, 1.0, **truth, modified=family is Family.MBG)
    found = fit(seen.histories, family)
    for name, value in truth.items():
        error = found.standard_errors[name]
        assert abs(found.parameters()[name] - value) < 4 * error, name
        assert error < 0.2 * value


def test_next_purchase_is_the_median_wait_of_who_stays():
    rng = np.random.default_rng(9)
    # Nearly nobody drops out, so that all who are seen stay.
    seen = beta_geometric_shop(
        rng, np.full(20_000, 100.0), 150.0, r=1.5, alpha=20.0, a=1e-4, b=50.0, modified=False
    )
    three = seen.histories.repeats == 3
    model = BetaGeometric(Variant.BG, 1.5, 20.0, 1e-4, 50.0)
    read = one(model, 3, 60.0, 100.0)
    days = next_purchase_days(model, read, model.p_alive(read))[0]
    assert np.mean(seen.first_wait[three] <= days) == pytest.approx(0.5, abs=0.03)
    assert np.isnan(next_purchase_days(model, read, np.array([0.49]))[0])


@pytest.mark.parametrize(
    "model",
    [BetaGeometric(Variant.MBG, 0.525, 43.3, 0.891, 1.614), Pareto(0.55, 74.0, 0.61, 82.0)],
)
def test_discounting_is_the_integral_over_the_rate(model):
    x, age = np.array([0.0, 4.0]), np.array([10.0, 300.0])
    found = discounted_if_alive(model, x, age, 730.0, 0.15)
    edges = np.linspace(0.0, 730.0, 4_001)
    many = edges.size
    upto = np.stack(
        [
            model.expected_if_alive(np.full(many, x[i]), np.full(many, age[i]), edges)
            for i in range(2)
        ],
        axis=1,
    )
    bought = np.diff(upto, axis=0)
    middle = (edges[1:] + edges[:-1]) / 2
    assert found == pytest.approx((1.15 ** (-middle / 365.25)) @ bought, rel=1e-6)
    plain = discounted_if_alive(model, x, age, 730.0, 0.0)
    assert plain == pytest.approx(model.expected_if_alive(x, age, np.full(2, 730.0)))


@pytest.mark.data
@pytest.mark.parametrize("family", Family)
def test_a_robot_of_5000_purchases_does_not_trap_the_fit(family):
    h = cdnow().histories
    shop_with_robot = Histories.of(
        np.append(h.repeats, 5000), np.append(h.last_age_days, 270), np.append(h.age_days, 272)
    )
    found = fit(shop_with_robot, family)
    data = compress(shop_with_robot)
    objective = (
        pareto.objective(data)
        if family is Family.PARETO
        else beta_geometric_objective(Variant(family.value), data)
    )
    rng = np.random.default_rng(5)
    at = np.log(list(parameters(found.model).values()))
    ends = [
        optimize.minimize(
            objective,
            at + rng.normal(0, 1.5, 4),
            jac=True,
            method="L-BFGS-B",
            bounds=[(-8, 12)] * 4,
        ).fun
        for _ in range(6)
    ]
    assert -min(ends) * len(shop_with_robot) <= found.log_likelihood + 1e-4
    assert np.isfinite(expected_purchases(found.model, shop_with_robot, 365)).all()


def test_only_one_time_buyers_are_refused_and_the_rule_answers():
    n = 500
    h = Histories.of(np.zeros(n), np.zeros(n), np.full(n, 100))
    with pytest.raises(InsufficientDataError, match="Only 0 customers bought again"):
        fit(h, Family.MBG)
    model, reason = fit_or_rule(h, Family.MBG)
    assert isinstance(model, PooledRate)
    assert "bought again" in reason
    assert expected_purchases(model, h, 365).tolist() == [0.0] * n
    assert p_no_purchase(model, h, 365).tolist() == [1.0] * n
    assert np.isnan(p_alive(model, h)).all()


def test_the_rule_weighs_the_pooled_rate_as_one_average_history():
    h = Histories.of([0, 4], [0, 100], [100, 300])
    model = PooledRate.of(h)
    assert expected_purchases(model, h, 30) == pytest.approx(
        [30 * (0 + 0.01 * 200) / (100 + 200), 30 * (4 + 0.01 * 200) / (300 + 200)]
    )
    with pytest.raises(InsufficientDataError, match="observed for a day"):
        PooledRate.of(NEWCOMER)


def test_data_without_variety_or_dropout_are_refused_with_the_parameter():
    rng = np.random.default_rng(2)
    age = rng.integers(50, 400, 2000).astype(float)
    everybody_alike = rng.poisson(0.02 * age).astype(float)
    last = np.where(
        everybody_alike > 0, np.ceil(age * rng.beta(np.maximum(everybody_alike, 1), 1)), 0
    )
    h = Histories.of(everybody_alike, last, age)
    for family in Family:
        with pytest.raises(InsufficientDataError, match=r"ran to its bound|flat in"):
            fit(h, family)


def test_a_flat_likelihood_is_refused_by_its_condition(monkeypatch):
    monkeypatch.setattr(purchase_fit.fitting, "MAX_CONDITION", 50.0)
    with pytest.raises(InsufficientDataError, match="flat in r, alpha, a, b: condition number"):
        fit(shop(Variant.MBG, 3000).histories, Family.MBG)


def test_the_beta_rule_is_exact_for_polynomials():
    nodes, weights = beta_rule(0.3, np.array([0.4, 2000.0]), 6)
    for row, b in enumerate((0.4, 2000.0)):
        for power in range(12):
            exact = math.exp(special.betaln(0.3 + power, b) - special.betaln(0.3, b))
            assert weights[row] @ nodes[row] ** power == pytest.approx(exact, rel=1e-9)


@pytest.mark.parametrize("horizon", [0, -1, math.inf, math.nan])
def test_an_impossible_horizon_is_refused(horizon):
    with pytest.raises(ModelError, match="positive number of days"):
        expected_purchases(BG, NEWCOMER, horizon)


def test_parameters_come_back_by_name_or_are_refused():
    for model in (BG, Pareto(0.5, 70.0, 0.6, 80.0), PooledRate(0.0, 90.0)):
        assert from_parameters(model.name, parameters(model)) == model
    with pytest.raises(ModelError, match="unknown"):
        from_parameters("bg_nbd", {"r": 1.0})
    with pytest.raises(ModelError, match="positive number"):
        from_parameters("bg_nbd", {"r": 1.0, "alpha": -1.0, "a": 1.0, "b": 1.0})
