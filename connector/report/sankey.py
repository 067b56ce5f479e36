"""Who moved where, drawn: a Sankey diagram of two columns.

The places of both columns stand in one order, so that whoever stayed runs straight across and is
drawn in grey; colour is for those who moved, by where they came from. Colours repeat after eight
places, and the eight can be told apart by the colour-blind; the names at both ends and the table
beside the drawing say the same without any.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from connector.report.format import count, percent
from connector.report.migration import NOT_DESCRIBED, NOT_KNOWN, FlowRow, MigrationSummary

_BAR, _PITCH, _TOP, _LINE = 11.0, 17.0, 26.0, 14.0
"""Width of a place's bar, room of a place, room above, height of a line."""

_HEIGHT = 380.0
"""All people together, before the room between places."""

COLOURS = 8
"""Colours that the style sheet has."""

ELSEWHERE: Mapping[str, tuple[str, str]] = {
    NOT_DESCRIBED: ("not described", "not described"),
    NOT_KNOWN: ("new", "not known any more"),
}
"""What a place that is none is called, before and after."""


@dataclass(frozen=True, slots=True)
class Layout:
    """Where the columns stand.

    Attributes:
        css: Class of the drawing.
        width: Of the whole.
        room: For the names on either side.
        letters: Of a name and its people; a longer name is cut, and told in full when pointed at.
    """

    css: str
    width: float
    room: float
    letters: int

    @property
    def ends(self) -> tuple[float, float]:
        """Left edge of each column's bars."""
        return self.room, self.width - self.room - _BAR


WIDE = Layout("wide-screen", 760.0, 196.0, 31)
NARROW = Layout("small-screen", 358.0, 114.0, 19)
"""For a telephone, where the names take what they need and the bands the rest."""


@dataclass(frozen=True, slots=True)
class _Seat:
    """A place in one column: where it begins, and how high it is."""

    top: float
    height: float


def sankey_chart(
    summary: MigrationSummary,
    *,
    uid: str,
    caption: Callable[[str], str] = str,
    layout: Layout = WIDE,
) -> Markup:
    """Everybody's way from place to place; people who stayed included.

    Args:
        summary: What to draw.
        uid: Unique in the page.
        caption: A place's name for people.
        layout: Where the columns stand.
    """
    flows = [one for one in summary.flows if one.people]
    total = sum(one.people for one in flows) or 1
    sides = [_seats(summary, flows, total, side) for side in ("before", "after")]
    height = max(seat.top + seat.height for side in sides for seat in side.values()) + 12
    order = {place.id: i for i, place in enumerate(summary.places)}
    names = [_names(summary, i, caption) for i in (0, 1)]

    drawn = _ribbons(flows, order, sides, total, names, layout)
    labels = Markup()
    for i, side in enumerate(sides):
        people = summary.people_before if i == 0 else summary.people_after
        for key, seat in side.items():
            labels += _label(
                seat, i, names[i][key], count(people(key)), place_class(order[key]), layout
            )
    return Markup(
        '<svg class="chart sankey {css}" role="img" aria-labelledby="{uid}-t {uid}-d"'
        ' viewBox="0 0 {w:.0f} {h:.0f}"><title id="{uid}-t">Who moved where</title>'
        '<desc id="{uid}-d">{said}</desc>'
        '<text class="head" x="{left:.1f}" y="14" text-anchor="end">before</text>'
        '<text class="head" x="{right:.1f}" y="14">now</text>{drawn}{labels}</svg>'
    ).format(
        uid=uid, css=layout.css, w=layout.width, h=height, drawn=drawn, labels=labels,
        left=layout.ends[0] + _BAR, right=layout.ends[1], said=_said(summary, names),
    )  # fmt: skip


def place_class(number: int) -> str:
    """Class that gives a place its colour."""
    return f"place-{number % COLOURS + 1}"


def place_name(place: str, side: int, names: Mapping[str, str]) -> str:
    """What a place is called, before (side 0) or after (side 1)."""
    return ELSEWHERE[place][side] if place in ELSEWHERE else names[place]


