import random
from datetime import timedelta
from decimal import Decimal

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connector.errors import ConfigError, SourceError
from connector.profiles.orders import clean_items
from connector.profiles.spec import CustomersSpec, Duplicates, MarginFrom, OrdersSpec
from connector.warehouse.duckdb import DuckDBWarehouse
from tests.profiles.tables import AS_OF, put, understand, utc

T = utc(2025, 6, 1)
NOW = AS_OF.replace(tzinfo=None)


def order(order_id="o", gross="100", customer_id="1", ordered_at=T, **others):
    money = {k: Decimal(v) for k, v in {"gross": gross, **others}.items() if _is_money(k, v)}
    rest = {k: v for k, v in others.items() if k not in money}
    return (
        {"order_id": order_id, "customer_id": customer_id, "ordered_at": ordered_at} | money | rest
    )


def _is_money(name, value):
    return name in ("gross", "discount", "refund", "shipping", "margin") and value is not None


def outcome(rows, spec=None, **options):
    """Kept orders as {order_id: (net_revenue, is_return)}, and why the others went."""
    with DuckDBWarehouse() as warehouse:
        people = [
            {"customer_id": "1", "email": "a@x.de"},
            {"customer_id": "t", "email": "t@shop.example"},
            {"customer_id": "later", "created_at": NOW},
        ]
        put(warehouse, "customers", people)
        put(warehouse, "orders", rows)
        spec = spec or OrdersSpec(cancelled="status = 'cancelled'", max_order_value=Decimal(5000))
        report = understand(
            warehouse,
            orders=spec,
            customers=CustomersSpec(exclude="email like '%@shop.example'"),
            **options,
        ).orders
        kept = warehouse.rows(
            "SELECT o.order_id, o.net_revenue, o.is_return FROM clean_orders AS o"
        )
        (n_aside,) = warehouse.rows(
            "SELECT coalesce(sum(q.n), 0) AS n FROM quarantined_orders AS q"
        )[0]
    reasons = {reason: n for reason, n in report.left_out.items() if n}
    return {o: (net, back) for o, net, back in kept}, reasons, n_aside


@pytest.mark.parametrize(
    ("row", "net", "is_return"),
    [
        (order(), "100", False),
        (order(discount="10", refund="30"), "60", False),
        (order(gross="0"), "0", False),
        (order(gross="-40"), "-40", True),
        (order(gross="-40", is_return=True), "-40", True),
        # Whichever sign a shop gives its returns, they take money away.
        (order(gross="40", is_return=True), "-40", True),
        (order(refund="105", shipping="5"), "-5", False),
        (order(ordered_at=NOW - timedelta(microseconds=1)), "100", False),
    ],
)
def test_what_counts(row, net, is_return):
    kept, reasons, n_aside = outcome([row])
    assert (kept, reasons, n_aside) == ({"o": (Decimal(net), is_return)}, {}, 0)


@pytest.mark.parametrize(
    ("row", "reason", "quarantined"),
    [
        (order(order_id=None), "missing_order_id", True),
        (order(ordered_at=None), "missing_ordered_at", True),
        (order(ordered_at=NOW), "after_as_of", False),
        (order(status="cancelled"), "cancelled", False),
        (order(customer_id=None), "missing_customer", True),
        (order(customer_id="x"), "unknown_customer", True),
        (order(customer_id="t"), "test_account", False),
        (order(customer_id="later"), "customer_after_as_of", False),
        (order() | {"gross": None}, "missing_gross", True),
        (order(gross="-1", is_return=False), "negative_gross", True),
        (order(gross="5000.01"), "above_max_order_value", True),
        (order(gross="-5000.01"), "above_max_order_value", True),
        (order(discount="-1"), "negative_discount", True),
        (order(refund="-1"), "negative_refund", True),
        (order(discount="101"), "discount_above_gross", True),
        (order(refund="100.01"), "refund_above_paid", True),
        (order(discount="50", refund="60"), "refund_above_paid", True),
    ],
)
def test_what_does_not_and_why(row, reason, quarantined):
    assert outcome([row]) == ({}, {reason: 1}, int(quarantined))


def test_a_cancelled_order_is_not_judged_further():
    assert outcome([order(customer_id=None, status="cancelled")])[1] == {"cancelled": 1}


def test_versions_of_one_order_and_equal_rows():
    rows = [
        order(gross="10"),
        order(gross="10"),
        order(gross="20", ordered_at=T + timedelta(days=1)),
        order(gross="99", ordered_at=NOW),
        order("p"),
    ]
    kept, reasons, _ = outcome(rows)
    assert {k: v[0] for k, v in kept.items()} == {"o": 20, "p": 100}
    assert reasons == {"after_as_of": 1, "exact_duplicate": 1, "key_duplicate": 1}
    with pytest.raises(SourceError, match=r"orders\.order_id"):
        outcome(rows, OrdersSpec(duplicates=Duplicates.ERROR))


def test_net_revenue_is_the_shops_own_formula():
    spec = OrdersSpec(net_revenue="(gross - discount) / 1.19 - refund")
    kept, _, _ = outcome([order(gross="119")], spec)
    assert kept == {"o": (Decimal(100), False)}
    with pytest.raises(ConfigError, match=r"net_revenue"):
        outcome([], OrdersSpec(net_revenue="gros"))


