"""What is predicted, as data: events of one table, counted in the window after a cut-off.

=================  ==========================================================================
purchase           orders, at least 1
churn              orders, none within the window
upgrade            orders where ``net_revenue >= 150``, at least 1
referral           events where ``event = 'Referral Sent'``, at least 1
campaign response  events where ``event = 'Email Clicked' and campaign = 'spring'``, at least 1
anything else      any table with a profile and a time, any condition, any count
=================  ==========================================================================

The window is (cut-off, cut-off + window]: features read what lies strictly before the cut-off, so
nothing is ever on both sides. Conditions come from the configuration and pass the checks of
:mod:`connector.warehouse.dialect`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from connector.errors import ModelError
from connector.warehouse.dialect import parse_condition
from connector.warehouse.render import literal, quote


@dataclass(frozen=True, slots=True)
class EventTable:
    """Where something that people do is written down.

    Attributes:
        relation: Name of a relation with ``profile_id``.
        time: Its column of the instant, UTC.
        columns: Column -> SQL type of what a condition may read.
        only: Condition on the rows that count at all, in the house dialect, such as
            ``NOT is_return``; ours, never the user's.
    """

    relation: str
    time: str
    columns: Mapping[str, str]
    only: str = ""


@dataclass(frozen=True, slots=True)
class Goal:
    """What is predicted of a person.

    Attributes:
        window_days: Length of the window after the cut-off.
        at_least: So many events make it true; None for ``none_within_days``.
        none_within_days: No event in the window makes it true; the window itself.
        where: Condition on the events, as the user wrote it; empty: all count.
        eligible: Condition on the features at the cut-off, as the user wrote it; empty: everybody.
    """

    window_days: int
    at_least: int | None = None
    none_within_days: int | None = None
    where: str = ""
    eligible: str = ""

    def __post_init__(self) -> None:
        if self.window_days < 1:
            raise ModelError(f"A window of {self.window_days} days cannot be predicted.")
        if (self.at_least is None) == (self.none_within_days is None):
            raise ModelError(
                "A goal is either at least so many events or none within the window.",
                hint="Write at_least: 1, or none_within with the window's length.",
            )
        if self.at_least is not None and self.at_least < 1:
            raise ModelError(f"At least {self.at_least} events is always true.")
        if self.none_within_days not in (None, self.window_days):
            raise ModelError(
                f"None within {self.none_within_days} days cannot be seen in a window of"
                f" {self.window_days}.",
                hint="Give both the same length.",
            )


def eligible_sql(
    goal: Goal, *, feature_columns: Mapping[str, str], what: str, features: str = "features"
) -> str:
    """SELECT of the ``profile_id`` of everybody whom the goal is about.

    Args:
        goal: What is predicted.
        feature_columns: Feature -> SQL type.
        what: What the goal belongs to, for messages, such as ``models.churn_90d``.
        features: Relation of features as of the cut-off.

    Raises:
        ExpressionError: The condition is not allowed.
    """
    condition = ""
    if goal.eligible:
        checked = parse_condition(goal.eligible, columns=feature_columns, what=f"{what}: eligible")
        condition = f" WHERE {checked.sql()}"
    return f"SELECT f.profile_id AS profile_id FROM {features} AS f{condition}"


def label_sql(
    goal: Goal,
    events: EventTable,
    *,
    as_of: datetime,
    feature_columns: Mapping[str, str],
    what: str,
    features: str = "features",
) -> str:
    """SELECT of ``profile_id`` and ``label`` (1 or 0) of everybody whom the goal is about.

    Args:
        goal: What is predicted.
        events: Where it is written down.
        as_of: The cut-off, aware.
        feature_columns: Feature -> SQL type.
        what: What the goal belongs to, for messages.
        features: Relation of features as of the cut-off.

    Raises:
        ExpressionError: A condition is not allowed.
        ModelError: The cut-off has no time zone.
    """
    if as_of.tzinfo is None:
        raise ModelError("A cut-off has no time zone.", hint="Pass an aware time.")
    end = as_of + timedelta(days=goal.window_days)
    conditions = [
        f"e.{quote(events.time)} > {literal(as_of)}",
        f"e.{quote(events.time)} <= {literal(end)}",
    ]
    if events.only:
        conditions.append(f"({events.only})")
    if goal.where:
        checked = parse_condition(goal.where, columns=events.columns, what=f"{what}: where")
        conditions.append(f"({checked.sql()})")
    counted = (
        f"SELECT e.profile_id AS profile_id, count(*) AS n FROM {events.relation} AS e"
        f" WHERE {' AND '.join(conditions)} GROUP BY e.profile_id"
    )
    test = "= 0" if goal.at_least is None else f">= {goal.at_least}"
    people = eligible_sql(goal, feature_columns=feature_columns, what=what, features=features)
    return (
        "SELECT p.profile_id AS profile_id"
        f", CASE WHEN coalesce(c.n, 0) {test} THEN 1 ELSE 0 END AS label"
        f" FROM ({people}) AS p LEFT JOIN ({counted}) AS c ON c.profile_id = p.profile_id"
    )
