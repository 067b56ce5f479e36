"""Features to comparable numbers: robust, frozen, and the same in numpy and in SQL.

Median and interquartile range, because one reseller would stretch a mean and a standard deviation
until everybody else looks alike. The range is divided by 1.349, so that one unit is a standard
deviation where the data are normal. Values are clipped at a few units: further out, a distance says
"outlier" and nothing more, and the outlier must not drag a centroid along.

A missing value takes the median (it says nothing), and where enough people miss it, a column of its
own says so (not having opened a mail for want of mails is behaviour too).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from connector.errors import InsufficientDataError, ModelError
from connector.warehouse.render import literal, quote

Floats = npt.NDArray[np.float64]

CLIP = 6.0
"""Furthest that a scaled value may lie from the median, in standard deviations."""
NORMAL_IQR = 1.349
"""Interquartile range of a normal distribution of standard deviation 1."""
FLAG_ABOVE = 0.02
"""Share of people without a value above which being without one counts as behaviour."""
DROP_ABOVE = 0.6
"""Share of people without a value above which the feature is left out."""


@dataclass(frozen=True, slots=True)
class Dimension:
    """One axis of the space that people are compared in.

    Attributes:
        feature: Column of the feature frame.
        is_flag: Whether the axis says that the value is missing (1) or known (0).
        is_log: Whether the value is first turned into sign(x) * ln(1 + |x|).
        center: Median, after the logarithm.
        scale: Divisor, after the logarithm; positive.
    """

    feature: str
    is_flag: bool
    is_log: bool
    center: float
    scale: float

    @property
    def key(self) -> str:
        """What identifies the axis across refits."""
        return f"{self.feature} is missing" if self.is_flag else self.feature

    def transform(self, values: Floats) -> Floats:
        """Scaled values, without a missing one left."""
        missing = np.isnan(values)
        if self.is_flag:
            return missing.astype(np.float64)
        x = np.sign(values) * np.log1p(np.abs(values)) if self.is_log else values
        scaled = np.clip((x - self.center) * (1.0 / self.scale), -CLIP, CLIP)
        scaled[missing] = 0.0
        return scaled

    def sql(self, alias: str) -> str:
        """The same as an expression over the relation ``alias``."""
        column = f"{alias}.{quote(self.feature)}"
        if self.is_flag:
            return f"CASE WHEN {column} IS NULL THEN 1.0 ELSE 0.0 END"
        x = f"CAST({column} AS DOUBLE)"
        if self.is_log:
            x = f"CASE WHEN {column} < 0 THEN -ln(1.0 - {x}) ELSE ln(1.0 + {x}) END"
        scaled = f"({x} - {literal(self.center)}) * {literal(1.0 / self.scale)}"
        return (
            f"CASE WHEN {column} IS NULL THEN 0.0"
            f" ELSE greatest({literal(-CLIP)}, least({literal(CLIP)}, {scaled})) END"
        )


@dataclass(frozen=True, slots=True)
class Scaler:
    """All axes, frozen at the fit."""

    dimensions: tuple[Dimension, ...]

    @property
    def features(self) -> tuple[str, ...]:
        """The columns that are read, each once."""
        return tuple(dict.fromkeys(d.feature for d in self.dimensions))

    @property
    def keys(self) -> tuple[str, ...]:
        """What identifies each axis across refits."""
        return tuple(d.key for d in self.dimensions)

    def transform(self, frame: pd.DataFrame) -> Floats:
        """Scaled values of each person, shape (people, dimensions).

        Raises:
            ModelError: A feature is not there, is no number, or is infinite.
        """
        result = np.empty((len(frame), len(self.dimensions)))
        values: dict[str, Floats] = {}
        for j, dimension in enumerate(self.dimensions):
            if dimension.feature not in values:
                values[dimension.feature] = column_values(frame, dimension.feature)
            result[:, j] = dimension.transform(values[dimension.feature])
        return result

    def is_known(self, frame: pd.DataFrame) -> npt.NDArray[np.bool_]:
        """Whether a person has a value of at least one feature."""
        known = np.zeros(len(frame), dtype=bool)
        for feature in self.features:
            known |= ~np.isnan(column_values(frame, feature))
        return known

    def carry(self, points: Floats, other: Scaler) -> Floats | None:
        """Points of this space in the space of another scaler; None when the axes differ."""
        if self.keys != other.keys:
            return None
        if any(
            a.is_log != b.is_log for a, b in zip(self.dimensions, other.dimensions, strict=True)
        ):
            return None
        old = np.array([(d.center, d.scale) for d in self.dimensions])
        new = np.array([(d.center, d.scale) for d in other.dimensions])
        carried: Floats = (points * old[:, 1] + old[:, 0] - new[:, 0]) / new[:, 1]
        return carried

    def to_dict(self) -> list[dict[str, Any]]:
        """Plain values for JSON."""
        return [
            {
                "feature": d.feature,
                "is_flag": d.is_flag,
                "is_log": d.is_log,
                "center": d.center,
                "scale": d.scale,
            }
            for d in self.dimensions
        ]

    @classmethod
    def from_dict(cls, data: Sequence[Mapping[str, Any]]) -> Scaler:
        """Inverse of :meth:`to_dict`; raises KeyError, TypeError or ValueError on another shape."""
        return cls(
            tuple(
                Dimension(
                    str(d["feature"]),
                    bool(d["is_flag"]),
                    bool(d["is_log"]),
                    float(d["center"]),
                    float(d["scale"]),
                )
                for d in data
            )
        )


def column_values(frame: pd.DataFrame, feature: str) -> Floats:
    """One feature as float64, NaN where unknown.

    Raises:
        ModelError: It is not there, is no number, or is infinite somewhere.
    """
    if feature not in frame:
        raise ModelError(
            f"The feature {feature!r} is not there.",
            hint="Build the features that the model names.",
        )
    try:
        values = frame[feature].to_numpy(dtype=np.float64, na_value=np.nan)
    except (TypeError, ValueError):
        raise ModelError(
            f"The feature {feature!r} holds values that are no numbers.",
            hint="Give the model numeric features.",
        ) from None
    if np.isinf(values).any():
        row = frame.index[int(np.flatnonzero(np.isinf(values))[0])]
        raise ModelError(
            f"The feature {feature!r} is infinite for the profile {row}.",
            hint="Guard its expression against division by zero with nullif().",
        )
    return values


def fit_scaler(
    frame: pd.DataFrame, features: Sequence[str], *, logs: Sequence[str] = ()
) -> tuple[Scaler, tuple[str, ...]]:
    """Find centre and scale of each feature.

    Args:
        frame: One row for each person.
        features: Columns to use.
        logs: Those to take the logarithm of.

    Returns:
        The scaler, and a sentence for each feature that was left out.

    Raises:
        InsufficientDataError: No feature tells people apart.
        ModelError: A feature is not there or is no number.
    """
    dimensions, notes = [], []
    for feature in features:
        raw = column_values(frame, feature)
        missing = float(np.isnan(raw).mean())
        if missing > DROP_ABOVE:
            notes.append(f"{feature} is left out: {missing:.0%} of people have no value.")
            continue
        x = raw[~np.isnan(raw)]
        if feature in logs:
            x = np.sign(x) * np.log1p(np.abs(x))
        low, center, high = np.quantile(x, (0.25, 0.5, 0.75))
        scale = float(high - low) / NORMAL_IQR
        if scale <= 0:
            # More than half share one value: the range says nothing, the standard deviation does.
            scale = float(x.std())
        if scale <= 1e-12 * max(1.0, abs(float(center))):
            notes.append(f"{feature} is left out: everybody has the same value.")
            continue
        dimensions.append(
            Dimension(feature, False, feature in logs, _rounded(center), _rounded(scale))
        )
        if missing > FLAG_ABOVE:
            dimensions.append(Dimension(feature, True, False, 0.0, 1.0))
    if not dimensions:
        raise InsufficientDataError(
            f"None of the features {', '.join(features)} tells people apart.",
            hint="Choose other features, or wait for more data.",
        )
    return Scaler(tuple(dimensions)), tuple(notes)


def _rounded(value: float) -> float:
    """Twelve significant digits, which hide the order that a sum was taken in."""
    return float(f"{value:.12g}")
