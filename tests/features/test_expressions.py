"""Local times, and what levels and derived features are allowed to be."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pyarrow as pa
import pytest
from sqlglot import parse_one

from connector.errors import ModelError
from connector.features.build import build_features, features_sql, levels_sql
from connector.features.catalogue import PACKS, Settings, asked_for, packs_of
from connector.features.expressions import localise, parse_level
from connector.features.pack import (
    DerivedColumn,
    FeatureColumn,
    FeaturePack,
    Level,
    LevelColumns,
    Rows,
)
from connector.warehouse.duckdb import DuckDBWarehouse
from connector.warehouse.grammar import Liftline, StatementError
from connector.warehouse.render import render
from tests.features.world import event, features_of, of_one, order, shop
from tests.profiles.tables import AS_OF

MOMENTS = [
    datetime(2024, 3, 31, 0, 59, 59),  # noqa: DTZ001 - relations hold UTC without saying so
    datetime(2024, 3, 31, 1, 0, 0),  # noqa: DTZ001
    datetime(2024, 10, 27, 0, 59, 59),  # noqa: DTZ001
    datetime(2024, 10, 27, 1, 0, 0),  # noqa: DTZ001
    *(datetime(2003, 1, 1) + timedelta(days=37, hours=7) * i for i in range(220)),  # noqa: DTZ001
]


@pytest.mark.parametrize(
    "zone", ["Europe/Berlin", "America/Sao_Paulo", "Asia/Kolkata", "UTC", "Australia/Lord_Howe"]
)
def test_local_times_are_those_of_the_zones_own_rules(zone):
    """Against Python's zone database; before 15 years the engine's own is asked."""
    tree = parse_one(f"SELECT m.t AS t, to_local(m.t, '{zone}') AS l FROM m", dialect=Liftline)
    sql = localise(tree, AS_OF).sql(dialect=Liftline)
    assert ("CASE" in sql) is (zone not in ("Asia/Kolkata", "Australia/Lord_Howe"))
    with DuckDBWarehouse() as warehouse:
        warehouse.load("m", pa.table({"t": pa.array(MOMENTS, pa.timestamp("us"))}))
        found = warehouse.rows(sql)
    assert len(found) == len(MOMENTS)
    for moment, local in found:
        wanted = moment.replace(tzinfo=UTC).astimezone(ZoneInfo(zone)).replace(tzinfo=None)
        assert local == wanted, moment


def test_an_order_on_sunday_night_is_one_of_monday_in_the_east():
    late = datetime(2025, 6, 29, 22, 30)  # noqa: DTZ001
    tables = shop(orders=[order(1, 1, 10) | {"ordered_at": late}])

    def habits(zone):
        packs = packs_of(["orders", "channel_mix"], Settings(timezone=zone))
        asked = ("weekend_share", "preferred_order_hour")
        return of_one(tables, *asked_for(packs, asked))

    assert habits("UTC")["weekend_share"] == 1
    assert habits("Europe/Berlin")["weekend_share"] == 0
    assert habits("UTC")["preferred_order_hour"] == 22
    assert habits("Europe/Berlin")["preferred_order_hour"] == 0


ASKED = ("mean_days_between_orders", "sessions_90d")


def test_history_cuts_off_what_is_too_long_ago():
    tables = shop(
        orders=[order(1, 10), order(2, 500)],
        events=[event(1, "Product Viewed", 10, product_id="a"), event(2, "Page Viewed", 50)],
    )
    packs = packs_of(["orders", "browse"], Settings())
    row = features_of(tables, asked_for(packs, ASKED), history_days=30)["1"]
    assert (row["lifetime_orders"], row["orders_730d"], row["first_order_age_days"]) == (1, 1, 10)
    assert row["mean_days_between_orders"] is None
    assert row["sessions_90d"] == 1


def level(name, sql="SELECT r.profile_id AS profile_id FROM r", **reads):
    origins = tuple(reads.items()) or (("r", Rows("clean_orders", "ordered_at")),)
    return Level(name, sql, origins)


def counting(*levels):
    parts = tuple(
        LevelColumns(one, (FeatureColumn(f"n{i}", "count(*)", "x", "x"),))
        for i, one in enumerate(levels)
    )
    return FeaturePack("p", "", "", levels=parts)


def test_a_level_that_several_read_is_made_once_and_before_them():
    below = level("below")
    first, second = level("first", r=below), level("second", r=below)
    made = levels_sql([counting(first, second)], as_of=AS_OF)
    assert [(name, shared) for name, _, shared in made] == [
        ("below", True),
        ("first", False),
        ("second", False),
    ]
    assert made[0][1].count("2025-07-01") == 1
    assert "clean_orders" not in made[1][1]


def test_levels_that_contradict_each_other_are_refused():
    with pytest.raises(ModelError, match="same name: one"):
        levels_sql(
            [counting(level("one"), level("one", "SELECT 1 AS profile_id FROM r"))], as_of=AS_OF
        )


@pytest.mark.parametrize("sql", ["DROP TABLE x", "SELECT (", "SELECT 1 AS a UNION SELECT 2 AS a"])
def test_a_level_is_one_select(sql):
    with pytest.raises(ModelError, match="level_x"):
        parse_level("level_x", sql)


def test_a_level_calls_only_what_is_portable():
    pack = counting(level("one", "SELECT r.profile_id AS profile_id, epoch_ms(r.a) AS b FROM r"))
    with DuckDBWarehouse() as warehouse, pytest.raises(StatementError):
        build_features(warehouse, [pack], as_of=AS_OF)


def test_a_window_needs_a_time():
    column = FeatureColumn("n_7d", "count(*)", "x", "x", window_days=7)
    with pytest.raises(ModelError, match="no time"):
        LevelColumns(level("one"), (column,))


def test_derived_features_may_read_each_other_but_not_in_a_circle():
    base = FeatureColumn("n", "count(*)", "x", "x")

    def pack(*derived):
        columns = tuple(DerivedColumn(name, sql, "x", "x", "DOUBLE") for name, sql in derived)
        return FeaturePack("p", "clean_orders", "ordered_at", (base,), columns)

    chain = pack(("c", "b + 1"), ("b", "a + 1"), ("a", "n + 1"))
    row = of_one(shop(orders=[order(1, 1)]), chain)
    assert (row["a"], row["b"], row["c"]) == (2, 3, 4)
    with pytest.raises(ModelError, match="made of each other: a, b"):
        features_sql([pack(("a", "b + 1"), ("b", "a + 1"))], as_of=AS_OF)


def test_every_statement_can_be_written_for_postgres():
    packs = packs_of(PACKS, Settings(timezone="Europe/Berlin"))
    statements = [sql for _, sql, _ in levels_sql(packs, as_of=AS_OF)]
    for sql in [*statements, features_sql(packs, as_of=AS_OF)]:
        written = render(sql, "postgres")
        assert "clean_" in written or "level_" in written
