"""Treatment effects that are known because we made them, in the units of the metrics.

A treatment multiplies a person's buying rate for some days. For a Poisson process the consequences
have closed forms, so the truth needs no simulation: with ``L`` the expected number of orders of a
profile untreated and ``f`` the factor,

* orders per person change by ``(f - 1) L``,
* revenue per person by the same share of its expected revenue,
* the chance of buying at all by ``exp(-L) - exp(-f L)``,

averaged over everybody assigned, whatever their arm. :func:`simulate_campaign` draws whole
campaigns in milliseconds from the same process without a shop, to ask how often an interval covers
the truth.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Effect:
    """What being treated does to a person.

    Attributes:
        rate_factor: Factor on the buying rate; 1 does nothing, below 1 drives people away. Not
            negative.
        days: For how many days from the start of the treatment.
    """

    rate_factor: float
    days: int = 30

    def __post_init__(self) -> None:
        if not (self.rate_factor >= 0 and self.days > 0):
            raise ValueError("an effect needs rate_factor >= 0 and days > 0")


@dataclass(frozen=True, slots=True)
class TrueEffect:
    """The average effect of treating everybody assigned to a campaign, against treating nobody.

    Expected values given each person's hidden state, not realised ones: an estimate differs from
    them by the luck of the draw of arms and of purchases, which is what its interval is about.

    Attributes:
        n_profiles: Profiles assigned, all arms.
        days: Length of the window, from the start of the treatment.
        revenue_per_person: Difference in net revenue a profile, in the shop's currency.
        orders_per_person: Difference in orders a profile.
        conversion: Difference in the share of profiles with an order (0.05 = 5 percentage points).
        baseline_revenue_per_person: Net revenue a profile when nobody is treated.
        baseline_orders_per_person: Orders a profile when nobody is treated.
        baseline_conversion: Share of profiles with an order when nobody is treated.
    """

    n_profiles: int
    days: float
    revenue_per_person: float
    orders_per_person: float
    conversion: float
    baseline_revenue_per_person: float
    baseline_orders_per_person: float
    baseline_conversion: float


def true_effect(orders: Floats, revenue: Floats, factor: float, days: float) -> TrueEffect:
    """The effect of multiplying every profile's rate.

    Args:
        orders: Expected number of orders of each profile in the window, untreated; not empty.
        revenue: Expected net revenue of each profile in the window, untreated.
        factor: Factor on the rate.
        days: Length of the window.
    """
    untreated = -np.expm1(-orders)
    treated = -np.expm1(-factor * orders)
    return TrueEffect(
        n_profiles=len(orders),
        days=days,
        revenue_per_person=float((factor - 1) * revenue.mean()),
        orders_per_person=float((factor - 1) * orders.mean()),
        conversion=float((treated - untreated).mean()),
        baseline_revenue_per_person=float(revenue.mean()),
        baseline_orders_per_person=float(orders.mean()),
        baseline_conversion=float(untreated.mean()),
    )


@dataclass(frozen=True, slots=True)
class Baskets:
    """Lognormal order values with a cap, in the shop's currency.

    The defaults are the reference revenue on which the statistics are gated.

    Attributes:
        mu: Mean of the logarithm.
        sigma: Standard deviation of the logarithm.
        cap: No order is worth more.
    """

    mu: float = 4.35
    sigma: float = 0.9
    cap: float = 499.0

    def mean(self) -> float:
        """Expected value of an order: E[min(X, cap)] of a lognormal X."""
        z = (math.log(self.cap) - self.mu) / self.sigma
        below = math.exp(self.mu + self.sigma**2 / 2) * _normal_cdf(z - self.sigma)
        return below + self.cap * (1 - _normal_cdf(z))

    def draw(self, rng: np.random.Generator, n: int) -> Floats:
        """Values of ``n`` orders."""
        return np.minimum(rng.lognormal(self.mu, self.sigma, n), self.cap)


@dataclass(frozen=True, slots=True)
class SimulatedCampaign:
    """One campaign's people after the window, one element each, and the truth behind them.

    Attributes:
        treated: Who was in the treatment arm; the others were held out.
        orders: Number of orders.
        revenue: Net revenue in the shop's currency.
        truth: The effect averaged over the population that the people are drawn from.
    """

    treated: npt.NDArray[np.bool_]
    orders: npt.NDArray[np.int64]
    revenue: Floats
    truth: TrueEffect


def simulate_campaign(
    rng: np.random.Generator,
    *,
    n: int,
    holdout_share: float,
    buying_share: float,
    effect: Effect,
    baskets: Baskets | None = None,
    shape: float = 1.0,
) -> SimulatedCampaign:
    """Draw one campaign: gamma rates, Poisson orders, lognormal baskets, arms by coin tosses.

    Args:
        rng: Source of randomness.
        n: People assigned.
        holdout_share: Chance of being held out, between 0 and 1.
        buying_share: Share of people who buy in the window when nobody is treated, between 0 and 1,
            exclusive.
        effect: What the treatment does; its ``days`` are the window.
        baskets: Order values; the reference revenue by default.
        shape: Shape of the gamma distribution of rates; the smaller, the more people differ.
    """
    values = baskets or Baskets()
    # Orders are negative binomial: P(none) = (1 + m / shape) ** -shape, solved for the mean m.
    mean = shape * ((1 - buying_share) ** (-1 / shape) - 1)
    treated = rng.random(n) >= holdout_share
    rate = rng.gamma(shape, mean / shape, n)
    orders = rng.poisson(rate * np.where(treated, effect.rate_factor, 1.0))
    revenue = np.bincount(
        np.repeat(np.arange(n), orders), weights=values.draw(rng, int(orders.sum())), minlength=n
    ).astype(np.float64)
    lifted = mean * effect.rate_factor
    return SimulatedCampaign(
        treated=treated,
        orders=orders,
        revenue=revenue,
        truth=TrueEffect(
            n_profiles=n,
            days=effect.days,
            revenue_per_person=(lifted - mean) * values.mean(),
            orders_per_person=lifted - mean,
            conversion=(1 - buying_share) - (1 + lifted / shape) ** -shape,
            baseline_revenue_per_person=mean * values.mean(),
            baseline_orders_per_person=mean,
            baseline_conversion=buying_share,
        ),
    )


def _normal_cdf(z: float) -> float:
    return 0.5 * math.erfc(-z / math.sqrt(2))
