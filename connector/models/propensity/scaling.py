"""Scaled inputs for the algorithms that add: clipped, unbent, centred.

Money and counts have long tails; a single reseller would otherwise decide a linear model. So a
value is kept within the training data's outer thousandths, a long-tailed one that is never negative
goes through ln(1 + x), and everything is centred and divided by its standard deviation. Each step
can be written in SQL and none of them looks at more than one column, so a linear model's terms stay
one for each feature.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from connector.models.arrays import decode, encode
from connector.models.propensity.metrics import Floats

TAIL = 0.001
"""Share of the people beyond the clipping bound on each side."""

LONG_TAIL = 2.0
"""Skewness from which on a column goes through the logarithm; an exponential one has 2."""


@dataclass(frozen=True)
class Scaling:
    """One rule a column.

    Attributes:
        low, high: Bounds that a value is kept within.
        logarithmic: Whether it goes through ln(1 + x) then.
        centre, spread: Mean and standard deviation of what results.
    """

    low: Floats
    high: Floats
    logarithmic: npt.NDArray[np.bool_]
    centre: Floats
    spread: Floats

    def column(self, values: Floats, j: int) -> Floats:
        """Column ``j``, scaled."""
        kept = np.clip(values, self.low[j], self.high[j])
        if self.logarithmic[j]:
            kept = np.log1p(kept)
        result: Floats = (kept - self.centre[j]) / self.spread[j]
        return result

    def apply(self, matrix: Floats) -> Floats:
        """Every column, scaled."""
        return np.column_stack([self.column(matrix[:, j], j) for j in range(matrix.shape[1])])

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            name: encode(getattr(self, name))
            for name in ("low", "high", "logarithmic", "centre", "spread")
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Scaling:
        """Inverse of :meth:`to_dict`."""
        return cls(
            low=decode(data["low"]),
            high=decode(data["high"]),
            logarithmic=decode(data["logarithmic"]),
            centre=decode(data["centre"]),
            spread=decode(data["spread"]),
        )


def fit_scaling(matrix: Floats, n_values: int) -> Scaling:
    """Learn the rules.

    Args:
        matrix: People x columns, without holes.
        n_values: So many columns from the left hold values; the others are 0 or 1, and stay so.
    """
    n_columns = matrix.shape[1]
    low, high = np.zeros(n_columns), np.ones(n_columns)
    logarithmic = np.zeros(n_columns, dtype=np.bool_)
    centre, spread = np.zeros(n_columns), np.ones(n_columns)
    for j in range(n_values):
        low[j], high[j] = np.quantile(matrix[:, j], [TAIL, 1 - TAIL])
        kept = np.clip(matrix[:, j], low[j], high[j])
        if kept.min() == kept.max():
            # Nearly everybody has one value; only those beyond the bounds differ.
            low[j], high[j] = matrix[:, j].min(), matrix[:, j].max()
            kept = matrix[:, j]
        away = kept - kept.mean()
        deviation = float(np.sqrt(np.mean(away**2)))
        skewness = float(np.mean(away**3)) / deviation**3 if deviation > 0 else 0.0
        if low[j] >= 0 and skewness > LONG_TAIL:
            logarithmic[j] = True
            kept = np.log1p(kept)
        centre[j] = kept.mean()
        spread[j] = kept.std() or 1.0
    return Scaling(low, high, logarithmic, centre, spread)
