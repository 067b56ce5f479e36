"""Inline SVG from small pure functions: no script, no fonts, nothing fetched.

Colours come from the page's style sheet by class, so that light, dark and print agree. Whatever a
colour says, a shape, a pattern or a number says as well. Charts that only repeat a number beside
them are hidden from screen readers; the others have a title and a description.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from connector.report.format import MINUS, count, percent
from connector.report.lift import Estimate

_PLOT_WIDTH = 360.0
_PLOT_MARGIN = 26.0
_TICKS = 4

HEAT_LEVELS = 9
"""Steps of the heat map's ramp, without the empty one."""

_ICONS = {
    "win": '<path d="M10 3 18 17H2Z"/>',
    "loss": '<path d="M10 17 2 3h16Z"/>',
    "flat": '<path d="M2 5.5h16v3.5H2zM2 11.5h16V15H2z"/>',
    "directional_only": (
        '<path d="M10 2 18 10 10 18 2 10Z" fill="none" stroke="currentColor" stroke-width="2.4"/>'
    ),
    "not_enough_data": (
        '<circle cx="3.5" cy="10" r="2.3"/><circle cx="10" cy="10" r="2.3"/>'
        '<circle cx="16.5" cy="10" r="2.3"/>'
    ),
    "do_not_trust": (
        '<path d="M4 4 16 16M16 4 4 16" fill="none" stroke="currentColor" stroke-width="3.6"'
        ' stroke-linecap="round"/>'
    ),
    "": '<circle cx="10" cy="10" r="4"/>',
}


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a stacked bar.

    Attributes:
        label: What it is.
        people: How many.
        css: Class that gives its colour.
    """

    label: str
    people: int
    css: str


def verdict_icon(code: str) -> Markup:
    """The shape of a verdict; the word stands beside it."""
    shape = _ICONS.get(code, _ICONS[""])
    return Markup(  # noqa: S704 - the shapes are constants of this module
        f'<svg class="icon" viewBox="0 0 20 20" aria-hidden="true" focusable="false">{shape}</svg>'
    )


def bar(share: float, css: str = "") -> Markup:
    """A bar that repeats a number beside it.

    Args:
        share: 0 to 1; what lies outside is cut off.
        css: Class that gives its colour.
    """
    width = 100 * min(max(share, 0.0), 1.0)
    return Markup(
        '<svg class="bar {}" viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true"'
        ' focusable="false"><rect class="track" width="100" height="8"/>'
        '<rect class="fill" width="{:.2f}" height="8"/></svg>'
    ).format(css, width)


def stacked_bar(parts: Sequence[Part], *, title: str, uid: str) -> Markup:
    """Parts of a whole side by side.

    Args:
        parts: In order; those without people are passed over.
        title: What the whole is.
        uid: Unique in the page.
    """
    total = sum(part.people for part in parts)
    present = [part for part in parts if part.people]
    rects, x = Markup(), 0.0
    for part in present:
        width = 100 * part.people / total
        rects += Markup(
            '<rect class="{}" x="{:.3f}" width="{:.3f}" height="10"><title>{}</title></rect>'
        ).format(part.css, x, width, f"{part.label}: {count(part.people)}")
        x += width
    said = "; ".join(f"{p.label} {count(p.people)} ({percent(p.people / total)})" for p in present)
    return Markup(
        '<svg class="stack" role="img" aria-labelledby="{uid}-t {uid}-d" viewBox="0 0 100 10"'
        ' preserveAspectRatio="none"><title id="{uid}-t">{title}</title>'
        '<desc id="{uid}-d">{said}</desc>{rects}</svg>'
    ).format(uid=uid, title=title, said=said or "nobody", rects=rects)


def heat_level(value: float | None, largest: float) -> int:
    """The step of the ramp for a value, 0 for none; by square roots, so that small values differ.

    Args:
        value: 0 or more; None where it is not shown.
        largest: The value of the darkest step.
    """
    if not value or value < 0 or largest <= 0:
        return 0
    return max(1, math.ceil(HEAT_LEVELS * math.sqrt(min(value / largest, 1.0))))


def ticks(low: float, high: float, n: int = _TICKS) -> tuple[float, ...]:
    """About ``n`` round numbers between two bounds, zero among them where it lies between.

    Args:
        low: The smaller bound.
        high: The larger bound.
        n: How many are wished for.
    """
    if not high > low:
        return (low,)
    rough = (high - low) / n
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * m for m in (1, 2, 5, 10) if power * m >= rough * 0.999)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return tuple(round(i * step, 10) + 0.0 for i in range(first, last + 1))


def forest_plot(
    value: Estimate,
    *,
    scale: float,
    margin: float,
    firm: str,
    title: str,
    description: str,
    uid: str,
) -> Markup:
    """One difference and its interval against zero.

    Args:
        value: The difference per person.
        scale: Times this: 100 for percentage points.
        margin: Largest difference that counts as none, unscaled; drawn as a band.
        firm: Class of the verdict; ``directional_only`` and ``not_enough_data`` are drawn hollow.
        title: For screen readers.
        description: Likewise, with the numbers.
        uid: Unique in the page.
    """
    estimate, low, high = (x * scale for x in (value.estimate, value.low, value.high))
    band = margin * scale
    least, most = min(low, estimate, -band, 0.0), max(high, estimate, band, 0.0)
    room = 0.06 * (most - least) or 1.0
    least, most = least - room, most + room

    def x(number: float) -> float:
        inner = _PLOT_WIDTH - 2 * _PLOT_MARGIN
        return _PLOT_MARGIN + inner * (number - least) / (most - least)

    marks = ticks(least, most)
    digits = tick_digits(marks)
    labels = Markup().join(
        Markup(
            '<line class="tick" x1="{x:.1f}" x2="{x:.1f}" y1="52" y2="57"/>'
            '<text class="{css}" x="{x:.1f}" y="70">{text}</text>'
        ).format(
            x=x(mark),
            css="label zero" if mark == 0 else "label",
            text=f"{mark:+,.{digits}f}".replace("-", MINUS) if mark else "0",
        )
        for mark in marks
    )
    hollow = " hollow" if firm in ("directional_only", "not_enough_data") else ""
    return Markup(
        '<svg class="forest v-{firm}{hollow}" role="img" aria-labelledby="{uid}-t {uid}-d"'
        ' viewBox="0 0 360 76"><title id="{uid}-t">{title}</title>'
        '<desc id="{uid}-d">{description}</desc>'
        '<rect class="band" x="{band_x:.1f}" width="{band_w:.1f}" y="16" height="36"/>'
        '<text class="side" x="{less:.1f}" y="10" text-anchor="end">less {left}</text>'
        '<text class="side" x="{more:.1f}" y="10">{right} more</text>'
        '<line class="axis" x1="0" x2="360" y1="52" y2="52"/>'
        '<line class="zero-line" x1="{zero:.1f}" x2="{zero:.1f}" y1="2" y2="57"/>{labels}'
        '<path class="whisker" d="M{low:.1f} 34H{high:.1f}M{low:.1f} 27v14M{high:.1f} 27v14"/>'
        '<circle class="point" cx="{point:.1f}" cy="34" r="6.5"/></svg>'
    ).format(
        firm=firm,
        hollow=hollow,
        uid=uid,
        title=title,
        description=description,
        band_x=x(-band),
        band_w=x(band) - x(-band),
        less=x(0) - 6,
        more=x(0) + 6,
        left="\u2190",
        right="\u2192",
        zero=x(0),
        labels=labels,
        low=x(low),
        high=x(high),
        point=x(estimate),
    )


def tick_digits(marks: Sequence[float]) -> int:
    """Decimals that tell the marks apart."""
    return next(d for d in range(11) if all(abs(round(m, d) - m) < 1e-9 for m in marks) or d == 10)
