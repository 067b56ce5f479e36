"""A small world to try the engine in: people, a vendor with faults, and an oracle that shares no
code with the engine.

The vendor is addressed by record ids, like most real ones. Its faults are drawn from a seeded
generator. The oracle recomputes who belongs where in plain Python from the same facts.
"""

from __future__ import annotations

import hashlib
import random
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import sqlalchemy as sa

from connector.audiences.specs import CampaignSpec, DestinationSpec, ListSpec
from connector.domain import (
    Action,
    Arm,
    Audience,
    Capabilities,
    Change,
    Finding,
    Kind,
    Outcome,
    RecordResult,
)
from connector.errors import BatchRejectedError, TransientError
from connector.pipeline.activate.activation import Activation
from connector.pipeline.activate.applying import ApplyReport, apply_plan
from connector.pipeline.activate.planning import make_plan
from connector.plan.document import Plan
from connector.plan.summary import GuardLimits
from connector.state import schema
from connector.state.database import State
from connector.state.journal import Journal

PROGRESS = {
    "segment": pa.string(),
    "profile_id": pa.string(),
    "is_member": pa.int64(),
    "since": pa.timestamp("us"),
    "streak": pa.int64(),
    "last_as_of": pa.timestamp("us"),
}
"""Columns of what segments remember."""


START = datetime(2026, 3, 2, 5, 0, tzinfo=UTC)
NO_GUARDS = GuardLimits(
    removals_above=9.0,
    additions_above=9e9,
    new_billable_profiles_above=10**9,
    hold_empty_segment=False,
    first_sync_needs_approval=False,
    over_people=None,
)
SALT = "a-salt"


class Killed(BaseException):
    """Stands for SIGKILL: nothing of ours runs afterwards."""


@dataclass
class Contact:
    record_id: str
    emails: set[str]
    properties: dict[str, Any] = field(default_factory=dict)


@dataclass
class Faults:
    """Shares of calls (0-1) that go wrong, and people who always do."""

    refuse: float = 0.0
    lost_before: float = 0.0
    lost_after: float = 0.0
    killed_before: float = 0.0
    killed_after: float = 0.0
    defer_record: float = 0.0
    poison: frozenset[str] = frozenset()
    suppressed: frozenset[str] = frozenset()


