"""Law: on a noisy score the rules of stability stop the flapping and keep the members true.

A person's true state lasts for weeks; the score tells it with noise. What the plain threshold makes
of such a score is compared with what `settle` makes of the same scores, day by day, on the engine
that runs it in production. Precision and recall are against the true state, over all days.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest

from connector.segments.rules import SegmentSpec, build_segment_members, compile_segments
from connector.segments.stability import Stability, settle
from connector.warehouse.duckdb import DuckDBWarehouse
from tests.segments.test_stability import KNOWN, START

N_PEOPLE, N_DAYS, THRESHOLD = 600, 60, 0.6
CHANGE_A_DAY = 1 / 75
"""A state lasts eleven weeks on average."""
COLUMNS = {"profile_id": "VARCHAR", "churn.probability": "DOUBLE"}


@dataclass(frozen=True)
class History:
    """Membership of every person on every day, and what is true."""

    truth: np.ndarray
    found: np.ndarray

    @property
    def n_flips(self) -> int:
        return int((self.found[1:] != self.found[:-1]).sum())

    @property
    def precision(self) -> float:
        return float(self.truth[self.found].mean())

    @property
    def recall(self) -> float:
        return float(self.found[self.truth].mean())


@pytest.fixture(scope="module")
def noisy() -> tuple[np.ndarray, np.ndarray]:
    """True states and noisy scores, days x people."""
    rng = np.random.default_rng(20260301)
    changes = rng.random((N_DAYS, N_PEOPLE)) < CHANGE_A_DAY
    truth = (rng.random(N_PEOPLE) < 0.4) ^ (np.cumsum(changes, axis=0) % 2 == 1)
    scores = THRESHOLD + np.where(truth, 0.08, -0.08) + rng.normal(0.0, 0.05, truth.shape)
    return truth, scores.clip(0.0, 1.0)


def live(scores: np.ndarray, rules: Stability) -> np.ndarray:
    """Members on every day, each day's state being what the day before left."""
    where = f'"churn.probability" >= {THRESHOLD}'
    (segment,) = compile_segments([SegmentSpec("risky", where=where)], columns=COLUMNS, domains={})
    people = [f"p{i:04}" for i in range(scores.shape[1])]
    known: dict[str, dict[str, object]] = {}
    found = np.zeros(scores.shape, dtype=bool)
    with DuckDBWarehouse() as warehouse:
        nothing_bought = pa.schema(
            [
                ("profile_id", pa.string()),
                ("ordered_at", pa.timestamp("us")),
                ("is_return", pa.bool_()),
            ]
        )
        warehouse.load("clean_orders", nothing_bought.empty_table())
        for day, row in enumerate(scores):
            warehouse.load("scored", pa.table({"profile_id": people, "churn.probability": row}))
            warehouse.load("known_segments", pa.Table.from_pylist(list(known.values()), KNOWN))
            build_segment_members(warehouse, [segment])
            now = START + timedelta(days=day)
            today = datetime(now.year, now.month, now.day, tzinfo=UTC)
            settle(warehouse, [segment], {"risky": rules}, as_of=now, today=today)
            members = {who for (who,) in warehouse.rows("SELECT profile_id FROM segment_members")}
            found[day] = [who in members for who in people]
            for record in warehouse.rows(
                "SELECT segment, profile_id, is_member, since, streak, last_as_of"
                " FROM segment_progress"
            ):
                known[record[1]] = dict(zip(KNOWN.names, record, strict=True))
    return found


def test_flapping_falls_five_times_and_members_stay_true(noisy) -> None:
    truth, scores = noisy
    plain = History(truth, scores >= THRESHOLD)
    rules = Stability(
        enter_after=2,
        exit_after=2,
        margins={"probability": 0.03},
        enter_margins={"probability": 0.03},
    )
    steady = History(truth, live(scores, rules))
    n_true = int((truth[1:] != truth[:-1]).sum())
    assert plain.n_flips > 3 * n_true  # there is something to calm
    assert plain.n_flips >= 5 * steady.n_flips
    assert steady.precision >= plain.precision - 0.01
    assert steady.recall >= plain.recall - 0.01


def test_no_rules_at_all_are_the_plain_threshold(noisy) -> None:
    _, scores = noisy
    few = scores[:8, :200]
    assert (live(few, Stability()) == (few >= THRESHOLD)).all()


def test_a_shortest_stay_alone_costs_precision(noisy) -> None:
    """Why the docstring and the warning of `check` speak against it."""
    truth, scores = noisy
    plain = History(truth, scores >= THRESHOLD)
    rules = Stability(exit_after=2, min_stay=timedelta(days=7), margins={"probability": 0.03})
    locked = History(truth, live(scores, rules))
    assert locked.precision < plain.precision - 0.05
