"""An arm's numbers as they are shown, and the buyers that words about it need."""

from __future__ import annotations

from connector.lift.joint import JointMoments
from connector.lift.metrics import MetricKind
from connector.lift.moments import ArmMoments
from connector.lift.power import expected_buyers, expected_rarer
from connector.lift.question import Side
from connector.lift.result import ArmSummary


def summary(side: Side, kind: MetricKind) -> ArmSummary:
    """One arm's numbers."""
    if side.measured is None:
        return ArmSummary(side.label, 0, side.n_open, 0, None, 0.0)
    whole = side.measured.total
    y = whole.y
    ratio = kind is MetricKind.RATIO
    return ArmSummary(
        side.label,
        y.n,
        side.n_open,
        y.n_nonzero,
        arm_mean(kind, whole),
        y.total,
        y.variance if y.n > 1 else None,
        whole.x.total if ratio else None,
    )


def arm_mean(kind: MetricKind, moments: JointMoments) -> float | None:
    """An arm's outcome as it is shown: a ratio is that of the totals."""
    if kind is not MetricKind.RATIO:
        return moments.y.mean
    return moments.y.total / moments.x.total if moments.x.total else None


def buyers_of(kind: MetricKind, t: ArmMoments, c: ArmMoments) -> float:
    """Buyers expected in the smaller arm; of a share, people with the rarer answer."""
    return expected_rarer(t, c) if kind is MetricKind.SHARE else expected_buyers(t, c)
