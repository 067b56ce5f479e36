from datetime import datetime
from decimal import Decimal

import pytest

from connector.errors import ModelError
from connector.features.build import build_features, features_sql
from connector.features.orders import orders_pack, rfm_pack
from connector.features.pack import DerivedColumn, FeatureColumn, FeaturePack
from connector.warehouse.duckdb import DuckDBWarehouse
from connector.warehouse.grammar import StatementError
from connector.warehouse.macros import ENGINES
from connector.warehouse.render import render
from tests.profiles.tables import AS_OF, put, understand, utc


def pack(*expressions, where="", window_days=None):
    columns = tuple(
        FeatureColumn(
            f"f{i}",
            text,
            "x",
            "x",
            where=where,
            window_days=window_days,
            type="DOUBLE",
            empty="NULL",
        )
        for i, text in enumerate(expressions)
    )
    return FeaturePack("p", "clean_orders", "ordered_at", columns)


@pytest.fixture
def warehouse():
    with DuckDBWarehouse() as warehouse:
        put(warehouse, "customers", [{"customer_id": "1"}])
        values = [(1, "web", 10), (2, "app", 20), (3, "web", 60), (200, "app", 1000)]
        put(
            warehouse,
            "orders",
            [
                {
                    "order_id": str(i),
                    "customer_id": "1",
                    "ordered_at": utc(2025, 6, 30 - days) if days < 30 else utc(2025, 1, 1),
                    "gross": Decimal(value),
                    "channel": channel,
                }
                for i, (days, channel, value) in enumerate(values)
            ],
        )
        understand(warehouse)
        yield warehouse


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("count(*)", 3),
        ("sum(net_revenue)", 90),
        ("avg(net_revenue)", 30),
        ("median(net_revenue)", 20),
        ("quantile(net_revenue, 0.25)", 15),
        ("max(net_revenue) - min(net_revenue)", 50),
        ("count(distinct channel)", 2),
        ("count_if(channel = 'web')", 2),
        ("sum_if(net_revenue, channel = 'web') / sum(net_revenue)", 7 / 9),
        ("days_between(min(ordered_at), as_of)", 4),
    ],
)
def test_a_window_reaches_every_aggregate(warehouse, expression, value):
    build_features(warehouse, [pack(expression, window_days=30)], as_of=AS_OF)
    ((found,),) = warehouse.rows("SELECT f.f0 FROM features AS f")
    assert found == pytest.approx(value)


def test_conditions_and_windows_hold_together(warehouse):
    build_features(
        warehouse, [pack("count(*)", where="channel = 'app'", window_days=30)], as_of=AS_OF
    )
    assert warehouse.rows("SELECT f.f0 FROM features AS f") == [(1.0,)]


def test_packs_over_one_table_share_one_scan():
    sql = features_sql([rfm_pack(), orders_pack()], as_of=AS_OF)
    assert sql.count("FROM clean_orders") == 1
    assert sql.count("GROUP BY") == 1


def test_the_statement_is_in_the_dialect_of_every_engine():
    sql = features_sql([rfm_pack(), orders_pack()], as_of=AS_OF)
    for engine in ENGINES:
        assert "clean_orders" in render(sql, engine)


@pytest.mark.parametrize("packs", [[pack("net_revenue")], [pack("sum(")], [rfm_pack(), rfm_pack()]])
def test_impossible_packs_are_refused(warehouse, packs):
    with pytest.raises(ModelError):
        build_features(warehouse, packs, as_of=AS_OF)


def test_a_function_that_is_not_of_the_dialect_is_refused(warehouse):
    with pytest.raises(StatementError):
        build_features(warehouse, [pack("sum(read_text(channel))")], as_of=AS_OF)


def test_a_window_has_at_least_a_day():
    with pytest.raises(ModelError, match="0 days"):
        pack("count(*)", window_days=0)


def test_as_of_must_be_aware():
    with pytest.raises(ModelError, match="time zone"):
        features_sql([rfm_pack()], as_of=datetime(2025, 1, 1))  # noqa: DTZ001 - the point


def test_derived_columns_read_other_features(warehouse):
    share = DerivedColumn("share", "f0 / f1", "share", "x", type="DOUBLE")
    base = pack("sum_if(net_revenue, channel = 'web')", "sum(net_revenue)", window_days=30)
    metas = build_features(
        warehouse,
        [FeaturePack("p", base.table, base.time, base.columns, (share,))],
        as_of=AS_OF,
    )
    assert [m.name for m in metas] == ["f0", "f1", "share"]
    ((found,),) = warehouse.rows("SELECT f.share FROM features AS f")
    assert found == pytest.approx(7 / 9)
