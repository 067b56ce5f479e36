"""Outcomes per person against a plain Python reading of the rules, and the rules one by one."""

from __future__ import annotations

from datetime import timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from connector.errors import ConfigError
from connector.lift.metrics import MetricKind, MetricSpec, Source, by_window
from connector.lift.units import units_sql
from connector.lift.windows import people_sql, repeated_people_sql
from connector.warehouse.macros import ENGINES
from connector.warehouse.render import render
from tests.lift.shop import START, Assigned, Order, day, load

REVENUE = MetricSpec("revenue_30d", MetricKind.SUM, "net_revenue", 30)
ORDERS = MetricSpec("orders_30d", MetricKind.COUNT, "orders", 30)
CONVERSION = MetricSpec("conversion_30d", MetricKind.SHARE, "orders >= 1", 30)
SPENDERS = MetricSpec("spenders_30d", MetricKind.SHARE, "net_revenue >= 100 and returns = 0", 30)
ALL = (REVENUE, ORDERS, CONVERSION, SPENDERS)
MICROSECOND = timedelta(microseconds=1)
WINDOW_END = day(30)


def outcomes(warehouse, people, orders, *, as_of, metrics=ALL):
    """(campaign, epoch, arm, profile) -> the values, in the order of the metrics."""
    load(warehouse, people, orders)
    text = units_sql(
        metrics,
        order_columns=warehouse.columns("clean_orders"),
        as_of=as_of,
        campaigns=sorted({p.campaign for p in people}),
    )
    return {row[:4]: row[5:] for row in warehouse.rows(text)}


def only(warehouse, orders, *, as_of=WINDOW_END, metrics=ALL):
    """The values of one treated person."""
    found = outcomes(warehouse, [Assigned("p", "treatment")], orders, as_of=as_of, metrics=metrics)
    (values,) = found.values()
    return values


def test_who_buys_nothing_counts_as_zero(warehouse):
    assert only(warehouse, []) == (0.0, 0.0, 0.0, 0.0)
    assert only(warehouse, [Order("somebody else", day(1), "50")]) == (0.0, 0.0, 0.0, 0.0)


def test_the_window_begins_with_eligibility_and_ends_before_its_end(warehouse):
    orders = [
        Order("p", START - MICROSECOND, "1"),
        Order("p", START, "20"),
        Order("p", day(30) - MICROSECOND, "300"),
        Order("p", day(30), "4000"),
    ]
    assert only(warehouse, orders, as_of=day(60)) == (320.0, 2.0, 1.0, 1.0)


def test_a_window_that_ends_now_is_closed_and_one_that_ends_later_is_open(warehouse):
    orders = [Order("p", day(1), "20")]
    assert only(warehouse, orders, as_of=day(30))[0] == 20.0
    people = [Assigned("p", "treatment")]
    assert outcomes(warehouse, people, orders, as_of=day(30) - MICROSECOND) == {}


def test_returns_are_netted_and_are_no_orders(warehouse):
    orders = [Order("p", day(1), "120.50"), Order("p", day(2), "-120.50", is_return=True)]
    assert only(warehouse, orders) == (0.0, 1.0, 1.0, 0.0)
    assert only(warehouse, orders[1:]) == (-120.5, 0.0, 0.0, 0.0)


def test_money_adds_up_to_the_cent(warehouse):
    orders = [Order("p", day(1), "0.10")] * 3
    assert only(warehouse, orders)[0] == 0.3


def test_an_expression_over_order_columns(warehouse):
    metric = MetricSpec("kept", MetricKind.SUM, "net_revenue * 0.5 - 1", 30)
    orders = [Order("p", day(1), "20"), Order("p", day(2), "10")]
    assert only(warehouse, orders, metrics=[metric]) == (13.0,)


