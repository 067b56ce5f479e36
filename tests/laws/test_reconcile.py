"""Laws of reading lists again: what somebody did at a vendor is found, and mended or respected."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from connector.domain import Arm, Audience
from connector.errors import TransientError
from connector.pipeline.activate import reconciliation
from connector.plan.document import AudiencePlan, Plan
from connector.state.database import utc_text
from tests.laws.world import Engine, Faults, Person, Vendor, World, campaign

LIST = "world | winback"
WEEK = timedelta(days=7)


class Reading(Vendor):
    """A vendor that counts how often its lists are read."""

    def __init__(self) -> None:
        super().__init__()
        self.read: list[str] = []

    def members(self, audience: Audience) -> Iterator[str]:
        self.read.append(audience.name)
        return super().members(audience)


@pytest.fixture
def world() -> World:
    world = World(Reading(), reconcile_every=timedelta(0))
    for i in range(30):
        email = f"c{i}@example.com"
        world.people[f"p{i}"] = Person(f"p{i}", email, segments={"lost"}, score=i)
        world.vendor.add_contact(email)
    return world


@pytest.fixture
def engine(tmp_path: Path, world: World) -> Iterator[Engine]:
    engine = Engine(tmp_path, world)
    yield engine
    engine.close()


def treated(world: World) -> list[Person]:
    emails = world.expected_members(world.campaigns[0], Arm.TREATMENT)
    return [p for p in world.people.values() if p.email in emails]


def on_list(world: World) -> set[str]:
    """Record ids on the treatment list."""
    return world.vendor.members_of(LIST)


def members(world: World) -> set[str]:
    return next(m for name, m in world.vendor.lists.values() if name == LIST)


def record_of(world: World, person: Person) -> str:
    return world.vendor.by_email(person.email).record_id


def planned(plan: Plan) -> AudiencePlan:
    return next(a for a in plan.header.audiences if a.name == LIST)


def test_whoever_was_taken_off_by_hand_is_told_and_added_again(
    engine: Engine, world: World
) -> None:
    engine.sync()
    gone = treated(world)[:3]
    before = on_list(world)
    members(world).difference_update(record_of(world, p) for p in gone)
    plan = engine.plan()
    told = planned(plan)
    assert (told.taken_off, told.joins, told.leaves) == (3, 3, 0)
    assert told.before == len(before) - 3
    assert sum(a["taken_off"] for a in plan.header.to_json()["audiences"]) == 3
    engine.apply(plan)
    assert on_list(world) == before
    assert planned(engine.plan()).taken_off == 0
    assert engine.plan().header.n_changes == 0


def test_whoever_was_taken_off_by_hand_and_is_not_wanted_stays_off(
    engine: Engine, world: World
) -> None:
    engine.sync()
    person = treated(world)[0]
    members(world).discard(record_of(world, person))
    person.segments = set()
    plan = engine.plan()
    assert (planned(plan).taken_off, planned(plan).joins, planned(plan).leaves) == (1, 0, 0)
    engine.apply(plan)
    assert record_of(world, person) not in on_list(world)


def test_whoever_was_put_on_by_hand_is_never_taken_off(engine: Engine, world: World) -> None:
    engine.sync()
    stranger = world.vendor.add_contact("stranger@example.org")
    held = next(
        p for p in world.people.values() if world.draw(world.campaigns[0], p) is Arm.NO_CONTACT
    )
    members(world).update({stranger, record_of(world, held)})
    plan = engine.plan()
    assert (planned(plan).foreign, plan.header.n_changes) == (2, 0)
    for person in world.people.values():
        person.segments = set()
    engine.sync()
    assert on_list(world) == {stranger, record_of(world, held)}


def test_a_foreign_member_who_left_is_foreign_no_more(engine: Engine, world: World) -> None:
    person = treated(world)[0]
    audience = world.vendor.ensure_audience(LIST)
    world.vendor.lists[audience.audience_id][1].add(record_of(world, person))
    engine.sync()
    assert planned(engine.plan()).foreign == 1
    members(world).discard(record_of(world, person))
    plan = engine.plan()
    assert (planned(plan).foreign, planned(plan).taken_off, planned(plan).joins) == (0, 0, 1)
    engine.apply(plan)
    person.consent = "withdrawn"
    engine.sync()
    assert record_of(world, person) not in on_list(world)


def test_a_contact_that_was_merged_into_another_is_still_ours(engine: Engine, world: World) -> None:
    engine.sync()
    person = treated(world)[0]
    old = world.vendor.by_email(person.email)
    world.vendor.delete_contact(old.record_id)
    merged = world.vendor.add_contact("work@example.org", person.email)
    members(world).add(merged)
    plan = engine.plan()
    assert (planned(plan).taken_off, planned(plan).foreign) == (0, 0)
    engine.apply(plan)
    assert merged in on_list(world)
    assert world.vendor.contacts[merged].properties == {
        "score": person.score,
        "winback_offer": "15_percent",
    }
    person.consent = "withdrawn"
    engine.sync()
    assert merged not in on_list(world)
    assert world.vendor.contacts[merged].properties == {}


def test_a_deleted_contact_about_whom_nothing_is_written_leaves_the_ledger(
    tmp_path: Path,
) -> None:
    world = World(
        Reading(),
        campaigns=[campaign("winback", "lost", business_as_usual=1.0)],
        reconcile_every=timedelta(0),
    )
    engine = Engine(tmp_path, world)
    world.people["p"] = Person("p", "p@example.com", segments={"lost"})
    record = world.vendor.add_contact("p@example.com")
    engine.sync()
    name = "world | winback | business as usual"
    assert world.vendor.members_of(name) == {record}
    world.vendor.delete_contact(record)
    plan = engine.plan()
    assert [a.taken_off for a in plan.header.audiences if a.name == name] == [1]
    assert plan.header.campaigns[0].blocked == {"not_at_destination": 1}
    again = world.vendor.add_contact("p@example.com")
    engine.sync()
    assert world.vendor.members_of(name) == {again}
    engine.close()


@pytest.mark.parametrize("faults", [Faults(lost_before=1.0), Faults(lost_after=1.0)])
def test_the_unconfirmed_are_neither_taken_off_nor_foreign(tmp_path: Path, faults: Faults) -> None:
    # Nobody of this arm has properties, so that what is lost are memberships.
    spec = campaign("winback", "lost", business_as_usual=1.0)
    world = World(Reading(), campaigns=[spec], reconcile_every=timedelta(0))
    engine = Engine(tmp_path, world)
    for i in range(10):
        world.people[f"p{i}"] = Person(f"p{i}", f"c{i}@example.com", segments={"lost"})
        world.vendor.add_contact(f"c{i}@example.com")
    world.vendor.faults = faults
    engine.sync()
    world.vendor.faults = Faults()
    plan = engine.plan()
    told = next(a for a in plan.header.audiences if a.arm == "business_as_usual")
    assert (told.unconfirmed, told.taken_off, told.foreign) == (10, 0, 0)
    for person in world.people.values():
        person.segments = set()
    engine.sync()
    assert world.vendor.members_of(told.name) == set()
    engine.close()


@pytest.mark.parametrize(
    ("every", "days", "n_readings"),
    [(WEEK, (1, 2, 6), 0), (WEEK, (8,), 1), (WEEK, (8, 9, 16), 2), (timedelta(0), (1, 2), 2)],
)
def test_a_list_is_read_when_its_last_reading_is_too_old(
    engine: Engine, world: World, every: timedelta, days: tuple[int, ...], n_readings: int
) -> None:
    world.reconcile_every = every
    engine.sync()
    world.vendor.read.clear()
    start = engine.now
    for day in days:
        engine.now = start + timedelta(days=day)
        engine.sync()
    assert world.vendor.read.count(LIST) == n_readings


def test_never_is_never(engine: Engine, world: World) -> None:
    world.reconcile_every = None
    engine.sync()
    members(world).clear()
    world.vendor.read.clear()
    engine.now += timedelta(days=1000)
    assert planned(engine.plan()).taken_off == 0
    assert world.vendor.read == []


def test_a_list_that_was_never_read_is_read_at_once(engine: Engine, world: World) -> None:
    world.reconcile_every = timedelta(days=10_000)
    engine.sync()
    with engine.state.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE audiences SET reconciled_at = NULL")
    world.vendor.read.clear()
    engine.plan()
    assert LIST in world.vendor.read
    rows = engine.state.arrow({"a": "SELECT reconciled_at FROM audiences"})["a"].to_pylist()
    assert {row["reconciled_at"] for row in rows} == {utc_text(engine.now)}


def test_a_reading_that_breaks_off_changes_nothing(
    engine: Engine, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_: Audience) -> Iterator[str]:
        yield "r1"
        raise TransientError("time-out")

    engine.sync()
    tables = {
        name: f"SELECT * FROM {name} ORDER BY 1, 2, 3"
        for name in ("memberships", "foreign_members", "audiences")
    }
    before = engine.state.arrow(tables)
    monkeypatch.setattr(world.vendor, "members", broken)
    assert planned(engine.plan()).taken_off == 0
    assert engine.state.arrow(tables) == before
    monkeypatch.undo()
    assert engine.plan().header.n_changes == 0


def test_lists_longer_than_a_chunk_are_read_to_the_end(
    engine: Engine, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine.sync()
    before = on_list(world)
    gone = treated(world)[::2]
    strangers = {world.vendor.add_contact(f"s{i}@example.org") for i in range(11)}
    members(world).difference_update(record_of(world, p) for p in gone)
    members(world).update(strangers)
    monkeypatch.setattr(reconciliation, "ROWS_AT_ONCE", 4)
    plan = engine.plan()
    assert (planned(plan).taken_off, planned(plan).foreign) == (len(gone), 11)
    engine.apply(plan)
    assert on_list(world) == before | strangers
