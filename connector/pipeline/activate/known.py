"""What is known: the part of the state that planning reads, copied into the workspace.

The difference against millions of rows is computed where the wanted rows are; Arrow carries the
ledgers there.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

import sqlalchemy as sa

from connector.state import schema
from connector.state.database import State

if TYPE_CHECKING:
    import duckdb


def load_state(
    con: duckdb.DuckDBPyConnection, state: State, relations: Collection[str] | None = None
) -> None:
    """Copy what planning reads of the state into ``st_*`` tables of the workspace.

    Args:
        con: The workspace.
        state: The state database.
        relations: Which of them; None for all.
    """
    chosen = {name: _STATE_TABLES[name] for name in relations or _STATE_TABLES}
    queries = {
        name: f"SELECT {', '.join(_read(table, c) for c in columns)} FROM {table}"
        for name, (table, columns) in chosen.items()
    }
    for name, rows in state.stream(queries):
        table, columns = chosen[name]
        casts = ", ".join(_cast(table, c) for c in columns)
        con.register("incoming", rows)
        con.execute(f"CREATE OR REPLACE TEMP TABLE {name} AS SELECT {casts} FROM incoming")
        con.unregister("incoming")
    if "st_raw_assignments" in chosen:
        _resolve_assignments(con)
    if "st_raw_sends" in chosen:
        _resolve_sends(con)


def _read(table: str, column: str) -> str:
    """A column for SQLite, never NULL.

    ADBC guesses a column's type from its first rows, where a rare text is still NULL; an empty text
    is not.
    """
    nullable = schema.metadata.tables[table].c[column].nullable
    return f"coalesce({column}, '') AS {column}" if nullable else f'"{column}"'


def _cast(table: str, column: str) -> str:
    """The column as it is in the state; the type matters where a table is still empty."""
    spec = schema.metadata.tables[table].c[column]
    if isinstance(spec.type, sa.Integer):
        return f"CAST({column} AS BIGINT) AS {column}"
    text = f'CAST("{column}" AS TEXT)'
    return f"nullif({text}, '') AS {column}" if spec.nullable else f'{text} AS "{column}"'


def _resolve_assignments(con: duckdb.DuckDBPyConnection) -> None:
    """Everybody's arm, under the present profile id; of several the earliest.

    Only the merged can have several, and they are few: the others are not grouped.
    """
    con.execute(
        """
        CREATE OR REPLACE TEMP TABLE st_assignments AS
        WITH merged AS (
            SELECT from_profile_id AS profile_id, into_profile_id AS now_id FROM st_merges
            UNION
            SELECT into_profile_id, into_profile_id FROM st_merges
            WHERE into_profile_id NOT IN (SELECT from_profile_id FROM st_merges)
        )
        SELECT a.campaign, a.epoch, m.now_id AS profile_id,
            arg_min(a.arm, (a.first_eligible_at, a.profile_id)) AS arm,
            arg_min(a.bucket, (a.first_eligible_at, a.profile_id)) AS bucket,
            min(a.first_eligible_at) AS first_eligible_at,
            -- Plain arg_min passes over NULL, and would take the offer of the later one.
            arg_min_null(a.offer, (a.first_eligible_at, a.profile_id)) AS offer
        FROM st_raw_assignments a JOIN merged m ON m.profile_id = a.profile_id
        GROUP BY 1, 2, 3
        UNION ALL
        SELECT a.campaign, a.epoch, a.profile_id, a.arm, a.bucket, a.first_eligible_at, a.offer
        FROM st_raw_assignments a ANTI JOIN merged m ON m.profile_id = a.profile_id
        """
    )


def _resolve_sends(con: duckdb.DuckDBPyConnection) -> None:
    """Everybody's last ghost-send decision, under the present profile id."""
    con.execute(
        """
        CREATE OR REPLACE TEMP TABLE st_would_send AS
        SELECT s.campaign, s.epoch, coalesce(m.into_profile_id, s.profile_id) AS profile_id,
            arg_max(s.decision, (s."at", s.profile_id)) AS decision,
            arg_max(s.reason, (s."at", s.profile_id)) AS reason
        FROM st_raw_sends s LEFT JOIN st_merges m ON m.from_profile_id = s.profile_id
        GROUP BY 1, 2, 3
        """
    )


_STATE_TABLES: dict[str, tuple[str, tuple[str, ...]]] = {
    "st_records": (
        "records",
        ("destination", "match_key", "profile_id", "match_value", "record_id", "presence",
         "fingerprint", "fields", "blocked_fingerprint", "blocked_code", "checked_at", "version"),
    ),
    "st_memberships": (
        "memberships",
        ("destination", "audience_id", "match_key", "profile_id", "presence", "claims",
         "blocked_fingerprint", "blocked_code", "version"),
    ),
    "st_audiences": (
        "audiences",
        ("destination", "name", "audience_id", "campaign", "arm", "status", "reconciled_at"),
    ),
    "st_foreign": ("foreign_members", ("destination", "audience_id", "member")),
    "st_merges": ("profile_merges", ("from_profile_id", "into_profile_id")),
    "st_labels": ("labels", ("model", "profile_id", "label")),
    "st_raw_assignments": (
        "assignments",
        ("campaign", "epoch", "profile_id", "arm", "bucket", "first_eligible_at", "offer"),
    ),
    "st_raw_sends": (
        "would_send", ("campaign", "epoch", "profile_id", "at", "decision", "reason")
    ),
}  # fmt: skip
"""Relation of the workspace -> state table and the columns that planning reads."""

LEARNED = ("st_records", "st_memberships")
"""Relations that a look-up at a vendor moves."""
INSPECTED = ("st_memberships", "st_audiences", "st_foreign")
"""Relations that a look at a vendor's lists moves."""
