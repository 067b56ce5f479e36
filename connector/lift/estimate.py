"""One difference, estimated: which method, what it is adjusted for, and the interval at any look.

Every method is brought to one form: an estimate whose interval can be drawn at any critical value
(so that fixed, sequential and declared looks differ in one number only), and a p-value that is the
dual of that interval. This is the one place that chooses between the estimators; an experiment that
was run elsewhere comes through here as well.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass, replace

from scipy import special

from connector.errors import InsufficientDataError
from connector.lift.adjustment import cuped, variance_reduction
from connector.lift.intervals import (
    Interval,
    agresti_caffo_interval,
    log_ratio_interval,
    shrunk_shares,
    standard_error,
    studentised,
    welch_interval,
)
from connector.lift.joint import JointMoments
from connector.lift.metrics import MetricKind
from connector.lift.moments import ArmMoments
from connector.lift.multiple import agresti_caffo_p, two_sided_p, welch_p
from connector.lift.ratios import linearised, ratio_relative, studentised_ratio
from connector.lift.sequential import Critical
from connector.lift.shares import miettinen_nurminen_interval, score, score_p
from connector.numbers import percent

WORTH_TELLING = 0.005
"""Share of the variance below which an adjustment is not spoken of."""


class MeanMethod(enum.StrEnum):
    """Interval of a difference of means."""

    HALL = "hall"
    WELCH = "welch"


class ShareMethod(enum.StrEnum):
    """Interval of a difference of shares."""

    AGRESTI_CAFFO = "agresti_caffo"
    SCORE = "score"


@dataclass(frozen=True, slots=True)
class Methods:
    """Which estimator for which kind of outcome.

    Attributes:
        mean: For sums, counts and changes of a score.
        share: For shares.
        adjusts: Whether outcomes with a covariate are adjusted for it.
    """

    mean: MeanMethod = MeanMethod.HALL
    share: ShareMethod = ShareMethod.AGRESTI_CAFFO
    adjusts: bool = True


@dataclass(frozen=True, slots=True)
class Estimated:
    """A difference, ready to be judged at any look.

    Attributes:
        estimate: Treatment minus holdout.
        z: Its distance from zero on a standard normal scale.
        p_value: Two-sided, at one look.
        interval_at: Critical value -> interval.
        relative: Confidence -> relative difference; None where a percentage means nothing.
        method: Words joined by ``+``.
        note: In plain words.
        treatment: The treated arm as it was judged, adjusted where that was done.
        holdout: Likewise.
    """

    estimate: float
    z: float
    p_value: float
    interval_at: Callable[[Critical], Interval]
    relative: Callable[[float], Interval | None]
    method: str
    note: str
    treatment: ArmMoments
    holdout: ArmMoments


def estimate(
    kind: MetricKind, treatment: JointMoments, holdout: JointMoments, methods: Methods
) -> Estimated:
    """Estimate one difference.

    Args:
        kind: Of the metric.
        treatment: y the outcome; x the covariate from before, or a ratio's denominator.
        holdout: Likewise.
        methods: Which estimator.

    Raises:
        InsufficientDataError: The data bears no interval; the message says why.
    """
    if kind is MetricKind.RATIO:
        return _ratio(treatment, holdout)
    if kind is MetricKind.SHARE:
        return _share(treatment.y, holdout.y, methods.share)
    t, c, adjusted = treatment.y, holdout.y, False
    if methods.adjusts and min(t.n, c.n) > 1 and treatment.x.variance + holdout.x.variance > 0:
        standard_error(t, c)
        t, c = cuped(treatment, holdout)
        adjusted = True
    made = _mean(t, c, methods.mean)
    if not adjusted:
        return made
    gained = variance_reduction(treatment, holdout)
    told = "which changes little"
    if gained > WORTH_TELLING:
        told = f"which takes {percent(gained)} off its variance"
    return replace(
        made,
        method=f"{made.method}+cuped",
        note=f"{made.note} Adjusted for the same people's outcome before the assignment"
        f" (CUPED), {told}.",
    )


def equivalent(critical: Critical) -> float:
    """The confidence of a fixed normal interval that reaches as far as a critical value."""
    return min(1.0 - 2.0 * float(special.ndtr(-critical.value)), 1.0 - 1e-15)


def _mean(t: ArmMoments, c: ArmMoments, method: MeanMethod) -> Estimated:
    found = studentised(t, c)
    if method is MeanMethod.WELCH:
        p = welch_p(t, c)
        return Estimated(
            found.estimate,
            _z(p, found.estimate),
            p,
            lambda at: _said(welch_interval(t, c, confidence=equivalent(at)), at),
            lambda level: _log_ratio(t, c, level),
            "welch",
            "Difference of means with Welch's interval, which takes no account of skewness.",
            t,
            c,
        )
    z = found.transformed()
    return Estimated(
        found.estimate,
        z,
        two_sided_p(z),
        lambda at: at.interval(found),
        lambda level: _log_ratio(t, c, level),
        "hall",
        "Difference of means with Hall's interval, which takes the skewness of the amounts out.",
        t,
        c,
    )


def _share(t: ArmMoments, c: ArmMoments, method: ShareMethod) -> Estimated:
    if method is ShareMethod.SCORE:
        z, p = score(t, c, 0.0), score_p(t, c)
        interval, words = miettinen_nurminen_interval, "the score interval (Miettinen-Nurminen)"
    else:
        centre, error = shrunk_shares(t, c)
        z, p = centre / error, agresti_caffo_p(t, c)
        interval, words = agresti_caffo_interval, "Agresti and Caffo's interval"
    return Estimated(
        t.nonzero_share - c.nonzero_share,
        z,
        p,
        lambda at: _said(interval(t, c, confidence=equivalent(at)), at),
        lambda level: _log_ratio(t, c, level),
        method.value,
        f"Difference of shares with {words}.",
        t,
        c,
    )


def _ratio(treatment: JointMoments, holdout: JointMoments) -> Estimated:
    found = studentised_ratio(treatment, holdout)
    z = found.transformed()

    def relative(level: float) -> Interval | None:
        try:
            return ratio_relative(treatment, holdout, confidence=level)
        except InsufficientDataError:
            return None

    return Estimated(
        found.estimate,
        z,
        two_sided_p(z),
        lambda at: at.interval(found),
        relative,
        "delta+hall",
        "Difference of two ratios of sums by the delta method, the skewness taken out.",
        linearised(treatment),
        linearised(holdout),
    )


def _log_ratio(t: ArmMoments, c: ArmMoments, level: float) -> Interval | None:
    try:
        return log_ratio_interval(t, c, confidence=level)
    except InsufficientDataError:
        return None


def _said(interval: Interval, at: Critical) -> Interval:
    """An interval under the confidence that the design gives it."""
    return replace(interval, confidence=at.confidence)


def _z(p: float, sign: float) -> float:
    """The standard normal distance of a two-sided p-value."""
    z = -float(special.ndtri(max(p, 1e-300) / 2.0))
    return z if sign >= 0 else -z
