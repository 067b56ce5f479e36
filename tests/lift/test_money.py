"""Returns and costs per order against Fieller's closed form, root finding and simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest

from connector.errors import InsufficientDataError
from connector.lift.intervals import Interval, hall_interval
from connector.lift.joint import JointMoments
from connector.lift.moments import ArmMoments
from connector.lift.money import (
    cost_per_incremental_order,
    net_of_cost,
    net_of_random_cost,
    random_cost_return,
)
from connector.lift.ratios import Estimate, fieller_interval


def redeemers(seed: int, n_t: int = 20_000, n_c: int = 2_000, lift: float = 1.4):
    """Revenue and cost: who buys redeems a voucher of 5 in two of three cases."""
    rng = np.random.default_rng(seed)
    bought = rng.random(n_t) < 0.04 * lift
    revenue = np.where(bought, np.minimum(rng.lognormal(4, 0.7, n_t), 300.0), 0.0)
    cost = 5.0 * (bought & (rng.random(n_t) < 2 / 3)) + 0.02
    held = np.where(rng.random(n_c) < 0.04, np.minimum(rng.lognormal(4, 0.7, n_c), 300.0), 0.0)
    return revenue, cost, held


def without_skewness(moments: JointMoments) -> JointMoments:
    def flat(m: ArmMoments) -> ArmMoments:
        return ArmMoments(m.n, m.mean, m.variance, 0.0, m.n_nonzero, m.total)

    return JointMoments(flat(moments.y), flat(moments.x), moments.covariance, 0.0, 0.0)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("confidence", [0.9, 0.975])
def test_without_skewness_the_return_is_fiellers(seed, confidence):
    revenue, cost, held = redeemers(seed)
    t = without_skewness(JointMoments.from_values(revenue, cost))
    c = without_skewness(JointMoments.from_values(held, held)).y
    wanted = fieller_interval(
        Estimate(t.y.mean - c.mean, t.y.variance / t.n + c.variance / c.n),
        Estimate(t.x.mean, t.x.variance / t.n),
        t.covariance / t.n,
        confidence=confidence,
    )
    found = random_cost_return(t, c, confidence=confidence)
    assert (found.estimate, found.low, found.high) == pytest.approx(
        (wanted.estimate, wanted.low, wanted.high), rel=1e-9
    )


@pytest.mark.parametrize("seed", range(4))
def test_at_its_bounds_revenue_less_the_return_times_cost_may_be_nothing(seed):
    revenue, cost, held = redeemers(seed)
    found = random_cost_return(
        JointMoments.from_values(revenue, cost), ArmMoments.from_values(held)
    )
    c = ArmMoments.from_values(held)
    assert hall_interval(
        ArmMoments.from_values(revenue - found.low * cost), c
    ).low == pytest.approx(0, abs=1e-7)
    assert hall_interval(
        ArmMoments.from_values(revenue - found.high * cost), c
    ).high == pytest.approx(0, abs=1e-7)


@pytest.mark.parametrize("lift", [0.6, 1.0, 1.1, 1.6])
def test_the_return_excludes_zero_where_the_revenue_does(lift):
    for seed in range(6):
        revenue, cost, held = redeemers(seed, lift=lift)
        t, c = JointMoments.from_values(revenue, cost), ArmMoments.from_values(held)
        gain, back = hall_interval(t.y, c), random_cost_return(t, c)
        assert (gain.low > 0, gain.high < 0) == (back.low > 0, back.high < 0)


def test_a_fixed_cost_only_scales():
    revenue, _, held = redeemers(1)
    t, c = (
        JointMoments.from_values(revenue, np.full(revenue.size, 0.25)),
        ArmMoments.from_values(held),
    )
    gain, found = hall_interval(t.y, c), random_cost_return(t, c)
    assert (found.low, found.high) == pytest.approx((gain.low * 4, gain.high * 4), rel=1e-9)


def test_the_returns_interval_holds_the_truth():
    """4 % buy, 60 % more when treated, worth their mean basket; the voucher costs its mean."""
    truth_revenue = (
        0.04 * 0.5 * np.minimum(np.random.default_rng(0).lognormal(4, 0.7, 10**6), 300.0).mean()
    )
    truth = truth_revenue / (0.02 + 5.0 * 0.06 * 2 / 3)
    missed = []
    for seed in range(600):
        revenue, cost, held = redeemers(seed, 6_000, 1_200, lift=1.5)
        found = random_cost_return(
            JointMoments.from_values(revenue, cost), ArmMoments.from_values(held), confidence=0.9
        )
        missed.append((found.low > truth, found.high < truth))
    low, high = np.mean(missed, axis=0)
    # Three standard errors of 600 runs at 5 %.
    assert low == pytest.approx(0.05, abs=0.027)
    assert high == pytest.approx(0.05, abs=0.027)


def test_a_return_on_a_cost_that_hardly_anybody_caused_has_no_bounds():
    revenue, _, held = redeemers(2)
    rare = np.zeros(revenue.size)
    rare[:2] = 5.0
    c = ArmMoments.from_values(held)
    for cost in (rare, np.zeros(revenue.size)):
        with pytest.raises(InsufficientDataError, match="no bounds"):
            random_cost_return(JointMoments.from_values(revenue, cost), c)


def test_profit_is_margin_less_cost():
    assert net_of_cost(Interval(10.0, 2.0, 30.0, 0.95), 5.0) == Interval(5.0, -3.0, 25.0, 0.95)
    with pytest.raises(InsufficientDataError):
        net_of_cost(Interval(10.0, 2.0, 30.0, 0.95), -1.0)
    revenue, cost, held = redeemers(3)
    found = net_of_random_cost(
        JointMoments.from_values(revenue, cost), ArmMoments.from_values(held)
    )
    wanted = hall_interval(ArmMoments.from_values(revenue - cost), ArmMoments.from_values(held))
    bounds = found.bounds(1.959963984540054, confidence=0.95)
    assert (bounds.low, bounds.high) == pytest.approx((wanted.low, wanted.high), rel=1e-9)


def test_the_cost_of_an_order_is_the_inverse_where_orders_are_certain():
    found = cost_per_incremental_order(Interval(100.0, 40.0, 200.0, 0.95), 1_000.0)
    assert (found.estimate, found.low, found.high) == (10.0, 5.0, 25.0)
    assert found.note == ""


def test_the_cost_of_an_order_says_when_it_has_no_bound():
    perhaps = cost_per_incremental_order(Interval(100.0, -40.0, 200.0, 0.95), 1_000.0)
    assert (perhaps.estimate, perhaps.low, perhaps.high) == (10.0, 5.0, None)
    assert "no upper bound" in perhaps.note
    hardly = cost_per_incremental_order(Interval(-10.0, -40.0, 20.0, 0.95), 1_000.0)
    assert (hardly.estimate, hardly.low, hardly.high) == (None, 50.0, None)
    none = cost_per_incremental_order(Interval(-10.0, -40.0, -1.0, 0.95), 1_000.0)
    assert (none.estimate, none.low, none.high) == (None, None, None)
    assert "gained no orders" in none.note
    for cost in (0.0, -1.0, math.nan):
        with pytest.raises(InsufficientDataError):
            cost_per_incremental_order(Interval(1.0, 0.5, 2.0, 0.95), cost)
