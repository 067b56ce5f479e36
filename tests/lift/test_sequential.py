"""Sequential designs against gbstats, published boundaries, the normal law, real experiments."""

from __future__ import annotations

import math
import os
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize, stats

from connector.errors import InsufficientDataError, ModelError
from connector.lift.intervals import Studentised, hall_interval, studentised, welch_interval
from connector.lift.moments import ArmMoments
from connector.lift.sequential import (
    Design,
    Phase,
    always_valid_p,
    asymptotic_critical,
    confidence_sequence,
    critical_at,
    hybrid,
    obrien_fleming,
)
from tests.lift.golden.read import golden

SHARED = Path(os.environ.get("LIFTLINE_SHARED", Path(__file__).parents[3] / "shared"))
ASOS = SHARED / "data" / "asos_ab" / "asos_digital_experiments_dataset.parquet"
COMPARISON = ["experiment_id", "variant_id", "metric_id"]


@pytest.mark.parametrize("case", golden("gbstats")["cases"])
def test_the_sequence_agrees_with_gbstats(case):
    t, c = (case["arms"][arm] for arm in ("treatment", "holdout"))
    n = t["n"] + c["n"]
    se = math.sqrt(t["var_money"] / t["n"] + c["var_money"] / c["n"])
    difference = t["mean_money"] - c["mean_money"]
    found = confidence_sequence(
        difference, se, n, planned=case["planned"], confidence=1 - case["alpha"]
    )
    assert (found.low, found.high) == pytest.approx((case["low"], case["high"]), rel=1e-9)
    p = always_valid_p(difference / se, n, planned=case["planned"], alpha=case["alpha"])
    assert p == pytest.approx(case["p"], rel=1e-9)


@pytest.fixture(scope="module")
def asos():
    """ASOS' experiments: 381 comparisons looked at again and again (CC BY 4.0, osf.io/64jsb)."""
    if not ASOS.exists():
        pytest.skip("the shared data set of ASOS' experiments is not here (set LIFTLINE_SHARED)")
    data = pq.read_table(ASOS).to_pandas()
    squared = data["variance_t"] / data["count_t"] + data["variance_c"] / data["count_c"]
    data = data.assign(se=np.sqrt(squared), difference=data["mean_t"] - data["mean_c"])
    return data[data["se"] > 0].sort_values("time_since_start")


@pytest.mark.data
def test_real_experiments_flag_as_published(asos):
    z = stats.norm.ppf(0.975)
    naive = asos.assign(flag=asos["difference"].abs() > z * asos["se"]).groupby(COMPARISON)["flag"]
    assert naive.ngroups == 381
    assert int(naive.any().sum()) == 225
    assert int(naive.last().sum()) == 105
    assert int((naive.any() & ~naive.last()).sum()) == 120
    flags = [
        confidence_sequence(d, se, round(t + c), planned=5_000).excludes_zero
        for d, se, t, c in asos[["difference", "se", "count_t", "count_c"]].itertuples(index=False)
    ]
    assert int(asos.assign(flag=flags).groupby(COMPARISON)["flag"].any().sum()) == 71


@pytest.mark.data
def test_real_experiments_agree_with_gbstats_row_by_row(asos):
    wanted = golden("asos")
    last = asos.groupby(COMPARISON).last()
    assert len(wanted["rows"]) == len(last) == 381
    for experiment, variant, metric, low, high in wanted["rows"]:
        row = last.loc[experiment, variant, metric]
        found = confidence_sequence(
            row["difference"], row["se"], round(row["count_t"] + row["count_c"]),
            planned=wanted["planned"],
        )  # fmt: skip
        assert (found.low, found.high) == pytest.approx((low, high), rel=1e-9)


@given(st.integers(1, 10**8), st.integers(1, 10**8), st.floats(0.001, 0.5))
@settings(max_examples=200, deadline=None)
def test_the_p_value_is_alpha_where_the_sequence_touches_zero(n, planned, alpha):
    critical = asymptotic_critical(n, planned=planned, alpha=alpha)
    assert critical > stats.norm.ppf(1 - alpha / 2)
    assert always_valid_p(critical, n, planned=planned, alpha=alpha) == pytest.approx(
        alpha, rel=1e-6
    )
    assert always_valid_p(0.0, n, planned=planned, alpha=alpha) == 1.0


