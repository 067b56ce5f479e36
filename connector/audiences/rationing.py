"""Who joins first where a budget does not reach everybody: those who rank first.

Comes last, after eligibility, priority and arms, so that it touches no arm: whoever is drawn for
treatment and waits keeps the arm and is counted with it, and holdouts stay comparable. Only people
who would cost something and are on none of the campaign's treatment lists yet may have to wait;
who is on one stays. The next run starts from those who wait, so it continues with the next best.

Read off the changes: what a run costs is the people whom it adds to treatment lists. Where somebody
has to wait, ``candidates`` says ``over_budget`` of them, and wants and changes are built anew.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from connector.audiences.specs import CampaignSpec

if TYPE_CHECKING:
    import duckdb

OVER_BUDGET = "over_budget"
"""Why somebody of the treatment arm is not addressed in this run."""

UNITS = 1_000_000
"""Amounts are added up in millionths, so that no order of a sum moves the last person."""

ROWS_AT_ONCE = 10_000

Priced = tuple[str, str | None]
"""Campaign and offer: what the cost of a contact depends on."""


@dataclass(frozen=True, slots=True)
class Ration:
    """The money of one run for the new members of some campaigns.

    Attributes:
        per_run: Currency.
        campaigns: Names; each has a cost of one contact and a ranking.
        name: Of a budget that campaigns share; empty where it is one campaign's own.
    """

    per_run: float
    campaigns: tuple[str, ...]
    name: str = ""


def ration(
    con: duckdb.DuckDBPyConnection, rations: Sequence[Ration], campaigns: Sequence[CampaignSpec]
) -> bool:
    """Have everybody wait whom the budgets do not reach.

    Relation made: ``cutoffs(campaign, worth, profile_id)``: the first in each ranking whom the
    money does not reach, where there is somebody.

    Args:
        con: The workspace after :func:`connector.plan.diff.build_changes`.
        rations: The budgets; a campaign is in one of them at most.
        campaigns: Every campaign.

    Returns:
        Whether somebody waits; then ``want_memberships`` and all that follows is out of date.
    """
    con.execute(
        "CREATE OR REPLACE TEMP TABLE cutoffs(campaign TEXT, worth DOUBLE, profile_id TEXT)"
    )
    specs = {one.name: one for one in campaigns if one.active and one.rank_by}
    rations = [one for one in rations if any(name in specs for name in one.campaigns)]
    if not rations:
        return False
    _joiners(con)
    _ranked(con, specs)
    reached: dict[str, int] = {}
    for one in rations:
        named = [name for name in one.campaigns if name in specs]
        prices = {
            (name, offer): _units(specs[name].price(offer))
            for name in named
            for offer in (None, *specs[name].offers)
        }
        left = _units(one.per_run) - _spent(con, prices)
        reached |= _reached(_in_order(con, named), named, prices, left)
    con.execute(
        "CREATE OR REPLACE TEMP TABLE reached AS SELECT unnest($names) AS campaign,"
        " unnest($people) AS n",
        {"names": list(reached), "people": list(reached.values())},
    )
    con.execute(
        f"""
        UPDATE candidates SET blocked = '{OVER_BUDGET}'
        FROM ranked k JOIN reached r ON r.campaign = k.campaign
        WHERE candidates.campaign = k.campaign AND candidates.profile_id = k.profile_id
          AND candidates.blocked IS NULL AND k.place > r.n
        """
    )
    con.execute(
        "INSERT INTO cutoffs SELECT k.campaign, k.worth, k.profile_id FROM ranked k"
        " JOIN reached r ON r.campaign = k.campaign WHERE k.place = r.n + 1"
    )
    found = con.execute(
        f"SELECT count(*) FROM candidates WHERE blocked = '{OVER_BUDGET}'"
    ).fetchall()
    return bool(found[0][0])


def _units(amount: float) -> int:
    return round(amount * UNITS)


def _joiners(con: duckdb.DuckDBPyConnection) -> None:
    """Create ``joiners``: whom the run would add, and whether they are on a list already."""
    con.execute(
        """
        CREATE OR REPLACE TEMP TABLE joiners AS
        WITH listed AS (
            SELECT DISTINCT a.campaign, coalesce(g.into_profile_id, m.profile_id) AS profile_id
            FROM st_memberships m
            JOIN st_audiences s ON s.destination = m.destination AND s.audience_id = m.audience_id
            JOIN cfg_audiences a ON a.destination = s.destination AND a.name = s.name
                AND a.arm = 'treatment'
            LEFT JOIN st_merges g ON g.from_profile_id = m.profile_id
            WHERE m.presence <> 'no'
        ),
        adds AS (
            SELECT DISTINCT a.campaign, c.profile_id
            FROM changes c
            JOIN cfg_audiences a ON a.destination = c.destination AND a.name = c.audience
                AND a.arm = 'treatment'
            WHERE c.action = 'add' AND c.kind = 'membership'
        )
        SELECT a.campaign, a.profile_id, m.offer, l.profile_id IS NOT NULL AS listed
        FROM adds a
        LEFT JOIN arms m ON m.campaign = a.campaign AND m.profile_id = a.profile_id
        LEFT JOIN listed l ON l.campaign = a.campaign AND l.profile_id = a.profile_id
        """
    )


def _ranked(con: duckdb.DuckDBPyConnection, specs: Mapping[str, CampaignSpec]) -> None:
    """Create ``ranked``: each campaign's new people with their worth, best first."""
    con.execute(
        "CREATE OR REPLACE TEMP TABLE ranked(campaign TEXT, profile_id TEXT, offer TEXT,"
        " worth DOUBLE, place BIGINT)"
    )
    for name, spec in specs.items():
        con.execute(
            f"""
            INSERT INTO ranked
            WITH worths AS (
                SELECT profile_id, CAST({spec.rank_by} AS DOUBLE) AS worth FROM scored
            ),
            -- Rounded, so that equals are equal whichever way they were computed.
            known AS (
                SELECT j.profile_id, j.offer,
                    CASE WHEN isfinite(w.worth) THEN round(w.worth, 9) END AS worth
                FROM joiners j LEFT JOIN worths w ON w.profile_id = j.profile_id
                WHERE j.campaign = $campaign AND NOT j.listed
            )
            SELECT $campaign, profile_id, offer, worth,
                row_number() OVER (ORDER BY worth DESC NULLS LAST, profile_id)
            FROM known
            """,
            {"campaign": name},
        )


