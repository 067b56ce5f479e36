"""Drawings of models: gains, calibration, profit, the map of personas, segments over time.

As :mod:`connector.report.charts`: inline SVG by class, each with a title and a description that
say in words what the lines show. A persona is told by its number as well as by its colour.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

from markupsafe import Markup

from connector.numbers import minus
from connector.report.charts import ticks
from connector.report.format import count, money, percent
from connector.report.models import (
    BinRow,
    Dot,
    PersonaSummary,
    ProfitRow,
    SegmentTrend,
    TenthRow,
)

_SIZE, _LEFT, _BOTTOM, _TOP = 220.0, 40.0, 34.0, 10.0
"""Inner side of a square chart, and the room around it."""

_MAP = (640.0, 400.0)

PERSONA_COLOURS = 8
"""Colours that the style sheet has; further personas take them again, with their own number."""


def gain_chart(tenths: Sequence[TenthRow], *, uid: str) -> Markup:
    """Share of all who did it, by the share of people reached; the diagonal is chance."""
    line = [(0.0, 0.0), *((one.number / len(tenths), one.gain) for one in tenths)]
    third = tenths[2].gain if len(tenths) > 2 else 1.0
    said = f"The best three tenths of the people hold {percent(third)} of those who did it."
    return square_chart(
        line=line,
        dots=line[1:],
        title="Gains",
        description=said,
        across="people reached, best first",
        upwards="found",
        uid=uid,
    )


def calibration_chart(bins: Sequence[BinRow], *, uid: str) -> Markup:
    """What was predicted against what people did; on the diagonal both agree."""
    top = max((max(one.predicted, one.observed) for one in bins), default=1.0)
    # Room for the intervals, as far as they do not press the dots together.
    reach = max((one.interval[1] for one in bins), default=1.0)
    top = min(1.0, max(top, 0.01) * 1.05, 1.0) if reach <= top else min(1.0, reach, 1.3 * top)
    dots = [(one.predicted / top, one.observed / top) for one in bins]
    most = max((one.people for one in bins), default=1)
    said = "; ".join(
        f"predicted {percent(one.predicted)}, did it {percent(one.observed)}"
        f" ({percent(one.interval[0])} to {percent(one.interval[1])})"
        for one in bins
    )
    return square_chart(
        line=(),
        dots=dots,
        radii=[2.5 + 3.5 * (one.people / most) ** 0.5 for one in bins],
        bars=[
            (one.predicted / top, one.interval[0] / top, min(one.interval[1] / top, 1.0))
            for one in bins
        ],
        title="Calibration",
        description=said,
        across="predicted",
        upwards="observed",
        top=top,
        uid=uid,
    )


def square_chart(
    *,
    line: Sequence[tuple[float, float]],
    dots: Sequence[tuple[float, float]],
    title: str,
    description: str,
    across: str,
    upwards: str,
    uid: str,
    radii: Sequence[float] = (),
    bars: Sequence[tuple[float, float, float]] = (),
    top: float = 1.0,
) -> Markup:
    """A chart of shares against shares with its diagonal; coordinates are 0 to 1.

    Args:
        line: Places that are joined.
        dots: Places that are marked.
        title: For screen readers.
        description: Likewise, with the numbers.
        across: Name of the axis to the right.
        upwards: Name of the other.
        uid: Unique in the page.
        radii: Of the dots.
        bars: Uncertainty: where to the right, from where to where upwards.
        top: What 1 stands for on both axes.
    """
    width, height = _LEFT + _SIZE + 14, _TOP + _SIZE + _BOTTOM

    def x(share: float) -> float:
        return _LEFT + _SIZE * share

    def y(share: float) -> float:
        return _TOP + _SIZE * (1 - share)

    marks = Markup()
    for part in (0.0, 0.5, 1.0):
        marks += Markup(
            '<line class="grid" x1="{left:.1f}" x2="{right:.1f}" y1="{y:.1f}" y2="{y:.1f}"/>'
            '<text class="label" x="{before:.1f}" y="{below:.1f}" text-anchor="end">{text}</text>'
            '<text class="label" x="{x:.1f}" y="{foot:.1f}" text-anchor="middle">{text}</text>'
        ).format(
            left=x(0), right=x(1), y=y(part), before=_LEFT - 5, below=y(part) + 4,
            x=x(part), foot=y(0) + 14, text=percent(part * top),
        )  # fmt: skip
    path = " ".join(f"{'ML'[i > 0]}{x(a):.1f} {y(b):.1f}" for i, (a, b) in enumerate(line))
    drawn = Markup('<path class="line" d="{}"/>').format(path) if path else Markup()
    for a, low, high in bars:
        drawn += Markup(
            '<path class="error" d="M{x:.1f} {low:.1f}V{high:.1f}M{l:.1f} {low:.1f}h6'
            'M{l:.1f} {high:.1f}h6"/>'
        ).format(x=x(a), l=x(a) - 3, low=y(low), high=y(high))
    sizes = radii or [3.0] * len(dots)
    for (a, b), radius in zip(dots, sizes, strict=True):
        drawn += Markup('<circle class="dot" cx="{:.1f}" cy="{:.1f}" r="{:.1f}"/>').format(
            x(a), y(b), radius
        )
    return Markup(
        '<svg class="chart square" role="img" aria-labelledby="{uid}-t {uid}-d"'
        ' viewBox="0 0 {width:.0f} {height:.0f}"><title id="{uid}-t">{title}</title>'
        '<desc id="{uid}-d">{said}</desc>{marks}'
        '<path class="chance" d="M{x0:.1f} {y0:.1f}L{x1:.1f} {y1:.1f}"/>{drawn}'
        '<text class="label" x="{mid:.1f}" y="{foot:.1f}" text-anchor="middle">{across}</text>'
        '<text class="label" x="{left:.1f}" y="{head:.1f}">{upwards}</text></svg>'
    ).format(
        uid=uid, width=width, height=height, title=title, said=description, marks=marks,
        x0=x(0), y0=y(0), x1=x(1), y1=y(1), drawn=drawn, mid=x(0.5), foot=y(0) + 29,
        across=across, left=x(0) + 6, head=_TOP + 14, upwards=upwards,
    )  # fmt: skip


def profit_chart(row: ProfitRow, currency: str, *, uid: str) -> Markup:
    """Profit of a thousand people by how many of them are treated, best first."""
    wide, high, left, top, foot = 360.0, 130.0, 58.0, 12.0, 34.0
    profits = [point.profit for point in row.points]
    low, most = min(0.0, *profits), max(0.0, *profits)
    room = (most - low) or 1.0

    def x(share: float) -> float:
        return left + wide * share

    def y(profit: float) -> float:
        return top + high * (most - profit) / room

    marks = Markup()
    for mark in ticks(low, most, 3):
        marks += Markup(
            '<line class="{css}" x1="{a:.1f}" x2="{b:.1f}" y1="{y:.1f}" y2="{y:.1f}"/>'
            '<text class="label" x="{before:.1f}" y="{below:.1f}" text-anchor="end">{text}</text>'
        ).format(
            css="axis" if mark == 0 else "grid", a=x(0), b=x(1), y=y(mark), before=left - 5,
            below=y(mark) + 4, text=count(mark),
        )  # fmt: skip
    path = " ".join(
        f"{'ML'[i > 0]}{x(p.share):.1f} {y(p.profit):.1f}" for i, p in enumerate(row.points)
    )
    said = (
        f"Most profit, {money(row.best, currency, digits=0)} for a thousand people, where the best"
        f" {percent(row.share)} are treated; {money(row.everybody, currency, digits=0)} where all"
        f" are."
    )
    return Markup(
        '<svg class="chart wide" role="img" aria-labelledby="{uid}-t {uid}-d"'
        ' viewBox="0 0 {w:.0f} {h:.0f}"><title id="{uid}-t">Profit by how many are treated</title>'
        '<desc id="{uid}-d">{said}</desc>{marks}<path class="line" d="{path}"/>'
        '<line class="best" x1="{bx:.1f}" x2="{bx:.1f}" y1="{y0:.1f}" y2="{y1:.1f}"/>'
        '<circle class="dot" cx="{bx:.1f}" cy="{by:.1f}" r="4.5"/>'
        '<text class="label" x="{a:.1f}" y="{f:.1f}" text-anchor="middle">nobody</text>'
        '<text class="label" x="{mid:.1f}" y="{f:.1f}" text-anchor="middle">treated</text>'
        '<text class="label" x="{b:.1f}" y="{f:.1f}" text-anchor="end">everybody</text></svg>'
    ).format(
        uid=uid, w=left + wide + 14, h=top + high + foot, said=said, marks=marks, path=path,
        bx=x(row.share), by=y(row.best), y0=top, y1=top + high, a=x(0) + 18, b=x(1),
        mid=x(0.5), f=top + high + 20,
    )  # fmt: skip


# ---------------------------------------------------------------------- personas
def persona_class(number: int) -> str:
    """Class that gives a persona its colour."""
    return f"persona-{number % PERSONA_COLOURS + 1}"


def persona_map(summary: PersonaSummary, *, uid: str) -> Markup:
    """Everybody on the first two axes; a dot is people at one place, a number a persona."""
    seats = [(one.x, one.y) for one in summary.personas]
    return _map(summary, summary.dots, seats, title="Map of the personas", uid=uid)


def persona_side(summary: PersonaSummary, *, uid: str) -> Markup:
    """The same on the first and the third axis: the map seen from its lower edge."""
    seats = [(one.x, one.z) for one in summary.personas]
    return _map(summary, summary.side, seats, title="The map seen from the side", uid=uid)


def _map(
    summary: PersonaSummary,
    people: Sequence[Dot],
    seats: Sequence[tuple[float, float]],
    *,
    title: str,
    uid: str,
) -> Markup:
    wide, high = _MAP
    places = [(one.x, one.y) for one in people] + list(seats)
    x = _scale([a for a, _ in places], 24, wide - 24)
    y = _scale([b for _, b in places], high - 24, 24)
    most = max((one.people for one in people), default=1)
    dots = Markup().join(
        Markup('<circle class="{}" cx="{:.1f}" cy="{:.1f}" r="{:.1f}"/>').format(
            persona_class(one.persona), x(one.x), y(one.y), 2.5 + 9.5 * (one.people / most) ** 0.5
        )
        for one in people
    )
    numbers = Markup().join(
        Markup(
            '<circle class="seat" cx="{x:.1f}" cy="{y:.1f}" r="13"/>'
            '<text class="seat-number" x="{x:.1f}" y="{y:.1f}" text-anchor="middle">{n}</text>'
        ).format(x=x(a), y=y(b), n=n)
        for n, (a, b) in enumerate(seats, start=1)
    )
    said = "; ".join(
        f"{n}: {one.name}, {count(one.people)} people"
        for n, one in enumerate(summary.personas, start=1)
    )
    return Markup(
        '<svg class="chart map" role="img" aria-labelledby="{uid}-t {uid}-d"'
        ' viewBox="0 0 {w:.0f} {h:.0f}"><title id="{uid}-t">{title}</title>'
        '<desc id="{uid}-d">{said}</desc>{dots}{numbers}</svg>'
    ).format(uid=uid, w=wide, h=high, title=title, said=said, dots=dots, numbers=numbers)


# ---------------------------------------------------------------------- segments over time
def trend_chart(trend: SegmentTrend, timezone: str, *, uid: str) -> Markup:
    """Members as a line; below it who joined (upwards) and who left (downwards) at each run."""
    wide, left, right = 230.0, 8.0, 48.0
    points = trend.points
    sizes = [one.people for one in points]
    top = max(sizes) or 1
    most = max([1, *(one.joins for one in points[1:]), *(one.leaves for one in points[1:])])
    step = wide / max(len(points) - 1, 1)
    width = min(18.0, step * 0.5)

    def x(i: int) -> float:
        return left + step * i

    def y(people: int) -> float:
        return 58 - 46 * people / top

    line = " ".join(f"{'ML'[i > 0]}{x(i):.1f} {y(n):.1f}" for i, n in enumerate(sizes))
    bars = Markup()
    for i, one in enumerate(points):
        if i == 0:
            continue
        up, down = 20 * one.joins / most, 20 * one.leaves / most
        bars += Markup(
            '<rect class="joins" x="{x:.1f}" y="{y:.1f}" width="{w:.1f}" height="{up:.1f}"/>'
            '<rect class="leaves" x="{x:.1f}" y="88" width="{w:.1f}" height="{down:.1f}"/>'
        ).format(x=x(i) - width / 2, y=88 - up, w=width, up=up, down=down)
    first, last = (_day(one.as_of, timezone) for one in (points[0], points[-1]))
    said = "; ".join(
        f"{_day(one.as_of, timezone)}: {count(one.people)} people, {count(one.joins)} joined,"
        f" {count(one.leaves)} left"
        for one in points
    )
    return Markup(
        '<svg class="chart trend" role="img" aria-labelledby="{uid}-t {uid}-d"'
        ' viewBox="0 0 {w:.0f} 128"><title id="{uid}-t">{name} over time</title>'
        '<desc id="{uid}-d">{said}</desc><path class="line" d="{line}"/>'
        '<circle class="dot" cx="{ex:.1f}" cy="{ey:.1f}" r="3.5"/>'
        '<text class="label" x="{after:.1f}" y="{ty:.1f}">{people}</text>{bars}'
        '<line class="axis" x1="{left:.1f}" x2="{end:.1f}" y1="88" y2="88"/>'
        '<text class="label" x="{after:.1f}" y="84">+{joins}</text>'
        '<text class="label" x="{after:.1f}" y="100">{minus}</text>'
        '<text class="label" x="{left:.1f}" y="124">{first}</text>'
        '<text class="label" x="{end:.1f}" y="124" text-anchor="end">{last}</text></svg>'
    ).format(
        uid=uid, w=left + wide + right, name=trend.segment, said=said, line=line,
        ex=x(len(points) - 1), ey=y(sizes[-1]), after=left + wide + width / 2 + 4,
        ty=y(sizes[-1]) + 4, people=count(sizes[-1]), bars=bars, left=left, end=left + wide,
        joins=count(points[-1].joins), minus=minus(f"-{points[-1].leaves:,}"), first=first,
        last=last,
    )  # fmt: skip


def _day(at: datetime, timezone: str) -> str:
    local = at.astimezone(ZoneInfo(timezone))
    return f"{local.day} {local:%b}"


class Scale:
    """From values to places of a drawing."""

    def __init__(self, low: float, high: float, start: float, end: float) -> None:
        self._low, self._per = low, (end - start) / ((high - low) or 1.0)
        self._start = start

    def __call__(self, value: float) -> float:
        """The place of a value."""
        return self._start + (value - self._low) * self._per


def _scale(values: Iterable[float], start: float, end: float) -> Scale:
    found = list(values) or [0.0]
    return Scale(min(found), max(found), start, end)
