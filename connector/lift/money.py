"""What a campaign brought in all, and what each unit of its cost brought; with intervals.

Totals are the difference per person times the people treated
(:func:`connector.lift.intervals.incremental_total`). Cost enters in two ways:

* **fixed** when the campaign starts (so much for each mail): a number without error. The return on
  it is the total's interval divided by it, and the profit that interval less the cost.
* **random**, where it depends on who redeems an offer. Then cost is an estimate of the same people
  and goes with what they bought: those who redeem are those who buy. The return is a ratio of two
  estimates and has Fieller's interval; here with Hall's statistic in place of the normal one, so
  that it excludes zero exactly where the interval of the revenue itself does.

The cost of an incremental order is the inverse of a difference that may be zero. Where it may be,
no two numbers bound it, and the answer says so in words.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from scipy import optimize

from connector.errors import InsufficientDataError
from connector.lift.intervals import Interval, Studentised, normal_quantile, studentised
from connector.lift.joint import JointMoments
from connector.lift.moments import ArmMoments
from connector.lift.result import OpenInterval

FARTHEST = 1e6
"""Standard errors from the estimate within which a bound of a return must lie."""


def net_of_cost(total: Interval, cost: float) -> Interval:
    """Incremental margin less a cost that is known without error: the profit.

    Args:
        total: Incremental margin in all.
        cost: Spent on the same people, the same currency, 0 or more.

    Raises:
        InsufficientDataError: The cost is negative.
    """
    if not cost >= 0:
        raise InsufficientDataError(f"A cost is 0 or more, not {cost}.")
    return Interval(total.estimate - cost, total.low - cost, total.high - cost, total.confidence)


def net_of_random_cost(treatment: JointMoments, holdout: ArmMoments) -> Studentised:
    """Margin per person less a cost that depends on what people did, ready to be judged.

    Args:
        treatment: y the margin, x the cost of each treated person.
        holdout: The margin of those held out, who cost nothing.

    Raises:
        InsufficientDataError: An arm has fewer than two people, or nothing varies.
    """
    return studentised(treatment.combined(1.0, -1.0), holdout)


def random_cost_return(
    treatment: JointMoments,
    holdout: ArmMoments,
    *,
    confidence: float = 0.95,
    critical: float | None = None,
) -> Interval:
    """Incremental revenue for each unit of a cost that depends on what people did.

    All r for which "revenue less r times the cost" may differ between the arms by nothing: the
    same question as Fieller's, asked with Hall's interval.

    Args:
        treatment: y the revenue, x the cost of each treated person.
        holdout: The revenue of those held out, who cost nothing.
        confidence: Between 0 and 1, exclusive.
        critical: Standard errors to either side, where a sequential design asks for another number
            than the normal quantile.

    Returns:
        Interval of the return (1 = the cost came back as revenue).

    Raises:
        InsufficientDataError: The cost is not clear of zero, so the return has no bounds; or an arm
            has fewer than two people, or nothing varies.
    """
    z = normal_quantile(confidence) if critical is None else critical
    cost = treatment.x
    if not _is_clear_of_zero(cost, z):
        raise InsufficientDataError(
            "A return on spend needs a cost that is clear of zero, and too few people have caused "
            "any yet, so the return has no bounds.",
            hint="Wait for more people.",
        )
    estimate = (treatment.y.mean - holdout.mean) / cost.mean

    def at(r: float) -> Interval:
        return studentised(treatment.combined(1.0, -r), holdout).bounds(z, confidence=confidence)

    step = studentised(treatment.combined(1.0, -estimate), holdout).standard_error / cost.mean
    return Interval(
        estimate,
        _crossing(lambda r: at(r).low, estimate, -step),
        _crossing(lambda r: at(r).high, estimate, step),
        confidence,
    )


def cost_per_incremental_order(orders: Interval, cost: float) -> OpenInterval:
    """What each order cost that would not have been placed otherwise.

    Args:
        orders: Incremental orders in all.
        cost: Spent on the same people, known without error, positive.

    Returns:
        Both bounds where more orders are certain. Where none may have been gained there is no upper
        bound, and where none were gained there is no cost of one: the note says so.

    Raises:
        InsufficientDataError: The cost is not positive.
    """
    if not cost > 0:
        raise InsufficientDataError(f"A cost of an order needs a positive cost, not {cost}.")
    estimate = cost / orders.estimate if orders.estimate > 0 else None
    if orders.low > 0:
        return OpenInterval(estimate, cost / orders.high, cost / orders.low, orders.confidence)
    if orders.high > 0:
        return OpenInterval(
            estimate,
            cost / orders.high,
            None,
            orders.confidence,
            "The campaign may have gained no order at all, so there is no upper bound.",
        )
    return OpenInterval(
        None,
        None,
        None,
        orders.confidence,
        "The campaign gained no orders, so no order has a cost.",
    )


def _is_clear_of_zero(cost: ArmMoments, z: float) -> bool:
    """Whether a mean lies above zero, both by Fieller's own condition and by Hall's interval."""
    if cost.n < 2 or not cost.variance > 0:
        return cost.mean > 0
    se = math.sqrt(cost.variance / cost.n)
    found = Studentised(cost.mean, se, cost.third_central / cost.n**2 / se**3)
    return cost.mean > z * se and found.transformed() > z


def _crossing(bound: Callable[[float], float], start: float, step: float) -> float:
    """Where a bound passes zero, looking from ``start`` in the direction of ``step``."""
    here, size = start, step
    while abs(here - start) < FARTHEST * abs(step):
        there = here + size
        if (bound(there) > 0) != (bound(here) > 0):
            low, high = sorted((here, there))
            return float(optimize.brentq(bound, low, high, xtol=1e-12 * abs(step), rtol=1e-14))
        here, size = there, 2.0 * size
    raise InsufficientDataError(
        "The return on spend has no bound on one side: its cost is hardly known.",
        hint="Wait for more people.",
    )
