"""Looks and classes from one scan, against numpy over the people themselves."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from fractions import Fraction

import numpy as np
import pyarrow as pa
import pytest

from connector.lift.inputs import companion
from connector.lift.joint import JointMoments, merge_all_joint
from connector.lift.moments import Cell
from connector.lift.scan import scan

MONDAY = datetime(2026, 1, 5, tzinfo=UTC)


def people(seed: int, n: int = 8_000) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    before = np.where(rng.random(n) < 0.3, rng.lognormal(3.5, 1.0, n), 0.0)
    after = np.where(rng.random(n) < 0.1, rng.lognormal(4.0, 1.0, n), 0.0) + 0.3 * before
    return {
        "arm": np.where(rng.random(n) < 0.1, "no_contact", "treatment"),
        "week": rng.integers(0, 6, n),
        "group": rng.choice(["a", "b", "rare"], n, p=[0.6, 0.39, 0.01]),
        "band": rng.choice(["low", "high", ""], n),
        "y": after,
        "x": before,
    }


def load(warehouse, made, y=None, x=None):
    n = made["arm"].size
    weeks = [(MONDAY + timedelta(days=7 * int(k))).replace(tzinfo=None) for k in made["week"]]
    warehouse.load(
        "u",
        pa.table(
            {
                "campaign": ["winback"] * n,
                "epoch": pa.array([1] * n, pa.int32()),
                "arm": made["arm"],
                "profile_id": [f"p{i}" for i in range(n)],
                "look": pa.array(weeks, pa.timestamp("us")),
                "rfm.group": made["group"],
                "band": pa.array([b or None for b in made["band"]], pa.string()),
                "m": made["y"] if y is None else y,
                companion("m"): made["x"] if x is None else x,
            }
        ),
    )
    return scan(warehouse, "u", ["m"], companions=["m"], dimensions=["rfm.group", "band"])


def assert_same(found: JointMoments, wanted: JointMoments, rel: float = 1e-9) -> None:
    for one, other in ((found.y, wanted.y), (found.x, wanted.x)):
        assert (one.n, one.n_nonzero) == (other.n, other.n_nonzero)
        for name in ("mean", "variance", "third_central", "total"):
            assert getattr(one, name) == pytest.approx(getattr(other, name), rel=rel, abs=1e-9)
    for name in ("covariance", "third_yyx", "third_yxx"):
        assert getattr(found, name) == pytest.approx(getattr(wanted, name), rel=rel, abs=1e-6)


def test_every_look_and_class_is_that_of_the_people_in_it(warehouse):
    made = people(51)
    found = load(warehouse, made)
    assert len(found) == 2
    for cell, one in found.items():
        mine = made["arm"] == cell.arm
        assert_same(one.total, JointMoments.from_values(made["y"][mine], made["x"][mine]))
        for k in range(6):
            until = mine & (made["week"] <= k)
            stood = merge_all_joint(part for _, part in one.looks[: k + 1])
            assert one.looks[k][0] == MONDAY + timedelta(days=7 * k)
            assert_same(stood, JointMoments.from_values(made["y"][until], made["x"][until]))
        for (dimension, name), part in one.classes.items():
            column = made["group" if dimension == "rfm.group" else "band"]
            within = mine & (column == name)
            assert_same(part, JointMoments.from_values(made["y"][within], made["x"][within]))
        assert {d for d, _ in one.classes} == {"rfm.group", "band"}
        assert sum(p.n for (d, _), p in one.classes.items() if d == "band") == mine.sum()


def test_values_shifted_by_a_hundred_million_keep_their_spread_at_every_look(warehouse):
    made = people(52, 4_000)
    y = np.random.default_rng(53).integers(0, 50, 4_000).astype(float)
    far = np.where(made["arm"] == "treatment", y + 1e8, y)
    found = load(warehouse, made, y=far, x=y)
    for arm in ("treatment", "no_contact"):
        one = found[Cell("winback", 1, arm, "m")]
        mine = made["arm"] == arm
        x = [Fraction(v) for v in y[mine]]
        mean = sum(x) / len(x)
        variance = float(sum((v - mean) ** 2 for v in x) / (len(x) - 1))
        assert one.total.y.variance == pytest.approx(variance, rel=1e-9)
        # Shifted by a constant, the outcome goes with itself as closely as ever.
        assert one.total.covariance == pytest.approx(variance, rel=1e-8)
        first = y[mine & (made["week"] == 0)]
        assert one.looks[0][1].y.variance == pytest.approx(np.var(first, ddof=1), rel=1e-6)


def test_a_class_in_which_nothing_varies_has_no_variance_at_all(warehouse):
    """Far from the common mean, rounding alone would make a spread and then an interval."""
    made = people(54, 3_000)
    y = np.where(made["group"] == "rare", 0.1, made["y"] + 1000.0)
    found = load(warehouse, made, y=y)
    rare = found[Cell("winback", 1, "treatment", "m")].classes["rfm.group", "rare"]
    assert rare.n > 5
    assert (rare.y.mean, rare.y.variance, rare.covariance) == (0.1, 0.0, 0.0)


def test_a_person_without_a_value_is_in_neither_column(warehouse):
    made = people(55, 500)
    y = pa.array([None if i % 7 == 0 else float(v) for i, v in enumerate(made["y"])])
    found = load(warehouse, made, y=y)
    known = np.arange(500) % 7 != 0
    for cell, one in found.items():
        mine = known & (made["arm"] == cell.arm)
        assert_same(one.total, JointMoments.from_values(made["y"][mine], made["x"][mine]))