class Vendor:
    """A vendor with contacts and lists; also the adapter that the engine talks to."""

    def __init__(
        self,
        *,
        name: str = "vendor",
        seed: int = 0,
        creates: bool = False,
        max_batch: int = 5,
        workers: int = 1,
    ) -> None:
        self.name = name
        self.rng = random.Random(seed)
        self.faults = Faults()
        self.contacts: dict[str, Contact] = {}
        self.lists: dict[str, tuple[str, set[str]]] = {}
        self.calls = 0
        self.pushed: list[tuple[Kind, Action, str]] = []
        self._next = 0
        self._creates = creates
        self._max_batch = max_batch
        self._workers = workers
        self._lock = threading.Lock()

    # ---- the vendor's own side
    def add_contact(self, *emails: str) -> str:
        self._next += 1
        record_id = f"r{self._next}"
        self.contacts[record_id] = Contact(record_id, set(emails))
        return record_id

    def by_email(self, email: str) -> Contact | None:
        return next((c for c in self.contacts.values() if email in c.emails), None)

    def delete_contact(self, record_id: str) -> None:
        del self.contacts[record_id]
        for _, members in self.lists.values():
            members.discard(record_id)

    def members_of(self, name: str) -> set[str]:
        return next(
            (set(members) for found, members in self.lists.values() if found == name), set()
        )

    # ---- the adapter
    @property
    def capabilities(self) -> Capabilities:
        return Capabilities(
            creates=self._creates,
            needs_record_id=True,
            max_records=self._max_batch,
            max_members=self._max_batch,
            workers=self._workers,
        )

    @classmethod
    def from_options(cls, name: str, options: Mapping[str, Any]) -> Vendor:
        raise NotImplementedError

    def check(self) -> Sequence[Finding]:
        return ()

    def close(self) -> None:
        return

    def find(self, match_values: Sequence[str]) -> dict[str, str]:
        index = {email: c.record_id for c in self.contacts.values() for email in c.emails}
        return {value: index[value] for value in match_values if value in index}

    def find_audience(self, name: str, audience_id: str | None) -> Audience | None:
        for found_id, (found, _) in self.lists.items():
            if found_id == audience_id or (audience_id is None and found == name):
                return Audience(found, found_id)
        return None

    def ensure_audience(self, name: str) -> Audience:
        found = self.find_audience(name, None)
        if found is not None:
            return found
        self._next += 1
        audience_id = f"l{self._next}"
        self.lists[audience_id] = (name, set())
        return Audience(name, audience_id, created=True)

    def members(self, audience: Audience) -> Iterator[str]:
        return iter(sorted(self.lists[audience.audience_id][1]))

    def push(self, audience: Audience | None, changes: Sequence[Change]) -> list[RecordResult]:
        with self._lock:
            return self._push(audience, changes)

    def _push(self, audience: Audience | None, changes: Sequence[Change]) -> list[RecordResult]:
        self.calls += 1
        assert len(changes) <= self._max_batch
        draw = self.rng.random()
        deed = ""
        for share, fault in (
            (self.faults.refuse, "refuse"),
            (self.faults.lost_before, "lost_before"),
            (self.faults.lost_after, "lost_after"),
            (self.faults.killed_before, "killed_before"),
            (self.faults.killed_after, "killed_after"),
        ):
            if draw < share:
                deed = fault
                break
            draw -= share
        if deed == "refuse":
            raise TransientError("busy", applied=False)
        if deed == "lost_before":
            raise TransientError("time-out")
        if deed == "killed_before":
            raise Killed
        if any(c.match_value in self.faults.poison and c.kind is Kind.RECORD for c in changes):
            raise BatchRejectedError("one record is invalid", status=400)
        results = [self._carry_out(audience, change) for change in changes]
        if deed == "lost_after":
            raise TransientError("time-out")
        if deed == "killed_after":
            raise Killed
        return results

    def _carry_out(self, audience: Audience | None, change: Change) -> RecordResult:
        self.pushed.append((change.kind, change.action, change.profile_id))
        if self.rng.random() < self.faults.defer_record:
            return RecordResult(change.change_id, Outcome.DEFERRED, code="LATER", message="later")
        if audience is not None:
            if change.record_id not in self.contacts:
                return RecordResult(change.change_id, Outcome.MISSING, code="GONE", message="gone")
            if audience.audience_id in self.lists:
                members = self.lists[audience.audience_id][1]
                if change.action is Action.ADD:
                    members.add(change.record_id)
                else:
                    members.discard(change.record_id)
            return RecordResult(change.change_id, Outcome.DELIVERED)
        if change.match_value in self.faults.suppressed and any(
            value is not None for value in change.properties.values()
        ):
            return RecordResult(
                change.change_id, Outcome.SUPPRESSED, code="BLOCKLIST", message="blocked"
            )
        contact = self.contacts.get(change.record_id or "")
        if contact is None and change.record_id is None:
            contact = self.by_email(change.match_value)
        if contact is None and change.action is Action.ADD:
            contact = self.contacts[self.add_contact(change.match_value)]
        if contact is None:
            return RecordResult(change.change_id, Outcome.MISSING, code="GONE", message="gone")
        for name, value in change.properties.items():
            if value is None:
                contact.properties.pop(name, None)
            else:
                contact.properties[name] = value
        return RecordResult(change.change_id, Outcome.DELIVERED, record_id=contact.record_id)


@dataclass
class Person:
    profile_id: str
    email: str | None
    consent: str | None = "granted"
    segments: set[str] = field(default_factory=set)
    score: int = 0
    excluded: bool = False


