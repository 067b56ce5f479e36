"""What the page and the terminal show of results: each number as text, its interval beside it.

A card is one campaign. It is headed by the result that the campaign is judged on; other metrics,
the comparison with the usual programme and earlier epochs follow as rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from connector.numbers import short_of
from connector.report import charts
from connector.report.data import ReportData
from connector.report.format import (
    NONE,
    Spoken,
    count,
    local_day,
    money,
    p_value,
    percent,
    short,
    spoken,
    spoken_per_person,
)
from connector.report.lift import ArmResult, LiftRow
from connector.report.people import RfmSummary
from connector.report.story import ALL_CAMPAIGNS, primary, shows_figures
from connector.report.words import (
    AGAINST,
    ARMS,
    VERDICTS,
    Phrase,
    axis_labels,
    label,
    mean_text,
    metric_label,
    phrase,
    title,
    unit_of,
)


@dataclass(frozen=True, slots=True)
class Figures:
    """The figures of one result; there are none where nothing may be said.

    Attributes:
        difference: Treated minus held out, per person.
        relative: The same as a percentage; None where a percentage means nothing.
        total: In all.
        roas: Incremental revenue for each unit of cost; None without a fixed cost.
    """

    difference: Spoken
    total: Spoken
    relative: Spoken | None
    roas: Spoken | None


@dataclass(frozen=True, slots=True)
class ArmLine:
    """One arm of a card: name, people counted, buyers, outcome per person."""

    name: str
    people: str
    buyers: str
    mean: str


@dataclass(frozen=True, slots=True)
class ResultRow:
    """One result beside the one that a campaign is judged on."""

    metric: str
    against: str
    epoch: int
    code: str
    verdict: Phrase
    figures: Figures | None
    reason: str


@dataclass(frozen=True, slots=True)
class Card:
    """One campaign's results.

    Attributes:
        uid: Unique in the page.
        name: Its name for people.
        code: The verdict's code.
        verdict: The verdict in words.
        reason: Why, in one sentence.
        figures: Of the result that it is judged on.
        plot: The difference drawn; empty where there are no figures.
        metric: What is measured, with the window.
        against: What it is compared with.
        unit: Of the drawing.
        silence: Why no figure is shown; empty where one is.
        arms: Both arms.
        facts: More about the result: title and text.
        others: Other metrics, comparisons and epochs.
        whole: Whether it speaks of all campaigns together.
    """

    uid: str
    name: str
    code: str
    verdict: Phrase
    reason: str
    figures: Figures | None
    plot: Markup
    metric: str
    against: str
    unit: str
    silence: str
    arms: tuple[ArmLine, ...]
    facts: tuple[Phrase, ...]
    others: tuple[ResultRow, ...]
    whole: bool = False


def cards(data: ReportData) -> tuple[Card, ...]:
    """One card for all campaigns together, where they are measured, and one for each campaign."""
    made = []
    if data.global_holdout is not None and data.global_holdout.lifts:
        made.append(_card(data, data.global_holdout.lifts, ALL_CAMPAIGNS, "all", whole=True))
    names = [campaign.name for campaign in data.campaigns]
    names += [lift.campaign for lift in data.lifts]
    for i, name in enumerate(dict.fromkeys(names)):
        lifts = [lift for lift in data.lifts if lift.campaign == name]
        if lifts:
            made.append(_card(data, lifts, title(name), str(i), whole=False))
    return tuple(made)


def figures(lift: LiftRow, data: ReportData) -> Figures | None:
    """The figures of a result, or None where its verdict lets none be shown."""
    if not shows_figures(lift, data.rules) or lift.difference is None or lift.incremental is None:
        return None
    unit = unit_of(lift.kind, data.currency)
    return Figures(
        difference=spoken_per_person(
            lift.difference, unit=unit.per_person, scale=unit.scale, digits=unit.digits
        ),
        total=spoken(lift.incremental, unit=unit.total),
        relative=spoken(lift.relative, unit="%", scale=100.0) if lift.relative else None,
        roas=spoken(lift.incremental_roas, unit="") if lift.incremental_roas else None,
    )


def _card(data: ReportData, lifts: Sequence[LiftRow], name: str, key: str, *, whole: bool) -> Card:
    judged = primary(lifts) or lifts[0]
    shown = figures(judged, data)
    return Card(
        uid=f"result-{key}",
        name=name,
        code=judged.verdict,
        verdict=phrase(VERDICTS, judged.verdict),
        reason=_reason(judged, data),
        figures=shown,
        plot=_plot(judged, shown, data, name, f"plot-{key}"),
        metric=f"{metric_label(judged)} within {judged.window_days} days",
        against=AGAINST.get(judged.holdout.arm, label(judged.holdout.arm)),
        unit=unit_of(judged.kind, data.currency).per_person,
        silence=_silence(judged) if shown is None else "",
        arms=tuple(
            _arm_line(arm, judged, data, with_means=shown is not None)
            for arm in (judged.treatment, judged.holdout)
        ),
        facts=tuple(_facts(judged, data)),
        others=tuple(_other(lift, data) for lift in lifts if lift is not judged),
        whole=whole,
    )


def _silence(lift: LiftRow) -> str:
    if lift.verdict == "do_not_trust":
        return "No figure is shown: it would compare groups that cannot be compared."
    return "No figure is shown yet: there is too little to read anything from it."


def _reason(lift: LiftRow, data: ReportData) -> str:
    """The analysis' own sentence, or when the first results come."""
    if lift.treatment.n and lift.holdout.n:
        return lift.reason.replace(" -", " \u2212")
    campaign = next((c for c in data.campaigns if c.name == lift.campaign), None)
    when = ""
    if campaign is not None and campaign.first_result_at is not None:
        when = f" The first results come on {local_day(campaign.first_result_at, data.timezone)}."
    return f"Nobody's {lift.window_days} days are over yet.{when}"


