"""What this step needs to know of campaigns and destinations, as plain frozen values.

They are loaded into small ``cfg_*`` tables so that the SQL stays fixed and no configuration text is
ever spliced into it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from connector.domain import Arm, PropertyValue

if TYPE_CHECKING:
    import duckdb


@dataclass(frozen=True, slots=True)
class DestinationSpec:
    """One destination, as the planner sees it.

    Attributes:
        name: The configuration's name.
        purpose: Consent purpose that it requires; None when it stays inside the company.
        channel: Consent channel that it requires; None with ``purpose`` None.
        match_on: ``email``, ``customer_id`` or ``profile_id``.
        creates: Whether people unknown to the vendor may be created.
        looks_up: Whether the adapter can tell who exists (:class:`connector.ports.FindsRecords`).
        needs_record_id: Whether list memberships are addressed by the vendor's record id.
        records: Whether it takes properties.
        memberships: Whether it takes lists.
        properties: Vendor property -> column of the ``scored`` relation, for everybody who may be
            written to.
        clears: Whether our properties are cleared when a person leaves.
        to_holdouts: Whether held-out people receive ``properties`` all the same.
        recheck_missing_days: How long an unknown person is left alone before being looked up again.
    """

    name: str
    purpose: str | None = None
    channel: str | None = None
    match_on: str = "email"
    creates: bool = False
    looks_up: bool = False
    needs_record_id: bool = False
    records: bool = True
    memberships: bool = True
    properties: Mapping[str, str] = field(default_factory=dict)
    clears: bool = True
    to_holdouts: bool = False
    recheck_missing_days: float = 7.0


@dataclass(frozen=True, slots=True)
class ListSpec:
    """One arm's list at one destination."""

    destination: str
    arm: Arm
    name: str
    offer: str | None = None
    """Of the treatment arm: for the people of this offer only; None: for the whole arm."""


@dataclass(frozen=True, slots=True)
class OfferSpec:
    """One of several offers that a campaign tries.

    Attributes:
        share: Of the treatment arm.
        constants: Vendor property -> fixed value, for people of this offer only.
        cost_per_contact: Money for each of them who joins its list.
    """

    share: float
    constants: Mapping[str, PropertyValue] = field(default_factory=dict)
    cost_per_contact: float = 0.0


@dataclass(frozen=True, slots=True)
class CampaignSpec:
    """One campaign, as the planner sees it.

    Attributes:
        name: The configuration's name; also the randomisation unit of its arms.
        segment: The segment that it addresses.
        destinations: Where its lists live.
        shares: Arm -> share of the eligible, adding up to 1.
        lists: Every list of the campaign; arms without one get none.
        epoch: Randomisation epoch; a new one draws anew.
        active: Whether the campaign runs at this instant (between its start and end).
        is_measured: Whether it runs, or a window of its people may still be open after its end.
            As long as that is so, its holdouts stay as they are.
        constants: Vendor property -> fixed value, for the treatment arm only.
        columns: Vendor property -> column of ``scored``, for the treatment arm only.
        exempt_from_global: Whether the global holdout does not apply (transactional campaigns).
        cost_per_contact: Money for each person who joins the treatment list.
        budget_per_run: Money that one run may cost; None for no limit.
        rank_by: Checked SQL over ``scored``: whoever has more of it joins first where the budget
            does not reach everybody. Empty: a run above its budget is held instead.
        offers: Offer -> what its people get, beside ``columns``; empty: there is one strategy, and
            ``constants`` and ``cost_per_contact`` are its.
    """

    name: str
    segment: str
    destinations: tuple[str, ...]
    shares: Mapping[Arm, float]
    lists: tuple[ListSpec, ...]
    epoch: int = 1
    active: bool = True
    is_measured: bool = True
    constants: Mapping[str, PropertyValue] = field(default_factory=dict)
    columns: Mapping[str, str] = field(default_factory=dict)
    exempt_from_global: bool = False
    cost_per_contact: float = 0.0
    budget_per_run: float | None = None
    rank_by: str = ""
    offers: Mapping[str, OfferSpec] = field(default_factory=dict)

    @property
    def constant_names(self) -> tuple[str, ...]:
        """Properties with a fixed value, of whichever offer."""
        names = [*self.constants, *(n for one in self.offers.values() for n in one.constants)]
        return tuple(dict.fromkeys(names))

    def price(self, offer: str | None) -> float:
        """Cost of one contact of the people of an offer; None: where there are none."""
        if offer is not None and offer in self.offers:
            return self.offers[offer].cost_per_contact
        return self.cost_per_contact


