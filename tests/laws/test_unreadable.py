"""Laws of vendors that cannot be read while planning, or that the configuration names no more."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from connector.domain import Arm
from connector.errors import (
    AdapterError,
    AuthenticationError,
    DestinationError,
    PermanentError,
    TransientError,
)
from connector.plan.document import Header, read_plan
from connector.plan.remarks import Abandoned
from tests.laws.world import Engine, Person, Vendor, World, campaign

METHODS = ("find", "find_audience", "members")


def make_world(name: str) -> World:
    world = World(Vendor(name=name), campaigns=[campaign(f"winback_{name}", f"lost_{name}", name)])
    for i in range(20):
        newcomer(world, i)
    return world


def newcomer(world: World, i: int) -> Person:
    name = world.vendor.name
    email = f"c{i}-{name}@example.com"
    person = Person(f"p{i:02}-{name}", email, segments={f"lost_{name}"}, score=i)
    world.people[person.profile_id] = person
    world.vendor.add_contact(email)
    return person


@pytest.fixture
def worlds() -> tuple[World, World]:
    return make_world("left"), make_world("right")


@pytest.fixture
def engine(tmp_path: Path, worlds: tuple[World, World]) -> Iterator[Engine]:
    engine = Engine(tmp_path, *worlds)
    yield engine
    engine.close()


def treated(world: World) -> list[Person]:
    emails = world.expected_members(world.campaigns[0], Arm.TREATMENT)
    return [p for p in world.people.values() if p.email in emails]


def on_list(world: World) -> set[str]:
    members = world.vendor.members_of(world.campaigns[0].lists[0].name)
    return {email for one in members for email in world.vendor.contacts[one].emails}


def fails(error: Exception) -> Callable[..., None]:
    def fail(*_: object) -> None:
        raise error

    return fail


def disturb(world: World) -> tuple[Person, Person, Person]:
    """Somebody withdraws, somebody leaves the segment, somebody is new."""
    withdrawn, gone = treated(world)[:2]
    withdrawn.consent, gone.segments = "withdrawn", set()
    new = next(
        person
        for i in range(100, 200)
        if world.draw(world.campaigns[0], person := newcomer(world, i)) is Arm.TREATMENT
    )
    for other in [p for p in world.people.values() if p.score >= 100 and p is not new]:
        del world.people[other.profile_id]
    return withdrawn, gone, new


def arms_of(engine: Engine, person: Person) -> int:
    rows = engine.state.arrow({"a": "SELECT profile_id FROM assignments"})["a"].to_pylist()
    return sum(row["profile_id"] == person.profile_id for row in rows)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    "error",
    [
        TransientError("time-out", hint="Wait."),
        AuthenticationError("the token was revoked", status=401),
        PermanentError("refused"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_a_vendor_that_cannot_be_read_stops_nobody_else(
    engine: Engine,
    worlds: tuple[World, World],
    monkeypatch: pytest.MonkeyPatch,
    method: str,
    error: DestinationError,
) -> None:
    left, right = worlds
    engine.sync()
    before = on_list(left)
    people = {world.vendor.name: disturb(world) for world in worlds}
    if method == "members":
        # A list of a name that is new to us, and there already: its members must be read.
        left.vendor.ensure_audience("world | other")
        one = dataclasses.replace(left.campaigns[0].lists[0], name="world | other")
        other = dataclasses.replace(left.campaigns[0], name="other_left", lists=(one,))
        left.campaigns = [*left.campaigns, other]
    monkeypatch.setattr(left.vendor, method, fails(error))
    plan = engine.plan()
    assert [(u.destination, u.exit_code, u.message, u.hint) for u in plan.header.unreadable] == [
        ("left", error.exit_code, error.message, error.hint)
    ]
    assert {a.status for a in plan.header.audiences if a.destination == "left"} == {"unreadable"}
    assert {stage for name, stage in plan.totals() if name == "left"} == {0}
    report = engine.apply(plan)
    assert report.status == "partial"
    assert [(type(e), e.exit_code) for e in report.errors] == [
        (TransientError if error.exit_code == 10 else DestinationError, error.exit_code)
    ]
    # There: the withdrawal, and nothing else; nobody new is drawn. Here: everything.
    withdrawn, gone, new = people["left"]
    assert on_list(left) == before - {withdrawn.email}
    assert left.vendor.by_email(withdrawn.email).properties == {}
    assert left.vendor.by_email(gone.email).properties != {}
    assert left.vendor.by_email(new.email).properties == {}
    assert arms_of(engine, new) == 0
    assert on_list(right) == {p.email for p in treated(right)}
    assert arms_of(engine, people["right"][2]) == 1
    monkeypatch.undo()
    left.campaigns = left.campaigns[:1]
    assert engine.sync().status == "succeeded"
    assert on_list(left) == {p.email for p in treated(left)}
    assert gone.email not in on_list(left)
    assert new.email in on_list(left)
    assert engine.plan().header.n_changes == 0


def test_when_no_vendor_can_be_read_withdrawals_go_out_all_the_same(
    engine: Engine, worlds: tuple[World, World], monkeypatch: pytest.MonkeyPatch
) -> None:
    engine.sync()
    before = {world.vendor.name: on_list(world) for world in worlds}
    people = {world.vendor.name: disturb(world)[0] for world in worlds}
    for world in worlds:
        monkeypatch.setattr(world.vendor, "find_audience", fails(TransientError("time-out")))
    plan = engine.plan()
    assert [one.destination for one in plan.header.unreadable] == ["left", "right"]
    assert {stage for _, stage in plan.totals()} == {0}
    report = engine.apply(plan)
    assert [e.exit_code for e in report.errors] == [10, 10]
    for world in worlds:
        name = world.vendor.name
        assert on_list(world) == before[name] - {people[name].email}


def test_a_list_that_cannot_be_read_again_leaves_its_destination_out(
    engine: Engine, worlds: tuple[World, World], monkeypatch: pytest.MonkeyPatch
) -> None:
    left, right = worlds
    left.reconcile_every = right.reconcile_every = timedelta(0)
    engine.sync()
    monkeypatch.setattr(left.vendor, "members", fails(PermanentError("no scope")))
    for world in worlds:
        next(m for _, m in world.vendor.lists.values() if m).pop()
    plan = engine.plan()
    taken_off = {
        (a.destination, a.taken_off) for a in plan.header.audiences if a.arm == "treatment"
    }
    assert taken_off == {("left", 0), ("right", 1)}
    assert [one.destination for one in plan.header.unreadable] == ["left"]
    assert {name for name, _ in plan.totals()} == {"right"}


def test_an_adapter_that_raises_anything_is_told_without_its_text(
    engine: Engine, worlds: tuple[World, World], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worlds[0].vendor, "find", fails(RuntimeError("c1@example.com")))
    header = engine.plan().header
    assert header.unreadable[0].exit_code == AdapterError.exit_code
    assert "RuntimeError" in header.unreadable[0].message
    assert "example.com" not in str(header.to_json()["unreadable"])


def test_an_unreadable_destination_is_kept_with_the_plan(
    engine: Engine, worlds: tuple[World, World], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worlds[0].vendor, "find", fails(AuthenticationError("revoked")))
    plan = engine.plan()
    assert read_plan(plan.folder).header == Header.from_json(plan.header.to_json())
    assert read_plan(plan.folder).header.unreadable == plan.header.unreadable
    monkeypatch.undo()
    # Readable again by now: still, nothing was planned for it, and the run says so.
    report = engine.apply(read_plan(plan.folder))
    assert [e.exit_code for e in report.errors] == [AuthenticationError.exit_code]
    assert on_list(worlds[0]) == set()
    assert on_list(worlds[1]) != set()


def test_people_at_a_destination_that_is_configured_no_more_are_told(
    engine: Engine, worlds: tuple[World, World]
) -> None:
    left, right = worlds
    engine.sync()
    assert engine.plan().header.abandoned == ()
    before, calls = on_list(left), left.vendor.calls
    engine.worlds = (right,)
    engine.load = _everybody(engine, worlds)  # type: ignore[method-assign]
    treated(left)[0].consent = "withdrawn"
    plan = engine.plan()
    (told,) = plan.header.abandoned
    written = {email for c in left.vendor.contacts.values() if c.properties for email in c.emails}
    assert (told.destination, told.people) == ("left", len(before | written))
    assert told.lists == (left.campaigns[0].lists[0].name,)
    assert f"{told.people} people" in told.message
    assert "destinations.left" in told.hint
    assert isinstance(read_plan(plan.folder).header.abandoned[0], Abandoned)
    assert read_plan(plan.folder).header.abandoned == plan.header.abandoned
    engine.apply(plan)
    assert (on_list(left), left.vendor.calls) == (before, calls)
    # Put back, everybody who is wanted no more is taken off.
    engine.worlds = worlds
    for person in left.people.values():
        person.segments = set()
    engine.sync()
    assert on_list(left) == set()


def _everybody(engine: Engine, worlds: tuple[World, World]) -> Callable[[], None]:
    """The sources hold the people of both worlds, whatever the configuration names."""
    load = engine.load

    def loaded() -> None:
        configured, engine.worlds = engine.worlds, worlds
        load()
        engine.worlds = configured

    return loaded
