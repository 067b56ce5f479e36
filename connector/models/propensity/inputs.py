"""From a feature frame to numbers without holes, by rules that were learned in training only.

An unknown value becomes the training median; where unknown values occurred in training a flag
column says so, since *that* a value is unknown often tells more than any value. Features that are
mostly unknown, or never differ, are left out and named on the card.

Both the value and its flag belong to one *player*, the feature, when a score is taken apart.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from connector.errors import InsufficientDataError, ModelError
from connector.models.arrays import decode, encode
from connector.models.propensity.metrics import Floats

TWIN = "it is the same as"
"""How the reason begins why a feature is left out that repeats another."""


@dataclass(frozen=True)
class Inputs:
    """What a frame is turned into.

    Attributes:
        features: Names of the features in use, in order.
        medians: Their training medians: what stands in for an unknown value.
        flagged: Positions of the features with a flag column; the flags follow the values.
        left_out: Feature -> why it is not in use.
    """

    features: tuple[str, ...]
    medians: Floats
    flagged: npt.NDArray[np.int64]
    left_out: Mapping[str, str]

    @property
    def players(self) -> npt.NDArray[np.int64]:
        """Of each column of the matrix, the position of the feature that it belongs to."""
        return np.concatenate([np.arange(len(self.features), dtype=np.int64), self.flagged])

    @property
    def reference(self) -> Floats:
        """The row of the typical person: every feature at its median, nothing unknown."""
        return np.concatenate([self.medians, np.zeros(self.flagged.size)])

    def matrix(self, frame: pd.DataFrame) -> Floats:
        """Values and flags, one row a person.

        Raises:
            ModelError: A feature is missing, is no number, or is infinite.
        """
        values = numbers(frame, self.features)
        unknown = np.isnan(values)
        flags = unknown[:, self.flagged].astype(np.float64)
        return np.hstack([np.where(unknown, self.medians, values), flags])

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "features": list(self.features),
            "medians": encode(self.medians),
            "flagged": self.flagged.tolist(),
            "left_out": dict(self.left_out),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Inputs:
        """Inverse of :meth:`to_dict`."""
        return cls(
            features=tuple(map(str, data["features"])),
            medians=decode(data["medians"]),
            flagged=np.array(data["flagged"], dtype=np.int64),
            left_out={str(name): str(why) for name, why in data["left_out"].items()},
        )


def numbers(frame: pd.DataFrame, features: Sequence[str]) -> Floats:
    """The columns as floating point, NaN for unknown.

    Raises:
        ModelError: A column is missing, is no number, or is infinite.
    """
    missing = [name for name in features if name not in frame.columns]
    if missing:
        raise ModelError(
            f"The features lack {', '.join(missing)}, which the model was fitted on.",
            hint="Keep the feature, or fit the model again.",
        )
    result = np.empty((len(frame), len(features)))
    for i, name in enumerate(features):
        try:
            result[:, i] = frame[name].to_numpy(dtype=np.float64, na_value=np.nan)
        except (TypeError, ValueError) as problem:
            raise ModelError(
                f"The feature {name!r} is not a number.",
                hint="Leave it out of the model, or turn it into a number.",
            ) from problem
        if np.isinf(result[:, i]).any():
            raise ModelError(f"The feature {name!r} is infinite for somebody.")
    return result


def fit_inputs(frame: pd.DataFrame, *, drop_missing_above: float) -> Inputs:
    """Learn medians and flags.

    Args:
        frame: Features of the training set.
        drop_missing_above: A larger share of unknown values leaves a feature out, 0 to 1.

    Raises:
        InsufficientDataError: No feature is left.
        ModelError: A column is no number.
    """
    names = [str(name) for name in frame.columns]
    values = numbers(frame, names)
    unknown = np.isnan(values)
    keep: list[int] = []
    left_out: dict[str, str] = {}
    seen: dict[bytes, str] = {}
    for i, name in enumerate(names):
        known = values[~unknown[:, i], i]
        share = unknown[:, i].mean()
        if share > drop_missing_above or known.size == 0:
            left_out[name] = f"{share:.0%} of its values are unknown"
        elif known.size == len(frame) and known.min() == known.max():
            left_out[name] = "everybody has the same value"
        elif (other := seen.setdefault(values[:, i].tobytes(), name)) != name:
            # Twins would share one effect between them, and be named side by side as reasons.
            left_out[name] = f"{TWIN} {other} for everybody"
        else:
            keep.append(i)
    if not keep:
        raise InsufficientDataError(
            "No feature tells people apart: " + "; ".join(f"{n}: {w}" for n, w in left_out.items()),
            hint="Give the model other features.",
        )
    return Inputs(
        features=tuple(names[i] for i in keep),
        medians=np.array([np.median(values[~unknown[:, i], i]) for i in keep]),
        flagged=np.flatnonzero(unknown[:, keep].any(axis=0)).astype(np.int64),
        left_out=left_out,
    )
