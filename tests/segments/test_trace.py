"""One person's explanation must agree with their membership and their reason."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connector.errors import ConfigError
from connector.segments.rules import Segment, SegmentSpec, build_segment_members, compile_segments
from connector.segments.trace import explain, explain_rule
from connector.warehouse.duckdb import DuckDBWarehouse
from connector.warehouse.render import Value
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
        "recency_days <= 60 (now unknown)",
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


_LEAVES = st.builds(
    lambda column, symbol, value: f"{column} {symbol} {value}",
    st.sampled_from(["recency_days", "orders_365d", "rfm.r"]),
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


@settings(max_examples=60, deadline=None)
@given(text=_RULES, values=st.tuples(*[st.none() | st.integers(0, 4)] * 3))
def test_agrees_with_membership(
    warehouse: DuckDBWarehouse, text: str, values: tuple[int | None, ...]
) -> None:
    row: dict[str, Value] = dict(zip(("recency_days", "orders_365d", "rfm.r"), values, strict=True))
    rule = segment(text)
    store(warehouse, [{"profile_id": "p", **row}])
    build_segment_members(warehouse, [rule])
    found = warehouse.rows("SELECT reason FROM segment_members")
    trace = explain_rule(warehouse, rule, row, COLUMNS)
    assert trace.member is bool(found)
    assert trace == explain(warehouse, rule, "p")
    assert trace.to_change
    if found:
        # A reason is made of conditions that hold: read as a rule of its own, it holds too.
        for part in found[0][0].split(" and "):
            name, _, rest = part.partition(" = ")
            value, _, test = rest.partition(" (")
            again = f"{name} {test.rstrip(')')}" if test else f"{name} = {value}"
            assert explain_rule(warehouse, segment(again), row, COLUMNS).member
