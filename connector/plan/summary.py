"""Counting a plan: gains and losses, costs, and the guards that trip."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from connector.domain import BillingUnit, Capabilities, Stage
from connector.numbers import gain, money, percent
from connector.plan.document import AudiencePlan, CampaignPlan, Effort, Guard, RecordsPlan

if TYPE_CHECKING:
    import duckdb

FEW_PEOPLE = 10
"""Shares of fewer people than this trip no guard: two of three leaving a list is no incident."""


@dataclass(frozen=True, slots=True)
class GuardLimits:
    """The configuration's ``guards``, as plain numbers.

    Attributes:
        removals_above: Largest share of a list that may leave, and of a destination's people whose
            properties may be cleared, at once (0-1); explicit withdrawals do not count.
        additions_above: Largest share by which a list may grow at once (0-1).
        new_billable_profiles_above: How many billable people one run may create.
        hold_empty_segment: Whether a segment that lost all its members holds the run.
        first_sync_needs_approval: Whether the first push to a destination waits for a person.
        over_people: How many changes need approval; None for no limit.
    """

    removals_above: float = 0.20
    additions_above: float = 0.50
    new_billable_profiles_above: int = 0
    hold_empty_segment: bool = True
    first_sync_needs_approval: bool = True
    over_people: int | None = 20_000


def audience_plans(
    con: duckdb.DuckDBPyConnection, statuses: Mapping[tuple[str, str], str]
) -> list[AudiencePlan]:
    """Every list that the configuration wants or that the ledger still holds people of.

    Args:
        con: The workspace after :func:`connector.plan.diff.build_changes`.
        statuses: (destination, list name) -> ``new`` | ``adopted`` | ``kept`` | ``deleted``.
    """
    rows = con.execute(
        """
        WITH lists AS (
            SELECT destination, name, campaign, arm FROM cfg_audiences a
            WHERE campaign IN (SELECT campaign FROM cfg_campaigns WHERE active)
            UNION
            SELECT a.destination, a.name, a.campaign, a.arm FROM st_audiences a
            WHERE NOT EXISTS (SELECT 1 FROM cfg_audiences c
                WHERE c.destination = a.destination AND c.name = a.name
                              AND c.campaign IN (SELECT campaign FROM cfg_campaigns WHERE active))
              AND EXISTS (SELECT 1 FROM st_memberships m WHERE m.destination = a.destination
                          AND m.audience_id = a.audience_id AND m.presence <> 'no')
        ),
        present AS (
            SELECT destination, audience_id, count(*) AS n
                FROM st_memberships WHERE presence <> 'no' GROUP BY ALL
        ),
        foreigners AS (SELECT destination, audience_id, count(*) AS n FROM st_foreign GROUP BY ALL),
        moves AS (
            SELECT destination, audience AS name,
                count(*) FILTER (action = 'add') AS joins,
                    count(*) FILTER (action = 'remove') AS leaves,
                count(*) FILTER (action = 'add' AND reason = 'unconfirmed') AS unconfirmed
            FROM changes WHERE kind = 'membership' GROUP BY ALL
        ),
        stuck AS (SELECT destination, audience AS name, count(*) AS n
            FROM held WHERE audience IS NOT NULL GROUP BY ALL)
        SELECT l.destination, l.name, l.campaign, l.arm, coalesce(p.n, 0), coalesce(m.joins, 0),
            coalesce(m.leaves, 0),
            coalesce(s.n, 0), coalesce(f.n, 0), coalesce(m.unconfirmed, 0)
        FROM lists l
        LEFT JOIN st_audiences a ON a.destination = l.destination AND a.name = l.name
            AND a.status = 'present'
        LEFT JOIN present p ON p.destination = l.destination AND p.audience_id = a.audience_id
        LEFT JOIN foreigners f ON f.destination = l.destination AND f.audience_id = a.audience_id
        LEFT JOIN moves m ON m.destination = l.destination AND m.name = l.name
        LEFT JOIN stuck s ON s.destination = l.destination AND s.name = l.name
        ORDER BY l.destination, l.campaign, l.arm DESC
        """
    ).fetchall()
    names = (
        *("destination", "name", "campaign", "arm", "before", "joins", "leaves"),
        *("held", "foreign", "unconfirmed"),
    )
    return [
        AudiencePlan(
            **dict(zip(names, row, strict=True)), status=statuses.get((row[0], row[1]), "kept")
        )
        for row in rows
    ]


def records_plans(con: duckdb.DuckDBPyConnection) -> list[RecordsPlan]:
    """Properties, one row a destination."""
    rows = con.execute(
        """
        SELECT d.destination,
            count(*) FILTER (c.action = 'update' AND c.fingerprint IS NOT NULL),
            count(*) FILTER (c.action = 'add'),
            count(*) FILTER (c.fingerprint IS NULL AND c.kind = 'record'),
            (SELECT count(*) FROM want_records w JOIN st_records k USING (destination, match_key)
             WHERE w.destination = d.destination AND k.presence = 'yes'
                 AND k.fingerprint = w.fingerprint),
            (SELECT count(*) FROM held h WHERE h.destination = d.destination AND h.audience IS NULL)
        FROM cfg_destinations d
        LEFT JOIN changes c ON c.destination = d.destination AND c.kind = 'record'
        GROUP BY d.destination ORDER BY d.destination
        """
    ).fetchall()
    return [RecordsPlan(*row) for row in rows]


def campaign_plans(
    con: duckdb.DuckDBPyConnection,
    *,
    prices: Mapping[str, Callable[[str | None], float]],
    budgets: Mapping[str, float | None],
    shared: Mapping[str, tuple[str, float]],
) -> list[CampaignPlan]:
    """Who each campaign addresses, and its cost.

    Joins of the treatment list times the cost of one contact.

    Args:
        con: The workspace.
        prices: Campaign -> cost of one contact, given the offer (None where there is none).
        budgets: Campaign -> what its run may cost; None for no limit.
        shared: Campaign -> name and amount of the budget that it shares with others.
    """
    sizes = con.execute(
        """
        SELECT c.campaign, c.segment, count(k.profile_id),
            count(*) FILTER (k.profile_id IS NOT NULL AND k.blocked IS NULL)
        FROM cfg_campaigns c LEFT JOIN candidates k USING (campaign)
        WHERE c.active GROUP BY ALL ORDER BY c.campaign
        """
    ).fetchall()
    blocked: dict[str, dict[str, int]] = {}
    for campaign, reason, n in con.execute(
        "SELECT campaign, blocked, count(*) FROM candidates WHERE blocked IS NOT NULL GROUP BY"
        " ALL ORDER BY ALL"
    ).fetchall():
        blocked.setdefault(campaign, {})[reason] = n
    arms: dict[str, dict[str, int]] = {}
    new_arms: dict[str, dict[str, int]] = {}
    for campaign, arm, n, n_new in con.execute(
        # Whoever waits for a budget has an arm, but is not addressed.
        "SELECT a.campaign, a.arm, count(*) FILTER (k.blocked IS DISTINCT FROM 'over_budget'),"
        " count(*) FILTER (a.is_new) FROM arms a LEFT JOIN candidates k"
        " ON k.campaign = a.campaign AND k.epoch = a.epoch AND k.profile_id = a.profile_id"
        " GROUP BY ALL ORDER BY ALL"
    ).fetchall():
        arms.setdefault(campaign, {})[arm] = n
        new_arms.setdefault(campaign, {})[arm] = n_new
    offers: dict[str, dict[str, int]] = {}
    for campaign, offer, n in con.execute(
        "SELECT a.campaign, a.offer, count(*) FROM arms a LEFT JOIN candidates k"
        " ON k.campaign = a.campaign AND k.epoch = a.epoch AND k.profile_id = a.profile_id"
        " WHERE a.offer IS NOT NULL AND k.blocked IS DISTINCT FROM 'over_budget'"
        " GROUP BY ALL ORDER BY ALL"
    ).fetchall():
        offers.setdefault(campaign, {})[offer] = n
    costs: dict[str, float] = {}
    for campaign, offer, n in con.execute(
        """
        SELECT a.campaign, a.offer, count(DISTINCT c.profile_id) FROM changes c
        JOIN cfg_audiences a ON a.destination = c.destination AND a.name = c.audience
            AND a.arm = 'treatment'
        WHERE c.action = 'add' AND c.kind = 'membership' GROUP BY ALL ORDER BY ALL
        """
    ).fetchall():
        if campaign in prices:
            costs[campaign] = costs.get(campaign, 0.0) + n * prices[campaign](offer)
    return [
        CampaignPlan(
            campaign=campaign,
            segment=segment,
            in_segment=in_segment,
            eligible=eligible,
            blocked=blocked.get(campaign, {}),
            arms=arms.get(campaign, {}),
            new_arms=new_arms.get(campaign, {}),
            cost=round(costs.get(campaign, 0.0), 2),
            budget=shared[campaign][1] if campaign in shared else budgets.get(campaign),
            shared=shared[campaign][0] if campaign in shared else "",
            offers=offers.get(campaign, {}),
        )
        for campaign, segment, in_segment, eligible in sizes
    ]


def efforts(
    con: duckdb.DuckDBPyConnection, capabilities: Mapping[str, Capabilities]
) -> list[Effort]:
    """Calls and minutes at each vendor's own limit."""
    counts: dict[str, int] = {}
    for destination, kind, n in con.execute(
        "SELECT destination, kind, count(*) FROM changes GROUP BY destination, stage, kind,"
        " audience, action"
    ).fetchall():
        able = capabilities[destination]
        size = able.max_records if kind == "record" else able.max_members
        counts[destination] = counts.get(destination, 0) + math.ceil(n / size)
    return [
        Effort(
            destination=name,
            calls=calls,
            minutes=max(
                (calls * rate.seconds / rate.requests / 60.0 for rate in capabilities[name].rates),
                default=0.0,
            ),
        )
        for name, calls in sorted(counts.items())
    ]


