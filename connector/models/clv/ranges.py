"""The 80 % range of what a customer will bring, without simulation.

The range is of the customer's value itself, not of its mean, so it is wide, and for most customers
of a shop begins at 0: whoever buys with a probability below .9 has 0 as the lower end, below .1 as
the upper end too (the expected value may then lie above it; both are true).

Y purchases of a customer who does buy are worth gamma(p Y) / gamma(q + p x), in units of the
customer's scale v + x m (Gamma-Gamma); only Y has no closed distribution of its own. Two ways round
that, each where it is good:

* **Upper end**: the numerator is replaced by one gamma with its exact mean and variance; the heavy
  tail comes from the denominator, which stays. On CDNOW's customers the exact distribution puts
  .89 to .92 below this end (tests/models/clv/test_value.py), where .90 is meant.
* **Lower end**, which only frequent buyers have above 0: there one gamma is wrong (up to .19 for
  .10), because a customer may drop out after any purchase and so stop at few. The distribution of Y
  is taken exactly for few purchases and in lumps for many, and inverted by interpolation on a grid,
  once for each pair of repeats and age. The exact distribution puts .097 to .103 below it.

Simulating 1,000 futures of a million customers would take minutes, and wobble with the seed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import special

from connector.models.clv.histories import Floats, Integers, Pairs
from connector.models.clv.purchases import PurchaseModel
from connector.models.clv.spend import SpendPosterior

LOW, HIGH = 0.1, 0.9
"""Ends of the range, as probabilities."""

PROBABILITY_STEPS = 250
"""Customers whose probabilities to buy agree to so many steps share an upper end."""

GRID_POINTS, GRID_POWER = 16, 0.8
"""Points of the grid that the lower end is interpolated on; a power below 1 crowds them at its end,
where the distribution of frequent buyers rises."""

GRID_END = 0.5
"""Level, by the single gamma, that the grid ends at: safely above any lower end."""

EXACT_COUNTS = 5
"""Numbers of purchases up to this are taken one by one, greater ones in lumps."""

LUMP_GROWTH = 1.2
"""Each lump of counts ends at so many times its beginning."""

REST = 0.4
"""Share of the greatest counts that is taken as one lump, at its beginning."""


@dataclass(frozen=True, slots=True, eq=False)
class Counts:
    """How often customers who are active buy in the horizon; one position a pair.

    Attributes:
        mean: E[Y].
        pairs: E[Y (Y - 1)].
        buys: P(Y >= 1).
    """

    mean: Floats
    pairs: Floats
    buys: Floats


def value_range(
    model: PurchaseModel,
    pair: Pairs,
    horizon_days: float,
    counts: Counts,
    spend: SpendPosterior,
    alive: Floats,
) -> tuple[Floats, Floats]:
    """Quantiles 10 and 90 % of each customer's undiscounted value over the horizon, in currency.

    Args:
        model: Of repeat purchases.
        pair: The different pairs of repeats and age.
        horizon_days: How far to look.
        counts: Of the pairs.
        spend: Of the customers; its shape must depend on the repeats alone.
        alive: Probability of each customer to be active.
    """
    chance = counts.buys[pair.codes] * alive
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = np.where(counts.buys > 0, counts.mean / counts.buys, 1.0)
        square = np.where(counts.buys > 0, counts.pairs / counts.buys, 0.0)
    scale = 1.0 + spend.p * np.maximum(square + mean - mean**2, 0.0) / mean
    shape = spend.p * mean / scale
    below = np.empty(pair.repeats.size)
    below[pair.codes] = spend.shape
    low = np.zeros(alive.size)
    who = np.flatnonzero(chance > 1.0 - LOW)
    if who.size:
        concerned, place = np.unique(pair.codes[who], return_inverse=True)
        above = scale[concerned] * _odds(shape[concerned], below[concerned], GRID_END)
        grid = _grid(spend.p, below[concerned], above)
        lumps = _lumps(
            model,
            pair.repeats[concerned],
            pair.age_days[concerned],
            horizon_days,
        )
        share = _distribution(grid, lumps, spend.p, below[concerned])
        low[who] = _inverted(share, grid, place, 1.0 - (1.0 - LOW) / chance[who])
    high = _upper_end(chance, shape, below, pair.codes) * scale[pair.codes]
    return low * spend.scale, high * spend.scale


def _odds(shape: Floats, below: Floats, level: float | Floats) -> Floats:
    """Quantile of gamma(shape) / gamma(below)."""
    w = special.betaincinv(shape, below, level)
    quantile: Floats = w / (1.0 - w)
    return quantile


def _upper_end(chance: Floats, shape: Floats, below: Floats, codes: Integers) -> Floats:
    """Quantile of the ratio of gammas, with an atom of 1 - chance at 0."""
    found = np.zeros(chance.size)
    some = np.flatnonzero(chance > 1.0 - HIGH)
    if some.size:
        steps = np.rint(chance[some] * PROBABILITY_STEPS).astype(np.int64)
        keys = codes[some] * (PROBABILITY_STEPS + 1) + steps
        cases, back = np.unique(keys, return_inverse=True)
        which, step = np.divmod(cases, PROBABILITY_STEPS + 1)
        within = np.maximum(1.0 - (1.0 - HIGH) * PROBABILITY_STEPS / np.maximum(step, 1), 0.0)
        found[some] = _odds(shape[which], below[which], within)[back]
    return found


def _grid(p: float, below: Floats, end: Floats) -> Floats:
    """Points from what a single purchase hardly ever stays under to the end, (n, points)."""
    start = np.minimum(_odds(np.full(below.shape, p), below, 1e-3), end / 2.0)
    steps = np.linspace(0.0, 1.0, GRID_POINTS) ** GRID_POWER
    points: Floats = start[:, None] * np.exp(np.log(end / start)[:, None] * steps)
    return points


def _lumps(
    model: PurchaseModel, repeats: Floats, age_days: Floats, horizon_days: float
) -> list[tuple[float, Floats]]:
    """Numbers of purchases and their probabilities, given at least one; the last takes the rest.

    The greater half of the counts has no part in the lower end, so that it may be one lump.
    """
    days = np.full(repeats.size, horizon_days)
    lumps = []
    first = 1
    at_least = some = model.p_at_least_if_alive(repeats, age_days, days, 1)
    while True:
        following = first + 1 if first <= EXACT_COUNTS else int(first * LUMP_GROWTH) + 1
        if (at_least < REST * some).all():
            lumps.append((float(first), at_least / some))
            return lumps
        more = model.p_at_least_if_alive(repeats, age_days, days, following)
        lumps.append(((first + following - 1) / 2.0, (at_least - more) / some))
        first, at_least = following, more


def _distribution(
    grid: Floats, lumps: list[tuple[float, Floats]], p: float, below: Floats
) -> Floats:
    """Probability, given at least one purchase, of a value up to each point of the grid."""
    w = grid / (1.0 + grid)
    share = np.zeros_like(grid)
    for count, probability in lumps:
        share += probability[:, None] * special.betainc(p * count, below[:, None], w)
    return share


def _inverted(share: Floats, grid: Floats, place: Integers, levels: Floats) -> Floats:
    """Interpolate the grid at the level of each customer, in logarithms: tails are powers."""
    left = np.zeros(levels.size, dtype=np.int64)
    for column in range(1, grid.shape[1] - 1):
        left += share[place, column] <= levels
    least = np.finfo(np.float64).tiny
    from_share = np.log(np.maximum(share[place, left], least))
    rise = np.log(np.maximum(share[place, left + 1], least)) - from_share
    part = np.log(np.maximum(levels, least)) - from_share
    part = np.clip(np.divide(part, rise, out=np.zeros_like(part), where=rise > 0), 0.0, 1.0)
    between = grid[place, left] ** (1.0 - part) * grid[place, left + 1] ** part
    # Below the grid the distribution is all but empty: straight down to nothing.
    start = share[place, 0]
    low: Floats = np.where(
        levels < start, grid[place, 0] * levels / np.maximum(start, 1e-300), between
    )
    return low
