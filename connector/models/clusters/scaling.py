"""Features to comparable numbers: robust, frozen, and the same in numpy and in SQL.

Median and interquartile range, because one reseller would stretch a mean and a standard deviation
until everybody else looks alike. The range is divided by 1.349, so that one unit is a standard
deviation where the data are normal. Values are clipped at a few units: further out, a distance says
"outlier" and nothing more, and the outlier must not drag a centroid along.

How a feature becomes numbers, and what stands for the unknown, is :mod:`connector.models.inputs`'
task, as for every model: a missing value takes the median (it says nothing), and where enough
people miss it, an axis of its own says so (not having opened a mail for want of mails is behaviour
too). Axes of words and flags are 0 or 1 and stay so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from connector.models.inputs import Column, Inputs, MissingRule, fit_inputs, omissions
from connector.models.inputs.values import column_of
from connector.warehouse.render import literal

Floats = npt.NDArray[np.float64]

CLIP = 6.0
"""Furthest that a scaled value may lie from the median, in standard deviations."""
NORMAL_IQR = 1.349
"""Interquartile range of a normal distribution of standard deviation 1."""
FLAG_ABOVE = 0.02
"""Share of people without a value above which being without one counts as behaviour."""


@dataclass(frozen=True, slots=True)
class Dimension:
    """One axis of the space that people are compared in.

    Attributes:
        column: What it is of the features.
        is_log: Whether the value is first turned into sign(x) * ln(1 + |x|).
        center: Of what stands in for an unknown value, after the logarithm.
        scale: Divisor, after the logarithm; positive.
    """

    column: Column
    is_log: bool = False
    center: float = 0.0
    scale: float = 1.0

    @property
    def feature(self) -> str:
        """Column of the feature frame."""
        return self.column.feature

    @property
    def key(self) -> str:
        """What identifies the axis across refits."""
        return self.column.name

    def transform(self, values: Floats) -> Floats:
        """Scaled values."""
        if self.column.is_indicator:
            return values
        x = _log(values) if self.is_log else values
        scaled: Floats = np.clip((x - self.center) * (1.0 / self.scale), -CLIP, CLIP)
        return scaled

    def sql(self, value: str) -> str:
        """The same of an SQL expression that is never NULL."""
        if self.column.is_indicator:
            return value
        x = value
        if self.is_log:
            x = f"CASE WHEN {x} < 0 THEN -ln(1.0 - {x}) ELSE ln(1.0 + {x}) END"
        scaled = f"({x} - {literal(self.center)}) * {literal(1.0 / self.scale)}"
        return f"greatest({literal(-CLIP)}, least({literal(CLIP)}, {scaled}))"


@dataclass(frozen=True, slots=True)
class Scaler:
    """All axes, frozen at the fit.

    Attributes:
        inputs: How features become numbers.
        dimensions: One axis for each of its columns.
    """

    inputs: Inputs
    dimensions: tuple[Dimension, ...]

    @property
    def features(self) -> tuple[str, ...]:
        """The columns that are read, each once."""
        return self.inputs.features

    @property
    def keys(self) -> tuple[str, ...]:
        """What identifies each axis across refits."""
        return tuple(d.key for d in self.dimensions)

    def transform(self, frame: pd.DataFrame) -> Floats:
        """Scaled values of each person, shape (people, dimensions).

        Raises:
            ModelError: A feature is not there, is no number, or is infinite.
        """
        matrix = self.inputs.matrix(frame)
        return np.column_stack([d.transform(matrix[:, j]) for j, d in enumerate(self.dimensions)])

    def is_known(self, frame: pd.DataFrame) -> npt.NDArray[np.bool_]:
        """Whether a person has a value of at least one feature."""
        return self.inputs.is_known(frame)

    def carry(self, points: Floats, other: Scaler) -> Floats | None:
        """Points of this space in the space of another scaler; None when they measure differently.

        A flag or a word that is new has nobody yet, so points lie at 0 there; one that is gone is
        dropped.
        """
        mine = {d.key: j for j, d in enumerate(self.dimensions)}
        values = [d for d in self.dimensions if not d.column.is_indicator]
        theirs = [d for d in other.dimensions if not d.column.is_indicator]
        if [(d.key, d.is_log) for d in values] != [(d.key, d.is_log) for d in theirs]:
            return None
        carried = np.zeros((len(points), len(other.dimensions)))
        for j, new in enumerate(other.dimensions):
            i = mine.get(new.key)
            if i is not None:
                old = self.dimensions[i]
                carried[:, j] = (points[:, i] * old.scale + old.center - new.center) / new.scale
        return carried

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "inputs": self.inputs.to_dict(),
            "dimensions": [
                {"is_log": d.is_log, "center": d.center, "scale": d.scale} for d in self.dimensions
            ],
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Scaler:
        """Inverse of :meth:`to_dict`; raises KeyError, TypeError or ValueError on another shape."""
        inputs = Inputs.from_dict(data["inputs"])
        return cls(
            inputs,
            tuple(
                Dimension(column, bool(d["is_log"]), float(d["center"]), float(d["scale"]))
                for column, d in zip(inputs.columns, data["dimensions"], strict=True)
            ),
        )


def fit_scaler(
    frame: pd.DataFrame,
    features: Sequence[str],
    *,
    logs: Sequence[str] = (),
    missing: MissingRule | None = None,
) -> tuple[Scaler, tuple[str, ...]]:
    """Find centre and scale of each feature.

    Args:
        frame: One row for each person.
        features: Columns to use.
        logs: Those to take the logarithm of.
        missing: What stands for the unknown; a flag is an axis from :data:`FLAG_ABOVE` on.

    Returns:
        The scaler, and a sentence for each feature that was left out.

    Raises:
        InsufficientDataError: No feature tells people apart.
        ModelError: A feature is not there or is of no use.
    """
    rule = replace(missing or MissingRule(), flag_above=FLAG_ABOVE)
    inputs = fit_inputs(pd.DataFrame({name: column_of(frame, name) for name in features}), rule)
    notes = list(omissions(inputs))
    holed = inputs.holed(frame)
    dimensions = []
    for j, column in enumerate(inputs.columns):
        if column.is_indicator:
            dimensions.append(Dimension(column))
            continue
        x, fill = holed[~np.isnan(holed[:, j]), j], np.array([column.fill])
        is_log = column.feature in logs
        if is_log:
            x, fill = _log(x), _log(fill)
        low, high = np.quantile(x, (0.25, 0.75))
        scale = float(high - low) / NORMAL_IQR
        if scale <= 0:
            # More than half share one value: the range says nothing, the standard deviation does.
            scale = float(x.std())
        if scale <= 1e-12 * max(1.0, abs(float(fill[0]))):
            # Known people are all alike; whether somebody is known is an axis of its own.
            scale = 1.0
        dimensions.append(Dimension(column, is_log, float(fill[0]), _rounded(scale)))
    return Scaler(inputs, tuple(dimensions)), tuple(notes)


def _log(values: Floats) -> Floats:
    logged: Floats = np.sign(values) * np.log1p(np.abs(values))
    return logged


def _rounded(value: float) -> float:
    """Twelve significant digits, which hide the order that a sum was taken in."""
    return float(f"{value:.12g}")
