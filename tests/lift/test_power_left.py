"""Power with the verdict's alpha, before the start and on the way, against the law and others."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from connector.errors import InsufficientDataError, ModelError
from connector.lift.adjustment import cuped, variance_reduction
from connector.lift.intervals import studentised
from connector.lift.joint import JointMoments
from connector.lift.moments import ArmMoments
from connector.lift.power import (
    STANDARD,
    Sensitivity,
    detectable_lift,
    detectable_table,
    final_test,
    power_left,
    power_of,
    required_people,
)
from connector.lift.sequential import Design, Phase, hybrid
from tests.lift.golden.read import golden
from tests.lift.test_power import TABLE


@pytest.mark.parametrize("base", TABLE)
def test_the_table_is_the_published_one(base):
    variation, rows = TABLE[base]
    found = detectable_table(variation, list(rows), [0.01, 0.05, 0.1])
    wanted = [cell for cells in rows.values() for cell in cells]
    assert [(d.n_people, d.holdout_share) for d in found] == [
        (n, share) for n in rows for share in (0.01, 0.05, 0.1)
    ]
    for cell, per_cent in zip(found, wanted, strict=True):
        # The table's own rounding.
        assert 100 * cell.lift == pytest.approx(per_cent, abs=0.53 if per_cent >= 10 else 0.0501)


@pytest.mark.parametrize("row", golden("tea_tasting")["power"])
def test_power_agrees_with_tea_tasting(row):
    n_c = row["n"] / (1 + row["ratio"])
    n_t = row["n"] - n_c
    se = np.sqrt(row["variance"] / n_t + row["variance"] / n_c)
    assert power_of(row["effect"], se, alpha=row["alpha"]) == pytest.approx(row["power"], rel=1e-9)


def test_the_hybrid_plans_with_half_of_alpha():
    assert final_test(Design.FIXED, planned=10_000).alpha == pytest.approx(0.05, rel=1e-12)
    half = final_test(Design.HYBRID, planned=10_000)
    assert half.alpha == pytest.approx(0.025, rel=1e-9)
    assert half.factor == pytest.approx(stats.norm.ppf(0.9875) + stats.norm.ppf(0.8), rel=1e-9)
    wider = detectable_lift(5.0, 9_500, 500, test=half)
    assert wider / detectable_lift(5.0, 9_500, 500) == pytest.approx(half.factor / STANDARD.factor)
    sequence = final_test(Design.SEQUENCE, planned=10_000)
    looks = final_test(Design.OBRIEN_FLEMING, planned=10_000, fractions=[0.5, 1.0])
    assert sequence.alpha < half.alpha < looks.alpha < 0.05


def test_planning_with_the_alpha_of_the_verdict_gives_the_planned_power():
    """At the detectable effect the hybrid's own final interval finds it in eight of ten."""
    rng = np.random.default_rng(5)
    n_t, n_c, runs = 40_000, 10_000, 4_000
    lift = detectable_lift(1.0, n_t, n_c, test=final_test(Design.HYBRID, planned=n_t + n_c))
    found = 0
    for gap in lift + rng.normal(0, np.sqrt(1 / n_t + 1 / n_c), runs):
        t = ArmMoments(n_t, 1 + gap, 1.0, 0.0, n_t, 0.0)
        c = ArmMoments(n_c, 1.0, 1.0, 0.0, n_c, 0.0)
        interval = hybrid(studentised(t, c), Phase.ENDED, n=n_t + n_c, planned=n_t + n_c)
        found += interval.excludes_zero
    assert found / runs == pytest.approx(0.8, abs=0.02)