ROWS = st.lists(
    st.builds(
        order,
        st.sampled_from(["1", "2", "3", None]),
        st.sampled_from(["10", "-10", "0", "9999"]),
        st.sampled_from(["1", "x", "t", None]),
        st.sampled_from([T, T + timedelta(days=1), NOW]),
        status=st.sampled_from(["paid", "cancelled"]),
        is_return=st.sampled_from([True, False, None]),
    ),
    max_size=10,
)


@given(ROWS, st.randoms(use_true_random=False))
@settings(max_examples=8, deadline=None)
def test_no_row_is_lost_and_their_order_never_matters(rows, rnd: random.Random):
    first = outcome(rows)
    rnd.shuffle(rows)
    assert outcome(rows) == first
    assert len(first[0]) + sum(first[1].values()) == len(rows)


def test_lines_follow_their_order():
    lines = [
        {"order_id": "o", "product_id": "a", "quantity": 2.0, "price": Decimal(5)},
        {"order_id": "o", "product_id": None, "quantity": 1.0, "price": Decimal(5)},
        {"order_id": "o", "product_id": "b", "quantity": 1.0, "price": Decimal(-5)},
        {"order_id": "gone", "product_id": "a", "quantity": 1.0, "price": Decimal(5)},
    ]
    with DuckDBWarehouse() as warehouse:
        put(warehouse, "customers", [{"customer_id": "1"}])
        put(warehouse, "orders", [order(), order("gone", customer_id="x")])
        put(warehouse, "order_items", lines)
        understand(warehouse)
        report = clean_items(warehouse)
        kept = warehouse.rows("SELECT i.order_id, i.product_id, i.quantity FROM clean_items AS i")
        (profile,) = warehouse.rows("SELECT DISTINCT i.profile_id FROM clean_items AS i")
        assert profile == warehouse.rows("SELECT p.profile_id FROM profiles AS p")[0]
    assert kept == [("o", "a", 2.0)]
    assert report.left_out == {
        "missing_product_id": 1,
        "negative_price": 1,
        "order_not_kept": 1,
    }
    assert report.n_accounted == report.n_in == 4


def test_without_lines_there_is_an_empty_relation():
    with DuckDBWarehouse() as warehouse:
        understand(warehouse)
        assert clean_items(warehouse).n_in == 0
        assert warehouse.rows("SELECT * FROM clean_items") == []


def line(quantity=1.0, unit_cost="3", price="5", order_id="o", product_id="a"):
    money = {"price": price, "unit_cost": unit_cost}
    given = {name: None if v is None else Decimal(v) for name, v in money.items()}
    return {"order_id": order_id, "product_id": product_id, "quantity": quantity} | given


def margin(lines, row=None, *, set_aside=(), spec=None):
    """Margin and cost of the one order, and how many orders are told to have none."""
    with DuckDBWarehouse() as warehouse:
        put(warehouse, "customers", [{"customer_id": "1"}])
        put(warehouse, "order_items", lines)
        if set_aside:
            rows = {"row_key": list(set_aside), "reason": ["odd"] * len(set_aside)}
            warehouse.load("quarantined_in_order_items", pa.table(rows))
        put(warehouse, "orders", [row or order()])
        report = understand(warehouse, orders=spec or OrdersSpec(margin=MarginFrom.ITEMS)).orders
        (found,) = warehouse.rows("SELECT o.margin, o.item_cost FROM clean_orders AS o")
    return (*found, report.emptied.get("margin_unknown"))


@pytest.mark.parametrize(
    ("lines", "row", "wanted", "cost"),
    [
        ([line(), line(2.0, "7.5")], order(), 82, 18),
        # A piece that comes back lowers the cost; a discount and a refund lower the revenue alone.
        ([line(3.0), line(-1.0)], order(discount="10", refund="20"), 64, 6),
        # Sold at a loss.
        ([line(1.0, "130")], order(), -30, 130),
        # A third of a kilo, to the cent.
        ([line(1 / 3, "10")], order(), "96.67", "3.33"),
        ([line(1.0, "0")], order(), 100, 0),
        # Goods that come back cost less, whichever sign their number has.
        ([line(-2.0, "10")], order(gross="-40"), -20, -20),
        ([line(2.0, "10")], order(gross="40", is_return=True), -20, -20),
    ],
)
def test_margin_is_what_the_lines_leave_of_the_revenue(lines, row, wanted, cost):
    assert margin(lines, row) == (Decimal(wanted), Decimal(cost), 0)


@pytest.mark.parametrize(
    "lines",
    [
        [],
        [line(order_id="another")],
        [line(), line(unit_cost=None)],
        [line(), line(unit_cost="-1")],
        [line(), line(quantity=None)],
        [line(), line(product_id=None)],
        [line(), line(price="-1")],
        [line(), line(float("inf"))],
        [line(), line(float("nan"))],
        [line(1e30)],
    ],
)
def test_an_order_with_a_line_of_unknown_cost_has_no_margin_and_is_counted(lines):
    assert margin(lines) == (None, None, 1)


def test_a_line_that_was_set_aside_leaves_the_margin_unknown():
    assert margin([line()], set_aside=["o", "o"]) == (None, None, 1)
    assert margin([line()], set_aside=["another"]) == (97, 3, 0)


def test_a_shops_own_margin_is_left_as_it_is():
    row = order(margin="12")
    assert margin([line()], row, spec=OrdersSpec()) == (12, None, None)
