"""A fitted propensity model: what it says of a person, why, and what is known about its quality.

Three things come out of one score. The *probability* is calibrated and answers "how many of a
hundred such people will". The *percentile* is read off cut points of the people that the model was
fitted on, so that it moves when the person does and not because others did; it is the share of them
who score strictly lower. The *reasons* divide the probability, less that of the typical person (the
one with every feature at its median, or its commonest word), among the features.

The division is made on the scorer's additive scale, where it is a Shapley value (see
:mod:`connector.models.propensity.trees` and :mod:`connector.models.propensity.scorers`), and
carried over the calibration curve by scaling all parts of a person with one factor: the rise in
probability over the rise in score. That is the rescale rule for a chain of models; it keeps the
parts' proportions and they still add up.

References:
    Lundberg and Lee (2017), "A unified approach to interpreting model predictions"; Chen, Lundberg
    and Lee (2022), "Explaining a series of models by propagating Shapley values".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import pandas as pd

from connector.errors import ModelError
from connector.models.arrays import decode, digest, encode
from connector.models.card import ModelCard, ScoreColumn
from connector.models.inputs import Inputs
from connector.models.propensity.calibration import SCORE_DECIMALS, Calibration
from connector.models.propensity.curves import CalibrationBin, GainPoint, Tenth, tenths
from connector.models.propensity.metrics import Floats
from connector.models.propensity.scorers import Linear, Scorer, in_blocks, read_scorer
from connector.models.propensity.spec import KIND
from connector.models.propensity.sql import linear_sql
from connector.models.propensity.worth import COLUMN as WORTH_IT
from connector.models.propensity.worth import WorthIt
from connector.models.reasons import Wording, reasons

PERCENTILES = 100

SLICE = 131_072
"""People worked on at a time, so that memory does not grow with their number."""

LEAST_RISE = 1e-6
"""A smaller rise in score is too near to rounding to be divided by."""

COLUMNS = {
    "probability": ScoreColumn(
        "probability",
        "DOUBLE",
        "probability",
        "Chance that the person does it within the window, 0 to 1.",
    ),
    "percentile": ScoreColumn(
        "percentile",
        "INTEGER",
        "percentile (0-100)",
        "Share of the people of the training data who score lower, in per cent.",
    ),
    "reasons": ScoreColumn(
        "reasons",
        "VARCHAR",
        "text",
        "What sets the probability apart from the typical person's, in percentage points.",
    ),
}


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The model on the latest cut-off, before it was fitted on that one too.

    Attributes:
        as_of: The cut-off.
        gains: The gain curve; :func:`connector.models.propensity.curves.profit_curve` reads it.
        calibration: Predicted against observed.
    """

    as_of: datetime
    gains: tuple[GainPoint, ...]
    calibration: tuple[CalibrationBin, ...]

    @property
    def tenths(self) -> tuple[Tenth, ...]:
        """Lift and gains by tenths of the people."""
        return tenths(self.gains)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "as_of": self.as_of.isoformat(),
            "gains": [[p.probability, p.n_people, p.n_positive] for p in self.gains],
            "calibration": [[b.n_people, b.predicted, b.observed] for b in self.calibration],
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Evaluation:
        """Inverse of :meth:`to_dict`."""
        return cls(
            as_of=datetime.fromisoformat(data["as_of"]),
            gains=tuple(GainPoint(float(p), int(n), int(k)) for p, n, k in data["gains"]),
            calibration=tuple(
                CalibrationBin(int(n), float(p), float(o)) for n, p, o in data["calibration"]
            ),
        )


