"""Ratios of means: order value, click rate, items per order.

Numerator and denominator are both sums over people, so the ratio is R = mean(y) / mean(x), and its
distribution follows from people, who are what was drawn, and not from orders or mails, which come
in clusters. Linearised about the estimate, R is the mean of ``R + (y - R x) / mean(x)`` (the delta
method). Those values are a weighted sum of y and x, so their moments follow from the joint moments,
the third one too, and Hall's interval applies to them. For an order value this is the skewness of
the baskets among those who bought: the part that makes the plain normal interval fail.

The mean of a few dozen baskets is harder than revenue per person, which mostly counts buyers: at 45
expected buyers false "lift" is 3.4 % (normal interval: 6 %), from 90 on both tails are nominal.

An order value conditions on buying, which the campaign itself changes. It describes; it never
decides (see :mod:`connector.lift.verdict`).

:func:`fieller_interval` is for a ratio of two estimates whose denominator is uncertain itself, such
as a return on a cost that depends on redemptions. It does not linearise and knows when there is no
answer.

References:
    Deng, Knoblich & Lu (2018), "Applying the delta method in metric analytics: a practical guide
    with novel ideas", KDD. Fieller (1954), "Some problems in interval estimation", Journal of the
    Royal Statistical Society B 16(2).
"""

from __future__ import annotations

import enum
import math
from dataclasses import dataclass, replace

from connector.errors import InsufficientDataError
from connector.lift.intervals import (
    Interval,
    Studentised,
    log_ratio_interval,
    normal_quantile,
    studentised,
)
from connector.lift.joint import JointMoments
from connector.lift.moments import ArmMoments

LEAST_DENOMINATORS = 2
"""People with a denominator that each arm needs."""


class RatioMethod(enum.StrEnum):
    """How the difference of two linearised ratios is judged."""

    HALL = "hall"
    """With the skewness of the linearised values taken out; the default."""
    NORMAL = "normal"
    """Without; what most tools print, there to be compared with."""


def linearised(arm: JointMoments) -> ArmMoments:
    """Moments of the values whose mean is the ratio.

    Args:
        arm: y the numerator, x the denominator.

    Returns:
        ``mean`` is mean(y) / mean(x); people and buyers as in y.

    Raises:
        InsufficientDataError: The denominator's mean is not positive, or fewer than two people have
            one.
    """
    if not arm.x.mean > 0 or arm.x.n_nonzero < LEAST_DENOMINATORS:
        raise InsufficientDataError(
            f"A ratio needs a positive denominator of at least {LEAST_DENOMINATORS} people; "
            f"{arm.x.n_nonzero} of {arm.n} have one."
        )
    ratio = arm.y.mean / arm.x.mean
    return replace(arm.combined(1.0 / arm.x.mean, -ratio / arm.x.mean), mean=ratio)


def studentised_ratio(treatment: JointMoments, holdout: JointMoments) -> Studentised:
    """The difference of two ratios, ready to be judged by any design.

    Raises:
        InsufficientDataError: As :func:`linearised`, or the ratio does not vary.
    """
    return studentised(linearised(treatment), linearised(holdout))


def ratio_difference(
    treatment: JointMoments,
    holdout: JointMoments,
    *,
    confidence: float = 0.95,
    method: RatioMethod = RatioMethod.HALL,
) -> Interval:
    """Difference of two ratios of means.

    Args:
        treatment: y the numerator, x the denominator.
        holdout: Likewise.
        confidence: Between 0 and 1, exclusive.
        method: Hall's interval, or the plain normal one.

    Returns:
        Interval in the numerator's unit per unit of the denominator.

    Raises:
        InsufficientDataError: A denominator is not positive, fewer than two people have one, or
            nothing varies.
    """
    z = normal_quantile(confidence)
    found = studentised_ratio(treatment, holdout)
    if method is RatioMethod.NORMAL:
        found = replace(found, skewness=0.0)
    return found.bounds(z, confidence=confidence)


def ratio_relative(
    treatment: JointMoments, holdout: JointMoments, *, confidence: float = 0.95
) -> Interval:
    """Relative difference of two ratios, its interval symmetric on the logarithm.

    Args:
        treatment: y the numerator, x the denominator.
        holdout: Likewise.
        confidence: Between 0 and 1, exclusive.

    Returns:
        Interval whose bounds are fractions (0.08 = +8 %); never below -1.

    Raises:
        InsufficientDataError: A ratio is not positive, or as :func:`ratio_difference`.
    """
    return log_ratio_interval(linearised(treatment), linearised(holdout), confidence=confidence)


@dataclass(frozen=True, slots=True)
class Estimate:
    """An estimated number.

    Attributes:
        value: The estimate.
        variance: Of the estimate (its standard error squared), 0 or more.
    """

    value: float
    variance: float


def fieller_interval(
    numerator: Estimate,
    denominator: Estimate,
    covariance: float = 0.0,
    *,
    confidence: float = 0.95,
) -> Interval:
    """Ratio of two estimates: every r for which ``numerator - r denominator`` may be zero.

    Args:
        numerator: Approximately normal.
        denominator: Likewise.
        covariance: Of the two estimates.
        confidence: Between 0 and 1, exclusive.

    Returns:
        Interval of the ratio; not symmetric.

    Raises:
        InsufficientDataError: The denominator's own interval includes zero. The set of ratios is
            then unbounded, and no two numbers can describe it; or neither estimate varies.

    References:
        Fieller (1954), "Some problems in interval estimation", Journal of the Royal Statistical
        Society B 16(2).
    """
    z2 = normal_quantile(confidence) ** 2
    a, b = numerator.value, denominator.value
    if not b * b > z2 * denominator.variance:
        raise InsufficientDataError(
            "A ratio needs a denominator that is clear of zero: "
            f"{b:.6g} with a standard error of {math.sqrt(denominator.variance):.3g} is not, "
            "so the ratio has no bounds.",
            hint="Wait for more people.",
        )
    if not (numerator.variance > 0 or denominator.variance > 0):
        raise InsufficientDataError("Neither part of the ratio varies, so chance cannot be judged.")
    # r^2 (b^2 - z^2 vb) - 2 r (a b - z^2 cov) + (a^2 - z^2 va) = 0
    square = b * b - z2 * denominator.variance
    half = a * b - z2 * covariance
    constant = a * a - z2 * numerator.variance
    root = math.sqrt(max(half * half - square * constant, 0.0))
    return Interval(a / b, (half - root) / square, (half + root) / square, confidence)
