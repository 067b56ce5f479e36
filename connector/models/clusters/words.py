"""Words for what sets a cluster or a person apart."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from connector.models.clusters.scaling import Dimension
from connector.models.inputs import Part
from connector.models.inputs.matrix import MISSING

NOTABLE = 0.25
"""Smallest difference of a cluster from all people that is worth a word, in standard deviations."""


@dataclass(frozen=True, slots=True)
class FeatureMeaning:
    """How people say that a feature is large, small or unknown.

    Attributes:
        high: Such as ``buys on promotion``.
        low: Such as ``pays full price``.
        missing: Such as ``never opened a mail``.
    """

    high: str
    low: str
    missing: str = ""

    def to_dict(self) -> dict[str, str]:
        """Plain values for JSON."""
        return {"high": self.high, "low": self.low, "missing": self.missing}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> FeatureMeaning:
        """Inverse of :meth:`to_dict`."""
        return cls(str(data["high"]), str(data["low"]), str(data["missing"]))


def plain_name(feature: str) -> str:
    """A feature in words: windows and powers are noise, ``promo_share_365d`` is "promo share"."""
    return " ".join(p for p in feature.split("_") if not re.search(r"\d", p)) or feature


def direction(
    meanings: Mapping[str, FeatureMeaning], dimension: Dimension, difference: float
) -> str:
    """The words for one difference; made from the feature's name where nobody gave any."""
    meaning = meanings.get(dimension.feature)
    plain = plain_name(dimension.feature)
    column = dimension.column
    match column.part:
        case Part.UNKNOWN if column.key == MISSING:
            if difference < 0:
                return f"{plain} known"
            return (meaning.missing if meaning else "") or f"no {plain}"
        case Part.UNKNOWN | Part.OTHER | Part.IS:
            return f"{plain} {'' if difference > 0 else 'seldom '}{column.key}"
        case Part.COUNT:
            return f"{'often' if difference > 0 else 'seldom'} {column.key}"
        case Part.COMPONENT:
            return f"{'high' if difference > 0 else 'low'} {plain} {column.place + 1}"
    if meaning:
        return meaning.high if difference > 0 else meaning.low
    return f"{'high' if difference > 0 else 'low'} {plain}"


def words_for(
    meanings: Mapping[str, FeatureMeaning],
    dimensions: Sequence[Dimension],
    differences: npt.NDArray[np.float64],
) -> tuple[str, ...]:
    """Words for the differences of one cluster, strongest first, each once, weak ones left out.

    Whether a value is known is left out too, unless somebody has words for it: it tells something
    of the person, but nobody is called "promo share known".
    """
    order = np.argsort(-np.abs(np.round(differences, 9)), kind="stable").tolist()
    return tuple(
        dict.fromkeys(
            direction(meanings, dimensions[j], float(differences[j]))
            for j in order
            if abs(differences[j]) >= NOTABLE
            and _is_telling(meanings, dimensions[j], float(differences[j]))
        )
    )


def _is_telling(
    meanings: Mapping[str, FeatureMeaning], dimension: Dimension, difference: float
) -> bool:
    """Whether a difference may be part of a name."""
    if dimension.column.part is not Part.UNKNOWN or dimension.column.key != MISSING:
        return True
    meaning = meanings.get(dimension.feature)
    return difference > 0 and meaning is not None and bool(meaning.missing)
