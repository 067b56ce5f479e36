"""What a campaign of a given size can show, to be read before it starts.

The smallest effect that a comparison finds with a given power, as a share of the holdout's mean,
depends on the outcome's coefficient of variation and on the sizes of the two groups alone. A
holdout of 5 % of 10,000 people cannot show less than +128 % on a conversion rate of 1 %: better
said before the offer is paid for than after.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from scipy import stats

from connector.errors import InsufficientDataError, ModelError
from connector.lift.moments import ArmMoments


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


def share_variation(rate: float) -> float:
    """Coefficient of variation of an outcome that is 1 with probability ``rate``, else 0.

    Raises:
        InsufficientDataError: The rate is not strictly between 0 and 1.
    """
    if not 0 < rate < 1:
        raise InsufficientDataError(f"A base rate lies between 0 and 1, not at {rate}.")
    return math.sqrt((1.0 - rate) / rate)


def detectable_lift(
    variation: float, n_treatment: int, n_holdout: int, *, test: Sensitivity = STANDARD
) -> float:
    """Smallest relative effect that a comparison of two means finds (the MDE).

    Args:
        variation: Coefficient of variation of the outcome:
            :attr:`ArmMoments.coefficient_of_variation` of past people, or :func:`share_variation`
            of a past rate.
        n_treatment: People to be treated.
        n_holdout: People to be held out.
        test: Alpha and power.

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
    return test.factor * variation * math.sqrt(1.0 / n_treatment + 1.0 / n_holdout)


def required_people(
    variation: float, lift: float, holdout_share: float, *, test: Sensitivity = STANDARD
) -> int:
    """People that a campaign needs, both groups together, to find a relative effect.

    Args:
        variation: Coefficient of variation, as for :func:`detectable_lift`.
        lift: Relative effect to be found, positive (0.03 = 3 %).
        holdout_share: Share of the people that is held out, between 0 and 1.
        test: Alpha and power.

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
    spread = 1.0 / holdout_share + 1.0 / (1.0 - holdout_share)
    return math.ceil((test.factor * variation / lift) ** 2 * spread)


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
