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
from connector.report.lift import Estimate, LiftRow, SegmentLiftRow
from connector.report.people import SMALL_CELL
from connector.report.words import VERDICTS, Phrase, label, metric_title, phrase, title


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
        metrics: The columns.
        rows: Class and its cells, in the columns' order; those of which something can be said.
    """

    metrics: tuple[str, ...]
    rows: tuple[tuple[str, tuple[KpiCell, ...]], ...]


@dataclass(frozen=True, slots=True)
class ClassLine:
    """One class of people.

    Attributes:
        name: For people.
        treated, held: People counted, as text.
        span: The interval on the table's scale.
        difference: Per person.
        p_adjusted: As text.
        code, verdict: The word.
    """

    name: str
    treated: str
    held: str
    span: Markup
    difference: Spoken
    p_adjusted: str
    code: str
    verdict: Phrase


@dataclass(frozen=True, slots=True)
class Classes:
    """The effect within the classes of one dimension.

    Attributes:
        dimension: For people.
        lines: Those of which something can be said.
        silent: Names of those with too few buyers for that.
        n_hidden: Classes with fewer people than are shown.
        kpis: Every metric in the same classes; None where there is one only.
    """

    dimension: str
    lines: tuple[ClassLine, ...]
    silent: tuple[str, ...]
    n_hidden: int
    kpis: KpiTable | None = None


def classes(lifts: Sequence[LiftRow], data: ReportData) -> tuple[Classes, ...]:
    """The classes of a result by dimension; none where the whole is not to be trusted.

    Args:
        lifts: The result, and after it others of the same campaign, epoch and two arms.
        data: The report that they are in.
    """
    judged = lifts[0]
    if judged.verdict == "do_not_trust":
        return ()
    made = []
    for dimension, rows in _by_dimension(judged.segments):
        kept = [row for row in rows if _is_large_enough(row)]
        told = [(r, r.difference) for r in kept if r.difference and shows_figures(r, data.rules)]
        reach = effect_charts.reach_of([value for _, value in told])
        made.append(
            Classes(
                dimension_name(dimension),
                tuple(_class_line(judged, row, value, reach, data) for row, value in told),
                tuple(title(r.name) for r in kept if all(r is not row for row, _ in told)),
                len(rows) - len(kept),
                _kpis(lifts, dimension, data),
            )
        )
    return tuple(made)


def _class_line(
    lift: LiftRow,
    row: SegmentLiftRow,
    value: Estimate,
    reach: tuple[float, float],
    data: ReportData,
) -> ClassLine:
    return ClassLine(
        name=title(row.name),
        treated=_people(row.treatment.n),
        held=_people(row.holdout.n),
        span=effect_charts.span(value, reach, row.verdict),
        difference=per_person(lift, value, data.currency),
        p_adjusted=NONE if row.p_adjusted is None else p_value(row.p_adjusted),
        code=row.verdict,
        verdict=phrase(VERDICTS, row.verdict),
    )


def dimension_name(dimension: str) -> str:
    """What people are classed by, for people: ``rfm.group`` reads "RFM group"."""
    table, _, column = dimension.partition(".")
    if not column or "," not in label(table):
        return title(dimension.replace(".", "_"))
    return f"{title(table)}: {label(column)}"


def _by_dimension(
    rows: Iterable[SegmentLiftRow],
) -> list[tuple[str, list[SegmentLiftRow]]]:
    ordered = sorted(rows, key=lambda row: row.dimension)
    return [(name, list(some)) for name, some in groupby(ordered, lambda row: row.dimension)]


def _is_large_enough(row: SegmentLiftRow) -> bool:
    return row.treatment.n + row.holdout.n >= SMALL_CELL


def _people(n: int) -> str:
    return count(n) if n >= SMALL_CELL or n == 0 else f"fewer than {SMALL_CELL}"


def _kpis(lifts: Sequence[LiftRow], dimension: str, data: ReportData) -> KpiTable | None:
    """Metrics of one comparison beside each other, class by class; two or more metrics."""
    found: dict[str, dict[int, KpiCell]] = {}
    for i, lift in enumerate(lifts):
        for row in lift.segments:
            if row.dimension != dimension or not _is_large_enough(row):
                continue
            if row.difference is None or not shows_figures(row, data.rules):
                continue
            if lift.verdict == "do_not_trust":
                continue
            found.setdefault(row.name, {})[i] = KpiCell(
                metric_title(lift),
                mean_text(lift, row.treatment.mean, data.currency),
                mean_text(lift, row.holdout.mean, data.currency),
                per_person(lift, row.difference, data.currency),
            )
    used = sorted({i for cells in found.values() for i in cells})
    if len(used) < 2:
        return None
    return KpiTable(
        tuple(metric_title(lifts[i]) for i in used),
        tuple(
            (
                title(name),
                tuple(cells.get(i) or KpiCell(metric_title(lifts[i]), "", "", None) for i in used),
            )
            for name, cells in found.items()
        ),
    )
