"""A lifetime value model as a whole: fitted once, stored as JSON, applied to anybody.

Two kinds share one shape and one card: :class:`ClvModel`, parametric, from purchase histories
alone, and :class:`TwoStageClvModel`, boosted trees over features, with a model of purchases beside
them for what trees do not tell (who is active still, how many orders, when the next). Both hold the
tiers' cut points of the population that they were fitted on, so that a customer's tier does not
move because somebody else bought.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import numpy as np
import pandas as pd

from connector.errors import ModelError
from connector.models.clv import purchase_fit, two_stage
from connector.models.clv import spend as spend_models
from connector.models.clv.card import Card, Trial
from connector.models.clv.histories import Floats, Histories
from connector.models.clv.purchase_fit import Family
from connector.models.clv.purchases import (
    PooledRate,
    PurchaseModel,
    expected_purchases,
    next_purchase_days,
    p_alive,
)
from connector.models.clv.spend import SpendModel
from connector.models.clv.stored import (
    card_of,
    common_from_dict,
    common_to_dict,
    purchases_from_dict,
    purchases_to_dict,
    version_of,
)
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
from connector.models.inputs import Inputs, MissingRule, fit_inputs, omissions

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
        return version_of(self.to_dict())

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
            **common_to_dict(self.name, self.value, self.horizon, self.tiers, self.cuts, self.card),
            "purchases": purchases_to_dict(self.purchases),
            "spend": {"model": spend.name, "parameters": spend_models.parameters(spend)},
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> ClvModel:
        """Inverse of :meth:`to_dict`.

        Raises:
            ModelError: The data has another shape.
        """
        try:
            spend = data["spend"]
            return cls(
                **common_from_dict(data),
                purchases=purchases_from_dict(data["purchases"]),
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
        inputs: How features become numbers.
        trees: Both stages.
        purchases: Tells of activity and orders; None: they are unknown.
        tiers: Best first.
        cuts: Least value of each tier but the last, in currency.
        card: Where it comes from.
    """

    name: str
    value: str
    horizon: Horizon
    inputs: Inputs
    trees: TwoStage
    purchases: PurchaseModel | None
    tiers: tuple[Tier, ...]
    cuts: tuple[float, ...]
    card: Card
    kind: str = field(default=TWO_STAGE_KIND, init=False)

    @property
    def version(self) -> str:
        """Twelve hexadecimal digits that change whenever the model's answers may."""
        return version_of(self.to_dict())

    def predict(self, frame: pd.DataFrame, histories: Histories | None = None) -> LifetimeValues:
        """Value customers by their features.

        Args:
            frame: Features, one row a customer.
            histories: Of the same customers; without them nothing is said of activity and orders.

        Raises:
            ModelError: The lengths differ, or a feature is not there or of another kind than at the
                fit.
        """
        values = self.trees.predict(self.inputs.matrix(frame))
        if self.purchases is None or histories is None:
            return values
        if len(histories) != len(frame):
            raise ModelError(f"{len(histories)} histories are not those of {len(frame)} rows.")
        alive = self.purchases.p_alive(histories)
        return replace(
            values,
            p_alive=p_alive(self.purchases, histories),
            purchases=expected_purchases(self.purchases, histories, self.horizon.days),
            next_purchase_days=next_purchase_days(self.purchases, histories, alive),
        )

    def to_dict(self) -> dict[str, object]:
        """Plain values for JSON."""
        return {
            "kind": self.kind,
            **common_to_dict(self.name, self.value, self.horizon, self.tiers, self.cuts, self.card),
            "inputs": self.inputs.to_dict(),
            "trees": self.trees.to_dict(),
            "purchases": None if self.purchases is None else purchases_to_dict(self.purchases),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> TwoStageClvModel:
        """Inverse of :meth:`to_dict`.

        Raises:
            ModelError: The data has another shape.
        """
        try:
            purchases = data.get("purchases")
            return cls(
                **common_from_dict(data),
                inputs=Inputs.from_dict(data["inputs"]),
                trees=TwoStage.from_dict(data["trees"]),
                purchases=None if purchases is None else purchases_from_dict(purchases),
            )
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
        card=card_of(customers, HISTORY, as_of, n_rows, trials, notes),
    )


def rule(spec: ClvSpec, customers: Customers, *, as_of: datetime, n_rows: int) -> ClvModel:
    """What stands in where no model can be fitted: the pooled rate times the pooled spend.

    Args:
        spec: What the configuration says; ``family`` plays no part.
        customers: Histories and values, days counted from 1970-01-01.
        as_of: The instant that the customers were observed at, aware.
        n_rows: Transactions behind them, for the card.

    Raises:
        InsufficientDataError: There is hardly any purchase, or nobody was observed for a day.
    """
    histories = customers.histories
    purchases = PooledRate.of(histories)
    spend = spend_models.PooledSpend.of(
        histories.repeats, customers.mean_value, customers.first_value
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
        card=card_of(customers, HISTORY, as_of, n_rows, (), ()),
    )


def fit_two_stage(
    spec: ClvSpec,
    customers: Customers,
    frame: pd.DataFrame,
    value: Floats,
    rng: np.random.Generator,
    *,
    as_of: datetime,
    n_rows: int,
    trials: Sequence[Trial] = (),
    purchases: PurchaseModel | None = None,
    missing: MissingRule | None = None,
) -> TwoStageClvModel:
    """Fit the two-stage model and cut the tiers among the training rows.

    Args:
        spec: What the configuration says; ``family`` plays no part.
        customers: Whom the rows are about, for the card.
        frame: Features as of a past day, one row a customer.
        value: Discounted value of the horizon after that day.
        rng: Where seeds and folds come from.
        as_of: The instant that the features are as of, aware.
        n_rows: Transactions behind them, for the card.
        trials: Backtests, for the card.
        purchases: Tells of activity and orders.
        missing: What stands for unknown values.

    Raises:
        InsufficientDataError: Too few bought, or too few did not; or no feature tells them apart.
        ModelError: The shapes do not agree, or a value is missing.
    """
    inputs = fit_inputs(frame, missing)
    matrix = inputs.matrix(frame)
    trees = two_stage.fit(inputs.names, matrix, value, rng)
    return TwoStageClvModel(
        name=spec.name,
        value=spec.value,
        horizon=spec.horizon,
        inputs=inputs,
        trees=trees,
        purchases=purchases,
        tiers=spec.tiers,
        cuts=tier_cuts(trees.predict(matrix).expected, spec.tiers),
        card=card_of(customers, inputs.features, as_of, n_rows, trials, list(omissions(inputs))),
    )
