"""The ghost-send log: one rule for all arms at one instant, before any push, never by delivery.

The oracle decides in plain Python, from the same facts, for a person whose arm it does not know.
"""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from connector.audiences import sends
from connector.audiences.rationing import Ration
from connector.audiences.specs import CampaignSpec, PriorityList
from connector.domain import Arm
from connector.errors import PlanError
from connector.pipeline.activate.activation import Activation
from connector.plan.summary import GuardLimits
from connector.state import schema
from connector.state.database import utc_text
from tests.laws.world import NO_GUARDS, Engine, Faults, Killed, Person, Vendor, World, campaign

ARMS = {"treatment": 0.5, "business_as_usual": 0.25, "no_contact": 0.25}
EVERYONE = "everyone"


class Holding(Engine):
    """The engine with budgets, a priority list and a global holdout."""

    rations: tuple[Ration, ...] = ()
    priority: tuple[PriorityList, ...] = ()
    global_holdout: tuple[str, float] | None = None

    def activation(self, limits: GuardLimits) -> Activation:
        return dataclasses.replace(
            super().activation(limits),
            rations=self.rations,
            priority_lists=self.priority,
            global_holdout=self.global_holdout,
        )

    def log(self) -> list[dict[str, Any]]:
        with self.state.engine.connect() as connection:
            rows = connection.execute(
                sa.select(schema.would_send).order_by(
                    schema.would_send.c.at, schema.would_send.c.campaign, schema.would_send.c.arm
                )
            )
            return [dict(row) for row in rows.mappings()]

    def last(self, name: str) -> dict[str, tuple[str, str]]:
        """Profile -> the last decision and reason of a campaign."""
        return {
            row["profile_id"]: (row["decision"], row["reason"])
            for row in self.log()
            if row["campaign"] == name
        }

    def arms(self, name: str) -> dict[str, str]:
        table = schema.assignments
        with self.state.engine.connect() as connection:
            rows = connection.execute(sa.select(table).where(table.c.campaign == name))
            return {row.profile_id: row.arm for row in rows}


def reason(world: World, spec: CampaignSpec, person: Person, over: str | None) -> str:
    """Why somebody would not be sent a campaign, in the order in which the rules are asked."""
    if spec.segment not in person.segments:
        return "left_segment"
    if person.consent == "withdrawn":
        return "consent_withdrawn"
    if person.excluded:
        return "excluded"
    if person.email is None:
        return "no_address"
    if person.consent != "granted":
        return "no_consent"
    if world.vendor.by_email(person.email) is None:
        return "not_at_destination"
    return "outranked" if over in person.segments else ""


def populate(world: World, n: int, segments: tuple[str, ...], rng: random.Random) -> None:
    for i in range(n):
        person = Person(f"p{i:03d}", f"p{i}@example.com", score=rng.randrange(9))
        person.segments = {s for s in segments if rng.random() < 0.7}
        person.consent = rng.choice(["granted"] * 6 + ["withdrawn", None])
        person.excluded = rng.random() < 0.05
        world.people[person.profile_id] = person
        if rng.random() < 0.9:
            world.vendor.add_contact(str(person.email))


@pytest.fixture
def world() -> World:
    return World(
        Vendor(max_batch=50),
        campaigns=[campaign("first", "hot", **ARMS), campaign("second", "lost", **ARMS)],
    )


@pytest.fixture
def engine(tmp_path: Path, world: World) -> Iterator[Holding]:
    engine = Holding(tmp_path, world)
    yield engine
    engine.close()


def test_every_arm_is_judged_by_the_same_rule_in_every_run(world, engine):
    rng = random.Random(3)
    engine.priority = (PriorityList("one", ("hot", "lost")),)
    populate(world, 160, ("hot", "lost"), rng)
    seen: set[tuple[str, str]] = set()
    before: list[dict[str, Any]] = []
    for _ in range(4):
        engine.sync()
        rows = engine.log()
        # Append-only: what was there is there unchanged, and the new rows are of one instant.
        kept = {tuple(row.values()) for row in rows}
        assert {tuple(row.values()) for row in before} <= kept
        new = [row for row in rows if row not in before]
        assert len({(row["at"], row["run_id"]) for row in new}) <= 1
        before = rows
        for spec, over in zip(world.campaigns, (None, "hot"), strict=True):
            arms, last = engine.arms(spec.name), engine.last(spec.name)
            assert last.keys() == arms.keys()
            for profile, told in last.items():
                # "hot" outranks only whom it may address; both campaigns have one destination.
                why = reason(world, spec, world.people[profile], over)
                assert told == ("no" if why else "yes", why)
                seen.add((arms[profile], why))
        for person in rng.sample(sorted(world.people.values(), key=lambda p: p.profile_id), 50):
            person.segments = {s for s in ("hot", "lost") if rng.random() < 0.6}
            person.consent = rng.choice(["granted", "granted", "withdrawn", None])
            person.excluded = rng.random() < 0.1
    # Every reason was met in more than one arm, or the test would show little.
    for why in ("", "left_segment", "consent_withdrawn", "excluded", "no_consent", "outranked"):
        assert len({arm for arm, found in seen if found == why}) >= 2, why


