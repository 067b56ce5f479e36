"""Who buys, and how often: a Pareto/NBD population whose lapsed customers keep a trickle.

After the first order a person buys as a Poisson process at a personal rate (gamma across people)
and loses interest after an exponential time, as in Schmittlein, Morrison & Colombo (1987) and its
sibling BG/NBD. One change: lapsed people go on at a small share of their rate instead of stopping
for ever, because a win-back campaign needs somebody to win back. Everything a person will do at
random later (when interest ends) is drawn at birth and kept, so the process can be continued at any
instant.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

from connector.demo.catalogue import Catalogue
from connector.demo.season import DAY_S, Floats, Season, Seconds

Ints = npt.NDArray[np.int64]

RATE_SHAPE = 1.1
RATE_MEAN = 2.6
"""Orders a year of an interested person, mean of the gamma distribution."""
INTEREST_MEAN_DAYS = 500.0
"""Mean time from the first order until interest is lost."""
LAPSED_SHARE = 0.17
"""Share of the personal rate that is left after interest is lost."""
PROSPECT_SHARE = 0.08
"""Share of people who register without buying."""
PROSPECT_RATE = 0.10
"""Their rate, as a share of a buyer's."""
EXTRA_LINES_SHAPE = 2.0
EXTRA_LINES_MEAN = 1.1
"""Lines of an order beyond the first: Poisson with a personal gamma mean."""


class State(enum.Enum):
    """Whether a person still cares for the shop."""

    INTERESTED = "interested"
    LAPSED = "lapsed"


@dataclass(frozen=True, slots=True)
class People:
    """The hidden state of everybody, one element each.

    Attributes:
        number: The customer's number, from 0.
        born_s: When the account was made, in seconds since 1970.
        rate: Orders a year while interested.
        lapses_s: When interest is lost.
        extra_lines: Mean number of order lines beyond the first.
        favourite: Index of the favourite category.
        starts_buying: Whether the first order comes with the account.
    """

    number: Ints
    born_s: Seconds
    rate: Floats
    lapses_s: Seconds
    extra_lines: Floats
    favourite: Ints
    starts_buying: npt.NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.number)

    def and_also(self, others: People) -> People:
        """These people followed by ``others``."""
        return People(
            *(
                np.concatenate([getattr(self, field.name), getattr(others, field.name)])
                for field in fields(self)
            )
        )


@dataclass(frozen=True, slots=True)
class Purchases:
    """Order events: who (an index into :class:`People`) and when (seconds since 1970)."""

    person: Ints
    at_s: Seconds

    def __len__(self) -> int:
        return len(self.person)

    def and_also(self, others: Purchases) -> Purchases:
        """These events followed by ``others``, who are of the same people."""
        return Purchases(
            np.concatenate([self.person, others.person]), np.concatenate([self.at_s, others.at_s])
        )


def draw_people(
    rng: np.random.Generator, season: Season, n: int, first_number: int, from_s: int, until_s: int
) -> People:
    """``n`` people in order of arrival between two instants, slightly more as time goes by."""
    begin, end = season.buying(float(from_s)), season.buying(float(until_s))
    born = np.sort(season.instants(begin + (end - begin) * rng.random(n) ** 0.85))
    starts = rng.random(n) >= PROSPECT_SHARE
    rate = rng.gamma(RATE_SHAPE, RATE_MEAN / RATE_SHAPE, n)
    interest = rng.exponential(INTEREST_MEAN_DAYS * DAY_S, n)
    return People(
        number=np.arange(first_number, first_number + n),
        born_s=born,
        rate=np.where(starts, rate, rate * PROSPECT_RATE),
        lapses_s=born + np.floor(interest).astype(np.int64),
        extra_lines=rng.gamma(EXTRA_LINES_SHAPE, EXTRA_LINES_MEAN / EXTRA_LINES_SHAPE, n),
        favourite=rng.integers(0, 8, n),
        starts_buying=starts,
    )


def exposure(people: People, season: Season, from_s: int, until_s: int) -> Floats:
    """Expected number of repeat orders of each person between two instants, untreated."""
    return _exposure(people, season.buying, from_s, until_s)


def exposure_paid(people: People, season: Season, from_s: int, until_s: int) -> Floats:
    """Like :func:`exposure`, each order weighted by the share of its value left after discounts."""
    return _exposure(people, season.buying_paid, from_s, until_s)


def draw_purchases(
    rng: np.random.Generator,
    people: People,
    season: Season,
    from_s: int,
    until_s: int,
    factor: Floats,
) -> Purchases:
    """Repeat orders between two instants, at ``factor`` times each person's own rate."""
    pieces = []
    for state in State:
        begin, end = _stretch(people, from_s, until_s, state)
        share = LAPSED_SHARE if state is State.LAPSED else 1.0
        lower, upper = season.buying(begin), season.buying(end)
        n = rng.poisson(people.rate * share * factor * (upper - lower))
        person = np.repeat(np.arange(len(people)), n)
        point = lower[person] + rng.random(len(person)) * (upper - lower)[person]
        pieces.append((person, season.instants(point).clip(from_s, until_s - 1)))
    return Purchases(
        np.concatenate([piece[0] for piece in pieces]),
        np.concatenate([piece[1] for piece in pieces]),
    )


def first_purchases(
    rng: np.random.Generator, people: People, n_known: int, until_s: int
) -> Purchases:
    """The order that comes with the account, of people from index ``n_known`` on."""
    at = people.born_s + rng.integers(0, 1800, len(people))
    new = np.arange(len(people)) >= n_known
    bought = np.flatnonzero(new & people.starts_buying & (at < until_s))
    return Purchases(bought, at[bought])


def mean_goods_cents(people: People, goods: Catalogue, pieces_per_line: float) -> Floats:
    """Expected value of the goods of one order of each person, before discount."""
    price = goods.mean_price_cents()[people.favourite]
    return (1 + people.extra_lines) * pieces_per_line * price


def _exposure(
    people: People, curve: Callable[[Seconds], Floats], from_s: int, until_s: int
) -> Floats:
    interested, lapsed = (
        curve(end) - curve(begin)
        for begin, end in (
            _stretch(people, from_s, until_s, state) for state in (State.INTERESTED, State.LAPSED)
        )
    )
    return people.rate * (interested + LAPSED_SHARE * lapsed)


def _stretch(people: People, from_s: int, until_s: int, state: State) -> tuple[Seconds, Seconds]:
    """The part of the time between two instants that each person spends in a state."""
    begin = people.born_s.clip(from_s, until_s)
    lapse = people.lapses_s.clip(begin, until_s)
    if state is State.INTERESTED:
        return begin, lapse
    return lapse, np.full_like(lapse, until_s)
