"""What the README promises, tried where it was once untrue."""

from __future__ import annotations

import csv
import dataclasses
import hashlib
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from connector.domain import Arm
from connector.errors import BatchRejectedError, PermanentError, StalePlanError
from connector.pipeline.activate.activation import Activation
from connector.plan.summary import GuardLimits
from connector.state.journal import Journal
from tests.laws.test_review import emails, populate, treated
from tests.laws.world import Engine, Faults, Person, Vendor, World, campaign
from tests.pipeline.test_refusals import CONFIG, NOW, Shop

OFFER = "winback_offer"


@pytest.fixture
def world() -> World:
    return populate(Vendor())


@pytest.fixture
def engine(tmp_path: Path, world: World) -> Iterator[Engine]:
    engine = Engine(tmp_path, world)
    yield engine
    engine.close()


# ---------------------------------------------------------------------- a broken consent source
GUARDED = CONFIG.replace("source_rows_drop_above: 100%", "source_rows_drop_above: 30%")
STALE = GUARDED.replace("at: at}", "at: at}\n  freshness: {column: at, error_after: 30d}")


@pytest.fixture
def changeable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shop:
    """Forty people who all said no once, and yes later, and are on the list."""
    monkeypatch.setenv("HOLDOUT_SALT", "a-salt")
    shop = Shop(tmp_path)
    for i in range(40):
        address = f"c{i}@example.com"
        shop.customers[f"c{i}"] = (address, NOW - timedelta(days=300))
        shop.said.append((address, False, NOW - timedelta(days=200)))
        shop.said.append((address, True, NOW - timedelta(days=20)))
    return shop


def start(shop: Shop, config: str) -> set[str]:
    (shop.folder / "liftline.yaml").write_text(config)
    assert shop.sync() == "succeeded"
    assert len(shop.members()) == 40
    return shop.members()


def lose_every_yes(shop: Shop) -> None:
    shop.said = [(email, yes, at) for email, yes, at in shop.said if not yes]


def lose_the_time_of_every_yes(shop: Shop) -> None:
    shop.said = [(email, yes, None if yes else at) for email, yes, at in shop.said]


def lose_a_few(shop: Shop) -> None:
    """Twenty rows are less than is allowed; the source is 31 days old instead."""
    lost = {f"c{i}@example.com" for i in range(20)}
    shop.said = [(e, yes, at) for e, yes, at in shop.said if not (yes and e in lost)]
    shop.now += timedelta(days=11)


@pytest.mark.parametrize(
    ("config", "breaks"),
    [(GUARDED, lose_every_yes), (GUARDED, lose_the_time_of_every_yes), (STALE, lose_a_few)],
    ids=["shrunk", "unreadable", "stale"],
)
def test_an_older_no_that_comes_to_light_is_no_withdrawal(
    changeable: Shop, config: str, breaks: Callable[[Shop], None]
) -> None:
    shop = changeable
    before = start(shop, config)
    breaks(shop)
    shop.customers["late"] = ("late@example.com", shop.now)
    shop.said.append(("late@example.com", False, NOW - timedelta(days=100)))
    assert shop.sync() == "held"
    assert shop.members() == before


def test_an_older_no_leaves_with_the_approval_of_its_source(changeable: Shop) -> None:
    shop = changeable
    start(shop, GUARDED)
    lose_every_yes(shop)
    assert shop.sync("source", "removals_above") == "succeeded"
    assert shop.members() == set()


def test_a_new_no_is_heard_while_the_consent_source_is_broken(changeable: Shop) -> None:
    shop = changeable
    before = start(shop, GUARDED)
    lose_every_yes(shop)
    shop.said.append(("c7@example.com", False, shop.now))
    shop.blocked.append("c8@example.com")
    assert shop.sync() == "held"
    assert shop.members() == before - {"c7@example.com", "c8@example.com"}


