"""Campaigns drawn at random whose truth is known, cheaply: only buyers are drawn, one basket each.

A run is one campaign. People who buy nothing enter the moments by their number alone, so ten
thousand campaigns of a hundred thousand people take seconds.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy import stats

from connector.lift.moments import ArmMoments

CHUNK = 1_000


@dataclass(frozen=True)
class Shop:
    """People buy with probability ``rate``; baskets: lognormal(``mu``, ``sigma``) up to ``cap``."""

    rate: float = 0.009
    mu: float = 4.35
    sigma: float = 0.9
    cap: float = 499.0

    @property
    def mean(self) -> float:
        """Revenue per person: rate times the mean of min(lognormal, cap)."""
        z = (math.log(self.cap) - self.mu) / self.sigma
        below = math.exp(self.mu + self.sigma**2 / 2) * stats.norm.cdf(z - self.sigma)
        return self.rate * (float(below) + self.cap * float(stats.norm.sf(z)))


def arms(rng: np.random.Generator, shop: Shop, n: int, runs: int) -> Iterator[ArmMoments]:
    """Moments of revenue of ``runs`` independent arms of ``n`` people."""
    for start in range(0, runs, CHUNK):
        size = min(CHUNK, runs - start)
        buyers = rng.binomial(n, shop.rate, size=size)
        run = np.repeat(np.arange(size), buyers)
        basket = np.minimum(rng.lognormal(shop.mu, shop.sigma, size=int(buyers.sum())), shop.cap)
        total = np.bincount(run, basket, minlength=size)
        mean = total / n
        d = basket - mean[run]
        m2 = np.bincount(run, d * d, minlength=size) + (n - buyers) * mean**2
        m3 = np.bincount(run, d * d * d, minlength=size) - (n - buyers) * mean**3
        for i in range(size):
            yield ArmMoments(
                n,
                float(mean[i]),
                float(m2[i] / (n - 1)),
                float(m3[i] / n),
                int(buyers[i]),
                float(total[i]),
            )


def share_of(revenue: ArmMoments) -> ArmMoments:
    """Moments of the 0-or-1 outcome "bought anything" of the same people."""
    p, n = revenue.nonzero_share, revenue.n
    return ArmMoments(
        n,
        p,
        p * (1 - p) * n / (n - 1),
        p * (1 - p) * (1 - 2 * p),
        revenue.n_nonzero,
        float(revenue.n_nonzero),
    )


@dataclass(frozen=True)
class Coverage:
    """How often an interval held the truth, and on which side it missed, as shares of the runs."""

    covered: float
    false_lift: float
    false_harm: float


def coverage(intervals, truth: float) -> Coverage:
    """Count misses: ``false_lift`` where the whole interval lies above the truth."""
    bounds = np.array([(i.low, i.high) for i in intervals])
    above, below = float((bounds[:, 0] > truth).mean()), float((bounds[:, 1] < truth).mean())
    return Coverage(1.0 - above - below, above, below)
