"""Offers never cross: nobody is ever given two, nobody held out is given any, and all is for good.

The oracle knows the rule in its own words: md5 of the salt, the campaign, the epoch, the person and
``offer``; shares laid in the order of the offers' names; the log wins, and a merge keeps the
earliest assignment with its offer.
"""

from __future__ import annotations

import dataclasses
import hashlib
import random
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from scipy import stats

from connector.audiences.rationing import Ration
from connector.audiences.specs import CampaignSpec, ListSpec, OfferSpec
from connector.domain import Arm
from connector.errors import PlanError
from connector.holdouts import Draw, offer_bucket_of, offer_of
from connector.pipeline.activate.activation import Activation
from connector.plan.summary import GuardLimits
from connector.state import schema
from tests.laws.test_walks import SELDOM, _disturb, _faults, _newcomer, _unblock
from tests.laws.world import SALT, Engine, Faults, Killed, Person, Vendor, World, campaign

N_WORLDS, STEPS = 16, 4


def offers(*, ten: float = 0.5, ship: float = 0.5, prices: tuple[float, float] = (1.0, 1.0)):
    return {
        "ten": OfferSpec(ten, {"code": "TEN", "percent": 10}, prices[0]),
        "ship": OfferSpec(ship, {"code": "SHIP", "percent": None}, prices[1]),
    }


def tried(name: str, segment: str, destination: str = "vendor", **shares: float) -> CampaignSpec:
    """A campaign that tries two offers; 80 % are treated unless told otherwise."""
    plain = campaign(name, segment, destination, **shares)
    lists = [
        ListSpec(destination, Arm.TREATMENT, f"world | {name} | {offer}", offer)
        for offer in offers()
    ]
    return dataclasses.replace(
        plain, constants={}, offers=offers(), lists=(*lists, *plain.lists[1:])
    )


def log_of(engine: Engine) -> list[sa.Row]:
    with engine.state.engine.connect() as connection:
        return list(connection.execute(sa.select(schema.assignments)))


def by_hand(spec: CampaignSpec, profile_id: str) -> str:
    text = f"{SALT}:{spec.name}:{spec.epoch}:{profile_id}:offer"
    point = int(hashlib.md5(text.encode()).hexdigest()[:8], 16) / 2**32
    return "ship" if point < spec.offers["ship"].share else "ten"


@pytest.fixture
def world() -> World:
    vendor = Vendor(max_batch=50)
    world = World(vendor, campaigns=[tried("winback", "lost")])
    for i in range(60):
        world.people[f"p{i:02}"] = Person(f"p{i:02}", f"p{i}@example.com", segments={"lost"})
        vendor.add_contact(f"p{i}@example.com")
    return world


@pytest.fixture
def engine(tmp_path: Path, world: World) -> Iterator[Engine]:
    engine = Engine(tmp_path, world)
    yield engine
    engine.close()


def given(world: World, offer: str) -> set[str]:
    """Addresses on an offer's list."""
    ids = world.vendor.members_of(f"world | winback | {offer}")
    return {next(iter(world.vendor.contacts[i].emails)) for i in ids}


def test_each_offer_has_its_list_and_its_properties_and_holdouts_have_none(
    engine: Engine, world: World
) -> None:
    plan = engine.plan()
    (spec,) = world.campaigns
    engine.apply(plan)
    expected: dict[str, set[str]] = {"ten": set(), "ship": set()}
    for person in world.people.values():
        contact = world.vendor.by_email(str(person.email))
        assert contact is not None
        if world.draw(spec, person) is Arm.TREATMENT:
            offer = by_hand(spec, person.profile_id)
            expected[offer].add(str(person.email))
            assert contact.properties["code"] == offer.upper()
            assert contact.properties.get("percent") == (10 if offer == "ten" else None)
        else:
            assert "code" not in contact.properties
    assert {offer: given(world, offer) for offer in expected} == expected
    assert min(map(len, expected.values())) > 10
    (found,) = plan.header.campaigns
    assert found.offers == {offer: len(people) for offer, people in sorted(expected.items())}
    assert found.cost == sum(map(len, expected.values()))
    logged = {row.profile_id: row.offer for row in log_of(engine) if row.arm == "treatment"}
    assert logged == {
        p.profile_id: offer
        for offer, people in expected.items()
        for p in world.people.values()
        if p.email in people
    }
    assert all(row.offer is None for row in log_of(engine) if row.arm != "treatment")
    assert engine.plan().header.n_changes == 0


