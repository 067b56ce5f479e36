"""Random walks with heavy faults: whatever happens, once the faults end nobody is stranded.

Every step changes the world (consent, segments, addresses, merges, shares, contacts and lists at
the vendor) and runs the engine against a vendor that refuses, loses requests before and after
carrying them out, defers records, and kills us. Then the faults end, two clean runs follow, and the
vendor must look exactly as the oracle says; a third run has nothing to do.
"""

from __future__ import annotations

import dataclasses
import os
import random
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import pytest

from connector.domain import Arm
from connector.errors import LedgerError
from tests.laws.world import Engine, Faults, Killed, Person, Vendor, World, campaign

N_WALKS = int(os.environ.get("LIFTLINE_WALKS", "2000"))
TOGETHER = 20
"""Walks that share one engine: statements cost more than rows. Each has a vendor, people and
campaigns of its own.
"""
CHUNKS = 20
STEPS = 4
PEOPLE = 12
SELDOM = timedelta(minutes=5)
"""Age of a list's last reading after which half of the worlds read it again, the others in every
run; two runs of a walk are two minutes apart.
"""


def test_walks_are_reproducible(tmp_path: Path) -> None:
    assert walk(tmp_path / "a", range(5)) == walk(tmp_path / "b", range(5))


@pytest.mark.slow
@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_no_walk_strands_anybody(tmp_path: Path, chunk: int) -> None:
    for start in range(chunk * TOGETHER, N_WALKS, CHUNKS * TOGETHER):
        walk(tmp_path / str(start), range(start, min(start + TOGETHER, N_WALKS)))


def walk(folder: Path, seeds: Sequence[int]) -> list[dict[str, set[str]]]:
    """Walks side by side; returns the final lists of each."""
    folder.mkdir()
    worlds = [_world(seed) for seed in seeds]
    rngs = [random.Random(-1 - seed) for seed in seeds]
    engine = Engine(folder, *worlds)
    try:
        for _ in range(STEPS):
            # A kill ends the run of all, so each run has at most one vendor that kills.
            killer = rngs[0].choice([None, *worlds])
            for world, rng in zip(worlds, rngs, strict=True):
                _disturb(world, rng)
                world.vendor.faults = _faults(world, rng, kills=world is killer)
            try:
                engine.sync()
            except Killed:
                engine.restart()
        for world in worlds:
            world.vendor.faults = Faults()
            _unblock(world)
        engine.now += SELDOM
        for _ in range(2):
            engine.sync()
        for world in worlds:
            _check(engine, world)
        assert engine.plan().header.n_changes == 0
        return [dict(world.vendor.lists.values()) for world in worlds]
    finally:
        engine.close()


def _world(seed: int) -> World:
    rng = random.Random(seed)
    name = f"v{seed}"
    vendor = Vendor(
        name=name, seed=seed, creates=rng.random() < 0.3, max_batch=rng.choice([2, 3, 5])
    )
    world = World(
        vendor,
        reconcile_every=rng.choice([timedelta(0), SELDOM]),
        campaigns=[
            campaign(f"winback_{name}", f"lost_{name}", name),
            campaign(
                f"vip_{name}",
                f"best_{name}",
                name,
                treatment=0.8,
                business_as_usual=0.1,
                no_contact=0.1,
            ),
        ],
    )
    for i in range(PEOPLE):
        _newcomer(world, rng, i)
    if rng.random() < 0.3:
        stranger = vendor.add_contact(f"stranger-{name}@example.org")
        some = vendor.by_email(f"c0-{name}@example.com")
        list_name = world.campaigns[0].lists[0].name
        members = vendor.lists[vendor.ensure_audience(list_name).audience_id][1]
        members.update({stranger} | ({some.record_id} if some else set()))
        world.foreign[list_name] = set(members)
    return world


def _newcomer(world: World, rng: random.Random, i: int) -> None:
    name = world.vendor.name
    email = f"c{i}-{name}@example.com"
    world.people[f"p{i:02}-{name}"] = Person(
        f"p{i:02}-{name}",
        email,
        consent=rng.choice(["granted", "granted", "granted", "withdrawn", None]),
        segments={f"{s}_{name}" for s in ("lost", "best") if rng.random() < 0.6},
        score=rng.randrange(3),
    )
    if rng.random() < 0.85:
        world.vendor.add_contact(email)


