"""Score intervals against statsmodels, the likelihood maximised, and a published example."""

from __future__ import annotations

import math

import pytest
from scipy import optimize, special, stats
from statsmodels.stats.proportion import (
    confint_proportions_2indep,
    score_test_proportions_2indep,
)

from connector.lift.shares import miettinen_nurminen_interval, newcombe_interval, score_p
from tests.lift.test_intervals import share

COUNTS = [
    (95_000, 870, 5_000, 40), (100, 7, 90, 0), (50, 50, 40, 39), (30, 3, 900, 9), (12, 0, 15, 2),
    (9_500, 9_400, 500, 480),
]  # fmt: skip


@pytest.mark.parametrize(("n_t", "yes_t", "n_c", "yes_c"), COUNTS)
@pytest.mark.parametrize("confidence", [0.9, 0.95, 0.99])
def test_newcombe_agrees_with_statsmodels(n_t, yes_t, n_c, yes_c, confidence):
    wanted = confint_proportions_2indep(
        yes_t, n_t, yes_c, n_c, method="newcomb", compare="diff", alpha=1 - confidence
    )
    found = newcombe_interval(share(n_t, yes_t), share(n_c, yes_c), confidence=confidence)
    assert (found.low, found.high) == pytest.approx(wanted, rel=1e-9, abs=1e-12)


def published_score(n_t: int, yes_t: int, n_c: int, yes_c: int, truth: float) -> float:
    """The statistic with its constrained estimate found by maximising the likelihood.

    Not by statsmodels' ``score_test_proportions_2indep``: release 0.14 has the holdout's successes
    where the published cubic has its size, and misses the published example below.
    """

    def loss(p_c: float) -> float:
        p_t = p_c + truth
        return -float(
            special.xlogy(yes_t, p_t) + special.xlog1py(n_t - yes_t, -p_t)
            + special.xlogy(yes_c, p_c) + special.xlog1py(n_c - yes_c, -p_c)
        )  # fmt: skip

    ends = max(0.0, -truth), min(1.0, 1.0 - truth)
    p_c = optimize.minimize_scalar(loss, bounds=ends, method="bounded", options={"xatol": 1e-12}).x
    p_t, n = p_c + truth, n_t + n_c
    variance = (p_t * (1 - p_t) / n_t + p_c * (1 - p_c) / n_c) * n / (n - 1)
    return (yes_t / n_t - yes_c / n_c - truth) / math.sqrt(variance)


@pytest.mark.parametrize(("n_t", "yes_t", "n_c", "yes_c"), COUNTS)
@pytest.mark.parametrize("confidence", [0.9, 0.95, 0.99])
def test_miettinen_nurminen_inverts_the_published_score_test(n_t, yes_t, n_c, yes_c, confidence):
    found = miettinen_nurminen_interval(share(n_t, yes_t), share(n_c, yes_c), confidence=confidence)
    z = stats.norm.ppf((1 + confidence) / 2)
    for bound, wanted in ((found.low, z), (found.high, -z)):
        assert published_score(n_t, yes_t, n_c, yes_c, bound) == pytest.approx(wanted, abs=2e-5)
    assert found.low <= found.estimate <= found.high


def test_the_published_example():
    """Newcombe (1998), table II, row (a): 56/70 against 48/80."""
    a, b = share(70, 56), share(80, 48)
    found = newcombe_interval(a, b)
    assert (found.low, found.high) == pytest.approx((0.0524, 0.3339), abs=5e-5)
    found = miettinen_nurminen_interval(a, b)
    assert (found.low, found.high) == pytest.approx((0.0528, 0.3382), abs=5e-5)


@pytest.mark.parametrize(("n_t", "yes_t", "n_c", "yes_c"), COUNTS)
def test_the_p_value_is_statsmodels(n_t, yes_t, n_c, yes_c):
    wanted = score_test_proportions_2indep(yes_t, n_t, yes_c, n_c, compare="diff")[1]
    assert score_p(share(n_t, yes_t), share(n_c, yes_c)) == pytest.approx(wanted, rel=1e-9)


def test_certain_answers_have_bounds():
    found = miettinen_nurminen_interval(share(50, 50), share(40, 0))
    assert found.high == 1.0
    assert 0.8 < found.low < 1.0
    none = miettinen_nurminen_interval(share(50, 0), share(40, 0))
    assert -0.2 < none.low < 0 < none.high < 0.2
    assert score_p(share(50, 0), share(40, 0)) == 1.0