def test_a_covariate_saves_people_by_what_it_explains():
    assert detectable_lift(5.0, 900, 100, variance_factor=0.64) == pytest.approx(
        0.8 * detectable_lift(5.0, 900, 100)
    )
    assert required_people(5.0, 0.1, 0.1, variance_factor=0.5) == pytest.approx(
        0.5 * required_people(5.0, 0.1, 0.1), rel=1e-4
    )
    rng = np.random.default_rng(6)
    x = rng.normal(0, 1, 60_000)
    y = 10 + 0.6 * x + 0.8 * rng.normal(0, 1, x.size)
    arms = [
        JointMoments.from_values(*part)
        for part in ((y[:54_000], x[:54_000]), (y[54_000:], x[54_000:]))
    ]
    saved = variance_reduction(*arms)
    assert saved == pytest.approx(0.36, abs=0.02)
    raw, adjusted = studentised(arms[0].y, arms[1].y), studentised(*cuped(*arms))
    assert (adjusted.standard_error / raw.standard_error) ** 2 == pytest.approx(1 - saved)
    with pytest.raises(ModelError):
        detectable_lift(5.0, 900, 100, variance_factor=0.0)


def arms_at(n_t: int, n_c: int, gap: float) -> tuple[ArmMoments, ArmMoments]:
    return (
        ArmMoments(n_t, 10.0 + gap, 400.0, 0.0, n_t, 0.0),
        ArmMoments(n_c, 10.0, 400.0, 0.0, n_c, 0.0),
    )


@pytest.mark.parametrize("lift", [0.03, 0.08, -0.05])
@pytest.mark.parametrize("gap", [-0.3, 0.0, 0.8])
def test_the_power_left_is_what_happens_to_campaigns_that_stand_there(lift, gap):
    """Complete a half-finished campaign many times over with the stated effect."""
    rng = np.random.default_rng(7)
    n_t, n_c, more = 9_000, 3_000, 1
    found = power_left(
        *arms_at(n_t, n_c, gap), lift=lift, planned_treatment=2 * n_t, planned_holdout=2 * n_c,
        test=Sensitivity(0.025, 0.8),
    )  # fmt: skip
    rest = rng.normal(lift * 10.0, np.sqrt(400 / (more * n_t) + 400 / (more * n_c)), 200_000)
    end = (gap + rest) / 2
    flagged = np.abs(end) > stats.norm.ppf(1 - 0.0125) * np.sqrt(400 / (2 * n_t) + 400 / (2 * n_c))
    assert found.conditional == pytest.approx(flagged.mean(), abs=0.005)
    assert found.information == pytest.approx(0.5)


def test_with_hardly_anybody_yet_the_power_left_is_the_planned_one():
    found = power_left(
        *arms_at(20, 10, 3.0), lift=0.08, planned_treatment=90_000, planned_holdout=30_000
    )
    assert found.conditional == pytest.approx(found.planned, abs=0.01)
    se = np.sqrt(400 / 90_000 + 400 / 30_000)
    assert found.planned == pytest.approx(power_of(0.8, se, alpha=0.05))
    assert power_of(found.detectable * 10.0, se, alpha=0.05) == pytest.approx(0.8, abs=1e-4)


@pytest.mark.parametrize(("gap", "certain"), [(5.0, 1.0), (0.1, 0.0)])
def test_at_the_end_nothing_is_left_to_chance(gap, certain):
    found = power_left(
        *arms_at(900, 300, gap), lift=0.1, planned_treatment=900, planned_holdout=300
    )
    assert (found.conditional, found.information) == (certain, 1.0)


def test_impossible_plans_are_refused():
    t, c = arms_at(900, 300, 0.0)
    with pytest.raises(ModelError, match="already"):
        power_left(t, c, lift=0.1, planned_treatment=800, planned_holdout=300)
    with pytest.raises(InsufficientDataError):
        power_left(
            t, ArmMoments(300, 0.0, 4.0, 0.0, 0, 0.0), lift=0.1, planned_treatment=900,
            planned_holdout=300,
        )  # fmt: skip
    with pytest.raises(InsufficientDataError):
        power_of(1.0, 0.0, alpha=0.05)
    with pytest.raises(ModelError):
        power_of(1.0, 1.0, alpha=0.0)
    with pytest.raises(ModelError):
        detectable_table(5.0, [100], [0.0])