def test_the_sequence_is_narrowest_about_the_planned_number():
    """The critical value, what it costs over a fixed look, is smallest there."""
    criticals = {
        n: asymptotic_critical(n, planned=10_000, alpha=0.05) for n in (100, 10_000, 10**6)
    }
    assert min(criticals, key=criticals.get) == 10_000
    assert asymptotic_critical(10_000, planned=100, alpha=0.05) > criticals[10_000]
    assert asymptotic_critical(10_000, planned=10**6, alpha=0.05) > criticals[10_000]


PUBLISHED = {
    # Lan and DeMets' O'Brien-Fleming boundaries, two-sided 5 %, equally spaced looks.
    2: (2.9626, 1.9686),
    3: (3.7103, 2.5114, 1.9930),
    4: (4.3326, 2.9631, 2.3590, 2.0141),
    5: (4.8769, 3.3569, 2.6803, 2.2898, 2.0310),
}


@pytest.mark.parametrize("looks", PUBLISHED)
def test_equally_spaced_boundaries_are_the_published_ones(looks):
    """Reboussin, DeMets, Kim & Lan (2000), Controlled Clinical Trials 21; gsDesign's sfLDOF.

    Their program's own grid leaves about one in the last digit open.
    """
    found = obrien_fleming([i / looks for i in range(1, looks + 1)], alpha=0.05)
    assert found == pytest.approx(PUBLISHED[looks], abs=1.5e-4)


@pytest.mark.parametrize(
    ("times", "alpha"),
    [((0.5, 1.0), 0.05), ((0.2, 0.25, 1.0), 0.05), ((0.3, 0.7, 0.9, 1.0), 0.025), ((0.6,), 0.05)],
)
def test_what_is_spent_is_the_chance_to_leave_by_the_normal_law(times, alpha):
    """The chance that no look of correlated normal statistics passes its bound, by integration."""
    bounds = np.array(obrien_fleming(times, alpha=alpha))
    t = np.array(times)
    z = stats.norm.ppf(1 - alpha / 4)
    spent = 4 * stats.norm.sf(z / np.sqrt(t[-1]))
    correlation = np.sqrt(np.minimum.outer(t, t) / np.maximum.outer(t, t))
    law = stats.multivariate_normal(np.zeros(t.size), correlation, abseps=1e-8, releps=1e-8, seed=1)
    stay = law.cdf(bounds, lower_limit=-bounds)
    assert 1 - stay == pytest.approx(spent, abs=2e-6)
    if times[-1] == 1.0:
        assert spent == pytest.approx(alpha, rel=1e-12)


def test_one_look_at_the_end_is_the_fixed_test():
    assert obrien_fleming([1.0], alpha=0.05) == pytest.approx([stats.norm.ppf(0.975)], rel=1e-12)


def test_later_looks_do_not_move_earlier_bounds():
    times = [i / 12 for i in range(1, 13)]
    whole = obrien_fleming(times, alpha=0.05)
    for k in (1, 5, 11):
        assert obrien_fleming(times[:k], alpha=0.05) == pytest.approx(whole[:k], rel=1e-12)


def test_a_very_early_look_has_a_bound_that_nothing_passes():
    first, *_, last = obrien_fleming([1e-4, 0.5, 1.0], alpha=0.05)
    assert 20 < first < math.inf
    assert last == pytest.approx(PUBLISHED[2][1], abs=1.1e-4)


@pytest.mark.parametrize(
    "times", [(), (0.0, 1.0), (0.5, 0.5), (0.7, 0.5), (0.5, 1.01), (-0.5, 1.0)]
)
def test_impossible_looks_are_refused(times):
    with pytest.raises(ModelError):
        obrien_fleming(times, alpha=0.05)


def skewed() -> tuple[ArmMoments, ArmMoments]:
    rng = np.random.default_rng(4)
    return tuple(
        ArmMoments.from_values(np.where(rng.random(n) < 0.05, rng.lognormal(4, 0.9, n), 0.0))
        for n in (19_000, 1_000)
    )


