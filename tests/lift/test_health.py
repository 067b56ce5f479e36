"""The split test against scipy's chi-square test, and its alarms."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from connector.domain import Arm, Level
from connector.errors import InsufficientDataError, ModelError
from connector.lift.health import ALARM_BELOW, Intake, sample_ratio

T, B, N = Arm.TREATMENT, Arm.BUSINESS_AS_USUAL, Arm.NO_CONTACT
SHARES = {T: 0.85, B: 0.05, N: 0.10}


@pytest.mark.parametrize(
    "counts", [(8_500, 500, 1_000), (8_450, 530, 1_020), (8_300, 600, 1_100), (9_000, 400, 600)]
)
def test_the_p_value_is_that_of_scipy(counts):
    found = sample_ratio([Intake(SHARES, dict(zip(SHARES, counts, strict=True)))])
    wanted = stats.chisquare(counts, [sum(counts) * s for s in SHARES.values()])
    assert found.p_value == pytest.approx(wanted.pvalue, rel=1e-9)
    assert found.alarm is bool(wanted.pvalue < ALARM_BELOW)


def test_shares_that_changed_are_expected_version_by_version():
    before = Intake({T: 0.9, N: 0.1}, {T: 9_020, N: 980})
    after = Intake({T: 0.5, N: 0.5}, {T: 2_480, N: 2_520})
    found = sample_ratio([before, after])
    wanted = stats.chisquare([11_500, 3_500], [9_000 + 2_500, 1_000 + 2_500])
    assert found.expected == {T: 11_500.0, N: 3_500.0}
    assert found.p_value == pytest.approx(wanted.pvalue, rel=1e-9)
    assert not found.alarm
    # Against either version alone the very same people would have been a false alarm.
    pooled = {T: 11_500, N: 3_500}
    assert sample_ratio([Intake(before.shares, pooled)]).alarm
    assert sample_ratio([Intake(after.shares, pooled)]).alarm


def test_an_arm_added_later_is_expected_from_then_on():
    found = sample_ratio(
        [
            Intake({T: 0.9, N: 0.1}, {T: 9_000, N: 1_000}),
            Intake(SHARES, {T: 850, B: 50, N: 100}),
        ]
    )
    assert found.expected[B] == pytest.approx(50)
    assert found.p_value == pytest.approx(1.0)


def test_an_empty_arm_alarms_although_the_data_does_not_mention_it():
    found = sample_ratio([Intake(SHARES, {T: 900, N: 100})])
    assert found.empty_arms == (B,)
    assert found.alarm
    assert "business-as-usual" in found.message
    assert found.finding("campaigns.winback").level is Level.ERROR
    assert found.finding("campaigns.winback").hint


def test_an_empty_treatment_arm_alarms_too():
    assert sample_ratio([Intake({T: 0.5, N: 0.5}, {N: 40})]).empty_arms == (T,)


def test_nobody_drawn_yet_for_a_small_share_is_no_alarm():
    found = sample_ratio([Intake({T: 0.9, N: 0.1}, {T: 8})])
    assert not found.alarm
    assert found.empty_arms == ()
    assert found.p_value is None
    assert found.finding("x").level is Level.OK


@pytest.mark.parametrize(("n", "alarm"), [(65, False), (66, True)])
def test_the_empty_arm_alarms_where_chance_falls_below_one_in_a_thousand(n, alarm):
    assert (0.9**n < ALARM_BELOW) is alarm
    assert sample_ratio([Intake({T: 0.9, N: 0.1}, {T: n})]).alarm is alarm


def test_people_in_an_arm_that_nobody_is_meant_for_alarm():
    found = sample_ratio([Intake({T: 0.9, N: 0.1}, {T: 90, N: 9, B: 1})])
    assert found.alarm
    assert found.p_value == 0.0


def test_a_campaign_without_holdout_has_nothing_to_test():
    found = sample_ratio([Intake({T: 1.0}, {T: 500})])
    assert found.p_value is None
    assert not found.alarm


def test_false_alarms_are_as_rare_as_promised():
    """4,000 honest splits of two versions each: 4 alarms expected, 13 would be 4.5 sigma off."""
    rng = np.random.default_rng(11)
    first = rng.multinomial(2_000, [0.85, 0.05, 0.10], size=4_000)
    second = rng.multinomial(1_000, [0.6, 0.1, 0.3], size=4_000)
    later = {T: 0.6, B: 0.1, N: 0.3}
    alarms = sum(
        sample_ratio(
            [
                Intake(SHARES, dict(zip(SHARES, map(int, a), strict=True))),
                Intake(later, dict(zip(later, map(int, b), strict=True))),
            ]
        ).alarm
        for a, b in zip(first, second, strict=True)
    )
    assert alarms <= 12


def test_a_real_loss_of_people_is_found():
    """Five in a hundred of the treated lost on the way, in a campaign of 100,000."""
    rng = np.random.default_rng(12)
    treated, held = rng.multinomial(100_000, [0.9, 0.1])
    kept = int(rng.binomial(treated, 0.95))
    assert sample_ratio([Intake({T: 0.9, N: 0.1}, {T: kept, N: int(held)})]).alarm


def test_impossible_input_is_refused():
    with pytest.raises(ModelError, match="add up to 1"):
        Intake({T: 0.9, N: 0.2}, {})
    with pytest.raises(ModelError, match="add up to 1"):
        Intake({T: 1.1, N: -0.1}, {})
    with pytest.raises(InsufficientDataError):
        sample_ratio([])
    with pytest.raises(InsufficientDataError):
        sample_ratio([Intake(SHARES, {})])