@dataclass(frozen=True, slots=True)
class PriorityList:
    """Segments in order; a person's highest eligible one wins."""

    name: str
    segments: tuple[str, ...]


def load_specs(
    con: duckdb.DuckDBPyConnection,
    destinations: Sequence[DestinationSpec],
    campaigns: Sequence[CampaignSpec],
    priority_lists: Sequence[PriorityList],
) -> None:
    """Create the ``cfg_*`` tables that the fixed SQL joins with."""
    _table(
        con,
        "cfg_destinations(destination TEXT, purpose TEXT, channel TEXT, match_on TEXT, creates"
        " BOOL, looks_up BOOL,"
        " needs_record_id BOOL, clears BOOL, to_holdouts BOOL, writes_everyone BOOL, recheck_days"
        " DOUBLE)",
        [
            (
                d.name, d.purpose, d.channel, d.match_on, d.creates, d.looks_up,
                d.needs_record_id, d.clears, d.to_holdouts,
                d.records and bool(d.properties), d.recheck_missing_days,
            )
            for d in destinations
        ],
    )  # fmt: skip
    _table(
        con,
        "cfg_campaigns(campaign TEXT, segment TEXT, epoch INTEGER, active BOOL, measured BOOL,"
        " exempt BOOL)",
        [
            (c.name, c.segment, c.epoch, c.active, c.active or c.is_measured, c.exempt_from_global)
            for c in campaigns
        ],
    )
    _table(
        con,
        "cfg_properties(destination TEXT, campaign TEXT, name TEXT)",
        [
            *(
                (d.name, None, name)
                for d in destinations
                if d.records and not d.to_holdouts
                for name in d.properties
            ),
            *(
                (d.name, c.name, name)
                for c in campaigns
                for d in destinations
                if d.records and d.name in c.destinations
                for name in (*c.constant_names, *c.columns)
            ),
        ],
    )
    _table(
        con,
        "cfg_targets(campaign TEXT, destination TEXT)",
        [(c.name, d) for c in campaigns for d in c.destinations],
    )
    lists = {d.name for d in destinations if d.memberships}
    _table(
        con,
        "cfg_audiences(destination TEXT, campaign TEXT, arm TEXT, name TEXT, offer TEXT)",
        [
            (one.destination, c.name, one.arm.value, one.name, one.offer)
            for c in campaigns
            for one in c.lists
            if one.destination in lists
        ],
    )
    _table(
        con,
        "cfg_priority(list_name TEXT, segment TEXT, place INTEGER)",
        [
            (p.name, segment, place)
            for p in priority_lists
            for place, segment in enumerate(p.segments)
        ],
    )


def _table(con: duckdb.DuckDBPyConnection, declaration: str, rows: list[tuple[Any, ...]]) -> None:
    con.execute(f"CREATE OR REPLACE TEMP TABLE {declaration}")
    if rows:
        name = declaration.split("(", 1)[0]
        # By columns, in one statement: one for each row costs a hundred times as much.
        columns = [list(column) for column in zip(*rows, strict=True)]
        con.execute(f"INSERT INTO {name} SELECT {', '.join(['unnest(?)'] * len(columns))}", columns)


def instant(moment: datetime) -> str:
    """An aware instant as a UTC literal of the engine."""
    from datetime import UTC

    return f"TIMESTAMP '{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S.%f}'"
