"""What is predicted: counted strictly inside the window, of the eligible, and nothing else."""

from datetime import UTC, datetime, timedelta, timezone
from functools import cache

import pyarrow as pa
import pytest

from connector.errors import ModelError
from connector.models.propensity.goals import EventTable, Goal, label_sql
from connector.warehouse.dialect import ExpressionError
from connector.warehouse.duckdb import DuckDBWarehouse
from connector.warehouse.macros import ENGINES
from connector.warehouse.render import render

CUT = datetime(2025, 3, 1, 12, tzinfo=UTC)
ORDERS = EventTable(
    "clean_orders",
    "ordered_at",
    {"net_revenue": "DECIMAL(18, 2)", "channel": "VARCHAR"},
    only="NOT is_return",
)
FEATURES = {"orders_365d": "BIGINT"}
MOMENT = timedelta(microseconds=1)
END = timedelta(days=30)


@cache
def one_warehouse():
    """Relations are replaced; opening an engine for each test takes longer than the tests."""
    return DuckDBWarehouse()


def labels(goal, rows, people=(("a", 1), ("b", 1)), cut=CUT):
    """Profile -> label from (profile, time after the cut-off, revenue, is_return)."""
    warehouse = one_warehouse()
    ids, counts = zip(*people, strict=True)
    warehouse.load(
        "features",
        pa.table({"profile_id": list(ids), "orders_365d": pa.array(counts, pa.int64())}),
    )
    naive = [(CUT + after).replace(tzinfo=None) for _, after, _, _ in rows]
    warehouse.load(
        "clean_orders",
        pa.table(
            {
                "profile_id": pa.array([r[0] for r in rows], pa.string()),
                "ordered_at": pa.array(naive, pa.timestamp("us")),
                "net_revenue": pa.array([r[2] for r in rows], pa.float64()),
                "channel": pa.array(["web"] * len(rows), pa.string()),
                "is_return": pa.array([r[3] for r in rows], pa.bool_()),
            }
        ),
    )
    sql = label_sql(goal, ORDERS, as_of=cut, feature_columns=FEATURES, what="models.m")
    return dict(warehouse.rows(sql))


def test_every_engine_can_say_it():
    goal = Goal(30, at_least=2, where="net_revenue >= 150", eligible="orders_365d >= 2")
    sql = label_sql(goal, ORDERS, as_of=CUT, feature_columns=FEATURES, what="models.m")
    for engine in ENGINES:
        assert render(sql, engine)


@pytest.mark.parametrize(
    ("after", "label"),
    [(-MOMENT, 0), (timedelta(0), 0), (MOMENT, 1), (END, 1), (END + MOMENT, 0)],
)
def test_the_window_is_open_at_the_cut_off_and_closed_at_its_end(after, label):
    rows = [("a", after, 10.0, False)]
    assert labels(Goal(30, at_least=1), rows) == {"a": label, "b": 0}
    assert labels(Goal(30, none_within_days=30), rows) == {"a": 1 - label, "b": 1}
    elsewhere = CUT.astimezone(timezone(timedelta(hours=5)))
    assert labels(Goal(30, at_least=1), rows, cut=elsewhere)["a"] == label


def test_counts_conditions_and_returns():
    day = timedelta(days=1)
    rows = [
        *[("a", day, 200.0, False), ("a", 2 * day, 100.0, False)],
        *[("b", day, 100.0, False), ("b", 3 * day, -100.0, True)],
    ]
    assert labels(Goal(30, at_least=2), rows) == {"a": 1, "b": 0}
    assert labels(Goal(30, at_least=1, where="net_revenue >= 150"), rows) == {"a": 1, "b": 0}
    assert labels(Goal(30, at_least=1, where="channel = 'pos' or channel = 'app'"), rows) == {
        "a": 0,
        "b": 0,
    }


def test_only_the_eligible_have_an_outcome():
    people = (("a", 3), ("b", 1), ("c", None))
    rows = [("b", MOMENT, 1.0, False)]
    goal = Goal(30, none_within_days=30, eligible="orders_365d >= 2")
    assert labels(goal, rows, people) == {"a": 1}


@pytest.mark.parametrize(
    "goal",
    [
        Goal(30, at_least=1, where="1 = 1); DROP TABLE features"),
        Goal(30, at_least=1, where="is_return"),
        Goal(30, at_least=1, eligible="net_revenue > 1"),
        Goal(30, at_least=1, eligible="orders_365d"),
    ],
)
def test_conditions_are_checked(goal):
    with pytest.raises(ExpressionError, match=r"models\.m: (where|eligible)"):
        labels(goal, [])


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"at_least": 1, "none_within_days": 30},
        {"at_least": 0},
        {"none_within_days": 20},
        {"window_days": 0, "at_least": 1},
    ],
)
def test_impossible_goals_raise(settings):
    with pytest.raises(ModelError):
        Goal(**{"window_days": 30} | settings)
