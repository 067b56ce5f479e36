"""Ghost sends: who would be sent a campaign, decided for every arm by one rule at one instant.

What a campaign did is measured on everybody assigned. But a mail that a budget did not reach, or
that a suppression stopped, dilutes the effect and, were it stopped in one arm only, would bias it.
So what *would* be sent is written down for treatment and holdouts alike ("ghost ads"), after
consent, suppression, exclusion lists, priority list, global holdout, budget and the vendor's
knowledge of the person, and before anything is delivered.

The rule never sees an arm, nor what was delivered:

* Whoever is blocked (:mod:`.reach`, :mod:`.eligibility`) would not be sent anything, for that
  reason. One reason is no such block: of two people who are one record at the vendor it is their
  arms that decide who stays reachable, so both would be sent.
* Where a budget does not reach everybody (:mod:`.rationing`), the first person of the treatment
  arm whom it does not reach draws a line through the ranking, and it holds for all arms. Whoever
  would have been sent at the last run stays, without being paid for once more.
* Of the global holdout the question is whether any campaign at all would address the person.

Only what changed is logged: somebody's first decision, and each that differs from the last.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

from connector.audiences.rationing import OVER_BUDGET
from connector.audiences.specs import CampaignSpec

if TYPE_CHECKING:
    import duckdb

NO_BLOCK = (OVER_BUDGET, "same_vendor_record")
"""Blocks of candidates that depend on their arm, so that this rule does not see them."""

LEFT_SEGMENT = "left_segment"
PROFILE_GONE = "profile_gone"


def build_would_send(
    con: duckdb.DuckDBPyConnection,
    campaigns: Sequence[CampaignSpec],
    *,
    global_holdout: str | None,
    unreadable: Collection[str] = (),
) -> None:
    """Create ``would_send``: the decisions of this run that are new.

    Relations read: ``arms``, ``st_assignments``, ``candidates``, ``cutoffs``, ``profiles``,
    ``scored``, ``cfg_campaigns``, ``cfg_targets`` and ``st_would_send(campaign, epoch, profile_id,
    decision, reason)``, each person's last decision under the present profile id.
    Relation made: ``would_send(campaign, epoch, profile_id, arm, decision, reason)``; ``reason`` is
    empty for a yes.

    Args:
        con: The workspace, after :func:`connector.audiences.rationing.ration`.
        campaigns: Every campaign.
        global_holdout: Name of the global holdout that is drawn in this run, if there is one.
        unreadable: Destinations that could not be read; of a campaign that has no other nothing
            is decided.
    """
    _worths(con, campaigns)
    con.execute(
        """
        CREATE OR REPLACE TEMP TABLE asked AS
        SELECT campaign, epoch, exempt FROM cfg_campaigns
        WHERE active AND campaign NOT IN (
            SELECT campaign FROM cfg_targets GROUP BY campaign
            HAVING bool_and(list_contains($unreadable, destination))
        )
        """,
        {"unreadable": list(unreadable)},
    )
    con.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE would_send AS
        WITH given AS (
            SELECT campaign, epoch, profile_id, arm, TRUE AS is_new FROM arms WHERE is_new
            UNION ALL
            SELECT campaign, epoch, profile_id, arm, FALSE FROM st_assignments
        ),
        judged AS (
            SELECT campaign, epoch, profile_id,
                CASE WHEN blocked IN {NO_BLOCK} THEN NULL ELSE blocked END AS blocked
            FROM candidates JOIN asked USING (campaign, epoch)
            UNION ALL
            SELECT $everyone, 1, profile_id,
                nullif(min(CASE WHEN blocked IN {(*NO_BLOCK, "global_holdout")} THEN ''
                                ELSE coalesce(blocked, '') END), '')
            FROM candidates JOIN asked USING (campaign, epoch)
            WHERE $everyone IS NOT NULL AND NOT exempt GROUP BY profile_id
        ),
        concerned AS (
            SELECT campaign, epoch FROM asked UNION ALL SELECT $everyone, 1
        ),
        reasoned AS (
            SELECT g.campaign, g.epoch, g.profile_id, g.arm, g.is_new,
                l.decision AS last_decision, l.reason AS last_reason,
                CASE
                    WHEN j.profile_id IS NULL THEN CASE WHEN p.profile_id IS NULL
                        THEN '{PROFILE_GONE}' ELSE '{LEFT_SEGMENT}' END
                    WHEN j.blocked IS NOT NULL THEN j.blocked
                    WHEN c.campaign IS NULL OR coalesce(l.decision = 'yes', FALSE) THEN ''
                    WHEN CASE
                        WHEN w.worth IS NULL THEN c.worth IS NULL AND g.profile_id < c.profile_id
                        WHEN c.worth IS NULL OR w.worth > c.worth THEN TRUE
                        ELSE w.worth = c.worth AND g.profile_id < c.profile_id
                    END THEN ''
                    ELSE '{OVER_BUDGET}'
                END AS reason
            FROM given g
            SEMI JOIN concerned q ON q.campaign = g.campaign AND q.epoch = g.epoch
            LEFT JOIN judged j ON j.campaign = g.campaign AND j.epoch = g.epoch
                AND j.profile_id = g.profile_id
            LEFT JOIN profiles p ON p.profile_id = g.profile_id
            LEFT JOIN st_would_send l ON l.campaign = g.campaign AND l.epoch = g.epoch
                AND l.profile_id = g.profile_id
            LEFT JOIN cutoffs c ON c.campaign = g.campaign
            LEFT JOIN worths w ON w.campaign = g.campaign AND w.profile_id = g.profile_id
        )
        SELECT campaign, epoch, profile_id, arm,
            CASE WHEN reason = '' THEN 'yes' ELSE 'no' END AS decision, reason
        FROM reasoned
        WHERE CASE WHEN last_decision IS NULL THEN is_new OR reason = ''
                   ELSE reason IS DISTINCT FROM last_reason END
        ORDER BY campaign, epoch, profile_id
        """,
        {"everyone": global_holdout},
    )


def _worths(con: duckdb.DuckDBPyConnection, campaigns: Sequence[CampaignSpec]) -> None:
    """Create ``worths``: everybody's place in a ranking whose budget does not reach everybody."""
    con.execute("CREATE OR REPLACE TEMP TABLE worths(campaign TEXT, profile_id TEXT, worth DOUBLE)")
    cut = {name for (name,) in con.execute("SELECT campaign FROM cutoffs").fetchall()}
    for spec in campaigns:
        if spec.name in cut:
            con.execute(
                f"""
                INSERT INTO worths
                SELECT $campaign, profile_id,
                    CASE WHEN isfinite(worth) THEN round(worth, 9) END
                FROM (SELECT profile_id, CAST({spec.rank_by} AS DOUBLE) AS worth FROM scored)
                """,
                {"campaign": spec.name},
            )
