"""The split at every gate, the arms before the campaign, and people treated as another arm."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from connector.domain import Arm, Level
from connector.errors import InsufficientDataError, ModelError
from connector.lift.health import (
    ALARM_BELOW,
    Contamination,
    Gate,
    Intake,
    first_alarm,
    gate_ratios,
    pre_period_bias,
    sample_ratio,
)
from connector.lift.moments import ArmMoments
from tests.lift.golden.read import golden
from tests.lift.simulation import Shop, arms

T, N = Arm.TREATMENT, Arm.NO_CONTACT
SPLIT = {T: 0.95, N: 0.05}


def intake(n_t: int, n_c: int) -> list[Intake]:
    return [Intake(SPLIT, {T: n_t, N: n_c})]


@pytest.mark.parametrize("row", golden("tea_tasting")["srm"])
def test_the_split_test_agrees_with_tea_tasting(row):
    """With two arms chi-square is the square of their normal test without a correction."""
    share = row["ratio"] / (1 + row["ratio"])
    found = sample_ratio([Intake({T: share, N: 1 - share}, {T: row["n_t"], N: row["n_c"]})])
    assert found.p_value == pytest.approx(row["p"], rel=1e-9)


def test_the_first_broken_gate_is_named():
    found = gate_ratios(
        {
            Gate.JOINED: intake(94_000, 4_000),
            Gate.ASSIGNED: intake(95_050, 4_950),
            Gate.WOULD_SEND: intake(94_900, 4_300),
            Gate.ELIGIBLE: intake(95_000, 4_940),
        }
    )
    assert list(found) == list(Gate)
    assert [ratio.alarm for ratio in found.values()] == [False, False, True, True]
    gate, ratio = first_alarm(found)
    assert gate is Gate.WOULD_SEND
    assert ratio.p_value < ALARM_BELOW


def test_an_arm_lost_on_the_way_alarms_at_its_gate():
    found = gate_ratios({Gate.ASSIGNED: intake(950, 50), Gate.WOULD_SEND: intake(940, 0)})
    assert found[Gate.WOULD_SEND].empty_arms == (N,)
    assert first_alarm(found)[0] is Gate.WOULD_SEND


def test_gates_that_nobody_passed_yet_are_not_tested():
    found = gate_ratios({Gate.ASSIGNED: intake(950, 50), Gate.JOINED: intake(0, 0)})
    assert list(found) == [Gate.ASSIGNED]
    assert first_alarm(found) is None
    assert gate_ratios({}) == {}


def test_bias_before_is_found_at_one_in_a_thousand():
    """On a symmetric covariate the test is the plain z test."""
    rng = np.random.default_rng(1)
    half_x, half_y = rng.normal(0, 2, 2_000), rng.normal(0, 2, 500)
    x, y = (10 + np.concatenate([half, -half]) for half in (half_x, half_y))
    se = np.sqrt(x.var(ddof=1) / x.size + y.var(ddof=1) / y.size)
    for gap, alarm in ((3.1, False), (3.5, True)):
        found = pre_period_bias(ArmMoments.from_values(x + gap * se), ArmMoments.from_values(y))
        assert found.p_value == pytest.approx(2 * stats.norm.sf(gap), rel=1e-6)
        assert found.difference == pytest.approx(gap * se)
        assert found.alarm is alarm


def test_a_skewed_covariate_raises_no_more_false_alarms_than_promised():
    """Revenue before the campaign, 45 buyers held out: the plain z test would alarm far more."""
    rng = np.random.default_rng(2)
    pairs = list(
        zip(arms(rng, Shop(), 30_000, 4_000), arms(rng, Shop(), 5_000, 4_000), strict=True)
    )
    found = sum(pre_period_bias(t, c).alarm for t, c in pairs)
    plain = sum(
        abs(t.mean - c.mean) > 3.2905 * np.sqrt(t.variance / t.n + c.variance / c.n)
        for t, c in pairs
    )
    # The chance of more than 12 among 4,000 at one in a thousand is 0.0003.
    assert found <= 12 < plain


def test_nothing_to_compare_before_raises():
    with pytest.raises(InsufficientDataError):
        pre_period_bias(ArmMoments.from_values([1.0]), ArmMoments.from_values([1.0, 2.0]))


@pytest.mark.parametrize(
    ("merged", "reached", "level"),
    [(0, 0, Level.OK), (99, 0, Level.OK), (100, 0, Level.WARNING), (0, 9, Level.OK),
     (0, 10, Level.WARNING), (0, 99, Level.WARNING), (0, 100, Level.ERROR),
     (1_000, 5, Level.ERROR)],
)  # fmt: skip
def test_contamination_is_told_from_one_and_alarms_from_ten_per_cent(merged, reached, level):
    found = Contamination(10_000, merged, 1_000, reached)
    assert found.level is level
    assert found.alarm is (level is Level.ERROR)
    assert (f"{reached:,} of 1,000" in found.message) is bool(merged or reached)


def test_contamination_of_nobody_and_impossible_counts():
    assert Contamination(0, 0, 0, 0).level is Level.OK
    for counts in ((10, 11, 5, 0), (10, 0, 5, 6), (10, 0, 11, 0), (10, -1, 5, 0)):
        with pytest.raises(ModelError):
            Contamination(*counts)
