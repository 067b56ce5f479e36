"""Bands of a feature: people classed by how much of something they had when they were assigned.

An effect that differs from person to person is first looked for where it can be seen without a
model: in quarters by one feature, each quarter a small experiment of its own, all of them corrected
together. Bands are cut from everybody assigned, whatever the arm, by values of before the
assignment; so the arms of a band are as comparable as those of the whole.

Equal values never part: where many people have one value (no order in a year), bands are fewer and
of unequal size.

References:
    Hyndman & Fan (1996), "Sample quantiles in statistical packages", The American Statistician
    50(4), definition 7.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from connector.errors import ModelError

BANDS = 4
"""Quarters: of each the experiment still has a fourth of its people."""


def quantile_bands(values: Sequence[float | None], *, n_bands: int = BANDS) -> list[str | None]:
    """The band of each value, named by its place and the values that fell into it.

    Args:
        values: One for each person, arms together; None or not a number where it is not known.
        n_bands: How many to cut, at least 2.

    Returns:
        Such as ``1 of 4: 0 to 12``, in the same order; None where the value is not known.

    Raises:
        ModelError: Fewer than two bands are asked for.
    """
    if n_bands < 2:
        raise ModelError(f"{n_bands} band parts nobody.")
    numbers = np.array([np.nan if v is None else float(v) for v in values], dtype=np.float64)
    known = numbers[~np.isnan(numbers)]
    if not known.size:
        return [None] * len(numbers)
    cuts = np.unique(np.quantile(known, np.arange(1, n_bands) / n_bands))
    place = np.searchsorted(cuts, numbers, side="left")
    # A cut at the largest value leaves nobody above it.
    taken = np.unique(place[~np.isnan(numbers)])
    names = {}
    for order, band in enumerate(taken.tolist(), start=1):
        inside = numbers[place == band]
        inside = inside[~np.isnan(inside)]
        low, high = _shown(float(inside.min())), _shown(float(inside.max()))
        span = low if low == high else f"{low} to {high}"
        names[band] = f"{order} of {taken.size}: {span}"
    return [
        None if np.isnan(value) else names[int(band)]
        for value, band in zip(numbers, place, strict=True)
    ]


def _shown(value: float) -> str:
    """A bound with the digits that tell bands apart."""
    return f"{value:,.0f}" if abs(value) >= 1000 or value == round(value) else f"{value:.4g}"
