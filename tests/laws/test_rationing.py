"""A budget goes to those who rank first: never above it, nobody better left out, nobody else hurt.

The oracle shares no code with the engine: arms by hand, a sort in Python, a count of heads.
"""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from connector.audiences.rationing import Ration
from connector.audiences.specs import CampaignSpec
from connector.domain import Arm
from connector.pipeline.activate.activation import Activation
from connector.plan.document import Plan
from connector.plan.summary import GuardLimits
from tests.laws.world import NO_GUARDS, Engine, Faults, Person, Vendor, World, campaign

RANK = '"score_vendor"'
ARMS = {"treatment": 0.6, "business_as_usual": 0.2, "no_contact": 0.2}


class Rationed(Engine):
    """The engine with budgets."""

    rations: tuple[Ration, ...] = ()

    def activation(self, limits: GuardLimits) -> Activation:
        return dataclasses.replace(super().activation(limits), rations=self.rations)


def ranked(name: str, segment: str, *, cost: float, budget: float | None = None) -> CampaignSpec:
    return dataclasses.replace(
        campaign(name, segment, **ARMS),
        cost_per_contact=cost,
        budget_per_run=budget,
        rank_by=RANK,
    )


def people(world: World, n: int, segments: set[str], *, start: int = 0) -> None:
    rng = random.Random(n + start)
    for i in range(start, start + n):
        person = Person(f"p{i:03d}", f"p{i}@example.com", segments=set(segments))
        person.score = rng.randrange(6)  # many ties
        world.people[person.profile_id] = person
        world.vendor.add_contact(str(person.email))


def order(world: World, spec: CampaignSpec) -> list[Person]:
    """The treatment arm, best first."""
    mine = [p for p in world.eligible(spec) if world.draw(spec, p) is Arm.TREATMENT]
    return sorted(mine, key=lambda p: (-p.score, p.profile_id))


def on_list(world: World, spec: CampaignSpec) -> set[str]:
    contacts = world.vendor.members_of(f"world | {spec.name}")
    return {p.profile_id for p in world.people.values() if known(world, p) in contacts}


def known(world: World, person: Person) -> str:
    contact = world.vendor.by_email(str(person.email))
    return contact.record_id if contact else ""


def cost_of(plan: Plan, name: str) -> float:
    return next(c.cost for c in plan.header.campaigns if c.campaign == name)


@pytest.fixture
def world() -> World:
    world = World(Vendor(), campaigns=[ranked("winback", "lost", cost=0.3, budget=2.0)])
    people(world, 30, {"lost"})
    return world


@pytest.fixture
def engine(tmp_path: Path, world: World) -> Iterator[Rationed]:
    engine = Rationed(tmp_path, world)
    engine.rations = (Ration(2.0, ("winback",)),)
    yield engine
    engine.close()


def test_each_run_takes_the_next_best_until_everybody_has_joined(world, engine):
    (spec,) = world.campaigns
    best = [p.profile_id for p in order(world, spec)]
    assert len(best) > 12
    for run in range(1, 5):
        plan = engine.plan()
        (told,) = plan.header.campaigns
        joining = min(6, max(len(best) - 6 * (run - 1), 0))  # 6 x 0.30 fit in 2.00, 7 do not
        assert told.cost == pytest.approx(0.3 * joining)
        assert told.cost <= 2.0
        assert told.blocked.get("over_budget", 0) == max(len(best) - 6 * run, 0)
        assert told.eligible == sum(told.arms.values())
        assert told.in_segment == told.eligible + sum(told.blocked.values())
        assert not plan.header.guards
        engine.apply(plan)
        assert on_list(world, spec) == set(best[: 6 * run])
    # Those who waited kept their arm all the time, and everybody else was where they belong.
    assert world.vendor.members_of("world | winback | business as usual") == {
        known(world, world.people[p.profile_id])
        for p in world.eligible(spec)
        if world.draw(spec, p) is Arm.BUSINESS_AS_USUAL
    }


def test_arms_are_drawn_as_without_a_budget(tmp_path, world, engine):
    (spec,) = world.campaigns
    plan = engine.plan()
    drawn = {
        row["profile_id"]: row["arm"]
        for row in plan.side_table("new_arms").to_pylist()
        if row["campaign"] == spec.name
    }
    assert drawn == {p.profile_id: world.draw(spec, p).value for p in world.eligible(spec)}
    (told,) = plan.header.campaigns
    assert sum(told.new_arms.values()) == len(drawn)


