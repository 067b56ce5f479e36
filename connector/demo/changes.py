"""Changes to what the shop has already: orders, addresses, consents, suppressions.

Shops change rows in place. A repeated row changes with the row that it repeats, and an older state
of a row (see :mod:`connector.demo.dirt`) stays as it is: only rows with the latest ``updated_at``
of their key are touched.
"""

from __future__ import annotations

import duckdb
import numpy as np
import pyarrow as pa

from connector.demo.addresses import DOMAIN
from connector.demo.orders import DELIVERED_AFTER_S, SHIPPED_AFTER_S
from connector.demo.permissions import email_marketing_rows
from connector.demo.rows import INSERT

_WITHDRAWAL_SHARE = 0.008
_EMAIL_CHANGE_SHARE = 0.003
_CONSENT_AFTER_CHANGE = 0.8
"""Share of those who had agreed under the old address and agree again under the new one."""
_SUPPRESSION_SHARE = 0.0006

GRANTED_SQL = """
    SELECT lower(trim(email)) AS email FROM consents
    WHERE purpose = 'marketing' AND channel = 'email'
        AND lower(trim(email)) IN (SELECT lower(trim(email)) FROM customers WHERE NOT is_test)
    GROUP BY ALL
    HAVING arg_max(status, changed_at) = 'granted'
    ORDER BY 1
"""
"""Normalised addresses of customers whose last word on marketing by e-mail is yes."""


def insert(connection: duckdb.DuckDBPyConnection, table: str, batch: pa.Table) -> None:
    """Append Arrow rows to one of the shop's tables."""
    connection.register("batch", batch)
    connection.execute(INSERT[table])
    connection.unregister("batch")


def settle_orders(connection: duckdb.DuckDBPyConnection, from_s: int, until_s: int) -> int:
    """Ship and deliver open orders and show due refunds; returns the number of refunds."""
    connection.execute(
        """
        UPDATE orders SET
            refunded_total = (p.refund_cents * 0.01)::DECIMAL(12, 2),
            updated_at = greatest(orders.updated_at, to_timestamp(p.refund_at_s))
        FROM simulator.pending_refunds p,
            (SELECT order_id, max(updated_at) AS at FROM orders GROUP BY order_id) latest
        WHERE orders.order_id = p.order_id AND latest.order_id = p.order_id
            AND orders.updated_at = latest.at AND p.refund_at_s < $until
        """,
        {"until": until_s},
    )
    connection.execute(
        """
        UPDATE orders SET
            status = CASE WHEN age.s > $delivered THEN 'delivered' ELSE 'shipped' END,
            updated_at = greatest(orders.updated_at, to_timestamp(
                epoch(orders.created_at)
                + CASE WHEN age.s > $delivered THEN $delivered ELSE $shipped END))
        FROM (
            SELECT order_id, max(updated_at) AS at, $until - epoch(any_value(created_at)) AS s
            FROM orders WHERE created_at >= to_timestamp($from - $delivered) GROUP BY order_id
        ) age
        WHERE orders.order_id = age.order_id AND orders.updated_at = age.at
            AND orders.status IN ('paid', 'shipped') AND age.s > $shipped
        """,
        {
            "from": from_s,
            "until": until_s,
            "shipped": SHIPPED_AFTER_S,
            "delivered": DELIVERED_AFTER_S,
        },
    )
    shown = connection.execute(
        "DELETE FROM simulator.pending_refunds WHERE refund_at_s < $until RETURNING order_id",
        {"until": until_s},
    ).fetchall()
    return len(shown)


def touch_customers(connection: duckdb.DuckDBPyConnection, touched: pa.Table) -> None:
    """Move ``updated_at`` of customers who ordered: one row (customer_id, changed_s) each."""
    connection.register("batch", touched)
    connection.execute(
        """
        UPDATE customers SET
            updated_at = greatest(customers.updated_at, to_timestamp(batch.changed_s))
        FROM batch,
            (SELECT customer_id, max(updated_at) AS at FROM customers GROUP BY customer_id) latest
        WHERE customers.customer_id = batch.customer_id AND latest.customer_id = batch.customer_id
            AND customers.updated_at = latest.at
        """
    )
    connection.unregister("batch")


def change_emails(
    connection: duckdb.DuckDBPyConnection, rng: np.random.Generator, from_s: int, until_s: int
) -> int:
    """Give some customers a new address, under which most of those who had agreed agree again."""
    candidates = connection.execute(
        f"""
        SELECT c.customer_id, any_value(c.email), bool_or(g.email IS NOT NULL)
        FROM customers c LEFT JOIN ({GRANTED_SQL}) g ON g.email = c.email
        WHERE NOT is_test
            AND regexp_full_match(c.email, 'customer[0-9]{{5}}@shop-customers[.]example')
        GROUP BY 1 ORDER BY 1
        """
    ).fetchall()
    n = round(_EMAIL_CHANGE_SHARE * len(candidates))
    chosen = np.sort(rng.permutation(len(candidates))[:n]).tolist()
    moved, agreed = [], []
    for i in chosen:
        customer, old, had_agreed = candidates[i]
        new = f"{old.removesuffix('@' + DOMAIN)}.new@{DOMAIN}"
        at_s = int(rng.integers(from_s, until_s))
        moved.append((customer, old, new, at_s))
        if had_agreed and rng.random() < _CONSENT_AFTER_CHANGE:
            agreed.append((new, "granted", at_s, "preference_centre"))
    connection.execute(
        "CREATE TEMP TABLE moved (customer_id VARCHAR, old VARCHAR, new VARCHAR, s BIGINT)"
    )
    if moved:
        connection.executemany("INSERT INTO moved VALUES (?, ?, ?, ?)", moved)
    connection.execute(
        """
        UPDATE customers SET
            email = moved.new, updated_at = greatest(customers.updated_at, to_timestamp(moved.s))
        FROM moved WHERE customers.customer_id = moved.customer_id AND customers.email = moved.old
        """
    )
    connection.execute("DROP TABLE moved")
    insert(connection, "consents", email_marketing_rows(agreed))
    return n


def withdraw_consents(
    connection: duckdb.DuckDBPyConnection, rng: np.random.Generator, from_s: int, until_s: int
) -> int:
    """Some of those who agree say no, in a row of its own."""
    chosen = _choose(connection, rng, _WITHDRAWAL_SHARE)
    at_s = rng.integers(from_s, until_s, len(chosen)).tolist()
    insert(
        connection,
        "consents",
        email_marketing_rows(
            [
                (email, "withdrawn", at, "unsubscribe_link")
                for email, at in zip(chosen, at_s, strict=True)
            ]
        ),
    )
    return len(chosen)


def suppress(
    connection: duckdb.DuckDBPyConnection, rng: np.random.Generator, from_s: int, until_s: int
) -> int:
    """Some addresses of those who agree bounce for good."""
    chosen = _choose(connection, rng, _SUPPRESSION_SHARE)
    insert(
        connection,
        "suppressions",
        pa.table(
            {
                "email": pa.array(chosen, pa.string()),
                "reason": pa.array(["hard_bounce"] * len(chosen), pa.string()),
                "added_s": rng.integers(from_s, until_s, len(chosen)),
            }
        ),
    )
    return len(chosen)


def _choose(
    connection: duckdb.DuckDBPyConnection, rng: np.random.Generator, share: float
) -> list[str]:
    granted = [row[0] for row in connection.execute(GRANTED_SQL).fetchall()]
    n = max(1, round(share * len(granted)))
    return [granted[i] for i in np.sort(rng.permutation(len(granted))[:n]).tolist()]
