"""What a campaign of a given size can show, to be read before it starts.

The smallest effect that a comparison finds with a given power, as a share of the holdout's mean,
depends on the outcome's coefficient of variation and on the sizes of the two groups alone. A
holdout of 5 % of 10,000 people cannot show less than +128 % on a conversion rate of 1 %: better
said before the offer is paid for than after.

The alpha that counts is the one that the verdict will use: under the hybrid design half of it is
kept for the looks before the end (:func:`final_test`), and planning with the whole would promise a
power that no verdict has. A covariate known before (CUPED) shrinks the variance; what it saves
comes in as ``variance_factor``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import special, stats

from connector.errors import InsufficientDataError, ModelError
from connector.lift.intervals import standard_error
from connector.lift.moments import ArmMoments
from connector.lift.sequential import Design, Phase, critical_at


@dataclass(frozen=True, slots=True)
class Sensitivity:
    """How sharp a test is.

    Attributes:
        alpha: Two-sided chance of a false verdict, the one that the verdict uses; between 0 and 1.
        power: Chance to find an effect of the size in question; between ``alpha`` and 1.
    """

    alpha: float = 0.05
    power: float = 0.8

    def __post_init__(self) -> None:
        """Refuse impossible chances.

        Raises:
            ModelError: Not ``0 < alpha < power < 1``.
        """
        if not 0 < self.alpha < self.power < 1:
            raise ModelError(
                f"Need 0 < alpha < power < 1, not alpha {self.alpha} and power {self.power}."
            )

    @property
    def factor(self) -> float:
        """How many standard errors the effect must measure: 2.8016 for the defaults."""
        return float(stats.norm.ppf(1.0 - self.alpha / 2.0) + stats.norm.ppf(self.power))


STANDARD = Sensitivity()
"""5 % two-sided, 80 % power."""


def final_test(
    design: Design,
    *,
    planned: int,
    confidence: float = 0.95,
    power: float = 0.8,
    fractions: Sequence[float] = (1.0,),
) -> Sensitivity:
    """The test that the verdict makes on the registered end date.

    Args:
        design: As registered.
        planned: People planned, both groups.
        confidence: Of the whole design, between 0 and 1.
        power: Wanted chance to find the effect.
        fractions: O'Brien-Fleming only: information at every look, the last one 1.

    Returns:
        With half of alpha for the hybrid, and with the alpha that a sequence or a last declared
        look amounts to.
    """
    critical = critical_at(
        design,
        Phase.ENDED,
        n=planned,
        planned=planned,
        confidence=confidence,
        fractions=fractions,
    )
    return Sensitivity(alpha=float(2.0 * special.ndtr(-critical.value)), power=power)


def share_variation(rate: float) -> float:
    """Coefficient of variation of an outcome that is 1 with probability ``rate``, else 0.

    Raises:
        InsufficientDataError: The rate is not strictly between 0 and 1.
    """
    if not 0 < rate < 1:
        raise InsufficientDataError(f"A base rate lies between 0 and 1, not at {rate}.")
    return math.sqrt((1.0 - rate) / rate)


def detectable_lift(
    variation: float,
    n_treatment: int,
    n_holdout: int,
    *,
    test: Sensitivity = STANDARD,
    variance_factor: float = 1.0,
) -> float:
    """Smallest relative effect that a comparison of two means finds (the MDE).

    Args:
        variation: Coefficient of variation of the outcome:
            :attr:`ArmMoments.coefficient_of_variation` of past people, or :func:`share_variation`
            of a past rate.
        n_treatment: People to be treated.
        n_holdout: People to be held out.
        test: Alpha and power.
        variance_factor: Share of the variance that an adjustment leaves, positive; 1 without
            one (see :func:`connector.lift.adjustment.variance_reduction`).

    Returns:
        Fraction of the holdout's mean (0.08 = 8 %).

    Raises:
        InsufficientDataError: A group is empty, or the variation is not positive.
    """
    if n_treatment < 1 or n_holdout < 1 or not variation > 0:
        raise InsufficientDataError(
            f"Power needs people in both groups ({n_treatment} and {n_holdout}) "
            "and an outcome that varies."
        )
    spread = _checked_factor(variance_factor) * (1.0 / n_treatment + 1.0 / n_holdout)
    return test.factor * variation * math.sqrt(spread)


@dataclass(frozen=True, slots=True)
class Detectable:
    """One cell of a table to be read before the start.

    Attributes:
        n_people: Both groups together.
        holdout_share: Share that is held out.
        lift: Smallest relative effect that is found.
    """

    n_people: int
    holdout_share: float
    lift: float


def detectable_table(
    variation: float,
    people: Sequence[int],
    holdout_shares: Sequence[float],
    *,
    test: Sensitivity = STANDARD,
    variance_factor: float = 1.0,
) -> tuple[Detectable, ...]:
    """What campaigns of several sizes can show (the MDE table).

    Args:
        variation: As for :func:`detectable_lift`.
        people: Sizes of the campaign, both groups together.
        holdout_shares: Each between 0 and 1.
        test: Alpha and power.
        variance_factor: As for :func:`detectable_lift`.

    Returns:
        Row by row: for each size all shares.

    Raises:
        InsufficientDataError: A group is empty, or the variation is not positive.
        ModelError: A share is impossible.
    """
    if not all(0 < share < 1 for share in holdout_shares):
        raise ModelError("A share that is held out lies between 0 and 1.")
    return tuple(
        Detectable(
            n,
            share,
            detectable_lift(
                variation,
                n - round(n * share),
                round(n * share),
                test=test,
                variance_factor=variance_factor,
            ),
        )
        for n in people
        for share in holdout_shares
    )


def required_people(
    variation: float,
    lift: float,
    holdout_share: float,
    *,
    test: Sensitivity = STANDARD,
    variance_factor: float = 1.0,
) -> int:
    """People that a campaign needs, both groups together, to find a relative effect.

    Args:
        variation: Coefficient of variation, as for :func:`detectable_lift`.
        lift: Relative effect to be found, positive (0.03 = 3 %).
        holdout_share: Share of the people that is held out, between 0 and 1.
        test: Alpha and power.
        variance_factor: As for :func:`detectable_lift`.

    Raises:
        InsufficientDataError: The variation is not positive.
        ModelError: The effect or the share is impossible.
    """
    if not variation > 0:
        raise InsufficientDataError("Power needs an outcome that varies.")
    if not lift > 0 or not 0 < holdout_share < 1:
        raise ModelError(
            f"Need a positive effect and a share between 0 and 1, not {lift} and {holdout_share}."
        )
    spread = _checked_factor(variance_factor) * (1.0 / holdout_share + 1.0 / (1.0 - holdout_share))
    return math.ceil((test.factor * variation / lift) ** 2 * spread)


def power_of(effect: float, standard_error: float, *, alpha: float) -> float:
    """Chance that a two-sided test finds an effect, on whichever side.

    Args:
        effect: True difference.
        standard_error: Of its estimate, in the same unit, positive.
        alpha: Two-sided, between 0 and 1.

    Raises:
        InsufficientDataError: The standard error is not positive.
        ModelError: The alpha is impossible.
    """
    if not standard_error > 0:
        raise InsufficientDataError("Power needs an outcome that varies.")
    if not 0 < alpha < 1:
        raise ModelError(f"A chance lies between 0 and 1, not at {alpha}.")
    z, drift = -special.ndtri(alpha / 2.0), effect / standard_error
    return float(special.ndtr(drift - z) + special.ndtr(-drift - z))


@dataclass(frozen=True, slots=True)
class PowerLeft:
    """What a running campaign can still show by its registered end.

    Attributes:
        planned: Chance to find the stated effect at the end, as if nothing had been seen yet but
            how much the outcome varies.
        conditional: The same given what has been seen: the difference so far is part of the one at
            the end. Low where the people so far point against the effect.
        detectable: Smallest relative effect that is found at the end with the test's power.
        information: Share of the whole information that is already in, 0 to 1.
    """

    planned: float
    conditional: float
    detectable: float
    information: float


def power_left(
    treatment: ArmMoments,
    holdout: ArmMoments,
    *,
    lift: float,
    planned_treatment: int,
    planned_holdout: int,
    test: Sensitivity = STANDARD,
) -> PowerLeft:
    """The power that is left until the end date.

    By the B-value: the difference over its standard error at the end, times the square root of the
    information so far, moves like Brownian motion with the effect as its drift. Skewness plays no
    part, so read it as a plan and not as a bound.

    Args:
        treatment: Moments so far; of the adjusted outcome, where the verdict adjusts.
        holdout: Likewise; a positive mean.
        lift: Effect that the campaign should be able to show, as a fraction of the holdout's mean.
        planned_treatment: People treated by the end date, those so far included.
        planned_holdout: Likewise held out.
        test: The verdict's: :func:`final_test`.

    Raises:
        InsufficientDataError: An arm has fewer than two people, nothing varies, or the holdout's
            mean is not positive.
        ModelError: Fewer people are planned than there are.

    References:
        Lan & Wittes (1988), "The B-value: a tool for monitoring data", Biometrics 44(2).
    """
    now = standard_error(treatment, holdout)
    if not holdout.mean > 0:
        raise InsufficientDataError("A relative effect needs a positive mean in the holdout.")
    if planned_treatment < treatment.n or planned_holdout < holdout.n:
        raise ModelError(
            f"{planned_treatment} and {planned_holdout} people are planned, but there are "
            f"{treatment.n} and {holdout.n} already."
        )
    end = math.sqrt(treatment.variance / planned_treatment + holdout.variance / planned_holdout)
    z = -float(special.ndtri(test.alpha / 2.0))
    drift = lift * holdout.mean / end
    so_far = (end / now) ** 2
    b = (treatment.mean - holdout.mean) / now * math.sqrt(so_far)
    if so_far < 1.0:
        centre, spread = b + drift * (1.0 - so_far), math.sqrt(1.0 - so_far)
        conditional = special.ndtr((centre - z) / spread) + special.ndtr((-centre - z) / spread)
    else:
        so_far, conditional = 1.0, np.float64(abs(b) > z)
    return PowerLeft(
        power_of(lift * holdout.mean, end, alpha=test.alpha),
        float(conditional),
        test.factor * end / holdout.mean,
        so_far,
    )


def expected_buyers(treatment: ArmMoments, holdout: ArmMoments) -> float:
    """Buyers to be expected in the smaller arm: the pooled buying rate times its size.

    The verdict's threshold is on this number and not on the buyers found there: to condition on
    those would bias whatever is concluded afterwards.
    """
    pooled = (treatment.n_nonzero + holdout.n_nonzero) / (treatment.n + holdout.n)
    return pooled * min(treatment.n, holdout.n)


def expected_rarer(treatment: ArmMoments, holdout: ArmMoments) -> float:
    """The same for a share: people expected in the smaller arm with the rarer of the two answers.

    Where 99 % answer yes, it is the few who do not that decide how well the share is known.
    """
    yes = expected_buyers(treatment, holdout)
    return min(yes, min(treatment.n, holdout.n) - yes)


def planned_buyers(rate: float, n_treatment: int, n_holdout: int) -> float:
    """The same before the start, from a past buying rate (0 to 1)."""
    return rate * min(n_treatment, n_holdout)


def _checked_factor(variance_factor: float) -> float:
    if not variance_factor > 0:
        raise ModelError(f"A variance is multiplied by a positive number, not {variance_factor}.")
    return variance_factor
