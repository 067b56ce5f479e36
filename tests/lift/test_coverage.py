"""The release gate: do the intervals hold what they promise, on each side, on revenue as it is?

The bounds are fixed by the requirement (about three standard errors of 10,000 runs around nominal)
and not by what was measured.
"""

from __future__ import annotations

import numpy as np
import pytest

from connector.lift.intervals import (
    agresti_caffo_interval,
    hall_interval,
    welch_interval,
)
from connector.lift.moments import ArmMoments
from connector.lift.power import expected_buyers, expected_rarer
from connector.lift.verdict import Evidence, Unit, Verdict, judge
from tests.lift.simulation import Shop, arms, coverage, share_of

RUNS = 10_000
SEED = 20_260_301
REFERENCE = Shop()
N_TREATMENT, N_HOLDOUT = 95_000, 5_000


@pytest.fixture(scope="module")
def null_arms():
    """A campaign that does nothing, ten thousand times."""
    rng = np.random.default_rng(SEED)
    return (
        list(arms(rng, REFERENCE, N_TREATMENT, RUNS)),
        list(arms(rng, REFERENCE, N_HOLDOUT, RUNS)),
    )


def test_the_simulation_draws_the_shop_it_claims():
    rng = np.random.default_rng(1)
    merged = [m.mean for m in arms(rng, REFERENCE, N_TREATMENT, 400)]
    assert np.mean(merged) == pytest.approx(REFERENCE.mean, rel=0.01)
    # The same moments from people drawn one by one.
    rng = np.random.default_rng(2)
    baskets = np.minimum(rng.lognormal(4.35, 0.9, 400_000), 499.0)
    people = np.where(rng.random(400_000) < 0.009, baskets, 0.0)
    single, drawn = ArmMoments.from_values(people), next(iter(arms(rng, REFERENCE, 400_000, 1)))
    assert drawn.variance == pytest.approx(single.variance, rel=0.1)
    assert drawn.third_central == pytest.approx(single.third_central, rel=0.2)


def test_hall_covers_each_tail_on_the_reference_revenue(null_arms):
    found = coverage([hall_interval(t, h) for t, h in zip(*null_arms, strict=True)], 0.0)
    assert found.covered == pytest.approx(0.95, abs=0.0072)
    assert found.false_lift == pytest.approx(0.025, abs=0.0051)
    assert found.false_harm == pytest.approx(0.025, abs=0.0051)


def test_welch_would_not_have_passed(null_arms):
    """The published 5.9 / 0.9: the gate can tell a method that is wrong here."""
    found = coverage([welch_interval(t, h) for t, h in zip(*null_arms, strict=True)], 0.0)
    assert found.false_lift == pytest.approx(0.059, abs=0.0075)
    assert found.false_harm == pytest.approx(0.009, abs=0.003)


def test_agresti_caffo_covers_conversion(null_arms):
    found = coverage(
        [agresti_caffo_interval(share_of(t), share_of(h)) for t, h in zip(*null_arms, strict=True)],
        0.0,
    )
    assert found.covered == pytest.approx(0.95, abs=0.0072)
    assert max(found.false_lift, found.false_harm) < 0.035


@pytest.mark.parametrize("lift", [0.8, 1.2, 1.5])
def test_a_known_effect_is_covered(lift):
    rng = np.random.default_rng(SEED + 1)
    better = Shop(rate=REFERENCE.rate * lift)
    treated = list(arms(rng, better, N_TREATMENT, 3_000))
    held = list(arms(rng, REFERENCE, 6_000, 3_000))
    revenue = coverage(
        [hall_interval(t, h) for t, h in zip(treated, held, strict=True)],
        better.mean - REFERENCE.mean,
    )
    conversion = coverage(
        [
            agresti_caffo_interval(share_of(t), share_of(h))
            for t, h in zip(treated, held, strict=True)
        ],
        better.rate - REFERENCE.rate,
    )
    assert 0.93 < revenue.covered < 0.97
    assert 0.93 < conversion.covered < 0.97


def test_a_dearer_basket_is_covered():
    """The effect on what buyers spend, not on how many buy."""
    rng = np.random.default_rng(SEED + 2)
    better = Shop(mu=REFERENCE.mu + 0.2)
    treated = arms(rng, better, N_TREATMENT, 3_000)
    held = arms(rng, REFERENCE, 6_000, 3_000)
    found = coverage(
        [hall_interval(t, h) for t, h in zip(treated, held, strict=True)],
        better.mean - REFERENCE.mean,
    )
    assert 0.93 < found.covered < 0.97


@pytest.mark.parametrize("outcome", ["revenue", "conversion"])
def test_a_campaign_without_effect_wins_and_loses_at_the_nominal_rate(outcome):
    """Through the whole rule book, with 58 buyers expected so that verdicts are given."""
    rng = np.random.default_rng(SEED + 3)
    words = []
    for t, h in zip(
        arms(rng, REFERENCE, 93_500, RUNS), arms(rng, REFERENCE, 6_500, RUNS), strict=True
    ):
        if outcome == "revenue":
            evidence = Evidence(hall_interval(t, h), expected_buyers(t, h), h.mean)
        else:
            a, b = share_of(t), share_of(h)
            evidence = Evidence(agresti_caffo_interval(a, b), expected_rarer(a, b), b.mean)
        words.append(judge(evidence, flat_margin=0.01, unit=Unit("EUR per person")).verdict)
    wins, losses = words.count(Verdict.WIN) / RUNS, words.count(Verdict.LOSS) / RUNS
    assert wins + losses == pytest.approx(0.05, abs=0.0072)
    assert wins + losses + words.count(Verdict.NOT_ENOUGH_DATA) / RUNS == pytest.approx(1.0)
    assert wins < 0.035
    assert losses < 0.035
