"""Clean customers: one row a customer, addresses normalised or emptied, test accounts marked.

Test accounts, and customers with more orders than any person has, are only marked here. They go
after stitching, as whole profiles: an account that shares its address with a test account is one
too.
"""

from __future__ import annotations

from datetime import datetime

from connector.ports import Warehouse
from connector.profiles.duplicates import deduplicate
from connector.profiles.quarantine import quarantine_sql
from connector.profiles.spec import CustomersSpec, StepReport
from connector.warehouse.dialect import parse_condition
from connector.warehouse.render import literal, quote

TABLE = "customers"
QUARANTINE = "quarantined_customers"


BULK = "bulk_customers"
"""Relation of the customers with too many orders: ``customer_id, n_orders``."""


def clean_customers(
    warehouse: Warehouse,
    spec: CustomersSpec,
    *,
    as_of: datetime,
    customers: str = "in_customers",
    orders: str = "in_orders",
) -> StepReport:
    """Make ``clean_customers``: the mapped columns, plus ``is_test`` and ``seen_at``.

    Customers who were created at or after ``as_of`` did not exist then and are left out.
    ``seen_at`` is when a row last changed, or was made. With ``spec.max_orders``, :data:`BULK` is
    made too, of the orders placed before ``as_of``.

    Raises:
        SourceError: A customer id repeats, and duplicates are errors.
        ExpressionError: ``exclude`` is not a condition over the customers' columns.
    """
    columns = warehouse.columns(customers)
    plain = [quote(c) for c in columns]
    visible = ", ".join(f"c.{name} AS {name}" for name in plain)
    later = f"c.created_at >= {literal(as_of)}"
    n_in, n_missing, n_later = warehouse.rows(
        "SELECT count(*) AS n, count(CASE WHEN c.customer_id IS NULL THEN 1 END) AS n_missing"
        f", count(CASE WHEN c.customer_id IS NOT NULL AND {later} THEN 1 END) AS n_later FROM"
        f" {customers} AS c"
    )[0]
    warehouse.create_view_as(
        "customers_visible",
        f"SELECT {visible} FROM {customers} AS c"
        f" WHERE c.customer_id IS NOT NULL AND NOT coalesce({later}, FALSE)",
    )
    warehouse.create_view_as(
        "customers_later",
        f"SELECT DISTINCT c.customer_id AS customer_id FROM {customers} AS c"
        f" WHERE c.customer_id IS NOT NULL AND {later}",
    )
    removed = deduplicate(
        warehouse,
        relation="customers_visible",
        key="customer_id",
        output="customers_unique",
        policy=spec.duplicates,
        as_of=as_of,
        table=TABLE,
    )

    def picks(email: str) -> str:
        return ", ".join(f"{email if n == quote('email') else 'c.' + n} AS {n}" for n in plain)

    warehouse.create_view_as(
        "customers_normal", f"SELECT {picks('normalise_email(c.email)')} FROM customers_unique AS c"
    )
    is_test = "FALSE"
    if spec.exclude:
        condition = parse_condition(spec.exclude, columns=columns, what="quality.exclude")
        is_test = f"coalesce({condition.sql()}, FALSE)"
    crowd = ""
    if spec.max_orders is not None:
        is_test, crowd = _bulk(warehouse, spec.max_orders, orders, is_test, as_of)
    valid = "CASE WHEN is_email(c.email) THEN c.email END"
    warehouse.create_table_as(
        "clean_customers",
        f"SELECT {picks(valid)}, c.email IS NOT NULL AND NOT coalesce(is_email(c.email), FALSE)"
        " AS ll_invalid_email"
        f", {is_test} AS is_test, coalesce(c.updated_at, c.created_at) AS seen_at FROM"
        f" customers_normal AS c{crowd}",
    )
    warehouse.create_view_as(
        QUARANTINE,
        quarantine_sql(
            TABLE,
            relation=customers,
            key="x.customer_id",
            reason="'missing_customer_id'",
            where="x.customer_id IS NULL",
        )
        + " UNION ALL "
        + quarantine_sql(
            TABLE,
            relation="clean_customers",
            key="x.customer_id",
            reason="'invalid_email'",
            where="x.ll_invalid_email",
        ),
    )
    n_kept, n_invalid = warehouse.rows(
        "SELECT count(*) AS n, count(CASE WHEN c.ll_invalid_email THEN 1 END) AS n_invalid FROM"
        " clean_customers AS c"
    )[0]
    return StepReport(
        table=TABLE,
        n_in=n_in,
        n_kept=n_kept,
        left_out={"missing_customer_id": n_missing, "after_as_of": n_later, **removed.counts},
        emptied={"invalid_email": n_invalid},
        quarantine_relation=QUARANTINE,
    )


def _bulk(
    warehouse: Warehouse, max_orders: int, orders: str, is_test: str, as_of: datetime
) -> tuple[str, str]:
    """Make :data:`BULK`; the widened condition of a test account, and the join that it needs."""
    warehouse.create_table_as(
        BULK,
        "SELECT o.customer_id AS customer_id, count(DISTINCT o.order_id) AS n_orders"
        f" FROM {orders} AS o WHERE o.customer_id IS NOT NULL"
        f" AND o.ordered_at < {literal(as_of)} AND NOT coalesce(o.is_return, o.gross < 0, FALSE)"
        f" GROUP BY o.customer_id HAVING count(DISTINCT o.order_id) > {literal(max_orders)}",
    )
    return (
        f"({is_test} OR b.customer_id IS NOT NULL)",
        f" LEFT JOIN {BULK} AS b ON b.customer_id = c.customer_id",
    )
