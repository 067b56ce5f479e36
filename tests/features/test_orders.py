"""Every order feature against an independent computation, and the laws of time."""

import collections
import csv
import gzip
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connector.errors import ModelError
from connector.features.build import build_features
from connector.features.orders import WINDOWS_DAYS, orders_pack, rfm_pack
from connector.sources.mapping import map_table
from connector.sources.spec import TableSpec
from connector.warehouse.duckdb import DuckDBWarehouse
from tests.profiles.tables import AS_OF, put, shared_data, understand, utc

DAY = timedelta(days=1)


def frame(warehouse, relation="features"):
    """A relation by customer id, so that runs can be compared."""
    names = [n for n in warehouse.columns(relation) if n != "profile_id"]
    picks = ", ".join(f'f."{n}" AS "{n}"' for n in names)
    rows = warehouse.rows(
        f"SELECT c.customer_id, {picks} FROM {relation} AS f"
        " JOIN profile_customers AS c ON c.profile_id = f.profile_id"
    )
    return {row[0]: dict(zip(names, row[1:], strict=True)) for row in rows}


def expected(orders, customers, as_of, window_days=730):
    """The same features; orders are (customer, time, net revenue, is_return)."""
    now = as_of.astimezone(UTC).replace(tzinfo=None)
    by_customer = collections.defaultdict(list)
    for customer, moment, net, is_return in orders:
        if moment < now:
            by_customer[customer].append((moment, net, is_return))

    def age(moment):
        return (now - moment) // DAY

    answer = {}
    for customer in customers:
        mine = by_customer[customer]
        bought = sorted(moment for moment, _, is_return in mine if not is_return)

        def count(days, bought=bought):
            return sum(moment >= now - days * DAY for moment in bought)

        def revenue(days, mine=mine):
            return sum((net for moment, net, _ in mine if moment >= now - days * DAY), Decimal(0))

        row = {
            "recency_days": age(bought[-1]) if count(window_days) else None,
            "frequency": count(window_days),
            "monetary": revenue(window_days),
            "lifetime_orders": len(bought),
            "lifetime_revenue": revenue(40_000),
            "first_order_age_days": age(bought[0]) if bought else None,
            "last_order_age_days": age(bought[-1]) if bought else None,
        }
        for days in WINDOWS_DAYS:
            row[f"orders_{days}d"] = count(days)
            row[f"revenue_{days}d"] = row[f"monetary_{days}d"] = revenue(days)
        n = row["orders_365d"]
        row["aov_365d"] = row["revenue_365d"] / n if n else None
        answer[customer] = row
    return answer


def assert_same(found, wanted):
    assert found.keys() == wanted.keys()
    for customer, row in wanted.items():
        assert found[customer].keys() == row.keys()
        for name, value in row.items():
            if value is None:
                assert found[customer][name] is None, (customer, name)
            else:
                # An average is rounded to cents, and may go either way from halfway between two.
                off = abs(found[customer][name] - value)
                assert off <= (Decimal("0.00501") if name == "aov_365d" else 0), (customer, name)


NOW = AS_OF.replace(tzinfo=None)
PURCHASES = st.lists(
    st.tuples(
        st.sampled_from("123"),
        st.one_of(
            st.sampled_from([NOW - d * DAY for d in (0, 30, 90, 365, 730)]),
            st.datetimes(utc(2022, 1, 1), utc(2025, 9, 1)),
        ),
        st.integers(-50_00, 200_00),
    ),
    max_size=25,
)


@given(PURCHASES)
@settings(max_examples=15, deadline=None)
def test_features_agree_with_plain_python(purchases):
    rows = [
        {"order_id": str(i), "customer_id": c, "ordered_at": t, "gross": Decimal(v) / 100}
        for i, (c, t, v) in enumerate(purchases)
    ]
    with DuckDBWarehouse() as warehouse:
        put(warehouse, "customers", [{"customer_id": c} for c in "1234"])
        put(warehouse, "orders", rows)
        understand(warehouse)
        found = frame(warehouse)
    plain = [(c, t, Decimal(v) / 100, v < 0) for c, t, v in purchases]
    assert_same(found, expected(plain, "1234", AS_OF))


