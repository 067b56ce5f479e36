"""Ratios against tea-tasting, the people themselves, and Fieller's statistic by root finding."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import optimize, stats

from connector.errors import InsufficientDataError
from connector.lift.intervals import hall_interval, welch_interval
from connector.lift.joint import JointMoments
from connector.lift.moments import ArmMoments
from connector.lift.ratios import (
    Estimate,
    RatioMethod,
    fieller_interval,
    linearised,
    ratio_difference,
    ratio_relative,
)
from tests.lift.golden.read import golden, joint
from tests.lift.test_joint import same

CASES = golden("tea_tasting")["cases"]
BOTH = ("treatment", "holdout")
EFFECT = ("effect_size", "effect_size_ci_lower", "effect_size_ci_upper")
RELATIVE = tuple(f"rel_{name}" for name in EFFECT)


def orders(seed: int, n: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    count = rng.poisson(0.3, n).astype(float)
    return count * rng.lognormal(4, 0.6, n), count


@pytest.mark.parametrize("case", CASES)
def test_the_normal_interval_agrees_with_tea_tasting(case):
    arms = [joint(case["arms"][arm], "money", "orders") for arm in BOTH]
    wanted = case["answers"]["ratio_normal"]
    found = ratio_difference(*arms, method=RatioMethod.NORMAL)
    assert (found.estimate, found.low, found.high) == pytest.approx(
        [wanted[k] for k in EFFECT], rel=1e-9
    )
    relative = ratio_relative(*arms)
    assert (relative.estimate, relative.low, relative.high) == pytest.approx(
        [wanted[k] for k in RELATIVE], rel=1e-9, abs=1e-10
    )
    by_t = case["answers"]["ratio"]
    student = welch_interval(*map(linearised, arms))
    assert (student.low, student.high) == pytest.approx([by_t[k] for k in EFFECT[1:]], rel=1e-9)


def test_the_default_is_halls_interval_of_the_linearised_people():
    people = [orders(1, 3_000), orders(2, 800)]
    values = []
    for y, x in people:
        ratio = y.sum() / x.sum()
        values.append(ratio + (y - ratio * x) / x.mean())
    arms = [JointMoments.from_values(y, x) for y, x in people]
    for arm, linear in zip(arms, values, strict=True):
        same(linearised(arm), linear)
    wanted = hall_interval(*map(ArmMoments.from_values, values))
    found = ratio_difference(*arms)
    assert (found.estimate, found.low, found.high) == pytest.approx(
        (wanted.estimate, wanted.low, wanted.high), rel=1e-9
    )


def test_where_only_buyers_count_it_is_the_mean_among_buyers():
    """An order value with at most one order each is a plain mean over those who bought."""
    rng = np.random.default_rng(3)
    bought = rng.random(20_000) < 0.05
    y = np.where(bought, rng.lognormal(4, 0.6, bought.size), 0.0)
    found = linearised(JointMoments.from_values(y, bought.astype(float)))
    assert found.mean == pytest.approx(y[bought].mean(), rel=1e-12)
    assert math.sqrt(found.variance / found.n) == pytest.approx(stats.sem(y[bought]), rel=0.001)


def test_a_ratio_without_a_denominator_is_refused():
    fine = JointMoments.from_values(*orders(4, 500))
    nobody = JointMoments.from_values(np.zeros(50), np.zeros(50))
    one = JointMoments.from_values([5.0] + [0.0] * 20, [1.0] + [0.0] * 20)
    for bad in (nobody, one):
        with pytest.raises(InsufficientDataError, match="denominator"):
            ratio_difference(fine, bad)
        with pytest.raises(InsufficientDataError, match="denominator"):
            ratio_relative(bad, fine)


@pytest.mark.parametrize(
    ("a", "va", "b", "vb", "cov"),
    [(5.0, 1.0, 10.0, 1.0, 0.0), (-3.0, 4.0, 8.0, 2.0, 1.1), (0.0, 1.0, 3.0, 0.5, -0.4),
     (2.0, 0.3, -6.0, 1.0, 0.2), (100.0, 900.0, 40.0, 0.0, 0.0)],
)  # fmt: skip
@pytest.mark.parametrize("confidence", [0.8, 0.95])
def test_fieller_bounds_are_where_the_statistic_is_the_quantile(a, va, b, vb, cov, confidence):
    z = stats.norm.ppf((1 + confidence) / 2)

    def statistic(r: float) -> float:
        return (a - r * b) ** 2 / (va - 2 * r * cov + r * r * vb) - z * z

    found = fieller_interval(Estimate(a, va), Estimate(b, vb), cov, confidence=confidence)
    assert found.estimate == pytest.approx(a / b)
    low = optimize.brentq(statistic, found.estimate - 100, found.estimate, xtol=1e-13)
    high = optimize.brentq(statistic, found.estimate, found.estimate + 100, xtol=1e-13)
    assert (found.low, found.high) == pytest.approx((low, high), rel=1e-9, abs=1e-11)


def test_a_known_denominator_only_scales():
    found = fieller_interval(Estimate(10.0, 4.0), Estimate(5.0, 0.0))
    assert (found.low, found.high) == pytest.approx(np.array(stats.norm.interval(0.95, 10, 2)) / 5)


def test_fieller_says_when_there_are_no_bounds():
    with pytest.raises(InsufficientDataError, match="no bounds"):
        fieller_interval(Estimate(5.0, 1.0), Estimate(1.9, 1.0))
    with pytest.raises(InsufficientDataError, match="no bounds"):
        fieller_interval(Estimate(5.0, 1.0), Estimate(0.0, 0.0))
    with pytest.raises(InsufficientDataError, match="varies"):
        fieller_interval(Estimate(5.0, 0.0), Estimate(1.0, 0.0))
    assert fieller_interval(Estimate(5.0, 1.0), Estimate(2.0, 1.0)).high > 50
