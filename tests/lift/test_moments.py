"""Moments against numpy, scipy and exact rational arithmetic; merged, shifted and from SQL."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from connector.errors import InsufficientDataError, ModelError
from connector.lift.moments import ArmMoments, Cell, merge_all
from connector.lift.scan import read_moments, scan_sql
from connector.warehouse.macros import ENGINES
from connector.warehouse.render import render


def revenue(seed: int, n: int = 5_000, rate: float = 0.05) -> np.ndarray:
    rng = np.random.default_rng(seed)
    bought = rng.random(n) < rate
    return np.where(bought, np.round(rng.lognormal(4.35, 0.9, n), 2), 0.0)


def exact(values: list[float]) -> tuple[float, float, float]:
    """Mean, sample variance and third central moment in rational arithmetic."""
    x = [Fraction(v) for v in values]
    mean = sum(x) / len(x)
    variance = sum((v - mean) ** 2 for v in x) / (len(x) - 1)
    third = sum((v - mean) ** 3 for v in x) / len(x)
    return float(mean), float(variance), float(third)


def assert_same(found: ArmMoments, wanted: ArmMoments, rel: float = 1e-9) -> None:
    assert (found.n, found.n_nonzero) == (wanted.n, wanted.n_nonzero)
    assert found.mean == pytest.approx(wanted.mean, rel=rel)
    assert found.variance == pytest.approx(wanted.variance, rel=rel)
    assert found.third_central == pytest.approx(wanted.third_central, rel=rel)
    assert found.total == pytest.approx(wanted.total, rel=rel)


def test_from_values_agrees_with_numpy_and_scipy():
    x = revenue(1)
    found = ArmMoments.from_values(x)
    assert found.n == x.size
    assert found.mean == pytest.approx(np.mean(x), rel=1e-12)
    assert found.variance == pytest.approx(np.var(x, ddof=1), rel=1e-12)
    assert found.third_central == pytest.approx(stats.moment(x, order=3), rel=1e-12)
    assert found.n_nonzero == np.count_nonzero(x)
    assert found.total == pytest.approx(math.fsum(x), rel=1e-12)
    assert found.nonzero_share == np.count_nonzero(x) / x.size
    assert found.coefficient_of_variation == pytest.approx(stats.variation(x, ddof=1), rel=1e-12)


def test_values_shifted_by_a_hundred_million_keep_their_spread():
    x = np.random.default_rng(2).integers(0, 50, 4_001).astype(float)
    plain, shifted = ArmMoments.from_values(x), ArmMoments.from_values(x + 1e8)
    _, variance, third = exact(list(x))
    assert plain.variance == pytest.approx(variance, rel=1e-13)
    assert shifted.variance == pytest.approx(variance, rel=1e-9)
    assert shifted.third_central == pytest.approx(third, rel=1e-7, abs=1e-6)
    assert shifted.mean - 1e8 == pytest.approx(plain.mean, rel=1e-8)


def test_shifted_parts_merge_without_losing_the_spread():
    x = np.random.default_rng(3).integers(0, 50, 4_001).astype(float) + 1e8
    merged = merge_all(ArmMoments.from_values(part) for part in np.array_split(x, 17))
    assert merged.variance == pytest.approx(exact(list(x))[1], rel=1e-9)


@given(
    st.lists(
        st.lists(st.integers(-10_000, 10_000).map(lambda k: k / 4), min_size=1, max_size=12),
        min_size=1,
        max_size=6,
    )
)
@settings(max_examples=200, deadline=None)
def test_merged_parts_equal_the_whole_in_exact_arithmetic(parts):
    whole = [x for part in parts for x in part]
    merged = merge_all(ArmMoments.from_values(part) for part in parts)
    assert merged.n == len(whole)
    assert merged.n_nonzero == sum(x != 0 for x in whole)
    if len(whole) > 1:
        mean, variance, third = exact(whole)
        scale = max(abs(x) for x in whole) or 1.0
        assert merged.mean == pytest.approx(mean, rel=1e-9, abs=1e-12 * scale)
        assert merged.variance == pytest.approx(variance, rel=1e-9, abs=1e-12 * scale**2)
        assert merged.third_central == pytest.approx(third, rel=1e-9, abs=1e-11 * scale**3)
    else:
        assert math.isnan(merged.variance)


def test_merging_is_commutative_and_associative():
    a, b, c = (ArmMoments.from_values(revenue(seed, n)) for seed, n in ((4, 10), (5, 999), (6, 77)))
    assert_same(a.merge(b), b.merge(a))
    assert_same(a.merge(b).merge(c), a.merge(b.merge(c)))


def test_impossible_moments_are_refused():
    with pytest.raises(InsufficientDataError):
        ArmMoments.from_values([])
    with pytest.raises(InsufficientDataError):
        merge_all([])
    with pytest.raises(ModelError):
        ArmMoments.from_values([1.0, math.nan])
    with pytest.raises(ModelError):
        ArmMoments.from_values([1.0, math.inf])
    with pytest.raises(ModelError):
        ArmMoments(2, 1.0, -1.0, 0.0, 1, 2.0)
    with pytest.raises(ModelError):
        ArmMoments(2, 1.0, 1.0, 0.0, 3, 2.0)
    with pytest.raises(InsufficientDataError):
        _ = ArmMoments.from_values([0.0, 0.0]).coefficient_of_variation


def load_units(warehouse, columns: dict[str, np.ndarray], arm: np.ndarray, **more) -> None:
    n = arm.size
    warehouse.load(
        "lift_units",
        pa.table(
            {
                "campaign": more.get("campaign", ["winback"] * n),
                "epoch": pa.array(more.get("epoch", [1] * n), pa.int32()),
                "arm": arm,
                "profile_id": [f"p{i}" for i in range(n)],
                **columns,
            }
        ),
    )


def test_sql_agrees_with_numpy_for_every_cell(warehouse):
    rng = np.random.default_rng(7)
    n = 6_000
    campaign = rng.choice(["winback", "vip's"], n)
    epoch = rng.choice([1, 2], n)
    arm = rng.choice(["treatment", "no_contact"], n, p=[0.9, 0.1])
    columns = {"revenue": revenue(8, n), "orders": rng.poisson(0.3, n).astype(float)}
    load_units(warehouse, columns, arm, campaign=campaign, epoch=epoch)
    found = read_moments(warehouse, "lift_units", ["revenue", "orders"])
    assert len(found) == 2 * 2 * 2 * 2
    for cell, moments in found.items():
        mine = (campaign == cell.campaign) & (epoch == cell.epoch) & (arm == cell.arm)
        assert_same(moments, ArmMoments.from_values(columns[cell.metric][mine]))


def test_sql_is_safe_on_shifted_values_and_on_arms_far_apart(warehouse):
    rng = np.random.default_rng(9)
    x = rng.integers(0, 50, 20_000).astype(float)
    arm = np.where(np.arange(x.size) % 2 == 0, "treatment", "no_contact")
    values = np.where(arm == "treatment", x + 1e8, x)
    load_units(warehouse, {"m": values}, arm)
    found = read_moments(warehouse, "lift_units", ["m"])
    for name in ("treatment", "no_contact"):
        _, variance, third = exact(list(x[arm == name]))
        moments = found[Cell("winback", 1, name, "m")]
        assert moments.variance == pytest.approx(variance, rel=1e-9)
        assert moments.third_central == pytest.approx(third, rel=1e-6, abs=1e-5)


def test_sql_leaves_out_unknown_values_and_empty_cells(warehouse):
    arm = np.array(["treatment", "treatment", "treatment", "no_contact"])
    load_units(
        warehouse,
        {"m": pa.array([1.0, None, 3.0, None])},
        arm,
    )
    found = read_moments(warehouse, "lift_units", ["m"])
    assert found == {
        Cell("winback", 1, "treatment", "m"): ArmMoments.from_values([1.0, 3.0]),
    }
    assert read_moments(warehouse, "lift_units", []) == {}


@pytest.mark.parametrize("engine", ENGINES)
def test_sql_can_be_written_for_every_engine(engine):
    for centres in (None, {"revenue": 3.25, "orders": 1e-9}):
        statement = scan_sql("lift_units_30d", ["revenue", "orders"], centres=centres)
        text = render(statement, engine)
        assert text.count("JOIN") == (centres is None)
        assert "VAR_SAMP" not in text.upper()


def test_an_arm_in_which_nothing_varies_has_no_variance_at_all(warehouse):
    """Rounding must not make a spread where there is none: an interval would follow from it."""
    arm = np.array(["treatment"] * 999 + ["no_contact"] * 1_000)
    values = np.concatenate([revenue(11, 999), np.full(1_000, 0.1)])
    load_units(warehouse, {"m": values}, arm)
    held = read_moments(warehouse, "lift_units", ["m"])[Cell("winback", 1, "no_contact", "m")]
    assert held.variance < 1e-25
    load_units(warehouse, {"m": np.where(arm == "treatment", values, 0.0)}, arm)
    held = read_moments(warehouse, "lift_units", ["m"])[Cell("winback", 1, "no_contact", "m")]
    assert held == ArmMoments(1_000, 0.0, 0.0, 0.0, 0, 0.0)