def test_the_hybrid_is_the_sequence_and_then_the_fixed_interval_at_half_of_alpha():
    flat = [ArmMoments(n, m, 4.0, 0.0, n, n * m) for n, m in ((9_000, 1.1), (1_000, 1.0))]
    found = studentised(*flat)
    running = hybrid(found, Phase.RUNNING, n=10_000, planned=20_000)
    sequence = confidence_sequence(
        found.estimate, found.standard_error, 10_000, planned=20_000, confidence=0.975
    )
    assert (running.low, running.high) == pytest.approx((sequence.low, sequence.high), rel=1e-12)
    ended = hybrid(found, Phase.ENDED, n=10_000, planned=20_000)
    fixed = stats.norm.interval(0.975, found.estimate, found.standard_error)
    assert (ended.low, ended.high) == pytest.approx(fixed, rel=1e-12)
    assert running.confidence == ended.confidence == pytest.approx(0.975)
    t, c = skewed()
    ended = hybrid(studentised(t, c), Phase.ENDED, n=20_000, planned=20_000)
    wanted = hall_interval(t, c, confidence=0.975)
    assert (ended.low, ended.high) == pytest.approx((wanted.low, wanted.high), rel=1e-12)


def test_a_look_bounds_the_statistic_from_which_skewness_is_taken():
    """Root finding on the published statistic at the published critical value."""
    found = studentised(*skewed())
    critical = asymptotic_critical(20_000, planned=50_000, alpha=0.025)
    bounds = hybrid(found, Phase.RUNNING, n=20_000, planned=50_000)

    def statistic(truth: float) -> float:
        t, g = (found.estimate - truth) / found.standard_error, found.skewness
        return t + g * t**2 / 3 + g**2 * t**3 / 27 + g / 6

    wide = 200 * found.standard_error
    for bound, sign in ((bounds.low, 1), (bounds.high, -1)):
        root = optimize.brentq(lambda d, s=sign: statistic(d) - s * critical, -wide, wide)
        assert bound == pytest.approx(root, rel=1e-8)
    # The holdout is the smaller and skewed one: both bounds lie lower than the symmetric ones.
    plain = confidence_sequence(
        found.estimate, found.standard_error, 20_000, planned=50_000, confidence=0.975
    )
    assert bounds.low < plain.low
    assert bounds.high < plain.high
    assert welch_interval(*skewed()).high < plain.high


def test_every_design_has_its_critical_value():
    def value(design: Design, phase: Phase = Phase.ENDED, **kwargs) -> float:
        return critical_at(design, phase, n=5_000, planned=5_000, **kwargs).value

    assert value(Design.FIXED) == pytest.approx(1.959964, abs=1e-6)
    assert value(Design.HYBRID) == pytest.approx(2.241403, abs=1e-6)
    assert value(Design.OBRIEN_FLEMING, fractions=[0.5, 1.0]) == pytest.approx(1.9686, abs=1e-4)
    assert value(Design.OBRIEN_FLEMING, fractions=[0.5]) == pytest.approx(2.9626, abs=1e-4)
    assert value(Design.SEQUENCE) == pytest.approx(
        asymptotic_critical(5_000, planned=5_000, alpha=0.05)
    )
    assert value(Design.HYBRID, Phase.RUNNING) == pytest.approx(
        asymptotic_critical(5_000, planned=5_000, alpha=0.025)
    )
    with pytest.raises(InsufficientDataError, match="end date"):
        value(Design.FIXED, Phase.RUNNING)


@pytest.mark.parametrize(
    ("n", "planned", "alpha"), [(0, 10, 0.05), (10, 0, 0.05), (10, 10, 0.0), (10, 10, 1.0)]
)
def test_impossible_sequences_are_refused(n, planned, alpha):
    with pytest.raises(ModelError):
        asymptotic_critical(n, planned=planned, alpha=alpha)
    with pytest.raises(ModelError):
        always_valid_p(1.0, n, planned=planned, alpha=alpha)


def test_nothing_that_varies_has_no_sequence():
    with pytest.raises(InsufficientDataError):
        confidence_sequence(1.0, 0.0, 100, planned=100)
    with pytest.raises(InsufficientDataError):
        Studentised(1.0, math.nan, 0.0)
