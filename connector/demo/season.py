"""When people buy: one intensity by the hour, in Berlin's time, with a season and promotions.

Every purchase of the demo is an event of an inhomogeneous Poisson process. Its intensity is a
product of time of year, weekday and hour in Europe/Berlin. Holding it as a cumulative curve makes
three things exact and quick: drawing times (by inversion), splitting the process at any instant
without a seam, and expected values (a difference of two points of the curve), which is how the true
effects are known without simulation.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

Seconds = npt.NDArray[np.int64]
"""Instants as whole seconds since 1970-01-01T00:00Z."""
Floats = npt.NDArray[np.float64]

BERLIN = ZoneInfo("Europe/Berlin")
HOUR_S = 3600
DAY_S = 86_400
YEAR_S = 365.25 * DAY_S

_WEEKDAY = (1.02, 0.97, 0.96, 0.98, 0.94, 0.98, 1.15)
"""Relative intensity, Monday to Sunday."""
_HOUR = (
    *(0.25, 0.12, 0.07, 0.05, 0.06, 0.12, 0.35, 0.65, 0.90, 1.10, 1.20, 1.20),
    *(1.25, 1.15, 1.10, 1.10, 1.15, 1.25, 1.40, 1.85, 2.30, 2.20, 1.50, 0.70),
)
"""Relative intensity by the hour of Berlin: people furnish their homes in the evening."""


@dataclass(frozen=True, slots=True)
class Promotion:
    """A yearly sale.

    Attributes:
        first: First day, as (month, day).
        last: Last day, inclusive, of the same year.
        rate: Discount as a fraction of the order's goods.
        pull: Factor on the intensity while it runs.
    """

    first: tuple[int, int]
    last: tuple[int, int]
    rate: float
    pull: float


PROMOTIONS = (
    Promotion((1, 3), (1, 14), 0.20, 1.15),
    Promotion((3, 16), (3, 22), 0.15, 1.10),
    Promotion((7, 1), (7, 14), 0.20, 1.15),
    Promotion((11, 21), (11, 30), 0.25, 1.60),
)
PROMOTION_SHARE = 0.70
"""Share of the orders that use the sale's discount while it runs."""
COUPON_SHARE = 0.10
"""Share of the orders that use a newsletter coupon at any other time."""
COUPON_RATE = 0.10


@dataclass(frozen=True, slots=True)
class Season:
    """The intensity between two instants, as cumulative curves over an hourly grid.

    Attributes:
        edges: Hour boundaries, in seconds since 1970.
        cumulative: Average-years of buying up to each boundary: a year adds about 1.
        cumulative_paid: The same, each hour weighted by the share of the goods' value that is paid
            after discounts.
        rate: Discount rate on offer in each hour.
        share: Share of orders that use it.
    """

    edges: Floats
    cumulative: Floats
    cumulative_paid: Floats
    rate: Floats
    share: Floats

    def buying(self, at: Seconds | Floats | float) -> Floats:
        """Average-years of buying up to ``at``; differences are exposures."""
        return np.asarray(np.interp(at, self.edges, self.cumulative), dtype=np.float64)

    def buying_paid(self, at: Seconds | Floats | float) -> Floats:
        """Like :meth:`buying`, times the expected share of the value left after discounts."""
        return np.asarray(np.interp(at, self.edges, self.cumulative_paid), dtype=np.float64)

    def instants(self, buying: Floats) -> Seconds:
        """The inverse of :meth:`buying`, rounded down to whole seconds."""
        return np.floor(np.interp(buying, self.cumulative, self.edges)).astype(np.int64)

    def discount(self, at: Seconds) -> tuple[Floats, Floats]:
        """Rate on offer and share of orders using it, at each instant."""
        hour = ((at - int(self.edges[0])) // HOUR_S).clip(0, len(self.rate) - 1)
        return self.rate[hour], self.share[hour]


def season(first: datetime, last: datetime) -> Season:
    """The intensity from ``first`` to ``last``, with a day to spare on both sides."""
    return _season(seconds(first) // DAY_S - 1, seconds(last) // DAY_S + 2)


def seconds(at: datetime) -> int:
    """Whole seconds since 1970 of an aware instant.

    Raises:
        ValueError: ``at`` has no time zone.
    """
    if at.tzinfo is None:
        raise ValueError("instants of the demo need a time zone")
    return int(at.timestamp())


@lru_cache(maxsize=8)
def _season(first_day: int, last_day: int) -> Season:
    edges = np.arange(first_day * DAY_S, last_day * DAY_S + 1, HOUR_S, dtype=np.int64)
    starts = edges[:-1]
    offset = np.array([_berlin_offset_s(start) for start in starts.tolist()], dtype=np.int64)
    local = starts + offset
    local_day = local // DAY_S
    days = local_day.astype("datetime64[D]")
    day_of_year = (days - days.astype("datetime64[Y]")).astype(np.int64)
    month_day = _month_day(days)
    # 1970-01-01 was a Thursday.
    weekday = (local_day + 3) % 7
    intensity = (
        (1 + 0.16 * np.cos(2 * np.pi * (day_of_year - 340) / 365))
        * (1 + 0.07 * np.cos(4 * np.pi * (day_of_year - 110) / 365))
        * np.array(_WEEKDAY)[weekday]
        * np.array(_HOUR)[(local % DAY_S) // HOUR_S]
        / np.mean(_HOUR)
    )
    intensity[(month_day >= 1224) & (month_day <= 1226)] *= 0.5
    rate = np.full(len(starts), COUPON_RATE)
    share = np.full(len(starts), COUPON_SHARE)
    for promotion in PROMOTIONS:
        running = (month_day >= _key(promotion.first)) & (month_day <= _key(promotion.last))
        rate[running], share[running] = promotion.rate, PROMOTION_SHARE
        intensity[running] *= promotion.pull
    step = intensity * HOUR_S / YEAR_S
    return Season(
        edges=edges.astype(np.float64),
        cumulative=np.concatenate([[0.0], np.cumsum(step)]),
        cumulative_paid=np.concatenate([[0.0], np.cumsum(step * (1 - rate * share))]),
        rate=rate,
        share=share,
    )


def _berlin_offset_s(at_s: int) -> int:
    offset = datetime.fromtimestamp(at_s, tz=UTC).astimezone(BERLIN).utcoffset()
    return int(offset.total_seconds()) if offset is not None else 0


def _month_day(days: npt.NDArray[np.datetime64]) -> npt.NDArray[np.int64]:
    months = days.astype("datetime64[M]")
    month = months.astype(np.int64) % 12 + 1
    day = (days - months.astype("datetime64[D]")).astype(np.int64) + 1
    key: npt.NDArray[np.int64] = month * 100 + day
    return key


def _key(month_day: tuple[int, int]) -> int:
    return month_day[0] * 100 + month_day[1]
