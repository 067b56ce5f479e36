"""A lifetime value model as the other kinds look: one card, named columns, gates.

Percentiles and tiers come from cut points of the people that it was fitted on, so that nobody moves
because somebody else bought.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import numpy as np
import pandas as pd

from connector.errors import ModelError
from connector.models.arrays import decode, digest, encode
from connector.models.card import ModelCard, ScoreColumn
from connector.models.clv.histories import Floats
from connector.models.clv.model import ClvModel, TwoStageClvModel
from connector.models.clv.value import LifetimeValues, tier_of
from connector.models.propensity.model import Cuts

KIND = "clv_scores"
"""Kind in the store."""

MONEY_DECIMALS = 2
SHARE_DECIMALS = 6


@dataclass(frozen=True, slots=True, eq=False)
class ValueScores:
    """What is stored and applied.

    Attributes:
        model: Either kind of value model.
        cuts: Of the percentile.
        outputs: Names of the columns, as in the configuration.
        card: Where it comes from and how good it is.
    """

    model: ClvModel | TwoStageClvModel
    cuts: Cuts
    outputs: tuple[str, ...]
    card: ModelCard
    kind: str = field(default=KIND, init=False)

    @property
    def version(self) -> str:
        """Twelve hexadecimal digits that change whenever the model's answers may."""
        return digest(self.to_dict())

    @property
    def columns(self) -> tuple[ScoreColumn, ...]:
        """What the model adds to a profile."""
        tiers = tuple(tier.name for tier in self.model.tiers)
        return columns(self.outputs, self.model.horizon.days, self.model.value, tiers)

    def table(self, values: LifetimeValues, index: pd.Index, today: date) -> pd.DataFrame:
        """The columns of people who have bought.

        Args:
            values: Of the model, one position a person.
            index: Their ``profile_id``.
            today: The last day that was observed.
        """
        day = pd.Timestamp(today)
        known = np.isfinite(values.next_purchase_days)
        ahead = np.where(known, np.ceil(np.where(known, values.next_purchase_days, 0.0)), 0.0)
        # A date past any calendar is no date to plan with.
        near = known & (ahead < 36_500)
        dates = day + pd.to_timedelta(np.where(near, ahead, 0.0), unit="D")
        names = np.array([tier.name for tier in self.model.tiers], dtype=object)
        every = {
            "expected": _money(values.expected),
            "low_80": _money(values.low_80),
            "high_80": _money(values.high_80),
            "p_alive": np.round(values.p_alive, SHARE_DECIMALS),
            "p_no_purchase": np.round(values.p_no_purchase, SHARE_DECIMALS),
            "expected_orders": np.round(values.purchases, SHARE_DECIMALS),
            "next_order_date": pd.Series(dates).where(near).to_numpy(),
            "percentile": self.cuts.percentile(values.expected),
            "tier": names[tier_of(values.expected, self.model.cuts)],
        }
        return pd.DataFrame({name: every[name] for name in self.outputs}, index=index)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "kind": self.kind,
            "model": self.model.to_dict(),
            "cuts": encode(self.cuts.edges),
            "outputs": list(self.outputs),
            "card": self.card.to_dict(),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> ValueScores:
        """Inverse of :meth:`to_dict`.

        Raises:
            ModelError: The data has another shape.
        """
        try:
            inner = data["model"]
            reader = ClvModel if inner["kind"] == "clv" else TwoStageClvModel
            return cls(
                model=reader.from_dict(inner),
                cuts=Cuts(decode(data["cuts"])),
                outputs=tuple(map(str, data["outputs"])),
                card=ModelCard.from_dict(data["card"]),
            )
        except (KeyError, TypeError, ValueError) as problem:
            raise ModelError(
                "A stored lifetime value model cannot be read.", hint="Fit the model again."
            ) from problem


def columns(
    outputs: Sequence[str], horizon_days: float, value: str, tiers: tuple[str, ...]
) -> tuple[ScoreColumn, ...]:
    """The columns of a value model.

    Args:
        outputs: Which, by name.
        horizon_days: What the values are over.
        value: ``margin`` or ``net_revenue``.
        tiers: Names of the tiers, best first.
    """
    what = f"{value.replace('_', ' ')} of the next {horizon_days:g} days, discounted"
    known = (
        ScoreColumn("expected", "DOUBLE", "currency", f"expected {what}"),
        ScoreColumn("low_80", "DOUBLE", "currency", f"{what}: lower end of the 80 % range"),
        ScoreColumn("high_80", "DOUBLE", "currency", f"{what}: upper end of the 80 % range"),
        ScoreColumn("p_alive", "DOUBLE", "probability", "probability to be a customer still"),
        ScoreColumn(
            "p_no_purchase",
            "DOUBLE",
            "probability",
            f"probability of no purchase in the next {horizon_days:g} days",
        ),
        ScoreColumn(
            "expected_orders", "DOUBLE", "orders", f"expected in the next {horizon_days:g} days"
        ),
        ScoreColumn(
            "next_order_date", "TIMESTAMP", "day", "median day of the next order, if any comes"
        ),
        ScoreColumn(
            "percentile", "BIGINT", "percentile (0-100)", "share of people of less expected value"
        ),
        ScoreColumn("tier", "VARCHAR", "label", "class by expected value", tiers),
    )
    return tuple(column for name in outputs for column in known if column.name == name)


def _money(values: Floats) -> Floats:
    rounded: Floats = np.round(values, MONEY_DECIMALS)
    return rounded