def test_an_order_without_a_value_makes_the_person_unknown_and_not_zero(warehouse):
    margin = MetricSpec("margin_30d", MetricKind.SUM, "margin", 30)
    rich = MetricSpec("rich_30d", MetricKind.SHARE, "margin >= 5", 30)
    known = Order("p", day(1), "20", margin="8")
    unknown = Order("p", day(2), "20")
    assert only(warehouse, [known], metrics=[margin, rich]) == (8.0, 1.0)
    assert only(warehouse, [known, unknown], metrics=[margin, rich]) == (None, None)
    late = Order("p", day(31), "20")
    assert only(warehouse, [known, late], metrics=[margin, rich]) == (8.0, 1.0)


def test_every_person_and_value_agrees_with_a_plain_reading_of_the_rules(warehouse):
    rng = np.random.default_rng(21)
    people = [
        Assigned(
            f"p{i}",
            str(rng.choice(["treatment", "no_contact"])),
            day(float(rng.integers(0, 60))),
            campaign,
            int(epoch),
        )
        for campaign in ("winback", "second")
        for epoch in (1, 2)
        for i in range(80)
    ]
    orders = [
        Order(
            f"p{rng.integers(0, 100)}",
            day(float(rng.integers(0, 110))),
            str(rng.integers(1, 200)),
            bool(rng.random() < 0.1),
        )
        for _ in range(1_200)
    ]
    as_of = day(75)
    wanted = {}
    for p in people:
        end = p.at + timedelta(days=30)
        if end > as_of:
            continue
        mine = [o for o in orders if o.profile_id == p.profile_id and p.at <= o.at < end]
        total = sum(float(o.net) for o in mine)
        n_orders = sum(not o.is_return for o in mine)
        spender = total >= 100 and not any(o.is_return for o in mine)
        wanted[p.campaign, p.epoch, p.arm, p.profile_id] = (
            total,
            float(n_orders),
            float(n_orders >= 1),
            float(spender),
        )
    assert 0 < len(wanted) < len(people)
    assert outcomes(warehouse, people, orders, as_of=as_of) == wanted


def test_nothing_after_the_instant_matters(warehouse):
    people = [Assigned(f"p{i}", "treatment", day(i)) for i in range(40)]
    orders = [Order(f"p{i}", day(i + 5), "10") for i in range(40)]
    before = outcomes(warehouse, people, orders, as_of=day(50))
    later = [Order(f"p{i}", day(50 + i), "999") for i in range(40)]
    newcomers = [Assigned(f"n{i}", "no_contact", day(51)) for i in range(5)]
    assert outcomes(warehouse, people + newcomers, orders + later, as_of=day(50)) == before


def test_a_naive_database_time_is_utc_whatever_zone_the_instant_is_in(warehouse):
    berlin = day(30).astimezone(ZoneInfo("Europe/Berlin"))
    assert only(warehouse, [Order("p", day(1), "20")], as_of=berlin)[0] == 20.0


def test_people_are_counted_by_version_with_their_closed_windows(warehouse):
    people = [
        Assigned("a", "treatment", day(0), version="v1"),
        Assigned("b", "treatment", day(10), version="v2"),
        Assigned("c", "no_contact", day(10), version="v2"),
        Assigned("d", "treatment", day(40), version="v2"),
        Assigned("e", "treatment", day(0), campaign="other"),
    ]
    load(warehouse, people, [])
    rows = warehouse.rows(people_sql([7, 30], as_of=day(39), campaigns=["winback"]))
    assert sorted(rows) == [
        ("winback", 1, "v1", "treatment", 1, 1, 1),
        ("winback", 1, "v2", "no_contact", 1, 1, 0),
        ("winback", 1, "v2", "treatment", 1, 1, 0),
    ]


def test_people_assigned_twice_are_found(warehouse):
    load(warehouse, [Assigned("a", "treatment"), Assigned("a", "treatment", epoch=2)], [])
    assert warehouse.rows(repeated_people_sql(["winback"])) == [(0,)]
    load(warehouse, [Assigned("a", "treatment"), Assigned("a", "no_contact")], [])
    assert warehouse.rows(repeated_people_sql(["winback"])) == [(1,)]


