"""Cases that a hostile review found: each once left somebody stranded, or told an untruth."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import sqlalchemy as sa

from connector.audiences.specs import DestinationSpec
from connector.domain import (
    Action,
    Arm,
    Audience,
    Capabilities,
    Change,
    Field,
    FieldType,
    Outcome,
    RecordResult,
)
from connector.errors import ConfigError, PermanentError, StalePlanError
from connector.pipeline.activate.activation import Activation
from connector.pipeline.activate.planning import make_plan
from connector.plan.summary import GuardLimits
from connector.state import schema
from connector.state.database import utc_text
from connector.state.journal import Journal
from connector.state.ledger import Ledger
from tests.laws.world import (
    NO_GUARDS,
    START,
    Engine,
    Faults,
    Killed,
    Person,
    Vendor,
    World,
    campaign,
)

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

    def activation(limits: GuardLimits) -> Activation:
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


def test_an_address_that_said_no_leaves_although_its_person_has_another_and_guards_hold(
    engine: Engine, world: World
) -> None:
    engine.sync()
    person, *others = treated(world)
    contact = world.vendor.by_email(person.email)
    world.withdrawn.add(person.email)
    person.email = "other@example.com"
    world.vendor.add_contact(person.email)
    for other in others:
        other.segments = set()
    assert engine.apply(engine.plan(GuardLimits()), limits=GuardLimits()).status == "held"
    assert emails(world) == {other.email for other in others}
    assert contact.properties == {}


class ByAddress(Vendor):
    """A vendor without records or ids, such as a file: members are addresses."""

    find = None  # type: ignore[assignment]

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities(records=False, max_members=self._max_batch)

    def _carry_out(self, audience: Audience | None, change: Change) -> RecordResult:
        assert audience is not None
        assert change.match_value is not None
        members = self.lists[audience.audience_id][1]
        (members.add if change.action is Action.ADD else members.discard)(change.match_value)
        return RecordResult(change.change_id, Outcome.DELIVERED)


class ByAddressEngine(Engine):
    def activation(self, limits: GuardLimits) -> Activation:
        spec = DestinationSpec("vendor", purpose="marketing", channel="email", records=False)
        return dataclasses.replace(super().activation(limits), destination_specs=[spec])


@pytest.fixture
def plain(tmp_path: Path) -> Iterator[tuple[Engine, World]]:
    world = populate(ByAddress())
    engine = ByAddressEngine(tmp_path, world)
    yield engine, world
    engine.close()


@pytest.mark.parametrize("cause", ["segment", "consent", "gone", "address"])
def test_whoever_joined_by_address_alone_can_leave(plain: tuple[Engine, World], cause: str) -> None:
    engine, world = plain
    engine.sync()
    assert len(world.vendor.members_of(LIST)) > 20
    for name, person in list(world.people.items()):
        if cause == "segment":
            person.segments = set()
        elif cause == "consent":
            person.consent = "withdrawn"
        elif cause == "gone":
            del world.people[name]
        else:
            person.email = None
    assert engine.sync().status == "succeeded"
    assert world.vendor.members_of(LIST) == set()
    assert engine.plan().header.n_changes == 0


def test_foreign_members_known_by_address_alone_are_never_removed(
    plain: tuple[Engine, World],
) -> None:
    engine, world = plain
    person = treated(world)[0]
    before = {person.email, "stranger@example.org"}
    world.vendor.lists[world.vendor.ensure_audience(LIST).audience_id][1].update(before)
    engine.sync()
    for each in world.people.values():
        each.segments = set()
    engine.sync()
    assert world.vendor.members_of(LIST) == before


def test_a_list_renamed_there_and_here_keeps_its_members_ours(engine: Engine, world: World) -> None:
    engine.sync()
    audience_id, members = next(
        (key, members) for key, (name, members) in world.vendor.lists.items() if name == LIST
    )
    stranger = world.vendor.add_contact("stranger@example.org")
    members.add(stranger)
    world.vendor.lists[audience_id] = ("new name", members)
    spec = world.campaigns[0]
    names = [dataclasses.replace(one, name="new name") for one in spec.lists[:1]]
    world.campaigns[0] = dataclasses.replace(spec, lists=(*names, *spec.lists[1:]))
    assert engine.sync().status == "succeeded"
    assert {p.email for p in treated(world)} <= emails(world, "new name")
    for person in world.people.values():
        person.consent = "withdrawn"
    engine.sync()
    assert world.vendor.members_of("new name") == {stranger}
    assert engine.plan().header.n_changes == 0


def test_a_list_that_was_only_said_to_be_deleted_keeps_its_members_ours(
    engine: Engine, world: World
) -> None:
    engine.sync()
    lists = dict(world.vendor.lists)
    world.vendor.lists.clear()
    assert {g.name for g in engine.plan(GuardLimits()).header.guards} == {"deleted_list"}
    world.vendor.lists.update(lists)
    person = treated(world)[0]
    person.consent = "withdrawn"
    engine.sync()
    assert person.email not in emails(world)
    for each in world.people.values():
        each.consent = "withdrawn"
    engine.sync()
    assert emails(world) == set()


def test_whoever_comes_back_under_another_record_gets_the_properties_again(
    tmp_path: Path,
) -> None:
    world = World(
        Vendor(), campaigns=[campaign("a", "x", treatment=1.0), campaign("b", "y", treatment=1.0)]
    )
    world.campaigns[1] = dataclasses.replace(world.campaigns[1], constants={})
    engine = Engine(tmp_path, world)
    person = world.people["p"] = Person("p", "p@example.com", segments={"x"})
    record_id = world.vendor.add_contact("p@example.com")
    engine.sync()
    world.vendor.delete_contact(record_id)
    world.vendor.add_contact("p@example.com")
    person.segments = {"x", "y"}  # the membership tells that the record is gone
    for _ in range(3):
        engine.sync()
    contact = world.vendor.by_email("p@example.com")
    assert contact.properties == {"score": 0, "a_offer": "15_percent"}
    assert emails(world, "world | a") == emails(world, "world | b") == {"p@example.com"}
    engine.close()


def test_any_number_of_memberships_can_be_released(engine: Engine) -> None:
    table = schema.memberships
    keys = ("k0", "k9999", "k10000", "k299999", "another")
    row = {"destination": "vendor", "profile_id": "p", "presence": "yes", "version": 1}
    places = [("l1", key) for key in keys] + [("l2", "k0")]
    with engine.state.engine.begin() as writing:
        writing.execute(
            sa.insert(table), [row | {"audience_id": a, "match_key": k} for a, k in places]
        )
    Ledger(engine.state, "vendor").release("l1", [f"k{i}" for i in range(300_000)])
    with engine.state.engine.connect() as reading:
        kept = reading.execute(
            sa.select(table.c.audience_id, table.c.match_key).where(table.c.presence != "no")
        ).all()
    assert {tuple(one) for one in kept} == {("l1", "another"), ("l2", "k0")}


def test_errors_of_the_state_quote_no_address(engine: Engine) -> None:
    with pytest.raises(sa.exc.OperationalError) as caught, engine.state.engine.begin() as writing:
        writing.execute(
            sa.text("SELECT nothing FROM nowhere WHERE a = :a"), {"a": "c1@example.com"}
        )
    assert "example.com" not in str(caught.value)


# ---------------------------------------------------------------------- runs and plans
class Gathering(Vendor):
    """A vendor that shows what was pushed only when it is flushed, such as a file."""

    n_flushed = 0

    def flush(self) -> None:
        self.n_flushed += 1


def test_what_a_killed_run_gathered_is_written_by_the_next_even_without_changes(
    tmp_path: Path,
) -> None:
    vendor = Gathering()
    engine = Engine(tmp_path, populate(vendor))
    engine.sync()
    vendor.n_flushed = 0
    assert engine.plan().header.n_changes == 0
    engine.sync()
    assert vendor.n_flushed == 1
    engine.close()


def test_what_was_delivered_is_written_although_the_destination_was_given_up(
    tmp_path: Path,
) -> None:
    vendor = Gathering()
    engine = Engine(tmp_path, populate(vendor))
    vendor.faults = Faults(lost_after=1.0)
    assert engine.sync().status == "partial"
    assert vendor.n_flushed == 1
    engine.close()


@pytest.mark.parametrize("method", ["ensure_fields", "ensure_audience", "flush"])
@pytest.mark.parametrize("error", [ConfigError("no such field"), RuntimeError("c1@example.com")])
def test_an_adapter_that_raises_anything_ends_its_part_of_the_run_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str, error: Exception
) -> None:
    def fail(*_: object) -> None:
        raise error

    vendor = Gathering()
    engine = Engine(tmp_path, populate(vendor))
    known = engine.activation

    def activation(limits: GuardLimits) -> Activation:
        field = Field("score", "Score", FieldType.NUMBER)
        return dataclasses.replace(known(limits), fields={"vendor": [field]})

    monkeypatch.setattr(engine, "activation", activation)
    monkeypatch.setattr(vendor, method, fail, raising=False)
    report = engine.sync()
    assert report.status == "partial"
    assert "example.com" not in str(report.errors[0])
    assert [run["status"] for run in Journal(engine.state).runs()] == ["partial"]
    monkeypatch.undo()
    assert engine.sync().status == "succeeded"
    engine.close()


def test_a_run_that_breaks_is_booked_as_failed(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("broken")

    monkeypatch.setattr(Journal, "advance", fail)
    with pytest.raises(RuntimeError, match="broken"):
        engine.sync()
    assert [run["status"] for run in Journal(engine.state).runs()] == ["failed"]


def test_answers_on_their_way_are_booked_when_the_run_is_interrupted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    vendor = Vendor(workers=4)
    engine = Engine(tmp_path, populate(vendor))
    plan = engine.plan()
    begin, calls = Ledger.begin, []

    def interrupted(*args: Any, **options: Any) -> Any:
        calls.append(1)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return begin(*args, **options)

    monkeypatch.setattr(Ledger, "begin", interrupted)
    with pytest.raises(KeyboardInterrupt):
        engine.apply(plan)
    rows = engine.state.arrow({"r": "SELECT presence FROM records"})["r"].to_pylist()
    assert len(vendor.pushed) == 15
    assert sorted(row["presence"] for row in rows) == ["no"] * 25 + ["yes"] * 15
    engine.close()


def test_a_plan_that_waited_takes_no_segment_back(engine: Engine, world: World) -> None:
    def members() -> set[str]:
        query = "SELECT profile_id FROM segment_state WHERE is_member = 1"
        rows = engine.state.arrow({"s": query})["s"].to_pylist()
        return {row["profile_id"] for row in rows}

    old = engine.plan()
    for person in world.people.values():
        person.segments = set()
    world.people["p1"].segments = {"lost"}
    engine.sync()
    assert members() == {"p1"}
    with pytest.raises(StalePlanError, match="superseded"):
        engine.apply(old)
    assert members() == {"p1"}
    engine.sync()
    assert emails(world) <= {"c1@example.com"}


def test_a_plan_is_refused_whose_people_have_merged_meanwhile(engine: Engine, world: World) -> None:
    spec = world.campaigns[0]
    kept = next(p for p in world.people.values() if world.draw(spec, p) is Arm.TREATMENT)
    gone = next(p for p in world.people.values() if world.draw(spec, p) is Arm.NO_CONTACT)
    plan = engine.plan()
    del world.people[gone.profile_id]
    world.merges.append((gone.profile_id, kept.profile_id))
    engine.now += timedelta(minutes=1)
    engine.plan()
    with pytest.raises(StalePlanError, match="turned out to be one"):
        engine.apply(plan)
    assert world.vendor.pushed == []
    assert engine.sync().status == "succeeded"
    assert engine.plan().header.n_changes == 0


def test_a_held_plan_can_be_approved_later(engine: Engine, world: World) -> None:
    engine.sync()
    first, *others = treated(world)
    first.consent = "withdrawn"
    for person in others:
        person.segments = set()
    plan = engine.plan(GuardLimits())
    assert engine.apply(plan, limits=GuardLimits()).status == "held"
    assert emails(world) == {person.email for person in others}
    report = engine.apply(
        plan, limits=GuardLimits(), approved={"removals_above"}, approver="somebody"
    )
    assert report.status == "succeeded"
    assert emails(world) == set()
    assert engine.plan().header.n_changes == 0


def test_a_list_lost_between_two_plans_stops_nothing_else(engine: Engine, world: World) -> None:
    engine.sync()
    person, other = treated(world)[:2]
    person.segments, other.score = set(), 1000
    plan = engine.plan()
    world.vendor.lists.clear()
    engine.plan()
    report = engine.apply(plan)
    assert report.errors == []
    assert world.vendor.by_email(other.email).properties["score"] == 1000


# ---------------------------------------------------------------------- arms
def test_shares_are_kept_of_a_campaign_that_ends_before_its_plan_is_applied(
    engine: Engine, world: World
) -> None:
    plan = engine.plan()
    world.campaigns[0] = dataclasses.replace(world.campaigns[0], active=False)
    engine.apply(plan)
    rows = engine.state.arrow(
        {
            "n": "SELECT count(*) AS n FROM assignments a WHERE NOT EXISTS (SELECT 1 FROM"
            " arm_shares s WHERE s.campaign = a.campaign AND s.epoch = a.epoch"
            " AND s.config_version = a.config_version AND s.arm = a.arm)"
        }
    )
    assert rows["n"].to_pylist() == [{"n": 0}]


def test_the_clock_of_an_arm_is_in_utc_whatever_the_zone_of_the_instant(engine: Engine) -> None:
    engine.load()
    as_of = START.astimezone(ZoneInfo("Asia/Tokyo"))
    plan = make_plan(
        engine.con,
        engine.state,
        engine.activation(NO_GUARDS),
        as_of=as_of,
        now=START,
        folder=engine.folder / "plans",
    )
    times = plan.side_table("new_arms").column("first_eligible_at").to_pylist()
    assert set(times) == {utc_text(START)}


def test_an_address_that_changed_hands_merges_nobody_later(engine: Engine) -> None:
    journal = Journal(engine.state)
    for owner in ("p_first", "p_second"):
        key = {"kind": "email", "key_digest": "d", "profile_id": owner}
        journal.learn_people([key], [], now=START)
    rows = engine.state.arrow({"k": "SELECT profile_id FROM profile_keys"})["k"].to_pylist()
    assert rows == [{"profile_id": "p_second"}]