def _plot(lift: LiftRow, shown: Figures | None, data: ReportData, name: str, uid: str) -> Markup:
    if shown is None or lift.difference is None:
        return Markup()
    unit = unit_of(lift.kind, data.currency)
    return charts.forest_plot(
        lift.difference,
        scale=unit.scale,
        margin=data.rules.flat_margin * abs(lift.holdout.mean or 0.0),
        firm=lift.verdict,
        title=f"{name}: difference per person in {unit.per_person}",
        description=f"{shown.difference}. Zero means no difference.",
        uid=uid,
    )


def _arm_line(arm: ArmResult, lift: LiftRow, data: ReportData, *, with_means: bool) -> ArmLine:
    mean = mean_text(arm.mean if with_means else None, lift.kind, data.currency)
    return ArmLine(phrase(ARMS, arm.arm).title, count(arm.n), count(arm.n_buyers), mean)


def _facts(lift: LiftRow, data: ReportData) -> Iterable[Phrase]:
    """What a reader needs to weigh the verdict."""
    rules = data.rules
    if lift.expected_buyers is not None:
        yield Phrase(
            "Expected buyers",
            f"{short_of(lift.expected_buyers)} (a verdict needs {count(rules.verdict_from)})",
        )
    broken = lift.srm_p is not None and lift.srm_p < rules.srm_below
    fair = "the split is broken" if broken else "as drawn"
    tested = p_value(lift.srm_p, floor=rules.srm_below)
    yield Phrase("Group sizes (SRM)", tested if lift.srm_p is None else f"{fair}, {tested}")
    if lift.n_open:
        yield Phrase("Still open", f"{count(lift.n_open)} people, counted later")
    yield from _cost(lift, data)


def _cost(lift: LiftRow, data: ReportData) -> Iterable[Phrase]:
    """What the campaign cost, or why its return cannot be told."""
    if lift.cost is not None:
        yield Phrase("Cost", f"{money(lift.cost, data.currency)} for those counted")
        if lift.kind != "sum":
            yield Phrase("Return on cost", f"Not told: {metric_label(lift)} is not an amount.")
        return
    campaign = next((c for c in data.campaigns if c.name == lift.campaign), None)
    if campaign is None:
        return
    contact, redemption = (
        None if cost is None else money(cost, data.currency)
        for cost in (campaign.cost_per_contact, campaign.cost_per_redemption)
    )
    if redemption is not None:
        sending = f"Sending cost {contact} a person; " if contact is not None else ""
        used = f"{sending}each use of the offer costs {redemption}"
        nobody = "nothing in the data says who used it, so the return is not told."
        yield Phrase("Cost", f"{used}, and {nobody}")
    elif contact is None:
        yield Phrase("Cost", "The strategy names none, so the return is not told.")


def _other(lift: LiftRow, data: ReportData) -> ResultRow:
    return ResultRow(
        metric=f"{metric_label(lift)}, {lift.window_days} days",
        against=AGAINST.get(lift.holdout.arm, label(lift.holdout.arm)),
        epoch=lift.epoch,
        code=lift.verdict,
        verdict=phrase(VERDICTS, lift.verdict),
        figures=figures(lift, data),
        reason=lift.reason,
    )


# ---------------------------------------------------------------------- the RFM grid
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
