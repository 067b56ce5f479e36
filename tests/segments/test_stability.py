"""Stability of segments against a plain re-telling of its rules, one person at a time."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest

from connector.segments.rules import SegmentSpec, build_segment_members, compile_segments
from connector.segments.stability import Stability, lenient_sql, settle, strict_sql
from connector.warehouse.duckdb import DuckDBWarehouse

COLUMNS = {
    "profile_id": "VARCHAR",
    "churn.probability": "DOUBLE",
    "clv.percentile": "DOUBLE",
    "orders_365d": "BIGINT",
}
START = datetime(2026, 3, 1, 5, 15, tzinfo=UTC)
KNOWN = pa.schema(
    [
        ("segment", pa.string()),
        ("profile_id", pa.string()),
        ("is_member", pa.int64()),
        ("since", pa.timestamp("us")),
        ("streak", pa.int64()),
        ("last_as_of", pa.timestamp("us")),
    ]
)


@pytest.mark.parametrize(
    ("rule", "lenient"),
    [
        ('"churn.probability" >= 0.6', '"churn.probability" >= 0.57'),
        ('0.6 <= "churn.probability"', '0.57 <= "churn.probability"'),
        ('"churn.probability" < 0.2', '"churn.probability" < 0.23'),
        ('NOT ("churn.probability" >= 0.6)', 'NOT ("churn.probability" >= 0.63)'),
        ('"clv.percentile" between 40 and 60', '"clv.percentile" BETWEEN 38.0 AND 62.0'),
        ('"churn.probability" > 0.6 and orders_365d >= 3', None),
        ("orders_365d >= 3", '"orders_365d" >= 3'),
        ('"churn.probability" = 0.5', '"churn.probability" = 0.5'),
        ('"clv.percentile" >= -1', '"clv.percentile" >= -3.0'),
    ],
)
def test_margins_move_thresholds_of_scores_outwards(rule: str, lenient: str | None) -> None:
    (segment,) = compile_segments([SegmentSpec("s", where=rule)], columns=COLUMNS, domains={})
    found = lenient_sql(segment, {"probability": 0.03, "percentile": 2})
    expected = lenient or '"churn.probability" > 0.57 AND "orders_365d" >= 3'
    assert found.replace("(", "").replace(")", "") == expected.replace("(", "").replace(")", "")


@pytest.mark.parametrize(
    ("rule", "strict"),
    [
        ('"churn.probability" >= 0.6', '"churn.probability" >= 0.63'),
        ('"churn.probability" < 0.2', '"churn.probability" < 0.17'),
        ('NOT ("churn.probability" >= 0.6)', 'NOT "churn.probability" >= 0.57'),
        ('"clv.percentile" between 40 and 60', '"clv.percentile" BETWEEN 42.0 AND 58.0'),
        ("orders_365d >= 3", '"orders_365d" >= 3'),
    ],
)
def test_newcomers_are_held_to_thresholds_moved_inwards(rule: str, strict: str) -> None:
    (segment,) = compile_segments([SegmentSpec("s", where=rule)], columns=COLUMNS, domains={})
    found = strict_sql(segment, {"probability": 0.03, "percentile": 2})
    assert found.replace("(", "").replace(")", "") == strict


@dataclass(frozen=True)
class Member:
    """What is kept of one person, as a person would keep it."""

    is_member: bool = False
    since: datetime | None = None
    days: tuple[datetime, ...] = ()
    """Days in a row on which the rule disagreed."""


def told(
    before: Member,
    *,
    fits: bool,
    clearly: bool,
    nearly: bool,
    bought: bool,
    gone: bool,
    now: datetime,
    rules: Stability,
) -> Member:
    """The rules of the module's docstring, one person at a time."""
    today = now.replace(hour=0, minute=0, second=0, microsecond=0)
    if before.is_member:
        at_once = gone or (bought and not fits and rules.leaves_on_purchase)
        if not at_once and (fits or nearly):
            return replace(before, days=())
        days = tuple(dict.fromkeys([*before.days, today]))
        stayed = now - (before.since or now)
        if at_once or (len(days) >= rules.exit_after and stayed >= rules.min_stay):
            return Member(is_member=False, since=now)
        return replace(before, days=days)
    if not clearly:
        return replace(before, days=())
    days = tuple(dict.fromkeys([*before.days, today]))
    if len(days) >= rules.enter_after:
        return Member(is_member=True, since=now)
    return replace(before, days=days)


