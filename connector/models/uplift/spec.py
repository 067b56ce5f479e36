"""What the configuration says about one uplift model, as plain values."""

from __future__ import annotations

from dataclasses import dataclass, field

from connector.errors import ModelError
from connector.models.inputs import MissingRule

KIND = "uplift"
"""The model's type, as in the configuration and in the store."""

LEARNERS = ("two_model", "x_learner", "direct")

ALGORITHMS = ("linear", "gradient_boosting")

LEAST_PER_ARM = 200
"""Fewer people in an arm are no model at all."""

LEAST_DIFFERING = 20
"""So many people of each arm must have another outcome than the commonest one, such as zero."""


@dataclass(frozen=True, slots=True)
class PublishIf:
    """The gates; a model that fails one is kept out of use and says why.

    Attributes:
        qini_ci_low_above: The low end of the interval of the model's Qini coefficient must lie
            above it, in the outcome's unit; never below 0.
        min_per_arm: People in each arm; never below ``LEAST_PER_ARM``.
    """

    qini_ci_low_above: float = 0.0
    min_per_arm: int = 2_000


@dataclass(frozen=True, slots=True)
class UpliftSpec:
    """One uplift model.

    Attributes:
        name: Prefix of the output columns: ``winback_uplift`` gives ``winback_uplift.uplift``.
        campaign: Whose past arms it learns from.
        metric: The outcome's name.
        unit: Of the outcome of one person, such as ``currency``.
        learner: ``two_model`` (one forecast for each arm), ``x_learner`` (the forecast of the other
            arm makes each person's own effect, which is then learned) or ``direct`` (the effect
            itself is learned, from the known chance of being treated).
        algorithm: What it is built from.
        publish_if: The gates.
        folds: Parts of the people that take turns in being unseen.
        replicates: Bootstrap samples of the intervals.
        confidence: Of the intervals, between 0 and 1.
        missing: What stands for unknown values.
    """

    name: str
    campaign: str
    metric: str
    unit: str
    learner: str = "two_model"
    algorithm: str = "gradient_boosting"
    publish_if: PublishIf = field(default_factory=PublishIf)
    folds: int = 5
    replicates: int = 500
    confidence: float = 0.95
    missing: MissingRule = field(default_factory=MissingRule)

    def __post_init__(self) -> None:
        for what, given, known in (
            ("learner", self.learner, LEARNERS),
            ("algorithm", self.algorithm, ALGORITHMS),
        ):
            if given not in known:
                raise ModelError(
                    f"The model {self.name!r} has no {what} {given!r}.",
                    hint=f"Choose one of {', '.join(known)}.",
                )
        if self.folds < 2 or self.replicates < 1 or not 0 < self.confidence < 1:
            raise ModelError(
                f"The model {self.name!r} needs two folds, a bootstrap sample and a confidence"
                " between 0 and 1."
            )
