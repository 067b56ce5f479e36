"""People from the sources to the state and back: arms after merges and splits, and whole runs."""

from __future__ import annotations

import random
from datetime import timedelta
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

from connector.config import parse_config
from connector.pipeline.activate.known import load_state
from connector.pipeline.prove.measure import load_assignments
from connector.pipeline.understand.stitching import remember_people, stitch_people, tables_read
from connector.profiles.customers import clean_customers
from connector.profiles.spec import CustomersSpec
from connector.state.database import State, utc_text
from connector.state.journal import Journal
from connector.warehouse.duckdb import DuckDBWarehouse
from tests.config.shop import ENVIRON
from tests.config.test_identity import MAPPED
from tests.pipeline import small_shop
from tests.profiles.tables import AS_OF, put, utc

PHONES = MAPPED.replace(
    "identity:\n  max_customers_per_email: 5\n",
    "identity: {ids: [customer_id, email, phone], country: DE, max_customers_per_email: 9}\n",
)


@pytest.fixture
def state(tmp_path: Path):
    opened = State.open(tmp_path / "state", identity_key="a-key")
    yield opened
    opened.close()


def night(state, phones, now, text=PHONES):
    """One run over customers with these numbers; who is who afterwards."""
    config = parse_config(text, ENVIRON)
    rows = [
        {"customer_id": c, "phone": phone, "created_at": utc(2024, 1, 1 + i)}
        for i, (c, phone) in enumerate(sorted(phones.items()))
    ]
    with DuckDBWarehouse() as warehouse:
        put(warehouse, "customers", rows)
        clean_customers(warehouse, CustomersSpec(), as_of=AS_OF)
        stitch_people(config, state, warehouse, as_of=AS_OF)
        remember_people(Journal(state), warehouse, now=now)
        return dict(
            warehouse.rows("SELECT p.customer_id, p.profile_id FROM profile_customers AS p")
        )


def arms(state):
    """Everybody's arm, as planning reads the log; and measuring must read the same."""
    with DuckDBWarehouse() as warehouse:
        load_state(warehouse.connection, state, ("st_merges", "st_raw_assignments"))
        read = dict(warehouse.rows("SELECT a.profile_id, a.arm FROM st_assignments AS a"))
        load_assignments(state, warehouse)
        assert dict(warehouse.rows("SELECT a.profile_id, a.arm FROM assignments AS a")) == read
    return read


@pytest.mark.parametrize("seed", range(3))
def test_people_joined_by_a_number_keep_the_earliest_arm_and_part_with_their_own(state, seed):
    rng = random.Random(seed)
    apart = {f"c{i}": f"0171 555000{i}" for i in range(5)}
    people = night(state, apart, AS_OF)
    first = {
        p: AS_OF - timedelta(days=d)
        for p, d in zip(people.values(), rng.sample(range(30), 5), strict=True)
    }
    drawn = {p: rng.choice(["treatment", "no_contact"]) for p in people.values()}
    Journal(state).log_arms(
        pa.table(
            {
                "campaign": ["winback"] * 5,
                "epoch": [1] * 5,
                "profile_id": list(drawn),
                "arm": list(drawn.values()),
                "bucket": [0] * 5,
                "first_eligible_at": [utc_text(first[p]) for p in drawn],
            }
        ),
        run_id="r",
        config_version="v",
    )
    assert arms(state) == drawn

    joined = rng.sample(sorted(apart), 3)
    together = apart | dict.fromkeys(joined, "+49 171 9999999")
    now = AS_OF + timedelta(days=1)
    merged = night(state, together, now)
    assert len({merged[c] for c in joined}) == 1
    old = [people[c] for c in joined]
    alone = {p: arm for p, arm in drawn.items() if p not in old}
    assert arms(state) == alone | {merged[joined[0]]: drawn[min(old, key=first.__getitem__)]}
    logged = state.arrow({"m": "SELECT * FROM profile_merges"})["m"].to_pylist()
    assert {(row["reason"], row["at"]) for row in logged} == {("shared_phone", utc_text(now))}
    assert len(logged) == 2

    later = now + timedelta(days=1)
    assert night(state, apart, later) == people
    assert arms(state) == drawn
    logged = state.arrow({"s": "SELECT * FROM profile_splits"})["s"].to_pylist()
    assert {(row["reason"], row["at"]) for row in logged} == {("no_shared_key", utc_text(later))}
    assert {row["into_profile_id"] for row in logged} == set(old) - {merged[joined[0]]}

    # And once more: the log grows, nobody's arm is lost.
    night(state, together, later + timedelta(days=1))
    assert night(state, apart, later + timedelta(days=2)) == people
    assert arms(state) == drawn
    assert len(state.arrow({"s": "SELECT * FROM profile_splits"})["s"]) == 4


