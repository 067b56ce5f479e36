"""Amounts in somebody else's file that are none for a machine: refused and named, never left out.

A column that is nearly numbers is text to the reader of files. Passed over in silence, the next
column would decide in its place.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import duckdb

from connector.errors import SchemaError, SourceError
from connector.numbers import several
from connector.warehouse.render import literal, quote

AMOUNT = (
    "([A-Z]{3}|[^A-Z0-9]{0,2}) ?-?[0-9]+([., \u00a0\u2019'][0-9]{3})*([.,][0-9]+)?"
    " ?([A-Z]{3}|[^A-Z0-9]{0,2})"
)
"""How somebody may have written a number: a currency, groups of thousands, a decimal comma."""


def refuse_nearly_numbers(
    con: duckdb.DuckDBPyConnection, path: Path, relation: str, names: Sequence[str]
) -> None:
    """Refuse columns of text of which most is a number but for how it is written.

    Raises:
        SchemaError: There is one.
    """
    for name in names:
        text = f"CAST({quote(name)} AS VARCHAR)"
        written = f"regexp_full_match(upper(trim({text})), {literal(AMOUNT)})"
        plain = f"TRY_CAST({text} AS DOUBLE) IS NOT NULL AND isfinite(TRY_CAST({text} AS DOUBLE))"
        n, n_amounts, n_plain = con.execute(
            f"SELECT count({quote(name)}), count(*) FILTER ({written}),"
            f" count(*) FILTER ({plain}) FROM {relation}"
        ).fetchall()[0]
        if n_amounts > n / 2 and n_plain < n:
            raise SchemaError(
                f"{path.name}: column {name} is text, since {several(n - n_plain, 'row')} of"
                f" {n:,} hold no plain number.",
                hint="Write amounts as 12.50: no currency, a point for the decimals, nothing to"
                " group thousands, and an empty field where nothing is known. Or name the"
                " columns to be measured with --metric.",
            )


def refuse_infinite(
    con: duckdb.DuckDBPyConnection, path: Path, relation: str, names: Sequence[str]
) -> None:
    """Refuse columns with values that cannot be added up.

    Raises:
        SourceError: There is one.
    """
    for name in names:
        (n,) = con.execute(
            f"SELECT count(*) FILTER (NOT isfinite(CAST({quote(name)} AS DOUBLE))) FROM {relation}"
        ).fetchall()[0]
        if n:
            raise SourceError(
                f"{path.name}: {several(n, 'value')} of {name} are infinite or not a number.",
                hint="Leave the field empty where nothing is known.",
            )
