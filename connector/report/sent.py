"""What was planned, sent and refused, as the report shows it: campaigns, lists, answers, guards."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime


@dataclass(frozen=True, slots=True)
class AudienceRow:
    """One list at a destination, by the ledger after the run.

    Attributes:
        destination: Where.
        name: The list's name there.
        arm: Whose list it is.
        people: Our people on it now.
        joins: Joined with this run.
        leaves: Left with this run.
        held: Wanted, but blocked since an earlier refusal or without a record at the vendor.
        foreign: Members that were on it before us; never touched.
        status: ``new``, ``adopted``, ``kept``, ``deleted`` or ``unreadable``.
        taken_off: People whom somebody else took off it since the run before.
    """

    destination: str
    name: str
    arm: str
    people: int
    joins: int = 0
    leaves: int = 0
    held: int = 0
    foreign: int = 0
    status: str = "kept"
    taken_off: int = 0


@dataclass(frozen=True, slots=True)
class CampaignRow:
    """One campaign: whom it addresses, whom it does not and why, and who is held out.

    Attributes:
        name: Its name.
        segment: The segment that it addresses.
        destinations: Where its lists are.
        in_segment: Members of the segment.
        eligible: Of them, those who have an arm.
        blocked: Reason code -> members of the segment without an arm.
        arms: Arm -> people.
        new_arms: Arm -> people who got it in this run.
        shares: Arm -> intended share (0-1).
        cost: Of this run's new contacts, in the project's currency.
        budget: For one run; None without one.
        audiences: Its lists.
        strategy, offer: What is done for these people; may be empty.
        goal: The metric that it is judged on; may be empty.
        starts_on: First day; None when it has always run.
        first_result_at: When the first people's window closes, aware; None when nobody has been
            assigned.
        all_results_at: When the last assigned person's window closes.
        cost_per_contact: What it costs to write to one person; None where nobody said.
        cost_per_redemption: What it costs when one person takes the offer; None where nobody said.
    """

    name: str
    segment: str
    destinations: tuple[str, ...]
    in_segment: int
    eligible: int
    blocked: Mapping[str, int] = field(default_factory=dict)
    arms: Mapping[str, int] = field(default_factory=dict)
    new_arms: Mapping[str, int] = field(default_factory=dict)
    shares: Mapping[str, float] = field(default_factory=dict)
    cost: float = 0.0
    budget: float | None = None
    audiences: tuple[AudienceRow, ...] = ()
    strategy: str = ""
    offer: str = ""
    goal: str = ""
    starts_on: date | None = None
    first_result_at: datetime | None = None
    all_results_at: datetime | None = None
    cost_per_contact: float | None = None
    cost_per_redemption: float | None = None


@dataclass(frozen=True, slots=True)
class OutcomeCount:
    """Changes of one kind that ended alike, as the run's own report counts them.

    Attributes:
        kind: ``record`` (properties) or ``membership``.
        action: ``add``, ``update`` or ``remove``.
        outcome: ``delivered``, ``deferred``, ``rejected``, ``suppressed``, ``missing`` or
            ``skipped``.
        people: How many.
    """

    kind: str
    action: str
    outcome: str
    people: int


@dataclass(frozen=True, slots=True)
class DeliveryRow:
    """What became of one destination's changes.

    Attributes:
        destination: Its name.
        outcomes: Every combination that occurred.
        unsent: Changes that were never tried because the destination was given up.
        error: Why it was given up; None when it was not.
    """

    destination: str
    outcomes: tuple[OutcomeCount, ...]
    unsent: int = 0
    error: str | None = None


@dataclass(frozen=True, slots=True)
class IssueRow:
    """Changes that did not get through for one cause.

    Attributes:
        destination: Where.
        outcome: ``rejected``, ``suppressed``, ``missing``, ``deferred`` or ``skipped``.
        code: The vendor's or our word for the cause.
        message: One sentence without personal data; may be empty.
        people: How many.
    """

    destination: str
    outcome: str
    code: str
    message: str
    people: int


@dataclass(frozen=True, slots=True)
class RemarkRow:
    """A destination that the run could do nothing, or not everything, for.

    Attributes:
        destination: Its name.
        message: Why.
        hint: What to do; may be empty.
    """

    destination: str
    message: str
    hint: str = ""


@dataclass(frozen=True, slots=True)
class GuardRow:
    """One guard that tripped.

    Attributes:
        name: Its key in the configuration.
        subject: What tripped it.
        message: What was found against what is allowed.
        approved: A person let it pass; otherwise it held the run.
        approved_at: When, aware; None where nobody did, or nobody wrote it down.
    """

    name: str
    subject: str
    message: str
    approved: bool = False
    approved_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class WaitingPlan:
    """A plan that nobody has applied yet.

    Attributes:
        plan_id: Its name.
        created_at: When it was made, aware.
        n_changes: What it would change.
        guards: What holds it; empty where it only waits to be applied.
        obstacle: Why it cannot be applied any more, as a sentence; empty where it can.
    """

    plan_id: str
    created_at: datetime
    n_changes: int
    guards: tuple[GuardRow, ...] = ()
    obstacle: str = ""