def test_only_who_stitches_devices_reads_events():
    assert tables_read(parse_config(PHONES, ENVIRON)) == {"customers"}
    whole = PHONES.replace("email, phone]", "email, phone, anonymous_id]")
    assert tables_read(parse_config(whole, ENVIRON)) == {"customers", "events"}


def test_a_run_of_the_whole_file(tmp_path: Path):
    """Two accounts with one number and one device are one person for features and for the state."""
    small_shop.build(tmp_path, n=60)
    with duckdb.connect(str(tmp_path / "shop.duckdb")) as con:
        ids = [row[0] for row in con.execute("SELECT id FROM customers ORDER BY id").fetchall()]
        con.execute("ALTER TABLE customers ADD COLUMN phone VARCHAR")
        con.execute("UPDATE customers SET phone = '0171 2345678' WHERE id IN (?, ?)", ids[:2])
        con.execute("CREATE TABLE events (id TEXT, name TEXT, seen TIMESTAMP, who TEXT, dev TEXT)")
        for n, who, dev, day in (("1", None, "d", 1), ("2", ids[0], "d", 2), ("3", None, "x", 2)):
            at = small_shop.AS_OF - timedelta(days=5 - day)
            con.execute(
                "INSERT INTO events VALUES (?, 'Product Viewed', ?, ?, ?)",
                [n, at.replace(tzinfo=None), who, dev],
            )
    text = small_shop.CONFIG.replace(
        "email: email, created_at", "email: email, phone: phone, created_at"
    ).replace(
        "quality:",
        "  events:\n    from: shop.events\n    columns: {event_id: id, event: name,"
        " occurred_at: seen, customer_id: who, anonymous_id: dev}\n"
        "identity: {ids: [customer_id, email, phone, anonymous_id], country: DE,"
        " limits: {anonymous_id_per_person: 200}}\nquality:",
        1,
    )
    with small_shop.open_project(tmp_path, "http://127.0.0.1:9", "pat-na1-x", text=text) as project:
        with project.workspace() as workspace:
            found = project.understand(workspace)
            rows = dict(
                workspace.rows("SELECT p.customer_id, p.profile_id FROM profile_customers AS p")
            )
            assert rows[ids[0]] == rows[ids[1]]
            assert len(set(rows.values())) == len(rows) - 1
            events = workspace.rows("SELECT e.event_id, e.profile_id FROM clean_events AS e")
            assert sorted(events) == [("1", rows[ids[0]]), ("2", rows[ids[0]])]
            assert found.quality.count("events", "anonymous") == 1
            remember_people(project.journal, workspace, now=small_shop.AS_OF)
        with project.workspace() as workspace:
            project.understand(workspace)
            assert workspace.rows("SELECT * FROM new_keys AS k") == []
        # Who may still be written to is asked with the same people.
        with project.workspace() as workspace:
            project._compute_standing(workspace, as_of=small_shop.AS_OF)
            again = dict(
                workspace.rows("SELECT p.customer_id, p.profile_id FROM profile_customers AS p")
            )
        assert again == rows
