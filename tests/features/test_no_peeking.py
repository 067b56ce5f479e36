"""No feature may know the future: what is dated at or after ``as_of`` moves nothing.

The test walks over every column of every pack, so a new feature is covered on the day that it is
written. A leak is planted to prove that the test would find one.
"""

from datetime import timedelta
from decimal import Decimal

import pytest

from connector.features.build import build_features
from connector.features.orders import orders_pack, rfm_pack
from connector.features.pack import FeatureColumn, FeaturePack
from connector.profiles.spec import OrdersSpec
from connector.warehouse.duckdb import DuckDBWarehouse
from tests.profiles.tables import AS_OF, put, understand

PACKS = (rfm_pack(), orders_pack())
NOW = AS_OF.replace(tzinfo=None)
CUSTOMERS = [
    {"customer_id": c, "email": f"{c}@x.de", "created_at": NOW - timedelta(days=900)} for c in "123"
]


def order(i, customer, days_ago, value, **others):
    return {
        "order_id": str(i),
        "customer_id": customer,
        "ordered_at": NOW - timedelta(days=days_ago),
        "gross": Decimal(value),
        "status": "paid",
    } | others


PAST = [
    order(i, c, d, 20 + i)
    for i, (c, d) in enumerate(zip("112233", (1, 40, 5, 400, 80, 800), strict=True))
]
FUTURE = [order(100 + i, c, -d, 500) for i, (c, d) in enumerate([("1", 0), ("2", 3), ("3", 30)])]


def returned(orders):
    return [o | {"order_id": f"r{o['order_id']}", "gross": -o["gross"]} for o in orders]


MORE_PEOPLE = [
    {"customer_id": "9", "email": "1@x.de", "created_at": NOW},
    {"customer_id": "1", "email": "new@x.de", "updated_at": NOW + timedelta(days=1)},
]
FUTURES = {
    "rows appended": (CUSTOMERS, PAST + FUTURE),
    "rows inserted late, first": (CUSTOMERS, FUTURE + PAST),
    "later rows mutated": (CUSTOMERS, PAST + [o | {"gross": Decimal(1)} for o in FUTURE]),
    "later rows cancelled": (CUSTOMERS, PAST + [o | {"status": "cancelled"} for o in FUTURE]),
    "goods sent back later": (CUSTOMERS, PAST + returned(FUTURE)),
    "old orders moved to the future by a later version": (
        CUSTOMERS,
        PAST + [o | {"ordered_at": NOW + timedelta(days=2), "gross": Decimal(9)} for o in PAST],
    ),
    "people who came later, or changed later": (CUSTOMERS + MORE_PEOPLE, PAST + FUTURE),
}


def features(customers, orders, packs=PACKS):
    with DuckDBWarehouse() as warehouse:
        put(warehouse, "customers", customers)
        put(warehouse, "orders", orders)
        understand(warehouse, orders=OrdersSpec(cancelled="status = 'cancelled'"))
        build_features(warehouse, packs, as_of=AS_OF)
        names = list(warehouse.columns("features"))
        rows = sorted(warehouse.rows("SELECT * FROM features AS f"))
    return {row[0]: dict(zip(names, row, strict=True)) for row in rows}


@pytest.fixture(scope="module")
def worlds():
    """Features as they are, and as they are when each of the futures has happened."""
    return features(CUSTOMERS, PAST), {name: features(*rows) for name, rows in FUTURES.items()}


@pytest.mark.parametrize("future", FUTURES)
@pytest.mark.parametrize("column", [name for pack in PACKS for name in pack.names])
def test_the_future_moves_no_feature(worlds, future, column):
    known, after = worlds
    assert {p: row[column] for p, row in after[future].items()} == {
        p: row[column] for p, row in known.items()
    }


def test_the_past_does_move_features(worlds):
    """Else the law above would hold for features that look at nothing."""
    known, _ = worlds
    other = features(CUSTOMERS, [*PAST, order(50, "1", 2, 70), order(51, "1", 850, 70)])
    (profile,) = [p for p, row in known.items() if row["orders_90d"] == 2]
    for pack in PACKS:
        for column in pack.names:
            if column not in ("recency_days", "last_order_age_days"):
                assert other[profile][column] != known[profile][column], column


def test_a_planted_leak_is_found():
    """A pack that dates rows by the customer's birth and not by their own time sees too much."""
    leak = FeaturePack(
        "leak",
        "orders_with_birth",
        "born_at",
        (FeatureColumn("orders_ever", "count(*)", "orders", "leaks"),),
    )

    def leaking(orders):
        with DuckDBWarehouse() as warehouse:
            put(warehouse, "customers", CUSTOMERS)
            put(warehouse, "orders", orders)
            understand(warehouse)
            warehouse.create_table_as(
                "orders_with_birth",
                "SELECT m.profile_id AS profile_id, c.created_at AS born_at FROM in_orders AS o"
                " JOIN clean_customers AS c ON c.customer_id = o.customer_id"
                " JOIN profile_customers AS m ON m.customer_id = o.customer_id",
            )
            build_features(warehouse, [leak], as_of=AS_OF)
            return sorted(warehouse.rows("SELECT * FROM features AS f"))

    assert leaking(PAST) != leaking(PAST + FUTURE)
