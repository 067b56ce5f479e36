"""What the steps of this package are told about one table, and what they answer."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta


class FileKind(enum.StrEnum):
    """What the files of a source are."""

    DUCKDB = "duckdb"
    PARQUET = "parquet"
    CSV = "csv"


@dataclass(frozen=True, slots=True)
class FileSource:
    """A source of files.

    Attributes:
        kind: What they are.
        path: A file, or a pattern of files; for DuckDB one file.
    """

    kind: FileKind
    path: str


@dataclass(frozen=True, slots=True)
class PostgresSource:
    """A PostgreSQL database.

    Attributes:
        dsn: Its address, with the password; kept out of ``repr``.
        schema: The schema whose tables are read.
    """

    dsn: str = field(repr=False)
    schema: str = "public"


class Dedupe(enum.StrEnum):
    """What to do with physical rows that are equal in every column."""

    KEEP = "keep"
    EXACT = "exact"


class CheckKind(enum.StrEnum):
    """What a table test asks of a column."""

    UNIQUE = "unique"
    NOT_NULL = "not_null"
    VALID_EMAIL = "valid_email"
    RELATIONSHIP = "relationship"
    NON_NEGATIVE = "non_negative"
    ACCEPTED_VALUES = "accepted_values"


@dataclass(frozen=True, slots=True)
class TableCheck:
    """One test of a mapped table.

    Attributes:
        kind: What is asked.
        column: Logical column.
        to: For a relationship: the logical table that holds the value as its key.
        to_column: Column there; empty: the same name.
        values: For accepted values: the allowed ones.
        warn_above: Share of rows (0 to 1) that may fail before a warning; None: any failing row is
            an error.
    """

    kind: CheckKind
    column: str
    to: str = ""
    to_column: str = ""
    values: tuple[str, ...] = ()
    warn_above: float | None = None


@dataclass(frozen=True, slots=True)
class Freshness:
    """How old a table's newest row may be.

    Attributes:
        column: Logical column, or physical one of the source.
        warn_after: Age that warns.
        error_after: Age that stops the run.
    """

    column: str
    warn_after: timedelta | None = None
    error_after: timedelta | None = None


@dataclass(frozen=True, slots=True)
class TableSpec:
    """One logical table and where it comes from.

    Attributes:
        name: Logical name; contracted ones are in :data:`connector.tables.TABLES`.
        relation: The physical relation in the warehouse, such as ``shop.customers``.
        columns: Logical column -> expression over physical columns (aggregates when ``group_by`` is
            given).
        dedupe: Whether equal physical rows are reduced to one first.
        filter: Condition over physical columns; rows where it does not hold are not part of the
            table.
        quarantine: Reason -> condition over physical columns; rows where it holds are set aside,
            first reason wins.
        group_by: Expressions over physical columns; several lines become one row.
        checks: Tests of the mapped table.
        freshness: How old the newest row may be.
    """

    name: str
    relation: str
    columns: Mapping[str, str]
    dedupe: Dedupe = Dedupe.KEEP
    filter: str = ""
    quarantine: Mapping[str, str] = field(default_factory=dict)
    group_by: tuple[str, ...] = ()
    checks: tuple[TableCheck, ...] = ()
    freshness: Freshness | None = None


@dataclass(frozen=True, slots=True)
class TableReport:
    """What became of every physical row of one table.

    Attributes:
        table: Logical name.
        n_source: Physical rows.
        n_duplicates: Rows equal to another in every column.
        n_filtered: Rows that are not part of the table.
        n_quarantined: Reason -> rows set aside.
        n_folded: Lines that joined another line of their group; 0 without ``group_by``.
        n_kept: Rows of ``in_<table>``.
        freshest: Newest time in the freshness column, aware UTC; None: there is no such column, or
            no row.
    """

    table: str
    n_source: int
    n_duplicates: int
    n_filtered: int
    n_quarantined: Mapping[str, int]
    n_kept: int
    n_folded: int = 0
    freshest: datetime | None = None

    @property
    def n_accounted(self) -> int:
        """The sum of all fates; equal to ``n_source``, or rows were lost in silence."""
        return (
            self.n_duplicates
            + self.n_filtered
            + sum(self.n_quarantined.values())
            + self.n_folded
            + self.n_kept
        )

    @property
    def relation(self) -> str:
        """Name of the mapped relation."""
        return f"in_{self.table}"

    @property
    def quarantine_relation(self) -> str:
        """Relation of the rows set aside: ``table_name, row_key, reason, n``."""
        return f"quarantined_in_{self.table}"

    def lines(self) -> list[tuple[str, str, int]]:
        """The report as rows (table, measure, n), for the run's quality summary."""
        counts = [
            ("source_rows", self.n_source),
            ("exact_duplicates", self.n_duplicates),
            ("filtered", self.n_filtered),
            ("folded_into_groups", self.n_folded),
            *sorted(self.n_quarantined.items()),
            ("kept", self.n_kept),
        ]
        return [(self.relation, measure, n) for measure, n in counts]
