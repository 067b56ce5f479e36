"""DuckDB, the embedded engine: the workspace of a run, with the user's files attached.

Sources are attached read-only, so no statement can change them. Once all are attached,
:meth:`DuckDBWarehouse.seal` shuts the file system and the settings for the rest of the run: even a
statement that slipped through every check could not read another file, load an extension or reach
the network.

Two things were measured on DuckDB 2.0: ``preserve_insertion_order = false`` with two threads and a
temporary directory is the quickest set-up for features, and a second process cannot open a file
that a writer holds, not even for reading. Hence the workspace is disposable and a locked source has
an error of its own.

DuckDB's own messages quote values ("could not convert string 'jane@...'"); they are never passed
on.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import duckdb

from connector.errors import LiftlineError, SchemaError, SourceError
from connector.warehouse import files
from connector.warehouse.grammar import StatementError
from connector.warehouse.render import literal, quote, render

if TYPE_CHECKING:
    import pyarrow as pa

BATCH_ROWS = 100_000
"""Rows of one Arrow batch."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What a workspace may use of the machine.

    Attributes:
        threads: Worker threads; None leaves it to DuckDB (all cores).
        memory_limit: Such as ``4GB``; None leaves it to DuckDB (80 % of the machine).
        temp_directory: Where results that do not fit in memory are spilled; None: beside the
            database file.
    """

    threads: int | None = None
    memory_limit: str | None = None
    temp_directory: Path | None = None


class DuckDBWarehouse:
    """A DuckDB database as a :class:`connector.ports.Warehouse`."""

    dialect = "duckdb"

    def __init__(self, path: Path | None = None, settings: Settings | None = None) -> None:
        """Open a workspace.

        Args:
            path: The database file, created when missing; None: in memory.
            settings: Limits; defaults are DuckDB's.

        Raises:
            SourceError: The file is locked by another process, or is no DuckDB database.
        """
        settings = settings or Settings()
        config: dict[str, str | bool | int | float | list[str]] = {
            "preserve_insertion_order": False,
            "default_null_order": "nulls_last",
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
            "allow_community_extensions": False,
            "python_enable_replacements": False,
        }
        if settings.threads is not None:
            config["threads"] = settings.threads
        if settings.memory_limit is not None:
            config["memory_limit"] = settings.memory_limit
        if settings.temp_directory is not None:
            config["temp_directory"] = str(settings.temp_directory)
        try:
            self._connection = duckdb.connect(str(path) if path else ":memory:", config=config)
        except duckdb.Error as problem:
            raise _cannot_open(path or Path(":memory:"), problem) from None
        self._connection.execute("SET TimeZone = 'UTC'")
        self._readable: list[str] = []
        self._closed = False

    @property
    def connection(self) -> duckdb.DuckDBPyConnection:
        """DuckDB's own connection, for what is computed in the workspace only (plans and diffs)."""
        return self._connection

    # ------------------------------------------------------------ sources

    def attach(self, name: str, path: Path) -> None:
        """Attach a DuckDB file for reading; its tables are then ``name.table``.

        Raises:
            SourceError: The file is missing, locked by another process, or no DuckDB database.
        """
        if not path.is_file():
            raise SourceError(
                f"source {name}: there is no file {path}.",
                hint="Check `path`, relative to the configuration.",
            )
        try:
            self._connection.execute(f"ATTACH {literal(str(path))} AS {quote(name)} (READ_ONLY)")
        except duckdb.Error as problem:
            raise _cannot_open(path, problem) from None
        self._readable.append(str(path.resolve()))

    def attach_parquet(self, name: str, pattern: str) -> None:
        """Make the Parquet files of a glob pattern the relation ``name``.

        Raises:
            SourceError: No file matches, or one cannot be read.
            SchemaError: The files' columns differ.
        """
        self._readable += files.attach_parquet(self._connection, name, pattern)

    def attach_csv(self, name: str, pattern: str) -> None:
        """Read the CSV files of a glob pattern into the relation ``name``, as :mod:`.files` says.

        Raises:
            SourceError: No file matches, or a row is broken; the message names file and line.
            SchemaError: The header is missing, has a name twice, or differs between files.
        """
        files.attach_csv(self._connection, name, pattern)

    def copy_table(self, source: str, table: str, data: pa.RecordBatchReader) -> None:
        """Copy a table of a database that cannot be attached; it is then ``source.table``.

        Raises:
            SourceError: The data has a type that the engine does not hold.
        """
        with self._connection.cursor() as cursor:
            cursor.execute(f"CREATE SCHEMA IF NOT EXISTS {quote(source)}")
            cursor.register("_incoming", data)
            try:
                cursor.execute(
                    f"CREATE OR REPLACE TABLE {quote(source)}.{quote(table)} AS"
                    " SELECT * FROM _incoming"
                )
            except duckdb.Error as problem:
                raise _translated(f"{source}.{table}", problem) from None

    def tables(self, source: str) -> list[str]:
        """Names of the tables of an attached DuckDB file, or of those copied, sorted."""
        found = self._connection.execute(
            "SELECT table_name FROM information_schema.tables WHERE table_catalog = $source"
            " OR (table_catalog = current_database() AND table_schema = $source) ORDER BY 1",
            {"source": source},
        ).fetchall()
        return [str(name) for (name,) in found]

    def seal(self) -> None:
        """Allow no other file, extension or setting from now on; sources stay readable."""
        paths = ", ".join(literal(path) for path in self._readable)
        self._connection.execute(f"SET allowed_paths = [{paths}]")
        self._connection.execute("SET enable_external_access = false")
        self._connection.execute("SET lock_configuration = true")

    # ------------------------------------------------------------ the protocol

    def create_table_as(self, name: str, sql: str) -> None:
        """Create or replace the table ``name`` with the rows of a statement in the house dialect.

        Raises:
            StatementError: The statement leaves the dialect.
            SourceError: The data cannot be read or converted.
        """
        self._replace(self._connection, "TABLE", name, render(sql, self.dialect))

    def create_view_as(self, name: str, sql: str) -> None:
        """Create or replace the view ``name`` of a statement in the house dialect.

        Raises:
            StatementError: The statement leaves the dialect.
            SourceError: A table or column of it does not exist.
        """
        self._replace(self._connection, "VIEW", name, render(sql, self.dialect))

    def batches(self, sql: str) -> pa.RecordBatchReader:
        """Stream the rows of a statement in the house dialect; others may run meanwhile."""
        cursor = self._connection.cursor()
        try:
            reader: pa.RecordBatchReader = cursor.sql(render(sql, self.dialect)).to_arrow_reader(
                BATCH_ROWS
            )
        except duckdb.Error as problem:
            raise _translated("query", problem) from None
        return reader

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """All rows of a small result of a statement in the house dialect."""
        try:
            return self._connection.execute(render(sql, self.dialect)).fetchall()
        except duckdb.Error as problem:
            raise _translated("query", problem) from None

    def load(self, name: str, data: pa.Table | pa.RecordBatchReader) -> None:
        """Create or replace the table ``name`` with Arrow data.

        Raises:
            SourceError: The data has a type that the engine does not hold.
        """
        # A cursor of its own: the connection may be in the middle of somebody else's result.
        with self._connection.cursor() as cursor:
            cursor.register("_incoming", data)
            self._replace(cursor, "TABLE", name, "SELECT * FROM _incoming")

    def columns(self, name: str) -> Mapping[str, str]:
        """Column name -> type of a relation, also ``source.table``; empty when there is none."""
        candidates = [quote(name)]
        if "." in name:
            candidates.append(".".join(quote(part) for part in name.split(".") if part))
        for candidate in candidates:
            try:
                found = self._connection.execute(f"DESCRIBE SELECT * FROM {candidate}").fetchall()
            except duckdb.CatalogException:
                continue
            except duckdb.Error as problem:
                raise _translated(name, problem) from None
            return {str(row[0]): str(row[1]) for row in found}
        return {}

    def drop(self, name: str) -> None:
        """Remove a relation, if it exists."""
        for kind in ("TABLE", "VIEW"):
            # The one that it is not refuses; the one that it is, is gone then.
            with contextlib.suppress(duckdb.CatalogException):
                self._connection.execute(f"DROP {kind} IF EXISTS {quote(name)}")

    def close(self) -> None:
        """Release the file; safe to call twice."""
        if not self._closed:
            self._connection.close()
            self._closed = True

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # ------------------------------------------------------------ within

    def _replace(
        self, connection: duckdb.DuckDBPyConnection, kind: str, name: str, query: str
    ) -> None:
        """Create a table or view, also in place of one of the other kind.

        DuckDB replaces like by like only, and says so before it reads a row. Asking the catalogue
        first what a name stands for was 15 % of a small run.
        """
        create = f"CREATE OR REPLACE {kind} {quote(name)} AS {query}"
        try:
            try:
                connection.execute(create).fetchall()
            except duckdb.CatalogException as problem:
                if not re.search(r"is of type \w+, trying to replace", str(problem)):
                    raise
                connection.execute(f"DROP {'VIEW' if kind == 'TABLE' else 'TABLE'} {quote(name)}")
                connection.execute(create).fetchall()
        except duckdb.Error as problem:
            raise _translated(name, problem) from None


