"""The demo shop knows how much dirt is in it; cleaning must find exactly that, to the cent."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from connector.demo.shop import build_shop
from connector.profiles.spec import ConsentSpec, CustomersSpec, IdentitySpec, OrdersSpec
from connector.sources.mapping import map_table
from connector.sources.spec import TableSpec
from connector.warehouse.duckdb import DuckDBWarehouse
from tests.profiles.tables import understand

UNTIL = datetime(2025, 3, 1, tzinfo=UTC)

SPECS = (
    TableSpec(
        "customers",
        "shop.customers",
        {"customer_id": "customer_id", "email": "email", "created_at": "created_at"}
        | {"updated_at": "updated_at", "is_test": "is_test"},
    ),
    TableSpec(
        "orders",
        "shop.orders",
        {"order_id": "order_id", "customer_id": "customer_id", "ordered_at": "created_at"}
        | {"gross": "total", "discount": "discount_total", "refund": "refunded_total"}
        | {"shipping": "shipping_total", "status": "status", "updated_at": "updated_at"}
        # The shop shows goods that came back as refunds, so a negative total is a fault.
        | {"is_return": "false"},
    ),
    TableSpec(
        "consents",
        "shop.consents",
        {"person": "email", "purpose": "purpose", "channel": "channel", "status": "status"}
        | {"at": "changed_at"},
    ),
)


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    path = tmp_path_factory.mktemp("truth") / "shop.duckdb"
    opened = datetime(2023, 1, 1, tzinfo=UTC)
    truth = build_shop(path, seed=11, start=opened, until=UNTIL, n_customers=1_500)
    with DuckDBWarehouse() as warehouse:
        warehouse.attach("shop", path)
        for spec in SPECS:
            map_table(warehouse, spec, timezone="Europe/Berlin")
        reports = understand(
            warehouse,
            as_of=UNTIL,
            customers=CustomersSpec(exclude="is_test"),
            identity=IdentitySpec(never_merge_on=("info@*",)),
            consent=ConsentSpec(purposes=("marketing",)),
            orders=OrdersSpec(cancelled="status = 'cancelled'", max_order_value=Decimal(50_000)),
        )
        revenue = warehouse.rows("SELECT sum(o.net_revenue) AS s FROM clean_orders AS o")[0][0]
        standing = warehouse.rows(
            "SELECT s.status, count(DISTINCT s.person) AS n FROM consent_standing AS s"
            " JOIN clean_customers AS c ON c.email = s.person"
            " WHERE s.channel = 'email' AND NOT c.is_test GROUP BY s.status"
        )
    return truth, reports, revenue, dict(standing)


def test_customers(found):
    truth, reports, _, _ = found
    assert reports.customers.left_out == {
        "missing_customer_id": 0,
        "after_as_of": 0,
        "exact_duplicate": truth.n_customers_exact_duplicate,
        "key_duplicate": truth.n_customers_stale_duplicate,
    }
    assert reports.customers.emptied == {"invalid_email": truth.n_emails_invalid}


def test_people(found):
    truth, reports, _, _ = found
    assert reports.identity.n_test_profiles == truth.n_test_accounts
    assert reports.identity.customers.emptied == {
        "email_never_merged": truth.n_role_customers,
        "email_of_too_many_customers": truth.n_crowded_customers,
    }
    merged_away = truth.n_household_customers - truth.n_households
    assert reports.identity.n_profiles == truth.n_customers - merged_away


def test_orders(found):
    truth, reports, revenue, _ = found
    assert reports.orders.n_kept == truth.n_orders
    assert revenue == truth.net_revenue
    assert {reason: n for reason, n in reports.orders.left_out.items() if n} == {
        "exact_duplicate": truth.n_orders_exact_duplicate,
        "key_duplicate": truth.n_orders_stale_duplicate,
        "cancelled": truth.n_orders_cancelled,
        "test_account": truth.n_orders_test,
        "missing_customer": truth.n_orders_no_customer,
        "unknown_customer": truth.n_orders_unknown_customer,
        "negative_gross": truth.n_orders_negative,
        "above_max_order_value": truth.n_orders_absurd,
    }


def test_consents(found):
    truth, reports, _, standing = found
    assert standing == {"granted": truth.n_emails_granted, "withdrawn": truth.n_emails_withdrawn}
    assert reports.consent.records.emptied == {"unknown_status": truth.n_consents_unknown_word}
