"""The effect within classes of people, as text: of the goal, and of every metric side by side.

A class with few people is left out, and none of its numbers can be had by subtraction, because
classes are never added up here.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby

from markupsafe import Markup

from connector.report import effect_charts
from connector.report.data import ReportData
from connector.report.figures import mean_text, per_person, shows_figures
from connector.report.format import NONE, Spoken, count, p_value
from connector.report.lift import LiftRow, SegmentLiftRow
from connector.report.people import SMALL_CELL
from connector.report.words import VERDICTS, Phrase, metric_title, phrase, title


@dataclass(frozen=True, slots=True)
class ClassLine:
    """One class of people.

    Attributes:
        name: For people.
        treated, held: People counted, as text.
        span: The interval on the table's scale.
        difference: Per person; None where it may not be shown.
        p_adjusted: As text.
        code, verdict: The word.
    """

    name: str
    treated: str
    held: str
    span: Markup
    difference: Spoken | None
    p_adjusted: str
    code: str
    verdict: Phrase


@dataclass(frozen=True, slots=True)
class Classes:
    """The effect within the classes of one dimension.

    Attributes:
        dimension: For people.
        lines: Those with enough people.
        n_hidden: Classes with fewer people than are shown.
    """

    dimension: str
    lines: tuple[ClassLine, ...]
    n_hidden: int


def classes(lift: LiftRow, data: ReportData) -> tuple[Classes, ...]:
    """The classes of a result by dimension; none where the whole is not to be trusted."""
    if lift.verdict == "do_not_trust":
        return ()
    made = []
    for dimension, rows in _by_dimension(lift.segments):
        kept = [row for row in rows if _is_large_enough(row)]
        values = [row.difference if shows_figures(row, data.rules) else None for row in kept]
        reach = effect_charts.reach_of(values)
        lines = tuple(
            ClassLine(
                name=title(row.name),
                treated=_people(row.treatment.n),
                held=_people(row.holdout.n),
                span=effect_charts.span(value, reach, row.verdict),
                difference=per_person(lift, value, data.currency) if value else None,
                p_adjusted=p_value(row.p_adjusted)
                if value and row.p_adjusted is not None
                else NONE,
                code=row.verdict,
                verdict=phrase(VERDICTS, row.verdict),
            )
            for row, value in zip(kept, values, strict=True)
        )
        made.append(Classes(dimension_name(dimension), lines, len(rows) - len(kept)))
    return tuple(made)


def dimension_name(dimension: str) -> str:
    """What people are classed by, for people: ``rfm.group`` reads "RFM group"."""
    return title(dimension.replace(".", "_"))


def _by_dimension(
    rows: Iterable[SegmentLiftRow],
) -> list[tuple[str, list[SegmentLiftRow]]]:
    ordered = sorted(rows, key=lambda row: row.dimension)
    return [(name, list(some)) for name, some in groupby(ordered, lambda row: row.dimension)]


def _is_large_enough(row: SegmentLiftRow) -> bool:
    return row.treatment.n + row.holdout.n >= SMALL_CELL


def _people(n: int) -> str:
    return count(n) if n >= SMALL_CELL or n == 0 else f"fewer than {SMALL_CELL}"


# ---------------------------------------------------------------------- every metric by class
@dataclass(frozen=True, slots=True)
class KpiCell:
    """One metric in one class: both groups' outcome, and the difference; None: not shown."""

    metric: str
    treated: str
    held: str
    difference: Spoken | None


@dataclass(frozen=True, slots=True)
class KpiTable:
    """Every metric within the classes of one dimension.

    Attributes:
        dimension: For people.
        metrics: The columns.
        rows: Class and its cells, in the columns' order.
    """

    dimension: str
    metrics: tuple[str, ...]
    rows: tuple[tuple[str, tuple[KpiCell, ...]], ...]


def kpis(lifts: Sequence[LiftRow], data: ReportData) -> tuple[KpiTable, ...]:
    """Metrics of one comparison beside each other, class by class; two or more metrics.

    Args:
        lifts: Results of the same campaign, epoch and two arms.
        data: The report that they are in.
    """
    found: dict[str, dict[str, dict[int, SegmentLiftRow]]] = {}
    for i, lift in enumerate(lifts):
        for row in lift.segments:
            if lift.verdict != "do_not_trust" and _is_large_enough(row):
                found.setdefault(row.dimension, {}).setdefault(row.name, {})[i] = row
    tables = []
    for dimension, rows in sorted(found.items()):
        used = sorted({i for cells in rows.values() for i in cells})
        if len(used) < 2:
            continue
        tables.append(
            KpiTable(
                dimension_name(dimension),
                tuple(metric_title(lifts[i]) for i in used),
                tuple(
                    (title(name), tuple(_kpi(lifts[i], cells.get(i), data) for i in used))
                    for name, cells in rows.items()
                ),
            )
        )
    return tuple(tables)


def _kpi(lift: LiftRow, row: SegmentLiftRow | None, data: ReportData) -> KpiCell:
    name = metric_title(lift)
    if row is None or row.difference is None or not shows_figures(row, data.rules):
        return KpiCell(name, "", "", None)
    return KpiCell(
        name,
        mean_text(lift, row.treatment.mean, data.currency),
        mean_text(lift, row.holdout.mean, data.currency),
        per_person(lift, row.difference, data.currency),
    )