def tripped_guards(
    con: duckdb.DuckDBPyConnection,
    limits: GuardLimits,
    *,
    audiences: Sequence[AudiencePlan],
    records: Sequence[RecordsPlan],
    campaigns: Sequence[CampaignPlan],
    capabilities: Mapping[str, Capabilities],
    currency: str,
) -> list[Guard]:
    """Every guard that holds this plan back until a person has looked.

    None holds the explicit withdrawals.
    """
    guards: list[Guard] = []
    guarded_leaves = {
        (destination, name): n
        for destination, name, n in con.execute(
            """
            SELECT destination, audience, count(*) FROM changes
            WHERE kind = 'membership' AND action = 'remove' AND stage > 0 GROUP BY ALL
            """
        ).fetchall()
    }
    for audience in audiences:
        subject = f"{audience.destination}: {audience.name}"
        leaves = guarded_leaves.get((audience.destination, audience.name), 0)
        if leaves >= FEW_PEOPLE and leaves > limits.removals_above * audience.before:
            guards.append(
                Guard(
                    "removals_above",
                    subject,
                    f"{leaves:,} of {audience.before:,} people would leave"
                    f" ({percent(leaves / audience.before, digits=1)});"
                    f" the limit is {percent(limits.removals_above)}.",
                )
            )
        grown = audience.joins - audience.unconfirmed
        if (
            audience.before
            and grown >= FEW_PEOPLE
            and grown > limits.additions_above * audience.before
        ):
            guards.append(
                Guard(
                    "additions_above",
                    subject,
                    f"{grown:,} people would join {audience.before:,}"
                    f" ({gain(grown / audience.before)});"
                    f" the limit is {percent(limits.additions_above)}.",
                )
            )
        if audience.status == "deleted":
            guards.append(
                Guard(
                    "deleted_list",
                    subject,
                    f"somebody deleted this list at {audience.destination}; applying would build"
                    f" it anew with"
                    f" {audience.joins:,} people.",
                )
            )
    guards += _cleared_guards(con, limits)
    if limits.hold_empty_segment:
        for campaign in campaigns:
            before = sum(a.before for a in audiences if a.campaign == campaign.campaign)
            if campaign.in_segment == 0 and before:
                guards.append(
                    Guard(
                        "empty_segment",
                        f"campaign {campaign.campaign}",
                        f"its segment {campaign.segment} has no members any more, while its lists"
                        f" hold {before:,} people.",
                    )
                )
    for record in records:
        billed = capabilities[record.destination].billing_unit
        if billed is not BillingUnit.NONE and record.creates > limits.new_billable_profiles_above:
            guards.append(
                Guard(
                    "new_billable_profiles_above",
                    record.destination,
                    f"{record.creates:,} new billable profiles ({billed.value}) would be created;"
                    f" the limit is"
                    f" {limits.new_billable_profiles_above:,}.",
                )
            )
    guards += [
        Guard(
            "budget",
            f"campaign {campaign.campaign}",
            f"this run would cost {money(campaign.cost, currency, digits=2)}; its budget for a run"
            f" is {money(campaign.budget, currency, digits=2)}.",
        )
        for campaign in campaigns
        if campaign.budget is not None and not campaign.shared and campaign.cost > campaign.budget
    ]
    guards += _shared_guards(campaigns, currency)
    changes = dict(
        con.execute(
            "SELECT destination, count(DISTINCT profile_id) FROM changes GROUP BY 1"
        ).fetchall()
    )
    known = {
        row[0]
        for row in con.execute(
            "SELECT DISTINCT destination FROM st_memberships UNION SELECT DISTINCT destination"
            " FROM st_records"
            " WHERE presence <> 'no'"
        ).fetchall()
    }
    for destination, people in sorted(changes.items()):
        if limits.first_sync_needs_approval and destination not in known:
            guards.append(
                Guard(
                    "first_sync",
                    destination,
                    f"nothing was ever sent there; {people:,} people would be.",
                )
            )
        elif limits.over_people is not None and people > limits.over_people:
            guards.append(
                Guard(
                    "over_people",
                    destination,
                    f"{people:,} people would change; more than {limits.over_people:,} need"
                    f" approval.",
                )
            )
    return guards


