"""How everything is measured, whatever is measured: the rules of one analysis."""

from __future__ import annotations

from dataclasses import dataclass

from connector.lift.estimate import MeanMethod, Methods, ShareMethod
from connector.lift.sequential import Design
from connector.lift.verdict import STANDARD, Thresholds


@dataclass(frozen=True, slots=True)
class MeasurementSpec:
    """How everything is measured.

    Attributes:
        confidence: Of every decision, between 0 and 1.
        flat_margin: Largest difference that still counts as none, as a share of the holdout's mean.
        currency: For sentences.
        mean: Interval of means.
        share: Interval of shares.
        covariate_days: How long before the assignment the covariate reaches; 0: nothing is
            adjusted.
        design: What allows for looking more than once.
        thresholds: Expected buyers that words need.
        corrects: Whether many comparisons are corrected for.
        srm_below: p-value of a split below which nothing is believed.
        pre_period_below: p-value of a difference before the assignment, likewise.
        contaminated_above: Share of people in two arms, or reached although they were held out,
            from which that is said first.
        power: Chance to find an effect, for the sentence on the power left.
        wanted: The relative effect that a campaign should be able to show.
        equal_size: Whether groups of equal size are compared as well.
    """

    confidence: float = 0.95
    flat_margin: float = 0.01
    currency: str = "EUR"
    mean: MeanMethod = MeanMethod.HALL
    share: ShareMethod = ShareMethod.AGRESTI_CAFFO
    covariate_days: int = 0
    design: Design = Design.FIXED
    thresholds: Thresholds = STANDARD
    corrects: bool = True
    srm_below: float = 0.001
    pre_period_below: float = 0.001
    contaminated_above: float = 0.01
    power: float = 0.8
    wanted: float = 0.03
    equal_size: bool = False

    @property
    def methods(self) -> Methods:
        """Which estimator for which kind of outcome."""
        return Methods(self.mean, self.share, self.covariate_days > 0)