def _disturb(world: World, rng: random.Random) -> None:
    people = list(world.people.values())
    for person in people:
        draw = rng.random()
        if draw < 0.08:
            person.consent = rng.choice(["granted", "withdrawn", None])
        elif draw < 0.24:
            person.segments ^= {rng.choice(["lost", "best"]) + f"_{world.vendor.name}"}
        elif draw < 0.32:
            person.score += 1
        elif draw < 0.36:
            person.excluded = not person.excluded
        elif draw < 0.40:
            person.email = f"{person.profile_id}-{rng.randrange(10**6)}@example.com"
            if rng.random() < 0.8:
                world.vendor.add_contact(person.email)
    if rng.random() < 0.3 and len(world.people) > 4:
        gone, kept = rng.sample(sorted(world.people), 2)
        _merge(world, gone, kept)
    if rng.random() < 0.25 and world.vendor.contacts:
        victim = rng.choice(sorted(world.vendor.contacts))
        world.vendor.delete_contact(victim)
        for members in world.foreign.values():
            members.discard(victim)
    if rng.random() < 0.15 and world.vendor.lists:
        audience_id = rng.choice(sorted(world.vendor.lists))
        name, _ = world.vendor.lists.pop(audience_id)
        world.foreign.pop(name, None)
    if rng.random() < 0.4:
        _handle_lists(world, rng)
    if rng.random() < 0.3:
        share = rng.choice([0.5, 0.7, 0.9])
        spec = world.campaigns[0]
        world.campaigns[0] = dataclasses.replace(
            spec, shares={Arm.TREATMENT: share, Arm.NO_CONTACT: 1.0 - share}
        )
    if rng.random() < 0.1:
        world.people.pop(rng.choice(sorted(world.people)))


def _handle_lists(world: World, rng: random.Random) -> None:
    """The vendor's users take somebody off a list, and put somebody on one whom we do not know."""
    lists = sorted((name, audience_id) for audience_id, (name, _) in world.vendor.lists.items())
    for name, audience_id in lists:
        members = world.vendor.lists[audience_id][1]
        if members and rng.random() < 0.5:
            victim = rng.choice(sorted(members))
            members.discard(victim)
            world.foreign.get(name, set()).discard(victim)
        if rng.random() < 0.2:
            guest = world.vendor.add_contact(f"guest{rng.randrange(10**6)}@example.org")
            members.add(guest)
            world.foreign.setdefault(name, set()).add(guest)


def _merge(world: World, gone: str, kept: str) -> None:
    """Two profiles turn out to be one person; the survivor keeps the earlier arm."""
    person = world.people.pop(gone)
    world.people[kept].segments |= person.segments
    world.merges = [(a, kept if b == gone else b) for a, b in world.merges] + [(gone, kept)]


def _faults(world: World, rng: random.Random, *, kills: bool) -> Faults:
    addresses = [p.email for p in world.people.values() if p.email]
    return Faults(
        refuse=rng.choice([0.0, 0.1]),
        lost_before=rng.choice([0.0, 0.15]),
        lost_after=rng.choice([0.0, 0.25]),
        killed_before=0.1 if kills else 0.0,
        killed_after=0.2 if kills else 0.0,
        defer_record=rng.choice([0.0, 0.2]),
        poison=frozenset(rng.sample(addresses, k=min(len(addresses), rng.choice([0, 0, 1])))),
    )


def _unblock(world: World) -> None:
    """Rejected records are sent again only when they change; change everybody.

    The offers too: whoever is held out of one campaign has its score withheld, so a new score is no
    change to what is sent about a person who is treated in the other.
    """
    for person in world.people.values():
        person.score += 100
    world.campaigns = [
        dataclasses.replace(spec, constants=dict.fromkeys(spec.constants, "20_percent"))
        for spec in world.campaigns
    ]


def _check(engine: Engine, world: World) -> None:
    vendor = world.vendor
    logged = {
        (row["campaign"], row["epoch"], row["profile_id"]): (
            Arm(row["arm"]),
            row["first_eligible_at"],
        )
        for row in engine.state.arrow({"a": "SELECT * FROM assignments"})["a"].to_pylist()
    }
    into = dict(world.merges)
    world.arm_log = {}
    earliest: dict[tuple[str, int, str], str] = {}
    for (name, epoch, profile), (arm, at) in sorted(logged.items()):
        key = (name, epoch, into.get(profile, profile))
        if key not in earliest or at < earliest[key]:
            earliest[key] = at
            world.arm_log[key] = arm
    for spec in world.campaigns:
        for one in spec.lists:
            expected = {vendor.by_email(e).record_id for e in world.expected_members(spec, one.arm)}
            foreign = world.foreign.get(one.name, set())
            assert vendor.members_of(one.name) == expected | foreign, (spec.name, one.arm)
    for contact in vendor.contacts.values():
        owners = [p for p in world.people.values() if p.email in contact.emails]
        expected = {}
        for person in owners:
            expected |= _expected_properties(world, person)
        assert contact.properties == expected, contact.record_id


def _expected_properties(world: World, person: Person) -> dict[str, object]:
    if person.consent != "granted" or person.excluded:
        return {}
    expected: dict[str, object] = {}
    held = False
    for spec in world.campaigns:
        arm = world.arm_log.get((spec.name, spec.epoch, person.profile_id))
        if person in world.eligible(spec):
            arm = world.draw(spec, person)
            if arm is Arm.TREATMENT:
                expected |= spec.constants
        held = held or (arm is not None and arm is not Arm.TREATMENT)
    if not held:
        expected["score"] = person.score
    return expected


def test_a_second_run_is_refused_while_one_is_alive(tmp_path: Path) -> None:
    from connector.state.database import State

    first, second = State.open(tmp_path), State.open(tmp_path)
    with (
        first.lock("sync"),
        pytest.raises(LedgerError, match=r"in use by sync \(process \d+, since"),
        second.lock("plan"),
    ):
        pass
    with second.lock("plan"):
        pass
    first.close()
    second.close()
