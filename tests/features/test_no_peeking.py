"""No feature may know the future: what is dated at or after ``as_of`` moves nothing.

The test walks over every feature of every pack, so a new one is covered on the day that it is
written. A leak is planted to prove that the test would find one.
"""

from datetime import timedelta
from decimal import Decimal

import pytest

from connector.errors import ModelError
from connector.features.build import build_features, levels_sql
from connector.features.pack import FeatureColumn, FeaturePack, Level, LevelColumns, Rows
from connector.tables import TABLES
from connector.warehouse.duckdb import DuckDBWarehouse
from tests.features.test_reference import random_shop
from tests.features.world import ALL, NOW, ago, by_customer, event, features_of, order, prepare
from tests.profiles.tables import AS_OF

NAMES = [name for pack in ALL for name in pack.names]
TIMES = {"orders": "ordered_at", "tickets": "opened_at"}
BIRTHS = {"country": "DE", "city": "Bonn", "birth_year": 1980, "acquisition_channel": "ads"}
PAST = random_shop(3)
PAST["customers"] = [row | BIRTHS for row in PAST["customers"]]
DATED = ("orders", "events", "tickets", "social", "loyalty")


def time_of(table):
    return TIMES.get(table, "occurred_at")


def key_of(table):
    return TABLES[table].key[0]


def later(**changes):
    """The rows of the last year once more, mirrored at the instant: the future looks alike."""
    rows = {}
    for table in DATED:
        time, key = time_of(table), key_of(table)
        rows[table] = [
            row | {time: NOW + (NOW - row[time]), key: f"later {row[key]}"} | changes
            for row in PAST[table][:60]
            if row.get("closed_at") is None
        ]
    # The first happens at the instant itself, which is not before it.
    for table, found in rows.items():
        found[0][time_of(table)] = NOW
    lines = [r | {"order_id": f"later {r['order_id']}"} for r in PAST["order_items"]]
    return {**rows, "order_items": lines}


def joined(first, second):
    return {name: [*first.get(name, []), *second.get(name, [])] for name in {**first, **second}}


def worse(row):
    """A row with every number another."""
    return {
        name: value * 7 if isinstance(value, Decimal | float) and name != "sentiment" else value
        for name, value in row.items()
    }


FUTURE = later()
MOVED = {
    table: [
        worse(row) | {time_of(table): NOW + timedelta(days=2), "customer_id": "2"}
        for row in PAST[table]
    ]
    for table in DATED
}
CLOSED_LATER = {
    "tickets": [
        row | {"closed_at": NOW + timedelta(days=1), "satisfaction": 1.0}
        if row["closed_at"] is None
        else row
        for row in PAST["tickets"]
    ]
}
PEOPLE = {
    "customers": [
        {"customer_id": "99", "email": "99@x.de", "created_at": NOW},
        {"customer_id": "1", "updated_at": NOW, "country": "FR", "birth_year": 1990},
    ]
}
SENT_BACK = [
    r | {"order_id": f"r {r['order_id']}", "gross": -abs(r["gross"])} for r in FUTURE["orders"]
]
CANCELLED = [r | {"status": "cancelled", "order_id": f"c {r['order_id']}"} for r in SENT_BACK]
FUTURES = {
    "rows appended": joined(PAST, FUTURE),
    "other rows inserted late, first; orders cancelled and sent back": joined(
        {n: [worse(r) for r in rows] for n, rows in FUTURE.items()} | {"orders": SENT_BACK},
        joined(PAST, {"orders": CANCELLED}),
    ),
    "old rows dated anew, tickets closed, people who came or changed later": joined(
        PAST | CLOSED_LATER, MOVED | PEOPLE
    ),
}


@pytest.fixture(scope="module")
def today():
    """The shop as it is, cleaned."""
    with DuckDBWarehouse() as warehouse:
        prepare(warehouse, PAST)
        yield warehouse


@pytest.fixture(scope="module")
def known(today):
    build_features(today, ALL, as_of=AS_OF)
    return by_customer(today)


@pytest.fixture(scope="module")
def worlds():
    """Features when each of the futures has happened."""
    return {name: features_of(tables) for name, tables in FUTURES.items()}


@pytest.mark.parametrize("column", NAMES)
def test_the_future_moves_no_feature(known, worlds, column):
    for future, found in worlds.items():
        assert {p: row[column] for p, row in found.items()} == {
            p: row[column] for p, row in known.items()
        }, future


def test_the_past_does_move_features(known):
    """Else the law above would hold for features that look at nothing."""
    other = features_of(random_shop(4))
    unmoved = {n for n in NAMES if all(other[p][n] == row[n] for p, row in known.items())}
    assert unmoved == set()


