"""The gate on years of campaigns whose truth is known; `python -m bench.lift_years` runs 500.

Bounds are those of a binomial count around its nominal rate (chance of a false alarm about 1 in
1,000), so they follow from the number of years and not from what was found.
"""

from __future__ import annotations

import pytest
from scipy import stats

from bench import lift_years
from connector.lift.verdict import Verdict

YEARS = 60
ONCE_IN = 0.001
ALPHA = 1 - lift_years.HYBRID.confidence


@pytest.fixture(scope="module")
def tallies():
    return lift_years.simulate(YEARS, seed=7)


def at_most(rate: float) -> int:
    """Most of the years in which something of this rate happens."""
    return int(stats.binom.ppf(1 - ONCE_IN, YEARS, rate))


@pytest.mark.parametrize("campaign", lift_years.EFFECTS)
@pytest.mark.parametrize("metric", [m.name for m in lift_years.METRICS])
def test_intervals_hold_the_truth_and_words_are_wrong_no_more_often_than_said(
    tallies, campaign, metric
):
    one = tallies[campaign, metric]
    assert one.n == YEARS
    assert YEARS - one.covered <= at_most(ALPHA / 2)
    assert max(one.above, one.below) <= at_most(ALPHA / 4)
    ever, final = one.wrong
    assert ever <= at_most(ALPHA)
    assert final <= at_most(ALPHA / 2)
    assert one.words[Verdict.DO_NOT_TRUST] <= at_most(0.001)


def test_what_is_there_is_found(tallies):
    """A gate that always says nothing would pass all of the above."""
    helps = tallies["helps", "conversion_30d"]
    harms = tallies["harms", "conversion_30d"]
    assert helps.words[Verdict.WIN] > YEARS / 2
    assert harms.words[Verdict.LOSS] > YEARS / 2
    assert tallies["nothing", "conversion_30d"].words[Verdict.NOT_ENOUGH_DATA] > 0.8 * YEARS
