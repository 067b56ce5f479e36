"""What the configuration says about one propensity model, as plain values."""

from __future__ import annotations

from dataclasses import dataclass, field

from connector.errors import ModelError
from connector.models.inputs import MissingRule

KIND = "propensity"
"""The model's type, as in the configuration and in the store."""

ALGORITHMS = ("logistic", "random_forest", "gradient_boosting", "neural_net")
"""Simplest first: of two that are equally good the earlier one is chosen."""

CALIBRATIONS = ("isotonic", "sigmoid")

OUTPUTS = ("probability", "percentile", "reasons")

LEAST_POSITIVES = 100
"""Below so many people who did it, no model is fitted at all."""

FEW_POSITIVES = 500
"""Below so many the card carries a warning."""

ALARM_AUC = 0.85
"""People's next purchase is not that predictable: an AUC from here on means that a feature knows
the outcome, unless the configuration says that it is expected."""


@dataclass(frozen=True, slots=True)
class PublishIf:
    """The gates; a model that fails one is kept out of use and says why.

    Attributes:
        positives_at_least: Distinct people who did it, over all cut-offs; never below
            ``LEAST_POSITIVES``.
        auc_at_least: On the latest cut-off, which neither fit nor choice has seen.
        beats: Names of naive rules that the model's AUC must exceed.
        ece_at_most: Bound of the expected calibration error, 0 to 1.
    """

    positives_at_least: int = LEAST_POSITIVES
    auc_at_least: float | None = None
    beats: tuple[str, ...] = ()
    ece_at_most: float | None = None


@dataclass(frozen=True, slots=True)
class Profit:
    """What a response brings and a contact costs.

    Attributes:
        value: Of one response, currency, positive.
        cost: Of contacting one person, currency, not negative.
    """

    value: float
    cost: float

    def __post_init__(self) -> None:
        if not self.value > 0 or not self.cost >= 0:
            raise ModelError(
                f"A profit needs a positive value and a cost of 0 or more, not {self.value} and"
                f" {self.cost}."
            )


@dataclass(frozen=True, slots=True)
class PropensitySpec:
    """One propensity model.

    Attributes:
        name: Prefix of the output columns: ``purchase_30d`` gives ``purchase_30d.probability``.
        window_days: The outcome is looked for in so many days after a cut-off.
        algorithms: Those to compare.
        folds: Cut-offs to test on, latest last.
        gap_days: Days between the end of a training outcome's window and the cut-off that is
            tested.
        calibrate: ``isotonic`` (falls back to ``sigmoid`` where positives are few) or ``sigmoid``.
        publish_if: The gates.
        outputs: Probability and percentile always; reasons on demand.
        leakage_alarm_at: An AUC from here on keeps the model back, of the model and of every single
            feature; raise it where a better one is expected.
        probability_baselines: Baselines that are probabilities themselves, such as the one of a
            buy-till-you-die model; their calibration is measured too.
        missing: What stands for unknown values.
        max_rows: Larger training sets are sampled down to so many rows.
        n_reasons: Drivers named for each person.
        profit: Asks for the column ``worth_it``.
    """

    name: str
    window_days: int
    algorithms: tuple[str, ...] = ALGORITHMS
    folds: int = 3
    gap_days: int = 0
    calibrate: str = "isotonic"
    publish_if: PublishIf = field(default_factory=PublishIf)
    outputs: tuple[str, ...] = OUTPUTS
    leakage_alarm_at: float = ALARM_AUC
    probability_baselines: tuple[str, ...] = ()
    missing: MissingRule = field(default_factory=MissingRule)
    max_rows: int = 200_000
    n_reasons: int = 3
    profit: Profit | None = None

    def __post_init__(self) -> None:
        unknown = [a for a in self.algorithms if a not in ALGORITHMS]
        if unknown or not self.algorithms:
            raise ModelError(
                f"The model {self.name!r} has no algorithm {', '.join(map(repr, unknown))}."
                if unknown
                else f"The model {self.name!r} names no algorithm.",
                hint=f"Choose from {', '.join(ALGORITHMS)}.",
            )
        if self.calibrate not in CALIBRATIONS:
            raise ModelError(
                f"The model {self.name!r} cannot be calibrated by {self.calibrate!r}.",
                hint=f"Choose one of {', '.join(CALIBRATIONS)}.",
            )
        if not {"probability", "percentile"} <= set(self.outputs) <= set(OUTPUTS):
            raise ModelError(
                f"The model {self.name!r} has the outputs {', '.join(self.outputs)}.",
                hint="Probability and percentile always come together; reasons may be added.",
            )
        if min(self.window_days, self.folds, self.max_rows, self.n_reasons) < 1:
            raise ModelError(
                f"The model {self.name!r} needs a window, folds, rows and reasons of at least 1."
            )
        if self.gap_days < 0:
            raise ModelError(f"The model {self.name!r} has a negative gap.")
