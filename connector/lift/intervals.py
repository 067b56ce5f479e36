"""Intervals: pure functions from two arms' moments to an estimate and its bounds.

Which method, and why. Revenue per person is almost all zeros with a long tail, and a holdout is
small. There, Welch's interval calls a campaign that does nothing a success in 5.9 % of cases
instead of 2.5 % (45 buyers expected in the holdout), capping the baskets hardly helps, and groups
of equal size cost a third of the precision. Hall's transformation takes the skewness of the
estimate out first, so that both tails err equally often. So:

* means of revenue and counts: :func:`hall_interval` decides; :func:`welch_interval` is there to
  compare with;
* shares: :func:`agresti_caffo_interval`, never the plain normal (Wald) interval;
* percentages: :func:`log_ratio_interval` stands *beside* the absolute interval and decides nothing,
  because the two scales can disagree about the same data.

Where baskets are capped, both tails are nominal from 45 expected buyers on, whatever their spread.
Without a cap, Hall's false "lift" is 3.8 % at 45 expected buyers (lognormal sigma 0.9), 4.3 % at
sigma 1 and 7.3 % at sigma 1.3, and 2.7, 2.9 and 4.2 % at 225: a few huge orders are in no holdout
of that size, so no correction can see them. ``bench/lift_coverage.md`` has the tables.

Treatment comes first in every signature; a positive difference means that treatment is higher.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy import special, stats

from connector.errors import InsufficientDataError, ModelError
from connector.lift.moments import ArmMoments


@dataclass(frozen=True, slots=True)
class Interval:
    """An estimate and its two-sided confidence interval.

    Attributes:
        estimate: The point estimate; need not be the middle, and for shares may even lie outside
            (see Agresti-Caffo).
        low: Lower bound.
        high: Upper bound.
        confidence: How often such an interval holds the truth, between 0 and 1.
    """

    estimate: float
    low: float
    high: float
    confidence: float

    @property
    def excludes_zero(self) -> bool:
        """Whether both bounds lie on the same side of zero."""
        return self.low > 0 or self.high < 0

    def scaled(self, factor: float) -> Interval:
        """Estimate and bounds times a known positive number.

        Raises:
            ModelError: The factor is not positive.
        """
        if not factor > 0:
            raise ModelError(f"An interval can only be scaled by a positive number, not {factor}.")
        return Interval(
            self.estimate * factor, self.low * factor, self.high * factor, self.confidence
        )


def hall_interval(
    treatment: ArmMoments, holdout: ArmMoments, *, confidence: float = 0.95
) -> Interval:
    """Difference of two means with Hall's skewness-corrected interval.

    With T the studentised difference and G its skewness, ``T' = T + G T^2/3 + G^2 T^3/27 + G/6`` is
    close to normal and increasing in T. Since ``1 + G (T' - G/6) = (1 + G T/3)^3``, the bounds
    follow in closed form, whatever G is.

    Args:
        treatment: At least 2 people.
        holdout: Likewise.
        confidence: Between 0 and 1, exclusive.

    Returns:
        Interval in the metric's unit per person.

    Raises:
        InsufficientDataError: An arm has fewer than 2 people, or nobody's outcome differs from
            anybody's.

    References:
        Hall (1992), "On the removal of skewness by transformation", Journal of the Royal
        Statistical Society B 54(1).
    """
    return studentised(treatment, holdout).bounds(
        normal_quantile(confidence), confidence=confidence
    )


@dataclass(frozen=True, slots=True)
class Studentised:
    """An estimate with what is needed to judge it by Hall's transformation.

    Attributes:
        estimate: The estimated effect.
        standard_error: Of the estimate, positive.
        skewness: G, the skewness of the estimate's distribution.
    """

    estimate: float
    standard_error: float
    skewness: float

    def __post_init__(self) -> None:
        """Refuse what cannot be judged.

        Raises:
            InsufficientDataError: The standard error is not positive.
        """
        if not self.standard_error > 0:
            raise InsufficientDataError(
                "Within each group everybody's outcome is the same, so chance cannot be judged."
            )

    def transformed(self, truth: float = 0.0) -> float:
        """Hall's T', close to standard normal where ``truth`` is the effect."""
        t, g = (self.estimate - truth) / self.standard_error, self.skewness
        return t + g * t * t / 3.0 + g * g * t**3 / 27.0 + g / 6.0

    def bounds(self, critical: float, *, confidence: float) -> Interval:
        """All effects whose T' lies within plus and minus ``critical``.

        Every design is a critical value: 1.96 at the end of a fixed test, more at a look of a
        sequential one (:mod:`connector.lift.sequential`).

        Args:
            critical: Positive, in standard errors.
            confidence: What the interval is to say of itself, between 0 and 1.

        Raises:
            ModelError: The critical value is not positive, or the confidence impossible.
        """
        _check_confidence(confidence)
        if not critical > 0:
            raise ModelError(f"A critical value is positive, not {critical}.")
        return Interval(
            self.estimate,
            self.estimate - self.standard_error * untransformed(critical, self.skewness),
            self.estimate - self.standard_error * untransformed(-critical, self.skewness),
            confidence,
        )


def studentised(treatment: ArmMoments, holdout: ArmMoments) -> Studentised:
    """The difference of two means, ready to be judged.

    Raises:
        InsufficientDataError: An arm has fewer than 2 people, or nobody's outcome differs from
            anybody's.
    """
    se = standard_error(treatment, holdout)
    cumulant = treatment.third_central / treatment.n**2 - holdout.third_central / holdout.n**2
    return Studentised(treatment.mean - holdout.mean, se, cumulant / se**3)


def untransformed(z: float, skewness: float) -> float:
    """Hall's transformation inverted: the studentised difference T whose T' is ``z``.

    Written as ``3 (z - G/6) / (c^2 + c + 1)`` with ``c`` the cube root of ``1 + G (z - G/6)``,
    which is the textbook ``3/G (c - 1)`` without its division by zero at G = 0.

    Args:
        z: Value on the transformed scale, normally a normal quantile.
        skewness: G, the skewness of the estimated difference.
    """
    shifted = z - skewness / 6.0
    root = float(np.cbrt(1.0 + skewness * shifted))
    return 3.0 * shifted / (root * root + root + 1.0)


def welch_interval(
    treatment: ArmMoments, holdout: ArmMoments, *, confidence: float = 0.95
) -> Interval:
    """Difference of two means with Welch's interval (unequal variances, Student's t).

    Right for outcomes without much skew, or large groups. For revenue use :func:`hall_interval`.

    Args:
        treatment: At least 2 people.
        holdout: Likewise.
        confidence: Between 0 and 1, exclusive.

    Returns:
        Interval in the metric's unit per person.

    Raises:
        InsufficientDataError: As :func:`hall_interval`.

    References:
        Welch (1947), "The generalization of Student's problem when several different population
        variances are involved", Biometrika 34.
    """
    _check_confidence(confidence)
    se = standard_error(treatment, holdout)
    freedom = welch_freedom(treatment, holdout)
    reach = float(stats.t.ppf((1.0 + confidence) / 2.0, freedom)) * se
    difference = treatment.mean - holdout.mean
    return Interval(difference, difference - reach, difference + reach, confidence)


def welch_freedom(treatment: ArmMoments, holdout: ArmMoments) -> float:
    """Welch's degrees of freedom; the arms must have a standard error."""
    part_t, part_c = treatment.variance / treatment.n, holdout.variance / holdout.n
    return (part_t + part_c) ** 2 / (part_t**2 / (treatment.n - 1) + part_c**2 / (holdout.n - 1))


