"""The shop's physical tables: their columns, and how orders become rows of them.

Amounts travel as whole cents and instants as whole seconds until DuckDB casts them, so no float
ever touches money.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from connector.demo.catalogue import Catalogue
from connector.demo.orders import CHANNELS, STATUSES, Orders
from connector.demo.people import People
from connector.demo.season import Seconds

DDL = """
CREATE TABLE customers (
    customer_id VARCHAR, email VARCHAR, phone VARCHAR, created_at TIMESTAMPTZ,
    updated_at TIMESTAMPTZ, country VARCHAR, city VARCHAR, birth_year INTEGER,
    utm_source VARCHAR, is_test BOOLEAN);
CREATE TABLE orders (
    order_id VARCHAR, customer_id VARCHAR, created_at TIMESTAMPTZ, status VARCHAR,
    total DECIMAL(12, 2), discount_total DECIMAL(12, 2), refunded_total DECIMAL(12, 2),
    shipping_total DECIMAL(12, 2), channel VARCHAR, updated_at TIMESTAMPTZ);
CREATE TABLE order_items (
    order_id VARCHAR, sku VARCHAR, qty INTEGER,
    unit_price DECIMAL(12, 2), unit_cost DECIMAL(12, 2));
CREATE TABLE products (
    sku VARCHAR, title VARCHAR, category_l1 VARCHAR, category_l2 VARCHAR,
    brand VARCHAR, price DECIMAL(12, 2));
CREATE TABLE consents (
    email VARCHAR, purpose VARCHAR, channel VARCHAR, status VARCHAR,
    changed_at TIMESTAMPTZ, source VARCHAR);
CREATE TABLE suppressions (email VARCHAR, reason VARCHAR, added_at TIMESTAMPTZ);
CREATE SCHEMA simulator;
CREATE TABLE simulator.people (
    number BIGINT, born_s BIGINT, rate DOUBLE, lapses_s BIGINT, extra_lines DOUBLE,
    favourite BIGINT, starts_buying BOOLEAN);
CREATE TABLE simulator.pending_refunds (order_id VARCHAR, refund_at_s BIGINT, refund_cents BIGINT);
CREATE TABLE simulator.clock (
    seed BIGINT, until_s BIGINT, next_customer BIGINT, next_order BIGINT, arrivals_per_day DOUBLE);
"""
"""The shop's tables, and in ``simulator`` what no shop knows: everybody's state and future."""

TABLES = ("customers", "orders", "order_items", "products", "consents", "suppressions")

_PLACES: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("DE", ("Berlin", "Hamburg", "München", "Köln", "Düsseldorf", "Leipzig")),
    ("AT", ("Wien", "Graz", "Sankt Pölten")),
    ("CH", ("Zürich", "Genève", "Basel")),
    ("NL", ("Amsterdam", "Utrecht", "’s-Hertogenbosch")),
    ("FR", ("Paris", "Lyon", "Besançon")),
    ("PL", ("Warszawa", "Kraków", "Łódź", "Gdańsk")),
    ("ES", ("Madrid", "Málaga", "A Coruña")),
    ("SE", ("Stockholm", "Malmö", "Göteborg")),
    ("DK", ("København", "Århus", "Aalborg")),
    ("GB", ("London", "Leeds", "Cardiff")),
)
_PLACE_SHARE = (0.52, 0.09, 0.07, 0.07, 0.06, 0.06, 0.04, 0.04, 0.03, 0.02)
_ORIGINS = ("google", "google", "instagram", "newsletter", "referral", "direct", None)

_MONEY = "({0} * 0.01)::DECIMAL(12, 2)"
INSERT = {
    "customers": """
        INSERT INTO customers SELECT customer_id, email, phone, to_timestamp(created_s),
            to_timestamp(updated_s), country, city, birth_year, utm_source, is_test FROM batch""",
    "orders": f"""
        INSERT INTO orders SELECT order_id, customer_id, to_timestamp(created_s), status,
            {_MONEY.format("total")}, {_MONEY.format("discount")}, {_MONEY.format("refund")},
            {_MONEY.format("shipping")}, channel, to_timestamp(updated_s) FROM batch""",
    "order_items": f"""
        INSERT INTO order_items SELECT order_id, sku, qty, {_MONEY.format("price")},
            {_MONEY.format("cost")} FROM batch""",
    "products": f"""
        INSERT INTO products SELECT sku, title, category_l1, category_l2, brand,
            {_MONEY.format("price")} FROM batch""",
    "consents": """
        INSERT INTO consents SELECT email, purpose, channel, status, to_timestamp(changed_s), source
        FROM batch""",
    "suppressions": """
        INSERT INTO suppressions SELECT email, reason, to_timestamp(added_s) FROM batch""",
    "simulator.people": "INSERT INTO simulator.people SELECT * FROM batch",
    "simulator.pending_refunds": "INSERT INTO simulator.pending_refunds SELECT * FROM batch",
    "simulator.clock": "INSERT INTO simulator.clock SELECT * FROM batch",
}
"""How an Arrow table registered as ``batch`` goes into each table."""


def customer_id(number: int) -> str:
    """The shop's id of a customer."""
    return f"C{number:06d}"


