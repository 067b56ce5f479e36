"""Laws of planning and pushing, on a small vendor that is addressed by record ids."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from connector.domain import Arm, Kind, Outcome
from connector.errors import TransientError
from connector.plan.summary import GuardLimits
from tests.laws.world import Engine, Faults, Killed, Person, Vendor, World, campaign


@pytest.fixture
def world() -> World:
    world = World(Vendor())
    for i in range(40):
        email = f"c{i}@example.com"
        world.people[f"p{i}"] = Person(f"p{i}", email, segments={"lost"}, score=i)
        world.vendor.add_contact(email)
    return world


@pytest.fixture
def engine(tmp_path: Path, world: World) -> Iterator[Engine]:
    engine = Engine(tmp_path, world)
    yield engine
    engine.close()


def emails(world: World, name: str) -> set[str]:
    return {
        email
        for record_id in world.vendor.members_of(name)
        for email in world.vendor.contacts[record_id].emails
    }


def test_plan_after_apply_is_empty(engine: Engine, world: World) -> None:
    report = engine.sync()
    assert report.status == "succeeded"
    assert engine.plan().header.n_changes == 0


def test_the_treatment_list_holds_exactly_the_treatment_arm(engine: Engine, world: World) -> None:
    engine.sync()
    spec = world.campaigns[0]
    assert emails(world, "world | winback") == world.expected_members(spec, Arm.TREATMENT)
    held = world.expected_members(spec, Arm.NO_CONTACT)
    assert held
    for email in held:
        assert world.vendor.by_email(email).properties == {}


def test_pushing_twice_is_pushing_once(engine: Engine, world: World) -> None:
    engine.sync()
    lists = {k: (n, set(m)) for k, (n, m) in world.vendor.lists.items()}
    contacts = {k: dict(c.properties) for k, c in world.vendor.contacts.items()}
    calls = world.vendor.calls
    report = engine.sync()
    assert report.status == "succeeded"
    assert world.vendor.calls == calls
    assert world.vendor.lists == lists
    assert {k: c.properties for k, c in world.vendor.contacts.items()} == contacts


def test_withdrawn_consent_leaves_even_while_guards_hold_the_rest(
    engine: Engine, world: World
) -> None:
    engine.sync()
    spec = world.campaigns[0]
    treated = sorted(world.expected_members(spec, Arm.TREATMENT))
    person = next(p for p in world.people.values() if p.email == treated[0])
    person.consent = "withdrawn"
    for p in list(world.people.values()):
        if p is not person:
            p.segments = set()
    plan = engine.plan(GuardLimits())
    assert {g.name for g in plan.header.guards} >= {"removals_above"}
    report = engine.apply(plan, limits=GuardLimits())
    assert report.status == "held"
    assert emails(world, "world | winback") == set(treated[1:])
    assert world.vendor.by_email(treated[0]).properties == {}


def test_vanished_consent_rows_are_no_withdrawal(engine: Engine, world: World) -> None:
    engine.sync()
    before = emails(world, "world | winback")
    for p in world.people.values():
        p.consent = None
    plan = engine.plan(GuardLimits())
    assert {g.name for g in plan.header.guards} == {"removals_above"}
    engine.apply(plan, limits=GuardLimits())
    assert emails(world, "world | winback") == before


def test_one_poison_record_does_not_stop_the_others(engine: Engine, world: World) -> None:
    treated = sorted(world.expected_members(world.campaigns[0], Arm.TREATMENT))
    world.vendor.faults = Faults(poison=frozenset(treated[:1]))
    report = engine.sync()
    assert report.status == "partial"
    assert report.destinations[0].count(Outcome.REJECTED) == 1
    for email in treated[1:]:
        assert world.vendor.by_email(email).properties["winback_offer"] == "15_percent"
    assert engine.plan().header.n_changes == 0
    poisoned = next(p for p in world.people.values() if p.email == treated[0])
    poisoned.score += 1000
    world.vendor.pushed.clear()
    plan = engine.plan()
    assert plan.header.n_changes == 1
    world.vendor.faults = Faults()
    engine.apply(plan)
    assert [(kind, who) for kind, _, who in world.vendor.pushed] == [
        (Kind.RECORD, poisoned.profile_id)
    ]


def test_when_nobody_gets_through_nobody_is_booked_as_rejected(
    engine: Engine, world: World
) -> None:
    world.vendor.faults = Faults(
        poison=frozenset(p.email for p in world.people.values() if p.email)
    )
    report = engine.sync()
    assert report.status == "partial"
    assert report.destinations[0].count(Outcome.REJECTED) == 0
    assert "none of a batch" in str(report.errors[0])
    world.vendor.faults = Faults()
    assert engine.sync().status == "succeeded"
    assert emails(world, "world | winback") == world.expected_members(
        world.campaigns[0], Arm.TREATMENT
    )


def test_a_single_batch_without_an_answer_is_no_success(engine: Engine, world: World) -> None:
    engine.sync()
    for p in list(world.people.values())[:3]:
        p.score += 1
    world.vendor.faults = Faults(lost_before=1.0)
    report = engine.sync()
    assert report.status == "partial"
    assert [error.exit_code for error in report.errors] == [TransientError.exit_code]
    world.vendor.faults = Faults()
    assert engine.sync().status == "succeeded"


def test_foreign_members_of_an_adopted_list_are_never_removed(engine: Engine, world: World) -> None:
    ours = sorted(world.expected_members(world.campaigns[0], Arm.TREATMENT))
    stranger = world.vendor.add_contact("stranger@example.org")
    both = world.vendor.by_email(ours[0]).record_id
    audience = world.vendor.ensure_audience("world | winback")
    world.vendor.lists[audience.audience_id][1].update({stranger, both})
    plan = engine.plan()
    assert [a.status for a in plan.header.audiences if a.arm == "treatment"] == ["adopted"]
    engine.apply(plan)
    for p in world.people.values():
        p.segments = set()
    engine.sync()
    assert world.vendor.members_of("world | winback") == {stranger, both}


def test_a_changed_address_moves_the_membership(engine: Engine, world: World) -> None:
    engine.sync()
    email = sorted(world.expected_members(world.campaigns[0], Arm.TREATMENT))[0]
    person = next(p for p in world.people.values() if p.email == email)
    world.vendor.add_contact("new@example.com")
    person.email = "new@example.com"
    engine.sync()
    assert "new@example.com" in emails(world, "world | winback")
    assert email not in emails(world, "world | winback")
    assert world.vendor.by_email(email).properties == {}
    assert engine.plan().header.n_changes == 0


def test_a_second_address_of_the_same_vendor_record_keeps_the_membership(
    engine: Engine, world: World
) -> None:
    engine.sync()
    email = sorted(world.expected_members(world.campaigns[0], Arm.TREATMENT))[0]
    person = next(p for p in world.people.values() if p.email == email)
    world.vendor.by_email(email).emails.add("second@example.com")
    person.email = "second@example.com"
    engine.sync()
    assert "second@example.com" in emails(world, "world | winback")
    assert engine.plan().header.n_changes == 0
    person.segments = set()
    engine.sync()
    assert "second@example.com" not in emails(world, "world | winback")


def test_two_profiles_that_are_one_vendor_record_are_never_pushed_twice(
    engine: Engine, world: World
) -> None:
    record = world.vendor.by_email("c1@example.com")
    world.vendor.delete_contact(world.vendor.by_email("c2@example.com").record_id)
    record.emails.add("c2@example.com")
    plan = engine.plan()
    blocked = plan.header.campaigns[0].blocked
    assert blocked == {"same_vendor_record": 1}
    engine.apply(plan)
    assert {who for _, _, who in world.vendor.pushed} & {"p1", "p2"} <= {"p1"}


def test_a_deleted_list_asks_before_it_is_built_anew(engine: Engine, world: World) -> None:
    engine.sync()
    world.vendor.lists.clear()
    plan = engine.plan(GuardLimits())
    assert {g.name for g in plan.header.guards} == {"deleted_list"}
    assert engine.apply(plan, limits=GuardLimits()).status == "held"
    assert world.vendor.lists == {}
    report = engine.apply(
        engine.plan(GuardLimits()), limits=GuardLimits(), approved={"deleted_list"}, approver="me"
    )
    assert report.status == "succeeded"
    assert emails(world, "world | winback") == world.expected_members(
        world.campaigns[0], Arm.TREATMENT
    )


def test_permission_lost_after_the_plan_is_respected(engine: Engine, world: World) -> None:
    plan = engine.plan()
    treated = sorted(world.expected_members(world.campaigns[0], Arm.TREATMENT))
    person = next(p for p in world.people.values() if p.email == treated[0])
    report = engine.apply(plan, no_longer_permitted={"vendor": {person.profile_id}})
    assert emails(world, "world | winback") == set(treated[1:])
    assert report.destinations[0].count("skipped") == 2


def test_changes_whose_ledger_row_has_moved_are_skipped(engine: Engine, world: World) -> None:
    first, second = engine.plan(), engine.plan()
    engine.apply(first)
    calls = world.vendor.calls
    report = engine.apply(second)
    assert world.vendor.calls == calls
    assert report.destinations[0].count("skipped") == second.header.n_changes


def test_a_person_on_two_campaigns_leaves_only_the_list_whose_claim_ends(tmp_path: Path) -> None:
    world = World(
        Vendor(), campaigns=[campaign("a", "x", treatment=1.0), campaign("b", "y", treatment=1.0)]
    )
    engine = Engine(tmp_path, world)
    world.people["p"] = Person("p", "p@example.com", segments={"x", "y"})
    world.vendor.add_contact("p@example.com")
    engine.sync()
    world.people["p"].segments = {"y"}
    engine.sync()
    assert emails(world, "world | a") == set()
    assert emails(world, "world | b") == {"p@example.com"}
    assert world.vendor.by_email("p@example.com").properties == {
        "score": 0,
        "b_offer": "15_percent",
    }
    engine.close()


def test_creating_is_for_members_only(tmp_path: Path) -> None:
    world = World(Vendor(creates=True))
    engine = Engine(tmp_path, world)
    for i in range(20):
        world.people[f"p{i}"] = Person(
            f"p{i}", f"c{i}@example.com", segments={"lost"} if i < 10 else set()
        )
    plan = engine.plan()
    wanted = world.expected_members(world.campaigns[0], Arm.TREATMENT)
    assert plan.header.records[0].creates == len(wanted)
    engine.apply(plan)
    assert {e for c in world.vendor.contacts.values() for e in c.emails} == wanted
    assert engine.plan().header.n_changes == 0
    engine.close()


def test_killed_in_the_middle_the_next_run_takes_it_up(engine: Engine, world: World) -> None:
    world.vendor.faults = Faults(killed_after=1.0)
    with pytest.raises(Killed):
        engine.sync()
    for p in world.people.values():
        p.segments = set()
    world.vendor.faults = Faults()
    engine.sync()
    assert emails(world, "world | winback") == set()
