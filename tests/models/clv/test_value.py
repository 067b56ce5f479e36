"""Value, ranges, percentiles and tiers, against exact distributions and simulated shops."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special

from connector.errors import ModelError
from connector.models.clv import spend as spend_models
from connector.models.clv.histories import Histories
from connector.models.clv.purchase_fit import Family, fit
from connector.models.clv.purchases import PooledRate, expected_purchases, p_at_least
from connector.models.clv.spend import GammaGamma, PooledSpend, expected_spend
from connector.models.clv.value import (
    TIERS,
    Horizon,
    Tier,
    lifetime_values,
    percentiles,
    tier_cuts,
    tier_of,
)
from tests.models.clv.cdnow import HOLDOUT_DAYS, beta_geometric_shop, cdnow

PLAIN = Horizon(HOLDOUT_DAYS, 0.0)


def share_below(model, spend, h, mean_value, end, horizon):
    """Exact probability of a value up to ``end``: over the counts, each with a beta prime."""
    known = spend.posterior(h.repeats, mean_value)
    w = end / (end + known.scale)
    more = np.ones(len(h))
    total = np.zeros(len(h))
    for n in range(400):
        following = p_at_least(model, h, horizon, n + 1)
        within = 1.0 if n == 0 else special.betainc(known.p * n, known.shape, w)
        total += (more - following) * within
        more = following
        if more.max() < 1e-8:
            return total
    raise AssertionError("400 purchases do not exhaust the distribution")


@pytest.mark.data
@pytest.mark.parametrize("family", Family)
def test_the_range_holds_what_the_exact_distribution_says(family):
    sample = cdnow()
    h, mean = sample.histories, sample.customers.mean_value
    model = fit(h, family).model
    spend = spend_models.fit(h.repeats, mean).model
    found = lifetime_values(model, spend, h, mean, PLAIN)
    buys = 1 - found.p_no_purchase
    assert ((found.low_80 > 0) == (buys > 0.9)).all()
    # A probability within a step of .1 may round to "nothing".
    assert ((found.high_80 > 0) == (buys > 0.1))[np.abs(buys - 0.1) > 2e-3].all()
    some = found.high_80 > 0
    below = share_below(model, spend, h.take(some), mean[some], found.high_80[some], HOLDOUT_DAYS)
    assert below.min() > 0.88
    assert below.max() < 0.92
    assert below.mean() == pytest.approx(0.9, abs=0.005)
    sure = found.low_80 > 0
    assert sure.sum() > 10
    below = share_below(model, spend, h.take(sure), mean[sure], found.low_80[sure], HOLDOUT_DAYS)
    assert below == pytest.approx(0.1, abs=0.002)


@pytest.mark.data
def test_the_range_holds_the_holdout_of_the_cdnow_sample():
    sample = cdnow()
    h, mean = sample.histories, sample.customers.mean_value
    spend = spend_models.fit(h.repeats, mean).model
    found = lifetime_values(fit(h, Family.PARETO).model, spend, h, mean, PLAIN)
    actual = sample.holdout.value
    within = (actual >= found.low_80) & (actual <= found.high_80)
    # Atoms at 0 make the range cover more than 80 %; of those with a range, 90 % lie below it.
    assert within.mean() > 0.8
    some = found.high_80 > 0
    assert (actual <= found.high_80)[some].mean() == pytest.approx(0.9, abs=0.03)


def test_value_and_range_are_what_simulated_customers_bring():
    """10 % of frequent customers below the low end, 90 % below the high one; totals agree."""
    rng = np.random.default_rng(31)
    age = rng.choice([150.0, 300.0, 500.0], 60_000)
    seen = beta_geometric_shop(rng, age, 365.0, r=2.0, alpha=40.0, a=0.5, b=4.0, modified=True)
    spend = GammaGamma(4.0, 3.0, 20.0)
    h = seen.histories
    nu = rng.gamma(spend.q, 1 / spend.v, age.size)
    mean = rng.gamma(spend.p * np.maximum(h.repeats, 1), 1 / nu) / np.maximum(h.repeats, 1)
    brought = np.where(
        seen.bought > 0, rng.gamma(spend.p * np.maximum(seen.bought, 1), 1 / nu), 0.0
    )
    model = fit(h, Family.MBG).model
    found = lifetime_values(model, spend, h, mean, Horizon(365, 0.0))
    assert found.expected.sum() == pytest.approx(brought.sum(), rel=0.02)
    assert np.corrcoef(found.expected, brought)[0, 1] > 0.6
    sure = found.low_80 > 0
    assert sure.mean() > 0.1
    assert (brought < found.low_80)[sure].mean() == pytest.approx(0.1, abs=0.01)
    some = found.high_80 > 0
    assert (brought <= found.high_80)[some].mean() == pytest.approx(0.9, abs=0.01)


def test_expected_value_is_purchases_times_spend_and_discounting_scales_the_range():
    model = fit(shop(), Family.MBG).model
    h = shop().take(np.arange(300))
    mean = np.where(h.repeats > 0, 25.0, np.nan)
    spend = GammaGamma(6.25, 3.74, 15.44)
    plain = lifetime_values(model, spend, h, mean, Horizon(365, 0.0))
    assert plain.expected == pytest.approx(
        expected_purchases(model, h, 365) * expected_spend(spend, h.repeats, mean)
    )
    less = lifetime_values(model, spend, h, mean, Horizon(365, 0.10))
    ratio = less.expected / plain.expected
    assert ((ratio > 1 / 1.10) & (ratio < 1)).all()
    some = plain.high_80 > 0
    assert less.high_80[some] == pytest.approx((ratio * plain.high_80)[some])
    assert (less.purchases == plain.purchases).all()


def shop():
    rng = np.random.default_rng(8)
    age = rng.integers(60, 600, 4_000).astype(float)
    seen = beta_geometric_shop(rng, age, 1.0, r=0.6, alpha=40.0, a=0.8, b=2.4, modified=True)
    return seen.histories


def test_the_rules_in_place_of_fits_give_whole_answers():
    n = 80
    once = Histories.of(np.zeros(n), np.zeros(n), np.full(n, 100))
    spend = PooledSpend.of(np.zeros(n), np.full(n, np.nan), np.linspace(5, 50, n))
    nothing = lifetime_values(PooledRate.of(once), spend, once, np.full(n, np.nan), Horizon(365))
    for values in (nothing.expected, nothing.low_80, nothing.high_80, nothing.purchases):
        assert (values == 0).all()
    assert (nothing.p_no_purchase == 1).all()
    assert np.isnan(nothing.p_alive).all()
    assert np.isnan(nothing.next_purchase_days).all()
    assert tier_of(nothing.expected, tier_cuts(nothing.expected)).tolist() == [3] * n

    often = shop()
    mean = np.where(often.repeats > 0, 20.0, np.nan)
    found = lifetime_values(
        PooledRate.of(often), PooledSpend(20.0, 0.5), often, mean, Horizon(365, 0.0)
    )
    for values in (found.expected, found.low_80, found.high_80):
        assert np.isfinite(values).all()
    assert (found.low_80 <= found.high_80).all()
    sure = found.low_80 > 0
    below = share_below(
        PooledRate.of(often), PooledSpend(20.0, 0.5), often.take(sure), mean[sure],
        found.low_80[sure], 365,
    )  # fmt: skip
    assert below == pytest.approx(0.1, abs=0.003)


def test_a_robot_and_negative_spend_give_numbers():
    model = fit(shop(), Family.PARETO).model
    h = Histories.of([5000, 2000, 0, 3], [700, 300, 0, 50], [700, 301, 0, 900])
    mean = np.array([3.0, 1.0, np.nan, -4.0])
    found = lifetime_values(model, GammaGamma(6.25, 3.74, 15.44), h, mean, Horizon(365))
    assert np.isfinite(found.expected).all()
    assert (found.low_80 <= found.high_80).all()
    assert found.low_80[0] < found.expected[0] < found.high_80[0]


VALUES = st.lists(st.sampled_from([0.0, 0.0, 1.0, 2.0, 3.5, 8.0, 90.0]), min_size=1, max_size=60)


@given(VALUES)
@settings(max_examples=200, deadline=None)
def test_tiers_never_hold_more_than_their_share_and_never_part_equals(values):
    expected = np.array(values)
    cuts = tier_cuts(expected)
    place = tier_of(expected, cuts)
    for i, tier in enumerate(TIERS[:-1]):
        assert (place <= i).sum() <= np.ceil(tier.top_share * expected.size)
    for value in set(values):
        assert len(set(place[expected == value].tolist())) == 1
    assert (place[expected == 0] == len(TIERS) - 1).all()
    assert (np.diff(place[np.argsort(-expected)]) >= 0).all()


def test_tiers_of_different_values_hold_exactly_their_share():
    expected = np.random.default_rng(1).permutation(np.arange(1.0, 2001.0))
    place = tier_of(expected, tier_cuts(expected))
    assert np.bincount(place).tolist() == [20, 80, 200, 1700]
    assert expected[place == 0].min() == 1981


@given(VALUES)
@settings(max_examples=100, deadline=None)
def test_percentiles_are_midranks(values):
    expected = np.array(values)
    below = (expected[None, :] < expected[:, None]).mean(axis=1)
    same = (expected[None, :] == expected[:, None]).mean(axis=1)
    assert percentiles(expected) == pytest.approx(100 * (below + same / 2))


def test_impossible_requests_are_refused():
    with pytest.raises(ModelError, match="shares of tiers"):
        tier_cuts(np.ones(3), (Tier("a", 0.5), Tier("b", 0.2)))
    with pytest.raises(ModelError, match="discount rate"):
        Horizon(365, 10.0)
    with pytest.raises(ModelError, match="mean values"):
        lifetime_values(PooledRate(1.0, 9.0), PooledSpend(1.0, 1.0), shop(), np.ones(3), Horizon(9))
