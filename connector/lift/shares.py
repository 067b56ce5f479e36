"""Score intervals for the difference of two shares, to stand beside Agresti-Caffo's.

The default stays :func:`connector.lift.intervals.agresti_caffo_interval`: it is closed, never
degenerate, and errs on the safe side at the small shares of a campaign. These two are what a
statistician expects to be able to compare it with: Newcombe's hybrid of two Wilson intervals, and
Miettinen and Nurminen's inversion of the score test, which stays closest to its level when shares
are near 0 or 1.

References:
    Newcombe (1998), "Interval estimation for the difference between independent proportions:
    comparison of eleven methods", Statistics in Medicine 17 (its method 10). Miettinen & Nurminen
    (1985), "Comparative analysis of two rates", Statistics in Medicine 4. Farrington & Manning
    (1990), "Test statistics and sample size formulae for comparative binomial trials with null
    hypothesis of non-zero risk difference", Statistics in Medicine 9, for the closed form of the
    constrained estimate.
"""

from __future__ import annotations

import math

from scipy import optimize, special

from connector.errors import InsufficientDataError
from connector.lift.intervals import Interval, normal_quantile
from connector.lift.moments import ArmMoments

PRECISION = 1e-15
"""How closely a bound is found, in shares."""


def newcombe_interval(
    treatment: ArmMoments, holdout: ArmMoments, *, confidence: float = 0.95
) -> Interval:
    """Difference of two shares from the Wilson interval of each.

    Args:
        treatment: Moments of an outcome that is 0 or 1; ``n_nonzero`` are the successes.
        holdout: Likewise.
        confidence: Between 0 and 1, exclusive.

    Returns:
        Interval in shares (0.01 = one percentage point).

    References:
        Newcombe (1998), see the module.
    """
    z = normal_quantile(confidence)
    p_t, p_c = treatment.nonzero_share, holdout.nonzero_share
    low_t, high_t = _wilson(treatment, z)
    low_c, high_c = _wilson(holdout, z)
    difference = p_t - p_c
    return Interval(
        difference,
        difference - math.hypot(p_t - low_t, high_c - p_c),
        difference + math.hypot(high_t - p_t, p_c - low_c),
        confidence,
    )


def miettinen_nurminen_interval(
    treatment: ArmMoments, holdout: ArmMoments, *, confidence: float = 0.95
) -> Interval:
    """Difference of two shares: all differences that the score test does not reject.

    Args:
        treatment: Moments of an outcome that is 0 or 1; ``n_nonzero`` are the successes.
        holdout: Likewise.
        confidence: Between 0 and 1, exclusive.

    Returns:
        Interval in shares (0.01 = one percentage point), within -1 and 1.

    References:
        Miettinen & Nurminen (1985), see the module.
    """
    z = normal_quantile(confidence)
    difference = treatment.nonzero_share - holdout.nonzero_share

    def excess(truth: float) -> float:
        return abs(score(treatment, holdout, truth)) - z

    def bound(end: float) -> float:
        # At the very end the constrained estimate lies on the edge and the score is without bounds.
        inside = end * (1.0 - 1e-12)
        if abs(difference - end) < 1e-9 or excess(inside) <= 0:
            return end
        return float(optimize.brentq(excess, difference, inside, xtol=PRECISION))

    return Interval(difference, bound(-1.0), bound(1.0), confidence)


def score_p(treatment: ArmMoments, holdout: ArmMoments) -> float:
    """Two-sided p-value of equal shares, dual to :func:`miettinen_nurminen_interval`."""
    return float(2.0 * special.ndtr(-abs(score(treatment, holdout, 0.0))))


def score(treatment: ArmMoments, holdout: ArmMoments, truth: float) -> float:
    """Miettinen and Nurminen's statistic, close to standard normal where ``truth`` is the effect.

    Args:
        treatment: Moments of an outcome that is 0 or 1.
        holdout: Likewise.
        truth: Difference of the shares to be tested, strictly between -1 and 1.

    Raises:
        InsufficientDataError: There is only one person.
    """
    n_t, n_c = treatment.n, holdout.n
    n = n_t + n_c
    if n < 3:
        raise InsufficientDataError(f"A score test needs three people; there are {n}.")
    gap = treatment.nonzero_share - holdout.nonzero_share - truth
    if gap == 0:
        return 0.0
    p_c = _constrained(treatment, holdout, truth)
    p_t = min(max(p_c + truth, 0.0), 1.0)
    variance = (p_t * (1.0 - p_t) / n_t + p_c * (1.0 - p_c) / n_c) * n / (n - 1)
    return gap / math.sqrt(variance) if variance > 0 else math.copysign(math.inf, gap)


def _constrained(treatment: ArmMoments, holdout: ArmMoments, truth: float) -> float:
    """The holdout's most likely share if the difference is ``truth``: the root of a cubic."""
    n_t, n_c = treatment.n, holdout.n
    x_t, x_c = treatment.n_nonzero, holdout.n_nonzero
    n, x = n_t + n_c, x_t + x_c
    if truth == 0:
        return x / n
    l3 = float(n)
    l2 = (n_t + 2.0 * n_c) * truth - n - x
    l1 = (n_c * truth - n - 2.0 * x_c) * truth + x
    l0 = x_c * truth * (1.0 - truth)
    q = l2**3 / (3.0 * l3) ** 3 - l1 * l2 / (6.0 * l3**2) + l0 / (2.0 * l3)
    p = math.copysign(math.sqrt(max(l2**2 / (3.0 * l3) ** 2 - l1 / (3.0 * l3), 0.0)), q)
    if p == 0:
        root = -l2 / (3.0 * l3)
    else:
        angle = (math.pi + math.acos(min(max(q / p**3, -1.0), 1.0))) / 3.0
        root = 2.0 * p * math.cos(angle) - l2 / (3.0 * l3)
    return min(max(root, max(0.0, -truth)), min(1.0, 1.0 - truth))


def _wilson(arm: ArmMoments, z: float) -> tuple[float, float]:
    """Wilson's interval of one share."""
    n, p = arm.n, arm.nonzero_share
    centre = (p + z * z / (2 * n)) / (1 + z * z / n)
    reach = z / (1 + z * z / n) * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return centre - reach, centre + reach
