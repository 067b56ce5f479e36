"""One row for each key: the latest version wins, whatever the order of the rows.

Only keys that really repeat are sorted; tables are mostly clean, and a window over all of their
rows would cost more than everything else in this package together.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from connector.errors import SourceError
from connector.ports import Warehouse
from connector.profiles.spec import Duplicates
from connector.warehouse.render import literal, quote

_VERSION_TIMES = ("updated_at", "created_at", "ordered_at")
"""Columns that date a version, the most telling first."""


@dataclass(frozen=True, slots=True)
class Removed:
    """Rows that gave way to another: equal in every column, or in the key only."""

    n_exact: int
    n_key: int

    @property
    def counts(self) -> dict[str, int]:
        """Reason -> rows, for a report."""
        return {"exact_duplicate": self.n_exact, "key_duplicate": self.n_key}


def deduplicate(
    warehouse: Warehouse,
    *,
    relation: str,
    key: str,
    output: str,
    policy: Duplicates,
    as_of: datetime,
    table: str,
) -> Removed:
    """Make ``output``: the rows of ``relation``, one for each key.

    The version that was last changed before ``as_of`` wins, then the last created; versions that
    are alike in both are settled by their columns' values, so a shuffled table gives the same
    answer.

    Args:
        warehouse: Where the relation lies.
        relation: Its rows have a key that is not NULL.
        key: The key's column.
        output: Name of the relation to make.
        policy: Keep the latest, or refuse.
        as_of: Versions changed at or after it lose against earlier ones.
        table: Logical table, for messages.

    Raises:
        SourceError: Keys repeat with different rows, and the policy is to refuse.
    """
    columns = list(warehouse.columns(relation))
    names = [quote(column) for column in columns]
    repeated = f"{output}_repeated"
    warehouse.create_table_as(
        repeated,
        f"SELECT r.{quote(key)} AS k FROM {relation} AS r GROUP BY r.{quote(key)} HAVING count(*)"
        " > 1",
    )
    picks = ", ".join(f"r.{name} AS {name}" for name in names)
    again = f"{relation} AS r JOIN {repeated} AS d ON d.k = r.{quote(key)}"
    (n_keys,) = warehouse.rows(f"SELECT count(*) AS n FROM {repeated} AS d")[0]
    if not n_keys:
        warehouse.create_view_as(output, f"SELECT {picks} FROM {relation} AS r")
        return Removed(0, 0)
    (n_rows,) = warehouse.rows(f"SELECT count(*) AS n FROM {again}")[0]
    (n_distinct,) = warehouse.rows(
        f"SELECT count(*) AS n FROM (SELECT DISTINCT {picks} FROM {again}) AS x"
    )[0]
    removed = Removed(n_exact=n_rows - n_distinct, n_key=n_distinct - n_keys)
    if removed.n_key and policy is Duplicates.ERROR:
        raise SourceError(
            f"{n_keys:,} values of {table}.{key} stand on several different rows.",
            hint="Repair the source, or set quality.duplicates: keep_latest.",
        )
    order = []
    if "updated_at" in columns:
        order.append(f"CASE WHEN r.updated_at >= {literal(as_of)} THEN 1 ELSE 0 END ASC")
    order += [f"r.{quote(c)} DESC NULLS LAST" for c in _VERSION_TIMES if c in columns]
    order += [f"r.{name} ASC NULLS LAST" for name in names]
    outer = ", ".join(f"x.{name} AS {name}" for name in names)
    warehouse.create_table_as(
        output,
        f"SELECT {picks} FROM {relation} AS r LEFT JOIN {repeated} AS d ON d.k = r.{quote(key)}"
        " WHERE d.k IS NULL"
        f" UNION ALL SELECT {outer} FROM (SELECT {picks}, row_number() OVER"
        f" (PARTITION BY r.{quote(key)} ORDER BY {', '.join(order)}) AS ll_version FROM {again})"
        " AS x"
        " WHERE x.ll_version = 1",
    )
    return removed
