"""The answer of ``liftline explain``: one person as frozen values, without an e-mail address.

Each block begins with what a person wants to read; codes and numbers for programs follow.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from connector.pipeline.person.scored_person import ModelsView


@dataclass(frozen=True, slots=True)
class Person:
    """Who it is, without saying so.

    Attributes:
        profile_id: Our pseudonym.
        address: The e-mail address as its owner would recognise it; None when there is none.
        accounts: Customer accounts that are this person.
        since: When the first of them was made.
        former_ids: Profile ids that were merged into this one.
    """

    profile_id: str
    address: str | None
    accounts: int
    since: datetime | None
    former_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Score:
    """One RFM score.

    Attributes:
        words: Such as ``R 2: last order 212 days ago; score 2 means 181 to 320 days``.
        dimension: ``recency``, ``frequency`` or ``monetary``.
        score: From 1 (low) upwards.
        value: Days, orders or money.
        means: Which values have this score.
    """

    words: str
    dimension: str
    score: int
    value: float
    means: str


@dataclass(frozen=True, slots=True)
class Rfm:
    """Where the person stands in the RFM model.

    Attributes:
        group: The named group now.
        previous_group: The group before it; None when there was none.
        group_since: Since when a run has known the present group; None before the first run.
        cell: The three scores as text; empty without an order in the window.
        scores: In the order r, f, m; empty without an order in the window.
        words: One sentence about people without scores, else about the cut points.
    """

    group: str
    previous_group: str | None
    group_since: datetime | None
    cell: str
    scores: tuple[Score, ...]
    words: str


@dataclass(frozen=True, slots=True)
class Condition:
    """One condition of a segment's rule.

    Attributes:
        text: The condition.
        holds: True, False, or None where a value is unknown.
        value: The person's value; empty where it is private.
    """

    text: str
    holds: bool | None
    value: str


@dataclass(frozen=True, slots=True)
class Steadiness:
    """What keeps a person in a segment, or out of it, besides the rule.

    Attributes:
        words: What there is to say; empty where the rule alone decides.
        state: ``rule`` (it alone decides), ``margin`` (stays by the margin only), ``leaving`` or
            ``entering`` (the rule has changed its mind, and must say so on more days), ``staying``
            (the shortest stay is not over), ``held`` (the rule cannot be read).
        streak: Days in a row on which the rule has said otherwise, this one included.
        needed: Days that it takes.
        stays_until: End of the shortest stay, for members of a segment that has one.
    """

    words: str
    state: str
    streak: int
    needed: int
    stays_until: datetime | None


RULE_ALONE = Steadiness("", "rule", 0, 1, None)
"""Nothing does."""


@dataclass(frozen=True, slots=True)
class SegmentView:
    """One segment.

    Attributes:
        segment: Its name.
        member: Whether the person is in it now.
        since: Since when a run has known that; None when no run has.
        conditions: Its rule, condition by condition.
        to_leave: What would make a member leave, all of it together; margins are heeded.
        to_enter: What would make anybody else enter.
        steadiness: What keeps the person there, or out, besides the rule.
        figures: Where the classes begin that the rule names, such as tiers.
    """

    segment: str
    member: bool
    since: datetime | None
    conditions: tuple[Condition, ...]
    to_leave: tuple[str, ...]
    to_enter: tuple[str, ...]
    steadiness: Steadiness = RULE_ALONE
    figures: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class CampaignView:
    """One campaign.

    Attributes:
        campaign: Its name.
        status: ``addressed``, ``held_out``, ``waiting`` (for the budget), ``blocked``,
            ``not_in_segment`` or ``not_running``.
        why: The same in a sentence.
        code: The reason's code when blocked; empty otherwise.
        segment: Whom it addresses.
        arm: The arm, or None when none is drawn.
        arm_from: ``log`` (drawn for good) or ``next_run`` (what the next run would draw).
        since: When the person was first eligible; None before the first run.
        rank: Place among those who would be added, best first; None where there is no budget, or
            the person is on the list already.
        reached: How many of them the budget reaches.
        offer: Which of several offers, of somebody who is treated; None: there are none.
    """

    campaign: str
    status: str
    why: str
    code: str
    segment: str
    arm: str | None
    arm_from: str
    since: datetime | None
    rank: int | None = None
    reached: int | None = None
    offer: str | None = None


@dataclass(frozen=True, slots=True)
class ConsentView:
    """What the person said to what a destination needs.

    Attributes:
        destination: Its name.
        words: Such as ``marketing by email: granted on 2025-11-03``.
        purpose: Needed purpose; None when no consent is needed.
        channel: Needed channel.
        status: ``granted``, ``withdrawn``, ``no_record`` or ``not_needed``.
        at: When the person said so.
    """

    destination: str
    words: str
    purpose: str | None
    channel: str | None
    status: str
    at: datetime | None


@dataclass(frozen=True, slots=True)
class Exclusion:
    """An exclusion list that the person is on."""

    name: str
    applies_to: str


@dataclass(frozen=True, slots=True)
class Membership:
    """One list that the ledger knows the person of.

    Attributes:
        name: The list's name.
        presence: ``yes``, ``no`` or ``maybe`` (sent, and never confirmed).
        campaigns: Campaigns that claim the membership.
        blocked: Why the vendor refused the person, as a code; empty otherwise.
    """

    name: str
    presence: str
    campaigns: tuple[str, ...]
    blocked: str


@dataclass(frozen=True, slots=True)
class Issue:
    """One change that did not get through.

    Attributes:
        words: What went wrong.
        at: When.
        run_id: In which run.
        action: ``add``, ``update`` or ``remove``, of a list or of properties.
        code: The vendor's or our code.
    """

    words: str
    at: datetime
    run_id: str
    action: str
    code: str


@dataclass(frozen=True, slots=True)
class DestinationView:
    """One destination.

    Attributes:
        destination: Its name.
        words: Whether the person may be written to there, and why not.
        code: The reason's code when not; empty otherwise.
        record: ``known``, ``unknown_there``, ``not_asked`` or ``no_look_up`` (the vendor has none).
        properties: Whether our properties are there: ``yes``, ``no`` or ``maybe``.
        blocked: Why the vendor refused the record, as a code; empty otherwise.
        lists: Lists that the person is on, may be on, or is refused for.
        issues: The last changes that did not get through, newest first.
    """

    destination: str
    words: str
    code: str
    record: str
    properties: str
    blocked: str
    lists: tuple[Membership, ...]
    issues: tuple[Issue, ...]


@dataclass(frozen=True, slots=True)
class Explanation:
    """Everything about one person, as of one instant.

    Attributes:
        as_of: The instant.
        timezone: Of the project; days are told in it.
        data_until: The newest order that counts; None without any.
        stale: What a person should know of how old the data are.
    """

    person: Person
    as_of: datetime
    rfm: Rfm
    segments: tuple[SegmentView, ...]
    campaigns: tuple[CampaignView, ...]
    global_holdout: str
    consents: tuple[ConsentView, ...]
    exclusions: tuple[Exclusion, ...]
    destinations: tuple[DestinationView, ...]
    models: ModelsView = field(default_factory=ModelsView)
    timezone: str = "UTC"
    data_until: datetime | None = None
    stale: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Plain values for JSON."""
        document: dict[str, Any] = _plain(dataclasses.asdict(self))
        return document


def _plain(value: object) -> Any:  # noqa: ANN401 - anything JSON can hold
    if isinstance(value, Mapping):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    return value.isoformat() if isinstance(value, date) else value