def test_who_waits_gets_nothing_of_the_campaign(world, engine):
    (spec,) = world.campaigns
    engine.sync()
    offered = {
        c.record_id for c in world.vendor.contacts.values() if "winback_offer" in c.properties
    }
    assert offered == {known(world, p) for p in order(world, spec)[:6]}


def test_members_stay_when_better_ones_come(world, engine):
    (spec,) = world.campaigns
    engine.sync()
    first = on_list(world, spec)
    people(world, 30, {"lost"}, start=100)
    for person in world.people.values():
        person.score = 0 if person.profile_id in first else 9
    plan = engine.plan()
    engine.apply(plan)
    assert first < on_list(world, spec)
    assert len(on_list(world, spec)) == len(first) + 6


def test_a_budget_that_reaches_everybody_changes_nothing(tmp_path, world, engine):
    (spec,) = world.campaigns
    engine.rations = (Ration(1e9, ("winback",)),)
    engine.sync()
    assert on_list(world, spec) == {p.profile_id for p in order(world, spec)}


def test_without_a_ranking_the_guard_holds_as_before(world, engine):
    engine.rations = ()
    world.campaigns[0] = dataclasses.replace(world.campaigns[0], rank_by="")
    plan = engine.plan(dataclasses.replace(NO_GUARDS))
    assert [g.name for g in plan.header.guards] == ["budget"]
    assert "over_budget" not in plan.header.campaigns[0].blocked


def test_unknown_worth_comes_last(world, engine):
    (spec,) = world.campaigns
    best = order(world, spec)
    best[0].score = None
    engine.sync()
    assert on_list(world, spec) == {p.profile_id for p in best[1:7]}


@pytest.mark.parametrize("seed", range(3))
def test_laws_hold_through_faults(tmp_path, seed):
    """Two campaigns share a budget, calls fail, people come, go and change their worth."""
    rng = random.Random(seed)
    first, second = ranked("winback", "lost", cost=0.7), ranked("vip", "loyal", cost=0.4)
    world = World(Vendor(seed=seed), campaigns=[first, second])
    people(world, 12, {"lost"})
    people(world, 12, {"loyal"}, start=50)
    people(world, 6, {"lost", "loyal"}, start=90)
    world.vendor.faults = Faults(refuse=0.1, lost_before=0.1, lost_after=0.1, defer_record=0.1)
    engine = Rationed(tmp_path, world)
    engine.rations = (Ration(3.0, ("winback", "vip"), "spring"),)
    try:
        for _ in range(5):
            for person in rng.sample(sorted(world.people.values(), key=str), 8):
                person.score = rng.randrange(6)
            waiter = rng.choice(sorted(world.people))
            world.people[waiter].segments ^= {"lost"}
            plan = engine.plan()
            again = sum(PRICES[audience] for audience, _ in _joins(plan, "unconfirmed"))
            assert sum(cost_of(plan, c.name) for c in world.campaigns) <= max(3.0, again) + 1e-9
            assert {c.shared for c in plan.header.campaigns} == {"spring"}
            _nobody_better_waits(world, plan)
            engine.apply(plan, approved={"all"}, approver="test")
        world.vendor.faults = Faults()
        for _ in range(12):
            engine.sync()
        for spec in world.campaigns:
            assert on_list(world, spec) == {p.profile_id for p in order(world, spec)}
    finally:
        engine.close()


PRICES = {"world | winback": 0.7, "world | vip": 0.4}


def _joins(plan: Plan, reason: str) -> list[tuple[str, str]]:
    """List and person of every addition of the plan to a treatment list."""
    return [
        (row["audience"], row["profile_id"])
        for row in pq.read_table(plan.changes_path).to_pylist()
        if (row["action"], row["reason"]) == ("add", reason) and row["audience"] in PRICES
    ]


def _nobody_better_waits(world: World, plan: Plan) -> None:
    """Whoever is not certain to be on the list is sent again, whatever the rank."""
    for spec in world.campaigns:
        name = f"world | {spec.name}"
        joins = {p for audience, p in _joins(plan, "joins") if audience == name}
        again = {p for audience, p in _joins(plan, "unconfirmed") if audience == name}
        there = on_list(world, spec) | again
        new = [p.profile_id for p in order(world, spec) if p.profile_id not in there]
        assert set(new[: len(joins)]) == joins