def test_training_sees_an_earlier_instant_as_it_was(today, known):
    """Relations of today, read as of an earlier day, give what that day gave."""
    then = AS_OF - timedelta(days=75)
    with DuckDBWarehouse() as that_day:
        prepare(that_day, PAST, as_of=then)
        for warehouse in (today, that_day):
            build_features(warehouse, ALL, as_of=then)
        found, wanted = by_customer(today), by_customer(that_day)
    assert found == wanted != known
    assert any(row["open_support_tickets"] for row in found.values())


def test_what_happens_at_the_instant_of_training_is_not_before_it(today):
    """At a cut-off of the past nothing else stands between a row and a feature of its instant."""
    then = AS_OF - timedelta(days=75)
    at = {
        table: [PAST[table][0] | {time_of(table): ago(75), key_of(table): "at the cut-off"}]
        for table in DATED
    } | {
        "events": [event("at the cut-off", "Product Viewed", 75)],
        "tickets": [{"ticket_id": "at the cut-off", "customer_id": "1", "opened_at": ago(75)}],
        "order_items": [r | {"order_id": "at the cut-off"} for r in PAST["order_items"][:5]],
    }
    with DuckDBWarehouse() as more:
        prepare(more, joined(PAST, at))
        seen = []
        for as_of in (then, then + timedelta(seconds=1)):
            for warehouse in (today, more):
                build_features(warehouse, ALL, as_of=as_of)
                seen.append(by_customer(warehouse))
    assert seen[0] == seen[1]
    # A second later the rows are known, in every table.
    moved = " ".join(n for n in NAMES if any(seen[3][p][n] != r[n] for p, r in seen[2].items()))
    for word in ("orders", "category", "product_views", "social", "loyalty", "tickets"):
        assert word in moved


# ---------------------------------------------------------------------- planted leaks
LEAKY = {
    "events": [event(1, "Product Viewed", 3)],
    "customers": [{"customer_id": "1", "created_at": NOW - timedelta(days=900)}],
    "orders": [order(1, 4)],
}


AHEAD = LEAKY | {"orders": [*LEAKY["orders"], order(2, -3)]}


@pytest.fixture(scope="module")
def before_and_after():
    """Two shops, one of which has an order of the future."""
    with DuckDBWarehouse() as before, DuckDBWarehouse() as after:
        for warehouse, tables in ((before, LEAKY), (after, AHEAD)):
            prepare(warehouse, tables)
            # Every order dated by its customer's first day instead of its own time.
            warehouse.create_table_as(
                "orders_with_birth",
                "SELECT m.profile_id AS profile_id, c.created_at AS born_at FROM in_orders AS o"
                " JOIN clean_customers AS c ON c.customer_id = o.customer_id"
                " JOIN profile_customers AS m ON m.customer_id = o.customer_id",
            )
        yield before, after


def orders_ever(table, time):
    column = FeatureColumn("orders_ever", "count(*)", "orders", "leaks")
    return FeaturePack("leak", table, time, (column,))


def orders_of_level(table, time):
    level = Level(
        "level_leak", "SELECT r.profile_id AS profile_id FROM r", (("r", Rows(table, time)),)
    )
    column = FeatureColumn("orders_ever", "count(*)", "orders", "leaks")
    return FeaturePack("leak", "", "", levels=(LevelColumns(level, (column,)),))


@pytest.mark.parametrize("make", [orders_ever, orders_of_level])
@pytest.mark.parametrize(
    ("table", "time", "leaks"),
    [("orders_with_birth", "born_at", True), ("clean_orders", "ordered_at", False)],
)
def test_a_planted_leak_is_found(before_and_after, make, table, time, leaks):
    """A pack that dates rows by the customer's birth and not by their own time sees too much."""
    found = []
    for warehouse in before_and_after:
        build_features(warehouse, [make(table, time)], as_of=AS_OF)
        found.append(by_customer(warehouse))
    assert (found[0] != found[1]) is leaks


def test_a_level_can_read_nothing_that_it_does_not_name():
    level = Level(
        "level_leak",
        "SELECT r.profile_id AS profile_id FROM r JOIN in_orders ON TRUE",
        (("r", Rows("clean_orders", "ordered_at")),),
    )
    column = FeatureColumn("n", "count(*)", "x", "x")
    pack = FeaturePack("leak", "", "", levels=(LevelColumns(level, (column,)),))
    with pytest.raises(ModelError, match="in_orders"):
        levels_sql([pack], as_of=AS_OF)
