"""Parquet and CSV files as relations.

Parquet stays where it is, as a view. CSV is read once into the workspace: parsing it again for
every statement would be slow, and a file that changes halfway would give a run two truths.

CSV types are found by looking at every value, not at a sample, and by rules a person can foretell:
whole numbers without leading zeros are BIGINT, decimals are DECIMAL (exact, because they are often
money), ISO dates and times are DATE, TIMESTAMP or, with a zone, TIMESTAMPTZ; all else is text. So
``007`` and ``01234`` (a postcode) stay what they are, ``yes`` and ``true`` stay words, and
``03/04/2025`` waits for a mapping that says which is the month (``parse_time``). DuckDB's own
sniffer was tried: it guesses all of these.

The first line must hold the columns' names. An empty field is NULL. A row with too many or too few
fields, or bytes that are not UTF-8, stops the run with file and line: a row is never dropped in
silence.
"""

from __future__ import annotations

import csv
import glob
import gzip
import re
from pathlib import Path

import duckdb

from connector.errors import SchemaError, SourceError
from connector.warehouse.render import literal, quote

_DELIMITERS = (",", ";", "\t", "|")

_CLOCK = r"[0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,6})?)?"
_DATE = "[0-9]{4}-[0-9]{2}-[0-9]{2}"
_PATTERNS = {
    "BIGINT": "-?(0|[1-9][0-9]{0,17})",
    "DECIMAL": r"-?(0|[1-9][0-9]{0,11})(\.[0-9]{1,6})?",
    "DOUBLE": r"-?(0|[1-9][0-9]{0,307})(\.[0-9]+)?([eE][+-]?[0-9]{1,3})?",
    "DATE": _DATE,
    "TIMESTAMP": f"{_DATE}([ T]{_CLOCK})?",
    "TIMESTAMPTZ": f"{_DATE}[ T]{_CLOCK}(Z|[+-][0-9]{{2}}(:?[0-9]{{2}})?)",
}
"""Type -> what every value of the column must look like; the first that fits is taken."""

_SAMPLE_ROWS = 1_000


def matching(name: str, pattern: str) -> list[str]:
    """The files of a glob pattern, sorted.

    Raises:
        SourceError: There is none.
    """
    found = sorted(path for path in glob.glob(pattern, recursive=True) if Path(path).is_file())  # noqa: PTH207
    if not found and Path(pattern).is_dir():
        raise SourceError(
            f"source {name}: {pattern} is a folder.",
            hint="Name a file, or all files of one table with *.",
        )
    if not found:
        raise SourceError(
            f"source {name}: no file matches {pattern}.",
            hint="Check `path`, relative to the configuration.",
        )
    return [str(Path(path).resolve()) for path in found]


def attach_parquet(connection: duckdb.DuckDBPyConnection, name: str, pattern: str) -> list[str]:
    """Make Parquet files a view; returns the files.

    Raises:
        SourceError: No file matches, or one is no Parquet file.
        SchemaError: Columns differ between the files.
    """
    paths = matching(name, pattern)
    first: list[tuple[str, str]] = []
    for path in paths:
        try:
            described = connection.execute(
                f"DESCRIBE SELECT * FROM read_parquet({literal(path)})"
            ).fetchall()
        except duckdb.Error:
            raise SourceError(f"source {name}: {path} is no readable Parquet file.") from None
        shape = sorted((str(row[0]), str(row[1])) for row in described)
        first = first or shape
        if shape != first:
            names = sorted({column for column, _ in set(shape) ^ set(first)})
            raise SchemaError(
                f"source {name}: {path} has other columns or types than {paths[0]}: "
                f"{', '.join(names)}.",
                hint="Write the files anew with one schema, or give them sources of their own.",
            )
    listed = ", ".join(literal(path) for path in paths)
    try:
        connection.execute(
            f"CREATE OR REPLACE VIEW {quote(name)} AS "
            f"SELECT * FROM read_parquet([{listed}], union_by_name = true)"
        )
    except duckdb.Error as problem:
        raise SourceError(
            f"source {name}: the files cannot be read ({type(problem).__name__})."
        ) from None
    return paths


def attach_csv(connection: duckdb.DuckDBPyConnection, name: str, pattern: str) -> None:
    """Read CSV files into a table.

    Raises:
        SourceError: No file matches, or a row is broken.
        SchemaError: The header is missing, has a name twice, or differs between files.
    """
    paths = matching(name, pattern)
    header, delimiter = _header(name, paths[0])
    for path in paths[1:]:
        if _header(name, path) != (header, delimiter):
            raise SchemaError(
                f"source {name}: the header of {path} differs from that of {paths[0]}.",
                hint="All files of one source need the same columns in the same order.",
            )
    raw = quote(f"_raw_{name}")
    listed = ", ".join(literal(path) for path in paths)
    columns = ", ".join(f"{literal(column)}: 'VARCHAR'" for column in header)
    options = (
        f"auto_detect = false, header = true, delim = {literal(delimiter)}, quote = '\"', "
        f"escape = '\"', columns = {{{columns}}}, null_padding = false, strict_mode = true"
    )
    try:
        connection.execute(
            f"CREATE OR REPLACE TABLE {raw} AS SELECT * FROM read_csv([{listed}], {options})"
        )
    except duckdb.Error as problem:
        raise _broken(connection, name, listed, options, problem) from None
    try:
        types = _types(connection, raw, header)
        selected = ", ".join(
            f"CAST({quote(column)} AS {types[column]}) AS {quote(column)}" for column in header
        )
        connection.execute(f"CREATE OR REPLACE TABLE {quote(name)} AS SELECT {selected} FROM {raw}")
    except duckdb.ConversionException:
        raise SourceError(
            f"source {name}: a date or time in the file does not exist on the calendar.",
            hint="Repair the file.",
        ) from None
    finally:
        connection.execute(f"DROP TABLE IF EXISTS {raw}")


