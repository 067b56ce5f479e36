"""What there is to measure with: tables, costs and closing days, and the names of what is made."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from connector.lift.metrics import MetricKind, MetricSpec, Source
from connector.tables import MONEY

WITHDRAWALS = "lift_withdrawals"
"""Relation of people who withdrew consent to e-mail: ``profile_id, at``."""

SCORES = "lift_scores"
"""Relation of published scores: ``profile_id, score, at, value``."""

CLASSES = "lift_classes"
"""Relation of what people were when they were assigned: ``campaign, epoch, profile_id`` and one
text column for each dimension."""

LOOK = "look"
"""Column of the Monday of the week in which a person's window ends."""


@dataclass(frozen=True, slots=True)
class Costs:
    """What a campaign costs, in the shop's currency.

    Attributes:
        contact: For each person treated.
        redemption: For each order of a treated person that used the offer.
        redemption_is_known: Whether orders tell it (a discount is mapped).
    """

    contact: float = 0.0
    redemption: float = 0.0
    redemption_is_known: bool = True


@dataclass(frozen=True, slots=True)
class Inputs:
    """What there is to read beside assignments and orders.

    Attributes:
        items: Columns of order lines with their types; empty: none are mapped.
        events: Likewise of events.
        has_withdrawals: Whether :data:`WITHDRAWALS` is there.
        has_scores: Whether :data:`SCORES` is there.
        margin_is_known: Whether orders tell their margin.
        margin_note: How they tell it.
        costs: Campaign -> what it costs.
        covariate_days: How long before the assignment the covariate reaches; 0: none is made.
        closes: Campaign -> the instant at which its account is closed: nobody is counted whose
            window ends later. Where windows differ, of the goal's; a longer window closes as much
            later.
        goal_days: Campaign -> length of its goal's window.
        dimensions: Columns of :data:`CLASSES`; empty: nobody is classed.
    """

    items: Mapping[str, str] = field(default_factory=dict)
    events: Mapping[str, str] = field(default_factory=dict)
    has_withdrawals: bool = False
    has_scores: bool = False
    margin_is_known: bool = False
    margin_note: str = ""
    costs: Mapping[str, Costs] = field(default_factory=dict)
    covariate_days: int = 0
    closes: Mapping[str, datetime] = field(default_factory=dict)
    goal_days: Mapping[str, int] = field(default_factory=dict)
    dimensions: tuple[str, ...] = ()

    def closing(self, window_days: int) -> dict[str, datetime]:
        """Campaign -> the instant at which the account of one window length is closed."""
        return {
            name: at + timedelta(days=window_days - self.goal_days.get(name, window_days))
            for name, at in self.closes.items()
        }


ORDERS_ONLY = Inputs()
"""Nothing but assignments and orders."""


def units_relation(window_days: int) -> str:
    """Name of the relation that holds the outcomes of one window length."""
    return f"lift_units_{window_days}d"


def companion(metric: str) -> str:
    """Name of the column that goes with a metric: its covariate, or a ratio's denominator."""
    return f"{metric}.x"


def idle(metric: str) -> str:
    """Name of the column of what a person of the arm comes to who does nothing at all."""
    return f"{metric}.idle"


def has_idle(metric: MetricSpec) -> bool:
    """Whether somebody who does nothing may come to something else than zero: what they cost."""
    return metric.kind is MetricKind.SUM and "contact_cost" in metric.campaign_costs


def has_companion(metric: MetricSpec, covariate_days: int) -> bool:
    """Whether a metric has a second column."""
    return metric.kind is MetricKind.RATIO or (metric.has_covariate and covariate_days > 0)


def companion_names(metrics: Iterable[MetricSpec], covariate_days: int) -> list[str]:
    """Names of the metrics that have a second column."""
    return [metric.name for metric in metrics if has_companion(metric, covariate_days)]


def columns_of(source: Source, order_columns: Mapping[str, str], inputs: Inputs) -> dict[str, str]:
    """Columns that an expression over a source may name, with their types."""
    if source is Source.ORDERS:
        known = dict(order_columns)
        if inputs.items:
            known["item_cost"] = MONEY
        return {**known, "offer_cost": MONEY}
    return dict(inputs.items if source is Source.ORDER_ITEMS else inputs.events)
