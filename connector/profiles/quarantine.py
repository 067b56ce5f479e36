"""The relation ``quarantine``: rows set aside or emptied, with the reason, and no address."""

from __future__ import annotations

from collections.abc import Iterable

from connector.ports import Warehouse
from connector.warehouse.render import literal

EMPTY_ROW = (
    "SELECT CAST(NULL AS VARCHAR) AS table_name, CAST(NULL AS VARCHAR) AS row_key,"
    " CAST(NULL AS VARCHAR) AS reason, CAST(NULL AS BIGINT) AS n WHERE FALSE"
)


def safe_key(sql: str) -> str:
    """A row's key as SQL text that may be shown: an e-mail address becomes a digest."""
    return f"CASE WHEN {sql} LIKE '%@%' THEN 'md5:' || substr(md5_hex({sql}), 1, 20) ELSE {sql} END"


def quarantine_sql(table: str, *, relation: str, key: str, reason: str, where: str) -> str:
    """SELECT of rows for the quarantine.

    Args:
        table: Logical table.
        relation: Where the rows are, under the alias ``x``.
        key: SQL of the row's key, text.
        reason: SQL of the reason.
        where: SQL condition that picks the rows.
    """
    return (
        f"SELECT {literal(table)} AS table_name, {safe_key(key)} AS row_key, {reason} AS reason,"
        f" count(*) AS n FROM {relation} AS x WHERE {where} GROUP BY {safe_key(key)}, {reason}"
    )


def collect_quarantine(
    warehouse: Warehouse, relations: Iterable[str], *, output: str = "quarantine"
) -> int:
    """Gather the quarantines of all tables and steps into one relation.

    Args:
        warehouse: Where they lie.
        relations: The ``quarantine_relation`` of each report; empty names are passed over.
        output: Name of the relation to make: ``table_name, row_key, reason, n``.

    Returns:
        Number of rows that it stands for.
    """
    parts = [
        "SELECT q.table_name AS table_name, q.row_key AS row_key, q.reason AS reason, q.n AS n"
        f" FROM {name} AS q"
        for name in dict.fromkeys(relations)
        if name
    ]
    warehouse.create_table_as(output, " UNION ALL ".join([EMPTY_ROW, *parts]))
    (total,) = warehouse.rows(f"SELECT coalesce(sum(q.n), 0) AS n FROM {output} AS q")[0]
    return int(total)