def _header(name: str, path: str) -> tuple[list[str], str]:
    """The column names of a CSV file and its delimiter: the one that gives the most columns."""
    opener = gzip.open if path.endswith(".gz") else open
    best: list[str] = []
    chosen = ","
    broken = ""
    for candidate in _DELIMITERS:
        try:
            with opener(path, "rt", encoding="utf-8-sig", newline="") as lines:
                names = next(csv.reader(lines, delimiter=candidate, strict=True), [])
        except UnicodeDecodeError:
            raise SourceError(
                f"source {name}: {path} is not UTF-8.", hint="Convert it to UTF-8."
            ) from None
        except csv.Error as problem:
            # A header in quotation marks is well formed with its own delimiter only.
            broken = type(problem).__name__
            continue
        except (OSError, EOFError) as problem:
            raise SourceError(
                f"source {name}: {path} cannot be read ({type(problem).__name__})."
            ) from None
        if len(names) > len(best):
            best, chosen = names, candidate
    if not best and broken:
        raise SourceError(f"source {name}: {path} cannot be read ({broken}).")
    header = [column.strip() for column in best]
    if (
        not header
        or "" in header
        or all(re.fullmatch(_PATTERNS["DOUBLE"], column) for column in header)
    ):
        raise SchemaError(
            f"source {name}: {path} lacks a name for every column in its first line.",
            hint="Export it with a header.",
        )
    lowered = [column.lower() for column in header]
    twice = sorted({column for column in header if lowered.count(column.lower()) > 1})
    if twice:
        raise SchemaError(f"source {name}: {path} names a column twice: {', '.join(twice)}.")
    return header, chosen


def _types(connection: duckdb.DuckDBPyConnection, raw: str, header: list[str]) -> dict[str, str]:
    """The type of each column: the first of the list that all its values have.

    A sample rules out most types cheaply; what is left is held against every value.
    """
    sample = f"(SELECT * FROM {raw} LIMIT {_SAMPLE_ROWS})"
    types: dict[str, str] = {}
    for column in header:
        found = "VARCHAR"
        for candidate, pattern in _PATTERNS.items():
            if all(_fits(connection, relation, column, pattern) for relation in (sample, raw)):
                found = candidate
                break
        types[column] = _decimal(connection, raw, column) if found == "DECIMAL" else found
    return types


def _fits(connection: duckdb.DuckDBPyConnection, relation: str, column: str, pattern: str) -> bool:
    """Whether there are values and all of them match."""
    row = connection.execute(
        f"SELECT count({quote(column)}) > 0 AND "
        f"bool_and(regexp_full_match({quote(column)}, {literal(pattern)})) FROM {relation}"
    ).fetchone()
    return bool(row and row[0])


def _decimal(connection: duckdb.DuckDBPyConnection, raw: str, column: str) -> str:
    """The decimal type that holds every decimal place that occurs."""
    row = connection.execute(
        f"SELECT max(length(split_part({quote(column)}, '.', 2))) FROM {raw}"
    ).fetchone()
    return f"DECIMAL(18, {row[0] if row else 0})"


def _broken(
    connection: duckdb.DuckDBPyConnection,
    name: str,
    listed: str,
    options: str,
    problem: duckdb.Error,
) -> SourceError:
    """Where CSV files are broken, without the text of the row."""
    try:
        connection.execute(
            "CREATE OR REPLACE TEMP TABLE _all AS "
            f"SELECT * FROM read_csv([{listed}], {options}, store_rejects = true)"
        )
        found = connection.execute(
            "SELECT DISTINCT s.file_path, e.line, CAST(e.error_type AS VARCHAR) "
            "FROM reject_errors e JOIN reject_scans s USING (scan_id, file_id) ORDER BY 1, 2"
        ).fetchall()
    except duckdb.Error:
        found = []
    finally:
        for table in ("_all", "reject_errors", "reject_scans"):
            connection.execute(f"DROP TABLE IF EXISTS {table}")
    if not found:
        return SourceError(
            f"source {name}: the CSV cannot be read ({type(problem).__name__}).",
            hint="Its lines may end in two ways (Windows and Unix) or a quotation mark may be left"
            " open: export the file again, or convert its line ends.",
        )
    shown = "; ".join(f"{path} line {line} ({str(kind).lower()})" for path, line, kind in found[:3])
    more = f" and {len(found) - 3} more" if len(found) > 3 else ""
    return SourceError(
        f"source {name}: {len(found)} broken row(s): {shown}{more}.",
        hint="Repair or re-export the file: rows are never dropped in silence.",
    )
