"""Intervals against scipy, statsmodels and root finding on the formulas as published."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize, stats
from statsmodels.stats.proportion import confint_proportions_2indep

from connector.errors import InsufficientDataError, ModelError
from connector.lift.intervals import (
    Interval,
    agresti_caffo_interval,
    hall_interval,
    incremental_roas,
    incremental_total,
    log_ratio_interval,
    untransformed,
    welch_interval,
)
from connector.lift.moments import ArmMoments
from tests.lift.simulation import share_of


def transformed(t: float, g: float) -> float:
    """Hall's transformation, written as in the paper."""
    return t + g * t**2 / 3 + g**2 * t**3 / 27 + g / 6


def two_arms(seed: int, n_t: int = 9_500, n_c: int = 500) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)

    def draw(n: int) -> np.ndarray:
        return np.where(rng.random(n) < 0.04, np.minimum(rng.lognormal(4.35, 0.9, n), 499.0), 0.0)

    return draw(n_t), draw(n_c)


def share(n: int, yes: int) -> ArmMoments:
    p = yes / n
    return ArmMoments(n, p, p * (1 - p) * n / (n - 1), p * (1 - p) * (1 - 2 * p), yes, float(yes))


@given(st.floats(-4, 4), st.floats(-6, 6))
@settings(max_examples=300, deadline=None)
def test_the_inversion_is_exact_for_any_skewness(z, g):
    assert transformed(untransformed(z, g), g) == pytest.approx(z, rel=1e-9, abs=1e-9)


def test_the_inversion_without_skewness_is_the_identity():
    assert untransformed(1.96, 0.0) == 1.96
    assert untransformed(1.96, 1e-300) == pytest.approx(1.96, rel=1e-15)


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("confidence", [0.8, 0.95, 0.999])
def test_hall_bounds_are_the_roots_of_the_published_statistic(seed, confidence):
    x, y = two_arms(seed)
    difference = x.mean() - y.mean()
    se = math.sqrt(x.var(ddof=1) / x.size + y.var(ddof=1) / y.size)
    g = (stats.moment(x, order=3) / x.size**2 - stats.moment(y, order=3) / y.size**2) / se**3
    z = stats.norm.ppf((1 + confidence) / 2)

    def statistic(truth: float) -> float:
        return transformed((difference - truth) / se, g)

    wide = 50 * se
    low = optimize.brentq(lambda d: statistic(d) - z, -wide, wide, xtol=1e-14)
    high = optimize.brentq(lambda d: statistic(d) + z, -wide, wide, xtol=1e-14)
    found = hall_interval(
        ArmMoments.from_values(x), ArmMoments.from_values(y), confidence=confidence
    )
    assert found.estimate == pytest.approx(difference, rel=1e-9)
    assert (found.low, found.high) == pytest.approx((low, high), rel=1e-9, abs=1e-11)
    assert found.confidence == confidence


def test_hall_without_skewness_is_the_normal_interval():
    arm = ArmMoments(400, 10.0, 25.0, 0.0, 400, 4_000.0)
    other = ArmMoments(100, 9.0, 16.0, 0.0, 100, 900.0)
    se = math.sqrt(25 / 400 + 16 / 100)
    found = hall_interval(arm, other)
    assert (found.low, found.high) == pytest.approx(stats.norm.interval(0.95, 1.0, se), rel=1e-12)


def test_hall_shifts_a_small_skewed_holdout_towards_harm():
    """Where the holdout is small and skewed, Welch's interval lies too high."""
    x, y = two_arms(3, 20_000, 400)
    arms = ArmMoments.from_values(x), ArmMoments.from_values(y)
    hall, welch = hall_interval(*arms), welch_interval(*arms)
    assert hall.low < welch.low
    assert hall.high < welch.high


def test_swapping_the_arms_mirrors_the_interval():
    x, y = map(ArmMoments.from_values, two_arms(4))
    for method in (hall_interval, welch_interval, agresti_caffo_interval):
        there, back = method(x, y), method(y, x)
        assert (there.low, there.high) == pytest.approx((-back.high, -back.low), rel=1e-9)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("confidence", [0.9, 0.95, 0.99])
def test_welch_agrees_with_scipy(seed, confidence):
    x, y = two_arms(seed)
    wanted = stats.ttest_ind(x, y, equal_var=False).confidence_interval(confidence)
    found = welch_interval(
        ArmMoments.from_values(x), ArmMoments.from_values(y), confidence=confidence
    )
    assert (found.low, found.high) == pytest.approx((wanted.low, wanted.high), rel=1e-9)


@pytest.mark.parametrize(
    ("n_t", "yes_t", "n_c", "yes_c"),
    [(95_000, 870, 5_000, 40), (100, 7, 90, 0), (50, 50, 40, 39), (10, 0, 10, 0), (30, 3, 900, 9)],
)
@pytest.mark.parametrize("confidence", [0.9, 0.95, 0.99])
def test_agresti_caffo_agrees_with_statsmodels(n_t, yes_t, n_c, yes_c, confidence):
    wanted = confint_proportions_2indep(
        yes_t, n_t, yes_c, n_c, method="agresti-caffo", compare="diff", alpha=1 - confidence
    )
    found = agresti_caffo_interval(share(n_t, yes_t), share(n_c, yes_c), confidence=confidence)
    assert (found.low, found.high) == pytest.approx(wanted, rel=1e-9)
    assert found.estimate == pytest.approx(yes_t / n_t - yes_c / n_c, abs=1e-15)


