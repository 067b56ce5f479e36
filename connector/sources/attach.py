"""Make a source readable in a run's workspace, or open it to compute there.

A DuckDB file is attached and Parquet files stay where they are; CSV files and the tables of a
PostgreSQL database are copied, so that a run sees one state of them.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from connector.errors import SourceError
from connector.sources.spec import FileKind, FileSource, PostgresSource
from connector.warehouse.duckdb import DuckDBWarehouse
from connector.warehouse.postgres import PostgresWarehouse
from connector.warehouse.render import quote


def attach(
    workspace: DuckDBWarehouse,
    name: str,
    source: FileSource | PostgresSource,
    tables: Collection[str] = (),
) -> None:
    """Make a source readable as ``name`` (files) or ``name.table`` (databases).

    Args:
        workspace: Not sealed yet.
        name: The source's name.
        source: Where it is.
        tables: The tables of it that are read, without the source's name; only these are copied
            from a database that cannot be attached. One that does not exist is passed over: whoever
            reads it says so with the place in the configuration.

    Raises:
        SourceError: It cannot be read; the message names it.
        SchemaError: Files of one pattern have different columns.
    """
    match source:
        case FileSource(FileKind.DUCKDB, path):
            workspace.attach(name, Path(path))
        case FileSource(FileKind.PARQUET, path):
            workspace.attach_parquet(name, path)
        case FileSource(FileKind.CSV, path):
            workspace.attach_csv(name, path)
        case PostgresSource():
            # One moment for all tables, as the copy is read for the rest of the run.
            with open_database(name, source) as database, database.snapshot():
                for table in sorted(set(tables)):
                    if database.columns(f"{name}.{table}"):
                        rows = database.batches(f"SELECT * FROM {quote(name)}.{quote(table)} AS t")
                        workspace.copy_table(name, table, rows)


def open_database(name: str, source: PostgresSource) -> PostgresWarehouse:
    """A session of a PostgreSQL source, its tables readable as ``name.table``.

    Raises:
        SourceError: It cannot be read; the message names it.
    """
    try:
        database = PostgresWarehouse(source.dsn)
    except SourceError as problem:
        raise SourceError(f"source {name}: {problem.message}", hint=problem.hint) from None
    try:
        database.attach(name, source.schema)
    except BaseException:
        database.close()
        raise
    return database
