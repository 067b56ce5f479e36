"""The RFM grid as text, and who of a segment was addressed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from connector.report import charts
from connector.report.format import NONE, count, percent, short
from connector.report.people import RfmSummary
from connector.report.words import ARMS, axis_labels, phrase


@dataclass(frozen=True, slots=True)
class GridCell:
    """One cell of the grid as text.

    Attributes:
        people: How many, as text.
        money: Their revenue in whole units of the currency; a dash where it is not shown.
        level: Step of the heat map's ramp.
        share: People, as a share of the fullest cell.
        money_short: The revenue for a narrow screen, such as ``56k``.
        each: Revenue of one of them; empty where it is not shown.
    """

    people: str
    money: str
    level: int
    share: float
    money_short: str = ""
    each: str = ""


@dataclass(frozen=True, slots=True)
class GridRow:
    """One recency score: its number, what it means, and its cells by frequency."""

    score: int
    label: str
    cells: tuple[GridCell, ...]


@dataclass(frozen=True, slots=True)
class MoneyRow:
    """One money score.

    Attributes:
        score: Its number.
        label: What a person with it has spent.
        people: How many; None where a run did not tell.
        people_share: Of the people in the grid (0-1).
        revenue: Together; None where it is not shown.
        revenue_share: Of the revenue that is shown (0-1).
    """

    score: int
    label: str
    people: int | None
    people_share: float
    revenue: float | None
    revenue_share: float


@dataclass(frozen=True, slots=True)
class Grid:
    """The RFM grid: recency downwards from the most recent, frequency to the right.

    Attributes:
        columns: Frequency scores and what they mean.
        rows: Recency scores.
        monetary: Money scores, the highest first.
        withheld: Whether a cell's money is not shown.
        withheld_money: Whether a money score's is not: then no share of the whole is told.
    """

    columns: tuple[tuple[int, str], ...]
    rows: tuple[GridRow, ...]
    monetary: tuple[MoneyRow, ...]
    withheld: bool
    withheld_money: bool


def grid(rfm: RfmSummary, currency: str) -> Grid:
    """The grid of a model, every cell included."""
    found = {(cell.r, cell.f): cell for cell in rfm.cells}
    most_people = max((cell.people for cell in rfm.cells), default=0) or 1
    most_money = max((cell.revenue or 0.0 for cell in rfm.cells), default=0.0)

    def made(r: int, f: int) -> GridCell:
        cell = found.get((r, f))
        if cell is None or not cell.people:
            return GridCell("0", "", 0, 0.0)
        return GridCell(
            people=count(cell.people),
            money=NONE if cell.revenue is None else count(cell.revenue),
            level=charts.heat_level(cell.revenue, most_money),
            share=cell.people / most_people,
            money_short=NONE if cell.revenue is None else short(cell.revenue),
            each="" if cell.revenue is None else count(cell.revenue / cell.people),
        )

    scores = range(1, rfm.frequency.bins + 1)
    recency = axis_labels(rfm.recency, currency)
    return Grid(
        columns=tuple(zip(scores, axis_labels(rfm.frequency, currency), strict=True)),
        rows=tuple(
            GridRow(r, recency[r - 1], tuple(made(r, f) for f in scores))
            for r in range(rfm.recency.bins, 0, -1)
        ),
        monetary=_money_rows(rfm, currency),
        withheld=any(cell.revenue is None for cell in rfm.cells),
        withheld_money=any(one.revenue is None for one in rfm.money),
    )


def _money_rows(rfm: RfmSummary, currency: str) -> tuple[MoneyRow, ...]:
    """Every money score, the highest first."""
    found = {one.m: one for one in rfm.money}
    people = sum(one.people for one in rfm.money) or 1
    revenue = sum(one.revenue or 0.0 for one in rfm.money)
    made = []
    for score, words in enumerate(axis_labels(rfm.monetary, currency), start=1):
        one = found.get(score)
        n, amount = (one.people, one.revenue) if one else (0, 0.0)
        made.append(
            MoneyRow(
                score=score,
                label=words,
                people=n if rfm.money else None,
                people_share=n / people,
                revenue=amount,
                revenue_share=(amount or 0.0) / revenue if revenue > 0 else 0.0,
            )
        )
    return tuple(reversed(made))


# ---------------------------------------------------------------------- who was addressed
def split_of(arms: Mapping[str, int], blocked: Mapping[str, int]) -> tuple[charts.Part, ...]:
    """A segment's members by what became of them."""
    known = [(arm, phrase(ARMS, arm).title, f"arm-{arm.replace('_', '-')}") for arm in ARMS]
    parts = [charts.Part(words, arms.get(arm, 0), css) for arm, words, css in known]
    return (*parts, charts.Part("Not addressed", sum(blocked.values()), "arm-none"))


def share_text(part: int, whole: int) -> str:
    """A part as a percentage of a whole; a dash of nobody."""
    return percent(part / whole) if whole else NONE