@pytest.mark.data
@pytest.mark.parametrize(
    "as_of", [datetime(1998, 7, 1, tzinfo=UTC), datetime(1997, 10, 1, tzinfo=UTC)]
)
def test_cdnow_agrees_with_plain_python(as_of):
    path = shared_data("cdnow_sample", "cdnow_sample.csv.gz")
    with gzip.open(path, "rt", newline="") as file:
        plain = [
            (r["sample_customer_id"], datetime.fromisoformat(r["date"]), Decimal(r["dollar_value"]))
            for r in csv.DictReader(file)
        ]
    with DuckDBWarehouse() as warehouse:
        warehouse.attach_csv("cdnow", str(path))
        buys = {
            "customer_id": "sample_customer_id",
            "ordered_at": "date",
            "gross": "dollar_value",
        }
        # The file has no order number; each row of a customer and day is an order of its own.
        warehouse.create_table_as(
            "numbered",
            "SELECT c.sample_customer_id AS sample_customer_id, c.date AS date"
            ", c.dollar_value AS dollar_value, row_number() OVER"
            " (ORDER BY c.sample_customer_id ASC, c.date ASC, c.dollar_value ASC) AS n"
            " FROM cdnow AS c",
        )
        map_table(
            warehouse, TableSpec("orders", "numbered", {**buys, "order_id": "n"}), timezone="UTC"
        )
        people = TableSpec(
            "customers",
            "cdnow",
            {"customer_id": "sample_customer_id"},
            group_by=("sample_customer_id",),
        )
        map_table(warehouse, people, timezone="UTC")
        understand(warehouse, as_of=as_of)
        found = frame(warehouse)
    assert len(found) == 2_357
    assert_same(found, expected([(*row, False) for row in plain], sorted(found), as_of))


def buy(*days_ago, value=10, as_of=NOW):
    return [
        {
            "order_id": f"{value}/{days}",
            "customer_id": "1",
            "ordered_at": as_of - days * DAY,
            "gross": Decimal(value),
        }
        for days in days_ago
    ]


def features_of(orders, as_of=AS_OF, **options):
    with DuckDBWarehouse() as warehouse:
        put(warehouse, "customers", [{"customer_id": "1"}])
        put(warehouse, "orders", orders)
        understand(warehouse, as_of=as_of, **options)
        return frame(warehouse)["1"]


def test_people_without_orders_have_zeros_and_no_ages():
    row = features_of([])
    assert {row[n] for n in ("frequency", "orders_30d", "lifetime_orders", "monetary")} == {0}
    assert {row[n] for n in ("recency_days", "last_order_age_days", "aov_365d")} == {None}


def test_a_return_lowers_revenue_where_it_happens_and_nothing_else():
    without = features_of(buy(100, value=50))
    with_return = features_of(buy(100, value=50) + buy(10, value=-20))
    changed = {n for n in without if without[n] != with_return[n]}
    assert changed == {n for n in without if "revenue" in n or "monetary" in n} | {"aov_365d"}
    assert with_return["revenue_30d"] == -20
    assert with_return["revenue_365d"] == 30


def test_windows_hold_their_first_instant_and_not_their_last():
    edges = {0: 0, 1: 1, 30: 1}
    assert {d: features_of(buy(d))["orders_30d"] for d in edges} == edges
    assert (
        features_of([buy(30)[0] | {"ordered_at": NOW - 30 * DAY - DAY / 86400}])["orders_30d"] == 0
    )


def test_days_are_whole_and_count_from_the_instant():
    moment = [buy(0)[0] | {"ordered_at": NOW - timedelta(hours=47)}]
    assert features_of(moment)["recency_days"] == 1


@pytest.mark.parametrize("shift", [timedelta(days=1), timedelta(days=-400), timedelta(seconds=7)])
def test_shifting_orders_and_as_of_together_changes_nothing(shift):
    orders = buy(3, 40, 200, 500, 800)
    moved = [order | {"ordered_at": order["ordered_at"] + shift} for order in orders]
    assert features_of(moved, as_of=AS_OF + shift) == features_of(orders)


def test_a_day_later_everybody_is_a_day_older():
    orders = buy(3, 40, 200)
    before, after = features_of(orders), features_of(orders, as_of=AS_OF + DAY)
    for name in ("recency_days", "first_order_age_days", "last_order_age_days"):
        assert after[name] == before[name] + 1
    assert after["lifetime_revenue"] == before["lifetime_revenue"]


def test_the_rfm_window_is_the_models_own():
    row = features_of(buy(10, 100), window_days=50)
    assert (row["frequency"], row["monetary"], row["recency_days"]) == (1, 10, 10)
    assert features_of(buy(100), window_days=50)["recency_days"] is None


def test_money_may_be_margin_but_not_any_column():
    with DuckDBWarehouse() as warehouse:
        put(warehouse, "customers", [{"customer_id": "1"}])
        put(warehouse, "orders", [order | {"margin": Decimal(3)} for order in buy(1, 2)])
        understand(warehouse)
        build_features(warehouse, [rfm_pack(value="margin")], as_of=AS_OF)
        assert frame(warehouse)["1"]["monetary"] == 6
    with pytest.raises(ModelError, match="net_revenue, gross, margin"):
        rfm_pack(value="profile_id")


def test_every_feature_states_unit_and_meaning():
    for pack in (rfm_pack(), orders_pack()):
        for column in pack.all_columns:
            assert column.unit in ("orders", "days", "currency")
            assert column.meaning
