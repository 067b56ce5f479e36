"""A lifetime value model as a whole: fitted once, stored as JSON, applied to anybody.

Two kinds share one shape and one card: :class:`ClvModel`, parametric, from purchase histories
alone, and :class:`TwoStageClvModel`, boosted trees over features. Both hold the tiers' cut points
of the population that they were fitted on, so that a customer's tier does not move because somebody
else bought.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

import numpy as np

from connector.errors import ModelError
from connector.models.clv import purchase_fit, two_stage
from connector.models.clv import spend as spend_models
from connector.models.clv.card import Card, Trial
from connector.models.clv.histories import Floats, Histories
from connector.models.clv.purchase_fit import Family
from connector.models.clv.purchases import PurchaseModel
from connector.models.clv.spend import SpendModel
from connector.models.clv.transactions import Customers
from connector.models.clv.two_stage import TwoStage
from connector.models.clv.value import (
    TIERS,
    Horizon,
    LifetimeValues,
    Tier,
    lifetime_values,
    tier_cuts,
)

KIND = "clv"
"""Kind of the parametric model in the store."""

TWO_STAGE_KIND = "clv_two_stage"
"""Kind of the two-stage model in the store."""

HISTORY = ("repeats", "last_age_days", "age_days", "mean_value")
"""What the parametric model reads of a customer."""


@dataclass(frozen=True, slots=True)
class ClvSpec:
    """What the configuration says about one lifetime value model.

    Attributes:
        name: Prefix of the output columns.
        value: What the values are, ``margin`` or ``net_revenue``; for the reader.
        horizon: How far to look, and the discount.
        family: Model of repeat purchases.
        tiers: Best first.
    """

    name: str
    value: str
    horizon: Horizon
    family: Family = Family.MBG
    tiers: tuple[Tier, ...] = TIERS


@dataclass(frozen=True, slots=True)
class ClvModel:
    """A fitted parametric model; immutable, and compared by value.

    Attributes:
        name: Prefix of the output columns.
        value: ``margin`` or ``net_revenue``.
        horizon: How far it looks, and the discount.
        purchases: Model of repeat purchases, or the rule in its place.
        spend: Model of a purchase's value, or the rule in its place.
        tiers: Best first.
        cuts: Least value of each tier but the last, in currency.
        card: Where it comes from.
    """

    name: str
    value: str
    horizon: Horizon
    purchases: PurchaseModel
    spend: SpendModel
    tiers: tuple[Tier, ...]
    cuts: tuple[float, ...]
    card: Card
    kind: str = field(default=KIND, init=False)

    @property
    def version(self) -> str:
        """Twelve hexadecimal digits that change whenever the model's answers may."""
        return _version(self.to_dict())

    def predict(self, histories: Histories, mean_value: Floats) -> LifetimeValues:
        """Value customers by their histories.

        Args:
            histories: Of customers observed to one day.
            mean_value: Mean net value of their repeat purchases; NaN without repeats.

        Raises:
            ModelError: The lengths differ.
        """
        return lifetime_values(self.purchases, self.spend, histories, mean_value, self.horizon)

    def to_dict(self) -> dict[str, object]:
        """Plain values for JSON."""
        spend = self.spend
        return {
            "kind": self.kind,
            **_common(self.name, self.value, self.horizon, self.tiers, self.cuts, self.card),
            "purchases": {
                "model": self.purchases.name,
                "parameters": purchase_fit.parameters(self.purchases),
            },
            "spend": {"model": spend.name, "parameters": spend_models.parameters(spend)},
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> ClvModel:
        """Inverse of :meth:`to_dict`.

        Raises:
            ModelError: The data has another shape.
        """
        try:
            purchases, spend = data["purchases"], data["spend"]
            return cls(
                **_read_common(data),
                purchases=purchase_fit.from_parameters(purchases["model"], purchases["parameters"]),
                spend=spend_models.from_parameters(spend["model"], spend["parameters"]),
            )
        except (KeyError, TypeError, ValueError, AttributeError) as problem:
            raise ModelError(
                "A stored lifetime value model cannot be read.", hint="Fit the model again."
            ) from problem


@dataclass(frozen=True, slots=True, eq=False)
class TwoStageClvModel:
    """A fitted two-stage model with its tiers and card.

    Attributes:
        name: Prefix of the output columns.
        value: ``margin`` or ``net_revenue``.
        horizon: How far it looks, and the discount of the values that it learned from.
        trees: Both stages.
        tiers: Best first.
        cuts: Least value of each tier but the last, in currency.
        card: Where it comes from.
    """

    name: str
    value: str
    horizon: Horizon
    trees: TwoStage
    tiers: tuple[Tier, ...]
    cuts: tuple[float, ...]
    card: Card
    kind: str = field(default=TWO_STAGE_KIND, init=False)

    @property
    def version(self) -> str:
        """Twelve hexadecimal digits that change whenever the model's answers may."""
        return _version(self.to_dict())

    def predict(self, matrix: Floats) -> LifetimeValues:
        """Value customers by their features, columns as ``trees.features``."""
        return self.trees.predict(matrix)

    def to_dict(self) -> dict[str, object]:
        """Plain values for JSON."""
        return {
            "kind": self.kind,
            **_common(self.name, self.value, self.horizon, self.tiers, self.cuts, self.card),
            "trees": self.trees.to_dict(),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> TwoStageClvModel:
        """Inverse of :meth:`to_dict`.

        Raises:
            ModelError: The data has another shape.
        """
        try:
            return cls(**_read_common(data), trees=TwoStage.from_dict(data["trees"]))
        except (KeyError, TypeError, ValueError, AttributeError) as problem:
            raise ModelError(
                "A stored lifetime value model cannot be read.", hint="Fit the model again."
            ) from problem


def fit(
    spec: ClvSpec,
    customers: Customers,
    *,
    as_of: datetime,
    n_rows: int,
    trials: Sequence[Trial] = (),
) -> ClvModel:
    """Fit purchases and spend, or fall back to their rules, and cut the tiers.

    Args:
        spec: What the configuration says.
        customers: Histories and values, days counted from 1970-01-01.
        as_of: The instant that the customers were observed at, aware.
        n_rows: Transactions behind them, for the card.
        trials: Backtests, for the card.

    Raises:
        InsufficientDataError: Not even the rules have anything to go by.
        ModelError: A mean value is missing.
    """
    histories = customers.histories
    purchases, refused = purchase_fit.fit_or_rule(histories, spec.family)
    spend, refused_spend = spend_models.fit_or_rule(
        histories.repeats, customers.mean_value, customers.first_value
    )
    notes = [
        f"No {word} model, the rule {name} instead: {reason}"
        for word, name, reason in (
            (spec.family.value, purchases.name, refused),
            ("gamma_gamma", spend.name, refused_spend),
        )
        if reason
    ]
    if customers.n_unmatched_returns:
        notes.append(
            f"{customers.n_unmatched_returns} returns have no purchase before them and were left"
            " out."
        )
    values = lifetime_values(purchases, spend, histories, customers.mean_value, spec.horizon)
    return ClvModel(
        name=spec.name,
        value=spec.value,
        horizon=spec.horizon,
        purchases=purchases,
        spend=spend,
        tiers=spec.tiers,
        cuts=tier_cuts(values.expected, spec.tiers),
        card=_card(customers, HISTORY, as_of, n_rows, trials, notes),
    )


def fit_two_stage(
    spec: ClvSpec,
    customers: Customers,
    features: Sequence[str],
    matrix: Floats,
    value: Floats,
    rng: np.random.Generator,
    *,
    as_of: datetime,
    n_rows: int,
    trials: Sequence[Trial] = (),
) -> TwoStageClvModel:
    """Fit the two-stage model and cut the tiers among the training rows.

    Args:
        spec: What the configuration says; ``family`` plays no part.
        customers: Whom the rows are about, for the card.
        features: Names of the columns.
        matrix: Features as of a past day, one row a customer.
        value: Discounted value of the horizon after that day.
        rng: Where seeds and folds come from.
        as_of: The instant that the features are as of, aware.
        n_rows: Transactions behind them, for the card.
        trials: Backtests, for the card.

    Raises:
        InsufficientDataError: Too few bought, or too few did not.
        ModelError: The shapes do not agree, or a value is missing.
    """
    trees = two_stage.fit(features, matrix, value, rng)
    return TwoStageClvModel(
        name=spec.name,
        value=spec.value,
        horizon=spec.horizon,
        trees=trees,
        tiers=spec.tiers,
        cuts=tier_cuts(trees.predict(matrix).expected, spec.tiers),
        card=_card(customers, features, as_of, n_rows, trials, []),
    )


def _card(
    customers: Customers,
    features: Sequence[str],
    as_of: datetime,
    n_rows: int,
    trials: Sequence[Trial],
    notes: Sequence[str],
) -> Card:
    epoch = date(1970, 1, 1).toordinal()
    return Card(
        as_of=as_of,
        first_day=date.fromordinal(epoch + int(customers.first_day.min())),
        last_day=date.fromordinal(epoch + customers.end_day),
        n_rows=n_rows,
        n_customers=len(customers),
        n_repeaters=customers.histories.n_repeaters,
        features=tuple(features),
        trials=tuple(trials),
        notes=tuple(notes),
    )


def _version(data: Mapping[str, object]) -> str:
    text = json.dumps(data, sort_keys=True, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _common(
    name: str,
    value: str,
    horizon: Horizon,
    tiers: Sequence[Tier],
    cuts: Sequence[float],
    card: Card,
) -> dict[str, object]:
    """What both kinds store alike; a tier that nobody reaches has the cut null."""
    return {
        "name": name,
        "value": value,
        "horizon": {
            "days": float(horizon.days),
            "annual_discount_rate": float(horizon.annual_discount_rate),
        },
        "tiers": [{"name": tier.name, "top_share": float(tier.top_share)} for tier in tiers],
        "cuts": [cut if np.isfinite(cut) else None for cut in cuts],
        "card": card.to_dict(),
    }


def _read_common(data: Mapping[str, Any]) -> dict[str, Any]:
    """Inverse of :func:`_common`."""
    tiers = tuple(Tier(str(t["name"]), float(t["top_share"])) for t in data["tiers"])
    cuts = tuple(float("inf") if cut is None else float(cut) for cut in data["cuts"])
    if len(cuts) != len(tiers) - 1:
        raise ValueError(f"{len(tiers)} tiers have {len(cuts)} cuts")
    return {
        "name": str(data["name"]),
        "value": str(data["value"]),
        "horizon": Horizon(
            float(data["horizon"]["days"]), float(data["horizon"]["annual_discount_rate"])
        ),
        "tiers": tiers,
        "cuts": cuts,
        "card": Card.from_dict(data["card"]),
    }
