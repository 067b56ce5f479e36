"""The values that travel from the plan onwards: frozen, small, free of vendors.

Millions of rows never become objects of these classes at once: a plan is a table, and
:class:`Change` objects are made batch by batch while it is carried out. Personal data
(``match_value``, property values) is kept out of ``repr``.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal

PropertyValue = str | int | float | bool | Decimal | date | datetime | None
"""What a property may hold; ``None`` asks the vendor to clear it."""


class Presence(enum.StrEnum):
    """What the ledger knows of one membership or record at the vendor."""

    NO = "no"
    YES = "yes"
    MAYBE = "maybe"


class Kind(enum.StrEnum):
    """Which of the two ledgers a change belongs to."""

    RECORD = "record"
    MEMBERSHIP = "membership"


class Action(enum.StrEnum):
    """What a change does. Records are added (created) or updated; members are added or removed."""

    ADD = "add"
    UPDATE = "update"
    REMOVE = "remove"


class Stage(enum.IntEnum):
    """The order in which a run sends, each stage finished before the next begins.

    Leaving comes before joining, because one vendor record can leave under an old address and join
    under a new one.
    """

    WITHDRAW = 0
    """Explicit withdrawals, exclusions and erasures; no guard holds these."""
    LEAVE = 1
    """Other removals from lists, and properties being cleared."""
    RECORDS = 2
    """Properties; at some vendors a record must exist before it can join a list."""
    JOIN = 3
    """Additions to lists."""


class Arm(enum.StrEnum):
    """The randomised group of a campaign that a profile is in, for good."""

    TREATMENT = "treatment"
    BUSINESS_AS_USUAL = "business_as_usual"
    NO_CONTACT = "no_contact"


class Outcome(enum.StrEnum):
    """What became of one change."""

    DELIVERED = "delivered"
    """The vendor confirmed it."""
    DEFERRED = "deferred"
    """Unknown, or refused for now: the next plan sends it again."""
    REJECTED = "rejected"
    """The vendor refuses this record; blocked until its fingerprint changes."""
    SUPPRESSED = "suppressed"
    """The vendor refuses this person (unsubscribed, on its blocklist)."""
    MISSING = "missing"
    """The vendor has no such record, and we may not create it."""


@dataclass(frozen=True, slots=True)
class Audience:
    """One list at one destination.

    Attributes:
        name: The list's name at the vendor.
        audience_id: The vendor's own id of it.
        created: Whether ``ensure_audience`` has just made it (False: found, so its members are
            foreign).
    """

    name: str
    audience_id: str
    created: bool = False


@dataclass(frozen=True, slots=True)
class Change:
    """One thing to do for one person at one destination.

    Attributes:
        change_id: Unique in its plan; results answer by it.
        kind: Record (properties) or membership.
        action: ADD creates a record or joins a list; UPDATE writes properties; REMOVE leaves a
            list.
        profile_id: The person, by our pseudonym. The only identifier that may be logged.
        match_value: What the vendor matches on, normally the normalised e-mail. Personal: never
            logged.
        record_id: The vendor's own id, where we know it.
        properties: Vendor property name -> value, for record changes. Personal: never logged.
    """

    change_id: int
    kind: Kind
    action: Action
    profile_id: str
    match_value: str = field(repr=False)
    record_id: str | None = None
    properties: Mapping[str, PropertyValue] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class RecordResult:
    """What became of one :class:`Change`; an adapter returns exactly one for each.

    Attributes:
        change_id: The change that this answers.
        outcome: What became of it.
        record_id: The vendor's id of the person, whenever the answer reveals it.
        code: Short machine word for the cause (``INVALID_EMAIL``); the report groups by it. Empty
            when delivered.
        message: One sentence without personal data. Empty when delivered.
    """

    change_id: int
    outcome: Outcome
    record_id: str | None = None
    code: str = ""
    message: str = ""


@dataclass(frozen=True, slots=True)
class Rate:
    """A vendor's request limit: at most ``requests`` in any ``seconds``."""

    requests: int
    seconds: float


class BillingUnit(enum.StrEnum):
    """What a vendor charges for when a person is new to it."""

    NONE = "none"
    CONTACT = "contact"
    ACTIVE_PROFILE = "active_profile"


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a destination can do, as data; the engine asks these and never a vendor's name.

    Attributes:
        records: Accepts record changes (properties).
        memberships: Accepts membership changes (lists).
        creates: Can create a person that the vendor does not know.
        needs_record_id: Memberships are addressed by the vendor's record id, so records go first.
        max_records: Largest batch of record changes.
        max_members: Largest batch of membership changes.
        rates: Request limits, all of which hold at once.
        workers: How many requests may be in flight at once.
        billing_unit: What one more person costs there.
        match_on: Name of the identifier that the vendor matches on.
    """

    records: bool = True
    memberships: bool = True
    creates: bool = True
    needs_record_id: bool = False
    max_records: int = 100
    max_members: int = 1000
    rates: tuple[Rate, ...] = ()
    workers: int = 1
    billing_unit: BillingUnit = BillingUnit.NONE
    match_on: str = "email"


class FieldType(enum.StrEnum):
    """The type of a property at the vendor."""

    TEXT = "text"
    NUMBER = "number"
    BOOL = "bool"
    DATE = "date"
    DATETIME = "datetime"


@dataclass(frozen=True, slots=True)
class Field:
    """One property that we own at a vendor.

    Attributes:
        name: The vendor's internal name.
        label: What people see there.
        type: Its type.
        description: Meaning and unit, shown at the vendor.
    """

    name: str
    label: str
    type: FieldType
    description: str = ""


class Level(enum.StrEnum):
    """How much a finding matters."""

    OK = "ok"
    NOTE = "note"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of ``liftline check`` or of a data-quality summary.

    Attributes:
        level: OK, NOTE, WARNING or ERROR; an ERROR makes the command fail.
        subject: What was looked at, as a config key path or a table name.
        message: What was found.
        hint: What to do; empty when all is well.
    """

    level: Level
    subject: str
    message: str
    hint: str = ""