def test_a_decision_is_logged_once_until_it_changes(world, engine):
    populate(world, 40, ("hot", "lost"), random.Random(1))
    engine.sync()
    first = engine.log()
    assert {row["decision"] for row in first} == {"yes"}
    for _ in range(2):
        engine.sync()
        assert engine.log() == first


def test_it_is_written_before_the_first_push_and_never_by_delivery(tmp_path):
    logs = []
    for number, faults in enumerate(
        [Faults(), Faults(refuse=1.0), Faults(lost_before=1.0), Faults(killed_before=1.0)]
    ):
        world = World(Vendor(max_batch=50), campaigns=[campaign("first", "hot", **ARMS)])
        populate(world, 60, ("hot",), random.Random(2))
        engine = Holding(tmp_path / str(number), world)
        world.vendor.faults = faults
        try:
            engine.sync()
        except Killed:
            engine.restart()
        logs.append([{**row, "run_id": ""} for row in engine.log()])
        engine.close()
    assert len(logs[0]) > 20
    assert logs == [logs[0]] * 4


def test_a_plan_that_is_carried_out_again_adds_nothing(world, engine):
    populate(world, 40, ("hot", "lost"), random.Random(1))
    plan = engine.plan()
    world.vendor.faults = Faults(killed_before=1.0)
    with pytest.raises(Killed):
        engine.apply(plan)
    once = engine.log()
    engine.restart()
    world.vendor.faults = Faults()
    engine.apply(plan)
    assert once
    assert engine.log() == once
    assert {row["at"] for row in once} == {utc_text(plan.header.created_at)}


def test_a_run_that_a_guard_holds_decides_nothing(world, engine):
    populate(world, 40, ("hot", "lost"), random.Random(1))
    limits = dataclasses.replace(NO_GUARDS, first_sync_needs_approval=True)
    assert engine.apply(engine.plan(limits), limits).status == "held"
    assert engine.log() == []


def test_a_budget_stops_holdouts_where_it_stops_the_treated(tmp_path):
    spec = dataclasses.replace(
        campaign("first", "hot", **ARMS),
        cost_per_contact=1.0,
        budget_per_run=10.0,
        rank_by='"score_vendor"',
    )
    world = World(Vendor(max_batch=50), campaigns=[spec])
    engine = Holding(tmp_path, world)
    engine.rations = (Ration(10.0, ("first",)),)
    populate(world, 160, ("hot",), random.Random(4))
    sent: set[str] = set()
    waiting_of: dict[str, int] = dict.fromkeys(ARMS, 0)
    for _ in range(3):
        engine.sync()
        people = world.eligible(spec)
        order = sorted(people, key=lambda p: (-p.score, p.profile_id))
        treated = [p for p in order if world.draw(spec, p) is Arm.TREATMENT]
        reached = [p for p in treated if p.profile_id not in sent][:10]
        # The line is drawn by the treated, and holds for everybody who stands in the ranking.
        line = treated[treated.index(reached[-1]) + 1]
        above = {p.profile_id for p in order[: order.index(line)]}
        sent |= above
        last = engine.last("first")
        assert {p for p, (decision, _) in last.items() if decision == "yes"} == sent
        assert {why for _, why in last.values()} == {"", "over_budget"}
        for profile, (_, why) in last.items():
            waiting_of[engine.arms("first")[profile]] += why == "over_budget"
        # And for the treated it is what truly happened.
        assert {p.profile_id for p in treated} & sent == {
            p.profile_id
            for p in treated
            if "first_offer" in world.vendor.by_email(str(p.email)).properties
        }
    assert min(waiting_of.values()) > 5
    engine.close()


