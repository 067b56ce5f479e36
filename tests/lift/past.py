"""Campaigns drawn at random whose people have a past: revenue before, orders, and strata.

As cheap as :mod:`tests.lift.simulation`: people without any revenue, before or after, enter by
their number alone. A small class of regulars buys often, before and after; everybody else buys
rarely. So the past tells something of the outcome, as it does in a shop, and outcome, past and
class have known joint laws.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from connector.lift.joint import JointMoments

CHUNK = 500


@dataclass(frozen=True)
class PastShop:
    """A shop whose customers differ.

    Regulars are ``regulars`` of all people and buy with ``often`` in a period, others with such a
    chance that ``rate`` of all people buy. Baskets before and after: lognormal(``mu``, ``sigma``)
    up to ``cap``, their logarithms correlated by ``alike``. A buyer orders twice with chance
    ``again``; the second basket is drawn anew.
    """

    rate: float = 0.009
    regulars: float = 0.01
    often: float = 0.6
    mu: float = 4.35
    sigma: float = 0.9
    cap: float = 499.0
    alike: float = 0.7
    again: float = 0.2

    @property
    def rarely(self) -> float:
        """The others' chance to buy."""
        return (self.rate - self.regulars * self.often) / (1 - self.regulars)


def _segments(counts: np.ndarray) -> np.ndarray:
    return np.concatenate([[0], np.cumsum(counts)[:-1]])


def _sums(values: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Sum of each run's values, which lie one run after the other; runs may be empty."""
    padded = np.append(values, 0.0)
    return np.where(counts > 0, np.add.reduceat(padded, _segments(counts)), 0.0)


def strata(
    rng: np.random.Generator, shop: PastShop, n: int, runs: int
) -> Iterator[tuple[JointMoments, JointMoments]]:
    """Regulars and others of ``runs`` independent arms of ``n`` people: revenue, revenue before."""
    for start in range(0, runs, CHUNK):
        size = min(CHUNK, runs - start)
        n_regular = rng.binomial(n, shop.regulars, size)
        parts = [
            _joint(rng, shop, people, chance)
            for people, chance in ((n_regular, shop.often), (n - n_regular, shop.rarely))
        ]
        yield from zip(*parts, strict=True)


def _joint(
    rng: np.random.Generator, shop: PastShop, people: np.ndarray, chance: float
) -> list[JointMoments]:
    """One class: buying before and after are independent within it, the baskets' sizes are not."""
    after = rng.binomial(people, chance)
    both = rng.binomial(after, chance)
    before = rng.binomial(people - after, chance)

    def basket(z: np.ndarray) -> np.ndarray:
        return np.minimum(np.exp(shop.mu + shop.sigma * z), shop.cap)

    z = rng.standard_normal(int(after.sum()))
    y = basket(z)
    # The first ``both`` buyers of each run bought before as well.
    rank = np.arange(y.size) - np.repeat(_segments(after), after)
    is_both = rank < np.repeat(both, after)
    noise = rng.standard_normal(int(both.sum()))
    x_both = basket(shop.alike * z[is_both] + np.sqrt(1 - shop.alike**2) * noise)
    y_both = y[is_both]
    x_only = basket(rng.standard_normal(int(before.sum())))
    sy = [_sums(y**k, after) for k in (1, 2, 3)]
    sx = [_sums(x_both**k, both) + _sums(x_only**k, before) for k in (1, 2, 3)]
    mixed = [_sums(v, both) for v in (x_both * y_both, y_both**2 * x_both, y_both * x_both**2)]
    return [
        JointMoments.from_centred(
            n=int(people[i]), cy=0.0, cx=0.0, sy=sy[0][i], sx=sx[0][i], syy=sy[1][i],
            sxx=sx[1][i], sxy=mixed[0][i], syyy=sy[2][i], syyx=mixed[1][i], syxx=mixed[2][i],
            sxxx=sx[2][i], y_nonzero=int(after[i]), x_nonzero=int(both[i] + before[i]),
            y_total=sy[0][i], x_total=sx[0][i],
        )
        for i in range(people.size)
    ]  # fmt: skip


def orders(rng: np.random.Generator, shop: PastShop, n: int, runs: int) -> Iterator[JointMoments]:
    """Revenue (y) and orders (x) of ``runs`` independent arms of ``n`` people."""
    for start in range(0, runs, CHUNK):
        size = min(CHUNK, runs - start)
        buyers = rng.binomial(n, shop.rate, size)
        twice = rng.random(int(buyers.sum())) < shop.again
        y = np.minimum(rng.lognormal(shop.mu, shop.sigma, twice.size), shop.cap)
        second = np.minimum(rng.lognormal(shop.mu, shop.sigma, int(twice.sum())), shop.cap)
        y[twice] += second
        x = 1.0 + twice
        sums = {
            name: _sums(v, buyers)
            for name, v in (
                ("sy", y), ("syy", y**2), ("syyy", y**3), ("sx", x), ("sxx", x**2), ("sxxx", x**3),
                ("sxy", x * y), ("syyx", y**2 * x), ("syxx", y * x**2),
            )
        }  # fmt: skip
        for i in range(size):
            yield JointMoments.from_centred(
                n=n, cy=0.0, cx=0.0, y_nonzero=int(buyers[i]), x_nonzero=int(buyers[i]),
                y_total=sums["sy"][i], x_total=sums["sx"][i],
                **{name: float(v[i]) for name, v in sums.items()},
            )  # fmt: skip


def whole(parts: tuple[JointMoments, JointMoments]) -> JointMoments:
    """An arm from its two classes."""
    return parts[0].merge(parts[1])


def draw_people(rng: np.random.Generator, shop: PastShop, n: int) -> JointMoments:
    """The same shop with its people drawn one by one: revenue, and revenue before."""
    chance = np.where(rng.random(n) < shop.regulars, shop.often, shop.rarely)
    z, noise = rng.standard_normal((2, n))
    past = shop.alike * z + np.sqrt(1 - shop.alike**2) * noise
    revenue, before = (
        np.where(
            rng.random(n) < chance, np.minimum(np.exp(shop.mu + shop.sigma * v), shop.cap), 0.0
        )
        for v in (z, past)
    )
    return JointMoments.from_values(revenue, before)
