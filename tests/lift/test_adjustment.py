"""CUPED and post-stratification against tea-tasting, least squares and the people themselves."""

from __future__ import annotations

import math

import numpy as np
import pytest
from statsmodels.api import OLS

from connector.errors import InsufficientDataError, ModelError
from connector.lift.adjustment import (
    collapse_thin,
    covariate_check,
    cuped,
    cuped_arms,
    pooled_theta,
    post_stratified,
    variance_reduction,
)
from connector.lift.estimate import Methods, estimate
from connector.lift.intervals import hall_interval, welch_interval
from connector.lift.joint import JointMoments
from connector.lift.metrics import MetricKind
from connector.lift.moments import ArmMoments
from tests.lift.golden.read import golden, joint
from tests.lift.test_joint import people, same

CASES = golden("tea_tasting")["cases"]
BOTH = ("treatment", "holdout")


def two(seed: int, n_t: int = 900, n_c: int = 300) -> tuple[JointMoments, JointMoments]:
    y, x = people(seed, n_t + n_c)
    return JointMoments.from_values(y[:n_t], x[:n_t]), JointMoments.from_values(y[n_t:], x[n_t:])


@pytest.mark.parametrize("case", CASES)
def test_cuped_agrees_with_tea_tasting(case):
    adjusted = cuped(*(joint(case["arms"][arm], "money", "before") for arm in BOTH))
    wanted = case["answers"]["cuped"]
    found = welch_interval(*adjusted)
    assert (adjusted[0].mean, adjusted[1].mean) == pytest.approx(
        (wanted["treatment"], wanted["control"]), rel=1e-9
    )
    assert (found.estimate, found.low, found.high) == pytest.approx(
        tuple(wanted[f"effect_size{end}"] for end in ("", "_ci_lower", "_ci_upper")), rel=1e-9
    )


@pytest.mark.parametrize("case", CASES)
def test_the_percentage_beside_it_is_adjusted_too(case):
    """tea-tasting's; and never of another sign than the difference that it stands beside."""
    arms = [joint(case["arms"][arm], "money", "before") for arm in BOTH]
    found = estimate(MetricKind.SUM, *arms, Methods(adjusts=True))
    relative = found.relative(0.95)
    wanted = case["answers"]["cuped"]["rel_effect_size"]
    assert relative.estimate == pytest.approx(wanted, rel=1e-9)
    assert (relative.estimate > 0) == (found.estimate > 0)


def test_theta_is_the_slope_of_least_squares_over_everybody():
    y, x = people(1, 1_200)
    wanted = OLS(y, np.column_stack([np.ones(x.size), x])).fit().params[1]
    cut = [
        JointMoments.from_values(*part)
        for part in zip(*map(np.split, (y, x), [[500, 700]] * 2), strict=True)
    ]
    assert pooled_theta(*cut) == pytest.approx(wanted, rel=1e-9)


def test_the_adjusted_arm_is_what_adjusting_every_person_gives():
    y, x = people(2, 1_000)
    arms = [JointMoments.from_values(y[:700], x[:700]), JointMoments.from_values(y[700:], x[700:])]
    adjusted_people = y - pooled_theta(*arms) * (x - x.mean())
    for found, values in zip(
        cuped(*arms), (adjusted_people[:700], adjusted_people[700:]), strict=True
    ):
        same(found, values)


def test_a_covariate_far_from_zero_costs_no_digits():
    y, x = people(3, 800)
    near = cuped(*(JointMoments.from_values(y[s], x[s]) for s in (slice(500), slice(500, 800))))
    far = cuped(
        *(JointMoments.from_values(y[s], x[s] + 1e9) for s in (slice(500), slice(500, 800)))
    )
    for a, b in zip(near, far, strict=True):
        assert b.mean == pytest.approx(a.mean, rel=1e-6)
        assert b.third_central == pytest.approx(a.third_central, rel=1e-5)


def test_the_variance_falls_by_the_squared_correlation():
    arms = two(4, 60_000, 40_000)
    pooled = arms[0].merge(arms[1])
    assert variance_reduction(*arms) == pytest.approx(pooled.correlation**2, abs=0.01)
    assert variance_reduction(*arms) > 0.1


def test_a_covariate_that_does_not_vary_changes_nothing():
    y, _ = people(5, 400)
    arms = [JointMoments.from_values(part, np.ones(part.size)) for part in np.split(y, [300])]
    assert pooled_theta(*arms) == 0.0
    assert cuped(arms[0], arms[1]) == (arms[0].y, arms[1].y)
    assert variance_reduction(*arms) == 0.0


def test_three_arms_share_one_theta():
    y, x = people(6, 900)
    arms = [JointMoments.from_values(y[i::3], x[i::3]) for i in range(3)]
    adjusted = cuped_arms(arms)
    theta = pooled_theta(*arms)
    centre = x.mean()
    for i, found in enumerate(adjusted):
        same(found, y[i::3] - theta * (x[i::3] - centre))