def _spent(con: duckdb.DuckDBPyConnection, prices: Mapping[Priced, int]) -> int:
    """What people cost who are on a list already and are added to another, or once more."""
    rows = con.execute(
        "SELECT campaign, offer, count(*) FROM joiners WHERE listed GROUP BY campaign, offer"
    ).fetchall()
    return sum(prices.get((campaign, offer), 0) * n for campaign, offer, n in rows)


def _in_order(con: duckdb.DuckDBPyConnection, names: list[str]) -> Iterator[Priced]:
    """Campaign and offer of each new person of several campaigns, best first."""
    found = con.execute(
        "SELECT campaign, offer FROM ranked WHERE list_contains($names, campaign)"
        " ORDER BY worth DESC NULLS LAST, profile_id, campaign",
        {"names": names},
    )
    while rows := found.fetchmany(ROWS_AT_ONCE):
        yield from rows


def _reached(
    order: Iterator[Priced], names: Sequence[str], prices: Mapping[Priced, int], left: int
) -> dict[str, int]:
    """Campaign -> how many of its best the money reaches.

    A campaign ends with the first person who does not fit in what is left. Where offers differ in
    price a later one might, but then the dear offer would be given to the best alone, the cheap one
    to others as well, and the two could not be compared any more.
    """
    reached = dict.fromkeys(names, 0)
    ended: set[str] = set()
    for campaign, offer in order:
        if len(ended) == len(reached):
            break
        if campaign in ended:
            continue
        if prices[campaign, offer] > left:
            ended.add(campaign)
            continue
        left -= prices[campaign, offer]
        reached[campaign] += 1
    return reached
