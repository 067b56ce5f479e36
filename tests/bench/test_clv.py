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
    assert data["x"].size == data["last"].size == data["age"].size == 4_000