RULES = [
    Stability(),
    Stability(enter_after=2, exit_after=3),
    Stability(exit_after=2, min_stay=timedelta(days=4), margins={"probability": 0.1}),
    Stability(exit_after=3, min_stay=timedelta(days=5), leaves_on_purchase=False),
    Stability(enter_after=3, min_stay=timedelta(days=2), margins={"probability": 0.05}),
    Stability(enter_after=2, margins={"probability": 0.05}, enter_margins={"probability": 0.05}),
]


@pytest.mark.parametrize("rules", RULES)
def test_members_are_those_of_a_plain_retelling(rules: Stability) -> None:
    rng = random.Random(7)
    (segment,) = compile_segments(
        [SegmentSpec("risky", where='"churn.probability" >= 0.5')], columns=COLUMNS, domains={}
    )
    people = [f"p{i:02}" for i in range(40)]
    states = dict.fromkeys(people, Member())
    known: dict[str, dict[str, object]] = {}
    orders: list[tuple[str, datetime]] = []
    now = START
    n_moves = 0
    with DuckDBWarehouse() as warehouse:
        for run in range(14):
            # Sometimes a second run on the same day, which counts for nothing.
            now += timedelta(hours=2) if run % 5 == 4 else timedelta(days=1)
            present = [p for p in people if not (p == "p00" and run > 6)]
            scores = {p: rng.choice([0.3, 0.42, 0.47, 0.5, 0.56, 0.8]) for p in present}
            buyers = {p for p in present if rng.random() < 0.05}
            orders += [(p, now - timedelta(minutes=5)) for p in sorted(buyers)]
            _load(warehouse, scores, orders, known)
            build_segment_members(warehouse, [segment])
            settle(
                warehouse,
                [segment],
                {"risky": rules},
                as_of=now,
                today=now.replace(hour=0, minute=0),
            )
            margin = rules.margins.get("probability", 0.0)
            beyond = rules.enter_margins.get("probability", 0.0)
            for p in people:
                last = max((at for who, at in orders if who == p), default=None)
                since = states[p].since
                states[p] = told(
                    states[p],
                    fits=scores.get(p, 0.0) >= 0.5,
                    clearly=scores.get(p, 0.0) >= round(0.5 + beyond, 9),
                    nearly=scores.get(p, 0.0) >= round(0.5 - margin, 9),
                    bought=bool(last and since and last > since),
                    gone=p not in scores,
                    now=now,
                    rules=rules,
                )
            found = {p for (p,) in warehouse.rows("SELECT profile_id FROM segment_members")}
            assert found == {p for p, state in states.items() if state.is_member}, run
            for row in warehouse.rows(
                "SELECT segment, profile_id, is_member, since, streak, last_as_of"
                " FROM segment_progress"
            ):
                record = dict(zip(KNOWN.names, row, strict=True))
                n_moves += record["is_member"] != known.get(row[1], {}).get("is_member", 0)
                known[row[1]] = record
    assert n_moves > 20


def test_nothing_is_written_while_nobody_moves() -> None:
    (segment,) = compile_segments(
        [SegmentSpec("risky", where='"churn.probability" >= 0.5')], columns=COLUMNS, domains={}
    )
    with DuckDBWarehouse() as warehouse:
        record = {
            "segment": "risky",
            "profile_id": "a",
            "is_member": 1,
            "since": START.replace(tzinfo=None),
            "streak": 0,
            "last_as_of": START.replace(tzinfo=None),
        }
        _load(warehouse, {"a": 0.9, "b": 0.1}, [], {"a": record})
        build_segment_members(warehouse, [segment])
        later = START + timedelta(days=3)
        settle(warehouse, [segment], {}, as_of=later, today=later)
        assert warehouse.rows("SELECT count(*) AS n FROM segment_progress") == [(0,)]
        assert warehouse.rows("SELECT profile_id FROM segment_members") == [("a",)]


def _load(
    warehouse: DuckDBWarehouse,
    scores: dict[str, float],
    orders: list[tuple[str, datetime]],
    known: dict[str, dict[str, object]],
) -> None:
    warehouse.load(
        "scored",
        pa.table(
            {
                "profile_id": list(scores),
                "churn.probability": list(scores.values()),
                "clv.percentile": [50.0] * len(scores),
                "orders_365d": [1] * len(scores),
            }
        ),
    )
    warehouse.load(
        "clean_orders",
        pa.table(
            {
                "profile_id": pa.array([who for who, _ in orders], pa.string()),
                "ordered_at": pa.array(
                    [at.replace(tzinfo=None) for _, at in orders], pa.timestamp("us")
                ),
                "is_return": pa.array([False] * len(orders), pa.bool_()),
            }
        ),
    )
    warehouse.load("known_segments", pa.Table.from_pylist(list(known.values()), KNOWN))