def log_ratio_interval(
    treatment: ArmMoments, holdout: ArmMoments, *, confidence: float = 0.95
) -> Interval:
    """Relative difference of two means, its interval symmetric on the logarithm of the ratio.

    Args:
        treatment: At least 2 people; a positive mean.
        holdout: At least 2 people; a positive mean, else a percentage of it means nothing or has
            its sign turned round.
        confidence: Between 0 and 1, exclusive.

    Returns:
        Interval whose bounds are fractions (0.08 = +8 %); never below -1.

    Raises:
        InsufficientDataError: An arm has fewer than 2 people or a mean that is not positive, or
            nothing varies.

    References:
        Katz, Baptista, Azen & Pike (1978), "Obtaining confidence intervals for the risk ratio in
        cohort studies", Biometrics 34(3), with the delta method's variance of a mean in place of a
        proportion's.
    """
    z = normal_quantile(confidence)
    log_ratio, error = _log_ratio(treatment, holdout)
    reach = z * error
    return Interval(
        math.expm1(log_ratio),
        math.expm1(log_ratio - reach),
        math.expm1(log_ratio + reach),
        confidence,
    )


def log_ratio_z(treatment: ArmMoments, holdout: ArmMoments) -> float:
    """The logarithm of the ratio in standard errors; its interval excludes zero beyond +-z.

    Raises:
        InsufficientDataError: As :func:`log_ratio_interval`.
    """
    log_ratio, error = _log_ratio(treatment, holdout)
    return log_ratio / error


