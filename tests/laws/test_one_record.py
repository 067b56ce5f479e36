"""Two of our profiles that a vendor knows as one record: it writes to one person."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from connector.domain import Arm
from connector.plan.summary import GuardLimits
from connector.state import schema
from tests.laws.test_review import emails, populate, treated
from tests.laws.world import Engine, Person, Vendor, World


@pytest.fixture
def world() -> World:
    return populate(Vendor())


@pytest.fixture
def engine(tmp_path: Path, world: World) -> Iterator[Engine]:
    engine = Engine(tmp_path, world)
    yield engine
    engine.close()


def one_record(world: World) -> tuple[Person, Person]:
    """Two people of the treatment arm who are one contact at the vendor."""
    first, second = treated(world)[:2]
    vendor = world.vendor
    vendor.delete_contact(vendor.by_email(second.email).record_id)
    vendor.by_email(first.email).emails.add(second.email)
    return first, second


@pytest.mark.parametrize("who", [0, 1])
@pytest.mark.parametrize("said", ["withdrawn", "excluded"])
def test_the_no_of_either_is_heard_while_guards_hold(
    engine: Engine, world: World, who: int, said: str
) -> None:
    pair = one_record(world)
    engine.sync()
    assert {p.email for p in pair} <= emails(world)
    record = world.vendor.by_email(pair[0].email)
    assert record.properties
    if said == "withdrawn":
        pair[who].consent = "withdrawn"
    else:
        pair[who].excluded = True
    for person in world.people.values():
        if person not in pair:
            person.segments = set()
    assert engine.apply(engine.plan(GuardLimits(removals_above=0.01))).status == "held"
    assert not {p.email for p in pair} & emails(world)
    assert len(emails(world)) > 20  # the guard does hold the others
    assert record.properties == {}
    pair[who].consent, pair[who].excluded = "granted", False
    engine.sync()
    assert {p.email for p in pair} <= emails(world)


def test_a_record_of_somebody_held_out_is_treated_under_no_address(
    engine: Engine, world: World
) -> None:
    first = treated(world)[0]
    held_out = world.expected_members(world.campaigns[0], Arm.NO_CONTACT)
    spared = min((p for p in world.people.values() if p.email in held_out), key=lambda p: p.email)
    vendor = world.vendor
    engine.sync()
    assert first.email in emails(world)
    # Somebody merges the two contacts, and we come to look the spared one up again.
    vendor.delete_contact(vendor.by_email(spared.email).record_id)
    vendor.by_email(first.email).emails.add(spared.email)
    records = schema.records
    with engine.state.engine.begin() as connection:
        connection.execute(
            sa.update(records)
            .where(records.c.profile_id == spared.profile_id)
            .values(record_id=None, checked_at=None, version=records.c.version + 1)
        )
    engine.sync()
    assert emails(world) == {p.email for p in treated(world)} - {first.email}
    assert vendor.by_email(first.email).properties == {}
    assert engine.plan().header.n_changes == 0