def _shared_guards(campaigns: Sequence[CampaignPlan], currency: str) -> Iterator[Guard]:
    """Budgets that their campaigns together would exceed."""
    for name in sorted({one.shared for one in campaigns if one.shared}):
        mine = [one for one in campaigns if one.shared == name]
        cost, limit = math.fsum(one.cost for one in mine), mine[0].budget or 0.0
        if round(cost, 2) > limit:
            yield Guard(
                "budget",
                f"budget {name}",
                f"this run of {', '.join(one.campaign for one in mine)} would cost"
                f" {money(cost, currency, digits=2)}; their budget for a run is"
                f" {money(limit, currency, digits=2)}.",
            )


def _cleared_guards(con: duckdb.DuckDBPyConnection, limits: GuardLimits) -> list[Guard]:
    """Destinations where too many people would lose their properties at once."""
    rows = con.execute(
        f"""
        SELECT c.destination, count(*) AS n, any_value(p.n) AS present
        FROM changes c
        JOIN (SELECT destination, count(*) AS n FROM st_records
              WHERE presence <> 'no' AND fields <> '[]' GROUP BY 1) p
            ON p.destination = c.destination
        WHERE c.kind = 'record' AND c.stage = {Stage.LEAVE:d}
        GROUP BY 1 ORDER BY 1
        """
    ).fetchall()
    return [
        Guard(
            "removals_above",
            destination,
            f"the properties of {n:,} of {present:,} people would be cleared"
            f" ({percent(n / present, digits=1)}); the limit is {percent(limits.removals_above)}.",
        )
        for destination, n, present in rows
        if n >= FEW_PEOPLE and n > limits.removals_above * present
    ]
