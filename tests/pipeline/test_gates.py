"""The gates against the chi-square law, and contamination against counts by pandas."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import sqlalchemy as sa

from connector.config import Config, load_config
from connector.domain import Arm
from connector.errors import LedgerError
from connector.lift.health import Gate, gate_ratios
from connector.pipeline.prove.gates import GateCounts, contamination, read_gates
from connector.state import schema
from connector.state.database import State, utc_text
from connector.warehouse.duckdb import DuckDBWarehouse
from tests.end_to_end.shop import EVERYONE, SALT, Shop

BEGAN = datetime(2026, 3, 2, 5, tzinfo=UTC)
AS_OF = BEGAN + timedelta(days=60)
SHARES = {Arm.TREATMENT: 0.8, Arm.NO_CONTACT: 0.2}
N = 4_000


@pytest.fixture
def state(tmp_path: Path) -> Iterator[State]:
    opened = State.open(tmp_path / "state", identity_key="a-key")
    yield opened
    opened.close()


@pytest.fixture
def warehouse() -> Iterator[DuckDBWarehouse]:
    with DuckDBWarehouse() as found:
        yield found


@pytest.fixture
def config(tmp_path: Path) -> Config:
    shop = Shop(tmp_path / "shop", "gated", global_holdout=10)
    shop.write()
    environ = {"HUBSPOT_TOKEN": "t", "HUBSPOT_URL": "http://127.0.0.1:1", "HOLDOUT_SALT": SALT}
    return load_config(shop.config, environ)


def assigned(
    n: int, *, campaign: str = "winback", epoch: int = 1, at: datetime = BEGAN, seed: int = 0
) -> pd.DataFrame:
    """An assignment log of people drawn by the shares."""
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "campaign": campaign,
            "epoch": epoch,
            "profile_id": [f"p{i:05d}" for i in range(n)],
            "arm": np.where(rng.random(n) < 0.8, "treatment", "no_contact"),
            "bucket": 0,
            "first_eligible_at": utc_text(at),
            "config_version": "v1",
            "run_id": f"run-{at:%Y%m%d}",
        }
    )


def decided(log: pd.DataFrame, at: datetime = BEGAN) -> pd.DataFrame:
    """A ghost-send log that sends everything to everybody."""
    kept = log[["campaign", "epoch", "profile_id", "arm", "run_id"]]
    return kept.assign(at=utc_text(at), decision="yes", reason="")


def write(state: State, **tables: pd.DataFrame) -> None:
    for name, rows in tables.items():
        state.insert(schema.metadata.tables[name], rows.to_dict("records"))


def people(warehouse: DuckDBWarehouse, ids: pd.Series) -> None:
    warehouse.load("profiles", pa.table({"profile_id": list(ids)}))


def alarms(counts: GateCounts) -> set[str]:
    """The gates whose split alarms."""
    ratios = gate_ratios(counts.intakes({"v1": SHARES}))
    return {gate.value for gate, ratio in ratios.items() if ratio.alarm}


def test_whole_arms_pass_every_gate(state, warehouse):
    log = assigned(N)
    write(state, assignments=log, would_send=decided(log))
    people(warehouse, log.profile_id)
    (counts,) = read_gates(state, warehouse, as_of=AS_OF).values()
    wanted = {"v1": log.arm.value_counts().to_dict()}
    assert counts.counts == dict.fromkeys(Gate, wanted)
    assert not alarms(counts)


@pytest.mark.parametrize(
    ("gate", "reason"), [("eligible", "excluded"), ("would_send", "over_budget"), ("joined", "")]
)
def test_a_filter_on_one_arm_only_trips_the_gate_behind_it(state, warehouse, gate, reason):
    log = assigned(N)
    rng = np.random.default_rng(1)
    hit = (log.arm == "treatment") & (rng.random(N) < 0.25)
    sent = decided(log)
    if reason:
        sent.loc[hit, ["decision", "reason"]] = ["no", reason]
    write(state, assignments=log, would_send=sent)
    people(warehouse, log.profile_id if reason else log.profile_id[~hit])
    (counts,) = read_gates(state, warehouse, as_of=AS_OF).values()
    # Who may not be sent anything is past neither of the two gates of the ghost-send log.
    behind = {"eligible": {"eligible", "would_send"}}.get(gate, {gate})
    assert alarms(counts) == behind
    kept = log[~hit].arm.value_counts().to_dict()
    assert counts.counts[Gate(gate)] == {"v1": kept}


def test_the_same_filter_on_both_arms_trips_nothing(state, warehouse):
    log = assigned(N)
    hit = np.random.default_rng(2).random(N) < 0.3
    sent = decided(log)
    sent.loc[hit, ["decision", "reason"]] = ["no", "excluded"]
    write(state, assignments=log, would_send=sent)
    people(warehouse, log.profile_id[~hit])
    (counts,) = read_gates(state, warehouse, as_of=AS_OF).values()
    assert not alarms(counts)
    assert sum(counts.counts[Gate.WOULD_SEND]["v1"].values()) == (~hit).sum()


def test_an_arm_that_lost_everybody_alarms(state, warehouse):
    log = assigned(N)
    sent = decided(log)
    sent.loc[log.arm == "no_contact", ["decision", "reason"]] = ["no", "consent_withdrawn"]
    write(state, assignments=log, would_send=sent)
    people(warehouse, log.profile_id[log.arm == "treatment"])
    (counts,) = read_gates(state, warehouse, as_of=AS_OF).values()
    assert counts.counts[Gate.ELIGIBLE] == {"v1": {"treatment": (log.arm == "treatment").sum()}}
    assert alarms(counts) == {"eligible", "would_send", "joined"}


def test_once_sent_is_past_the_gate_whatever_happens_later(state, warehouse):
    # Who was treated buys and leaves the segment; that must not look like a broken split.
    log = assigned(N)
    later = decided(log[log.arm == "treatment"], BEGAN + timedelta(days=3))
    later = later.assign(decision="no", reason="left_segment", run_id="run-later")
    write(state, assignments=log, would_send=pd.concat([decided(log), later]))
    people(warehouse, log.profile_id)
    (counts,) = read_gates(state, warehouse, as_of=AS_OF).values()
    assert not alarms(counts)


def test_people_of_before_the_log_are_in_the_first_gate_and_the_last(state, warehouse):
    old, new = assigned(N, seed=3), assigned(N, seed=4, at=BEGAN + timedelta(days=30))
    new["profile_id"] = "q" + new.profile_id
    # Whoever of the old ones is still there gets a row in a later run; the treated have left.
    still = decided(old[old.arm == "no_contact"], BEGAN + timedelta(days=30))
    still["run_id"] = "run-20260401"
    write(
        state,
        assignments=pd.concat([old, new]),
        would_send=pd.concat([decided(new, BEGAN + timedelta(days=30)), still]),
    )
    people(warehouse, pd.concat([old, new]).profile_id)
    (counts,) = read_gates(state, warehouse, as_of=AS_OF).values()
    assert (
        sum(counts.counts[Gate.ASSIGNED]["v1"].values())
        == sum(counts.counts[Gate.JOINED]["v1"].values())
        == 2 * N
    )
    assert counts.counts[Gate.WOULD_SEND] == {"v1": new.arm.value_counts().to_dict()}
    assert not alarms(counts)


def test_each_epoch_and_each_version_is_counted_by_itself(state, warehouse):
    first = assigned(500)
    second = assigned(500, epoch=2, at=BEGAN + timedelta(days=20), seed=9)
    second.loc[second.index[:200], "config_version"] = "v2"
    late = assigned(50, epoch=3, at=AS_OF + timedelta(days=1))
    log = pd.concat([first, second, late])
    write(state, assignments=log, would_send=decided(log))
    people(warehouse, first.profile_id)
    found = read_gates(state, warehouse, as_of=AS_OF)
    assert list(found) == [("winback", 1), ("winback", 2)]
    assert found["winback", 2].counts[Gate.ASSIGNED] == {
        version: rows.arm.value_counts().to_dict()
        for version, rows in second.groupby("config_version")
    }


def test_contamination_is_what_pandas_counts(state, warehouse, config):
    rng = np.random.default_rng(11)
    second_at = BEGAN + timedelta(days=20)
    logs = [
        assigned(600, seed=1),
        assigned(600, epoch=2, at=second_at, seed=2),
        assigned(600, campaign="vip", seed=3).replace({"arm": {"treatment": "business_as_usual"}}),
        assigned(600, campaign=EVERYONE, seed=4),
    ]
    # Of "vip", half are treated after all.
    logs[2].loc[::2, "arm"] = "treatment"
    log = pd.concat(logs, ignore_index=True)
    ids = sorted(log.profile_id.unique())
    merges = pd.DataFrame(
        {
            "from_profile_id": ids[500:560],
            "into_profile_id": ids[:60],
            "reason": "shared_email",
            "at": utc_text(BEGAN),
        }
    )
    lists = [("winback", "treatment"), ("vip", "treatment"), ("vip", "business_as_usual")]
    audiences = pd.DataFrame(
        [
            ("hubspot", f"gated | {c} | {a}", f"l{i}", c, a, "present", utc_text(BEGAN), None)
            for i, (c, a) in enumerate(lists)
        ],
        columns=[column.name for column in schema.audiences.columns],
    )
    listed = pd.DataFrame(
        [
            ("hubspot", f"l{i}", f"k{p}", p, rng.choice(["yes", "maybe", "no"], p=[0.6, 0.1, 0.3]))
            for i in range(3)
            for p in rng.choice(ids, 60, replace=False)
        ],
        columns=["destination", "audience_id", "match_key", "profile_id", "presence"],
    ).assign(claims="", version=1)
    records = pd.DataFrame({"profile_id": ids}).assign(
        destination="hubspot", presence="yes", version=1, fields="[]"
    )
    records["match_key"] = "k" + records.profile_id
    records["match_value"] = records.profile_id + "@example.com"
    records["record_id"] = "r" + records.profile_id
    foreign = pd.DataFrame(
        [
            ("hubspot", f"l{i}", f"r{p}" if rng.random() < 0.5 else f"{p}@example.com")
            for i in range(2)
            for p in rng.choice(ids, 30, replace=False)
        ],
        columns=["destination", "audience_id", "member"],
    )
    n_events = 400
    events = pd.DataFrame(
        {
            "profile_id": rng.choice(ids[:500], n_events),
            "campaign": rng.choice(
                ["winback", "WINBACK", "vip", "gated | vip | treatment", "newsletter"], n_events
            ),
            "meaning": rng.choice(["email_sent", "email_delivered", "email_open"], n_events),
            "occurred_at": [
                BEGAN.replace(tzinfo=None) + timedelta(hours=float(h))
                for h in rng.uniform(-200, 1600, n_events)
            ],
        }
    )
    write(
        state, assignments=log, profile_merges=merges, audiences=audiences, memberships=listed,
        records=records, foreign_members=foreign,
    )  # fmt: skip
    warehouse.load("clean_events", pa.Table.from_pandas(events, preserve_index=False))
    found = contamination(config, state, warehouse, as_of=AS_OF)

    now_id = dict(zip(merges.from_profile_id, merges.into_profile_id, strict=True))
    log["who"] = log.profile_id.replace(now_id)
    log["at"] = pd.to_datetime(log.first_eligible_at).dt.tz_localize(None)
    sent = events[events.meaning.isin(["email_sent", "email_delivered"])]
    sent = sent[sent.occurred_at < AS_OF.replace(tzinfo=None)]
    of = sent.campaign.map(
        {"winback": "winback", "WINBACK": "winback", "vip": "vip", "gated | vip | treatment": "vip"}
    )
    assert list(found) == [(EVERYONE, 1), ("vip", 1), ("winback", 1), ("winback", 2)]
    seen: set[str] = set()
    for (name, epoch), told in found.items():
        mine = log[(log.campaign == name) & (log.epoch == epoch)]
        first = mine.sort_values(["at", "profile_id"]).groupby("who").arm.first()
        two = mine.groupby("who").arm.nunique() > 1
        held = set(first[first != "treatment"].index)
        spoilers = ["winback", "vip"] if name == EVERYONE else [name]
        newest = epoch == log[log.campaign == name].epoch.max()
        lists_of = [f"l{i}" for i, (c, a) in enumerate(lists) if a == "treatment" and c in spoilers]
        on = listed[listed.audience_id.isin(lists_of) & (listed.presence != "no")]
        by_ledger = set(on.profile_id.replace(now_id)) & held if newest else set()
        member = foreign[foreign.audience_id.isin(lists_of)].member
        by_member = set(
            member.str.removeprefix("r").str.removesuffix("@example.com").replace(now_id)
        )
        by_member = by_member & held if newest else set()
        ends = second_at if (name, epoch) == ("winback", 1) else AS_OF
        begins = second_at if epoch == 2 else BEGAN
        in_time = sent.occurred_at.between(
            begins.replace(tzinfo=None), ends.replace(tzinfo=None), inclusive="left"
        )
        mailed = set(sent[of.isin(spoilers) & in_time].profile_id) & held
        reached = by_ledger | by_member | mailed
        both = set(two[two].index)
        for arm, its in told.arms.items():
            mine = set(first[first == arm].index)
            assert dataclasses.astuple(its) == (
                len(mine),
                len(both & mine),
                len(by_ledger & mine),
                len(by_member & mine),
                len(mailed & mine),
                len(reached & mine),
                len((reached | both) & mine),
            )
        assert set(told.arms) == set(first)
        assert told.share == pytest.approx(len(reached | both) / len(first))
        for control in set(first[first != "treatment"]):
            rule = told.compared("treatment", control)
            pair = first[first.isin(["treatment", control])]
            its = set(pair[pair == control].index)
            assert (rule.n_people, rule.n_holdout) == (len(pair), len(its))
            assert rule.n_in_two_arms == two[pair.index].sum()
            assert rule.n_holdout_reached == len(reached & its)
        seen |= {"two"} if both else set()
        seen |= {"ledger"} if by_ledger else set()
        seen |= {"member"} if by_member else set()
        seen |= {"mailed"} if mailed else set()
    assert seen == {"two", "ledger", "member", "mailed"}


def test_a_shop_without_events_or_lists_is_clean(state, warehouse, config):
    log = assigned(50)
    write(state, assignments=log)
    ((key, told),) = contamination(config, state, warehouse, as_of=AS_OF).items()
    assert key == ("winback", 1)
    assert told.n_people == 50
    assert (told.n_contaminated, told.share) == (0, 0.0)
    assert told.compared("treatment", "no_contact").share == 0.0


def test_a_version_without_shares_is_told(state, warehouse):
    log = assigned(20)
    write(state, assignments=log)
    people(warehouse, log.profile_id)
    (counts,) = read_gates(state, warehouse, as_of=AS_OF).values()
    with pytest.raises(LedgerError, match="version v1"):
        counts.intakes({"v2": SHARES})


def test_nobody_assigned_gives_nothing(state, warehouse, config):
    people(warehouse, pd.Series(["p1"]))
    assert read_gates(state, warehouse, as_of=AS_OF) == {}
    assert contamination(config, state, warehouse, as_of=AS_OF) == {}


def test_a_run_of_a_later_instant_is_not_seen(state, warehouse):
    log = assigned(400)
    waiting = decided(log).assign(decision="no", reason="over_budget")
    reached = decided(log, AS_OF + timedelta(days=2)).assign(run_id="run-x")
    write(state, assignments=log, would_send=pd.concat([waiting, reached]))
    people(warehouse, log.profile_id)
    with state.engine.begin() as connection:
        for run, moment in (("run-20260302", BEGAN), ("run-x", AS_OF + timedelta(days=2))):
            connection.execute(
                sa.insert(schema.runs).values(
                    run_id=run, status="succeeded", as_of=utc_text(moment), started_at="t"
                )
            )
    (found,) = read_gates(state, warehouse, as_of=AS_OF).values()
    before = found.counts
    (found,) = read_gates(state, warehouse, as_of=AS_OF + timedelta(days=3)).values()
    after = found.counts
    assert (before[Gate.WOULD_SEND], sum(after[Gate.WOULD_SEND]["v1"].values())) == (
        {},
        400,
    )
    assert before[Gate.ELIGIBLE] == after[Gate.ELIGIBLE] == after[Gate.WOULD_SEND]
