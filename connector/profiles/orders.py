"""Clean orders and their lines: what people really bought, and a reason for every other row.

Cancelled orders never happened. A return (marked, or with a negative value where nothing marks
returns) takes money off the customer's revenue on its own day and is never counted as an order.
Rows that cannot be true are set aside rather than repaired: a guess in a revenue column shows up
later as a lift.

Where a shop gives no margin but costs a piece, an order's margin is its net revenue less the cost
of its lines, and is unknown as soon as the cost of one line is: a partial sum would pass for a
profit. An order without lines is unknown too. A return brings its goods back, whichever sign the
source gives their number; money given back on an order (a refund) lowers its revenue and not its
cost, for nothing says that the goods came back.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from connector.ports import Warehouse
from connector.profiles.duplicates import deduplicate
from connector.profiles.quarantine import quarantine_sql
from connector.profiles.spec import MarginFrom, OrdersSpec, StepReport
from connector.tables import MONEY
from connector.warehouse.dialect import parse_condition, parse_expression
from connector.warehouse.render import literal, quote

TABLE, ITEMS = "orders", "order_items"
QUARANTINE, ITEMS_QUARANTINE = "quarantined_orders", "quarantined_order_items"
NOT_QUARANTINED = (
    "after_as_of",
    "exact_duplicate",
    "key_duplicate",
    "cancelled",
    "test_account",
    "customer_after_as_of",
)
"""Reasons that are no fault of a row."""

MARGIN_UNKNOWN = "margin_unknown"
"""What is said of orders that are kept and whose margin cannot be worked out."""

MOST_COST = 10**12
"""Cost of a line, in currency, beyond which its numbers are no numbers of a shop."""


def clean_orders(
    warehouse: Warehouse,
    spec: OrdersSpec,
    *,
    as_of: datetime,
    orders: str = "in_orders",
    items: str = "in_order_items",
) -> StepReport:
    """Make ``clean_orders``: orders and returns before ``as_of`` of people with a profile.

    Columns: ``order_id, profile_id, ordered_at, net_revenue, gross, discount, refund, shipping,
    margin, item_cost, is_return, channel, delivery``. Money of a return is negative, whichever sign
    the source gives it. ``item_cost`` is NULL unless the margin comes from the lines.

    Args:
        warehouse: Holds the mapped tables and the profiles.
        spec: How orders are cleaned.
        as_of: The instant.
        orders: Relation of the mapped orders.
        items: Relation of the mapped lines; read for the margin only.

    Raises:
        SourceError: An order id repeats with different rows, and duplicates are errors.
        ExpressionError: ``net_revenue`` or ``cancelled`` cannot be read.
    """
    columns = warehouse.columns(orders)
    names = [quote(c) for c in columns]
    listed = ", ".join(f"o.{name} AS {name}" for name in names)
    hidden = (
        "CASE WHEN o.order_id IS NULL THEN 'missing_order_id' WHEN o.ordered_at IS NULL THEN"
        " 'missing_ordered_at'"
        f" WHEN o.ordered_at >= {literal(as_of)} THEN 'after_as_of' END"
    )
    warehouse.create_view_as(
        "orders_seen", f"SELECT {listed}, {hidden} AS ll_reason FROM {orders} AS o"
    )
    warehouse.create_view_as(
        "orders_visible", f"SELECT {listed} FROM orders_seen AS o WHERE o.ll_reason IS NULL"
    )
    removed = deduplicate(
        warehouse,
        relation="orders_visible",
        key="order_id",
        output="orders_unique",
        policy=spec.duplicates,
        as_of=as_of,
        table=TABLE,
    )
    warehouse.create_view_as("orders_priced", _priced(spec, columns))
    costed = spec.margin is MarginFrom.ITEMS and bool(warehouse.columns(items))
    if costed:
        aside = f"quarantined_{items}"
        warehouse.create_table_as(
            "order_costs", _costs(items, aside if warehouse.columns(aside) else "")
        )
    warehouse.create_table_as(
        "orders_judged", _judged(spec, costed="order_costs" if costed else "")
    )
    warehouse.create_view_as(
        "clean_orders",
        "SELECT j.order_id AS order_id, j.profile_id AS profile_id, j.ordered_at AS ordered_at"
        ", j.net_revenue AS net_revenue, j.gross AS gross, j.discount AS discount, j.refund AS"
        " refund, j.shipping AS shipping"
        ", j.margin AS margin, j.item_cost AS item_cost, j.is_return AS is_return"
        ", j.channel AS channel, j.delivery AS delivery"
        " FROM orders_judged AS j WHERE j.reason IS NULL",
    )
    faultless = ", ".join(map(literal, NOT_QUARANTINED))
    warehouse.create_view_as(
        QUARANTINE,
        quarantine_sql(
            TABLE,
            relation="orders_seen",
            key="x.order_id",
            reason="x.ll_reason",
            where=f"x.ll_reason NOT IN ({faultless})",
        )
        + " UNION ALL "
        + quarantine_sql(
            TABLE,
            relation="orders_judged",
            key="x.order_id",
            reason="x.reason",
            where=f"x.reason NOT IN ({faultless})",
        ),
    )
    fates: dict[str, int] = {}
    n_kept = 0
    for relation, reason in (("orders_seen", "ll_reason"), ("orders_judged", "reason")):
        for name, n in warehouse.rows(
            f"SELECT x.{reason} AS reason, count(*) AS n FROM {relation} AS x GROUP BY x.{reason}"
        ):
            if name is not None:
                fates[str(name)] = int(n)
            elif relation == "orders_judged":
                n_kept = int(n)
    (n_in,) = warehouse.rows(f"SELECT count(*) AS n FROM {orders} AS o")[0]
    emptied = {}
    if costed:
        (n_unknown,) = warehouse.rows(
            "SELECT count(*) AS n FROM clean_orders AS o WHERE o.margin IS NULL"
        )[0]
        emptied = {MARGIN_UNKNOWN: int(n_unknown)}
    return StepReport(
        table=TABLE,
        n_in=n_in,
        n_kept=n_kept,
        left_out={**fates, **removed.counts},
        emptied=emptied,
        quarantine_relation=QUARANTINE,
    )


def clean_items(warehouse: Warehouse, *, items: str = "in_order_items") -> StepReport:
    """Make ``clean_items``: lines of the orders that were kept; empty where no lines are mapped.

    Columns: ``order_id, profile_id, ordered_at, is_return, product_id, category, subcategory,
    quantity, price, unit_cost``. Categories are those of ``clean_products``, where there is one.
    """
    text = "CAST(NULL AS VARCHAR)"
    categories, products = f"{text} AS category, {text} AS subcategory", ""
    if warehouse.columns("clean_products"):
        categories = "p.category AS category, p.subcategory AS subcategory"
        products = " LEFT JOIN clean_products AS p ON p.product_id = i.product_id"
    if not warehouse.columns(items):
        warehouse.create_table_as(
            "clean_items",
            "SELECT o.order_id AS order_id, o.profile_id AS profile_id, o.ordered_at AS ordered_at"
            f", o.is_return AS is_return, {text} AS product_id, {text} AS category, {text} AS"
            f" subcategory, CAST(NULL AS DOUBLE) AS quantity, CAST(NULL AS {MONEY}) AS price"
            f", CAST(NULL AS {MONEY}) AS unit_cost FROM clean_orders AS o WHERE FALSE",
        )
        return StepReport(ITEMS, 0, 0, {})
    warehouse.create_table_as(
        "items_judged",
        "SELECT i.order_id AS order_id, o.profile_id AS profile_id, o.ordered_at AS ordered_at"
        f", o.is_return AS is_return, i.product_id AS product_id, {categories}"
        ", i.quantity AS quantity"
        ", i.price AS price, i.unit_cost AS unit_cost, CASE WHEN i.order_id IS NULL THEN"
        " 'missing_order_id'"
        " WHEN i.product_id IS NULL THEN 'missing_product_id' WHEN i.quantity IS NULL THEN"
        " 'missing_quantity'"
        " WHEN i.price IS NULL THEN 'missing_price' WHEN i.price < 0 THEN 'negative_price'"
        " WHEN o.order_id IS NULL THEN 'order_not_kept' END AS reason"
        f" FROM {items} AS i LEFT JOIN clean_orders AS o ON o.order_id = i.order_id{products}",
    )
    warehouse.create_view_as(
        "clean_items",
        "SELECT j.order_id AS order_id, j.profile_id AS profile_id, j.ordered_at AS ordered_at"
        ", j.is_return AS is_return, j.product_id AS product_id, j.category AS category"
        ", j.subcategory AS subcategory, j.quantity AS quantity, j.price AS price"
        ", j.unit_cost AS unit_cost FROM items_judged AS j WHERE j.reason IS NULL",
    )
    warehouse.create_view_as(
        ITEMS_QUARANTINE,
        quarantine_sql(
            ITEMS,
            relation="items_judged",
            key="x.order_id",
            reason="x.reason",
            where="x.reason <> 'order_not_kept'",
        ),
    )
    fates = dict(
        warehouse.rows(
            "SELECT j.reason AS reason, count(*) AS n FROM items_judged AS j GROUP BY j.reason"
        )
    )
    n_kept = fates.pop(None, 0)
    return StepReport(
        table=ITEMS,
        n_in=n_kept + sum(fates.values()),
        n_kept=n_kept,
        left_out=fates,
        quarantine_relation=ITEMS_QUARANTINE,
    )


def _priced(spec: OrdersSpec, columns: Mapping[str, str]) -> str:
    """Orders with net revenue, and with cancellations and returns told."""
    net = parse_expression(spec.net_revenue, columns=columns, what="tables.orders.net_revenue")
    cancelled = "FALSE"
    if spec.cancelled:
        condition = parse_condition(spec.cancelled, columns=columns, what="tables.orders.cancelled")
        cancelled = f"coalesce({condition.sql()}, FALSE)"
    present = ", ".join(
        # Some engines forget the scale of what is put in place of NULL.
        f"CAST(coalesce(o.{quote(c)}, 0) AS {MONEY}) AS {quote(c)}"
        if c in ("discount", "refund")
        else f"o.{quote(c)} AS {quote(c)}"
        for c in columns
    )
    return (
        f"SELECT p.*, as_money({net.sql()}) AS ll_net, {cancelled} AS ll_cancelled"
        ", coalesce(p.is_return, p.gross < 0, FALSE) AS ll_return"
        f" FROM (SELECT {present} FROM orders_unique AS o) AS p"
    )


def _costs(items: str, set_aside: str) -> str:
    """What the lines of each order cost: NULL as soon as one of them is not known.

    Each line is rounded to cents before they are added, so that the sum does not depend on the
    order of the lines. A line that is set aside, here or when the table was mapped, counts as one
    of unknown cost.
    """
    aside = (
        f" UNION ALL SELECT q.row_key AS order_id, CAST(NULL AS {MONEY}) AS cost"
        f" FROM {set_aside} AS q"
        if set_aside
        else ""
    )
    known = (
        "i.product_id IS NOT NULL AND i.price >= 0 AND i.unit_cost >= 0"
        f" AND abs(i.quantity * CAST(i.unit_cost AS DOUBLE)) < {MOST_COST}"
    )
    return (
        "SELECT l.order_id AS order_id, CASE WHEN count(l.cost) = count(*) THEN"
        f" CAST(sum(l.cost) AS {MONEY}) END AS cost FROM (SELECT i.order_id AS order_id, CASE WHEN"
        f" {known} THEN as_money(i.quantity * CAST(i.unit_cost AS DOUBLE)) END AS cost"
        f" FROM {items} AS i WHERE i.order_id IS NOT NULL{aside}) AS l GROUP BY l.order_id"
    )


def _judged(spec: OrdersSpec, *, costed: str = "") -> str:
    """Orders with the profile and, where they are left out, the reason.

    Args:
        spec: How orders are cleaned.
        costed: Relation of what orders cost; empty: the margin is the source's own.
    """
    too_much = (
        f"abs(o.gross) > {literal(spec.max_order_value)}"
        if spec.max_order_value is not None
        else "FALSE"
    )
    signed = "CASE WHEN o.ll_return THEN -abs({0}) ELSE {0} END"
    net, cost, costs = signed.format("o.ll_net"), "NULL", ""
    margin = signed.format("o.margin")
    if costed:
        cost = signed.format("k.cost")
        margin = f"{net} - {cost}"
        costs = f" LEFT JOIN {costed} AS k ON k.order_id = o.order_id"
    return (
        "SELECT o.order_id AS order_id, m.profile_id AS profile_id, o.ordered_at AS ordered_at"
        f", CAST({net} AS {MONEY}) AS net_revenue"
        f", CAST({signed.format('o.gross')} AS {MONEY}) AS gross, o.discount AS discount,"
        " o.refund AS refund"
        f", CAST({margin} AS {MONEY}) AS margin, CAST({cost} AS {MONEY}) AS item_cost"
        ", o.shipping AS shipping, o.ll_return AS is_return, o.channel AS channel"
        ", o.delivery AS delivery, CASE"
        " WHEN o.ll_cancelled THEN 'cancelled'"
        " WHEN o.customer_id IS NULL THEN 'missing_customer'"
        " WHEN t.customer_id IS NOT NULL THEN 'test_account'"
        " WHEN m.customer_id IS NULL AND l.customer_id IS NOT NULL THEN 'customer_after_as_of'"
        " WHEN m.customer_id IS NULL THEN 'unknown_customer'"
        " WHEN o.gross IS NULL THEN 'missing_gross'"
        " WHEN o.gross < 0 AND NOT o.ll_return THEN 'negative_gross'"
        f" WHEN {too_much} THEN 'above_max_order_value'"
        " WHEN o.discount < 0 AND NOT o.ll_return THEN 'negative_discount'"
        " WHEN o.refund < 0 AND NOT o.ll_return THEN 'negative_refund'"
        " WHEN o.discount > o.gross AND NOT o.ll_return THEN 'discount_above_gross'"
        " WHEN o.refund > o.gross - o.discount + coalesce(o.shipping, 0) AND NOT o.ll_return THEN"
        " 'refund_above_paid'"
        " WHEN o.ll_net IS NULL THEN 'missing_net_revenue' END AS reason"
        " FROM orders_priced AS o LEFT JOIN profile_customers AS m ON m.customer_id = o.customer_id"
        " LEFT JOIN test_customers AS t ON t.customer_id = o.customer_id"
        f" LEFT JOIN customers_later AS l ON l.customer_id = o.customer_id{costs}"
    )