def test_relabelled_arms_change_no_decision(world, engine):
    """Metamorphic: the rule is asked again about the same people with their arms exchanged."""
    engine.priority = (PriorityList("one", ("hot", "lost")),)
    engine.global_holdout = (EVERYONE, 0.2)
    populate(world, 120, ("hot", "lost"), random.Random(5))
    engine.sync()
    for person in list(world.people.values())[::3]:
        person.consent = "withdrawn"
    engine.plan()
    read = "SELECT campaign, epoch, profile_id, decision, reason FROM would_send ORDER BY ALL"
    told = engine.con.execute(read).fetchall()
    for relation in ("arms", "st_assignments"):
        engine.con.execute(
            f"UPDATE {relation} SET arm = CASE arm WHEN 'treatment' THEN 'no_contact'"
            " WHEN 'no_contact' THEN 'treatment' ELSE arm END"
        )
    sends.build_would_send(engine.con, world.campaigns, global_holdout=EVERYONE)
    assert len(told) > 20
    assert engine.con.execute(read).fetchall() == told


def test_the_global_holdout_would_have_been_sent_what_the_others_are(world, engine):
    engine.global_holdout = (EVERYONE, 0.3)
    populate(world, 120, ("hot", "lost"), random.Random(6))
    engine.sync()
    arms, last = engine.arms(EVERYONE), engine.last(EVERYONE)
    assert set(arms.values()) == {"treatment", "no_contact"}
    assert set(last) == set(arms)
    assert set(last.values()) == {("yes", "")}
    gone = sorted(arms)[::4]
    for profile in gone:
        world.people[profile].segments.clear()
    engine.sync()
    last = engine.last(EVERYONE)
    assert {profile for profile, told in last.items() if told == ("no", "left_segment")} == set(
        gone
    )
    assert {arms[profile] for profile in gone} == {"treatment", "no_contact"}


def test_a_global_holdout_that_ends_releases_its_people(world, engine):
    populate(world, 120, ("hot", "lost"), random.Random(6))
    engine.global_holdout = (EVERYONE, 0.3)
    engine.sync()
    held = {p for p, arm in engine.arms(EVERYONE).items() if arm == "no_contact"}
    assert len(held) > 15
    assert not held & {p for spec in world.campaigns for p in engine.arms(spec.name)}
    engine.global_holdout = None
    engine.sync()
    for spec in world.campaigns:
        # Now all are drawn, by the campaign's own shares and as the hash would have it.
        assert engine.arms(spec.name) == {
            p.profile_id: world.draw(spec, p).value for p in world.eligible(spec)
        }
    assert held & {p for spec in world.campaigns for p in engine.arms(spec.name)}
    # The log of the holdout that ended stays as it was.
    assert {p for p, arm in engine.arms(EVERYONE).items() if arm == "no_contact"} == held


def test_one_record_of_two_people_is_decided_without_their_arms(tmp_path):
    # Two assigned people turn out to be one record: which of them stays depends on their arms.
    spec = campaign("first", "hot", **ARMS)
    world = World(Vendor(max_batch=50), campaigns=[spec])
    engine = Holding(tmp_path, world)
    for i in range(40):
        person = Person(f"p{i:03d}", f"p{i}@example.com", segments={"hot"})
        world.people[person.profile_id] = person
        world.vendor.add_contact(str(person.email))
    engine.sync()
    arms = engine.arms("first")
    treated, held = (
        next(p for p, arm in sorted(arms.items()) if arm == wanted)
        for wanted in ("treatment", "no_contact")
    )
    emails = [str(world.people[p].email) for p in (treated, held)]
    old = world.vendor.by_email(emails[0])
    world.vendor.by_email(emails[1]).emails |= old.emails
    world.vendor.delete_contact(old.record_id)
    with engine.state.engine.begin() as connection:
        connection.execute(
            sa.update(schema.records)
            .where(schema.records.c.profile_id == treated)
            .values(record_id=world.vendor.by_email(emails[1]).record_id)
        )
    engine.sync()
    blocked = engine.con.execute(
        "SELECT profile_id, blocked FROM candidates WHERE blocked IS NOT NULL"
    ).fetchall()
    assert blocked == [(treated, "same_vendor_record")]
    assert {engine.last("first")[p] for p in (treated, held)} == {("yes", "")}
    engine.close()


def test_a_plan_of_an_older_version_is_made_anew(world, engine):
    populate(world, 20, ("hot", "lost"), random.Random(1))
    plan = engine.plan()
    (plan.folder / "would_send.parquet").unlink()
    with pytest.raises(PlanError, match=r"has no would_send\.parquet"):
        engine.apply(plan)
    assert engine.log() == []