def test_a_no_that_could_not_be_carried_out_is_not_doubted_later(
    engine: Engine, world: World
) -> None:
    engine.sync()
    first = engine.now - timedelta(minutes=1)
    assert Journal(engine.state).withdrawn_by() == first
    world.vendor.faults = Faults(lost_before=1.0)
    treated(world)[0].consent = "withdrawn"
    assert engine.sync().status == "partial"
    assert Journal(engine.state).withdrawn_by() == first
    world.vendor.faults = Faults()
    engine.sync()
    assert Journal(engine.state).withdrawn_by() == engine.now - timedelta(minutes=1)


# ---------------------------------------------------------------------- arms are for good
ARMS = CONFIG.replace(
    "    requires: {", "    properties: {n_orders: lifetime_orders}\n    requires: {"
).replace("arms: {treatment: 100%}", "arms: {treatment: 50%, ARM: 50%}")


def scored(shop: Shop) -> set[str]:
    with (shop.folder / "out" / "properties.csv").open(newline="") as file:
        return {row["email"] for row in csv.DictReader(file)}


def test_holdouts_get_no_scores_before_their_windows_close(changeable: Shop) -> None:
    shop = changeable
    text = ARMS.replace("ARM", "no_contact").replace("to: export,", "to: export, end: 2026-03-05,")
    (shop.folder / "liftline.yaml").write_text(text)
    shop.sync("all")
    people = {email for email, _ in shop.customers.values()}
    assert scored(shop) == shop.members()
    assert shop.members() < people
    members = shop.members()
    last = NOW.replace(month=3, day=5) + timedelta(days=60)  # the longest window of the file
    for now, expected in ((last, members), (last + timedelta(days=1), people)):
        shop.now = now
        assert shop.sync("all") == "succeeded"
        assert scored(shop) == expected
        assert shop.members() == set()


def test_whoever_gets_business_as_usual_keeps_it(changeable: Shop) -> None:
    shop, arms = changeable, "{treatment: 100%, business_as_usual: 0%}"
    text = ARMS.replace("ARM", "business_as_usual")
    (shop.folder / "liftline.yaml").write_text(text)
    shop.sync("all")
    with shop.open() as project:
        lists = {one.arm: one.before for one in project.plan().header.audiences}
    assert lists["business_as_usual"] > 10
    (shop.folder / "liftline.yaml").write_text(
        text.replace("{treatment: 50%, business_as_usual: 50%}", arms)
    )
    shop.customers["new"] = ("new@example.com", shop.now)
    shop.said.append(("new@example.com", True, shop.now))
    with shop.open() as project:
        plan = project.plan()
        header = plan.header
    assert {(one.arm, one.before, one.joins, one.leaves) for one in header.audiences} == {
        ("treatment", lists["treatment"], 1, 0),
        ("business_as_usual", lists["business_as_usual"], 0, 0),
    }


class Keeping(Engine):
    """A destination where whoever leaves keeps the properties."""

    to_holdouts = False

    def activation(self, limits: GuardLimits) -> Activation:
        known = super().activation(limits)
        specs = [
            dataclasses.replace(one, clears=False, to_holdouts=self.to_holdouts)
            for one in known.destination_specs
        ]
        return dataclasses.replace(known, destination_specs=specs)


