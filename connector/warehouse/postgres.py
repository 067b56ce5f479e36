"""PostgreSQL (16 and newer): the user's own tables, and a workspace that is gone with the session.

Every relation of a run is a temporary table or view. So a role needs SELECT on its tables and
TEMPORARY on the database and nothing more, no other session ever sees the personal data in them,
and a run that is killed leaves nothing behind. Tried on paper and dropped: a schema of our own,
where several connections could read at once, but which needs CREATE and a clean-up after a crash.

One answer on every engine needs care for text: a database sorts it by the collation it was set up
with, DuckDB by bytes, and the smallest customer id names a person. So each table of a source is
read through a view that gives text the collation "C" (and makes text of types that are
Postgres' own, such as uuid or an enum). Letters are made small and large by a collation that the
session makes, :data:`connector.warehouse.macros.text.FOLDING`.

Results and loads go through ADBC as Arrow. Postgres' messages quote values; they are never passed
on, and neither is the address, which may hold a password.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Self

import pyarrow as pa

from connector.errors import LiftlineError, SourceError
from connector.warehouse import postgres_session
from connector.warehouse import postgres_types as types
from connector.warehouse.grammar import StatementError
from connector.warehouse.postgres_errors import cannot_connect, translated
from connector.warehouse.postgres_session import OLDEST
from connector.warehouse.render import literal, quote, render, source_tables

if TYPE_CHECKING:
    from adbc_driver_manager.dbapi import Connection, Cursor

_NEXT = "_liftline_next"


class PostgresWarehouse:
    """A session of a PostgreSQL database as a :class:`connector.ports.Warehouse`.

    A relation that is replaced takes the views that read it with it. While a stream of
    :meth:`batches` is open, the session does nothing else.
    """

    dialect = "postgres"

    def __init__(self, dsn: str) -> None:
        """Open a session with an empty workspace.

        Args:
            dsn: An address, such as ``postgresql://role:password@host/database``; kept nowhere.

        Raises:
            SourceError: The driver is missing, the database cannot be reached, is older than
                :data:`OLDEST`, does not hold its text as UTF-8, or allows no temporary tables.
        """
        try:
            import adbc_driver_postgresql.dbapi as driver
        except ImportError:
            raise SourceError(
                "PostgreSQL cannot be read: its driver is not installed.",
                hint="Install it with: pip install 'liftline[postgres]'",
            ) from None
        self._driver = driver
        self._sources: dict[str, str] = {}
        self._presented: set[str] = set()
        self._streaming = False
        self._closed = False
        try:
            self._connection: Connection = driver.connect(dsn, autocommit=True)
        except driver.Error as problem:
            raise cannot_connect(problem) from None
        try:
            self._prepare()
        except BaseException:
            self.close()
            raise

    def attach(self, name: str, schema: str = "public") -> None:
        """Make the tables of a schema readable as ``name.table``.

        Raises:
            SourceError: There is no such schema, or the role may not use it.
        """
        if not self._fetch(f"SELECT 1 FROM pg_namespace WHERE nspname = {literal(schema)}"):
            raise SourceError(
                f"source {name}: the database has no schema {schema!r}.", hint="Check `schema`."
            )
        self._sources[name] = schema

    def tables(self, source: str) -> list[str]:
        """Names of the tables and views of a source that the role may read, sorted."""
        found = self._fetch(
            "SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
            f" WHERE n.nspname = {literal(self._sources[source])} AND c.relkind IN"
            " ('r', 'p', 'v', 'm', 'f') AND has_table_privilege(c.oid, 'SELECT')"
        )
        return sorted(str(name) for (name,) in found)

    @contextlib.contextmanager
    def snapshot(self) -> Iterator[None]:
        """Read every table of the sources as it was at one moment, inside.

        Meanwhile the database keeps the rows that others remove. What is made inside stays, unless
        a statement fails: then all of it is gone.
        """
        self._execute("BEGIN ISOLATION LEVEL REPEATABLE READ", "snapshot")
        try:
            yield
        except BaseException:
            # A failed statement has ended the transaction for Postgres; COMMIT rolls it back then.
            with contextlib.suppress(LiftlineError):
                self._execute("COMMIT", "snapshot")
            self._presented.clear()
            raise
        self._execute("COMMIT", "snapshot")

    # ------------------------------------------------------------ the protocol

    def create_table_as(self, name: str, sql: str) -> None:
        """Create or replace the table ``name`` with the rows of a statement in the house dialect.

        Raises:
            StatementError: The statement leaves the dialect.
            SourceError: The data cannot be read or converted.
        """
        self._replace("TABLE", name, self._rendered(sql))

    def create_view_as(self, name: str, sql: str) -> None:
        """Create or replace the view ``name`` of a statement in the house dialect.

        Raises:
            StatementError: The statement leaves the dialect.
            SourceError: A table or column of it does not exist.
        """
        self._replace("VIEW", name, self._rendered(sql))

    def batches(self, sql: str) -> pa.RecordBatchReader:
        """Stream the rows of a statement in the house dialect; to be read before the next one.

        A number without a declared scale is rounded to :data:`.postgres_types.SCALE` places.
        """
        cursor = self._run(self._rendered(sql), "query")
        reader = cursor.fetch_record_batch()
        schema = types.arrow_schema(reader.schema)

        def stream() -> Iterator[pa.RecordBatch]:
            try:
                for batch in reader:
                    yield types.as_schema(batch, schema)
            except (self._driver.Error, pa.ArrowInvalid) as problem:
                raise translated("query", problem) from None
            finally:
                self._streaming = False
                cursor.close()

        self._streaming = True
        return pa.RecordBatchReader.from_batches(schema, stream())

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """All rows of a small result of a statement in the house dialect."""
        return self._fetch(self._rendered(sql))

    def load(self, name: str, data: pa.Table | pa.RecordBatchReader) -> None:
        """Create or replace the table ``name`` with Arrow data.

        Raises:
            SourceError: The data has a type, or a value such as a NUL character, that the engine
                does not hold.
        """
        schema = types.loadable(name, data.schema)
        columns = ", ".join(f"{quote(f.name)} {types.sql_type(f.type)}" for f in schema)
        batches = data.to_batches() if isinstance(data, pa.Table) else data
        plain = pa.RecordBatchReader.from_batches(
            schema, (types.as_schema(batch, schema) for batch in batches)
        )
        beside = self._beside(name)
        self._execute(f"CREATE TEMPORARY TABLE {quote(beside)} ({columns})", name)
        try:
            with self._connection.cursor() as cursor:
                cursor.adbc_ingest(beside, plain, mode="append", temporary=True)
        except (self._driver.Error, pa.ArrowInvalid) as problem:
            # In a snapshot nothing is done any more; there it is gone anyway.
            with contextlib.suppress(LiftlineError):
                self._drop(beside)
            raise translated(name, problem) from None
        self._settle("TABLE", beside, name)

    def columns(self, name: str) -> Mapping[str, str]:
        """Column name -> type of a relation, also ``source.table``; empty when there is none."""
        if name.partition(".")[0] in self._sources and not self._present(name):
            return {}
        found = self._attributes(f"pg_temp.{quote(name)}")
        return {column: types.house_type(kind, mod) for column, kind, mod in found}

    def drop(self, name: str) -> None:
        """Remove a relation, if it exists, and the views that read it."""
        self._drop(name)

    def close(self) -> None:
        """End the session, and the workspace with it; safe to call twice."""
        if not self._closed:
            self._closed = True
            with contextlib.suppress(self._driver.Error):
                self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # ------------------------------------------------------------ within

    def _prepare(self) -> None:
        """Set the session up: nothing is found but the workspace and Postgres' own functions."""
        ((version, encoding),) = self._fetch(
            "SELECT CAST(current_setting('server_version_num') AS INTEGER) / 10000,"
            " current_setting('server_encoding')"
        )
        if version < OLDEST:
            raise SourceError(f"The database is PostgreSQL {version}; {OLDEST} or newer is needed.")
        if encoding != "UTF8":
            raise SourceError(
                f"The database holds its text as {encoding}.", hint="UTF8 is needed; dump and"
                " restore it into a database with that encoding."
            )  # fmt: skip
        for statement in postgres_session.statements(version):
            self._execute(statement, "workspace")

    def _rendered(self, sql: str) -> str:
        """A statement of the house dialect for this engine, the tables that it reads presented."""
        sources = frozenset(self._sources)
        for table in source_tables(sql, sources):
            self._present(table)
        return render(sql, self.dialect, sources)

    def _present(self, name: str) -> bool:
        """Make a view of a source's table, its text comparable; False where there is no table."""
        if name in self._presented:
            return True
        source, _, table = name.partition(".")
        relation = f"{quote(self._sources[source])}.{quote(table)}"
        found = self._attributes(relation)
        if not found:
            return False
        picks = ", ".join(types.presented(column, kind) for column, kind, _ in found)
        self._replace("VIEW", name, f"SELECT {picks} FROM {relation}")
        self._presented.add(name)
        return True

    def _attributes(self, relation: str) -> list[tuple[str, str, int]]:
        """Name, type and type modifier of a relation's columns, domains as what they are made of.

        Args:
            relation: Quoted, with its schema.
        """
        return self._fetch(
            "SELECT a.attname, CASE WHEN t.typtype = 'd' THEN b.typname ELSE t.typname END,"
            " CASE WHEN t.typtype = 'd' THEN t.typtypmod ELSE a.atttypmod END"
            " FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid"
            " LEFT JOIN pg_type b ON b.oid = t.typbasetype"
            f" WHERE a.attrelid = to_regclass({literal(relation)}) AND a.attnum > 0"
            " AND NOT a.attisdropped ORDER BY a.attnum"
        )

    def _replace(self, kind: str, name: str, query: str) -> None:
        """Create a table or view, in place of one that the query may still read."""
        beside = self._beside(name)
        self._execute(f"CREATE TEMPORARY {kind} {quote(beside)} AS {query}", name)
        self._settle(kind, beside, name)

    def _beside(self, name: str) -> str:
        """Under which name a relation is made: its own, unless that is taken."""
        if len(name.encode()) > types.MAX_NAME_BYTES:
            raise StatementError(f"The relation's name {name} is too long for PostgreSQL.")
        if self._kind(name) is None:
            return name
        self._drop(_NEXT)
        return _NEXT

    def _settle(self, kind: str, beside: str, name: str) -> None:
        """Give a new relation its name."""
        if beside != name:
            self._drop(name)
            self._execute(f"ALTER {kind} {quote(beside)} RENAME TO {quote(name)}", name)
        if kind == "TABLE":
            # Nobody but the session can do it for a temporary table, and joins are planned by it.
            self._execute(f"ANALYZE {quote(name)}", name)

    def _kind(self, name: str) -> str | None:
        """What a name of the workspace stands for; None: nothing."""
        found = self._fetch(
            "SELECT CASE WHEN relkind = 'v' THEN 'VIEW' ELSE 'TABLE' END FROM pg_class"
            f" WHERE oid = to_regclass({literal(f'pg_temp.{quote(name)}')})"
        )
        return str(found[0][0]) if found else None

    def _drop(self, name: str) -> None:
        if kind := self._kind(name):
            self._execute(f"DROP {kind} pg_temp.{quote(name)} CASCADE", name)
            self._presented.discard(name)

    def _fetch(self, sql: str) -> list[tuple[Any, ...]]:
        cursor = self._run(sql, "query")
        try:
            with cursor:
                return types.python_rows(cursor.fetch_arrow_table())
        except self._driver.Error as problem:
            raise translated("query", problem) from None

    def _execute(self, sql: str, name: str) -> None:
        self._run(sql, name).close()

    def _run(self, sql: str, name: str) -> Cursor:
        if self._streaming:
            raise StatementError("A stream of rows is not read to its end yet.")
        cursor = self._connection.cursor()
        try:
            cursor.execute(sql)
        except self._driver.Error as problem:
            cursor.close()
            raise translated(name, problem) from None
        return cursor
