"""Metrics over lines, events, scores and costs, person by person, against plain Python."""

from __future__ import annotations

from collections import defaultdict
from datetime import timedelta

import numpy as np
import pyarrow as pa
import pytest

from connector.errors import ConfigError
from connector.lift.inputs import Costs, Inputs, companion
from connector.lift.metrics import MetricKind, MetricSpec, Source
from connector.lift.units import units_sql
from connector.warehouse.macros import ENGINES
from connector.warehouse.render import render
from tests.lift.shop import STAMP, Assigned, Event, Line, Order, day, load, load_events, load_lines

K = MetricKind
MARGIN = MetricSpec("margin", K.SUM, "net_revenue - item_cost - offer_cost - contact_cost", 30)
AOV = MetricSpec("aov", K.RATIO, "net_revenue", 30, denominator="orders")
CLICKS = MetricSpec("clicks", K.RATIO, "email_clicks", 30, denominator="email_sends")
LEFT = MetricSpec("left", K.SHARE, "unsubscribed", 30)
PIECES = MetricSpec("pieces", K.SUM, "quantity", 30, source=Source.ORDER_ITEMS)
DEAR = MetricSpec(
    "dear", K.COUNT, "order_items", 30, source=Source.ORDER_ITEMS, where="price >= 50"
)
VIEWS = MetricSpec(
    "views", K.COUNT, "events", 30, source=Source.EVENTS, where="meaning = 'product_view'"
)
WORTH = MetricSpec("worth", K.SUM, "value", 30, source=Source.EVENTS)
OPENS = MetricSpec("opens", K.COUNT, "email_opens", 30)
GROWTH = MetricSpec("growth", K.DELTA, "clv.expected", 30)
REVENUE = MetricSpec("revenue", K.SUM, "net_revenue", 30)
ALL = (MARGIN, AOV, CLICKS, LEFT, PIECES, DEAR, VIEWS, WORTH, OPENS, GROWTH, REVENUE)
BACK_DAYS = 45
AS_OF = day(80)


def made(rng):
    """People of two campaigns over 40 days, and what they did in five months around."""
    people = [
        Assigned(
            f"p{i}",
            str(rng.choice(["treatment", "no_contact"])),
            day(float(rng.integers(0, 60))),
            campaign,
        )
        for campaign in ("winback", "vip")
        for i in range(60)
    ]
    orders, lines, events, scores = [], [], [], []
    for i in range(700):
        who, at = f"p{rng.integers(0, 70)}", day(float(rng.integers(-60, 100)))
        back = bool(rng.random() < 0.1)
        net = int(rng.integers(1, 200))
        sale = "5" if rng.random() < 0.3 else "0"
        orders.append(Order(who, at, str(-net if back else net), back, None, sale))
        lines += [
            Line(i, who, at, float(rng.integers(1, 4)), str(rng.integers(1, 90)), "7", back)
            for _ in range(rng.integers(1, 4))
        ]
    meanings = ["email_sent", "email_open", "email_click", "email_unsubscribe", "product_view"]
    for _ in range(900):
        who, at = f"p{rng.integers(0, 70)}", day(float(rng.integers(-60, 100)))
        events.append(Event(who, at, str(rng.choice(meanings)), str(rng.integers(0, 9))))
    for at in (-30, 0, 20, 45, 70, 95):
        scores += [(f"p{i}", day(at), float(rng.integers(0, 500))) for i in range(0, 60, 2)]
    return people, orders, lines, events, scores


def load_all(warehouse, people, orders, lines, events, scores):
    load(warehouse, people, orders)
    load_lines(warehouse, lines)
    load_events(warehouse, events)
    warehouse.load(
        "lift_scores",
        pa.table(
            {
                "profile_id": [who for who, _, _ in scores],
                "score": ["clv.expected"] * len(scores),
                "at": pa.array([at.replace(tzinfo=None) for _, at, _ in scores], STAMP),
                "value": [value for _, _, value in scores],
            }
        ),
    )
    warehouse.load(
        "lift_withdrawals",
        pa.table({"profile_id": ["p3"], "at": pa.array([day(61).replace(tzinfo=None)], STAMP)}),
    )
    return Inputs(
        items=warehouse.columns("clean_items"),
        events=warehouse.columns("clean_events"),
        has_withdrawals=True,
        has_scores=True,
        costs={"winback": Costs(0.5, 2.0), "vip": Costs(0.25)},
        covariate_days=BACK_DAYS,
    )