def test_the_log_wins_and_new_shares_are_for_newcomers(engine: Engine, world: World) -> None:
    engine.sync()
    before = {offer: given(world, offer) for offer in offers()}
    # Nobody new gets ten any more; whoever has it keeps it.
    world.campaigns = [
        dataclasses.replace(one, offers=offers(ten=0.0, ship=1.0)) for one in world.campaigns
    ]
    for i in range(60, 90):
        world.people[f"p{i}"] = Person(f"p{i}", f"p{i}@example.com", segments={"lost"})
        world.vendor.add_contact(f"p{i}@example.com")
    engine.sync()
    assert given(world, "ten") == before["ten"]
    assert given(world, "ship") > before["ship"]
    # Somebody who leaves and comes back has the same offer.
    person = next(p for p in world.people.values() if p.email in before["ten"])
    person.segments.clear()
    engine.sync()
    assert person.email not in given(world, "ten")
    person.segments.add("lost")
    engine.sync()
    assert given(world, "ten") == before["ten"]


def test_a_merge_keeps_the_earliest_offer_and_holdouts_stay_without(
    engine: Engine, world: World
) -> None:
    engine.sync()
    late = [Person(f"q{i}", f"q{i}@example.com", segments={"lost"}) for i in range(40)]
    for person in late:
        world.people[person.profile_id] = person
        world.vendor.add_contact(str(person.email))
    engine.sync()
    log = {row.profile_id: row for row in log_of(engine)}
    kinds = [("treatment", "ten"), ("treatment", "ship"), ("no_contact", None)]
    pairs = []
    for first in kinds:
        for second in kinds:
            gone = next(
                p for p in sorted(world.people) if p < "q" and (log[p].arm, log[p].offer) == first
            )
            kept = next(p for p in sorted(log) if p >= "q" and (log[p].arm, log[p].offer) == second)
            world.people.pop(gone)
            # The survivor goes on under its own address, with what the earlier one was given.
            pairs.append((gone, world.people[kept]))
            world.merges.append((gone, kept))
            log.pop(kept)
    engine.sync()
    for gone, person in pairs:
        for offer in offers():
            assert (person.email in given(world, offer)) is (log[gone].offer == offer), gone


def test_what_the_log_contradicts_is_refused(engine: Engine, world: World) -> None:
    (spec,) = world.campaigns
    engine.sync()
    world.campaigns = [dataclasses.replace(spec, offers={"ship": offers()["ship"]})]
    with pytest.raises(PlanError, match="were given 'ten', which the file does not name"):
        engine.plan()
    plain = campaign("winback", "lost")
    world.campaigns = [plain]
    with pytest.raises(PlanError, match="were given"):
        engine.plan()
    world.campaigns = [dataclasses.replace(plain, epoch=2)]
    engine.sync()
    world.campaigns = [dataclasses.replace(spec, epoch=2)]
    with pytest.raises(PlanError, match="are treated without an offer") as caught:
        engine.plan()
    assert "epoch" in caught.value.hint
    world.campaigns = [dataclasses.replace(spec, epoch=3)]
    engine.sync()
    assert {row.offer for row in log_of(engine) if row.epoch == 3} == {"ten", "ship", None}


