"""The lifetime value bench at toy size: it measures every family and the whole road."""

from pathlib import Path

import numpy as np

from bench import clv
from connector.models.clv.purchase_fit import Family


def test_every_part_is_measured_and_the_histories_are_left_for_the_peer(tmp_path: Path) -> None:
    path = tmp_path / "histories.npz"
    found = clv.measure(path, 4_000, 20_000)
    parts = {f"{family}_{part}_s" for family in Family for part in ("fit", "score")}
    assert set(found) == parts | {"spend_s", "transactions_s"}
    assert min(found.values()) > 0
    data = np.load(path)
    assert {data[name].size for name in ("x", "last", "age", "mean")} == {4_000}


def test_each_size_is_held_against_its_bars_and_the_peer() -> None:
    ours = dict.fromkeys((*(f"{part}_s" for part in clv.PARTS), "transactions_s"), 0.04)
    rows = clv.table(1_000_000, ours | {"spend_s": 2.0}, {"fit": 4.0, "score": 1.0, "spend": 8.0})
    bars = {row.name: (row.bar, row.ok) for row in rows if row.bar}
    assert bars == {
        "BG/NBD fit + errors, 1,000,000 customers": ("<= 0.3 s", True),
        "BG/NBD P(active) and expected purchases, 1,000,000 customers": ("<= 0.3 s", True),
        "Gamma-Gamma fit + errors, 1,000,000 customers": ("<= 1.26 s", False),
        "5,000,000 transactions to values, ranges, tiers": ("<= 3 s", True),
        "BG/NBD fit + errors of lifetimes, 1,000,000 customers": (">= 70x", True),
    }
    small = clv.table(100_000, ours, {})
    assert [row.name for row in small if row.bar] == [
        "BG/NBD fit + errors, 100,000 customers", "Pareto/NBD fit + errors, 100,000 customers",
    ]  # fmt: skip
    assert not any("lifetimes" in row.name for row in small)
