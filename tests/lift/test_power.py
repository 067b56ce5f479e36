"""Detectable effects against the published table, statsmodels, and simulation."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.power import NormalIndPower

from connector.errors import InsufficientDataError, ModelError
from connector.lift.moments import ArmMoments
from connector.lift.power import (
    Sensitivity,
    detectable_lift,
    expected_buyers,
    expected_rarer,
    planned_buyers,
    required_people,
    share_variation,
)

TABLE = {
    # base: {people: per cent for holdouts of 1, 5 and 10 %}
    "conversion 1 %": (
        share_variation(0.01),
        {10_000: (280, 128, 93), 100_000: (89, 40, 29), 1_000_000: (28, 13, 9.3)},
    ),
    "conversion 5 %": (
        share_variation(0.05),
        {10_000: (123, 56, 41), 100_000: (39, 18, 13), 1_000_000: (12, 5.6, 4.1)},
    ),
    "revenue, CV 5": (
        5.0,
        {10_000: (141, 64, 47), 100_000: (44, 20, 15), 1_000_000: (14, 6.4, 4.7)},
    ),
    "revenue, CV 17.75": (
        17.75,
        {10_000: (500, 228, 166), 100_000: (158, 72, 52), 1_000_000: (50, 23, 17)},
    ),
}
CELLS = [
    pytest.param(variation, people, holdout, per_cent, id=f"{base}, {people}, {holdout}")
    for base, (variation, rows) in TABLE.items()
    for people, cells in rows.items()
    for holdout, per_cent in zip((0.01, 0.05, 0.10), cells, strict=True)
]


@pytest.mark.parametrize(("variation", "people", "holdout", "per_cent"), CELLS)
def test_the_published_table_is_reproduced(variation, people, holdout, per_cent):
    n_holdout = round(people * holdout)
    found = 100 * detectable_lift(variation, people - n_holdout, n_holdout)
    # The table's own rounding: whole numbers from 10 on (it says 44 for 44.52), else one decimal.
    assert found == pytest.approx(per_cent, abs=0.53 if per_cent >= 10 else 0.0501)


def test_the_factor_is_the_published_one():
    assert Sensitivity().factor == pytest.approx(2.8016, abs=5e-5)


@pytest.mark.parametrize("alpha", [0.01, 0.025, 0.05, 0.1])
@pytest.mark.parametrize("power", [0.5, 0.8, 0.9])
def test_power_at_the_detectable_effect_agrees_with_statsmodels(alpha, power):
    variation, n_t, n_c = 4.0, 9_000, 1_000
    lift = detectable_lift(variation, n_t, n_c, test=Sensitivity(alpha, power))
    found = NormalIndPower().power(lift / variation, nobs1=n_t, ratio=n_c / n_t, alpha=alpha)
    z = stats.norm.ppf(1 - alpha / 2)
    opposite = stats.norm.sf(z + Sensitivity(alpha, power).factor)  # statsmodels counts it as well
    assert found == pytest.approx(power + opposite, abs=1e-9)


def test_required_people_is_the_inverse():
    people = required_people(4.0, 0.05, 0.1)
    at, below = (
        detectable_lift(4.0, round(n * 0.9), round(n * 0.1)) for n in (people, people * 0.98)
    )
    assert at == pytest.approx(0.05, rel=1e-4)
    assert below > 0.05


def test_a_simulated_campaign_at_the_detectable_effect_is_found_in_eight_of_ten():
    rng = np.random.default_rng(13)
    n_t, n_c, rate, runs = 45_000, 5_000, 0.05, 20_000
    lift = detectable_lift(share_variation(rate), n_t, n_c)
    p_t = rng.binomial(n_t, rate * (1 + lift), runs) / n_t
    p_c = rng.binomial(n_c, rate, runs) / n_c
    se = np.sqrt(p_t * (1 - p_t) / n_t + p_c * (1 - p_c) / n_c)
    assert float((np.abs(p_t - p_c) / se > 1.96).mean()) == pytest.approx(0.8, abs=0.03)


def test_expected_buyers_pool_the_rate_and_take_the_smaller_arm():
    treated = ArmMoments(9_000, 1.0, 1.0, 0.0, 180, 9_000.0)
    held = ArmMoments(1_000, 1.0, 1.0, 0.0, 10, 1_000.0)
    assert expected_buyers(treated, held) == pytest.approx(190 / 10_000 * 1_000)
    assert expected_buyers(held, treated) == expected_buyers(treated, held)
    assert planned_buyers(0.019, 9_000, 1_000) == pytest.approx(19)


def test_a_share_of_nearly_everybody_is_as_uncertain_as_of_nearly_nobody():
    def share(n: int, yes: int) -> ArmMoments:
        p = yes / n
        return ArmMoments(n, p, p * (1 - p), 0.0, yes, float(yes))

    rare = expected_rarer(share(9_000, 90), share(1_000, 10))
    common = expected_rarer(share(9_000, 8_910), share(1_000, 990))
    assert rare == pytest.approx(common) == pytest.approx(10)


def test_impossible_input_is_refused():
    for alpha, power in ((0.0, 0.8), (0.05, 1.0), (0.5, 0.4), (1.5, 1.8)):
        with pytest.raises(ModelError):
            Sensitivity(alpha, power)
    for rate in (0.0, 1.0, -0.1):
        with pytest.raises(InsufficientDataError):
            share_variation(rate)
    with pytest.raises(InsufficientDataError):
        detectable_lift(5.0, 100, 0)
    with pytest.raises(InsufficientDataError):
        detectable_lift(0.0, 100, 100)
    with pytest.raises(InsufficientDataError):
        required_people(0.0, 0.1, 0.1)
    with pytest.raises(ModelError):
        required_people(5.0, 0.0, 0.1)
    with pytest.raises(ModelError):
        required_people(5.0, 0.1, 1.0)
