"""What the analysis hands on: one frozen result per comparison, ready to be written as JSON.

The report, the web page and BI tools read these numbers from the published JSON and never compute
with them again, so a verdict and the numbers beside it cannot part.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from connector.domain import Arm
from connector.lift.intervals import Interval
from connector.lift.metrics import MetricKind
from connector.lift.verdict import Verdict


@dataclass(frozen=True, slots=True)
class ArmSummary:
    """One arm of a comparison.

    Attributes:
        arm: Which.
        n: People whose window has closed and whose outcome is known; the others below are about
            them.
        n_open: People assigned whose window has not closed yet; they are in no other number.
        n_buyers: People whose outcome is not zero.
        mean: Outcome per person; None while there is nobody.
        total: Sum of the outcome.
    """

    arm: Arm
    n: int
    n_open: int
    n_buyers: int
    mean: float | None
    total: float


@dataclass(frozen=True, slots=True)
class CampaignLift:
    """One campaign, epoch, metric and comparison: the numbers, the word and the sentence.

    Attributes:
        campaign: Name of the campaign or of the global holdout.
        epoch: Randomisation epoch.
        metric: Name of the metric.
        kind: Sum (currency), count (orders) or share (0 to 1) per person.
        window_days: Length of a person's window.
        is_goal: Whether it is the campaign's goal, on which it is judged; other metrics are shown
            beside it.
        as_of: Aware UTC instant of the analysis.
        treatment: The treated arm.
        holdout: The arm that it is compared with: no-contact or business-as-usual.
        difference: Treatment minus holdout per person; decides the verdict. None when it cannot be
            computed.
        relative: The same as a fraction of the holdout's mean, on the log-ratio scale; shown beside
            it. None where a percentage means nothing.
        incremental: The difference times the treated people counted: revenue, orders or people
            gained in all.
        cost: Money spent on those people; None where it is not fixed.
        incremental_roas: Incremental revenue per unit of cost (1 = the cost came back as revenue);
            sums of money only.
        expected_buyers: Pooled buying rate times the smaller arm; for a share, of the rarer answer.
        srm_p: p-value of the split of the whole epoch; None while there are too few people to test
            it.
        verdict: The word.
        reason: The sentence.
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

    @property
    def n_open(self) -> int:
        """People of both arms whose window has not closed yet."""
        return self.treatment.n_open + self.holdout.n_open

    def to_json(self) -> dict[str, Any]:
        """Plain values that ``json.dumps`` takes; times as ISO text."""
        fields = asdict(self)
        fields["as_of"] = self.as_of.astimezone(UTC).isoformat()
        fields["n_open"] = self.n_open
        return fields
