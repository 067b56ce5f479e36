"""The release gate of what is adjusted: CUPED, strata and order value keep both their tails.

The bounds are those of the gate for plain revenue (about three standard errors of 10,000 runs
around nominal). Where a method needs more buyers than the 45 of plain revenue, the gate says how
many; ``bench/lift_coverage.md`` has the tables.
"""

from __future__ import annotations

import numpy as np
import pytest

from connector.lift.adjustment import cuped, post_stratified, variance_reduction
from connector.lift.intervals import hall_interval, welch_interval
from connector.lift.ratios import RatioMethod, ratio_difference
from tests.lift.past import PastShop, draw_people, orders, strata, whole
from tests.lift.simulation import Coverage, coverage

RUNS = 10_000
SEED = 20_260_301
N_TREATMENT = 95_000

LOYAL = PastShop()
"""The past explains a tenth of the variance of revenue."""

LOOSE = PastShop(regulars=0.02, often=0.3)
"""It explains 3 %: a shop of occasional buyers."""

CASES = {"45 buyers": (LOOSE, 5_000), "90 buyers": (LOYAL, 10_000)}


def check(found: Coverage) -> None:
    assert found.covered == pytest.approx(0.95, abs=0.0072)
    assert found.false_lift == pytest.approx(0.025, abs=0.0051)
    assert found.false_harm == pytest.approx(0.025, abs=0.0051)


@pytest.fixture(scope="module", params=CASES)
def campaigns(request):
    """Campaigns that do nothing: the two classes of both arms, ten thousand times."""
    shop, n_holdout = CASES[request.param]
    rng = np.random.default_rng(SEED)
    treated = list(strata(rng, shop, N_TREATMENT, RUNS))
    held = list(strata(rng, shop, n_holdout, RUNS))
    return list(zip(treated, held, strict=True))


def test_the_simulation_draws_the_people_it_claims():
    """The joint moments against people drawn one by one, both merged over many."""
    rng = np.random.default_rng(1)
    drawn = [whole(parts) for parts in strata(rng, LOYAL, 200_000, 40)]
    single = draw_people(np.random.default_rng(2), LOYAL, 2_000_000)
    for name in ("covariance", "third_yyx", "third_yxx"):
        mean = np.mean([getattr(m, name) for m in drawn])
        assert mean == pytest.approx(getattr(single, name), rel=0.1)
    assert np.mean([m.y.variance for m in drawn]) == pytest.approx(single.y.variance, rel=0.05)
    assert np.mean([m.y.nonzero_share for m in drawn]) == pytest.approx(LOYAL.rate, rel=0.01)
    assert np.mean([m.x.mean for m in drawn]) == pytest.approx(single.x.mean, rel=0.03)


def test_cuped_keeps_both_tails(campaigns):
    arms = [(whole(t), whole(c)) for t, c in campaigns]
    assert np.mean([variance_reduction(*pair) for pair in arms[:500]]) > 0.02
    check(coverage([hall_interval(*cuped(*pair)) for pair in arms], 0.0))


def test_cuped_without_the_mixed_third_moments_would_not(campaigns):
    """As the other libraries do it: a normal interval of the adjusted outcome."""
    found = coverage([welch_interval(*cuped(whole(t), whole(c))) for t, c in campaigns], 0.0)
    assert found.false_lift > 0.025 + 0.0051


def test_strata_keep_both_tails(campaigns):
    check(
        coverage(
            [post_stratified([(t[0].y, c[0].y), (t[1].y, c[1].y)]) for t, c in campaigns],
            0.0,
        )
    )


def test_order_value_keeps_both_tails():
    rng = np.random.default_rng(SEED + 1)
    pairs = list(
        zip(
            orders(rng, LOYAL, N_TREATMENT, RUNS),
            orders(rng, LOYAL, 10_000, RUNS),
            strict=True,
        )
    )
    check(coverage([ratio_difference(*pair) for pair in pairs], 0.0))
    normal = coverage([ratio_difference(*pair, method=RatioMethod.NORMAL) for pair in pairs], 0.0)
    assert normal.false_lift > 0.025 + 0.0051
