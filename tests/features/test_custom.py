"""Features that a user writes: what they may say, what they mean, and what is refused."""

from decimal import Decimal

import pytest

from connector.errors import ConfigError
from connector.features.build import build_features
from connector.features.catalogue import BASE, Settings, asked_for, packs_of
from connector.features.custom import CustomFeature, custom_pack, replacing
from connector.warehouse.duckdb import DuckDBWarehouse
from tests.features.world import by_customer, event, order, prepare, properties, shop
from tests.profiles.tables import AS_OF

SHOP = shop(
    orders=[
        order(1, 10, 30, discount=Decimal(5)),
        order(2, 20, 50, discount=Decimal(0)),
        order(3, 400, 90, discount=Decimal(9)),
        order(4, 5, 70, customer="2", discount=None),
    ],
    events=[
        event(1, "Product Viewed", 1, properties=properties(product_id="a", duration_s=10)),
        event(2, "Product Viewed", 2, properties=properties(product_id="a", duration_s="5.5")),
        event(3, "Product Viewed", 3, properties=properties(product_id="b", gpc=True)),
        event(4, "Product Viewed", 9, properties=properties(product_id="c")),
        event(5, "Product Added", 1, properties="no JSON {"),
        event(6, "Page Viewed", 1),
    ],
)
CLEAN = {"orders": "clean_orders", "events": "clean_events"}


@pytest.fixture(scope="module")
def warehouse():
    with DuckDBWarehouse() as warehouse:
        prepare(warehouse, SHOP)
        yield warehouse


def custom(warehouse, sql, source="orders", **options):
    feature = CustomFeature("mine", sql, source, **options)
    ours = {meta.name: meta.type for pack in BASE for meta in pack.metas}
    return custom_pack(feature, warehouse.columns(CLEAN[source]) if source in CLEAN else ours)


def value(warehouse, sql, source="orders", customer="1", **options):
    pack = custom(warehouse, sql, source, **options)
    others = BASE if source == "features" else ()
    build_features(warehouse, [*others, pack], as_of=AS_OF)
    return by_customer(warehouse)[customer]["mine"]


@pytest.mark.parametrize(
    ("sql", "options", "expected"),
    [
        ("count(*)", {}, 3),
        ("count(*)", {"window_days": 365}, 2),
        ("count(*)", {"where": "gross > 40"}, 2),
        ("count(*)", {"where": "gross > 40", "window_days": 365}, 1),
        ("sum(discount > 0) / count(*)", {"window_days": 365}, 0.5),
        ("max(net_revenue)", {}, 81),
        ("days_between(max(ordered_at), as_of)", {"where": "discount > 0"}, 10),
        ("count(distinct discount)", {}, 3),
        ("any_true(gross > 80)", {"window_days": 365}, False),
        ("all_true(gross < 60)", {"window_days": 365}, True),
        ("all_true(gross < 60)", {}, False),
        ("min(ordered_at) < '2025-01-01'", {}, True),
        ("sum(gross)", {"where": "gross > 1000"}, 0),
        ("max(gross)", {"where": "gross > 1000"}, None),
        ("max(gross)", {"where": "gross > 1000", "empty": -1}, -1),
    ],
)
def test_an_aggregate_over_orders(warehouse, sql, options, expected):
    assert value(warehouse, sql, **options) == expected


@pytest.mark.parametrize(
    ("sql", "options", "expected"),
    [
        ("count(distinct properties.product_id)", {"window_days": 7}, 2),
        ("sum(properties.duration_s)", {}, 15.5),
        ("sum(properties.duration_s) / 60", {"where": "event = 'Product Viewed'"}, 0.258333),
        ("count_if(properties.duration_s > 7)", {}, 1),
        ("count(*)", {"where": "properties.gpc = 'true'"}, 1),
        ("count(*)", {"where": "meaning = 'product_view' and properties.duration_s >= 5"}, 2),
        ("count(properties.product_id)", {}, 4),
    ],
)
def test_keys_of_an_events_properties(warehouse, sql, options, expected):
    assert value(warehouse, sql, "events", **options) == expected


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("orders_30d / nullif(lifetime_orders, 0)", 0.666667),
        ("case when orders_30d > 1 then 'often' else 'seldom' end", "often"),
        ("orders_30d > 5", False),
        ("monetary_365d + aov_365d", 112.5),
    ],
)
def test_arithmetic_over_features(warehouse, sql, expected):
    assert value(warehouse, sql, "features") == expected


def test_people_without_rows(warehouse):
    assert value(warehouse, "count(*)", "events", customer="2") == 0
    assert value(warehouse, "avg(duration_s)", "events", customer="2") is None
    assert value(warehouse, "orders_30d / 0", "features", empty=3) == 3


@pytest.mark.parametrize(
    ("sql", "source", "options", "said"),
    [
        ("gross", "orders", {}, "gross has many values for one person"),
        ("1", "orders", {}, "it has many values"),
        ("sum(gross) + gross", "orders", {}, "gross has many values"),
        ("sum(gros)", "orders", {}, "there is no column gros"),
        ("sum(channel)", "orders", {}, "text cannot be added up"),
        ("count(*) over ()", "orders", {}, "window functions"),
        ("(select 1)", "orders", {}, "a query is not allowed"),
        ("read_text('x')", "orders", {}, "there is no function read_text"),
        ("count(*); drop table x", "orders", {}, "semicolon"),
        ("max(profile_id)", "orders", {}, "there is no column profile_id"),
        ("count(*)", "orders", {"where": "gross"}, "must be true or false"),
        ("count(*)", "orders", {"where": "sum(gross) > 1"}, "aggregate is not allowed"),
        ("sum(orders_30d)", "features", {}, "aggregate is not allowed"),
        ("mine + 1", "features", {}, "there is no column mine"),
        ("orders_30d", "features", {"window_days": 3}, "window does not go with"),
        ("count(*)", "customers", {}, "from may be orders, order_items, events"),
    ],
)
def test_what_is_no_feature_is_refused(warehouse, sql, source, options, said):
    with pytest.raises(ConfigError, match="mine") as caught:
        custom(warehouse, sql, source, **options)
    assert said in str(caught.value)


def test_one_of_ours_is_replaced_by_the_users_own(warehouse):
    ours = packs_of(["orders"], Settings())
    theirs = custom_pack(
        CustomFeature("orders_30d", "count(*) * 100", "orders", window_days=30),
        warehouse.columns("clean_orders"),
    )
    build_features(warehouse, [*replacing(asked_for(ours, ()), theirs.names), theirs], as_of=AS_OF)
    row = by_customer(warehouse)["1"]
    assert (row["orders_30d"], row["orders_90d"]) == (200, 2)


def test_the_future_does_not_move_them(warehouse):
    later = {
        "orders": [*SHOP["orders"], order(9, 0, 500), order(10, -3, 500)],
        "events": [*SHOP["events"], event(9, "Product Viewed", -1, duration_s=5.0)],
    }
    packs = [
        (sql, source, custom(warehouse, sql, source))
        for sql, source in (
            ("count(*)", "orders"),
            ("max(gross)", "orders"),
            ("max(ordered_at)", "orders"),
            ("count(*)", "events"),
            ("max(occurred_at)", "events"),
        )
    ]
    with DuckDBWarehouse() as other:
        prepare(other, SHOP | later)
        for sql, source, pack in packs:
            build_features(other, [pack], as_of=AS_OF)
            assert by_customer(other)["1"]["mine"] == value(warehouse, sql, source)
