"""Table tests: what the configuration claims of a mapped table, asked of every row."""

from __future__ import annotations

from collections.abc import Iterable

from connector.domain import Finding, Level
from connector.errors import SchemaError
from connector.numbers import percent
from connector.ports import Warehouse
from connector.sources.spec import CheckKind, TableCheck
from connector.warehouse.render import literal, quote


def run_checks(warehouse: Warehouse, table: str, checks: Iterable[TableCheck]) -> list[Finding]:
    """Run the tests of one mapped table, one finding each.

    Args:
        warehouse: Where ``in_<table>`` lies, and the tables that relationships name.
        table: Logical name.
        checks: The tests.

    Returns:
        OK where nothing fails. Failing rows are an ERROR, or, for a test with ``warn_above``, a
        WARNING when their share is above it and a NOTE below.

    Raises:
        SchemaError: A test names a column or table that is not mapped.
    """
    return [_run(warehouse, table, check) for check in checks]


def _run(warehouse: Warehouse, table: str, check: TableCheck) -> Finding:
    """One test."""
    relation = f"in_{table}"
    subject = f"tables.{table}.tests.{check.kind}"
    columns = warehouse.columns(relation)
    if check.column not in columns:
        raise SchemaError(
            f"{subject}: the table {table} has no column {check.column!r}.",
            hint=f"It has: {', '.join(columns)}.",
        )
    n_failed, n_rows = warehouse.rows(_failures(warehouse, relation, subject, check))[0]
    share = n_failed / n_rows if n_rows else 0.0
    what = f"{check.column}: {n_failed:,} of {n_rows:,} rows {_MEANINGS[check.kind]}"
    if not n_failed:
        return Finding(Level.OK, subject, f"{check.column}: all {n_rows:,} rows pass.")
    if check.warn_above is None:
        return Finding(
            Level.ERROR, subject, f"{what}.", "Repair the source, or give the test a warn_above."
        )
    if share > check.warn_above:
        return Finding(
            Level.WARNING,
            subject,
            f"{what} ({percent(share, digits=2)}, above {percent(check.warn_above)}).",
            "Look at the source; such rows are set aside or emptied when profiles are made.",
        )
    return Finding(Level.NOTE, subject, f"{what} ({percent(share)}).")


_MEANINGS = {
    CheckKind.UNIQUE: "repeat a value",
    CheckKind.NOT_NULL: "have no value",
    CheckKind.VALID_EMAIL: "hold no e-mail address",
    CheckKind.RELATIONSHIP: "point nowhere",
    CheckKind.NON_NEGATIVE: "are negative",
    CheckKind.ACCEPTED_VALUES: "hold another value than allowed",
}


def _failures(warehouse: Warehouse, relation: str, subject: str, check: TableCheck) -> str:
    """SELECT of the number of failing rows and of all rows."""
    column = f"t.{quote(check.column)}"
    counts = (
        "SELECT count(CASE WHEN {} THEN 1 END) AS n_failed, count(*) AS n_rows"
        f" FROM {relation} AS t"
    )
    match check.kind:
        case CheckKind.UNIQUE:
            return (
                f"SELECT count({column}) - count(DISTINCT {column}) AS n_failed, count(*) AS n_rows"
                f" FROM {relation} AS t"
            )
        case CheckKind.NOT_NULL:
            return counts.format(f"{column} IS NULL")
        case CheckKind.VALID_EMAIL:
            return counts.format(
                f"{column} IS NOT NULL AND NOT coalesce(is_email(normalise_email({column})), FALSE)"
            )
        case CheckKind.NON_NEGATIVE:
            return counts.format(f"{column} < 0")
        case CheckKind.ACCEPTED_VALUES:
            allowed = ", ".join(literal(value) for value in check.values)
            return counts.format(f"{column} IS NOT NULL AND as_text({column}) NOT IN ({allowed})")
        case CheckKind.RELATIONSHIP:
            other, there = f"in_{check.to}", check.to_column or check.column
            if there not in warehouse.columns(other):
                raise SchemaError(
                    f"{subject}: there is no column {there!r} in a table {check.to!r}.",
                    hint="Name a mapped table under `to`.",
                )
            return (
                f"SELECT count(CASE WHEN {column} IS NOT NULL AND o.k IS NULL THEN 1 END) AS"
                " n_failed"
                f", count(*) AS n_rows FROM {relation} AS t LEFT JOIN"
                f" (SELECT DISTINCT u.{quote(there)} AS k FROM {other} AS u) AS o ON o.k = {column}"
            )
