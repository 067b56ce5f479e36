"""What the analysis hands on: one frozen result per comparison, ready to be written as JSON.

The report, the web page and BI tools read these numbers from the published JSON and never compute
with them again, so a verdict and the numbers beside it cannot part. A comparison is always of two
arms, named by text, so that several offers, and experiments run elsewhere, have the same form.
"""

from __future__ import annotations

import enum
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime
from typing import Any

from connector.lift.intervals import Interval
from connector.lift.metrics import MetricKind
from connector.lift.verdict import Verdict


class Stage(enum.StrEnum):
    """Which interval decides, and why."""

    RUNNING = "running"
    """Looked at on the way: the interval allows for looking again and again, and is wider."""
    FINAL = "final"
    """The registered end has been reached: the interval of that one day decides."""
    FIXED = "fixed"
    """An interval that allows for one look only, whenever it is taken."""


class Role(enum.StrEnum):
    """What a metric is to its campaign."""

    GOAL = "goal"
    """The campaign is judged on it."""
    ALSO = "also"
    """Shown beside the goal."""
    GUARDRAIL = "guardrail"
    """Must not get worse by more than its limit."""


@dataclass(frozen=True, slots=True)
class ArmSummary:
    """One arm of a comparison.

    Attributes:
        arm: Its name: ``treatment``, ``business_as_usual``, ``no_contact``, or an offer's.
        n: People whose window has closed and whose outcome is known; the others below are about
            them.
        n_open: People assigned whose window has not closed yet; they are in no other number.
        n_buyers: People whose outcome is not zero.
        mean: Outcome per person (of a ratio: the arm's total over its total); None while there is
            nobody.
        total: Sum of the outcome (of a ratio: its numerator).
        variance: Sample variance of the outcome; None while there are fewer than two people.
        n_units: What a ratio divides by, summed (orders, e-mails sent); None for other metrics.
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
class OpenInterval:
    """An estimate whose interval need not end: the data may not be able to bound a ratio.

    Attributes:
        estimate: The point estimate; None where it means nothing (nothing was gained).
        low: Lower bound; None: there is none.
        high: Upper bound; None: there is none.
        confidence: Between 0 and 1.
        note: What a bound that is missing means, as a sentence; empty when both are there.
    """

    estimate: float | None
    low: float | None
    high: float | None
    confidence: float
    note: str = ""


@dataclass(frozen=True, slots=True)
class Money:
    """What the campaign earned and cost, over the goal's window; treated people counted.

    Attributes:
        cost: Spent on them, in the shop's currency; None where the strategy names no cost.
        cost_note: What the cost is made of, as a sentence.
        cost_is_estimated: Whether it depends on what people did (redemptions), so that a ratio over
            it has an error of its own.
        revenue: Incremental revenue in all.
        margin: Incremental margin in all, after the campaign's cost; None where margin is not
            known.
        orders: Incremental orders in all.
        roas: Incremental revenue for each unit of cost (iROAS; 1 = it came back as revenue).
        margin_on_cost: Incremental margin, after the cost, for each unit of cost.
        cost_per_order: Cost of each order that would not have been placed.
        margin_note: How margin is reckoned, or why it is not known.
    """

    cost: float | None = None
    cost_note: str = ""
    cost_is_estimated: bool = False
    revenue: Interval | None = None
    margin: Interval | None = None
    orders: Interval | None = None
    roas: OpenInterval | None = None
    margin_on_cost: OpenInterval | None = None
    cost_per_order: OpenInterval | None = None
    margin_note: str = ""


@dataclass(frozen=True, slots=True)
class Look:
    """The comparison as it stood at one instant; the interval allows for all the looks.

    Attributes:
        at: Aware; everybody whose window had closed before it is counted.
        n_treatment: People treated.
        n_holdout: People held out.
        estimate: Difference per person.
        low: Lower bound.
        high: Upper bound.
    """

    at: datetime
    n_treatment: int
    n_holdout: int
    estimate: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class SegmentLift:
    """The comparison within one class of people, as they were when they were assigned.

    Attributes:
        dimension: What people are classed by: ``rfm.group``, ``segment``, a band of a score.
        name: The class.
        treatment: The treated people in it.
        holdout: Those they are compared with.
        difference: Per person; None when it cannot be computed.
        relative: As a fraction of the holdout's mean; None where a percentage means nothing.
        p_value: Of the difference, before any correction.
        p_adjusted: After the correction for the number of classes and campaigns.
        expected_buyers: In the smaller arm.
        verdict: By the same rules, on the corrected p-value.
        reason: The sentence.
    """

    dimension: str
    name: str
    treatment: ArmSummary
    holdout: ArmSummary
    difference: Interval | None
    relative: Interval | None
    p_value: float | None
    p_adjusted: float | None
    expected_buyers: float | None
    verdict: Verdict
    reason: str


@dataclass(frozen=True, slots=True)
class Alternative:
    """The same comparison by another road: a labelled sensitivity, never the decision.

    Attributes:
        name: ``welch``, ``winsorised``, ``equal_size``, ``no_cuped``, ``without_merged_people``...
        label: What was done otherwise, in plain words.
        difference: Per person; None when it cannot be computed.
        note: What a reader must know, such as the cap; may be empty.
    """

    name: str
    label: str
    difference: Interval | None
    note: str = ""


@dataclass(frozen=True, slots=True)
class HealthFinding:
    """One check of the experiment itself.

    Attributes:
        gate: ``assigned``, ``eligible``, ``would_send``, ``joined``, ``empty_arm``, ``pre_period``,
            ``contamination``, ...
        p_value: Of the test; None where it is no test, or there are too few people for it.
        alarm: Whether the numbers are not to be trusted because of it.
        message: One sentence.
    """

    gate: str
    p_value: float | None
    alarm: bool
    message: str


@dataclass(frozen=True, slots=True)
class GuardrailCheck:
    """Whether a metric that must not rise has stayed within its limit.

    Attributes:
        max_increase: The limit on the absolute scale: 0.003 is 0.3 percentage points.
        state: ``kept`` (the whole interval lies below the limit), ``broken`` (it lies above),
            ``unclear``.
        message: One sentence.
    """

    max_increase: float
    state: str
    message: str


@dataclass(frozen=True, slots=True)
class Outlook:
    """Where the comparison stands against its plan.

    Attributes:
        registered_end: Day on which the last window closes and the final interval decides; None for
            a programme without an end.
        end_note: What must be said of it: the date was moved, or there is none.
        detectable: Smallest relative effect that the people counted so far can show with the
            planned power, by the alpha that the verdict uses; None when it cannot be told.
        wanted: The relative effect that the campaign should be able to show.
        power_note: One sentence on the power left.
    """

    registered_end: date | None = None
    end_note: str = ""
    detectable: float | None = None
    wanted: float | None = None
    power_note: str = ""


@dataclass(frozen=True, slots=True)
class CampaignLift:
    """One campaign, epoch, metric and comparison: the numbers, the word and the sentence.

    Attributes:
        campaign: Name of the campaign, of the global holdout, or of a foreign experiment.
        epoch: Randomisation epoch.
        metric: Name of the metric.
        kind: How a person's rows become one number.
        window_days: Length of a person's window.
        is_goal: Whether it is the campaign's goal, on which it is judged; other metrics are shown
            beside it.
        as_of: Aware UTC instant of the analysis.
        treatment: The treated arm.
        holdout: The arm that it is compared with.
        difference: Treatment minus holdout per person; decides the verdict. None when it cannot be
            computed.
        relative: The same as a fraction of the holdout's mean, on the log-ratio scale; shown beside
            it. None where a percentage means nothing.
        incremental: The difference times the treated people counted: revenue, orders or people
            gained in all. None for ratios.
        cost: Money spent on those people; None where the strategy names none.
        incremental_roas: Incremental amount per unit of cost (1 = the cost came back); sums of
            money over a cost that is fixed at assignment. The whole account is in ``money``.
        expected_buyers: Pooled buying rate times the smaller arm; for a share, of the rarer answer.
        srm_p: p-value of the split of the whole epoch; None while there are too few people to test
            it.
        verdict: The word.
        reason: The sentence.
        comparison: What is compared with what, in words.
        unit: What a difference is in: ``EUR per person``, ``percentage points``, ``EUR per order``.
        scale: A difference is multiplied by it before it is spoken in ``unit``: 100 for shares.
        digits: Usual decimals of a difference, after scaling.
        is_money: Whether a total of the metric is an amount of the shop's currency.
        p_value: Two-sided, of the difference, by the interval's own method at one look.
        p_adjusted: The same, corrected for the number of campaigns.
        method: The estimator, as words joined by ``+``: ``hall+cuped``.
        method_note: How the numbers came about, in plain words.
        stage: Which interval decides.
        series: The comparison at every look up to now, each with the band of the sequence.
        segments: Within classes of people.
        segments_note: Why classes are missing; empty when they are there, or were not asked for.
        sensitivities: By other roads.
        health: Every check of the experiment, alarms and clean bills.
        guardrail: Set for a metric with a limit.
        is_surrogate: Whether it is a prediction (such as a change of expected CLV) and not
            something that happened.
        money: What was earned and what it cost; on the goal only.
        outlook: End date and power left.
    """

    campaign: str
    epoch: int
    metric: str
    kind: MetricKind
    window_days: int
    is_goal: bool
    as_of: datetime
    treatment: ArmSummary
    holdout: ArmSummary
    difference: Interval | None
    relative: Interval | None
    incremental: Interval | None
    cost: float | None
    incremental_roas: Interval | None
    expected_buyers: float | None
    srm_p: float | None
    verdict: Verdict
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
    stage: Stage = Stage.FIXED
    series: tuple[Look, ...] = ()
    segments: tuple[SegmentLift, ...] = ()
    segments_note: str = ""
    sensitivities: tuple[Alternative, ...] = ()
    health: tuple[HealthFinding, ...] = ()
    guardrail: GuardrailCheck | None = None
    is_surrogate: bool = False
    money: Money | None = None
    outlook: Outlook | None = None

    @property
    def n_open(self) -> int:
        """People of both arms whose window has not closed yet."""
        return self.treatment.n_open + self.holdout.n_open

    @property
    def role(self) -> Role:
        """What the metric is to its campaign."""
        if self.is_goal:
            return Role.GOAL
        return Role.ALSO if self.guardrail is None else Role.GUARDRAIL

    def to_json(self) -> dict[str, Any]:
        """Plain values that ``json.dumps`` takes, at full precision; times as ISO text."""
        fields: dict[str, Any] = _plain(asdict(self))
        fields["n_open"] = self.n_open
        fields["role"] = self.role.value
        return fields


def _plain(value: object) -> Any:  # noqa: ANN401 - JSON has no narrower type
    """Enumerations as their words, times in UTC as ISO text."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    if isinstance(value, date):
        return value.isoformat()
    return value.value if isinstance(value, enum.StrEnum) else value
