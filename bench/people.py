"""Synthetic people at scale: what the first act leaves behind, and a ledger that has delivered it.

Everything is made by SQL from row numbers, so it is the same on every machine. The ledger is filled
from the plan's own relations as if a run had delivered them, past the engine: pushing five million
people to get to the starting line would take longer than every bench together.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb

from connector.audiences.specs import CampaignSpec, DestinationSpec, ListSpec
from connector.domain import Arm
from connector.pipeline.activate import Activation
from connector.plan.summary import GuardLimits
from connector.ports import Destination
from connector.state.database import State
from connector.warehouse.duckdb import DuckDBWarehouse, Settings

AS_OF = datetime(2026, 3, 2, 5, 0, tzinfo=UTC)
VENDOR = "hubspot"
PROPERTIES = {"rfm_group": "rfm.group", "orders_365d": "orders_365d", "spend_365d": "monetary_365d"}
NO_GUARDS = GuardLimits(
    removals_above=9.0,
    additions_above=9e9,
    new_billable_profiles_above=10**9,
    hold_empty_segment=False,
    first_sync_needs_approval=False,
    over_people=None,
)

_GROUPS = "['champions', 'loyal', 'promising', 'at_risk', 'lapsed']"


def workspace(folder: Path) -> duckdb.DuckDBPyConnection:
    """An empty workspace with the settings of a real run."""
    folder.mkdir(parents=True, exist_ok=True)
    return DuckDBWarehouse(None, Settings(temp_directory=folder / "spill")).connection


def make_people(con: duckdb.DuckDBPyConnection, n_people: int, *, score: int = 0) -> None:
    """Create the relations that planning reads; a higher ``score`` changes everybody's properties."""
    con.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE profiles AS
        SELECT 'p_' || substr(md5(i::TEXT), 1, 20) AS profile_id, 'c' || i AS customer_id,
            'person' || i || '@example.com' AS email
        FROM range({n_people}) t(i)
        """
    )
    con.execute(
        "CREATE OR REPLACE TEMP TABLE permissions AS SELECT profile_id, 'marketing' AS purpose,"
        " 'email' AS channel, 'granted' AS status FROM profiles"
    )
    con.execute(
        "CREATE OR REPLACE TEMP TABLE exclusions(profile_id TEXT, list_name TEXT, applies_to TEXT)"
    )
    con.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE scored AS
        SELECT profile_id, {_GROUPS}[1 + i % 5] AS "rfm.group", i % 7 + {score} AS orders_365d,
            CAST(i % 997 AS DECIMAL(18, 2)) AS monetary_365d
        FROM (SELECT profile_id, CAST(substr(customer_id, 2) AS BIGINT) AS i FROM profiles)
        """
    )
    con.execute(
        """
        CREATE OR REPLACE TEMP TABLE segment_members AS
        SELECT 'everybody' AS segment, profile_id, 'orders_365d = ' || orders_365d AS reason FROM scored
        """
    )


def activation(
    destination: Destination, *, properties: Mapping[str, str] = PROPERTIES, with_lists: bool = True
) -> Activation:
    """One vendor that is addressed by record ids; with lists, one campaign that treats everybody."""
    campaigns: Sequence[CampaignSpec] = ()
    if with_lists:
        lists = (ListSpec(VENDOR, Arm.TREATMENT, "bench | everybody"),)
        campaigns = (CampaignSpec("everybody", "everybody", (VENDOR,), {Arm.TREATMENT: 1.0}, lists),)
    return Activation(
        project="bench",
        currency="EUR",
        config_digest="bench",
        destinations={VENDOR: destination},
        destination_specs=[
            DestinationSpec(
                VENDOR,
                purpose="marketing",
                channel="email",
                looks_up=True,
                needs_record_id=True,
                properties=properties,
            )
        ],
        campaigns=campaigns,
        priority_lists=[],
        limits=NO_GUARDS,
        salt="bench",
        max_age=timedelta(days=1),
    )


def know_everybody(
    state: State, con: duckdb.DuckDBPyConnection, record_ids: str = "CAST(rowid + 1 AS TEXT)"
) -> None:
    """Fill the ledger with everybody's record id, nothing delivered yet."""
    _fill(
        state,
        con,
        "records",
        f"""
        SELECT '{VENDOR}' AS destination, md5(email) AS match_key, profile_id, email AS match_value,
            {record_ids} AS record_id, 'no' AS presence, NULL AS fingerprint, '[]' AS fields, NULL AS blocked_fingerprint,
            NULL AS blocked_code, NULL AS checked_at, 1 AS version
        FROM profiles ORDER BY match_key
        """,
    )


def deliver(state: State, con: duckdb.DuckDBPyConnection, *, audience_id: str) -> None:
    """Fill the ledger and the log of arms as if the plan in the workspace had been carried out."""
    with sqlite3.connect(state.folder / "state.db") as database:
        database.execute("DELETE FROM records")
        database.execute(
            "INSERT INTO audiences VALUES (?, 'bench | everybody', ?, 'everybody', 'treatment', 'present', '')",
            (VENDOR, audience_id),
        )
    database.close()
    _fill(
        state,
        con,
        "records",
        """
        SELECT destination, match_key, profile_id, match_value, record_id, 'yes', fingerprint, fields, NULL, NULL, NULL, 1
        FROM want_records ORDER BY match_key
        """,
    )
    _fill(
        state,
        con,
        "memberships",
        f"""
        SELECT destination, '{audience_id}', match_key, profile_id, 'yes', claims, NULL, NULL, 1
        FROM want_memberships ORDER BY match_key
        """,
    )
    _fill(
        state,
        con,
        "assignments",
        "SELECT campaign, epoch, profile_id, arm, bucket, first_eligible_at, 'bench', 'bench' FROM arms"
        " ORDER BY profile_id",
    )
    _fill(state, con, "segment_state", "FROM new_segment_state ORDER BY profile_id")


def _fill(state: State, con: duckdb.DuckDBPyConnection, table: str, sql: str) -> None:
    state.engine.dispose()
    database = sqlite3.connect(state.folder / "state.db")
    database.execute("PRAGMA synchronous = OFF")
    rows = con.execute(sql)
    marks = ", ".join("?" * len(rows.description))
    with database:
        while batch := rows.fetchmany(100_000):
            database.executemany(f"INSERT INTO {table} VALUES ({marks})", batch)
    database.close()
