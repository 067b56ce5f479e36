"""What the report draws of a propensity model: tables of plain numbers from unseen people.

A gain curve says everything: at each cut-off, how many people are at or above it and how many of
them did it. Lift by tenths and the profit of a campaign follow from it, so it is what a model
stores, thinned to :data:`MAX_POINTS` points.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from connector.errors import ModelError
from connector.models.propensity.metrics import N_BINS, Floats, bins

MAX_POINTS = 200
"""Points of a stored gain curve."""

N_TENTHS = 10


@dataclass(frozen=True, slots=True)
class GainPoint:
    """Who would be reached at one cut-off.

    Attributes:
        probability: Everybody at or above it.
        n_people: How many they are.
        n_positive: How many of them did what is predicted.
    """

    probability: float
    n_people: int
    n_positive: int


@dataclass(frozen=True, slots=True)
class Tenth:
    """One tenth of the people, best first.

    Attributes:
        number: 1 for the best tenth.
        n_people: A tenth of all, possibly with a fraction: ties are shared out evenly.
        n_positive: Likewise.
        rate: Share of positives.
        lift: Rate over the rate of all.
        gain: Share of all positives in this tenth and those above it.
    """

    number: int
    n_people: float
    n_positive: float
    rate: float
    lift: float
    gain: float


@dataclass(frozen=True, slots=True)
class CalibrationBin:
    """People of like probability.

    Attributes:
        n_people: How many.
        predicted: Their mean probability.
        observed: Share of them who did it.
    """

    n_people: int
    predicted: float
    observed: float


@dataclass(frozen=True, slots=True)
class ProfitPoint:
    """What treating everybody at or above a cut-off would have brought.

    Attributes:
        probability: The cut-off.
        n_people: People treated.
        profit: Currency: responses x value - people x cost.
    """

    probability: float
    n_people: int
    profit: float


@dataclass(frozen=True, slots=True)
class ProfitCurve:
    """Profit against the cut-off, on unseen people.

    Attributes:
        points: Highest cut-off first; the first one treats nobody.
        best: The point of most profit; of equals the one that treats fewer people.
        break_even: Cost over value: the cut-off that pays in theory, where probabilities are
            right.
    """

    points: tuple[ProfitPoint, ...]
    best: ProfitPoint
    break_even: float


def gain_curve(label: Floats, probability: Floats) -> tuple[GainPoint, ...]:
    """The gain curve, highest cut-off first, thinned evenly over the people.

    Args:
        label: 0 or 1.
        probability: 0 to 1.
    """
    order = np.argsort(-probability, kind="stable")
    ranked = probability[order]
    last = np.append(np.flatnonzero(np.diff(ranked) != 0), ranked.size - 1)
    positives = np.cumsum(label[order])[last]
    wanted = np.linspace(0, ranked.size - 1, MAX_POINTS)
    keep = np.unique(np.searchsorted(last, wanted)) if last.size > MAX_POINTS else range(last.size)
    return tuple(
        GainPoint(float(ranked[last[i]]), int(last[i]) + 1, round(float(positives[i])))
        for i in keep
    )


def tenths(points: Sequence[GainPoint]) -> tuple[Tenth, ...]:
    """Lift and gains by tenths of the people.

    Args:
        points: A gain curve; between its points positives are spread evenly.
    """
    people = np.array([0, *(point.n_people for point in points)], dtype=np.float64)
    positive = np.array([0, *(point.n_positive for point in points)], dtype=np.float64)
    total, n_positive = people[-1], positive[-1]
    reached = np.interp(np.linspace(0, total, N_TENTHS + 1), people, positive)
    size = total / N_TENTHS
    result = []
    for number, (before, after) in enumerate(pairwise(reached), start=1):
        found = float(after - before)
        result.append(
            Tenth(
                number=number,
                n_people=float(size),
                n_positive=found,
                rate=found / size,
                lift=found / size / (n_positive / total) if n_positive else float("nan"),
                gain=float(after) / n_positive if n_positive else float("nan"),
            )
        )
    return tuple(result)


def calibration_table(
    label: Floats, probability: Floats, n_bins: int = N_BINS
) -> tuple[CalibrationBin, ...]:
    """Predicted against observed, in bins of equal size; empty bins are left out."""
    bin_of = bins(probability, n_bins)
    n = np.bincount(bin_of, minlength=n_bins)
    predicted = np.bincount(bin_of, weights=probability, minlength=n_bins)
    observed = np.bincount(bin_of, weights=label, minlength=n_bins)
    return tuple(
        CalibrationBin(int(n[i]), float(predicted[i] / n[i]), float(observed[i] / n[i]))
        for i in np.flatnonzero(n)
    )


def profit_curve(points: Sequence[GainPoint], *, value: float, cost: float) -> ProfitCurve:
    """Profit of treating everybody at or above each cut-off.

    Args:
        points: A gain curve.
        value: What one response brings, currency, positive.
        cost: What treating one person costs, currency, not negative.

    Raises:
        ModelError: The value is not positive or the cost is negative.
    """
    if not value > 0 or not cost >= 0:
        raise ModelError(
            f"A profit curve needs a positive value and a cost of 0 or more, not {value} and"
            f" {cost}."
        )
    nobody = ProfitPoint(probability=1.0, n_people=0, profit=0.0)
    curve = (
        nobody,
        *(
            ProfitPoint(p.probability, p.n_people, p.n_positive * value - p.n_people * cost)
            for p in points
        ),
    )
    best = max(curve, key=lambda point: (point.profit, -point.n_people))
    return ProfitCurve(points=curve, best=best, break_even=cost / value)
