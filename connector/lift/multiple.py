"""Many comparisons at once: campaigns, segments, offers.

Of twenty segments in which nothing happens one looks like a success at 5 %. Benjamini and
Hochberg's procedure keeps the share of false ones among those called successes at q. What is then
shown of a selected one must be wide enough too: an interval at the old level, looked at only
because it excluded zero, misses far more often than it says. :func:`false_coverage_confidence`
gives the level at which the selected intervals together miss in a share q.

Each p-value here is the dual of an interval: below alpha exactly where the interval at 1 - alpha
excludes zero, so a corrected list cannot contradict the intervals beside it.

References:
    Benjamini & Hochberg (1995), "Controlling the false discovery rate: a practical and powerful
    approach to multiple testing", Journal of the Royal Statistical Society B 57(1). Benjamini &
    Yekutieli (2005), "False discovery rate-adjusted multiple confidence intervals for selected
    parameters", Journal of the American Statistical Association 100(469).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
from scipy import special, stats

from connector.errors import ModelError
from connector.lift.intervals import (
    Interval,
    Studentised,
    log_ratio_z,
    shrunk_shares,
    standard_error,
    studentised,
    welch_freedom,
)
from connector.lift.moments import ArmMoments

SMALLEST_P = 1e-12
"""Below it the p-value of an interval that is only known by trying says "not above this"."""


def benjamini_hochberg(p_values: Sequence[float]) -> tuple[float, ...]:
    """Adjusted p-values: each at most q exactly where the procedure at q selects the comparison.

    Args:
        p_values: Of all comparisons that were looked at, not only of the promising ones.

    Returns:
        In the same order, none below its own p-value.

    Raises:
        ModelError: A p-value is not between 0 and 1.
    """
    if not all(0.0 <= p <= 1.0 for p in p_values):
        raise ModelError("p-values lie between 0 and 1.")
    if not p_values:
        return ()
    # Rounding can carry the last one an ulp below itself.
    adjusted = np.maximum(stats.false_discovery_control(p_values, method="bh"), p_values)
    return tuple(float(p) for p in adjusted)


def selected(p_values: Sequence[float], *, q: float) -> tuple[bool, ...]:
    """Which comparisons are called real, with a share of at most ``q`` false ones expected.

    Args:
        p_values: Of all comparisons that were looked at.
        q: Between 0 and 1.
    """
    _check_share(q)
    return tuple(p <= q for p in benjamini_hochberg(p_values))


def false_coverage_confidence(n_selected: int, n_all: int, *, q: float) -> float:
    """The level at which intervals of selected comparisons must be drawn.

    Args:
        n_selected: Comparisons selected by :func:`selected` at the same ``q``.
        n_all: Comparisons looked at.
        q: Share of the shown intervals that may miss the truth, between 0 and 1.

    Returns:
        ``1 - n_selected q / n_all``; ``1 - q`` where nothing is selected, since nothing is then
        shown because of what it showed.

    Raises:
        ModelError: Impossible counts or share.
    """
    _check_share(q)
    if not 0 <= n_selected <= n_all or n_all < 1:
        raise ModelError(f"{n_selected} of {n_all} comparisons cannot be selected.")
    return 1.0 - q * (n_selected / n_all if n_selected else 1.0)


def two_sided_p(z: float) -> float:
    """Two-sided p-value of a standard normal statistic."""
    return float(2.0 * special.ndtr(-abs(z)))


def hall_p(found: Studentised) -> float:
    """Dual to Hall's interval: of T' at no effect.

    Args:
        found: A difference of means, adjusted, stratified or not, or of ratios.
    """
    return two_sided_p(found.transformed())


def difference_p(treatment: ArmMoments, holdout: ArmMoments) -> float:
    """Dual to :func:`connector.lift.intervals.hall_interval`.

    Raises:
        InsufficientDataError: As the interval.
    """
    return hall_p(studentised(treatment, holdout))


def welch_p(treatment: ArmMoments, holdout: ArmMoments) -> float:
    """Dual to :func:`connector.lift.intervals.welch_interval`.

    Raises:
        InsufficientDataError: As the interval.
    """
    t = (treatment.mean - holdout.mean) / standard_error(treatment, holdout)
    return float(2.0 * stats.t.sf(abs(t), welch_freedom(treatment, holdout)))


def log_ratio_p(treatment: ArmMoments, holdout: ArmMoments) -> float:
    """Dual to :func:`connector.lift.intervals.log_ratio_interval`.

    Raises:
        InsufficientDataError: As the interval.
    """
    return two_sided_p(log_ratio_z(treatment, holdout))


def agresti_caffo_p(treatment: ArmMoments, holdout: ArmMoments) -> float:
    """Dual to :func:`connector.lift.intervals.agresti_caffo_interval`."""
    centre, error = shrunk_shares(treatment, holdout)
    return two_sided_p(centre / error)


def dual_p(interval_at: Callable[[float], Interval]) -> float:
    """The p-value of any kind of interval: the smallest alpha at which it excludes zero.

    Args:
        interval_at: Confidence -> interval; widens with confidence.

    Returns:
        0 to 1, to a relative precision of about 1e-9; never below :data:`SMALLEST_P`.
    """

    def excludes(log_alpha: float) -> bool:
        return interval_at(-math.expm1(log_alpha)).excludes_zero

    lowest, highest = math.log(SMALLEST_P), math.log1p(-1e-9)
    if excludes(lowest):
        return SMALLEST_P
    if not excludes(highest):
        return 1.0
    while highest - lowest > 1e-10:
        middle = (lowest + highest) / 2.0
        if excludes(middle):
            highest = middle
        else:
            lowest = middle
    return math.exp(highest)


def _check_share(q: float) -> None:
    if not 0 < q < 1:
        raise ModelError(f"A rate of false discoveries lies between 0 and 1, not at {q}.")
