"""What a comparison must know of the outcome that it compares, wherever the outcome comes from.

A metric of the configuration becomes one (:func:`outcome_of`), and so does a column of somebody
else's file; what follows asks neither for SQL nor for a window's rows.
"""

from __future__ import annotations

from dataclasses import dataclass

from connector.lift.metrics import PERSON, MetricKind, MetricSpec, Source
from connector.lift.verdict import Basis, Unit
from connector.tables import MONEY

WORSE = frozenset({"unsubscribed", "unsubscribes", "email_bounces", "returns", "refund"})
"""Columns of a person of which more is bad news."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """One outcome of a person.

    Attributes:
        name: Unique among those that are compared.
        kind: What sort of number it is.
        window_days: Length of a person's window; 0 where it is not known.
        unit: How differences are spoken of.
        is_money: Whether its totals are amounts of the shop's currency.
        more_is_worse: Whether a rise is bad news.
        has_covariate: Whether a number of the time before can sharpen it.
        max_increase: Limit of a guardrail on the absolute scale; None: it is none.
    """

    name: str
    kind: MetricKind
    window_days: int
    unit: Unit
    is_money: bool = False
    more_is_worse: bool = False
    has_covariate: bool = False
    max_increase: float | None = None

    @property
    def basis(self) -> Basis:
        """What its numbers are."""
        if self.kind is MetricKind.RATIO:
            return Basis.RATIO
        return Basis.SURROGATE if self.kind is MetricKind.DELTA else Basis.REALISED


def outcome_of(metric: MetricSpec, currency: str) -> Outcome:
    """What a comparison must know of a metric of the configuration."""
    unit, is_money = _unit(metric, currency)
    return Outcome(
        name=metric.name,
        kind=metric.kind,
        window_days=metric.window_days,
        unit=unit,
        is_money=is_money,
        more_is_worse=_more_is_worse(metric),
        has_covariate=metric.has_covariate,
        max_increase=metric.max_increase,
    )


def _more_is_worse(metric: MetricSpec) -> bool:
    if metric.max_increase is not None:
        return True
    if metric.kind is MetricKind.RATIO:
        return metric.sides()[0].columns <= WORSE
    return bool(metric.person_columns) and metric.person_columns <= WORSE


def _unit(metric: MetricSpec, currency: str) -> tuple[Unit, bool]:
    """How differences are spoken of, and whether totals are money."""
    if metric.kind is MetricKind.SHARE:
        return Unit("percentage points", scale=100.0), False
    if metric.kind is MetricKind.COUNT:
        return Unit(f"{_words(metric.expression)} per person", digits=3), False
    if metric.kind is MetricKind.RATIO:
        return _ratio_unit(metric, currency)
    if metric.kind is MetricKind.DELTA:
        is_money = metric.expression.endswith(".expected")
        return Unit(f"{currency if is_money else 'points'} per person, predicted"), is_money
    is_money = metric.source is Source.ORDERS or any(
        word in metric.expression for word in ("price", "unit_cost", "value")
    )
    return Unit(f"{currency} per person" if is_money else "per person"), is_money


def _ratio_unit(metric: MetricSpec, currency: str) -> tuple[Unit, bool]:
    top, bottom = (side.columns for side in metric.sides())
    per = _words(metric.denominator).removesuffix("s")
    if any(PERSON[name].type == MONEY for name in top):
        return Unit(f"{currency} per {per}"), False
    if all(name.startswith("email_") for name in bottom):
        return Unit("percentage points", scale=100.0), False
    return Unit(f"{_words(metric.expression)} per {per}", digits=3), False


def _words(name: str) -> str:
    return name.strip().replace("email_", "e-mail ").replace("_", " ")
