"""Who is worth a contact: everybody from the probability on that would have earned most.

The cut-off is read off the gain curve of people whom neither fit nor calibration had seen, so it
answers what a rule *would have* brought. It counts everybody who responds, also those who would
have done so anyway; only a held-out arm tells what the contact adds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np

from connector.models.card import ScoreColumn
from connector.models.propensity.calibration import number
from connector.models.propensity.curves import GainPoint, profit_curve
from connector.models.propensity.metrics import Floats
from connector.models.propensity.spec import Profit

COLUMN = ScoreColumn(
    "worth_it",
    "BOOLEAN",
    "yes or no",
    "Whether the probability reaches the cut-off that would have earned most.",
)


@dataclass(frozen=True, slots=True)
class WorthIt:
    """A profit-maximising cut-off.

    Attributes:
        profit: The money that it was found with.
        cutoff: Whoever has this probability or more is worth a contact; None: nobody is.
        n_people: Whom it would have contacted, on the people it was found on.
        n_tested: How many these were.
        earned: What that would have brought, currency.
    """

    profit: Profit
    cutoff: float | None
    n_people: int
    n_tested: int
    earned: float

    @classmethod
    def of(cls, gains: Sequence[GainPoint], profit: Profit) -> WorthIt:
        """The best cut-off of a gain curve; of equals the one that contacts fewer people."""
        curve = profit_curve(gains, value=profit.value, cost=profit.cost)
        best = curve.best
        return cls(
            profit=profit,
            cutoff=best.probability if best.n_people else None,
            n_people=best.n_people,
            n_tested=curve.points[-1].n_people,
            earned=best.profit,
        )

    def apply(self, probability: Floats) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
        """Whether each probability reaches the cut-off."""
        if self.cutoff is None:
            return np.zeros(probability.size, dtype=np.bool_)
        return probability >= self.cutoff

    def sql(self, select: str) -> str:
        """The column beside ``profile_id``, ``probability`` and ``percentile`` of a SELECT."""
        test = "FALSE" if self.cutoff is None else f"w.probability >= {number(self.cutoff)}"
        return (
            "SELECT w.profile_id AS profile_id, w.probability AS probability,"
            f" w.percentile AS percentile, {test} AS {COLUMN.name} FROM ({select}) AS w"
        )

    def note(self, tested: date) -> str:
        """One sentence for the card.

        Args:
            tested: The cut-off date that the gain curve is of.
        """
        money = f"{self.profit.value:,.2f} a response and {self.profit.cost:,.2f} a contact"
        if self.cutoff is None:
            return (
                f"Nobody is worth a contact at {money}: on {tested} no cut-off would have brought"
                " more than it cost."
            )
        return (
            f"Worth a contact from a probability of {self.cutoff:.4f} on: of {self.n_tested:,}"
            f" people as of {tested} it takes {self.n_people:,} and would have earned most,"
            f" {self.earned:,.2f} at {money}. Right probabilities would pay from"
            f" {self.profit.cost / self.profit.value:.4f} on."
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "value": self.profit.value,
            "cost": self.profit.cost,
            "cutoff": self.cutoff,
            "n_people": self.n_people,
            "n_tested": self.n_tested,
            "earned": self.earned,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any] | None) -> WorthIt | None:
        """Inverse of :meth:`to_dict`; None for a model without."""
        if data is None:
            return None
        return cls(
            profit=Profit(float(data["value"]), float(data["cost"])),
            cutoff=None if data["cutoff"] is None else float(data["cutoff"]),
            n_people=int(data["n_people"]),
            n_tested=int(data["n_tested"]),
            earned=float(data["earned"]),
        )
