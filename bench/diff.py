"""The diff at scale: what is wanted against what is delivered, 1 % of it changed.

The floor is what any diff must do at least: two full joins, of the properties and of the list
members, on the key with a comparison of stored hashes, over the very same tables.

Several processes: ``prepare`` fills a ledger, reads it and keeps the relations; ``compare`` lets
both take turns; ``floor`` and ``engine`` do their work once and tell their peak memory; ``plan`` is
the whole of planning, from what the first act left to the files.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import adbc_driver_sqlite.dbapi as adbc
import duckdb

from bench import people
from bench.measure import Measure, Race, Timer, in_child, peak_gb, race
from bench.vendor import Agreeable
from connector.pipeline.activate.known import load_state
from connector.pipeline.activate.planning import make_plan
from connector.plan.diff import ORDER, build_changes
from connector.plan.document import Header, write_plan
from connector.state.database import State

N_PEOPLE = 5_000_000
ROUNDS = 5
MAX_RATIO = 3.0
MAX_MEMORY_RATIO = 1.5
MAX_READ_RATIO = 3.0
MAX_WRITE_RATIO = 3.0

RELATIONS = (
    *("want_records", "want_memberships", "reach", "candidates"),
    *("st_records", "st_memberships", "st_audiences", "st_foreign", "st_merges"),
    *("refused", "exclusions", "withheld", "cfg_destinations", "cfg_audiences"),
)
"""What the diff reads."""

_FLOOR = (
    """
    CREATE OR REPLACE TEMP TABLE changed_records AS
    SELECT coalesce(w.destination, k.destination) AS destination,
        coalesce(w.match_key, k.match_key) AS match_key
    FROM want_records w
    FULL JOIN st_records k ON k.destination = w.destination AND k.match_key = w.match_key
    WHERE w.fingerprint IS DISTINCT FROM k.fingerprint
    """,
    """
    CREATE OR REPLACE TEMP TABLE changed_members AS
    SELECT coalesce(w.destination, m.destination) AS destination,
        coalesce(w.match_key, m.match_key) AS match_key
    FROM want_memberships w
    FULL JOIN (SELECT * FROM st_memberships WHERE presence = 'yes') m
        ON m.destination = w.destination AND m.match_key = w.match_key
    WHERE w.profile_id IS DISTINCT FROM m.profile_id
    """,
)


def run() -> list[Measure]:
    """All figures of the diff."""
    with TemporaryDirectory(prefix="bench-") as folder:
        read = in_child("bench.diff", "prepare", folder, N_PEOPLE)
        diff = in_child("bench.diff", "compare", folder)
        floor = in_child("bench.diff", "floor", folder)
        engine = in_child("bench.diff", "engine", folder)
        whole = in_child("bench.diff", "plan", folder, N_PEOPLE)
    size = f"{N_PEOPLE / 1e6:g}M people"
    time, reading, writing = Race(**diff["diff"]), Race(**read["read"]), Race(**diff["write"])
    memory = engine["peak_gb"] / floor["peak_gb"]
    return [
        Measure(
            f"diff, {size}, 1 % changed: time",
            f"{time.seconds:.2f} s",
            f"{time.floor_s:.2f} s, two bare full joins",
            f"{time.ratio:.2f} ({time.spread})",
            f"<= {MAX_RATIO:g} x",
            time.ratio <= MAX_RATIO,
        ),
        Measure(
            f"diff, {size}, 1 % changed: peak memory",
            f"{engine['peak_gb']:.2f} GB",
            f"{floor['peak_gb']:.2f} GB, two bare full joins",
            f"{memory:.2f}",
            f"<= {MAX_MEMORY_RATIO:g} x",
            memory <= MAX_MEMORY_RATIO,
        ),
        Measure(
            f"reading {read['rows']:,} rows of state",
            f"{read['rows'] / reading.seconds / 1e6:.2f}M rows/s",
            f"{read['rows'] / reading.floor_s / 1e6:.2f}M rows/s, bare ADBC",
            f"{reading.ratio:.2f} ({reading.spread})",
            f"<= {MAX_READ_RATIO:g} x",
            reading.ratio <= MAX_READ_RATIO,
        ),
        Measure(
            f"writing {diff['written']:,} changes",
            f"{writing.seconds:.2f} s",
            f"{writing.floor_s:.2f} s, DuckDB's own COPY",
            f"{writing.ratio:.2f} ({writing.spread})",
            f"<= {MAX_WRITE_RATIO:g} x",
            writing.ratio <= MAX_WRITE_RATIO,
        ),
        Measure(
            f"a whole plan, {size}, {whole['changes']:,} changes",
            f"{whole['seconds']:.1f} s, {whole['peak_gb']:.1f} GB",
        ),
    ]


def prepare(folder: Path, n_people: int) -> dict[str, Any]:
    """Fill a ledger, read it, and keep every relation that the diff reads."""
    con = people.workspace(folder)
    people.make_people(con, n_people)
    state = State.open(folder / "state")
    load_state(con, state)
    people.know_everybody(con)
    plan = people.activation(Agreeable())
    people.decide(con, plan)
    people.deliver(state, con)
    people.disturb(con)
    people.forget_members(state)
    read = race(lambda: load_state(con, state), lambda: read_bare(state), ROUNDS)
    people.decide(con, plan)
    con.execute(f"ATTACH '{folder / 'relations.duckdb'}' AS kept")
    for name in RELATIONS:
        con.execute(f"CREATE TABLE kept.{name} AS FROM temp.{name}")
    rows = con.execute(
        "SELECT (SELECT count(*) FROM st_records) + (SELECT count(*) FROM st_memberships)"
        " + (SELECT count(*) FROM st_raw_assignments)"
    ).fetchall()
    state.close()
    return {"read": read, "rows": rows[0][0]}


def read_bare(state: State) -> None:
    """The same columns by ADBC alone, dropped as they come."""
    state.engine.dispose()
    queries = (
        "SELECT destination, match_key, profile_id, match_value, record_id, presence, fingerprint,"
        " fields, version FROM records",
        "SELECT destination, audience_id, match_key, profile_id, presence, claims, version"
        " FROM memberships",
        "SELECT campaign, epoch, profile_id, arm, bucket, first_eligible_at,"
        " coalesce(offer, '') AS offer FROM assignments",
    )
    with adbc.connect(str(state.folder / "state.db")) as database, database.cursor() as cursor:
        for query in queries:
            cursor.execute(query)
            for _batch in cursor.fetch_record_batch():
                pass


def _relations(folder: Path) -> duckdb.DuckDBPyConnection:
    con = people.workspace(folder)
    con.execute(f"ATTACH '{folder / 'relations.duckdb'}' AS kept (READ_ONLY)")
    for name in RELATIONS:
        con.execute(f"CREATE TEMP TABLE {name} AS FROM kept.{name}")
    con.execute("DETACH kept")
    return con


def join(con: duckdb.DuckDBPyConnection) -> None:
    for statement in _FLOOR:
        con.execute(statement)


def compare(folder: Path) -> dict[str, Any]:
    """The engine's diff against the bare joins; then its writing against DuckDB's own."""
    con = _relations(folder)
    found: dict[str, Any] = {"diff": race(lambda: build_changes(con), lambda: join(con), ROUNDS)}
    # More changes, as on the day of a first run, so that there is something to write.
    con.execute("CREATE OR REPLACE TEMP TABLE changes AS SELECT c.* FROM changes c, range(10)")
    for name in ("new_arms", "would_send", "new_labels", "new_segment_state"):
        con.execute(f"CREATE TEMP TABLE {name}(profile_id TEXT)")
    target = folder / "copy.parquet"
    copy = f"COPY (FROM changes ORDER BY {ORDER}) TO '{target}' (FORMAT parquet)"
    found["write"] = race(
        lambda: write_plan(con, folder / "written", _header()), lambda: con.execute(copy), ROUNDS
    )
    count = con.execute("SELECT count(*) FROM changes").fetchall()
    return found | {"written": count[0][0]}


def floor(folder: Path) -> dict[str, float]:
    """Peak memory of the bare joins."""
    join(_relations(folder))
    return {"peak_gb": peak_gb()}


def engine(folder: Path) -> dict[str, float]:
    """Peak memory of the engine's diff."""
    build_changes(_relations(folder))
    return {"peak_gb": peak_gb()}


def _header() -> Header:
    return Header("bench", "bench", people.AS_OF, people.AS_OF, "", "EUR", (), (), (), (), (), {})


def plan(folder: Path, n_people: int) -> dict[str, float]:
    """A whole plan, from the first act's relations to the files."""
    con = people.workspace(folder)
    people.make_people(con, n_people)
    people.disturb(con)
    state = State.open(folder / "state")
    with Timer() as timer:
        made = make_plan(
            con,
            state,
            people.activation(Agreeable()),
            as_of=people.AS_OF,
            now=people.AS_OF,
            folder=folder / "plans",
        )
    state.close()
    return {"seconds": timer.seconds, "peak_gb": peak_gb(), "changes": made.header.n_changes}


PARTS: dict[str, Callable[..., dict[str, Any]]] = {
    "prepare": prepare,
    "compare": compare,
    "floor": floor,
    "engine": engine,
    "plan": plan,
}

if __name__ == "__main__":
    part, where, *sizes = sys.argv[1:]
    print(json.dumps(PARTS[part](Path(where), *map(int, sizes))))