class World:
    """One vendor, the people and campaigns that concern it, and the truth about them."""

    def __init__(
        self,
        vendor: Vendor,
        *,
        campaigns: Sequence[CampaignSpec] | None = None,
        reconcile_every: timedelta | None = None,
    ) -> None:
        self.vendor = vendor
        self.reconcile_every = reconcile_every
        self.people: dict[str, Person] = {}
        self.merges: list[tuple[str, str]] = []
        self.campaigns = list(
            campaigns if campaigns is not None else [campaign("winback", "lost", vendor.name)]
        )
        self.arm_log: dict[tuple[str, int, str], Arm] = {}
        self.foreign: dict[str, set[str]] = {}
        self.withdrawn: set[str] = set()
        """Addresses that said no, besides those that people use."""

    # ---- the truth, computed apart
    def eligible(self, spec: CampaignSpec) -> list[Person]:
        return [
            p
            for p in self.people.values()
            if spec.segment in p.segments
            and p.consent == "granted"
            and not p.excluded
            and p.email is not None
            and (self.vendor.capabilities.creates or self.vendor.by_email(p.email) is not None)
        ]

    def draw(self, spec: CampaignSpec, person: Person) -> Arm:
        """The arm by hand: the log wins, else md5 against the cumulated shares."""
        key = (spec.name, spec.epoch, person.profile_id)
        if key not in self.arm_log:
            text = f"{SALT}:{spec.name}:{spec.epoch}:{person.profile_id}"
            point = int(hashlib.md5(text.encode()).hexdigest()[:8], 16) / 2**32
            edge = 0.0
            for arm in (Arm.TREATMENT, Arm.BUSINESS_AS_USUAL, Arm.NO_CONTACT):
                edge += spec.shares.get(arm, 0.0)
                if point < edge:
                    self.arm_log[key] = arm
                    break
        return self.arm_log[key]

    def expected_members(self, spec: CampaignSpec, arm: Arm) -> set[str]:
        """E-mail addresses that belong on the list of that arm."""
        return {p.email for p in self.eligible(spec) if p.email and self.draw(spec, p) is arm}


