"""Estimates and times as text, beside the numbers of :mod:`connector.numbers`.

An estimate is rounded by the width of its interval, not by its own size: digits finer than chance
can tell apart would pretend to know more than the data does.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import date, datetime
from zoneinfo import ZoneInfo

from connector.numbers import (
    FINEST_DIGITS,
    MINUS,
    NBSP,
    NONE,
    count,
    difference_digits,
    gain,
    level,
    minus,
    money,
    percent,
    several,
    short,
    signed,
)
from connector.report.lift import Estimate

__all__ = [
    "MINUS",
    "NBSP",
    "NONE",
    "Spoken",
    "count",
    "day",
    "gain",
    "iso_day",
    "iso_moment",
    "level",
    "local_day",
    "moment",
    "money",
    "p_value",
    "percent",
    "several",
    "short",
    "signed",
    "span",
    "spoken",
    "spoken_per_person",
]


def p_value(p: float | None, *, floor: float = 0.001) -> str:
    """A p-value: ``p = 0.42``, ``p < 0.001``, or that there is none."""
    if p is None:
        return "too few people to test"
    if p < floor:
        return f"p{NBSP}<{NBSP}{floor:g}"
    return f"p{NBSP}={NBSP}{p:.2g}" if p < 0.995 else f"p{NBSP}={NBSP}1.0"


def day(value: date) -> str:
    """A day, such as ``6 April 2026``."""
    return f"{value.day}{NBSP}{value:%B}{NBSP}{value.year}"


def moment(at: datetime, timezone: str) -> str:
    """An instant in the project's time zone, such as ``6 April 2026, 06:00``."""
    local = at.astimezone(ZoneInfo(timezone))
    return f"{day(local.date())}, {local:%H:%M}"


def local_day(at: datetime, timezone: str) -> str:
    """The day of an instant in the project's time zone."""
    return day(at.astimezone(ZoneInfo(timezone)).date())


def iso_day(at: datetime, timezone: str) -> str:
    """The day of an instant in the project's time zone, such as ``2026-04-06``."""
    return at.astimezone(ZoneInfo(timezone)).date().isoformat()


def iso_moment(at: datetime, timezone: str) -> str:
    """An instant in the project's time zone to the minute, such as ``2026-04-06 06:00``."""
    return f"{at.astimezone(ZoneInfo(timezone)):%Y-%m-%d %H:%M}"


def span(seconds: float) -> str:
    """A duration, such as ``45 s``, ``12 min`` or ``3.5 h``."""
    if seconds < 90:
        return f"{seconds:.0f}{NBSP}s"
    if seconds < 90 * 60:
        return f"{seconds / 60:.0f}{NBSP}min"
    return f"{seconds / 3600:.1f}{NBSP}h"


@dataclass(frozen=True, slots=True)
class Spoken:
    """An estimate and its bounds as text of one precision.

    Attributes:
        estimate, low, high: Numbers with their sign.
        size: The estimate without its sign.
        unit: What they are in; may be empty.
        level: Of the interval, such as ``95 %``.
    """

    estimate: str
    low: str
    high: str
    size: str
    unit: str
    level: str

    @property
    def range(self) -> str:
        """The interval, such as ``+1,100 to +7,300``."""
        sign = f"{NBSP}%" if self.unit == "%" else ""
        return f"{self.low}{sign} to {self.high}{sign}"

    def __str__(self) -> str:
        unit = f"{NBSP}{self.unit}" if self.unit else ""
        return f"{self.estimate}{unit} ({self.level} interval {self.range})"


def spoken(value: Estimate, *, unit: str, scale: float = 1.0) -> Spoken:
    """A total as text, rounded to two digits of half its interval's width.

    A bound that is not zero never reads as zero: more digits are shown until it does not. For the
    estimate, which may lie as near to zero as it likes, two more are tried.

    Args:
        value: The estimate.
        unit: Its unit, after scaling.
        scale: Times this: 100 for percentages.
    """
    numbers = _scaled(value, scale)
    reach = abs(numbers[2] - numbers[1]) / 2 or abs(numbers[0]) or 1.0
    digits = 1 - math.floor(math.log10(reach))
    for _ in range(2):
        digits += bool(numbers[0]) and not round(numbers[0], digits)
    while digits < FINEST_DIGITS and any(x and not round(x, digits) for x in numbers[1:]):
        digits += 1
    return _spoken(value, [round(x, digits) for x in numbers], max(digits, 0), unit)


def spoken_per_person(value: Estimate, *, unit: str, scale: float = 1.0, digits: int = 2) -> Spoken:
    """A difference per person as text: money to the cent, percentage points to the hundredth.

    The sentence behind a verdict is written with the same digits, so that both read alike.

    Args:
        value: The difference.
        unit: Its unit, after scaling.
        scale: Times this: 100 for percentages.
        digits: The usual decimals; more only where a bound would read as zero.
    """
    numbers = _scaled(value, scale)
    return _spoken(value, numbers, difference_digits(*numbers[1:], usual=digits), unit)


def _scaled(value: Estimate, scale: float) -> list[float]:
    return [x * scale for x in (value.estimate, value.low, value.high)]


def _spoken(value: Estimate, numbers: list[float], digits: int, unit: str) -> Spoken:
    estimate, low, high = (minus(_unsigned_zero(f"{x:+,.{digits}f}")) for x in numbers)
    size = estimate.lstrip("+" + MINUS)
    return Spoken(estimate, low, high, size, unit, level(value.confidence))


def _unsigned_zero(text: str) -> str:
    return text[1:] if not text.strip("+-0.,") else text
