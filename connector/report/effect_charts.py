"""Drawings of an effect: over time with its band, and class by class on one scale."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from markupsafe import Markup

from connector.report.charts import tick_digits, ticks
from connector.report.format import MINUS
from connector.report.lift import Estimate, LookRow

_WIDTH, _HEIGHT = 560.0, 236.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 58.0, 18.0, 22.0, 30.0

REACH = 3.0
"""How many times the last band's width the drawing reaches at most: early bands are wide, and would
flatten everything that matters."""

_DAY_WIDTH = 140.0
"""Room that the day of a look needs beside another, on a phone too."""

_SPAN_WIDTH = 140.0
_SPAN_EDGE = 5.0


@dataclass(frozen=True, slots=True)
class Scale:
    """Numbers onto a drawing; what lies outside is put at its edge."""

    least: float
    most: float
    start: float
    end: float

    def __call__(self, number: float) -> float:
        """Where a number lies."""
        share = (min(max(number, self.least), self.most) - self.least) / (self.most - self.least)
        return self.start + (self.end - self.start) * share


def series_chart(
    looks: Sequence[LookRow],
    *,
    decided: Estimate | None,
    ends_at: datetime | None,
    scale: float,
    margin: float,
    unit: str,
    timezone: str,
    title: str,
    description: str,
    uid: str,
) -> Markup:
    """The difference at every look with the band that allows for all of them.

    Args:
        looks: In order of time; two or more.
        decided: The interval that decides at the registered end, drawn beside the last band; None
            while it has not come.
        ends_at: The registered end; None without one.
        scale: Times this: 100 for percentage points.
        margin: Largest difference that counts as none, unscaled.
        unit: Of the differences.
        timezone: IANA name for the days.
        title: For screen readers.
        description: Likewise, with the numbers.
        uid: Unique in the page.
    """
    first, last = looks[0].at.timestamp(), looks[-1].at.timestamp()
    end = None if ends_at is None else ends_at.timestamp()
    until = max(last, end or last)
    across = Scale(first, until if until > first else first + 1, _LEFT, _WIDTH - _RIGHT)
    up = _height(looks, scale, margin)
    points = [(across(look.at.timestamp()), look) for look in looks]
    upper = [f"{x:.1f} {up(look.high * scale):.1f}" for x, look in points]
    lower = [f"{x:.1f} {up(look.low * scale):.1f}" for x, look in reversed(points)]
    line = "L".join(f"{x:.1f} {up(look.estimate * scale):.1f}" for x, look in points)
    dots = Markup().join(
        Markup('<circle class="look" cx="{:.1f}" cy="{:.1f}" r="3.4"/>').format(
            x, up(look.estimate * scale)
        )
        for x, look in points
    )
    flat = Markup()
    if margin > 0:
        high, low = up(margin * scale), up(-margin * scale)
        flat = Markup(
            '<rect class="none-band" x="{}" width="{}" y="{:.1f}" height="{:.1f}"/>'
        ).format(_LEFT, _WIDTH - _LEFT - _RIGHT, high, max(low - high, 1.0))
    return Markup(
        '<svg class="chart wide over-time" role="img" aria-labelledby="{uid}-t {uid}-d"'
        ' viewBox="0 0 560 236"><title id="{uid}-t">{title}</title>'
        '<desc id="{uid}-d">{description}</desc>{grid}'
        '<path class="sure" d="M{edge}Z"/>{flat}<path class="sure-edge" d="M{upper}"/>'
        '<path class="sure-edge" d="M{lower}"/>'
        '<line class="zero-line" x1="{left}" x2="{right}" y1="{zero:.1f}" y2="{zero:.1f}"/>'
        '<path class="line" d="M{line}"/>{dots}{decision}{closing}'
        '<text class="label" x="{left}" y="11">{unit}</text>{days}</svg>'
    ).format(
        uid=uid,
        title=title,
        description=description,
        grid=_grid(up),
        flat=flat,
        edge="L".join([*upper, *lower]),
        upper="L".join(upper),
        lower="L".join(lower),
        left=_LEFT,
        right=_WIDTH - _RIGHT,
        zero=up(0.0),
        line=line,
        dots=dots,
        decision=_decision(decided, points[-1][0], up, scale),
        closing=_closing(ends_at, across, timezone),
        unit=unit,
        days=_days(looks, across, timezone),
    )


def _height(looks: Sequence[LookRow], scale: float, margin: float) -> Scale:
    """From the last band outwards, as far as the bands before it need and :data:`REACH` allows."""
    last = looks[-1]
    reach = REACH * (last.high - last.low)
    least = max(min(look.low for look in looks), last.low - reach)
    most = min(max(look.high for look in looks), last.high + reach)
    least = min(least, -margin, 0.0, *(look.estimate for look in looks)) * scale
    most = max(most, margin, 0.0, *(look.estimate for look in looks)) * scale
    room = 0.06 * (most - least) or 1.0
    return Scale(least - room, most + room, _HEIGHT - _BOTTOM, _TOP)


def _grid(up: Scale) -> Markup:
    marks = ticks(up.least, up.most)
    digits = tick_digits(marks)
    return Markup().join(
        Markup(
            '<line class="grid" x1="{left}" x2="{right}" y1="{y:.1f}" y2="{y:.1f}"/>'
            '<text class="label" text-anchor="end" x="{at}" y="{text_y:.1f}">{text}</text>'
        ).format(
            left=_LEFT,
            right=_WIDTH - _RIGHT,
            y=up(mark),
            at=_LEFT - 7,
            text_y=up(mark) + 4,
            text=f"{mark:+,.{digits}f}".replace("-", MINUS) if mark else "0",
        )
        for mark in marks
    )


def _decision(decided: Estimate | None, x: float, up: Scale, scale: float) -> Markup:
    if decided is None:
        return Markup()
    return Markup(
        '<path class="decides" d="M{x:.1f} {low:.1f}V{high:.1f}M{a:.1f} {low:.1f}H{b:.1f}'
        'M{a:.1f} {high:.1f}H{b:.1f}"/>'
    ).format(x=x, a=x - 6, b=x + 6, low=up(decided.low * scale), high=up(decided.high * scale))


def _closing(ends_at: datetime | None, across: Scale, timezone: str) -> Markup:
    if ends_at is None:
        return Markup()
    x = across(ends_at.timestamp())
    return Markup(
        '<line class="best" x1="{x:.1f}" x2="{x:.1f}" y1="{top}" y2="{foot}"/>'
        '<text class="label" text-anchor="end" x="{at:.1f}" y="11">registered end {day}</text>'
    ).format(x=x, top=_TOP - 6, foot=_HEIGHT - _BOTTOM, at=x, day=_short_day(ends_at, timezone))


def _days(looks: Sequence[LookRow], across: Scale, timezone: str) -> Markup:
    """The first and the last look, and one between them where there is room."""
    first, last, middle = (across(looks[i].at.timestamp()) for i in (0, -1, len(looks) // 2))
    shown = [(first, looks[0].at)]
    if min(middle - first, last - middle) > 2 * _DAY_WIDTH / 3:
        shown.append((middle, looks[len(looks) // 2].at))
    if last - first > _DAY_WIDTH / 2:
        shown.append((last, looks[-1].at))
    made = []
    for x, at in shown:
        anchor = "start" if x < _LEFT + 30 else "end" if x > _WIDTH - 60 else "middle"
        made.append(
            Markup('<text class="label" text-anchor="{}" x="{:.1f}" y="{}">{}</text>').format(
                anchor, x, _HEIGHT - 10, _short_day(at, timezone)
            )
        )
    return Markup().join(made)


def _short_day(at: datetime, timezone: str) -> str:
    local = at.astimezone(ZoneInfo(timezone))
    return f"{local.day}\u00a0{local:%b}"


def span(value: Estimate | None, reach: tuple[float, float], verdict: str) -> Markup:
    """One interval of several on a common scale; it repeats the numbers beside it.

    Args:
        value: The difference; None: only the zero line is drawn.
        reach: The smallest and the largest number of all of them, zero among them.
        verdict: Its code, for the colour; undecided ones are drawn hollow.
    """
    least, most = reach
    across = Scale(
        least, most if most > least else least + 1.0, _SPAN_EDGE, _SPAN_WIDTH - _SPAN_EDGE
    )
    drawn = Markup()
    if value is not None:
        drawn = Markup(
            '<path class="whisker" d="M{low:.1f} 10H{high:.1f}M{low:.1f} 6v8M{high:.1f} 6v8"/>'
            '<circle class="point" cx="{point:.1f}" cy="10" r="4"/>'
        ).format(low=across(value.low), high=across(value.high), point=across(value.estimate))
    hollow = "" if verdict in ("win", "loss", "flat") else " hollow"
    return Markup(
        '<svg class="forest span v-{}{}" viewBox="0 0 140 20" aria-hidden="true" focusable="false">'
        '<line class="zero-line" x1="{x:.1f}" x2="{x:.1f}" y1="0" y2="20"/>{}</svg>'
    ).format(verdict, hollow, drawn, x=across(0.0))


def reach_of(values: Sequence[Estimate | None]) -> tuple[float, float]:
    """The common scale of several intervals, zero included."""
    known = [value for value in values if value is not None]
    return (
        min([0.0, *(value.low for value in known)]),
        max([0.0, *(value.high for value in known)]),
    )