def _cannot_open(path: Path, problem: duckdb.Error) -> SourceError:
    """Why a database file does not open, in words that say what to do."""
    text = str(problem)
    if "lock" in text.lower():
        return SourceError(
            f"{path} is in use: another process holds its lock.",
            hint="While one process writes, no other may even read. Close it, or read a copy.",
        )
    if "not a valid" in text.lower() or "corrupt" in text.lower():
        return SourceError(
            f"{path} is not a valid DuckDB database, or it is damaged.",
            hint="Restore it from the source.",
        )
    if "version" in text.lower():
        return SourceError(
            f"{path} was written by another version of DuckDB.",
            hint="Export it with that version again.",
        )
    return SourceError(
        f"{path} cannot be opened ({type(problem).__name__}).",
        hint="Check the file and its permissions.",
    )


def _translated(name: str, problem: duckdb.Error) -> LiftlineError:
    """DuckDB's error as ours, without the values that its message may quote."""
    text = str(problem)
    if isinstance(problem, (duckdb.CatalogException, duckdb.BinderException)):
        first = (
            re.split(r"\n|LINE \d", text)[0]
            .strip()
            .removeprefix("Catalog Error: ")
            .removeprefix("Binder Error: ")
        )
        return SchemaError(f"{name}: {first}")
    if isinstance(problem, duckdb.OutOfMemoryException):
        return SourceError(
            f"{name}: the workspace ran out of memory.",
            hint="Raise its memory limit, or free disk space.",
        )
    if isinstance(
        problem,
        (duckdb.ConversionException, duckdb.InvalidInputException, duckdb.OutOfRangeException),
    ):
        target = re.search(r"(?:to|type) ([A-Z][A-Z0-9_]*(?:\(\d+, ?\d+\))?)", text)
        return SourceError(
            f"{name}: a value cannot be converted" + (f" to {target.group(1)}." if target else "."),
            hint="Convert it in the mapping, such as as_number(column), or quarantine the rows.",
        )
    if isinstance(problem, duckdb.IOException):
        return SourceError(
            f"{name}: a file cannot be read or written.", hint="Check disk space and permissions."
        )
    return StatementError(f"{name}: the engine refuses a statement ({type(problem).__name__}).")