def plain(people, orders, lines, events, scores):
    """(campaign, profile) -> metric -> its value, or the pair of a ratio or covariate."""
    costs = {"winback": (0.5, 2.0), "vip": (0.25, 0.0)}
    by_order = defaultdict(float)
    for x in lines:
        by_order[x.order] += (-1 if x.is_return else 1) * x.quantity * float(x.unit_cost)
    found = {}
    for p in people:
        end, begins = p.at + timedelta(days=30), p.at - timedelta(days=BACK_DAYS)
        if end > AS_OF:
            continue
        contact, offer = costs[p.campaign] if p.arm == "treatment" else (0.0, 0.0)

        def within(rows, after, p=p, end=end, begins=begins):
            low, high = (p.at, end) if after else (begins, p.at)
            return [
                (i, x)
                for i, x in enumerate(rows)
                if x.profile_id == p.profile_id and low <= x.at < high and x.at < AS_OF
            ]

        def sums(after, p=p, end=end, within=within, contact=contact, offer=offer):
            bought = within(orders, after)
            done = [x.meaning for _, x in within(events, after)]
            return {
                "revenue": sum(float(o.net) for _, o in bought),
                "margin": sum(
                    float(o.net)
                    - by_order[i]
                    - (offer if after and float(o.discount) > 0 and not o.is_return else 0.0)
                    for i, o in bought
                )
                - (contact if after else 0.0),
                "orders": sum(not o.is_return for _, o in bought),
                "pieces": sum(
                    (-1 if x.is_return else 1) * x.quantity for _, x in within(lines, after)
                ),
                "dear": sum(
                    not x.is_return and float(x.price) >= 50 for _, x in within(lines, after)
                ),
                "views": done.count("product_view"),
                "worth": sum(float(x.value) for _, x in within(events, after)),
                "opens": done.count("email_open"),
                "clicks": (done.count("email_click"), done.count("email_sent")),
                "left": float(
                    "email_unsubscribe" in done
                    or (after and p.profile_id == "p3" and p.at <= day(61) < end)
                ),
            }

        after, before = sums(True), sums(False)
        mine = sorted((at, value) for who, at, value in scores if who == p.profile_id)
        first = [value for at, value in mine if at <= p.at]
        last = [value for at, value in mine if p.at < at <= end]
        found[p.campaign, p.profile_id] = {
            **{
                name: (after[name], before[name])
                for name in ("revenue", "margin", "pieces", "dear", "views", "worth", "opens")
            },
            "aov": (after["revenue"], after["orders"]),
            "clicks": after["clicks"],
            "left": after["left"],
            "growth": last[-1] - first[-1] if first and last else None,
        }
    return found


def test_every_person_agrees_with_a_plain_reading_of_the_rules(warehouse):
    given = made(np.random.default_rng(41))
    inputs = load_all(warehouse, *given)
    text = units_sql(
        ALL,
        order_columns=warehouse.columns("clean_orders"),
        as_of=AS_OF,
        campaigns=["winback", "vip"],
        inputs=inputs,
    )
    warehouse.create_table_as("u", text)
    names = list(warehouse.columns("u"))
    wanted = plain(*given)
    rows = warehouse.rows("SELECT * FROM u AS u")
    assert {(row[0], row[3]) for row in rows} == set(wanted)
    paired = {m.name for m in ALL if companion(m.name) in names}
    assert paired == {m.name for m in ALL} - {"left", "growth"}
    for row in rows:
        values = dict(zip(names, row, strict=True))
        mine = wanted[row[0], row[3]]
        for metric in ALL:
            expected = mine[metric.name]
            if metric.name in paired:
                got = (values[metric.name], values[companion(metric.name)])
                assert got == pytest.approx(expected, abs=1e-9), (row[:4], metric.name)
            elif expected is None:
                assert values[metric.name] is None
            else:
                assert values[metric.name] == expected, (row[:4], metric.name)


def only(warehouse, metric, orders=(), *, inputs, lines=(), events=()):
    load(warehouse, [Assigned("p", "treatment")], orders)
    load_lines(warehouse, lines)
    load_events(warehouse, events)
    text = units_sql(
        [metric],
        order_columns=warehouse.columns("clean_orders"),
        as_of=day(30),
        campaigns=["winback"],
        inputs=inputs,
    )
    return warehouse.rows(text)[0][5]


