"""From people to moments in one scan: every arm, at every look, in every class.

A person's outcome is fixed when the window closes, so the people whose windows close in one week
are a part of the arm that never changes again. The scan groups by that week, and the parts up to a
week, merged by Chan's formula, are the arm as it stood at that look: all looks of a year come from
one pass over the people. In the same pass (grouping sets) the people are grouped by what they were
when they were assigned, one dimension after the other.

Sums are taken about a number near the mean, never as sums of powers, which cancel (see
:mod:`connector.lift.moments`). The mean over everybody serves nearly always. Where an arm lies far
from it, seen from its own spread, its own mean is taken in a second pass.

References:
    Chan, Golub & LeVeque (1983), "Algorithms for computing the sample variance", The American
    Statistician 37(3).
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from connector.lift.inputs import LOOK, companion, idle
from connector.lift.joint import JointMoments, merge_all_joint
from connector.lift.moments import ArmMoments, Cell
from connector.warehouse.render import literal, quote

if TYPE_CHECKING:
    from connector.ports import Warehouse

NEAR = 10.0
"""Standard deviations between an arm's mean and the number that sums are taken about, at most; it
costs three of a double's sixteen digits in the third moment."""

FAR = 1000.0
"""The same for a class of people within an arm, which is only shown and never judged by itself."""

UNDATED = datetime(1970, 1, 5)  # noqa: DTZ001 - as a database gives it
"""The one week of people who are not told apart by week."""

ARM = ("campaign", "epoch", "arm")
SUMS = (
    *("n", "cy", "cx", "sy", "sx", "syy", "sxx", "sxy", "syyy", "syyx", "syxx", "sxxx"),
    *("y_nonzero", "x_nonzero", "y_total", "x_total", "lowest", "highest"),
)
"""What is known of one column of one group, in the order of the statement's columns."""


@dataclass(frozen=True, slots=True)
class Measured:
    """One outcome in one arm.

    Attributes:
        looks: Monday of a week -> those whose windows ended in it; in order.
        classes: (dimension, class) -> those of it; the class is empty where it is not known.
    """

    looks: tuple[tuple[datetime, JointMoments], ...]
    classes: Mapping[tuple[str, str], JointMoments] = field(default_factory=dict)

    @property
    def total(self) -> JointMoments:
        """Everybody."""
        return merge_all_joint(part for _, part in self.looks)


def scan_sql(
    relation: str,
    metrics: Sequence[str],
    *,
    companions: Collection[str] = (),
    idles: Collection[str] = (),
    dimensions: Sequence[str] = (),
    centres: Mapping[str, float] | None = None,
    by_look: bool = True,
) -> str:
    """SQL of the sums of several outcomes at once.

    Args:
        relation: Columns ``campaign, epoch, arm, look``, the dimensions and the outcomes; one row
            per person.
        metrics: Names of the outcomes. NULL values are left out.
        companions: Outcomes that have a second column (:func:`.units.companion`).
        idles: Outcomes that are not zero of somebody who does nothing
            (:func:`connector.lift.inputs.idle`): a price for each contact makes no buyer.
        dimensions: Columns that people are classed by.
        centres: Column -> a number near its mean in every arm: then one pass does. Without it, the
            means of every arm are taken in a pass of their own.
        by_look: Whether to group by week; else the relation needs no such column.

    Returns:
        House-dialect SQL with one row per campaign, epoch, arm and week, and one per campaign,
        epoch, arm and class: ``campaign, epoch, arm, look``, the dimensions, and :data:`SUMS` of
        each outcome. Columns that a row is not grouped by are NULL.
    """
    pairs = [(m, companion(m) if m in companions else None) for m in metrics]
    values = []
    for i, (y, x) in enumerate(pairs):
        values.append(f"CAST({quote(y)} AS DOUBLE) AS y{i}")
        if x is not None:
            values.append(
                f"CASE WHEN {quote(y)} IS NOT NULL THEN CAST({quote(x)} AS DOUBLE) END AS x{i}"
            )
        if y in idles:
            values.append(f"CAST({quote(idle(y))} AS DOUBLE) AS i{i}")
    classes = [f"coalesce({quote(name)}, '') AS k{i}" for i, name in enumerate(dimensions)]
    weeks = [LOOK] if by_look else []
    keys = [*ARM, *weeks, *(f"k{i}" for i in range(len(dimensions)))]
    steps = [
        f"units AS (SELECT {', '.join([*ARM, *weeks, *classes, *values])} FROM {quote(relation)})"
    ]
    columns = [f"{z}{i}" for i, (_, x) in enumerate(pairs) for z in ("yx" if x else "y")]
    if centres is None:
        means = ", ".join(f"avg({c}) AS c{c}" for c in columns)
        steps.append(
            f"centres AS (SELECT {', '.join(ARM)}, {means} FROM units GROUP BY {', '.join(ARM)})"
        )
        on = " AND ".join(f"f.{key} = u.{key}" for key in ARM)
        source = f"units AS u JOIN centres AS f ON {on}"
        at = {c: f"f.c{c}" for c in columns}
        shown = {c: f"max({text})" for c, text in at.items()}
    else:
        source = "units AS u"
        names = [name for y, x in pairs for name in (y, x) if name is not None]
        at = {c: literal(float(centres[name])) for c, name in zip(columns, names, strict=True)}
        shown = at
    sums = ", ".join(
        _sums(i, at, shown, has_x=x is not None, has_idle=y in idles)
        for i, (y, x) in enumerate(pairs)
    )
    sets = [[*ARM, *weeks], *([*ARM, f"k{i}"] for i in range(len(dimensions)))]
    grouping = ", ".join(f"({', '.join(f'u.{key}' for key in one)})" for one in sets)
    group = f"GROUPING SETS ({grouping})" if dimensions else grouping.strip("()")
    picked = ", ".join(f"u.{key} AS {key}" for key in keys)
    return f"WITH {', '.join(steps)} SELECT {picked}, {sums} FROM {source} GROUP BY {group}"


