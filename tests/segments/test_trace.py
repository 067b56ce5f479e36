"""One person's explanation must agree with their membership and their reason."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from datetime import UTC, datetime

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connector.errors import ConfigError
from connector.segments.rules import Segment, SegmentSpec, build_segment_members, compile_segments
from connector.segments.trace import explain, explain_rule
from connector.warehouse.duckdb import DuckDBWarehouse
from connector.warehouse.render import Value, literal
from tests.warehouse.columns import COLUMNS, store, workspace


@pytest.fixture(scope="module")
def warehouse() -> Iterator[DuckDBWarehouse]:
    with workspace() as one:
        yield one


def segment(where: str) -> Segment:
    return compile_segments([SegmentSpec("s", where=where)], columns=COLUMNS, domains={})[0]


def test_member(warehouse: DuckDBWarehouse) -> None:
    rule = segment("monetary_365d >= 300 and recency_days <= 60")
    trace = explain_rule(warehouse, rule, {"monetary_365d": 412.5, "recency_days": 12}, COLUMNS)
    assert trace.member
    assert [(f.text, f.holds, f.value) for f in trace.findings] == [
        ("monetary_365d >= 300", True, "412.50"),
        ("recency_days <= 60", True, "12"),
    ]
    assert len(trace.to_change) == 1
    assert trace.to_change[0] == "monetary_365d < 300 (now 412.50)"


def test_not_a_member(warehouse: DuckDBWarehouse) -> None:
    rule = segment("monetary_365d >= 300 and (recency_days <= 60 or subscribed)")
    row: dict[str, Value] = {"monetary_365d": 10, "recency_days": None, "subscribed": False}
    trace = explain_rule(warehouse, rule, row, COLUMNS)
    assert not trace.member
    assert [f.holds for f in trace.findings] == [False, None, False]
    assert trace.to_change == (
        "monetary_365d >= 300 (now 10.00)",
        "recency_days <= 60 (now unknown; takes an order)",
    )


def test_private_values_are_left_out(warehouse: DuckDBWarehouse) -> None:
    rule = segment("email like '%@example.com'")
    trace = explain_rule(warehouse, rule, {"email": "jane@example.com"}, COLUMNS)
    assert trace.member
    assert "jane" not in repr(trace)


def test_nothing_can_change_what_is_always_so(warehouse: DuckDBWarehouse) -> None:
    assert explain_rule(warehouse, segment("true"), {}, COLUMNS).to_change == ()
    assert explain_rule(warehouse, segment("false"), {}, COLUMNS).to_change == ()


def test_of_a_stored_profile(warehouse: DuckDBWarehouse) -> None:
    store(warehouse, [{"profile_id": "p1", "orders_365d": 3}, {"profile_id": "p2"}])
    rule = segment("not orders_365d < 2")
    first, second = (explain(warehouse, rule, p) for p in ("p1", "p2"))
    assert first is not None
    assert first.member
    assert first.to_change == ("orders_365d < 2 (now 3)",)
    assert second is not None
    assert not second.member
    assert second.to_change == ("orders_365d >= 2 (now unknown)",)
    assert explain(warehouse, rule, "nobody'; --") is None


def test_a_missing_value_is_said(warehouse: DuckDBWarehouse) -> None:
    with pytest.raises(ConfigError, match="no value for orders_365d"):
        explain_rule(warehouse, segment("orders_365d > 1"), {"recency_days": 1}, COLUMNS)


def test_a_member_is_told_true_facts_only(warehouse: DuckDBWarehouse) -> None:
    rule = segment(
        "not (recency_days <= 60 or orders_365d = 0) and (country = 'DE' or monetary_365d >= 300)"
        " and not (subscribed and country is null)"
    )
    row: dict[str, Value] = {
        "recency_days": 75, "orders_365d": 2, "country": "AT", "monetary_365d": 310,
        "subscribed": True,
    }  # fmt: skip
    trace = explain_rule(warehouse, rule, row, COLUMNS)
    assert trace.member
    assert [(f.text, f.holds, f.value) for f in trace.findings] == [
        ("recency_days > 60", True, "75"),
        ("orders_365d <> 0", True, "2"),
        ("monetary_365d >= 300", True, "310.00"),
        ("country is not null", True, ""),
    ]
    outside = explain_rule(warehouse, rule, {**row, "monetary_365d": 10}, COLUMNS)
    assert [(f.text, f.holds) for f in outside.findings] == [
        ("recency_days > 60", True),
        ("orders_365d <> 0", True),
        ("country = 'DE'", False),
        ("monetary_365d >= 300", False),
        ("subscribed is false", False),
        ("country is not null", True),
    ]


HISTORY = {
    "lifetime_orders": "BIGINT", "recency_days": "BIGINT", "first_order_age_days": "BIGINT",
    "created_at": "TIMESTAMP", "revenue_365d": "DECIMAL(18,2)", "x": "DOUBLE",
}  # fmt: skip


@pytest.mark.parametrize(
    ("where", "row", "changes"),
    [
        # The first is impossible, so the second is named though it comes later.
        (
            "lifetime_orders >= 3 and recency_days > 180",
            {"lifetime_orders": 4, "recency_days": 200},
            ["recency_days <= 180 (now 200; takes an order)"],
        ),
        (
            "lifetime_orders >= 3 and revenue_365d >= 100",
            {"lifetime_orders": 4, "revenue_365d": 120},
            ["revenue_365d < 100 (now 120.00)"],
        ),
        ("lifetime_orders >= 3", {"lifetime_orders": 4}, []),
        ("lifetime_orders < 3", {"lifetime_orders": 4}, []),
        ("lifetime_orders < 3", {"lifetime_orders": 2}, ["lifetime_orders >= 3 (now 2)"]),
        ("lifetime_orders = 3", {"lifetime_orders": 4}, []),
        ("3 > lifetime_orders", {"lifetime_orders": 4}, []),
        ("lifetime_orders in (2, 3)", {"lifetime_orders": 4}, []),
        (
            "lifetime_orders in (2, 5)",
            {"lifetime_orders": 4},
            ["lifetime_orders in (2, 5) (now 4)"],
        ),
        ("lifetime_orders between 1 and 3", {"lifetime_orders": 4}, []),
        ("lifetime_orders < 0", {"lifetime_orders": None}, []),
        ("first_order_age_days is null", {"first_order_age_days": 3}, []),
        (
            "recency_days between 60 and 300",
            {"recency_days": 30},
            ["recency_days between 60 and 300 (now 30)"],
        ),
        (
            "recency_days between 60 and 300",
            {"recency_days": 400},
            ["recency_days between 60 and 300 (now 400; takes an order)"],
        ),
        ("recency_days is null", {"recency_days": 400}, ["recency_days is null"]),
        ("created_at < '2026-01-01'", {"created_at": datetime(2025, 1, 1, tzinfo=UTC)}, []),
        ("x > 3 and x < 2", {"x": 1}, []),
        ("x = 1 or x = 2", {"x": 1}, ["x <> 1 (now 1.0)"]),
    ],
)  # fmt: skip
def test_only_what_can_happen_is_suggested(
    warehouse: DuckDBWarehouse, where: str, row: dict[str, Value], changes: list[str]
) -> None:
    (rule,) = compile_segments([SegmentSpec("s", where=where)], columns=HISTORY, domains={})
    assert list(explain_rule(warehouse, rule, row, HISTORY).to_change) == changes


LIVES = {
    "lifetime_orders": [*range(6)],
    "recency_days": [None, *range(6)],
    "x": [None, *(i / 2 for i in range(-1, 10))],
}
"""What the values of the rules below can be; `lifetime_orders` never falls."""

_LEAVES = st.builds(
    lambda column, symbol, value: f"{column} {symbol} {value}",
    st.sampled_from(sorted(LIVES)),
    st.sampled_from(["=", "<>", "<", "<=", ">", ">="]),
    st.integers(0, 4),
)
_RULES = st.recursive(
    _LEAVES,
    lambda inner: st.one_of(
        st.lists(inner, min_size=2, max_size=3).map(lambda p: " and ".join(f"({x})" for x in p)),
        st.lists(inner, min_size=2, max_size=3).map(lambda p: " or ".join(f"({x})" for x in p)),
        inner.map(lambda x: f"not ({x})"),
    ),
    max_leaves=5,
)


def lives(row: dict[str, Value]) -> pa.Table:
    """Every life that the person of a row can come to lead, with everything known of it.

    A rule that can be left by becoming unknown only has nothing to suggest.
    """
    least = row["lifetime_orders"]
    assert isinstance(least, int)
    ways = itertools.product(range(least, 6), LIVES["recency_days"][1:], LIVES["x"][1:])
    orders, days, x = zip(*ways, strict=True)
    return pa.table(
        {
            "lifetime_orders": pa.array(orders, pa.int64()),
            "recency_days": pa.array(days, pa.int64()),
            "x": pa.array(x, pa.float64()),
        }
    )


@settings(max_examples=40, deadline=None)
@given(text=_RULES, values=st.tuples(*[st.sampled_from(LIVES[c]) for c in sorted(LIVES)]))
def test_agrees_with_membership_and_with_every_life(
    warehouse: DuckDBWarehouse, text: str, values: tuple[int | None, ...]
) -> None:
    def compiled(where: str) -> Segment:
        return compile_segments([SegmentSpec("s", where=where)], columns=HISTORY, domains={})[0]

    row: dict[str, Value] = dict(zip(sorted(LIVES), values, strict=True))
    rule = compiled(text)
    store(warehouse, [{"profile_id": "p", **row}], {"profile_id": "VARCHAR", **HISTORY})
    build_segment_members(warehouse, [rule])
    found = warehouse.rows("SELECT reason FROM segment_members")
    trace = explain_rule(warehouse, rule, row, HISTORY)
    assert trace.member is bool(found)
    assert trace == explain(warehouse, rule, "p")
    if found:
        # A reason is made of conditions that hold: read as a rule of its own, it holds too.
        for part in found[0][0].split(" and "):
            name, _, rest = part.partition(" = ")
            value, _, test = rest.partition(" (")
            again = f"{name} {test.rstrip(')')}" if test else f"{name} = {value}"
            assert explain_rule(warehouse, compiled(again), row, HISTORY).member
        assert all(finding.holds for finding in trace.findings)
        facts = " and ".join(finding.text for finding in trace.findings)
        assert explain_rule(warehouse, compiled(facts), row, HISTORY).member

    warehouse.load("lives", lives(row))
    other = f"coalesce({rule.condition.sql()}, FALSE) <> {literal(trace.member)}"
    told = [change.partition(" (")[0] for change in trace.to_change]
    able = "SELECT count(*) AS n FROM lives WHERE " + " AND ".join([other, *told])
    # Nothing is suggested where no life would do, and some life that would do is suggested.
    assert bool(warehouse.rows(able)[0][0]) is bool(told)
