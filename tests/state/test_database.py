"""The state database: private, migrated, one writer, read in bulk without harm."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sqlite3
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext

from connector.errors import LedgerError
from connector.state import database, schema
from connector.state.database import State, parse_utc, utc_text


@pytest.fixture
def state(tmp_path: Path):
    opened = State.open(tmp_path / "state")
    yield opened
    opened.close()


def test_only_the_owner_can_read_it(state: State) -> None:
    assert (state.folder / "state.db").stat().st_mode & 0o777 == 0o600
    assert state.folder.stat().st_mode & 0o777 == 0o700


def test_the_migrations_make_the_schema(state: State) -> None:
    with state.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, schema.metadata) == []


def test_a_database_of_the_first_release_is_upgraded(tmp_path: Path) -> None:
    config = Config()
    scripts = Path(database.__file__).with_name("migrations")
    config.set_main_option("script_location", str(scripts))
    engine = sa.create_engine(f"sqlite:///{tmp_path / 'state.db'}")
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
    with engine.begin() as connection:
        connection.exec_driver_sql(
            "INSERT INTO audiences VALUES ('d', 'n', 'l', 'c', 'treatment', 'present', 't')"
        )
    engine.dispose()
    for _ in range(2):  # the second time there is nothing to do
        state = State.open(tmp_path)
        assert state.arrow({"a": "SELECT * FROM audiences"})["a"].to_pylist() == [
            {"destination": "d", "name": "n", "audience_id": "l", "campaign": "c"}
            | {"arm": "treatment", "status": "present", "since": "t", "reconciled_at": None}
        ]
        with state.engine.connect() as connection:
            context = MigrationContext.configure(connection, opts={"compare_type": True})
            assert compare_metadata(context, schema.metadata) == []
        state.close()


def test_assignments_and_plans_survive_the_upgrade_to_ghost_sends(tmp_path: Path) -> None:
    config = Config()
    scripts = Path(database.__file__).with_name("migrations")
    config.set_main_option("script_location", str(scripts))
    engine = sa.create_engine(f"sqlite:///{tmp_path / 'state.db'}")
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0004")
    kept = {
        "assignments": ("c", 1, "p", "no_contact", 7, "t", "v", "r"),
        "plans": ("plan-1", "t", "t", "d", "planned", "seal"),
        "arm_shares": ("c", 1, "v", "no_contact", 0.1),
    }
    with engine.begin() as connection:
        for name, row in kept.items():
            marks = ", ".join("?" * len(row))
            connection.exec_driver_sql(f"INSERT INTO {name} VALUES ({marks})", row)
    engine.dispose()
    state = State.open(tmp_path)
    tables = state.arrow({name: f"SELECT * FROM {name}" for name in (*kept, "would_send")})
    for name, row in kept.items():
        found = tuple(tables[name].to_pylist()[0].values())
        # Nothing is lost, and what later versions added is not known of it.
        assert found[: len(row)] == row
        assert set(found[len(row) :]) <= {None}
    assert tables["would_send"].num_rows == 0
    with state.engine.connect() as connection:
        assert (
            connection.scalar(sa.text("SELECT version_num FROM alembic_version")) == database.HEAD
        )
    state.close()


@pytest.mark.parametrize("version", [None, "0001"])
def test_an_upgrade_that_is_cut_off_is_begun_anew(tmp_path: Path, version: str | None) -> None:
    if version is not None:
        config = Config()
        scripts = Path(database.__file__).with_name("migrations")
        config.set_main_option("script_location", str(scripts))
        engine = sa.create_engine(f"sqlite:///{tmp_path / 'state.db'}")
        with engine.begin() as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, version)
        engine.dispose()

    def cut(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        if "alembic_version" in statement and statement.startswith(("INSERT", "UPDATE")):
            raise KeyboardInterrupt

    sa.event.listen(sa.Engine, "before_cursor_execute", cut)
    try:
        with pytest.raises(KeyboardInterrupt):
            State.open(tmp_path)
    finally:
        sa.event.remove(sa.Engine, "before_cursor_execute", cut)
    state = State.open(tmp_path)
    with state.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, schema.metadata) == []
    state.close()


def test_a_power_cut_loses_no_commit(state: State) -> None:
    with state.engine.connect() as connection:
        assert connection.scalar(sa.text("PRAGMA journal_mode")) == "wal"
        assert connection.scalar(sa.text("PRAGMA synchronous")) == 2  # FULL


def test_the_identity_key_is_made_once(state: State) -> None:
    key = state.identity_key
    again = State.open(state.folder, identity_key="another")
    assert again.identity_key == key
    assert len(key) == 32
    again.close()


def test_bulk_reading_after_writing_sees_everything_and_breaks_nothing(state: State) -> None:
    # Two copies of SQLite in one process: the second once saw an empty table, and the file broke.
    for round_ in range(5):
        rows = [
            {"from_profile_id": f"a{round_}-{i}", "into_profile_id": "b", "reason": "r", "at": "t"}
            for i in range(200)
        ]
        state.insert(schema.profile_merges, rows)
        table = state.arrow({"m": "SELECT from_profile_id FROM profile_merges"})["m"]
        assert table.num_rows == 200 * (round_ + 1)
    state.close()
    plain = sqlite3.connect(state.folder / "state.db")
    assert plain.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert plain.execute("SELECT count(*) FROM profile_merges").fetchone() == (1000,)
    plain.close()


def test_bulk_reading_inside_a_transaction_is_refused(state: State) -> None:
    with state.engine.begin(), pytest.raises(LedgerError, match="transaction is open"):
        state.arrow({"m": "SELECT 1 AS one"})


def test_a_file_that_is_no_database_is_told(tmp_path: Path) -> None:
    (tmp_path / "state.db").write_text("not a database, but long enough to be looked at" * 50)
    with pytest.raises(LedgerError, match="not a state database"):
        State.open(tmp_path)


def test_a_newer_database_is_refused(state: State) -> None:
    with state.engine.begin() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(LedgerError, match="newer than this program"):
        State.open(state.folder)


def _hold(folder: str, ready) -> None:
    state = State.open(Path(folder))
    with state.lock("sync"):
        ready.send("held")
        signal.pause()


def test_a_killed_run_frees_the_lock(state: State) -> None:
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(
        target=_hold, args=(str(state.folder), theirs)
    )
    process.start()
    assert ours.recv() == "held"
    with (
        pytest.raises(LedgerError, match=rf"in use by sync \(process {process.pid}, since 20"),
        state.lock("plan"),
    ):
        pass
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    with state.lock("plan"):
        pass


def test_times_sort_as_text_and_come_back() -> None:
    moments = [
        datetime(2026, 3, 29, 1, 59, tzinfo=timezone(timedelta(hours=1))),
        datetime(2026, 3, 29, 3, 0, tzinfo=timezone(timedelta(hours=2))),
        datetime(2026, 3, 29, 1, 0, 0, 1, tzinfo=UTC),
    ]
    texts = [utc_text(m) for m in moments]
    assert texts == sorted(texts)
    assert [parse_utc(t) for t in texts] == moments
    with pytest.raises(ValueError, match="aware"):
        utc_text(datetime(2026, 1, 1))  # noqa: DTZ001 - the point