@pytest.mark.parametrize("to_holdouts", [False, True])
@pytest.mark.parametrize("is_away", [False, True])
def test_no_other_arm_keeps_the_properties_of_the_campaign(
    tmp_path: Path, world: World, *, to_holdouts: bool, is_away: bool
) -> None:
    engine = Keeping(tmp_path, world)
    engine.to_holdouts = to_holdouts
    engine.sync()
    spec = world.campaigns[0]
    before, gone = treated(world), treated(world)[-1]
    gone.segments = set()
    if is_away:
        # The offer is kept, and a later score must not make us forget that it is there.
        for person in before:
            person.segments = set()
        engine.sync()
        for person in before:
            person.score += 1
        engine.sync()
        for person in before:
            assert world.vendor.by_email(person.email).properties == {
                "score": person.score,
                OFFER: "15_percent",
            }
            person.segments = {"lost"} if person is not gone else set()
    world.campaigns[0] = dataclasses.replace(spec, epoch=2)
    engine.sync()
    held = [p for p in before if p is not gone and p not in treated(world)]
    assert held
    for person in held:
        properties = world.vendor.by_email(person.email).properties
        assert properties == ({"score": person.score} if to_holdouts else {})
    for person in (*treated(world), gone):
        assert world.vendor.by_email(person.email).properties[OFFER] == "15_percent"
    assert engine.plan().header.n_changes == 0
    engine.close()


def test_what_is_kept_is_cleared_when_the_file_says_so_later(tmp_path: Path, world: World) -> None:
    engine = Keeping(tmp_path, world)
    engine.sync()
    person = treated(world)[0]
    person.consent = "withdrawn"
    engine.sync()
    assert world.vendor.by_email(person.email).properties[OFFER] == "15_percent"
    engine.activation = super(Keeping, engine).activation  # type: ignore[method-assign]
    engine.sync()
    assert world.vendor.by_email(person.email).properties == {}
    assert engine.plan().header.n_changes == 0
    engine.close()


# ---------------------------------------------------------------------- plans and guards
def test_a_plan_is_refused_once_a_newer_one_was_applied(engine: Engine, world: World) -> None:
    old = engine.plan()
    person = treated(world)[0]
    person.segments = set()
    engine.sync()
    with pytest.raises(StalePlanError, match=r"superseded.*liftline plan"):
        engine.apply(old)
    assert person.email not in emails(world)
    assert engine.plan().header.n_changes == 0


def test_a_held_plan_is_refused_once_a_newer_one_was_applied(engine: Engine, world: World) -> None:
    engine.sync()
    withdrawn, *others = treated(world)
    withdrawn.consent = "withdrawn"
    for person in others:
        person.segments = set()
    held = engine.plan(GuardLimits())
    assert engine.apply(held, limits=GuardLimits()).status == "held"
    for person in others:
        person.segments = {"lost"}
    engine.sync()
    with pytest.raises(StalePlanError):
        engine.apply(held, approved={"all"}, approver="test")
    assert emails(world) == {person.email for person in others}


@pytest.mark.parametrize(("consent", "held"), [(None, True), ("withdrawn", False)])
def test_too_many_cleared_properties_trip_a_guard(
    engine: Engine, world: World, *, consent: str | None, held: bool
) -> None:
    for person in world.people.values():
        person.segments = set()
    engine.sync()
    lost = [world.people[f"p{i}"] for i in range(12)]
    for person in lost:
        person.consent = consent
    plan = engine.plan(GuardLimits())
    subjects = {(guard.name, guard.subject) for guard in plan.header.guards}
    assert subjects == ({("removals_above", "vendor")} if held else set())
    engine.apply(plan, limits=GuardLimits())
    for person in lost:
        expected = {"score": person.score} if held else {}
        assert world.vendor.by_email(person.email).properties == expected


def test_a_few_cleared_properties_trip_none(engine: Engine, world: World) -> None:
    for person in world.people.values():
        person.segments = set()
    engine.sync()
    for i in range(8):
        world.people[f"p{i}"].consent = None
    assert engine.plan(GuardLimits(removals_above=0.1)).header.guards == ()
    world.people["p8"].consent = world.people["p9"].consent = None
    assert len(engine.plan(GuardLimits(removals_above=0.1)).header.guards) == 1
    assert engine.plan(GuardLimits(removals_above=0.25)).header.guards == ()


class Excluding(Engine):
    """Exclusion lists for single campaigns."""

    excluded: frozenset[tuple[str, str]] = frozenset()

    def load(self) -> None:
        super().load()
        for profile_id, name in sorted(self.excluded):
            self.con.execute("INSERT INTO exclusions VALUES (?, 'angry', ?)", [profile_id, name])


