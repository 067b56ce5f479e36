"""Scores that another tool made (DataRobot, H2O, Vertex, Azure ML, a notebook): checked, judged.

An export is a table of person, score and the instant of the score. It is taken at its word in
nothing: rows outside the scale, from the future, stale, contradictory or of nobody we know are left
out and counted; and the scores that were made before a known outcome go through the same gates as
our own models. Without such a past nobody can say whether the scores are any good, so there is no
model then.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd

from connector.errors import InsufficientDataError, ModelError
from connector.models.arrays import decode, digest, encode
from connector.models.card import Gate, ModelCard, ScoreColumn
from connector.models.propensity.curves import calibration_table, gain_curve
from connector.models.propensity.gates import baseline_measures, gates
from connector.models.propensity.metrics import measures
from connector.models.propensity.model import COLUMNS, Cuts, Evaluation
from connector.models.propensity.snapshots import Snapshot, checked
from connector.models.propensity.spec import ALARM_AUC, FEW_POSITIVES, Profit, PublishIf
from connector.models.propensity.sql import percentile_sql
from connector.models.propensity.worth import COLUMN as WORTH_IT
from connector.models.propensity.worth import WorthIt

KIND = "external_propensity"
"""In the store."""

SCORE = "score"
"""The feature of a snapshot that holds the external score, 0 to 1."""

ODD_SHARE = 0.01
"""With a larger share of rows outside the scale it is the scale that is wrong, not the rows."""

COVERAGE = 0.5
"""Default share of the people who must have a score."""


@dataclass(frozen=True, slots=True)
class ExternalSpec:
    """One model that was fitted elsewhere.

    Attributes:
        name: Prefix of the output columns.
        window_days: What the score is about happens within so many days.
        scale: The score of certainty: 1, or 100 for per cent.
        max_age_days: Older scores are not used.
        coverage_at_least: Share of the people who must have a score, 0 to 1.
        publish_if: The gates.
        leakage_alarm_at: As for our own models.
        probability_baselines: Likewise.
        profit: Asks for the column ``worth_it``.
    """

    name: str
    window_days: int
    scale: float = 1.0
    max_age_days: int = 14
    coverage_at_least: float = COVERAGE
    publish_if: PublishIf = field(default_factory=PublishIf)
    leakage_alarm_at: float = ALARM_AUC
    probability_baselines: tuple[str, ...] = ()
    profit: Profit | None = None


@dataclass(frozen=True, slots=True)
class Accepted:
    """The usable part of an export.

    Attributes:
        scores: Index ``profile_id``, one column ``score`` from 0 to 1; one row a person.
        refused: Reason -> rows left out.
        coverage: Share of the people who have a score, 0 to 1.
    """

    scores: pd.DataFrame
    refused: Mapping[str, int]
    coverage: float


def accept(
    spec: ExternalSpec, export: pd.DataFrame, *, people: pd.Index, as_of: datetime
) -> Accepted:
    """Check an export.

    Args:
        spec: The settings.
        export: ``profile_id``, ``score`` and ``scored_at`` (UTC, or aware), any order.
        people: The profile ids that the model is about.
        as_of: The instant that the scores are for, aware.

    Raises:
        ModelError: A column is missing, or the scores are on another scale.
    """
    missing = [c for c in ("profile_id", "score", "scored_at") if c not in export.columns]
    if missing:
        raise ModelError(f"The scores of {spec.name!r} lack the columns {', '.join(missing)}.")
    table = pd.DataFrame(
        {
            "profile_id": export["profile_id"].to_numpy(),
            "score": pd.to_numeric(export["score"], errors="coerce").to_numpy(dtype=np.float64),
            "at": pd.to_datetime(export["scored_at"], utc=True, errors="coerce"),
        }
    )
    outside = (table["score"] < 0) | (table["score"] > spec.scale)
    if outside.mean() > ODD_SHARE:
        raise ModelError(
            f"{outside.mean():.0%} of the scores of {spec.name!r} lie outside 0 to {spec.scale:g}.",
            hint="State the scale of the scores: 1 for probabilities, 100 for per cent.",
        )
    now = pd.Timestamp(as_of.astimezone(UTC))
    oldest = now - timedelta(days=spec.max_age_days)
    reasons: list[tuple[str, pd.Series]] = [
        ("not_a_number", table["score"].isna()),
        ("outside_the_scale", outside),
        ("no_time", table["at"].isna()),
        ("from_the_future", table["at"] > now),
        ("stale", table["at"] < oldest),
        ("unknown_person", ~table["profile_id"].isin(people)),
    ]
    refused: dict[str, int] = {}
    good = pd.Series(data=True, index=table.index)
    for reason, bad in reasons:
        _count(refused, reason, int((good & bad).sum()))
        good &= ~bad
    table = table[good]
    newest = table["at"] == table.groupby("profile_id")["at"].transform("max")
    _count(refused, "older_duplicate", int((~newest).sum()))
    table = table[newest].drop_duplicates(["profile_id", "score"])
    contradictory = table["profile_id"].duplicated(keep=False)
    _count(refused, "contradictory", int(contradictory.sum()))
    table = table[~contradictory].sort_values("profile_id")
    scores = pd.DataFrame(
        {SCORE: table["score"].to_numpy() / spec.scale},
        index=pd.Index(table["profile_id"], name="profile_id"),
    )
    return Accepted(scores, refused, len(scores) / len(people) if len(people) else 0.0)


def _count(refused: dict[str, int], reason: str, n: int) -> None:
    if n:
        refused[reason] = n


@dataclass(frozen=True)
class ExternalModel:
    """Scores from elsewhere with a card of our own.

    Attributes:
        name: Prefix of the output columns.
        cuts: From score to percentile.
        evaluation: Tables for the report.
        card: How good the scores are.
        worth: From which probability on a contact pays; None where nobody asked.
    """

    name: str
    cuts: Cuts
    evaluation: Evaluation
    card: ModelCard
    worth: WorthIt | None = None
    kind: str = KIND

    @property
    def columns(self) -> tuple[ScoreColumn, ...]:
        """The output columns, in order."""
        both = COLUMNS["probability"], COLUMNS["percentile"]
        return both if self.worth is None else (*both, WORTH_IT)

    @property
    def version(self) -> str:
        """Twelve hexadecimal digits that change whenever the model's answers may."""
        return digest(self.to_dict())

    def predict(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Pass accepted scores on, with their percentile.

        Args:
            frame: The scores of :func:`accept`.

        Raises:
            ModelError: A score is not between 0 and 1.
        """
        if SCORE not in frame.columns:
            raise ModelError(f"The model {self.name!r} needs the column {SCORE!r}.")
        score = frame[SCORE].to_numpy(dtype=np.float64)
        if not ((score >= 0) & (score <= 1)).all():
            raise ModelError(f"A score of {self.name!r} is not between 0 and 1.")
        result = pd.DataFrame(
            {"probability": score, "percentile": self.cuts.percentile(score)}, index=frame.index
        )
        if self.worth is not None:
            result[WORTH_IT.name] = self.worth.apply(score)
        return result

    def predict_sql(self, features: str = "features") -> str:
        """The same over a relation with ``profile_id`` and ``score``."""
        select = (
            f"SELECT s.profile_id AS profile_id, s.{SCORE} AS probability"
            f", {percentile_sql(f's.{SCORE}', self.cuts.edges)} AS percentile FROM {features} AS s"
        )
        return select if self.worth is None else self.worth.sql(select)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "kind": self.kind,
            "name": self.name,
            "cuts": encode(self.cuts.edges),
            "evaluation": self.evaluation.to_dict(),
            "card": self.card.to_dict(),
            "worth": None if self.worth is None else self.worth.to_dict(),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> ExternalModel:
        """Inverse of :meth:`to_dict`.

        Raises:
            ModelError: The data has another shape.
        """
        try:
            return cls(
                name=str(data["name"]),
                cuts=Cuts(decode(data["cuts"])),
                evaluation=Evaluation.from_dict(data["evaluation"]),
                card=ModelCard.from_dict(data["card"]),
                worth=WorthIt.from_dict(data.get("worth")),
            )
        except (KeyError, TypeError, ValueError, AttributeError) as problem:
            raise ModelError(
                "A stored external model cannot be read.", hint="Judge the scores again."
            ) from problem


def judge(
    spec: ExternalSpec, past: Sequence[Snapshot], current: Accepted, *, as_of: datetime
) -> ExternalModel:
    """Put external scores through the gates of our own models.

    Args:
        spec: The settings.
        past: Cut-offs whose outcomes are known; ``features`` holds the scores accepted as of the
            cut-off. Measures come from the latest one.
        current: The scores as of now.
        as_of: Now, aware.

    Raises:
        InsufficientDataError: There is no past with both outcomes, or nobody has a score now.
        ModelError: A snapshot contradicts itself.
    """
    if not past or current.scores.empty:
        raise InsufficientDataError(
            f"The scores of {spec.name!r} cannot be judged: there are"
            f" {len(past)} past cut-offs and {len(current.scores):,} scores now.",
            hint=f"Keep the exports: scores older than {spec.window_days} days are needed.",
        )
    ordered = checked(past, model=spec.name)
    latest = ordered[-1]
    label = latest.label.to_numpy(dtype=np.float64)
    if not 0 < label.sum() < label.size:
        raise InsufficientDataError(
            f"At the cut-off {latest.as_of.date()} of {spec.name!r} everybody has the same outcome."
        )
    score = latest.features[SCORE].to_numpy(dtype=np.float64)
    found = measures(label, score, score)
    did = pd.concat([one.label for one in ordered])
    n_positive = int(did.index[did == 1].nunique())
    none = pd.DataFrame(index=latest.label.index)
    baselines = baseline_measures(
        latest.baselines,
        [
            (none if one.baselines is None else one.baselines, one.label.to_numpy(np.float64))
            for one in (ordered[:-1] or ordered)
        ],
        label,
        probabilities=spec.probability_baselines,
    )
    notes = [
        f"Scored elsewhere; judged on what happened in the {spec.window_days} days after"
        f" {latest.as_of.date()}.",
        *(f"{n:,} rows were left out: {why}." for why, n in sorted(current.refused.items())),
    ]
    gains = gain_curve(label, score)
    worth = None if spec.profit is None else WorthIt.of(gains, spec.profit)
    if worth is not None:
        notes.append(worth.note(latest.as_of.date()))
    if n_positive < FEW_POSITIVES:
        notes.append(f"Only {n_positive} people did it: below {FEW_POSITIVES} figures wobble.")
    covered = Gate(
        "coverage_at_least",
        f"at least {spec.coverage_at_least:.0%}",
        f"{current.coverage:.1%} of the people have a score",
        current.coverage >= spec.coverage_at_least,
    )
    card = ModelCard(
        name=spec.name,
        kind=KIND,
        algorithm="external",
        as_of=as_of.astimezone(UTC),
        n_people=len(current.scores),
        data_from=ordered[0].as_of,
        features=(SCORE,),
        metrics=found
        | {
            "n_positive": float(n_positive),
            "n_tested": float(label.size),
            "n_tested_positive": float(label.sum()),
            "base_rate": float(label.mean()),
        },
        baselines=baselines,
        gates=(
            covered,
            *gates(
                spec.publish_if,
                alarm_at=spec.leakage_alarm_at,
                n_positive=n_positive,
                label=label,
                found=found,
                baselines=baselines,
                feature_aucs={},
            ),
        ),
        notes=tuple(notes),
    )
    return ExternalModel(
        name=spec.name,
        cuts=Cuts.fit(current.scores[SCORE].to_numpy(dtype=np.float64)),
        evaluation=Evaluation(latest.as_of, gains, calibration_table(label, score)),
        card=card,
        worth=worth,
    )
