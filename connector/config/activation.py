"""Whom to address, with what, where and in which arms: segments to guards."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, ConfigDict, Field, SecretStr
from pydantic_core import PydanticCustomError

from connector.config.problems import nearest
from connector.config.stability import Stability
from connector.config.values import (
    Day,
    Duration,
    Expression,
    Money,
    Name,
    Names,
    Plain,
    Section,
    Share,
    Switch,
    Text,
    Texts,
    Whole,
    duration,
    refuse,
)
from connector.domain import Arm, Rate


class Segment(Section):
    """A computed class of profiles; exactly one of ``from``, ``any`` and ``where``.

    Attributes:
        from_: One RFM group (``rfm.champions``) or another segment (key ``from``).
        any: Several of these; being in one is enough.
        where: A condition over features, scores and profile columns.
        stability: Instead of the file's own, as a whole.
    """

    from_: Text | None = Field(default=None, alias="from")
    any: Annotated[Texts | None, Field(min_length=1)] = None
    where: Expression | None = None
    stability: Stability | None = None
    tags: Names = ()
    owner: Text | None = Field(default=None, repr=False)

    @property
    def references(self) -> tuple[str, ...]:
        """What it is made of: ``rfm.<group>`` or names of segments; empty for a condition."""
        return (self.from_,) if self.from_ is not None else self.any or ()


class PriorityList(Section):
    """One person, one message: who is in several of these segments counts for the first only."""

    name: Name
    order: Names = Field(min_length=1)


class Strategy(Section):
    """What to do for a segment, and what it costs (in the shop's currency, for one person).

    Attributes:
        best_offer_of: A campaign with offers: whichever of them has proved best among people of the
            addressed segment is given in place of this strategy.
        otherwise: The strategy that is given while none has.
    """

    objective: Text | None = None
    offer: Text | None = None
    cost_per_contact: Money | None = None
    cost_per_redemption: Money | None = None
    content: Mapping[Text, Plain] = Field(default_factory=dict)
    best_offer_of: Name | None = None
    otherwise: Name | None = None


class Permission(Section):
    """The consent that a destination needs."""

    purpose: Name
    channel: Name


NO_PERMISSION = "none_internal"
PLACEHOLDERS = ("project", "campaign", "segment", "strategy", "destination")
"""What a list's name may be made of, each in braces."""


def _requires(value: object) -> object:
    if value == NO_PERMISSION:
        return None
    if isinstance(value, Mapping | Permission):
        return value
    raise refuse(
        "{purpose: marketing, channel: email}, or none_internal for data that stays inside",
        words=(NO_PERMISSION,),
    )


def _list_name(value: object) -> object:
    unknown: list[str] = []
    if isinstance(value, str) and value.strip():
        unknown = [name for name in re.findall(r"\{([^{}]*)\}", value) if name not in PLACEHOLDERS]
        if not unknown and not re.search(r"[{}]", re.sub(r"\{[^{}]*\}", "", value)):
            return value
    meant = nearest(unknown[0], PLACEHOLDERS) if unknown else None
    allowed = ", ".join(f"{{{name}}}" for name in PLACEHOLDERS)
    hint = f"Did you mean '{{{meant}}}'?" if meant else ""
    raise refuse(f"a name that may hold {allowed}", hint=hint)


class Membership(Section):
    """How audiences look at the destination.

    Attributes:
        as_: Kind of list at the vendor (key ``as``).
        name: Template of the list's name.
    """

    as_: Literal["static_list", "list"] = Field(default="static_list", alias="as")
    name: Annotated[Text, BeforeValidator(_list_name)] = "{project} | {campaign}"
    mode: Literal["mirror"] = "mirror"
    own: Literal["only_what_we_added"] = "only_what_we_added"


def _membership(value: object) -> object:
    return None if value == "none" else value


def _reconcile_every(value: object) -> object:
    words = ("every_run", "never")
    if value in words:
        return value
    try:
        return duration(value)
    except PydanticCustomError:
        raise refuse("every_run, never, or an age such as 7d", words=words) from None


_STRETCH = re.compile(r"per_([1-9]\d{0,5})([smhd])")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def _rate_limit(value: object) -> object:
    if isinstance(value, Mapping) and all(
        isinstance(key, str)
        and _STRETCH.fullmatch(key)
        and isinstance(requests, int)
        and not isinstance(requests, bool)
        and requests > 0
        for key, requests in value.items()
    ):
        return value
    raise refuse("requests in a stretch of time, such as {per_10s: 190, per_1d: 250000}")


class Destination(Section):
    """A vendor, a file or a hook that people are sent to.

    The keys below are common to all; every other key is an option of the adapter, which checks it
    itself.

    Attributes:
        type: Name of the adapter (entry point of ``liftline.destinations``).
        requires: The consent that a person must have given; None (``none_internal``): the data
            stays inside.
        membership: How lists are made; None (``none``): properties only.
        properties: Vendor property -> feature, score or profile column, for everybody the
            destination may know.
        on_leave: What becomes of our properties when somebody leaves.
        recheck_missing_after: How long a person that the vendor does not know is left alone.
        reconcile_every: How old the last reading of a list may be before it is read again, to find
            whom somebody took off at the vendor; in every run, or never.
        rate_limit: Limits that hold besides the adapter's own.
    """

    model_config = ConfigDict(extra="allow")

    type: Name
    requires: Annotated[Permission | None, BeforeValidator(_requires)]
    match_on: Literal["email", "customer_id", "profile_id"] = "email"
    create_missing: Switch = False
    membership: Annotated[Membership | None, BeforeValidator(_membership)] = Membership()
    properties: Mapping[Text, Text] = Field(default_factory=dict)
    on_leave: Literal["clear", "keep"] = "clear"
    send_scores_to_holdouts: Switch = False
    recheck_missing_after: Duration = timedelta(days=7)
    reconcile_every: Annotated[
        Literal["every_run", "never"] | timedelta, BeforeValidator(_reconcile_every)
    ] = timedelta(days=7)
    rate_limit: Annotated[Mapping[str, int], BeforeValidator(_rate_limit)] = Field(
        default_factory=dict
    )

    @property
    def oldest_reading(self) -> timedelta | None:
        """``reconcile_every`` as an age: zero for every run, None for never."""
        if isinstance(self.reconcile_every, timedelta):
            return self.reconcile_every
        return timedelta(0) if self.reconcile_every == "every_run" else None

    @property
    def options(self) -> Mapping[str, Any]:
        """The adapter's own options, values from the environment masked as ``SecretStr``."""
        return self.__pydantic_extra__ or {}

    def adapter_options(self) -> dict[str, Any]:
        """What the adapter is built from, secrets as plain text: hand it over, never print it.

        Its own options, and those of the common keys that an adapter may use, as they stand in the
        file.
        """
        common = {
            "match_on": self.match_on,
            "create_missing": self.create_missing,
            "rate_limit": dict(self.rate_limit),
        }
        return {**common, **{key: _revealed(value) for key, value in self.options.items()}}

    @property
    def rates(self) -> tuple[Rate, ...]:
        """``rate_limit`` as rates."""
        matches = ((_STRETCH.fullmatch(key), n) for key, n in self.rate_limit.items())
        return tuple(Rate(n, float(int(m[1]) * _SECONDS[m[2]])) for m, n in matches if m)

    def __repr_args__(self) -> list[tuple[str | None, Any]]:
        """Name the options without their values, which may be secrets under unknown names."""
        own = [(name, getattr(self, name)) for name in type(self).model_fields]
        return [*own, ("options", sorted(self.options))]


def _revealed(value: object) -> object:
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    if isinstance(value, Mapping):
        return {key: _revealed(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_revealed(item) for item in value]
    return value


class Budget(Section):
    """What a campaign may cost, in the shop's currency."""

    per_run: Money


class SharedBudget(Section):
    """What several campaigns may cost together, in the shop's currency; the best rank first."""

    per_run: Money
    campaigns: Names = Field(min_length=1)


DEFAULT_ARMS: Mapping[Arm, float] = {Arm.TREATMENT: 0.9, Arm.NO_CONTACT: 0.1}
DEFAULT_GOAL = "revenue_per_person_30d"


class Campaign(Section):
    """A segment, what to do for it, where, and the arms that prove it.

    Attributes:
        to: Names of destinations.
        offers: Strategy -> share of the treatment arm; they add up to 1 exactly. Instead of one
            ``strategy``, to learn which is best.
        arms: Arm -> share; they add up to 1 exactly.
        epoch: Raise it to draw all arms anew.
        goal: Name of the metric that decides.
        start: First day; None: at once.
        end: Last day, included; None: open.
        decide_on: The day on which the result is read, registered before anybody looks; None: when
            the windows of those assigned on the last day have closed.
        properties: Vendor property -> ``strategy.<key>``, ``content.<key>`` or a column; for
            treatment only.
        no_contact_list: Push the no-contact arm as an exclusion list of its own.
        rank_by: A number of each person, such as ``clv_365d.expected``: whoever has more of it
            joins first, and whom the budget does not reach waits for the next run.
        tags: Words that a global holdout may exempt.
    """

    segment: Name
    strategy: Name | None = None
    offers: Mapping[Name, Share] = Field(default_factory=dict)
    to: Names = Field(min_length=1)
    arms: Mapping[Arm, Share] = Field(default_factory=lambda: dict(DEFAULT_ARMS), min_length=1)
    epoch: Annotated[Whole, Field(ge=1)] = 1
    goal: Name = DEFAULT_GOAL
    start: Day | None = None
    end: Day | None = None
    decide_on: Day | None = None
    properties: Mapping[Text, Text] = Field(default_factory=dict)
    no_contact_list: Switch = False
    budget: Budget | None = None
    rank_by: Expression | None = None
    tags: Names = ()


class Approval(Section):
    """When a person must approve before anything is sent."""

    first_sync: Switch = True
    over_people: Whole | None = 20000


class Guards(Section):
    """Limits that hold a run back before its first call; shares are of the present number."""

    source_rows_drop_above: Share = 0.3
    empty_segment: Literal["hold", "allow"] = "hold"
    removals_above: Share = 0.2
    additions_above: Share = 0.5
    new_billable_profiles_above: Whole = 0
    needs_approval: Approval = Approval()
    plan_max_age: Duration = timedelta(hours=24)