def _label(seat: _Seat, side: int, name: str, people: str, css: str, layout: Layout) -> Markup:
    """A place's bar with its name and people, on two lines where they need and have the room."""
    x = layout.ends[side]
    at = x - 7 if side == 0 else x + _BAR + 7
    middle = seat.top + seat.height / 2 + 4
    is_long = len(name) + 1 + len(people) > layout.letters
    if is_long and seat.height >= 2 * _LINE:
        shown, top = _cut(name, layout.letters), middle - _LINE / 2
        below = Markup('<tspan class="n" x="{:.1f}" dy="{:.0f}">{}</tspan>').format(
            at, _LINE, people
        )
    else:
        shown, top = _cut(name, layout.letters - 1 - len(people)), middle
        below = Markup(' <tspan class="n">{}</tspan>').format(people)
    full = Markup("<title>{}</title>").format(name) if shown != name else Markup()
    return Markup(
        '<rect class="seat-bar {css}" x="{x:.1f}" y="{y:.1f}" width="{w:.1f}" height="{h:.1f}"/>'
        '<text class="label" x="{at:.1f}" y="{top:.1f}" text-anchor="{anchor}">{shown}{below}{full}'
        "</text>"
    ).format(
        css=css, x=x, y=seat.top, w=_BAR, h=seat.height, at=at, top=top, shown=shown, below=below,
        full=full, anchor="end" if side == 0 else "start",
    )  # fmt: skip


def _cut(name: str, letters: int) -> str:
    return name if len(name) <= letters else f"{name[: letters - 1].rstrip(' ,')}\u2026"


def _names(
    summary: MigrationSummary, side: int, caption: Callable[[str], str]
) -> Mapping[str, str]:
    return {
        place.id: caption(place_name(place.id, side, summary.names)) for place in summary.places
    }


def _seats(
    summary: MigrationSummary, flows: Sequence[FlowRow], total: int, side: str
) -> dict[str, _Seat]:
    """Places of one column from top to bottom, each with room for its name."""
    people = summary.people_before if side == "before" else summary.people_after
    found, y = {}, _TOP
    for place in summary.places:
        n = people(place.id)
        if not n:
            continue
        high = _HEIGHT * n / total
        room = max(high, _PITCH - 4)
        found[place.id] = _Seat(y + (room - high) / 2, high)
        y += room + 6
    return found


def _ribbons(
    flows: Sequence[FlowRow],
    order: Mapping[str, int],
    sides: Sequence[Mapping[str, _Seat]],
    total: int,
    names: Sequence[Mapping[str, str]],
    layout: Layout,
) -> Markup:
    """Bands as wide as their people; those who stayed first, so that movers lie on top."""
    start = {key: seat.top for key, seat in sides[0].items()}
    end = {key: seat.top for key, seat in sides[1].items()}
    x0, x1 = layout.ends[0] + _BAR, layout.ends[1]
    middle = (x0 + x1) / 2
    stays, moves = Markup(), Markup()
    places = sorted(flows, key=lambda one: (order[one.before], order[one.after]))
    # Bands leave a place in the order of where they go, and arrive in that of where they come from.
    for one in places:
        high = _HEIGHT * one.people / total
        a, b = start[one.before], end[one.after]
        start[one.before] += high
        end[one.after] += high
        said = f"{names[0][one.before]} \u2192 {names[1][one.after]}: {count(one.people)}"
        band = Markup(
            '<path class="{css}" d="M{x0:.1f} {a:.1f}C{m:.1f} {a:.1f} {m:.1f} {b:.1f} {x1:.1f}'
            " {b:.1f}V{b2:.1f}C{m:.1f} {b2:.1f} {m:.1f} {a2:.1f} {x0:.1f} {a2:.1f}Z"
            '"><title>{said}</title></path>'
        ).format(
            css="stay" if one.is_stay else f"flow {place_class(order[one.before])}",
            x0=x0, x1=x1, m=middle, a=a, b=b, a2=a + high, b2=b + high, said=said,
        )  # fmt: skip
        if one.is_stay:
            stays += band
        else:
            moves += band
    return stays + moves


def _said(summary: MigrationSummary, names: Sequence[Mapping[str, str]]) -> str:
    whole = summary.stayed + summary.moved
    first = f"{count(summary.stayed)} of {count(whole)} people stayed"
    first += f" ({percent(summary.stayed / whole)})" if whole else ""
    top = [
        f"{names[0][one.before]} to {names[1][one.after]}, {count(one.people)}"
        for one in summary.moves[:5]
    ]
    return f"{first}. Largest moves: {'; '.join(top)}." if top else f"{first}."