def _log_ratio(treatment: ArmMoments, holdout: ArmMoments) -> tuple[float, float]:
    """The logarithm of the ratio of two means, and its standard error."""
    standard_error(treatment, holdout)
    if holdout.mean <= 0 or treatment.mean <= 0:
        raise InsufficientDataError(
            "A percentage needs a positive mean in both groups.",
            hint="Read the absolute difference instead.",
        )
    return math.log(treatment.mean) - math.log(holdout.mean), math.sqrt(
        treatment.variance / (treatment.n * treatment.mean**2)
        + holdout.variance / (holdout.n * holdout.mean**2)
    )


def agresti_caffo_interval(
    treatment: ArmMoments, holdout: ArmMoments, *, confidence: float = 0.95
) -> Interval:
    """Difference of two shares, with one success and one failure added to each arm for the bounds.

    The estimate is the plain difference of the shares; the interval lies around the shrunk one.

    Args:
        treatment: Moments of an outcome that is 0 or 1; ``n_nonzero`` are the successes.
        holdout: Likewise.
        confidence: Between 0 and 1, exclusive.

    Returns:
        Interval in shares (0.01 = one percentage point), never beyond -1 and 1.

    References:
        Agresti & Caffo (2000), "Simple and effective confidence intervals for proportions and
        differences of proportions result from adding two successes and two failures", The American
        Statistician 54(4).
    """
    z = normal_quantile(confidence)
    centre, error = shrunk_shares(treatment, holdout)
    reach = z * error
    return Interval(
        treatment.nonzero_share - holdout.nonzero_share,
        max(centre - reach, -1.0),
        min(centre + reach, 1.0),
        confidence,
    )


def shrunk_shares(treatment: ArmMoments, holdout: ArmMoments) -> tuple[float, float]:
    """Agresti and Caffo's difference of two shares and its standard error, always positive."""
    n_t, n_c = treatment.n + 2, holdout.n + 2
    p_t, p_c = (treatment.n_nonzero + 1) / n_t, (holdout.n_nonzero + 1) / n_c
    return p_t - p_c, math.sqrt(p_t * (1 - p_t) / n_t + p_c * (1 - p_c) / n_c)


def incremental_total(difference: Interval, n_treatment: int) -> Interval:
    """What the campaign brought in all: the difference per person times the people treated.

    Args:
        difference: Absolute difference per person.
        n_treatment: People in the treatment arm whose outcome is known; they are the ones it speaks
            for.

    Returns:
        Interval in the metric's unit (currency, orders, people).
    """
    return difference.scaled(n_treatment)


def incremental_roas(total: Interval, cost: float) -> Interval:
    """Incremental revenue for each unit of money spent, where the cost is known without error.

    It is revenue and not profit: 1 means that the campaign brought back in revenue what it cost. A
    cost that depends on how many people redeem an offer is itself an estimate, and dividing by it
    needs Fieller's interval, not this one.

    Args:
        total: Incremental revenue of the people that the cost was spent on.
        cost: The same currency, positive.

    Raises:
        InsufficientDataError: The cost is not positive.
    """
    if not cost > 0:
        raise InsufficientDataError(f"Return on spend needs a positive cost, not {cost}.")
    return total.scaled(1.0 / cost)


def standard_error(treatment: ArmMoments, holdout: ArmMoments) -> float:
    """Standard error of the difference of two means, positive.

    Raises:
        InsufficientDataError: An arm has fewer than 2 people, or nothing varies.
    """
    if treatment.n < 2 or holdout.n < 2:
        raise InsufficientDataError(
            f"An interval needs two people in each group; there are {treatment.n} and {holdout.n}."
        )
    squared = treatment.variance / treatment.n + holdout.variance / holdout.n
    if not squared > 0:
        raise InsufficientDataError(
            "Within each group everybody's outcome is the same, so chance cannot be judged."
        )
    return math.sqrt(squared)


def _check_confidence(confidence: float) -> None:
    if not 0 < confidence < 1:
        raise ModelError(f"Confidence lies between 0 and 1, not at {confidence}.")


def normal_quantile(confidence: float) -> float:
    """The two-sided standard normal quantile, 1.96 for 0.95.

    Raises:
        ModelError: The confidence is not between 0 and 1.
    """
    _check_confidence(confidence)
    return float(special.ndtri((1.0 + confidence) / 2.0))
