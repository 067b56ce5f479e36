"""The SQL of windows: when they end, whose have closed, and who is counted twice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from connector.lift.inputs import ORDERS_ONLY, Inputs
from connector.lift.metrics import ASSIGNMENTS
from connector.warehouse.render import literal


def people_sql(
    windows: Sequence[int],
    *,
    as_of: datetime,
    campaigns: Sequence[str],
    inputs: Inputs = ORDERS_ONLY,
) -> str:
    """SQL that counts the people assigned by ``as_of``, and of them those with closed windows.

    Args:
        windows: Window lengths in days.
        as_of: Aware; the instant of the analysis.
        campaigns: Which campaigns to read; at least one.
        inputs: Tells when accounts are closed.

    Returns:
        House-dialect SQL with one row per campaign, epoch, configuration version and arm:
        ``campaign, epoch, config_version, arm, n`` and one count of closed windows for each length,
        in the order given.
    """
    counts = "".join(
        f", sum(CASE WHEN {window_end_sql(days)} <= {closing_sql(as_of, inputs.closing(days), '')}"
        f" THEN 1 ELSE 0 END) AS closed_{i}"
        for i, days in enumerate(windows)
    )
    return (
        f"SELECT campaign, epoch, config_version, arm, count(*) AS n{counts} FROM {ASSIGNMENTS} "
        f"WHERE campaign IN ({names_sql(campaigns)}) AND first_eligible_at <= {literal(as_of)} "
        "GROUP BY campaign, epoch, config_version, arm"
    )


def repeated_people_sql(campaigns: Sequence[str]) -> str:
    """SQL that counts who is assigned more than once in a campaign and epoch: must be nobody."""
    return (
        "SELECT count(*) FROM (SELECT campaign, epoch, profile_id FROM "
        f"{ASSIGNMENTS} WHERE campaign IN ({names_sql(campaigns)}) "
        "GROUP BY campaign, epoch, profile_id HAVING count(*) > 1) AS repeated"
    )


def closing_sql(as_of: datetime, closes: Mapping[str, datetime], alias: str) -> str:
    """By when windows must have ended to be counted."""
    earlier = {name: at for name, at in closes.items() if at < as_of}
    if not earlier:
        return literal(as_of)
    cases = " ".join(
        f"WHEN {alias}campaign = {literal(name)} THEN {literal(at)}"
        for name, at in sorted(earlier.items())
    )
    return f"CASE {cases} ELSE {literal(as_of)} END"


def window_end_sql(days: int, alias: str = "") -> str:
    """When a person's window ends."""
    return f"add_days({alias}first_eligible_at, {days})"


def names_sql(campaigns: Sequence[str]) -> str:
    """Campaign names as a list of literals."""
    return ", ".join(literal(campaign) for campaign in sorted(set(campaigns)))
