"""Opening the sources of a file: what is copied or attached, and where a run computes.

A run has two places. The *workspace* is DuckDB's, in this process; plans, reports and explanations
are always made there. The *engine* is where the first act runs, from the tables to the segments. It
is the workspace itself, unless every table that the file reads lies in one PostgreSQL source: then
it is that database, and only what later steps read comes over (:data:`RESULTS`), so that order
lines and events never leave it.

It is a rule and not a setting, because no answer depends on it: the two engines agree row by row.
Tables of several sources are brought together in the workspace, as before.
"""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

from connector.config import Config
from connector.config.data import DATABASES, PostgresSource
from connector.ports import Warehouse
from connector.sources import spec
from connector.sources.attach import attach, open_database
from connector.warehouse.duckdb import DuckDBWarehouse, Settings
from connector.warehouse.postgres import PostgresWarehouse
from connector.warehouse.render import quote

RESERVED = frozenset(
    {
        *("profiles", "profile_customers", "profile_emails", "profile_merges", "new_keys"),
        *("profile_phones", "profile_devices", "profile_splits", "device_logins"),
        "known_merges",
        *("known_keys", "known_labels", "permissions", "exclusions", "quarantine", "features"),
        *("withdrawn_addresses", "excluded_addresses", "refused"),
        *("scored", "segment_members", "assignments", "clean_customers", "clean_orders"),
        *("clean_products", "clean_events", "clean_tickets", "clean_social", "clean_loyalty"),
        *(
            "known_segments",
            "segment_progress",
            "training_labels",
            "training_rfm",
            "training_units",
        ),
        *("clean_items", "rfm_scores", "rfm_history", "candidates", "arms", "changes", "reach"),
    }
)
"""Relations that steps make; a source of files with such a name would be overwritten."""

ALL: tuple[str, ...] = ()
"""Every column of a relation."""

STANDING: Mapping[str, tuple[str, ...]] = {
    "profiles": ALL,
    "permissions": ALL,
    "withdrawn_addresses": ALL,
    "exclusions": ALL,
    "excluded_addresses": ALL,
}
"""What tells whether somebody may be written to: relation -> its columns that are read."""

RESULTS: Mapping[str, tuple[str, ...]] = {
    **STANDING,
    "scored": ALL,
    "segment_members": ALL,
    # What the state learns of the run.
    "new_keys": ALL,
    "profile_merges": ALL,
    "profile_splits": ALL,
    "segment_progress": ALL,
    # Who moved since the last applied run.
    "known_segments": ALL,
    "known_labels": ALL,
    # Outcomes of campaigns.
    "clean_orders": ALL,
    # Whom an id or an address means.
    "profile_customers": ALL,
    "profile_emails": ALL,
    "test_customers": ALL,
    "clean_customers": ("customer_id", "email", "is_test"),
}
"""What is read after the first act: relation -> its columns that are read."""


class Workspace(DuckDBWarehouse):
    """The workspace of a run, with the session of the database that it computes in, if any.

    Attributes:
        database: None where the workspace computes itself.
    """

    database: PostgresWarehouse | None = None

    @property
    def engine(self) -> Warehouse:
        """Where the first act computes, and where the sources can be read."""
        return self if self.database is None else self.database

    @contextlib.contextmanager
    def computing(self, results: Mapping[str, tuple[str, ...]]) -> Iterator[Warehouse]:
        """Compute inside; then the results are in the workspace.

        In a database everything inside reads the tables as they are at one moment.

        Args:
            results: Relation -> columns that are needed of it. What was not made is passed over.

        Yields:
            The engine.
        """
        if self.database is None:
            yield self
            return
        with self.database.snapshot():
            yield self.database
            for name, wanted in results.items():
                there = self.database.columns(name)
                kept = [column for column in there if column in wanted or not wanted]
                if kept:
                    picks = ", ".join(quote(column) for column in kept)
                    self.load(name, self.database.batches(f"SELECT {picks} FROM {quote(name)}"))

    def tables(self, source: str) -> list[str]:
        """Names of the tables of a source, sorted."""
        return super().tables(source) if self.database is None else self.database.tables(source)

    def close(self) -> None:
        """End the session, and release the file; safe to call twice."""
        if self.database is not None:
            self.database.close()
        super().close()


def open_workspace(config: Config, *, spill: Path | None = None) -> Workspace:
    """A workspace with every source of the file attached, sealed against anything else.

    Args:
        config: The configuration.
        spill: Where DuckDB keeps what does not fit in memory.

    Raises:
        ConfigError: A source of files has the name of a relation of ours.
        SourceError: A source cannot be read; the message names it.
    """
    workspace = Workspace(None, Settings(temp_directory=spill))
    try:
        for name in config.sources:
            _open(config, workspace, name)
        workspace.seal()
    except BaseException:
        workspace.close()
        raise
    return workspace


def try_source(config: Config, name: str) -> None:
    """Open one source of the file by itself.

    Raises:
        SourceError: It cannot be read; the message names it.
    """
    with Workspace() as workspace:
        _open(config, workspace, name)


def computes_in(config: Config) -> str | None:
    """The PostgreSQL source that every table of the file lies in; None where there is none."""
    names = {text.partition(".")[0] for text in config.relations}
    if len(names) != 1:
        return None
    (name,) = names
    return name if isinstance(config.sources.get(name), PostgresSource) else None


def _open(config: Config, workspace: Workspace, name: str) -> None:
    """Make one source readable in a workspace that is not sealed yet."""
    source = config.sources[name]
    if isinstance(source, PostgresSource):
        place = spec.PostgresSource(source.dsn.get_secret_value(), source.schema_)
        if name == computes_in(config):
            workspace.database = open_database(name, place)
        else:
            attach(workspace, name, place, _tables_of(config, name))
        return
    if source.type not in DATABASES and name in RESERVED:
        raise config.config_error(
            f"sources.{name}",
            f"a source of files may not be called '{name}': Liftline makes a table of that name",
            hint=f"Call it {name}_files, here and in every `from`.",
        )
    files = spec.FileSource(spec.FileKind(source.type), config.resolve(source.path))
    attach(workspace, name, files)


def _tables_of(config: Config, source: str) -> Collection[str]:
    """The tables of a source that the file reads."""
    read = [text.partition(".") for text in config.relations]
    return [table for of, _, table in read if of == source]
