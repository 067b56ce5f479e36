"""The columns of a small `scored` relation, and a workspace that holds rows of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from connector.warehouse.duckdb import DuckDBWarehouse, Settings
from connector.warehouse.render import Value, literal, quote

COLUMNS: dict[str, str] = {
    "profile_id": "VARCHAR",
    "rfm.group": "VARCHAR",
    "rfm.r": "INTEGER",
    "x.order": "VARCHAR",
    "purchase_30d.probability": "DOUBLE",
    "monetary_365d": "DECIMAL(18,2)",
    "recency_days": "BIGINT",
    "orders_365d": "BIGINT",
    "country": "VARCHAR",
    "email": "VARCHAR",
    "created_at": "TIMESTAMP",
    "subscribed": "BOOLEAN",
    "Unit Price": "DOUBLE",
}


def workspace() -> DuckDBWarehouse:
    return DuckDBWarehouse(settings=Settings(threads=1))


def store(
    warehouse: DuckDBWarehouse,
    rows: Iterable[Mapping[str, Value]],
    columns: Mapping[str, str] = COLUMNS,
    name: str = "scored",
) -> None:
    """Make a relation of the rows; what a row does not give is NULL."""
    typed = ", ".join(f"{quote(column)} {kind}" for column, kind in columns.items())
    warehouse.drop(name)
    warehouse.connection.execute(f"CREATE TABLE {quote(name)} ({typed})")
    values = ["(" + ", ".join(literal(row.get(column)) for column in columns) + ")" for row in rows]
    if values:
        warehouse.connection.execute(f"INSERT INTO {quote(name)} VALUES {', '.join(values)}")