@pytest.mark.parametrize("counts", [(95_000, 870, 5_000, 40), (100, 7, 90, 3)])
def test_log_ratio_agrees_with_statsmodels_on_shares(counts):
    n_t, yes_t, n_c, yes_c = counts
    wanted = confint_proportions_2indep(yes_t, n_t, yes_c, n_c, compare="ratio", method="log")

    def population(n: int, yes: int) -> ArmMoments:
        p = yes / n
        return ArmMoments(n, p, p * (1 - p), 0.0, yes, float(yes))

    found = log_ratio_interval(population(n_t, yes_t), population(n_c, yes_c))
    assert (1 + found.low, 1 + found.high) == pytest.approx(wanted, rel=1e-9)
    assert found.estimate == pytest.approx((yes_t / n_t) / (yes_c / n_c) - 1, rel=1e-9)


def test_log_ratio_agrees_with_the_delta_method_worked_out_by_hand():
    x, y = two_arms(5)
    variance = (stats.sem(x) / x.mean()) ** 2 + (stats.sem(y) / y.mean()) ** 2
    bounds = stats.norm.interval(0.95, math.log(x.mean() / y.mean()), math.sqrt(variance))
    found = log_ratio_interval(ArmMoments.from_values(x), ArmMoments.from_values(y))
    assert (found.low, found.high) == pytest.approx(np.expm1(bounds), rel=1e-9)


@pytest.mark.parametrize(("mean_t", "mean_c"), [(1.0, 0.0), (1.0, -2.0), (0.0, 1.0), (-1.0, 2.0)])
def test_a_percentage_of_nothing_or_less_is_refused(mean_t, mean_c):
    arms = [ArmMoments(100, m, 4.0, 0.0, 50, 100 * m) for m in (mean_t, mean_c)]
    with pytest.raises(InsufficientDataError, match="positive mean"):
        log_ratio_interval(*arms)
    assert hall_interval(*arms).estimate == mean_t - mean_c


@pytest.mark.parametrize("method", [hall_interval, welch_interval, log_ratio_interval])
def test_too_little_raises_instead_of_answering(method):
    fine = ArmMoments.from_values([0.0, 1.0, 2.0])
    with pytest.raises(InsufficientDataError, match="two people"):
        method(fine, ArmMoments.from_values([1.0]))
    with pytest.raises(InsufficientDataError, match="the same"):
        method(ArmMoments.from_values([1.0] * 5), ArmMoments.from_values([1.0] * 4))


def test_one_arm_without_variance_still_has_an_interval():
    """Nobody in the holdout bought: the other arm alone carries the uncertainty."""
    treated = ArmMoments.from_values([0.0] * 90 + [50.0] * 10)
    nobody = ArmMoments.from_values([0.0] * 20)
    for method in (hall_interval, welch_interval):
        found = method(treated, nobody)
        assert found.low < found.estimate == 5.0 < found.high


@pytest.mark.parametrize("confidence", [0.0, 1.0, -1.0, 95.0, math.nan])
def test_impossible_confidence_is_refused(confidence):
    arm = ArmMoments.from_values([0.0, 1.0, 2.0])
    for method in (hall_interval, welch_interval, log_ratio_interval, agresti_caffo_interval):
        with pytest.raises(ModelError, match="Confidence"):
            method(arm, arm, confidence=confidence)


def test_totals_and_return_on_spend_scale_the_interval():
    total = incremental_total(Interval(0.5, -0.1, 1.1, 0.95), 9_000)
    assert total == Interval(4_500.0, -900.0, 9_900.0, 0.95)
    assert incremental_roas(total, 1_800.0) == Interval(2.5, -0.5, 5.5, 0.95)
    for cost in (0.0, -1.0, math.nan):
        with pytest.raises(InsufficientDataError):
            incremental_roas(total, cost)
    with pytest.raises(ModelError):
        total.scaled(-1.0)


@pytest.mark.parametrize(
    ("low", "high", "excludes"), [(0.1, 1, True), (-1, -0.1, True), (-1, 1, False), (0, 1, False)]
)
def test_excludes_zero(low, high, excludes):
    assert Interval(0.0, low, high, 0.95).excludes_zero is excludes


def test_share_moments_of_the_simulation_are_those_of_the_zeros_and_ones():
    x, _ = two_arms(6)
    found = share_of(ArmMoments.from_values(x))
    wanted = ArmMoments.from_values((x > 0).astype(float))
    assert found.variance == pytest.approx(wanted.variance, rel=1e-9)
    assert found.third_central == pytest.approx(wanted.third_central, rel=1e-9)