@pytest.mark.parametrize(
    ("kind", "expression", "window_days"),
    [
        (MetricKind.SUM, "net_revenue", 0),
        (MetricKind.COUNT, "order_items", 30),
        (MetricKind.SHARE, "orders", 30),
        (MetricKind.SHARE, "orders >= ", 30),
        (MetricKind.SHARE, "clicked", 30),
        (MetricKind.SHARE, "1 = 1) or (1 = 1", 30),
        (MetricKind.SHARE, "sum(orders) >= 1", 30),
    ],
)
def test_a_metric_that_cannot_be_measured_is_refused(kind, expression, window_days):
    with pytest.raises(ConfigError, match=r"metrics\.m"):
        MetricSpec("m", kind, expression, window_days)


@pytest.mark.parametrize("name", ["", "a b", 'x"; drop', "1st", "ä"])
def test_a_name_that_is_no_name_is_refused(name):
    with pytest.raises(ConfigError, match="letters"):
        MetricSpec(name, MetricKind.SUM, "net_revenue", 30)


@pytest.mark.parametrize(
    "expression", ["sum(net_revenue)", "revenue", "channel", "1", "(select 1)", "net_revenue; x"]
)
def test_a_sum_of_something_else_than_a_number_is_refused(warehouse, expression):
    load(warehouse, [], [])
    metric = MetricSpec("m", MetricKind.SUM, expression, 30)
    with pytest.raises(ConfigError, match=r"metrics\.m\.sum"):
        metric.order_value(warehouse.columns("clean_orders"))


def test_metrics_are_grouped_by_window_and_named_once():
    long = MetricSpec("orders_60d", MetricKind.COUNT, "orders", 60)
    assert by_window([REVENUE, long, ORDERS, REVENUE]) == {30: (REVENUE, ORDERS), 60: (long,)}
    with pytest.raises(ConfigError, match="two metrics"):
        by_window([REVENUE, MetricSpec("revenue_30d", MetricKind.SUM, "gross", 30)])
    with pytest.raises(ConfigError, match="one window"):
        units_sql([REVENUE, long], order_columns={}, as_of=START, campaigns=["winback"])


@pytest.mark.parametrize("engine", ENGINES)
def test_the_statements_can_be_written_for_every_engine(engine):
    columns = {"net_revenue": "DECIMAL(18, 2)", "margin": "DECIMAL(18, 2)"}
    text = units_sql(ALL, order_columns=columns, as_of=START, campaigns=["winback"])
    for statement in (
        text,
        people_sql([30], as_of=START, campaigns=["it's"]),
        repeated_people_sql(["winback"]),
    ):
        assert render(statement, engine).startswith(("WITH", "SELECT"))


@pytest.mark.parametrize(
    ("metric", "needs"),
    [
        (MetricSpec("m", MetricKind.COUNT, "email_clicks", 30), True),
        (MetricSpec("m", MetricKind.SHARE, "unsubscribed or orders = 0", 30), True),
        (
            MetricSpec(
                "m", MetricKind.COUNT, "events", 30, source=Source.EVENTS,
                where="meaning = 'email_click'",
            ),
            True,
        ),
        (
            MetricSpec(
                "m", MetricKind.SUM, "CASE WHEN meaning IN ('email_open') THEN 1 ELSE 0 END", 30,
                source=Source.EVENTS,
            ),
            True,
        ),
        (
            MetricSpec(
                "m", MetricKind.COUNT, "events", 30, source=Source.EVENTS,
                where="meaning = 'product_view'",
            ),
            False,
        ),
        (REVENUE, False),
    ],
)  # fmt: skip
def test_what_only_people_do_who_are_written_to(metric, needs):
    """However it is counted: against no contact a click means nothing."""
    assert metric.needs_contact is needs
