"""What people are expected to be worth, as the report shows it: tiers, distribution, backtest.

What a handful of people are worth comes close to what one of them is. A tier of fewer than
:data:`~connector.report.people.SMALL_CELL` people has no money; a bar of the distribution of fewer
is joined with its neighbour as soon as such a value is made.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from connector.report.people import SMALL_CELL, money_of_group


@dataclass(frozen=True, slots=True)
class TierRow:
    """One class by lifetime value.

    Attributes:
        name: Its name.
        people: How many.
        expected: Of all of them together, currency; None where it is not shown.
        low, high: Ends of the 80 % range of the person in the middle; None where not shown.
    """

    name: str
    people: int
    expected: float | None
    low: float | None = None
    high: float | None = None

    def __post_init__(self) -> None:
        for name in ("expected", "low", "high"):
            object.__setattr__(self, name, money_of_group(self.people, getattr(self, name)))


@dataclass(frozen=True, slots=True)
class TrialRow:
    """One contender or naive rule on holdouts, mean of the windows.

    Attributes:
        name: Of the algorithm or the rule.
        is_rule: Whether it is a naive one.
        is_chosen: Whether it is the one in use.
        mae, rmse: Error of a person, currency.
        bias: Predicted total over the actual one, minus 1; None where nothing happened.
        correlation: With what happened.
    """

    name: str
    is_rule: bool
    is_chosen: bool
    mae: float
    rmse: float
    bias: float | None
    correlation: float


@dataclass(frozen=True, slots=True)
class ValueBin:
    """People whose expected value lies in one range.

    Attributes:
        low: Lower end, currency.
        high: Upper end; None where it has none.
        people: How many.
    """

    low: float
    high: float | None
    people: int


@dataclass(frozen=True, slots=True)
class TopShare:
    """What the most valuable people hold together.

    Attributes:
        people: Share of the people, most valuable first (0-1).
        value: Their share of what is expected of all (0-1).
    """

    people: float
    value: float


def joined(bins: tuple[ValueBin, ...]) -> tuple[ValueBin, ...]:
    """Bins of which none holds a few people only: small ones are joined with the one below.

    Args:
        bins: From the smallest value to the largest, without gaps.
    """
    made: list[ValueBin] = []
    for one in bins:
        # A bin that has nobody says nothing of anybody, and stays where it keeps others apart.
        if made and (0 < one.people < SMALL_CELL or 0 < made[-1].people < SMALL_CELL):
            last = made.pop()
            one = ValueBin(last.low, one.high, last.people + one.people)
        made.append(one)
    if len(made) > 1 and 0 < made[-1].people < SMALL_CELL:
        last = made.pop()
        made[-1] = ValueBin(made[-1].low, last.high, made[-1].people + last.people)
    return tuple(made)


@dataclass(frozen=True, slots=True)
class ValueSummary:
    """One lifetime value model.

    Attributes:
        model: Its name.
        what: ``margin`` or ``net_revenue``.
        horizon_days: How far it looks.
        people: Everybody with a value.
        expected: Of all together, currency; None where it is not shown: it would tell, by what is
            left of it, what a tier of few people is worth.
        tiers: Best first.
        trials: The algorithm in use first, naive rules last.
        n_windows: Holdouts that the trials were made on; 0 where they are not known.
        bins: How many people are expected to be worth what, from little to much.
        top: What the most valuable people hold, from few people to all.
        rule: Why a rule stands in for a model; empty for a model.
    """

    model: str
    what: str
    horizon_days: float
    people: int
    expected: float | None
    tiers: tuple[TierRow, ...] = ()
    trials: tuple[TrialRow, ...] = ()
    n_windows: int = 0
    bins: tuple[ValueBin, ...] = ()
    top: tuple[TopShare, ...] = ()
    rule: str = ""

    def __post_init__(self) -> None:
        withheld = any(one.people and one.expected is None for one in self.tiers)
        total = None if withheld else money_of_group(self.people, self.expected)
        object.__setattr__(self, "expected", total)
        object.__setattr__(self, "bins", joined(self.bins) if self.people >= SMALL_CELL else ())
        steps = [0.0, *(one.people for one in self.top)]
        told = all((b - a) * self.people > SMALL_CELL - 0.5 for a, b in pairwise(steps))
        # A step of a few people would tell, by subtraction, what they are worth.
        object.__setattr__(self, "top", self.top if told else ())

    @property
    def held_by_tenth(self) -> float | None:
        """Share of the value that the most valuable tenth holds; None where it is not told."""
        return next((one.value for one in self.top if abs(one.people - 0.1) < 0.005), None)