@pytest.mark.parametrize("is_member", [True, False])
def test_an_exclusion_from_one_campaign_passes_the_guards(
    tmp_path: Path, world: World, *, is_member: bool
) -> None:
    engine = Excluding(tmp_path, world)
    engine.sync()
    excluded, *others = treated(world)
    engine.excluded = frozenset({(excluded.profile_id, "winback"), ("p1", "another")})
    for person in others:
        person.segments = set()
    if not is_member:
        excluded.segments = set()
    plan = engine.plan(GuardLimits())
    assert engine.apply(plan, limits=GuardLimits()).status == "held"
    assert emails(world) == {person.email for person in others}
    engine.close()


def test_an_exclusion_from_one_of_two_campaigns_leaves_the_other_its_list(tmp_path: Path) -> None:
    both = [campaign("a", "x", treatment=1.0), campaign("b", "y", treatment=1.0)]
    shared = dataclasses.replace(both[1].lists[0], name="world | a")
    both[1] = dataclasses.replace(both[1], lists=(shared,))
    world = World(Vendor(), campaigns=both)
    engine = Excluding(tmp_path, world)
    world.people["p"] = Person("p", "p@example.com", segments={"x", "y"})
    world.vendor.add_contact("p@example.com")
    engine.sync()
    engine.excluded = frozenset({("p", "a")})
    engine.sync()
    assert emails(world, "world | a") == {"p@example.com"}
    engine.excluded = frozenset({("p", "a"), ("p", "b")})
    engine.sync()
    assert emails(world, "world | a") == set()
    engine.close()


def test_a_table_cannot_shrink_unnoticed_bit_by_bit(engine: Engine) -> None:
    journal = Journal(engine.state)
    counts = [1000, 900, 810, 729, 656, 590, 531, 478, 430]
    expected = [1000, 1000, 1000, 1000, 1000, 1000, 1000, 900, 810]
    for i, (n_rows, most) in enumerate(zip(counts, expected, strict=True)):
        now = engine.now + timedelta(days=i)
        journal.store_table_counts({"orders": n_rows}, run_id=f"run-{i}", now=now)
        assert journal.table_counts() == {"orders": most}
    # Whoever approves a run in spite of its sources takes them as they are from then on.
    now = engine.now + timedelta(days=9)
    journal.record_plan("plan-9", created_at=now, as_of=now, config_digest="c")
    journal.approve("plan-9", {"removals_above", "source"}, approver="test", now=now)
    assert journal.table_counts() == {"orders": 810}
    journal.store_table_counts({"orders": 387}, run_id="run-9", now=now)
    journal.set_plan_status("plan-9", "applied")
    assert journal.table_counts() == {"orders": 387}


# ---------------------------------------------------------------------- one bad record
def bad(person: Person) -> Faults:
    return Faults(poison=frozenset({person.email}))


def test_a_refusal_that_nothing_proves_is_booked_on_nobody(engine: Engine, world: World) -> None:
    engine.sync()
    person = treated(world)[0]
    newcomer = world.people["new"] = Person("new", "new@example.com", segments={"lost"})
    newcomer.consent = None
    person.score += 1
    world.vendor.faults = bad(person)
    for _ in range(2):
        report = engine.sync()
        assert report.status == "partial"
        assert (report.n_blocked, report.n_deferred) == (0, 1)
        assert [error.exit_code for error in report.errors] == [PermanentError.exit_code]
        assert "the only change of its kind" in str(report.errors[0])
        (issue,) = Journal(engine.state).issues(report.run_id)
        assert (issue["example"], issue["code"]) == (person.profile_id, "HTTP_400")
        assert issue["message"] == "one record is invalid"
    world.vendor.faults = Faults()
    assert engine.sync().status == "succeeded"
    assert world.vendor.by_email(person.email).properties["score"] == person.score


