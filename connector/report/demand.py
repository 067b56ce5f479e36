"""Orders to expect, as the report shows them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from connector.report.people import SMALL_CELL


@dataclass(frozen=True, slots=True)
class DemandRow:
    """Orders to expect of some people in one category, or in all.

    Attributes:
        name: Of the segment or the category.
        people: Buyers they are expected of; below :data:`SMALL_CELL` nothing else is kept.
        expected: Orders.
        low, high: Ends of the 80 % range.
        error: Share of what came that such a number was off by in the past; None where not tried.
        error_last_period: The same for as many as in the last period of equal length.
    """

    name: str
    people: int
    expected: float | None
    low: float | None
    high: float | None
    error: float | None = None
    error_last_period: float | None = None

    def __post_init__(self) -> None:
        if 0 < self.people < SMALL_CELL:
            for name in ("expected", "low", "high", "error", "error_last_period"):
                object.__setattr__(self, name, None)


@dataclass(frozen=True, slots=True)
class DemandSummary:
    """Orders to expect by one value model.

    Attributes:
        model: Its name.
        first_day, last_day: What they are expected in.
        total: Of everybody.
        categories: Of everybody, most orders first.
        segments: All orders of each, as in the file.
        untried: Segments without an error of their own, as they read other models' scores.
    """

    model: str
    first_day: date
    last_day: date
    total: DemandRow
    categories: tuple[DemandRow, ...] = ()
    segments: tuple[DemandRow, ...] = ()
    untried: tuple[str, ...] = ()