def read_moments(
    warehouse: Warehouse, relation: str, metrics: Sequence[str]
) -> dict[Cell, ArmMoments]:
    """Moments of every campaign, epoch, arm and outcome, without looks and classes.

    Args:
        warehouse: Holds the relation.
        relation: Columns ``campaign, epoch, arm`` and the outcomes; one row per person.
        metrics: Names of the outcomes.
    """
    found = _scan(warehouse, relation, metrics, (), (), (), by_look=False)
    return {cell: one.total.y for cell, one in found.items()}


def _sums(
    i: int, at: Mapping[str, str], shown: Mapping[str, str], *, has_x: bool, has_idle: bool
) -> str:
    """The sums of one outcome, in the order of :data:`SUMS`."""
    y, dy = f"u.y{i}", f"(u.y{i} - {at[f'y{i}']})"
    nothing = f"u.i{i}" if has_idle else "0"
    terms = {
        "n": f"count({y})",
        "cy": shown[f"y{i}"],
        "sy": f"sum({dy})",
        "syy": f"sum({dy} * {dy})",
        "syyy": f"sum({dy} * {dy} * {dy})",
        "y_nonzero": f"sum(CASE WHEN {y} <> {nothing} THEN 1 ELSE 0 END)",
        "y_total": f"sum({y})",
        "lowest": f"min({y})",
        "highest": f"max({y})",
    }
    if has_x:
        x, dx = f"u.x{i}", f"(u.x{i} - {at[f'x{i}']})"
        terms |= {
            "cx": shown[f"x{i}"],
            "sx": f"sum({dx})",
            "sxx": f"sum({dx} * {dx})",
            "sxy": f"sum({dx} * {dy})",
            "syyx": f"sum({dy} * {dy} * {dx})",
            "syxx": f"sum({dy} * {dx} * {dx})",
            "sxxx": f"sum({dx} * {dx} * {dx})",
            "x_nonzero": f"sum(CASE WHEN {x} <> 0 THEN 1 ELSE 0 END)",
            "x_total": f"sum({x})",
        }
    return ", ".join(f"{terms.get(name, '0')} AS {name}_{i}" for name in SUMS)


def scan(
    warehouse: Warehouse,
    relation: str,
    metrics: Sequence[str],
    *,
    companions: Collection[str] = (),
    idles: Collection[str] = (),
    dimensions: Sequence[str] = (),
) -> dict[Cell, Measured]:
    """Moments of every campaign, epoch, arm and outcome; empty arms have no entry.

    Args:
        warehouse: Holds the relation.
        relation: As :func:`scan_sql` wants it.
        metrics: Names of the outcomes.
        companions: Outcomes that have a second column.
        idles: Outcomes that are not zero of somebody who does nothing.
        dimensions: Columns that people are classed by.
    """
    return _scan(warehouse, relation, metrics, companions, idles, dimensions, by_look=True)


