"""How somebody gets on with the shop: the help desk, social networks, loyalty points."""

from __future__ import annotations

from connector.features.pack import FeatureColumn, FeaturePack, LevelColumns, Rows
from connector.features.shares import counted, favourite, most_often, needing, ranked

YEAR = 365
_SOLVED = "closed_at < as_of"
"""A ticket that was solved later was open at an earlier instant, and nobody had judged it."""


def support_pack() -> FeaturePack:
    """Tickets of the help desk: how many, how they ended, and whether one is open."""
    return FeaturePack(
        name="support",
        table="clean_tickets",
        time="opened_at",
        columns=(
            FeatureColumn(
                "open_support_tickets",
                "count(*)",
                "tickets",
                "tickets that are open",
                where=f"NOT coalesce({_SOLVED}, FALSE)",
                needs=("tickets.closed_at",),
            ),
            *(
                FeatureColumn(
                    f"support_tickets_{days}d",
                    "count(*)",
                    "tickets",
                    f"tickets opened in the last {days} days",
                    window_days=days,
                )
                for days in (90, YEAR)
            ),
            FeatureColumn(
                "days_since_last_ticket",
                "days_between(max(opened_at), as_of)",
                "days",
                "whole days since the last ticket was opened",
                empty="NULL",
            ),
            FeatureColumn(
                f"mean_resolution_hours_{YEAR}d",
                f"avg(CASE WHEN {_SOLVED} THEN seconds_between(opened_at, closed_at) END) / 3600",
                "hours",
                f"mean time to solve the tickets opened in the last {YEAR} days; NULL without a"
                " solved one",
                window_days=YEAR,
                type="DOUBLE",
                empty="NULL",
                needs=("tickets.closed_at",),
            ),
            FeatureColumn(
                f"mean_satisfaction_{YEAR}d",
                f"avg(CASE WHEN {_SOLVED} THEN satisfaction END)",
                "the help desk's scale",
                f"mean verdict on the solved tickets opened in the last {YEAR} days",
                window_days=YEAR,
                type="DOUBLE",
                empty="NULL",
                needs=("tickets.satisfaction", "tickets.closed_at"),
            ),
        ),
        needs=("tickets",),
    )


def social_pack() -> FeaturePack:
    """Interactions on social networks."""
    table = Rows("clean_social", "occurred_at")
    networks = counted(
        "level_networks",
        table,
        "r.network",
        time="r.occurred_at",
        where="r.network IS NOT NULL",
    )
    return FeaturePack(
        name="social",
        table=table.table,
        time=table.time,
        columns=(
            *(
                FeatureColumn(
                    f"social_actions_{days}d",
                    "count(*)",
                    "interactions",
                    f"interactions on social networks in the last {days} days",
                    window_days=days,
                )
                for days in (30, 90)
            ),
            FeatureColumn(
                f"social_shares_{YEAR}d",
                "count(*)",
                "interactions",
                f"shares and mentions of the shop in the last {YEAR} days",
                where="action IN ('share', 'mention', 'repost')",
                window_days=YEAR,
                needs=("social.action",),
            ),
            FeatureColumn(
                "days_since_last_social_action",
                "days_between(max(occurred_at), as_of)",
                "days",
                "whole days since the last interaction on a social network",
                empty="NULL",
            ),
            FeatureColumn(
                f"mean_sentiment_{YEAR}d",
                "avg(sentiment)",
                "from -1 to 1",
                f"mean sentiment of the interactions of the last {YEAR} days",
                window_days=YEAR,
                type="DOUBLE",
                empty="NULL",
                needs=("social.sentiment",),
            ),
        ),
        levels=(
            LevelColumns(
                most_often(networks),
                (
                    needing(
                        favourite(
                            "preferred_network",
                            "social network of most interactions",
                            unit="network",
                        ),
                        "social.network",
                    ),
                ),
            ),
        ),
        needs=("social",),
    )


def loyalty_pack() -> FeaturePack:
    """The account in the loyalty programme."""
    table = Rows("clean_loyalty", "occurred_at")
    tiers = counted(
        "level_tiers", table, "r.tier", time="r.occurred_at", where="r.tier IS NOT NULL"
    )
    tier = favourite("loyalty_tier", "level of the latest booking that names one", unit="tier")
    latest = ranked("level_tiers_last", tiers, order="c.last_at DESC, c.n DESC")
    points = ("loyalty.points",)
    return FeaturePack(
        name="loyalty",
        table=table.table,
        time=table.time,
        columns=(
            FeatureColumn(
                "loyalty_points_balance",
                "sum(points)",
                "points",
                "points on the account",
                type="DOUBLE",
                needs=points,
            ),
            FeatureColumn(
                f"points_earned_{YEAR}d",
                "sum_if(points, points > 0)",
                "points",
                f"points earned in the last {YEAR} days",
                window_days=YEAR,
                type="DOUBLE",
                needs=points,
            ),
            FeatureColumn(
                f"points_spent_{YEAR}d",
                "-sum_if(points, points < 0)",
                "points",
                f"points spent or lost in the last {YEAR} days",
                window_days=YEAR,
                type="DOUBLE",
                needs=points,
            ),
            FeatureColumn(
                "days_since_last_loyalty_booking",
                "days_between(max(occurred_at), as_of)",
                "days",
                "whole days since the last booking of points",
                empty="NULL",
            ),
        ),
        levels=(
            LevelColumns(
                latest,
                (needing(tier, "loyalty.tier"),),
            ),
        ),
        needs=("loyalty",),
    )
