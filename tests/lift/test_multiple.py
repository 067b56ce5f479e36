"""Corrections against statsmodels and tea-tasting, p-values against their intervals."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.multitest import multipletests

from connector.errors import ModelError
from connector.lift.adjustment import post_stratified, stratified
from connector.lift.intervals import (
    agresti_caffo_interval,
    hall_interval,
    log_ratio_interval,
    studentised,
    welch_interval,
)
from connector.lift.moments import ArmMoments
from connector.lift.multiple import (
    agresti_caffo_p,
    benjamini_hochberg,
    difference_p,
    dual_p,
    false_coverage_confidence,
    hall_p,
    log_ratio_p,
    selected,
    welch_p,
)
from connector.lift.shares import miettinen_nurminen_interval, score_p
from tests.lift.golden.read import arm, golden
from tests.lift.test_adjustment import stratum
from tests.lift.test_intervals import share, two_arms

TEA = golden("tea_tasting")


def test_adjusted_p_values_are_those_of_tea_tasting():
    assert benjamini_hochberg(TEA["fdr"]["p"]) == pytest.approx(TEA["fdr"]["adjusted"], rel=1e-9)


@given(st.lists(st.floats(0, 1), max_size=30), st.sampled_from([0.01, 0.05, 0.2]))
@settings(max_examples=200, deadline=None)
def test_adjusted_p_values_are_those_of_statsmodels(p_values, q):
    found = benjamini_hochberg(p_values)
    if p_values:
        wanted = multipletests(p_values, alpha=q, method="fdr_bh")[1]
        assert found == pytest.approx(wanted, rel=1e-12)
    assert selected(p_values, q=q) == tuple(p <= q for p in found)
    assert all(a >= p for a, p in zip(found, p_values, strict=True))


def test_selection_of_the_original_paper():
    """Benjamini & Hochberg (1995), section 3: 15 p-values, four are selected at 5 %."""
    p_values = [0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344, 0.0459, 0.3240,
                0.4262, 0.5719, 0.6528, 0.7590, 1.0000]  # fmt: skip
    assert selected(p_values, q=0.05) == (True,) * 4 + (False,) * 11


def test_selected_intervals_miss_no_more_than_promised():
    """Benjamini & Yekutieli's law: the false coverage rate of what is selected is at most q."""
    rng = np.random.default_rng(7)
    effects = np.repeat([0.0, 0.5, 3.0], [14, 4, 2])
    corrected, plain = [], []
    for _ in range(2_000):
        estimates = effects + rng.normal(size=effects.size)
        chosen = np.array(selected(list(2 * stats.norm.sf(np.abs(estimates))), q=0.1))
        if not chosen.any():
            corrected.append(0.0)
            plain.append(0.0)
            continue
        level = false_coverage_confidence(int(chosen.sum()), effects.size, q=0.1)
        misses = np.abs(estimates - effects)[chosen]
        corrected.append((misses > stats.norm.ppf((1 + level) / 2)).mean())
        plain.append((misses > stats.norm.ppf(0.95)).mean())
    assert np.mean(corrected) <= 0.1
    assert np.mean(plain) > 0.12


@pytest.mark.parametrize(("n_selected", "level"), [(0, 0.95), (1, 0.9975), (10, 0.975), (20, 0.95)])
def test_the_level_of_selected_intervals(n_selected, level):
    assert false_coverage_confidence(n_selected, 20, q=0.05) == pytest.approx(level)


@pytest.mark.parametrize(
    ("interval", "p"),
    [
        (hall_interval, difference_p),
        (welch_interval, welch_p),
        (log_ratio_interval, log_ratio_p),
    ],
)
@pytest.mark.parametrize("seed", range(4))
def test_p_values_are_dual_to_their_intervals(interval, p, seed):
    x, y = map(ArmMoments.from_values, two_arms(seed))
    wanted = p(x, y)
    assert dual_p(lambda level: interval(x, y, confidence=level)) == pytest.approx(wanted, rel=1e-6)
    assert not interval(x, y, confidence=1 - wanted * 0.999).excludes_zero
    assert interval(x, y, confidence=1 - wanted * 1.001).excludes_zero


@pytest.mark.parametrize(
    ("interval", "p"),
    [(agresti_caffo_interval, agresti_caffo_p), (miettinen_nurminen_interval, score_p)],
)
@pytest.mark.parametrize("counts", [(95_000, 870, 5_000, 30), (100, 17, 90, 2), (30, 3, 900, 9)])
def test_p_values_of_shares_are_dual_to_their_intervals(interval, p, counts):
    t, c = share(*counts[:2]), share(*counts[2:])
    wanted = p(t, c)
    assert dual_p(lambda level: interval(t, c, confidence=level)) == pytest.approx(wanted, rel=1e-5)


def test_the_p_value_of_strata_is_dual_to_their_interval():
    parts = [stratum(i, 900, 100, level) for i, level in enumerate((1.0, 1.3, 2.0))]
    found = dual_p(lambda level: post_stratified(parts, confidence=level))
    assert hall_p(stratified(parts)) == pytest.approx(found, rel=1e-6)


@pytest.mark.parametrize("case", TEA["cases"])
def test_welchs_p_value_is_tea_tastings(case):
    arms = [arm(case["arms"][name], "money") for name in ("treatment", "holdout")]
    assert welch_p(*arms) == pytest.approx(case["answers"]["welch"]["pvalue"], rel=1e-9)
    assert log_ratio_p(*arms) > 0


def test_without_skewness_halls_p_value_is_the_normal_one():
    found = studentised(
        ArmMoments(400, 10.0, 25.0, 0.0, 400, 4e3), ArmMoments(100, 9.0, 16.0, 0.0, 100, 900.0)
    )
    assert hall_p(found) == pytest.approx(2 * stats.norm.sf(1 / np.sqrt(25 / 400 + 16 / 100)))


def test_p_values_at_the_ends():
    same = ArmMoments.from_values([0.0, 1.0] * 50)
    assert dual_p(lambda level: welch_interval(same, same, confidence=level)) == 1.0
    far = ArmMoments.from_values([1e6, 1e6 + 1.0] * 50)
    assert dual_p(lambda level: welch_interval(far, same, confidence=level)) <= 1e-12


def test_impossible_corrections_are_refused():
    with pytest.raises(ModelError):
        benjamini_hochberg([0.5, 1.5])
    with pytest.raises(ModelError):
        benjamini_hochberg([float("nan")])
    with pytest.raises(ModelError):
        selected([0.5], q=0.0)
    for counts in ((3, 2), (-1, 2), (0, 0)):
        with pytest.raises(ModelError):
            false_coverage_confidence(*counts, q=0.05)
