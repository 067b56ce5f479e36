"""Joint moments against numpy on the people themselves."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connector.errors import InsufficientDataError, ModelError
from connector.lift.joint import JointMoments, merge_all_joint
from connector.lift.moments import ArmMoments


def people(seed: int, n: int = 400) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    taste = rng.gamma(0.5, 1.0, n)
    return rng.poisson(taste) * rng.lognormal(3, 0.8, n), rng.poisson(taste) * 20.0


def same(found: ArmMoments, values: np.ndarray, rel: float = 1e-9) -> None:
    wanted = ArmMoments.from_values(values)
    assert found.n == wanted.n
    assert found.mean == pytest.approx(wanted.mean, rel=rel, abs=1e-12)
    assert found.variance == pytest.approx(wanted.variance, rel=rel)
    scale = wanted.variance**1.5
    assert found.third_central == pytest.approx(wanted.third_central, rel=rel, abs=1e-11 * scale)


def mixed(y: np.ndarray, x: np.ndarray) -> tuple[float, float, float]:
    u, v = y - y.mean(), x - x.mean()
    return float(np.cov(y, x)[0, 1]), float((u * u * v).mean()), float((u * v * v).mean())


def parts(moments: JointMoments) -> tuple[float, float, float]:
    return moments.covariance, moments.third_yyx, moments.third_yxx


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("shift", [0.0, 1e6])
def test_from_values_is_what_numpy_says(seed, shift):
    y, x = people(seed)
    found = JointMoments.from_values(y + shift, x - shift)
    assert parts(found) == pytest.approx(mixed(y, x), rel=1e-8)
    assert found.correlation == pytest.approx(np.corrcoef(y, x)[0, 1], rel=1e-8)


@pytest.mark.parametrize("off", [0.0, 0.7, -25.0])
def test_sums_about_any_near_number_give_the_same(off):
    y, x = people(5)
    cy, cx = y.mean() + off, x.mean() - off
    u, v = y - cy, x - cx
    found = JointMoments.from_centred(
        n=y.size, cy=cy, cx=cx, sy=u.sum(), sx=v.sum(), syy=(u * u).sum(), sxx=(v * v).sum(),
        sxy=(u * v).sum(), syyy=(u**3).sum(), syyx=(u * u * v).sum(), syxx=(u * v * v).sum(),
        sxxx=(v**3).sum(), y_nonzero=int((y != 0).sum()), x_nonzero=int((x != 0).sum()),
        y_total=y.sum(), x_total=x.sum(),
    )  # fmt: skip
    assert parts(found) == pytest.approx(mixed(y, x), rel=1e-9)
    same(found.y, y)
    same(found.x, x)


@given(
    st.lists(
        st.tuples(st.floats(-1e3, 1e3, width=32), st.floats(-1e3, 1e3, width=32)),
        min_size=3,
        max_size=40,
    ),
    st.data(),
)
@settings(max_examples=150, deadline=None)
def test_merging_parts_is_the_whole(rows, data):
    y, x = map(np.array, zip(*rows, strict=True))
    cuts = sorted(data.draw(st.sets(st.integers(1, len(rows) - 1), max_size=4)))
    pieces = zip(np.split(y, cuts), np.split(x, cuts), strict=True)
    found = merge_all_joint(JointMoments.from_values(a, b) for a, b in pieces)
    whole = JointMoments.from_values(y, x)
    sy, sx = (max(float(np.abs(v - v.mean()).max()), 1e-9) for v in (y, x))
    assert found.covariance == pytest.approx(whole.covariance, rel=1e-9, abs=1e-9 * sy * sx)
    assert found.third_yyx == pytest.approx(whole.third_yyx, rel=1e-9, abs=1e-9 * sy * sy * sx)
    assert found.third_yxx == pytest.approx(whole.third_yxx, rel=1e-9, abs=1e-9 * sy * sx * sx)
    assert found.y.n_nonzero == whole.y.n_nonzero
    assert found.x.total == pytest.approx(whole.x.total, rel=1e-9, abs=1e-6)


WEIGHTS = st.floats(-5, 5).map(lambda w: round(w, 6))  # cubes of 1e-110 are no doubles


@given(WEIGHTS, WEIGHTS, st.integers(0, 20))
@settings(max_examples=150, deadline=None)
def test_a_weighted_sum_has_the_moments_of_the_weighted_sum(a, b, seed):
    y, x = people(seed, 60)
    same(JointMoments.from_values(y, x).combined(a, b), a * y + b * x, rel=1e-7)


def test_a_weighted_sum_keeps_the_buyers_and_the_money_of_the_outcome():
    y, x = people(1)
    found = JointMoments.from_values(y, x).combined(1.0, -0.4)
    assert found.n_nonzero == np.count_nonzero(y) < found.n
    assert found.total == pytest.approx(y.sum())


def test_what_cancels_leaves_no_spread():
    y = people(2)[0]
    found = JointMoments.from_values(y, 3.0 * y).combined(3.0, -1.0)
    assert (found.variance, found.third_central) == (0.0, 0.0)
    flat = JointMoments.from_values(y, np.full(y.size, 7.1))
    assert parts(flat) == (0.0, 0.0, 0.0)
    assert flat.correlation == 0.0


def test_one_person_has_no_covariance_but_merges():
    y, x = people(3, 5)
    one = JointMoments.from_values(y[:1], x[:1])
    assert math.isnan(one.covariance)
    whole = one.merge(JointMoments.from_values(y[1:], x[1:]))
    assert parts(whole) == pytest.approx(mixed(y, x), rel=1e-9, abs=1e-9)


def test_impossible_moments_are_refused():
    y, x = people(4)
    of_y, of_x = ArmMoments.from_values(y), ArmMoments.from_values(x)
    with pytest.raises(ModelError, match="same people"):
        JointMoments(of_y, ArmMoments.from_values(x[1:]), 0.0, 0.0, 0.0)
    with pytest.raises(ModelError, match="same people"):
        JointMoments.from_values(y, x[1:])
    with pytest.raises(ModelError, match="contradict"):
        JointMoments(of_y, of_x, 1.01 * math.sqrt(of_y.variance * of_x.variance), 0.0, 0.0)
    with pytest.raises(ModelError, match="finite"):
        JointMoments(of_y, of_x, 0.0, math.nan, 0.0)
    with pytest.raises(InsufficientDataError):
        JointMoments.from_values([], [])
    with pytest.raises(InsufficientDataError):
        merge_all_joint([])