def _scan(
    warehouse: Warehouse,
    relation: str,
    metrics: Sequence[str],
    companions: Collection[str],
    idles: Collection[str],
    dimensions: Sequence[str],
    *,
    by_look: bool,
) -> dict[Cell, Measured]:
    if not metrics:
        return {}
    columns = [*metrics, *(companion(m) for m in metrics if m in companions)]
    means = ", ".join(f"avg({quote(c)})" for c in columns)
    (everybody,) = warehouse.rows(f"SELECT {means} FROM {quote(relation)}")
    centres = {
        name: 0.0 if mean is None else float(mean)
        for name, mean in zip(columns, everybody, strict=True)
    }

    def read(about: Mapping[str, float] | None) -> dict[Cell, Measured]:
        text = scan_sql(
            relation,
            metrics,
            companions=companions,
            idles=idles,
            dimensions=dimensions,
            centres=about,
            by_look=by_look,
        )
        rows = warehouse.rows(text)
        if not by_look:
            rows = [(*row[: len(ARM)], UNDATED, *row[len(ARM) :]) for row in rows]
        return _collect(rows, metrics, dimensions)

    found = read(centres)
    if not all(_is_near(one, cell, centres) for cell, one in found.items()):
        found = read(None)
    return found


def _collect(
    rows: Sequence[tuple[Any, ...]], metrics: Sequence[str], dimensions: Sequence[str]
) -> dict[Cell, Measured]:
    """Rows of a scan, sorted into looks and classes."""
    looks: dict[Cell, dict[datetime, JointMoments]] = {}
    classes: dict[Cell, dict[tuple[str, str], JointMoments]] = {}
    first = len(ARM) + 1 + len(dimensions)
    for row in rows:
        campaign, epoch, arm, look, *names = row[:first]
        for i, metric in enumerate(metrics):
            sums = dict(zip(SUMS, row[first + i * len(SUMS) :], strict=False))
            if not sums["n"]:
                continue
            cell = Cell(str(campaign), int(epoch), str(arm), metric)
            moments = _moments(sums)
            if look is not None:
                looks.setdefault(cell, {})[look.replace(tzinfo=UTC)] = moments
                continue
            dimension, name = next(
                (d, n) for d, n in zip(dimensions, names, strict=True) if n is not None
            )
            classes.setdefault(cell, {})[dimension, str(name)] = moments
    return {
        cell: Measured(
            tuple(sorted(parts.items(), key=lambda part: part[0])), classes.get(cell, {})
        )
        for cell, parts in looks.items()
    }


def _moments(sums: Mapping[str, Any]) -> JointMoments:
    """One group's moments; without a spread where the smallest value is the largest."""
    lowest, highest = float(sums["lowest"]), float(sums["highest"])
    whole = {"n", "y_nonzero", "x_nonzero"}
    numbers: dict[str, Any] = {
        name: int(value) if name in whole else float(value)
        for name, value in sums.items()
        if name not in ("lowest", "highest")
    }
    found = JointMoments.from_centred(**numbers)
    y, x = found.y, found.x
    if lowest == highest:
        # Rounding must not make a spread where there is none: an interval would follow from it.
        y = ArmMoments(y.n, lowest, 0.0 if y.n > 1 else math.nan, 0.0, y.n_nonzero, y.total)
    if not x.n_nonzero:
        x = ArmMoments(x.n, 0.0, 0.0 if x.n > 1 else math.nan, 0.0, 0, 0.0)
    if y.n == 1:
        return replace(found, y=y, x=x)
    if y.variance == 0 or x.variance == 0:
        return JointMoments(y, x, 0.0, 0.0, 0.0)
    return replace(found, y=y, x=x)


def _is_near(found: Measured, cell: Cell, centres: Mapping[str, float]) -> bool:
    """Whether the sums were about numbers that lie within the spread of the values."""
    whole = found.total
    centre = centres[cell.metric]
    own = centres.get(companion(cell.metric))
    near = _within(whole.y, centre, NEAR) and (own is None or _within(whole.x, own, NEAR))
    return near and all(_within(part.y, centre, FAR) for part in found.classes.values())


def _within(moments: ArmMoments, centre: float, most: float) -> bool:
    """Whether a mean lies within so many standard deviations of a number."""
    if moments.n < 2 or moments.variance == 0:
        return True
    return (moments.mean - centre) ** 2 <= most**2 * moments.variance
