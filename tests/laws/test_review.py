"""Cases that a hostile review found: each once left somebody stranded, or told an untruth."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from connector.domain import Arm, Audience, Change, Outcome, RecordResult
from connector.errors import PermanentError
from connector.pipeline import activate
from connector.plan.summary import GuardLimits
from tests.laws.world import Engine, Faults, Killed, Person, Vendor, World

LIST = "world | winback"


def populate(vendor: Vendor, n: int = 40) -> World:
    """People in one segment, all known to the vendor."""
    world = World(vendor)
    for i in range(n):
        email = f"c{i}@example.com"
        world.people[f"p{i}"] = Person(f"p{i}", email, segments={"lost"}, score=i)
        world.vendor.add_contact(email)
    return world


@pytest.fixture
def world() -> World:
    return populate(Vendor())


@pytest.fixture
def engine(tmp_path: Path, world: World) -> Iterator[Engine]:
    engine = Engine(tmp_path, world)
    yield engine
    engine.close()


def emails(world: World, name: str = LIST) -> set[str]:
    """Addresses of everybody on a list at the vendor."""
    return {
        email
        for record_id in world.vendor.members_of(name)
        for email in world.vendor.contacts[record_id].emails
    }


def treated(world: World) -> list[Person]:
    """The treatment arm of the first campaign, by address."""
    found = world.expected_members(world.campaigns[0], Arm.TREATMENT)
    return sorted((p for p in world.people.values() if p.email in found), key=lambda p: p.email)


# ---------------------------------------------------------------------- nobody is stranded
def test_properties_leave_with_a_person_who_changes_the_address_on_the_way(
    engine: Engine, world: World
) -> None:
    engine.sync()
    person = treated(world)[0]
    contact = world.vendor.by_email(person.email)
    contact.emails.add("second@example.com")
    person.email, person.segments = "second@example.com", set()
    engine.sync()
    assert contact.properties == {"score": person.score}
    assert contact.record_id not in world.vendor.members_of(LIST)
    assert engine.plan().header.n_changes == 0


def test_a_kill_while_a_membership_changes_its_address_strands_nobody(
    engine: Engine, world: World
) -> None:
    engine.sync()
    person = treated(world)[0]
    contact = world.vendor.by_email(person.email)
    contact.emails.add("second@example.com")
    person.email, person.score = "second@example.com", 1000
    world.vendor.faults = Faults(killed_before=1.0)
    with pytest.raises(Killed):
        engine.sync()
    engine.restart()
    world.vendor.faults = Faults()
    person.consent = "withdrawn"
    engine.sync()
    assert contact.record_id not in world.vendor.members_of(LIST)
    assert contact.properties == {}


def test_properties_that_cannot_be_cleared_keep_nobody_on_a_list(tmp_path: Path) -> None:
    class Broken(Vendor):
        is_broken = False

        def _push(self, audience: Audience | None, changes: Sequence[Change]) -> list[RecordResult]:
            if self.is_broken and audience is None:
                raise PermanentError("the property does not exist")
            return super()._push(audience, changes)

    vendor = Broken()
    world = populate(vendor)
    engine = Engine(tmp_path, world)
    engine.sync()
    vendor.is_broken = True
    person = treated(world)[0]
    person.consent = "withdrawn"
    assert engine.sync().status == "partial"
    assert person.email not in emails(world)
    engine.close()


def test_a_destination_that_leaves_the_file_does_not_stop_the_others(
    engine: Engine, world: World
) -> None:
    engine.sync()
    known = engine.activation
    other = Vendor(name="other")

    def activation(limits: GuardLimits) -> activate.Activation:
        full = known(limits)
        return dataclasses.replace(
            full,
            destinations={"other": other},
            destination_specs=[dataclasses.replace(full.destination_specs[0], name="other")],
            campaigns=[],
        )

    engine.activation = activation  # type: ignore[method-assign]
    assert engine.sync().status == "succeeded"
    engine.activation = known  # type: ignore[method-assign]
    for person in world.people.values():
        person.consent = "withdrawn"
    engine.sync()
    assert emails(world) == set()


def test_a_rejection_without_a_code_is_not_sent_again(tmp_path: Path) -> None:
    class Terse(Vendor):
        def _carry_out(self, audience: Audience | None, change: Change) -> RecordResult:
            if audience is None and change.match_value == "c0@example.com":
                return RecordResult(change.change_id, Outcome.REJECTED)
            return super()._carry_out(audience, change)

    world = populate(Terse(creates=True))
    engine = Engine(tmp_path, world)
    engine.sync()
    assert engine.plan().header.n_changes == 0
    engine.close()


def test_properties_may_have_any_name(engine: Engine, world: World) -> None:
    odd = 'a"b.c\\ü%*'
    everybody = {Arm.TREATMENT: 1.0}
    both, one = {odd: "x", "ok": "y"}, {"ok": "y"}
    spec = dataclasses.replace(world.campaigns[0], shares=everybody)
    world.campaigns[0] = dataclasses.replace(spec, constants=both)
    engine.sync()
    contact = world.vendor.by_email("c0@example.com")
    assert contact.properties == {"score": 0, **both}
    world.campaigns[0] = dataclasses.replace(spec, constants=one)
    engine.sync()
    assert contact.properties == {"score": 0, **one}
