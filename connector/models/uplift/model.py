"""A fitted uplift model: what treatment is expected to bring of a person.

Two scores. The *uplift* is the outcome with treatment less the outcome without, in the outcome's
own unit per person; below zero, treatment does harm. The *percentile* is read off cut points of the
people that the model was fitted on, so that it moves when the person does and not because others
did.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from connector.errors import ModelError
from connector.models.arrays import decode, digest, encode
from connector.models.card import ModelCard, ScoreColumn
from connector.models.inputs import Inputs
from connector.models.propensity.model import Cuts
from connector.models.uplift.learners import Effect
from connector.models.uplift.spec import KIND

SLICE = 131_072
"""People worked on at a time, so that memory does not grow with their number."""


def columns(metric: str, unit: str) -> tuple[ScoreColumn, ...]:
    """What the model of an outcome says of a person.

    Args:
        metric: The outcome's name.
        unit: Of it, such as ``currency``.
    """
    return (
        ScoreColumn(
            "uplift",
            "DOUBLE",
            f"{unit} per person",
            f"What treatment is expected to bring in {metric}; below 0: it does harm.",
        ),
        ScoreColumn(
            "percentile",
            "INTEGER",
            "percentile (0-100)",
            "Share of the people of the training data whose uplift is smaller, in per cent.",
        ),
    )


@dataclass(frozen=True)
class UpliftModel:
    """A fitted model; compare models by :attr:`version`.

    Attributes:
        name: Prefix of the output columns.
        campaign: Whose past arms it was learned from.
        metric: The outcome.
        unit: Of the outcome.
        inputs: What a frame is turned into.
        effect: The fitted learner.
        cuts: From uplift to percentile.
        card: Where the model comes from and how good it is.
    """

    name: str
    campaign: str
    metric: str
    unit: str
    inputs: Inputs
    effect: Effect
    cuts: Cuts
    card: ModelCard
    kind: str = KIND

    @property
    def columns(self) -> tuple[ScoreColumn, ...]:
        """The output columns, in order."""
        return columns(self.metric, self.unit)

    @property
    def version(self) -> str:
        """Twelve hexadecimal digits that change whenever the model's answers may."""
        return digest(self.to_dict())

    def predict(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Score people.

        Args:
            frame: Features, one row a person; columns that the model does not use are ignored.

        Returns:
            ``uplift`` (outcome per person) and ``percentile`` (0 to 100), with the frame's index.

        Raises:
            ModelError: A feature is missing, is no number, or is infinite.
        """
        starts = range(0, max(len(frame), 1), SLICE)
        uplift = np.concatenate(
            [
                self.effect.predict(self.inputs.matrix(frame.iloc[start : start + SLICE]))
                for start in starts
            ]
        )
        return pd.DataFrame(
            {"uplift": uplift, "percentile": self.cuts.percentile(uplift)}, index=frame.index
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "kind": self.kind,
            "name": self.name,
            "campaign": self.campaign,
            "metric": self.metric,
            "unit": self.unit,
            "inputs": self.inputs.to_dict(),
            "effect": self.effect.to_dict(),
            "cuts": encode(self.cuts.edges),
            "card": self.card.to_dict(),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> UpliftModel:
        """Inverse of :meth:`to_dict`.

        Raises:
            ModelError: The data has another shape.
        """
        try:
            return cls(
                name=str(data["name"]),
                campaign=str(data["campaign"]),
                metric=str(data["metric"]),
                unit=str(data["unit"]),
                inputs=Inputs.from_dict(data["inputs"]),
                effect=Effect.from_dict(data["effect"]),
                cuts=Cuts(decode(data["cuts"])),
                card=ModelCard.from_dict(data["card"]),
            )
        except (KeyError, TypeError, ValueError, AttributeError) as problem:
            raise ModelError(
                "A stored uplift model cannot be read.", hint="Fit the model again."
            ) from problem
