"""Who a campaign addresses: eligibility, then the priority list.

The arm comes last (:mod:`connector.holdouts`).

The order is the same for every arm, and a held-out winner does not fall through to the next
campaign: otherwise the holdout of one campaign would be the treatment of another.

Relation made: ``candidates(campaign, epoch, segment, profile_id, reason, blocked)``: one row for
each campaign and member of its segment; ``blocked`` is NULL for the eligible, else why not: a
reason of :mod:`connector.audiences.reach`, ``excluded_from_campaign``, ``outranked`` or, set later,
``global_holdout`` (by the holdouts) or ``over_budget`` (:mod:`.rationing`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import duckdb


def build_candidates(con: duckdb.DuckDBPyConnection) -> None:
    """Create ``candidates`` from segment members, reach, exclusions and priority lists."""
    con.execute(
        """
        CREATE OR REPLACE TEMP TABLE candidates AS
        WITH members AS (
            SELECT c.campaign, c.epoch, c.segment, s.profile_id, s.reason
            FROM cfg_campaigns c JOIN segment_members s ON s.segment = c.segment
            WHERE c.active
        ),
        reached AS (
            -- Reachable at one destination is enough; else the gravest of the reasons, by name.
            SELECT t.campaign, r.profile_id,
                bool_or(r.blocked IS NULL) AS reachable, min(r.blocked) AS blocked
            FROM cfg_targets t JOIN reach r ON r.destination = t.destination
            GROUP BY ALL
        ),
        barred AS (SELECT DISTINCT profile_id, applies_to
            FROM exclusions WHERE applies_to IS NOT NULL),
        judged AS (
            SELECT m.*,
                CASE
                    WHEN NOT coalesce(r.reachable, false) THEN coalesce(r.blocked, 'no_address')
                    WHEN b.profile_id IS NOT NULL THEN 'excluded_from_campaign'
                END AS blocked
            FROM members m
            LEFT JOIN reached r ON r.campaign = m.campaign AND r.profile_id = m.profile_id
            LEFT JOIN barred b ON b.profile_id = m.profile_id AND b.applies_to = m.campaign
        ),
        best AS (
            SELECT p.list_name, j.profile_id, min(p.place) AS place
            FROM judged j JOIN cfg_priority p ON p.segment = j.segment
            WHERE j.blocked IS NULL
            GROUP BY ALL
        ),
        outranked AS (
            SELECT DISTINCT j.campaign, j.profile_id
            FROM judged j
            JOIN cfg_priority p ON p.segment = j.segment
            JOIN best b ON b.list_name = p.list_name AND b.profile_id = j.profile_id
            WHERE j.blocked IS NULL AND p.place > b.place
        )
        SELECT j.campaign, j.epoch, j.segment, j.profile_id, j.reason,
            CASE WHEN o.campaign IS NOT NULL THEN 'outranked' ELSE j.blocked END AS blocked
        FROM judged j
        LEFT JOIN outranked o ON o.campaign = j.campaign AND o.profile_id = j.profile_id
        """
    )