def order_id(number: int) -> str:
    """The shop's id of an order."""
    return f"O{number:07d}"


def customer_rows(
    rng: np.random.Generator,
    people: People,
    emails: list[str | None],
    updated_s: Seconds,
    *,
    is_test: bool,
) -> pa.Table:
    """Rows for ``people``; what does not matter for buying (place, age, origin) is drawn here."""
    n = len(people)
    place = rng.choice(len(_PLACES), n, p=_PLACE_SHARE)
    city = np.array([rng.integers(0, len(_PLACES[p][1])) for p in place.tolist()])
    birth_year = rng.normal(1984, 12, n).astype(np.int64).clip(1938, 2007)
    origin = np.array(_ORIGINS, dtype=object)[rng.integers(0, len(_ORIGINS), n)]
    return pa.table(
        {
            "customer_id": pa.array([customer_id(i) for i in people.number.tolist()], pa.string()),
            "email": pa.array(emails, pa.string()),
            "phone": pa.array(
                # +999 is assigned to no country: nobody can be called by accident.
                [f"+999{i:09d}" if i % 3 else None for i in people.number.tolist()],
                pa.string(),
            ),
            "created_s": people.born_s,
            "updated_s": updated_s,
            "country": pa.array([_PLACES[p][0] for p in place.tolist()], pa.string()),
            "city": pa.array(
                [_PLACES[p][1][c] for p, c in zip(place.tolist(), city.tolist(), strict=True)],
                pa.string(),
            ),
            "birth_year": pa.array(birth_year, mask=rng.random(n) < 0.2),
            "utm_source": pa.array(origin, pa.string()),
            "is_test": pa.array([is_test] * n, pa.bool_()),
        }
    )


def order_rows(orders: Orders, customer_ids: list[str], as_of_s: int) -> pa.Table:
    """Rows for ``orders`` as shown at an instant; ``customer_ids`` by person index."""
    owners = np.array(customer_ids, dtype=object)[orders.person]
    return pa.table(
        {
            "order_id": pa.array(
                [order_id(number) for number in orders.number.tolist()], pa.string()
            ),
            "customer_id": pa.array(owners, pa.string()),
            "created_s": orders.at_s,
            "status": pa.array(
                np.array(STATUSES, dtype=object)[orders.status(as_of_s)], pa.string()
            ),
            "total": orders.goods,
            "discount": orders.discount,
            "refund": orders.visible_refund(as_of_s),
            "shipping": orders.shipping,
            "channel": pa.array(np.array(CHANNELS, dtype=object)[orders.channel], pa.string()),
            "updated_s": orders.updated_at_s(as_of_s),
        }
    )


def item_rows(orders: Orders, goods: Catalogue) -> pa.Table:
    """Rows for the lines of ``orders``."""
    ids = np.array([order_id(number) for number in orders.number.tolist()], dtype=object)
    return pa.table(
        {
            "order_id": pa.array(ids[orders.line_order], pa.string()),
            "sku": pa.array(np.array(goods.sku, dtype=object)[orders.line_product], pa.string()),
            "qty": orders.line_quantity,
            "price": goods.price_cents[orders.line_product],
            "cost": goods.cost_cents[orders.line_product],
        }
    )


def product_rows(goods: Catalogue) -> pa.Table:
    """Rows for the whole catalogue."""
    return pa.table(
        {
            "sku": goods.sku,
            "title": goods.title,
            "category_l1": [goods.categories[c] for c in goods.category.tolist()],
            "category_l2": goods.subcategory,
            "brand": goods.brand,
            "price": goods.price_cents,
        }
    )


def pending_rows(orders: Orders, as_of_s: int) -> pa.Table:
    """Refunds of ``orders`` that will show at ``as_of_s`` or later."""
    later = np.flatnonzero((orders.refund > 0) & (orders.refund_at_s >= as_of_s))
    return pa.table(
        {
            "order_id": pa.array([order_id(i) for i in orders.number[later].tolist()], pa.string()),
            "refund_at_s": orders.refund_at_s[later],
            "refund_cents": orders.refund[later],
        }
    )
