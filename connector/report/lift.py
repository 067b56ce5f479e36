"""What was measured, as the report shows it: estimates with intervals, and their rules."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from connector.report.codec import decode


@dataclass(frozen=True, slots=True)
class Estimate:
    """A number that is never shown without its interval.

    Attributes:
        estimate: The point estimate.
        low, high: Bounds.
        confidence: How often such an interval holds the truth (0-1).
    """

    estimate: float
    low: float
    high: float
    confidence: float


@dataclass(frozen=True, slots=True)
class ArmResult:
    """One arm of a comparison.

    Attributes:
        arm: ``treatment``, ``business_as_usual`` or ``no_contact``.
        n: People whose window has closed; the numbers below are about them.
        n_open: People whose window has not closed yet.
        n_buyers: People whose outcome is not zero.
        mean: Outcome per person; None while there is nobody.
        total: Sum of the outcome.
    """

    arm: str
    n: int
    n_open: int
    n_buyers: int
    mean: float | None
    total: float


@dataclass(frozen=True, slots=True)
class LiftRow:
    """One campaign, epoch, metric and comparison, with the fields of the analysis' own result.

    Attributes:
        campaign: Name of the campaign or of the global holdout.
        epoch: Randomisation epoch.
        metric: Name of the metric.
        kind: ``sum`` (currency), ``count`` (orders) or ``share`` (0-1) per person.
        window_days: Length of a person's window.
        is_goal: Whether the campaign is judged on it.
        as_of: Aware.
        treatment, holdout: The two arms.
        difference: Treatment minus holdout, per person; decides the verdict.
        relative: As a fraction of the holdout's mean; stands beside it.
        incremental: The difference times the treated people counted.
        cost: Money spent on these people; None where it is not fixed.
        incremental_roas: Incremental revenue for each unit of cost.
        expected_buyers: In the smaller arm.
        srm_p: p-value of the split; None while it cannot be tested.
        verdict: ``win``, ``loss``, ``flat``, ``directional_only``, ``not_enough_data`` or
            ``do_not_trust``.
        reason: The sentence behind the verdict.
    """

    campaign: str
    epoch: int
    metric: str
    kind: str
    window_days: int
    is_goal: bool
    as_of: datetime
    treatment: ArmResult
    holdout: ArmResult
    difference: Estimate | None
    relative: Estimate | None
    incremental: Estimate | None
    cost: float | None
    incremental_roas: Estimate | None
    expected_buyers: float | None
    srm_p: float | None
    verdict: str
    reason: str

    @property
    def n_open(self) -> int:
        """People of both arms whose window has not closed yet."""
        return self.treatment.n_open + self.holdout.n_open

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> LiftRow:
        """From the analysis' own JSON form of a result.

        Raises:
            LiftlineError: A value is missing or of another type.
        """
        return decode(cls, document)


@dataclass(frozen=True, slots=True)
class GlobalHoldout:
    """The people whom no campaign addresses, which shows what all campaigns together bring.

    Attributes:
        name: Its name.
        share: Intended share (0-1).
        n_held: People in it.
        lifts: Everybody else against them.
    """

    name: str
    share: float
    n_held: int
    lifts: tuple[LiftRow, ...] = ()


@dataclass(frozen=True, slots=True)
class Rules:
    """The rules behind the verdicts, to be printed beside them.

    Attributes:
        confidence: Of every interval (0-1).
        flat_margin: Largest difference that counts as none, as a share of the holdout's mean.
        directional_from: Expected buyers in the smaller arm below which nothing is said.
        verdict_from: Expected buyers from which there is a verdict.
        srm_below: p-value of the split below which nothing is believed.
    """

    confidence: float = 0.95
    flat_margin: float = 0.01
    directional_from: float = 20.0
    verdict_from: float = 45.0
    srm_below: float = 0.001
