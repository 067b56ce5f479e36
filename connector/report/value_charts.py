"""Drawings of what people are worth: how many are worth what, and how much the best hold."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from connector.numbers import short
from connector.report.charts import ticks
from connector.report.format import count, money, percent
from connector.report.lifetime import TopShare, ValueBin
from connector.report.model_charts import square_chart

_WIDE, _HIGH, _LEFT, _TOP, _FOOT = 360.0, 170.0, 48.0, 12.0, 42.0


def value_histogram(bins: Sequence[ValueBin], currency: str, *, uid: str) -> Markup:
    """People by what is expected of them; the last bar may have no upper end.

    A bar's height is people for the width of the narrowest range, so that a wide bar of joined
    ranges does not look like more people than it holds.
    """
    unit = min((one.high - one.low for one in bins if one.high is not None), default=1.0)
    end = bins[-1].low + 2 * unit if bins[-1].high is None else bins[-1].high
    start = bins[0].low

    def x(value: float) -> float:
        return _LEFT + _WIDE * (value - start) / (end - start)

    ends = [end if one.high is None else one.high for one in bins]
    heights = [one.people * unit / (high - one.low) for one, high in zip(bins, ends, strict=True)]
    most = max(heights)

    def y(height: float) -> float:
        return _TOP + _HIGH * (1 - height / most)

    drawn = Markup()
    for mark in ticks(0.0, most, 3):
        drawn += Markup(
            '<line class="grid" x1="{a:.1f}" x2="{b:.1f}" y1="{y:.1f}" y2="{y:.1f}"/>'
            '<text class="label" x="{before:.1f}" y="{below:.1f}" text-anchor="end">{text}</text>'
        ).format(a=_LEFT, b=_LEFT + _WIDE, y=y(mark), before=_LEFT - 5, below=y(mark) + 4,
                 text=short(mark))  # fmt: skip
    for one, height, right in zip(bins, heights, ends, strict=True):
        drawn += Markup(
            '<rect class="bin{open}" x="{x:.1f}" y="{y:.1f}" width="{w:.1f}" height="{h:.1f}">'
            "<title>{said}</title></rect>"
        ).format(
            open=" open" if one.high is None else "", x=x(one.low) + 0.5, y=y(height),
            w=max(x(right) - x(one.low) - 1.0, 0.5), h=y(0) - y(height), said=_range(one, currency),
        )  # fmt: skip
    for mark in ticks(start, end, 4):
        beyond = bins[-1].high is None and mark > bins[-1].low
        if not beyond:
            drawn += Markup(
                '<text class="label" x="{x:.1f}" y="{y:.1f}" text-anchor="middle">{text}</text>'
            ).format(x=x(mark), y=y(0) + 15, text=short(mark))
    return Markup(
        '<svg class="chart wide" role="img" aria-labelledby="{uid}-t {uid}-d"'
        ' viewBox="0 0 {w:.0f} {h:.0f}"><title id="{uid}-t">People by expected value</title>'
        '<desc id="{uid}-d">{said}</desc>{drawn}'
        '<line class="axis" x1="{a:.1f}" x2="{b:.1f}" y1="{base:.1f}" y2="{base:.1f}"/>'
        '<text class="label" x="{mid:.1f}" y="{foot:.1f}" text-anchor="middle">{currency} expected'
        ' of a person</text><text class="label" x="{head:.1f}" y="{top:.1f}">people</text></svg>'
    ).format(
        uid=uid, w=_LEFT + _WIDE + 8, h=_TOP + _HIGH + _FOOT, drawn=drawn, a=_LEFT,
        said="; ".join(_range(one, currency) for one in bins), b=_LEFT + _WIDE, base=y(0),
        mid=_LEFT + _WIDE / 2, foot=y(0) + 36, currency=currency, head=_LEFT + _WIDE - 38,
        top=_TOP + 10,
    )  # fmt: skip


def concentration_chart(top: Sequence[TopShare], *, uid: str) -> Markup:
    """Share of the value by share of the people, most valuable first; the diagonal: all alike."""
    line = [(0.0, 0.0), *((one.people, one.value) for one in top)]
    said = "; ".join(
        f"the best {percent(one.people)} hold {percent(one.value)}" for one in top[:-1]
    )
    return square_chart(
        line=line,
        dots=line[1:-1],
        title="Concentration of value",
        description=said,
        across="people, most valuable first",
        upwards="of the value",
        uid=uid,
    )


def _range(one: ValueBin, currency: str) -> str:
    low = money(one.low, currency, digits=0)
    if one.high is None:
        return f"{low} and more: {count(one.people)} people"
    return f"{count(one.low)} to {money(one.high, currency, digits=0)}: {count(one.people)} people"