class Engine:
    """The engine over one or several worlds that know nothing of each other (one run serves them
    all, for speed).
    """

    def __init__(self, folder: Path, *worlds: World) -> None:
        self.folder = folder
        self.worlds = worlds
        self.con = duckdb.connect(config={"threads": 1})
        self.state = _open(folder, identity_key="test")
        self.now = START

    def close(self) -> None:
        self.con.close()
        self.state.close()

    def restart(self) -> None:
        """What the next process does after ours was killed."""
        self.state.close()
        self.state = _open(self.folder)

    def activation(self, limits: GuardLimits) -> Activation:
        specs = [
            DestinationSpec(
                world.vendor.name,
                purpose="marketing",
                channel="email",
                creates=world.vendor.capabilities.creates,
                looks_up=True,
                needs_record_id=True,
                properties={"score": f"score_{world.vendor.name}"},
                recheck_missing_days=0.0,
            )
            for world in self.worlds
        ]
        return Activation(
            project="world",
            currency="EUR",
            config_digest="c0",
            destinations={world.vendor.name: world.vendor for world in self.worlds},
            destination_specs=specs,
            campaigns=[spec for world in self.worlds for spec in world.campaigns],
            priority_lists=[],
            limits=limits,
            salt=SALT,
            reconcile_every={
                world.vendor.name: world.reconcile_every
                for world in self.worlds
                if world.reconcile_every is not None
            },
        )

    def load(self) -> None:
        """Put the people into the workspace, as the first act would."""
        people = [p for world in self.worlds for p in world.people.values()]
        ids = [p.profile_id for p in people]
        consenting = [p for p in people if p.consent]
        members = [(s, p.profile_id) for p in people for s in sorted(p.segments)]
        excluded = [p.profile_id for p in people if p.excluded]
        refused = [
            *(p.email for p in people if p.email and p.consent == "withdrawn"),
            *(address for world in self.worlds for address in sorted(world.withdrawn)),
        ]
        text = pa.string()
        tables = {
            "profiles": {
                "profile_id": pa.array(ids, text),
                "customer_id": pa.array(ids, text),
                "email": pa.array([p.email for p in people], text),
            },
            "permissions": {
                "profile_id": pa.array([p.profile_id for p in consenting], text),
                "purpose": pa.array(["marketing" for _ in consenting], text),
                "channel": pa.array(["email" for _ in consenting], text),
                "status": pa.array([p.consent for p in consenting], text),
            },
            "exclusions": {
                "profile_id": pa.array(excluded, text),
                "list_name": pa.array(["suppressed" for _ in excluded], text),
                "applies_to": pa.array([None for _ in excluded], text),
            },
            "withdrawn_addresses": {
                "email": pa.array(refused, text),
                "purpose": pa.array(["marketing" for _ in refused], text),
                "channel": pa.array(["email" for _ in refused], text),
            },
            "excluded_addresses": {"email": pa.array([], text)},
            # A score of one's own for each world: a destination's properties go to everybody it may
            # write to.
            "scored": {"profile_id": pa.array(ids, text)}
            | {
                f"score_{world.vendor.name}": pa.array(
                    [world.people[i].score if i in world.people else None for i in ids], pa.int64()
                )
                for world in self.worlds
            },
            "segment_members": {
                "segment": pa.array([s for s, _ in members], text),
                "profile_id": pa.array([i for _, i in members], text),
                "reason": pa.array(["because" for _ in members], text),
            },
            "segment_progress": self._progress(members),
        }
        for name, columns in tables.items():
            self.con.register("incoming", pa.table(columns))
            self.con.execute(f"CREATE OR REPLACE TEMP TABLE {name} AS FROM incoming")
            self.con.unregister("incoming")
        merges = [pair for world in self.worlds for pair in world.merges]
        Journal(self.state).learn_people(
            [],
            [
                {"from_profile_id": a, "into_profile_id": b, "reason": "shared_email"}
                for a, b in merges
            ],
            now=self.now,
        )

    def _progress(self, members: Sequence[tuple[str, str]]) -> dict[str, pa.Array]:
        """Who entered or left a segment since the last applied run; nobody waits here."""
        with self.state.engine.connect() as connection:
            rows = connection.execute(sa.select(schema.segment_state)).all()
        known = {(row.segment, row.profile_id): row.is_member for row in rows}
        now = dict.fromkeys(members, 1)
        at = self.now.replace(tzinfo=None)
        changed = [
            (*pair, now.get(pair, 0), at, 0, at)
            for pair in sorted({*known, *now})
            if now.get(pair, 0) != known.get(pair, 0)
        ]
        columns = list(zip(*changed, strict=True)) or [()] * len(PROGRESS)
        return {
            name: pa.array(column, kind)
            for (name, kind), column in zip(PROGRESS.items(), columns, strict=True)
        }

    def plan(self, limits: GuardLimits = NO_GUARDS) -> Plan:
        self.load()
        self.now += timedelta(minutes=1)
        return make_plan(
            self.con,
            self.state,
            self.activation(limits),
            as_of=self.now,
            now=self.now,
            folder=self.folder / "plans",
        )

    def apply(self, plan: Plan, limits: GuardLimits = NO_GUARDS, **options: Any) -> ApplyReport:
        self.now += timedelta(minutes=1)
        return apply_plan(self.state, self.activation(limits), plan, now=self.now, **options)

    def sync(self) -> ApplyReport:
        return self.apply(self.plan(), approved={"all"}, approver="test")


def _open(folder: Path, identity_key: str | None = None) -> State:
    """The state, without waiting for the disk: what is killed here is a run, never the machine."""
    state = State.open(folder / "state", identity_key=identity_key)
    state.engine.dispose()

    @sa.event.listens_for(state.engine, "connect")
    def _hurry(connection: Any, _record: object) -> None:
        connection.execute("PRAGMA synchronous = OFF")

    return state


def campaign(name: str, segment: str, destination: str = "vendor", **shares: float) -> CampaignSpec:
    """A campaign to the vendor; shares default to 80 % treatment and 20 % no contact."""
    parts = {
        Arm(arm): share for arm, share in (shares or {"treatment": 0.8, "no_contact": 0.2}).items()
    }
    return CampaignSpec(
        name=name,
        segment=segment,
        destinations=(destination,),
        shares=parts,
        lists=(
            ListSpec(destination, Arm.TREATMENT, f"world | {name}"),
            ListSpec(destination, Arm.BUSINESS_AS_USUAL, f"world | {name} | business as usual"),
        ),
        constants={f"{name}_offer": "15_percent"},
    )
