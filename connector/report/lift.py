"""What was measured, as the report shows it: estimates with intervals, and their rules."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from connector.report.codec import decode, encode_fields


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
class OpenEstimate:
    """An estimate whose interval need not end: the data may not be able to bound a ratio.

    Attributes:
        estimate: The point estimate; None where it means nothing.
        low, high: Bounds; None: there is none on that side.
        confidence: How often such an interval holds the truth (0-1).
        note: What a bound that is missing means; empty when both are there.
    """

    estimate: float | None
    low: float | None
    high: float | None
    confidence: float
    note: str = ""


@dataclass(frozen=True, slots=True)
class ArmResult:
    """One arm of a comparison.

    Attributes:
        arm: ``treatment``, ``business_as_usual``, ``no_contact``, or an offer's name.
        n: People whose window has closed; the numbers below are about them.
        n_open: People whose window has not closed yet.
        n_buyers: People whose outcome is not zero.
        mean: Outcome per person (of a ratio: total over total); None while there is nobody.
        total: Sum of the outcome (of a ratio: its numerator).
        variance: Sample variance; None while there are fewer than two people.
        n_units: What a ratio divides by, summed; None for other metrics.
    """

    arm: str
    n: int
    n_open: int
    n_buyers: int
    mean: float | None
    total: float
    variance: float | None = None
    n_units: float | None = None


@dataclass(frozen=True, slots=True)
class MoneyRow:
    """What the campaign earned and cost over the goal's window; treated people counted.

    Attributes:
        cost: Spent on them; None where the strategy names no cost.
        cost_note: What it is made of.
        cost_is_estimated: Whether it depends on what people did.
        revenue, margin, orders: Incremental, in all.
        roas: Incremental revenue for each unit of cost.
        margin_on_cost: Incremental margin, after the cost, for each unit of cost.
        cost_per_order: Cost of each order that would not have been placed.
        margin_note: How margin is reckoned, or why it is not known.
    """

    cost: float | None = None
    cost_note: str = ""
    cost_is_estimated: bool = False
    revenue: Estimate | None = None
    margin: Estimate | None = None
    orders: Estimate | None = None
    roas: OpenEstimate | None = None
    margin_on_cost: OpenEstimate | None = None
    cost_per_order: OpenEstimate | None = None
    margin_note: str = ""


@dataclass(frozen=True, slots=True)
class LookRow:
    """The comparison as it stood at one instant, with a band that allows for all the looks.

    Attributes:
        at: Aware; everybody whose window had closed by then is counted.
        n_treatment, n_holdout: People counted.
        estimate, low, high: Difference per person and its bounds.
    """

    at: datetime
    n_treatment: int
    n_holdout: int
    estimate: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class SegmentLiftRow:
    """The comparison within one class of people, as they were when they were assigned.

    Attributes:
        dimension: What people are classed by: ``rfm.group``, ``segment``, a band of a score.
        name: The class.
        treatment, holdout: The two arms within it.
        difference, relative: As in :class:`LiftRow`.
        p_value, p_adjusted: Before and after the correction for many classes and campaigns.
        expected_buyers: In the smaller arm.
        verdict: By the same rules, on the corrected p-value.
        reason: The sentence.
    """

    dimension: str
    name: str
    treatment: ArmResult
    holdout: ArmResult
    difference: Estimate | None
    relative: Estimate | None
    p_value: float | None
    p_adjusted: float | None
    expected_buyers: float | None
    verdict: str
    reason: str


@dataclass(frozen=True, slots=True)
class AlternativeRow:
    """The same comparison by another road: a labelled sensitivity, never the decision.

    Attributes:
        name: ``welch``, ``winsorised``, ``equal_size``, ``no_cuped``, ``without_merged_people``...
        label: What was done otherwise.
        difference: Per person; None when it cannot be computed.
        note: What a reader must know; may be empty.
    """

    name: str
    label: str
    difference: Estimate | None
    note: str = ""


@dataclass(frozen=True, slots=True)
class HealthRow:
    """One check of the experiment itself.

    Attributes:
        gate: ``assigned``, ``eligible``, ``would_send``, ``joined``, ``empty_arm``, ...
        p_value: Of the test; None where there is none.
        alarm: Whether the numbers are not to be trusted because of it.
        message: One sentence.
    """

    gate: str
    p_value: float | None
    alarm: bool
    message: str


@dataclass(frozen=True, slots=True)
class GuardrailRow:
    """Whether a metric that must not rise has stayed within its limit.

    Attributes:
        max_increase: The limit on the absolute scale (0.003 is 0.3 percentage points).
        state: ``kept``, ``broken`` or ``unclear``.
        message: One sentence.
    """

    max_increase: float
    state: str
    message: str


@dataclass(frozen=True, slots=True)
class OutlookRow:
    """Where the comparison stands against its plan.

    Attributes:
        registered_end: Day on which the final interval decides; None without an end.
        end_note: What must be said of it.
        detectable: Smallest relative effect that the people counted so far can show.
        wanted: The relative effect that the campaign should be able to show.
        power_note: One sentence on the power left.
    """

    registered_end: date | None = None
    end_note: str = ""
    detectable: float | None = None
    wanted: float | None = None
    power_note: str = ""


@dataclass(frozen=True, slots=True)
class LiftRow:
    """One campaign, epoch, metric and comparison, with the fields of the analysis' own result.

    Attributes:
        campaign: Name of the campaign, of the global holdout or of a foreign experiment.
        epoch: Randomisation epoch.
        metric: Name of the metric.
        kind: ``sum``, ``count`` or ``share`` per person, ``ratio`` of two sums, or ``delta`` of a
            score.
        window_days: Length of a person's window.
        is_goal: Whether the campaign is judged on it.
        as_of: Aware.
        treatment, holdout: The two arms.
        difference: Treatment minus holdout, per person; decides the verdict.
        relative: As a fraction of the holdout's mean; stands beside it.
        incremental: The difference times the treated people counted; None for ratios.
        cost: Money spent on these people; None where none is named.
        incremental_roas: Incremental amount for each unit of a cost fixed at assignment.
        expected_buyers: In the smaller arm.
        srm_p: p-value of the split; None while it cannot be tested.
        verdict: ``win``, ``loss``, ``flat``, ``directional_only``, ``not_enough_data`` or
            ``do_not_trust``.
        reason: The sentence behind the verdict.
        comparison: What is compared with what, in words.
        unit, scale, digits: What a difference is in, once multiplied by ``scale``, and its usual
            decimals.
        is_money: Whether a total of the metric is an amount of the shop's currency.
        p_value, p_adjusted: Of the difference, before and after the correction for many campaigns.
        method, method_note: The estimator by its words, and in plain ones.
        stage: ``running``, ``final`` or ``fixed``.
        series: The comparison at every look up to now.
        segments, segments_note: Within classes of people, or why there are none.
        sensitivities: By other roads.
        health: Every check of the experiment.
        guardrail: Set for a metric with a limit.
        is_surrogate: Whether it is a prediction and not something that happened.
        money: What was earned and what it cost; on the goal only.
        outlook: End date and power left.
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
    comparison: str = ""
    unit: str = ""
    scale: float = 1.0
    digits: int = 2
    is_money: bool = False
    p_value: float | None = None
    p_adjusted: float | None = None
    method: str = ""
    method_note: str = ""
    stage: str = "fixed"
    series: tuple[LookRow, ...] = ()
    segments: tuple[SegmentLiftRow, ...] = ()
    segments_note: str = ""
    sensitivities: tuple[AlternativeRow, ...] = ()
    health: tuple[HealthRow, ...] = ()
    guardrail: GuardrailRow | None = None
    is_surrogate: bool = False
    money: MoneyRow | None = None
    outlook: OutlookRow | None = None

    @property
    def role(self) -> str:
        """What the metric is to its campaign: ``goal``, ``also`` or ``guardrail``."""
        if self.is_goal:
            return "goal"
        return "also" if self.guardrail is None else "guardrail"

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

    def to_json(self) -> dict[str, Any]:
        """The analysis' own JSON form of the result: the inverse of :meth:`from_json`."""
        return {**encode_fields(self), "n_open": self.n_open, "role": self.role}


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