@dataclass(frozen=True)
class Cuts:
    """Cut points of the percentile.

    Attributes:
        edges: 100 scores, ascending: the percentile is the number of edges below a score. Each lies
            half way to the next score that anybody had, so that rounding moves nobody across.
    """

    edges: Floats

    @classmethod
    def fit(cls, score: Floats) -> Cuts:
        """Cut points of these people's scores."""
        ranked = np.sort(score)
        distinct = np.append(np.unique(ranked), ranked[-1] + 2.0 * 10.0**-SCORE_DECIMALS)
        at = np.ceil(np.arange(1, PERCENTILES + 1) * ranked.size / PERCENTILES).astype(int) - 1
        position = np.searchsorted(distinct, ranked[at])
        return cls((distinct[position] + distinct[position + 1]) / 2)

    def percentile(self, score: Floats) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
        """Whole per cent of the training people who score strictly lower, 0 to 100."""
        return np.searchsorted(self.edges, score).astype(np.int64)


@dataclass(frozen=True)
class PropensityModel:
    """A fitted model; compare models by :attr:`version`.

    Attributes:
        name: Prefix of the output columns.
        outputs: Names of the columns that :meth:`predict` gives.
        n_reasons: Drivers named for each person.
        wordings: Feature -> how it is put into words.
        inputs: What a frame is turned into.
        scorer: The fitted algorithm.
        calibration: From score to probability.
        cuts: From score to percentile.
        evaluation: Tables for the report.
        card: Where the model comes from and how good it is.
        worth: From which probability on a contact pays; None where nobody asked.
    """

    name: str
    outputs: tuple[str, ...]
    n_reasons: int
    wordings: Mapping[str, Wording]
    inputs: Inputs
    scorer: Scorer
    calibration: Calibration
    cuts: Cuts
    evaluation: Evaluation
    card: ModelCard
    worth: WorthIt | None = None
    kind: str = KIND

    @property
    def columns(self) -> tuple[ScoreColumn, ...]:
        """The output columns, in order."""
        asked = tuple(column for name, column in COLUMNS.items() if name in self.outputs)
        return asked if self.worth is None else (*asked, WORTH_IT)

    @property
    def version(self) -> str:
        """Twelve hexadecimal digits that change whenever the model's answers may."""
        return digest(self.to_dict())

    @property
    def reference_probability(self) -> float:
        """The typical person's probability, which reasons start from."""
        return float(self._probability(self.inputs.reference[None, :])[0])

    def predict(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Score people.

        Args:
            frame: Features, one row a person; columns that the model does not use are ignored.

        Returns:
            One column for each of :attr:`columns`, with the frame's index.

        Raises:
            ModelError: A feature is missing, is no number, or is infinite.
        """
        return self._sliced(frame, self._predict)

    def explain(self, frame: pd.DataFrame) -> pd.DataFrame:
        """What each feature adds to each person's probability.

        Args:
            frame: As for :meth:`predict`.

        Returns:
            One column a feature; a row adds up to the person's probability less
            :attr:`reference_probability`.

        Raises:
            ModelError: As for :meth:`predict`.
        """
        return self._sliced(frame, self._explain)

    def predict_sql(self, features: str = "features") -> str | None:
        """SELECT of ``profile_id``, ``probability`` and ``percentile`` in the house dialect.

        And of ``worth_it`` where the model has it. Reasons are not among them: naming the largest
        of many parts is no work for SQL.

        Args:
            features: Relation with the features.

        Returns:
            None where the algorithm is not a sum of terms, or an embedding is among the inputs.
        """
        if not isinstance(self.scorer, Linear):
            return None
        select = linear_sql(
            self.inputs, self.scorer, self.calibration, self.cuts.edges, features=features
        )
        return select if select is None or self.worth is None else self.worth.sql(select)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "kind": self.kind,
            "name": self.name,
            "outputs": list(self.outputs),
            "n_reasons": self.n_reasons,
            "wordings": {
                name: [one.text, one.unknown, one.decimals, one.one]
                for name, one in self.wordings.items()
            },
            "inputs": self.inputs.to_dict(),
            "algorithm": self.scorer.algorithm,
            "scorer": self.scorer.to_dict(),
            "calibration": self.calibration.to_dict(),
            "cuts": encode(self.cuts.edges),
            "evaluation": self.evaluation.to_dict(),
            "card": self.card.to_dict(),
            "worth": None if self.worth is None else self.worth.to_dict(),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> PropensityModel:
        """Inverse of :meth:`to_dict`.

        Raises:
            ModelError: The data has another shape.
        """
        try:
            return cls(
                name=str(data["name"]),
                outputs=tuple(map(str, data["outputs"])),
                n_reasons=int(data["n_reasons"]),
                wordings={
                    str(name): Wording(str(text), str(unknown), int(decimals), str(one))
                    for name, (text, unknown, decimals, one) in data["wordings"].items()
                },
                inputs=Inputs.from_dict(data["inputs"]),
                scorer=read_scorer(str(data["algorithm"]), data["scorer"]),
                calibration=Calibration.from_dict(data["calibration"]),
                cuts=Cuts(decode(data["cuts"])),
                evaluation=Evaluation.from_dict(data["evaluation"]),
                card=ModelCard.from_dict(data["card"]),
                worth=WorthIt.from_dict(data.get("worth")),
            )
        except (KeyError, TypeError, ValueError, AttributeError) as problem:
            raise ModelError(
                "A stored propensity model cannot be read.", hint="Fit the model again."
            ) from problem

    def _sliced(
        self, frame: pd.DataFrame, work: Callable[[pd.DataFrame], pd.DataFrame]
    ) -> pd.DataFrame:
        """The work on slices of the people, put together."""
        starts = range(0, max(len(frame), 1), SLICE)
        return pd.concat([work(frame.iloc[start : start + SLICE]) for start in starts])

    def _predict(self, frame: pd.DataFrame) -> pd.DataFrame:
        matrix = self.inputs.matrix(frame)
        score = self.scorer.score(matrix) if len(frame) else np.empty(0)
        result = pd.DataFrame(
            {
                "probability": self.calibration.apply(score),
                "percentile": self.cuts.percentile(score),
            },
            index=frame.index,
        )
        if "reasons" in self.outputs:
            result["reasons"] = reasons(
                self._explain(frame), self.inputs.shown(frame), self.wordings, top=self.n_reasons
            )
        if self.worth is not None:
            result[WORTH_IT.name] = self.worth.apply(result["probability"].to_numpy())
        return result

    def _explain(self, frame: pd.DataFrame) -> pd.DataFrame:
        matrix = self.inputs.matrix(frame)
        reference = self.inputs.reference
        players = self.inputs.players
        parts = np.empty((0, len(self.inputs.features)))
        if len(frame):
            parts = in_blocks(
                lambda block: self.scorer.contributions(block, reference, players), matrix
            )
            rise = self._probability(matrix) - self.reference_probability
            parts = _carried_over(parts, rise, self._slope(reference))
        return pd.DataFrame(parts, index=frame.index, columns=list(self.inputs.features))

    def _probability(self, matrix: Floats) -> Floats:
        return self.calibration.apply(self.scorer.score(matrix))

    def _slope(self, reference: Floats) -> float:
        """Rise in probability for a rise in the additive value, around the typical person."""
        value = in_blocks(self.scorer.additive, reference[None, :])
        ends = self.calibration.apply(
            self.scorer.log_odds(np.concatenate([value - LEAST_RISE, value + LEAST_RISE]))
        )
        return float(ends[1] - ends[0]) / (2 * LEAST_RISE)


def _carried_over(parts: Floats, rise: Floats, slope: float) -> Floats:
    """Parts of the additive value as parts of the probability.

    Args:
        parts: People x features, on the additive scale.
        rise: Of each person, probability less the typical person's: what the result adds up to.
        slope: Factor for people whose parts cancel out almost wholly.
    """
    total = parts.sum(axis=1)
    far = np.abs(total) > LEAST_RISE
    factor = np.where(far, rise / np.where(far, total, 1.0), slope)
    result = parts * factor[:, None]
    # What rounding left over goes to the largest part, so that the sum is exact.
    largest = np.argmax(np.abs(parts), axis=1)
    result[np.arange(len(parts)), largest] += rise - result.sum(axis=1)
    return result
