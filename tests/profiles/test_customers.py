import random
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connector.errors import SourceError
from connector.profiles.customers import clean_customers
from connector.profiles.spec import CustomersSpec, Duplicates
from connector.warehouse.duckdb import DuckDBWarehouse
from tests.profiles.tables import AS_OF, column, put, utc

DAY = utc(2025, 1, 1)


def test_addresses_are_normalised_or_emptied():
    typed = {"1": " Ann@Shop.DE ", "2": "no address", "3": None, "4": "x@y", "5": "b@x.de"}
    with DuckDBWarehouse() as warehouse:
        put(warehouse, "customers", [{"customer_id": k, "email": v} for k, v in typed.items()])
        report = clean_customers(warehouse, CustomersSpec(), as_of=AS_OF)
        kept = dict(warehouse.rows("SELECT c.customer_id, c.email FROM clean_customers AS c"))
        aside = warehouse.rows("SELECT q.row_key, q.reason FROM quarantined_customers AS q")
    assert kept == {"1": "ann@shop.de", "2": None, "3": None, "4": None, "5": "b@x.de"}
    assert report.emptied == {"invalid_email": 2}
    assert sorted(aside) == [("2", "invalid_email"), ("4", "invalid_email")]


def test_the_version_last_changed_before_as_of_wins():
    versions = [
        {"customer_id": "1", "email": "old@x.de", "updated_at": DAY},
        {"customer_id": "1", "email": "new@x.de", "updated_at": DAY + timedelta(days=3)},
        {"customer_id": "1", "email": "made@x.de", "created_at": DAY + timedelta(days=9)},
        {"customer_id": "1", "email": "later@x.de", "updated_at": AS_OF.replace(tzinfo=None)},
    ]
    with DuckDBWarehouse() as warehouse:
        put(warehouse, "customers", [*versions, versions[0]])
        report = clean_customers(warehouse, CustomersSpec(), as_of=AS_OF)
        assert column(warehouse, "SELECT c.email FROM clean_customers AS c") == ["new@x.de"]
    assert (report.left_out["exact_duplicate"], report.left_out["key_duplicate"]) == (1, 3)
    assert report.n_accounted == report.n_in == 5


def test_duplicates_may_be_errors_but_equal_rows_never_are():
    spec = CustomersSpec(duplicates=Duplicates.ERROR)
    with DuckDBWarehouse() as warehouse:
        put(warehouse, "customers", [{"customer_id": "1"}, {"customer_id": "1"}])
        assert clean_customers(warehouse, spec, as_of=AS_OF).n_kept == 1
        put(warehouse, "customers", [{"customer_id": "1", "city": c} for c in "ab"])
        with pytest.raises(SourceError, match=r"1 values of customers\.customer_id"):
            clean_customers(warehouse, spec, as_of=AS_OF)


def test_whoever_orders_more_than_people_do_is_marked():
    """A machine's returns, repeated rows and orders of tomorrow are not what makes it one."""
    when = DAY
    orders = [
        {"order_id": f"{who}{i}", "customer_id": who, "ordered_at": when, "gross": 9}
        for who, n in (("bot", 6), ("fan", 5))
        for i in range(n)
    ]
    orders += [orders[-1]] * 4
    orders += [
        {"order_id": "r", "customer_id": "fan", "ordered_at": when, "gross": -9},
        {
            "order_id": "l",
            "customer_id": "fan",
            "ordered_at": AS_OF.replace(tzinfo=None),
            "gross": 9,
        },
    ]
    with DuckDBWarehouse() as warehouse:
        put(warehouse, "customers", [{"customer_id": who} for who in ("bot", "fan", "idle")])
        put(warehouse, "orders", orders)
        clean_customers(warehouse, CustomersSpec(max_orders=5), as_of=AS_OF)
        marked = dict(warehouse.rows("SELECT c.customer_id, c.is_test FROM clean_customers AS c"))
        bulk = warehouse.rows("SELECT b.customer_id, b.n_orders FROM bulk_customers AS b")
    assert marked == {"bot": True, "fan": False, "idle": False}
    assert bulk == [("bot", 6)]


def test_nobody_exists_before_the_account_was_made():
    rows = [
        {"customer_id": "1", "created_at": AS_OF.replace(tzinfo=None) - timedelta(seconds=1)},
        {"customer_id": "2", "created_at": AS_OF.replace(tzinfo=None)},
        {"customer_id": None},
    ]
    with DuckDBWarehouse() as warehouse:
        put(warehouse, "customers", rows)
        report = clean_customers(warehouse, CustomersSpec(), as_of=AS_OF)
        assert column(warehouse, "SELECT c.customer_id FROM clean_customers AS c") == ["1"]
    assert report.left_out["after_as_of"] == report.left_out["missing_customer_id"] == 1


ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "customer_id": st.sampled_from(["1", "2", "3"]),
            "email": st.sampled_from(["a@x.de", "b@x.de", "A@x.de", None]),
            "city": st.sampled_from(["Ulm", "Bonn", None]),
            "updated_at": st.sampled_from([DAY, DAY + timedelta(days=1), None]),
        }
    ),
    max_size=12,
)


@given(ROWS, st.randoms(use_true_random=False))
@settings(max_examples=12, deadline=None)
def test_the_order_of_rows_never_matters(rows, rnd: random.Random):
    shuffled = list(rows)
    rnd.shuffle(shuffled)
    answers = []
    for version in (rows, shuffled):
        with DuckDBWarehouse() as warehouse:
            put(warehouse, "customers", version)
            report = clean_customers(warehouse, CustomersSpec(), as_of=AS_OF)
            kept = warehouse.rows("SELECT * FROM clean_customers AS c")
        assert report.n_accounted == report.n_in
        answers.append((report, sorted(kept, key=str)))
    assert answers[0] == answers[1]