def test_a_budget_counts_each_offer_at_its_own_price(
    tmp_path: Path, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = dataclasses.replace(
        world.campaigns[0],
        offers=offers(prices=(1.0, 3.0)),
        rank_by='"score_vendor"',
        shares={Arm.TREATMENT: 1.0},
    )
    world.campaigns = [spec]
    for i, person in enumerate(world.people.values()):
        person.score = 1000 - i
    plain = Engine.activation

    def rationed(self: Engine, limits: GuardLimits) -> Activation:
        return dataclasses.replace(plain(self, limits), rations=[Ration(40.0, ("winback",))])

    monkeypatch.setattr(Engine, "activation", rationed)
    engine = Engine(tmp_path, world)
    left, expected = 40.0, {}
    for name, person in world.people.items():  # best first
        price = 3.0 if by_hand(spec, name) == "ship" else 1.0
        if price > left:
            break
        left -= price
        expected[str(person.email)] = by_hand(spec, name)
    plan = engine.plan()
    engine.apply(plan)
    assert given(world, "ten") | given(world, "ship") == set(expected)
    assert plan.header.campaigns[0].cost == 40.0 - left
    # Who waits keeps the offer, and has it when the money is there.
    assert sum(row.offer is not None for row in log_of(engine)) == 60
    engine.close()


def test_offers_are_drawn_evenly_and_know_nothing_of_arms_or_of_other_campaigns() -> None:
    shares = {"a": 0.25, "b": 0.75}
    draws = [Draw("one", 1, {Arm.TREATMENT: 1.0}, shares), Draw("two", 1, {}, shares)]
    found = [
        [offer_of(offer_bucket_of(SALT, d.campaign, 1, f"p{i}"), shares) for i in range(20_000)]
        for d in draws
    ]
    assert stats.binomtest(found[0].count("a"), 20_000, 0.25).pvalue > 0.001
    both = sum(x == y == "a" for x, y in zip(*found, strict=True))
    assert stats.binomtest(both, 20_000, 0.0625).pvalue > 0.001
    from connector.holdouts import bucket_of

    low = [bucket_of(SALT, "one", 1, f"p{i}") < 2**31 for i in range(20_000)]
    low_a = sum(x and y == "a" for x, y in zip(low, found[0], strict=True))
    assert stats.binomtest(low_a, 20_000, 0.125).pvalue > 0.001


def test_walks_never_cross_offers(tmp_path: Path) -> None:
    """Faults, kills, merges and new shares: at every step nobody is given what is not theirs."""
    worlds = [_walking(seed) for seed in range(N_WORLDS)]
    rngs = [random.Random(-7 - seed) for seed in range(N_WORLDS)]
    engine = Engine(tmp_path, *worlds)
    try:
        for _ in range(STEPS):
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
            # What was rejected is sent again once it changes, of those without a score as well.
            world.campaigns = [
                dataclasses.replace(
                    spec,
                    offers={
                        name: dataclasses.replace(one, constants={**one.constants, "percent": 20})
                        for name, one in spec.offers.items()
                    },
                )
                for spec in world.campaigns
            ]
        engine.now += SELDOM
        for _ in range(2):
            engine.sync()
        for world in worlds:
            _check_offers(engine, world)
        assert engine.plan().header.n_changes == 0
    finally:
        engine.close()


def _walking(seed: int) -> World:
    rng = random.Random(seed)
    name = f"v{seed}"
    world = World(
        Vendor(name=name, seed=seed, max_batch=3),
        reconcile_every=timedelta(0),
        campaigns=[tried(f"winback_{name}", f"lost_{name}", name)],
    )
    for i in range(12):
        _newcomer(world, rng, i)
    return world


def _check_offers(engine: Engine, world: World) -> None:
    """Every list holds those whose earliest assignment says so, and nobody else of ours."""
    (spec,) = world.campaigns
    into = dict(world.merges)
    earliest: dict[str, tuple[str, str, str, str | None]] = {}
    for row in log_of(engine):
        if row.campaign == spec.name:
            assert (row.offer is not None) is (row.arm == "treatment")
            now = into.get(row.profile_id, row.profile_id)
            mine = (row.first_eligible_at, row.profile_id, row.arm, row.offer)
            earliest[now] = min(earliest.get(now, mine), mine)
    reached: list[set[str]] = []
    for offer in spec.offers:
        name = f"world | {spec.name} | {offer}"
        expected = {
            world.vendor.by_email(str(p.email)).record_id  # type: ignore[union-attr]
            for p in world.eligible(spec)
            if earliest[p.profile_id][3] == offer
        }
        members = world.vendor.members_of(name) - world.foreign.get(name, set())
        assert members == expected - world.foreign.get(name, set()), (spec.name, offer)
        reached.append(members)
        for record in expected:
            assert world.vendor.contacts[record].properties["code"] == offer.upper()
    assert not reached[0] & reached[1]