def test_a_refusal_stops_nobody_else_and_is_proven_by_the_others(
    engine: Engine, world: World
) -> None:
    engine.sync()
    first, *others = treated(world)
    away = [p for p in others[:3] if not p.segments.clear()]
    engine.sync()
    for person in away:
        person.segments = {"lost"}
    first.score += 1
    world.vendor.faults = bad(first)
    # Only the offers of those who return are properties too: they prove it.
    report = engine.sync()
    assert (report.n_blocked, report.n_deferred) == (1, 0)
    assert {person.email for person in away} <= emails(world)
    assert engine.plan().header.n_changes == 0


def test_whoever_could_not_be_written_to_joins_no_list_and_the_others_do(tmp_path: Path) -> None:
    world = World(
        Vendor(), campaigns=[campaign("a", "x", treatment=1.0), campaign("b", "y", treatment=1.0)]
    )
    world.campaigns[1] = dataclasses.replace(world.campaigns[1], constants={})
    engine = Engine(tmp_path, world)
    for name in ("p", "q"):
        world.people[name] = Person(name, f"{name}@example.com")
        world.vendor.add_contact(f"{name}@example.com")
    engine.sync()
    world.people["p"].segments, world.people["q"].segments = {"x"}, {"y"}
    world.vendor.faults = bad(world.people["p"])
    assert engine.sync().n_deferred == 1
    assert emails(world, "world | a") == set()
    assert emails(world, "world | b") == {"q@example.com"}
    world.vendor.faults = Faults()
    engine.sync()
    assert emails(world, "world | a") == {"p@example.com"}
    engine.close()


@pytest.mark.parametrize("place", [0, 20, -1], ids=["first", "middle", "last"])
def test_batches_of_one_are_judged_together(tmp_path: Path, place: int) -> None:
    world = populate(Vendor(max_batch=1))
    engine = Engine(tmp_path, world)
    for person in world.people.values():
        person.segments = set()
    sent = sorted(world.people.values(), key=lambda p: hashlib.md5(p.email.encode()).hexdigest())
    world.vendor.faults = bad(sent[place])
    report = engine.sync()
    assert (report.n_blocked, report.n_deferred) == (1, 0)
    assert report.errors == []
    assert engine.plan().header.n_changes == 0
    engine.close()


def test_a_systemic_refusal_of_batches_of_one_ends_after_two(tmp_path: Path) -> None:
    class Broken(Vendor):
        is_broken = True

        def push(self, audience, changes):  # type: ignore[no-untyped-def]
            if self.is_broken:
                self.calls += 1
                raise BatchRejectedError("the property does not exist", status=400)
            return super().push(audience, changes)

    vendor = Broken(max_batch=1)
    world = populate(vendor)
    engine = Engine(tmp_path, world)
    report = engine.sync()
    assert (vendor.calls, report.n_blocked) == (2, 0)
    assert "none of a batch" in str(report.errors[0])
    vendor.is_broken = False
    assert engine.sync().status == "succeeded"
    assert emails(world) == world.expected_members(world.campaigns[0], Arm.TREATMENT)
    engine.close()


# ---------------------------------------------------------------------- no change, no request
def test_minus_zero_is_zero(tmp_path: Path, world: World) -> None:
    class Signed(Engine):
        score = 0.0

        def load(self) -> None:
            super().load()
            self.con.execute(
                "CREATE OR REPLACE TEMP TABLE scored AS SELECT profile_id,"
                " CAST($score AS DOUBLE) AS score_vendor FROM profiles",
                {"score": self.score},
            )

    engine = Signed(tmp_path, world)
    engine.sync()
    for engine.score in (-0.0, -1e-9, 1e-9, 0.0):
        assert engine.plan().header.n_changes == 0
    engine.score = 0.5
    assert engine.plan().header.n_changes > 0
    engine.close()
