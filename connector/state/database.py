"""Opening the state database: migrations, one writer at a time, and fast reads into Arrow.

The lock is the operating system's (``flock``), not a row: the kernel releases it when a process is
killed, so a dead run never blocks the next one, and nobody has to guess whether a recorded process
id is still the same process.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import secrets
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from connector.errors import LedgerError
from connector.state import schema

if TYPE_CHECKING:
    import pyarrow as pa

HEAD = "0006"
"""The newest migration; compared before Alembic is even imported, because that takes a quarter of a
second.
"""

_FOLDER_MODE = 0o700
_FILE_MODE = 0o600


def utc_text(moment: datetime) -> str:
    """An aware instant as sortable ISO text in UTC, to the microsecond.

    Raises:
        ValueError: ``moment`` has no time zone.
    """
    if moment.tzinfo is None:
        raise ValueError("state keeps aware times only")
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def parse_utc(text: str) -> datetime:
    """The inverse of :func:`utc_text`."""
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=UTC)


class State:
    """The state database of one project.

    Attributes:
        folder: The project's state folder, readable by its owner only.
        engine: SQLAlchemy engine on ``state.db`` in that folder.
    """

    def __init__(self, folder: Path, engine: sa.Engine) -> None:
        self.folder = folder
        self.engine = engine
        self._database = folder / "state.db"

    @classmethod
    def open(cls, folder: Path, *, identity_key: str | None = None) -> State:
        """Open the state folder, creating and migrating what is missing.

        Args:
            folder: Where ``state.db``, plans and runs live.
            identity_key: Seeds the minting of profile ids in a *new* database; random when None.
                The demo and the tests give one so that the same shop yields the same arms.

        Raises:
            LedgerError: The folder cannot be written, the file is no database, or it is newer than
                this program.
        """
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=_FOLDER_MODE)
            database = folder / "state.db"
            if not database.exists():
                database.touch(mode=_FILE_MODE)
        except OSError as error:
            raise LedgerError(
                f"the state folder {folder} cannot be written: {error.strerror}.",
                hint="Check its owner, or set project.state to another folder.",
            ) from error
        # An error's text would quote the parameters, which are addresses and their digests.
        engine = sa.create_engine(
            f"sqlite:///{database}", connect_args={"timeout": 30}, hide_parameters=True
        )

        @sa.event.listens_for(engine, "connect")
        def _configure(connection: Any, _record: object) -> None:  # noqa: ANN401 - the driver's own class
            cursor = connection.cursor()
            cursor.execute("PRAGMA journal_mode = WAL")
            # FULL, not NORMAL: an intent that is lost with the power would leave a stranded person
            # behind.
            cursor.execute("PRAGMA synchronous = FULL")
            cursor.close()

        state = cls(folder, engine)
        try:
            state._migrate()
            if state.get("identity_key") is None:
                state.put("identity_key", identity_key or secrets.token_hex(16))
        except sa.exc.DatabaseError as error:
            engine.dispose()
            raise LedgerError(
                f"{database} is not a state database that can be read:"
                f" {type(error.orig).__name__}.",
                hint="Restore it from a backup; only it knows who was pushed, and the arms.",
            ) from error
        return state

    def _migrate(self) -> None:
        with self.engine.begin() as connection:
            version = None
            if sa.inspect(connection).has_table("alembic_version"):
                version = connection.scalar(sa.text("SELECT version_num FROM alembic_version"))
        if version == HEAD:
            return
        if version is not None and version > HEAD:
            raise LedgerError(
                f"the state database has version {version}, newer than this program's {HEAD}.",
                hint="Install the Liftline version that wrote it, or a newer one.",
            )
        from alembic import command
        from alembic.config import Config

        config = Config()
        config.set_main_option("script_location", str(Path(__file__).with_name("migrations")))
        with self.engine.begin() as connection:
            # Else SQLite's driver would commit each statement by itself, and a kill halfway would
            # leave a database that is of no version.
            connection.exec_driver_sql("BEGIN IMMEDIATE")
            config.attributes["connection"] = connection
            command.upgrade(config, "head")

    def close(self) -> None:
        """Release the connections; safe to call twice."""
        self.engine.dispose()

    # ------------------------------------------------------------------ one writer
    @contextlib.contextmanager
    def lock(self, purpose: str) -> Iterator[None]:
        """Hold the only right to write, for the length of a run.

        Raises:
            LedgerError: Another process holds it; the message names its process and when it began.
        """
        path = self.folder / "lock"
        with path.open("a+", encoding="utf-8") as handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                handle.seek(0)
                try:
                    holder = json.loads(handle.read())
                    who = f"{holder['purpose']} (process {holder['pid']}, since {holder['since']})"
                except (ValueError, KeyError):
                    who = "another run"
                raise LedgerError(
                    f"the state folder {self.folder} is in use by {who}.",
                    hint="Wait until it has finished; a killed run frees the lock by itself.",
                ) from error
            handle.truncate(0)
            json.dump(
                {"purpose": purpose, "pid": os.getpid(), "since": utc_text(datetime.now(UTC))},
                handle,
            )
            handle.flush()
            try:
                yield
            finally:
                handle.truncate(0)

    # ------------------------------------------------------------------ small values
    def get(self, name: str) -> str | None:
        """A named value, or None."""
        with self.engine.connect() as connection:
            return connection.scalar(
                sa.select(schema.meta.c.value).where(schema.meta.c.name == name)
            )

    def put(self, name: str, value: str) -> None:
        """Set a named value."""
        with self.engine.begin() as connection:
            connection.execute(sa.delete(schema.meta).where(schema.meta.c.name == name))
            connection.execute(sa.insert(schema.meta).values(name=name, value=value))

    @property
    def identity_key(self) -> str:
        """The key from which new profile ids are minted.

        Without it they cannot be traced back to customer ids.
        """
        key = self.get("identity_key")
        if key is None:
            raise LedgerError(
                "the state database has no identity key.", hint="Restore it from a backup."
            )
        return key

    # ------------------------------------------------------------------ bulk
    def arrow(self, queries: Mapping[str, str]) -> dict[str, pa.Table]:
        """Read rows as Arrow, millions a second.

        ADBC carries an SQLite of its own. Two copies of SQLite in one process do not see each
        other's file locks, and closing a file in one drops the locks of the other (SQLite's own
        "How to corrupt", section 2.2.1; tried: the second copy saw an empty table). So every pooled
        connection is closed first, and reading while one is in use is refused.

        Args:
            queries: Name -> SELECT over the state tables, written by us.

        Returns:
            Name -> rows.
        """
        return {name: reader.read_all() for name, reader in self.stream(queries)}

    def stream(self, queries: Mapping[str, str]) -> Iterator[tuple[str, pa.RecordBatchReader]]:
        """As :meth:`arrow`, one query after the other, never a whole table in memory.

        Until the iterator is used up or closed, nothing else may touch the state.
        """
        import adbc_driver_sqlite.dbapi as adbc

        pool = self.engine.pool
        if isinstance(pool, sa.QueuePool) and pool.checkedout():
            raise LedgerError(
                "the state was read in bulk while a transaction is open; report a bug."
            )
        self.engine.dispose()
        with adbc.connect(str(self._database)) as connection, connection.cursor() as cursor:
            for name, sql in queries.items():
                cursor.execute(sql)
                with cursor.fetch_record_batch() as reader:
                    yield name, reader

    def insert(self, table: sa.Table, rows: list[dict[str, Any]]) -> None:
        """Append rows in one transaction."""
        if rows:
            with self.engine.begin() as connection:
                connection.execute(sa.insert(table), rows)