def test_a_covariate_that_the_campaign_changed_is_found_out():
    y, x = people(7, 4_000)
    fine = (
        JointMoments.from_values(y[:2_000], x[:2_000]),
        JointMoments.from_values(y[2_000:], x[2_000:]),
    )
    assert not covariate_check(*fine).alarm
    late = JointMoments.from_values(y[:2_000], x[:2_000] * 1.6), fine[1]
    found = covariate_check(*late)
    assert found.alarm
    assert "differed before" in found.message


def stratum(seed: int, n_t: int, n_c: int, level: float) -> tuple[ArmMoments, ArmMoments]:
    rng = np.random.default_rng(seed)
    return tuple(ArmMoments.from_values(level * rng.gamma(0.5, 1.0, n)) for n in (n_t, n_c))


def test_one_stratum_is_the_plain_difference():
    part = stratum(1, 400, 60, 10.0)
    found, wanted = post_stratified([part], confidence=0.9), hall_interval(*part, confidence=0.9)
    assert (found.estimate, found.low, found.high) == pytest.approx(
        (wanted.estimate, wanted.low, wanted.high), rel=1e-12
    )


def test_the_estimate_and_its_variance_are_those_of_weighted_least_squares_within_strata():
    """Fully interacted least squares gives the same estimate and, by hand, the same variance."""
    rng = np.random.default_rng(8)
    group = rng.integers(0, 3, 900)
    treated = rng.random(900) < 0.8
    y = rng.gamma(0.7, 1.0, 900) * (1 + 4 * group)
    parts = [
        tuple(ArmMoments.from_values(y[(group == g) & (treated == arm)]) for arm in (True, False))
        for g in range(3)
    ]
    dummies = np.column_stack([group == g for g in range(3)]).astype(float)
    fit = OLS(y, np.hstack([dummies, dummies * treated[:, None]])).fit()
    weights = dummies.mean(axis=0)
    found = post_stratified(parts)
    assert found.estimate == pytest.approx(weights @ fit.params[3:], rel=1e-9)
    # By people: each one's weight in the estimate times the distance from the cell's mean.
    variance = third = 0.0
    for g in range(3):
        for arm in (True, False):
            cell = y[(group == g) & (treated == arm)]
            d = cell - cell.mean()
            w = weights[g] / cell.size
            variance += w**2 * (d**2).sum() * cell.size / (cell.size - 1)
            third += (1 if arm else -1) * w**3 * (d**3).sum()
    g1 = third / variance**1.5
    for bound, z in ((found.low, 1.959963984540054), (found.high, -1.959963984540054)):
        t = (found.estimate - bound) / math.sqrt(variance)
        assert t + g1 * t**2 / 3 + g1**2 * t**3 / 27 + g1 / 6 == pytest.approx(z, rel=1e-9)


def test_strata_that_explain_the_outcome_narrow_the_interval():
    parts = [stratum(i, 2_000, 200, level) for i, level in enumerate((1.0, 10.0, 100.0))]
    merged = tuple(parts[0][arm].merge(parts[1][arm]).merge(parts[2][arm]) for arm in (0, 1))
    plain, within = hall_interval(*merged), post_stratified(parts)
    assert within.high - within.low < 0.9 * (plain.high - plain.low)


def test_thin_strata_become_one_and_nobody_is_lost():
    big, mid = stratum(1, 400, 60, 1.0), stratum(2, 90, 30, 2.0)
    thin, thinner = stratum(3, 20, 1, 3.0), stratum(4, 15, 1, 4.0)
    alone = (stratum(5, 4, 1, 1.0)[0], None)
    found = collapse_thin([big, thin, mid, thinner])
    assert found.n_collapsed == 1
    assert [(t.n, c.n) for t, c in found.parts] == [(400, 60), (90, 30), (35, 2)]
    found = collapse_thin([big, thin, mid, alone])
    assert found.n_collapsed == 2
    assert [(t.n, c.n) for t, c in found.parts] == [(400, 60), (90 + 20 + 4, 31)]
    assert collapse_thin([big, mid]).n_collapsed == 0
    assert len(collapse_thin([big, mid], least=50).parts) == 1
    assert post_stratified([big, thin, mid, alone]).low < post_stratified([big, mid]).high


def test_nothing_to_compare_within_raises():
    t, c = stratum(1, 5, 1, 1.0)
    for parts in ([], [(t, None)], [(None, c)]):
        with pytest.raises(InsufficientDataError):
            post_stratified(parts)
    with pytest.raises(InsufficientDataError, match="two people"):
        post_stratified([(t, c)])
    flat = ArmMoments.from_values([1.0] * 5)
    with pytest.raises(InsufficientDataError, match="the same"):
        post_stratified([(flat, flat)])
    with pytest.raises(ModelError):
        collapse_thin([(t, t)], least=1)