def test_a_cost_that_is_not_known_makes_the_person_unknown(warehouse):
    inputs = Inputs(items={"order_id": "VARCHAR", "unit_cost": "DECIMAL(18, 2)"})
    order = Order("p", day(1), "20")
    full = Line(0, "p", day(1), 2, "10", "4")
    cost = MetricSpec("kept", K.SUM, "net_revenue - item_cost", 30)
    assert only(warehouse, cost, [order], lines=[full], inputs=inputs) == 12.0
    blank = Line(0, "p", day(1), 1, "10", None)
    assert only(warehouse, cost, [order], lines=[full, blank], inputs=inputs) is None
    assert only(warehouse, cost, [order], lines=[], inputs=inputs) is None
    assert only(warehouse, cost, [], lines=[full], inputs=inputs) == 0.0


def test_who_is_treated_costs_a_contact_whether_or_not_they_buy(warehouse):
    inputs = Inputs(costs={"winback": Costs(0.5)})
    paid = MetricSpec("paid", K.SUM, "net_revenue - contact_cost", 30)
    assert only(warehouse, paid, [], inputs=inputs) == -0.5
    two = [Order("p", day(1), "3"), Order("p", day(2), "4")]
    assert only(warehouse, paid, two, inputs=inputs) == 6.5


@pytest.mark.parametrize(
    ("metric", "said"),
    [
        (MetricSpec("m", K.SUM, "net_revenue * contact_cost", 30), "once on a person"),
        (MetricSpec("m", K.SUM, "net_revenue - item_cost", 30), "item_cost"),
        (MetricSpec("m", K.SUM, "value", 30, source=Source.EVENTS), "tables.events"),
        (MetricSpec("m", K.RATIO, "email_clicks", 30, denominator="email_sends"), "meaning"),
        (MetricSpec("m", K.DELTA, "clv.expected", 30), "no run has published"),
    ],
)
def test_what_nothing_tells_is_refused_by_name(warehouse, metric, said):
    load(warehouse, [Assigned("p", "treatment")], [])
    with pytest.raises(ConfigError) as caught:
        units_sql(
            [metric],
            order_columns=warehouse.columns("clean_orders"),
            as_of=day(30),
            campaigns=["winback"],
        )
    assert said in f"{caught.value.message} {caught.value.hint}"


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"kind": K.RATIO, "expression": "net_revenue"}, "two sides"),
        ({"kind": K.SUM, "expression": "gross", "denominator": "orders"}, "two sides"),
        ({"kind": K.RATIO, "expression": "1", "denominator": "orders"}, "number of a person"),
        ({"kind": K.SHARE, "expression": "orders >= 1", "where": "gross > 1"}, "where"),
        ({"kind": K.COUNT, "expression": "net_revenue"}, "cannot be counted"),
        ({"kind": K.SUM, "expression": "gross", "winsorise": 1.0}, "winsorise"),
        ({"kind": K.SHARE, "expression": "unsubscribed", "max_increase": 0.0}, "limit"),
    ],
)
def test_a_metric_that_contradicts_itself_is_refused(keys, said):
    with pytest.raises(ConfigError, match=said):
        MetricSpec("m", window_days=30, **keys)


@pytest.mark.parametrize("engine", ENGINES)
def test_the_whole_statement_can_be_written_for_every_engine(engine):
    events = {"meaning": "VARCHAR", "value": "DECIMAL(18, 2)"}
    items = dict.fromkeys(("order_id", "quantity", "price", "unit_cost", "is_return"), "DOUBLE")
    text = units_sql(
        ALL,
        order_columns={"net_revenue": "DECIMAL(18, 2)", "discount": "DECIMAL(18, 2)"},
        as_of=AS_OF,
        campaigns=["winback"],
        inputs=Inputs(
            items=items,
            events=events,
            has_withdrawals=True,
            has_scores=True,
            covariate_days=90,
            costs={"winback": Costs(1.0, 2.0)},
            closes={"winback": day(70)},
            dimensions=("rfm.group",),
        ),
    )
    assert render(text, engine).startswith("WITH")
