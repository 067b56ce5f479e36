"""Synthetic people at scale: what the first act leaves behind, and a ledger that has delivered it.

Everything is made by SQL from row numbers, so it is the same on every machine. The ledger is filled
from the plan's own relations as if a run had delivered them, past the engine: pushing five million
people to get to the starting line would take longer than every bench together.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import adbc_driver_sqlite.dbapi as adbc
import duckdb

from connector import holdouts
from connector.audiences import desired, eligibility, reach
from connector.audiences.specs import CampaignSpec, DestinationSpec, ListSpec, load_specs
from connector.domain import Arm
from connector.pipeline.activate.activation import Activation
from connector.plan.summary import GuardLimits
from connector.ports import Destination
from connector.state import schema
from connector.state.database import State
from connector.warehouse.duckdb import DuckDBWarehouse, Settings

AS_OF = datetime(2026, 3, 2, 5, 0, tzinfo=UTC)
VENDOR = "hubspot"
LIST_NAME = "bench | everybody"
LIST_ID = "77"
PROPERTIES = {
    "rfm_group": "rfm.group",
    "orders_365d": "orders_365d",
    "spend_365d": "monetary_365d",
}
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
    """Create the relations that planning reads; another ``score`` changes all properties."""
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
        "CREATE OR REPLACE TEMP TABLE withdrawn_addresses(email TEXT, purpose TEXT, channel TEXT)"
    )
    con.execute("CREATE OR REPLACE TEMP TABLE excluded_addresses(email TEXT)")
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
        SELECT 'everybody' AS segment, profile_id, 'orders_365d = ' || orders_365d AS reason
        FROM scored
        """
    )
    con.execute(
        "CREATE OR REPLACE TEMP TABLE segment_progress(segment TEXT, profile_id TEXT,"
        " is_member BIGINT, since TIMESTAMP, streak BIGINT, last_as_of TIMESTAMP)"
    )


def activation(
    destination: Destination, *, properties: Mapping[str, str] = PROPERTIES, with_lists: bool = True
) -> Activation:
    """One vendor, addressed by record ids; with lists, one campaign that treats everybody."""
    campaigns: Sequence[CampaignSpec] = ()
    if with_lists:
        lists = (ListSpec(VENDOR, Arm.TREATMENT, LIST_NAME),)
        campaigns = (
            CampaignSpec("everybody", "everybody", (VENDOR,), {Arm.TREATMENT: 1.0}, lists),
        )
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


def know_everybody(con: duckdb.DuckDBPyConnection, record_ids: Sequence[str] | None = None) -> None:
    """Let the workspace know everybody's record id, as after a look-up; nothing is delivered yet.

    Args:
        con: The workspace, with an empty state loaded.
        record_ids: In the order of people; counted from 1 when None.
    """
    record_id = "CAST(n AS TEXT)" if record_ids is None else "list_extract($ids, n)"
    con.execute(
        f"""
        INSERT INTO st_records
        SELECT '{VENDOR}', md5(email), profile_id, email, {record_id}, 'no', NULL, '[]', NULL,
            NULL, NULL, 1
        FROM (SELECT *, CAST(substr(customer_id, 2) AS BIGINT) + 1 AS n FROM profiles)
        """,
        {} if record_ids is None else {"ids": list(record_ids)},
    )


def decide(con: duckdb.DuckDBPyConnection, plan: Activation) -> None:
    """The steps of planning from a loaded state to what is wanted, without asking the vendor."""
    load_specs(con, plan.destination_specs, plan.campaigns, plan.priority_lists)
    reach.build_reach(con)
    reach.apply_records(con)
    eligibility.build_candidates(con)
    holdouts.draw_arms(con, salt=plan.salt, draws=plan.draws, global_draw=None, as_of=AS_OF)
    desired.build_want_memberships(con)
    desired.build_want_records(con, plan.destination_specs, plan.campaigns)


def deliver(state: State, con: duckdb.DuckDBPyConnection) -> None:
    """Fill the ledger and the log of arms as if what is wanted had been delivered."""
    if con.execute("SELECT name FROM want_memberships GROUP BY name").fetchall():
        state.insert(
            schema.audiences,
            [
                {
                    "destination": VENDOR,
                    "name": LIST_NAME,
                    "audience_id": LIST_ID,
                    "campaign": "everybody",
                    "arm": Arm.TREATMENT.value,
                    "status": "present",
                    "since": "",
                }
            ],
        )
    _fill(
        state,
        con,
        "records",
        """
        SELECT destination, match_key, profile_id, match_value, record_id, 'yes' AS presence,
            fingerprint, fields, 1 AS version
        FROM want_records ORDER BY match_key
        """,
    )
    _fill(
        state,
        con,
        "memberships",
        f"""
        SELECT destination, '{LIST_ID}' AS audience_id, match_key, profile_id, 'yes' AS presence,
            claims, 1 AS version
        FROM want_memberships ORDER BY match_key
        """,
    )
    _fill(
        state,
        con,
        "assignments",
        "SELECT campaign, epoch, profile_id, arm, bucket, first_eligible_at,"
        " 'bench' AS config_version, 'bench' AS run_id FROM arms ORDER BY profile_id",
    )


def disturb(con: duckdb.DuckDBPyConnection) -> None:
    """One person in a hundred has new properties, one in two hundred leaves the segment."""
    con.execute(
        "UPDATE scored SET orders_365d = orders_365d + 100 WHERE hash(profile_id) % 100 = 0"
    )
    con.execute("DELETE FROM segment_members WHERE hash(profile_id) % 200 = 1")


def forget_members(state: State) -> None:
    """One person in two hundred is not on the list yet."""
    state.engine.dispose()
    with contextlib.closing(sqlite3.connect(state.folder / "state.db")) as database, database:
        database.execute("DELETE FROM memberships WHERE rowid % 200 = 3")


def _fill(state: State, con: duckdb.DuckDBPyConnection, table: str, sql: str) -> None:
    state.engine.dispose()
    rows = con.sql(sql).to_arrow_reader(100_000)
    with adbc.connect(str(state.folder / "state.db")) as database, database.cursor() as cursor:
        cursor.adbc_ingest(table, rows, mode="append")
        database.commit()
