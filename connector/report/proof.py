"""What stands behind a verdict, as text: the looks, the account, other roads, the checks.

Each part is None or empty where the analysis has nothing of it, or where the verdict lets no figure
be shown.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, time

from markupsafe import Markup

from connector.report import effect_charts
from connector.report.data import ReportData
from connector.report.figures import (
    OpenFigure,
    open_figure,
    per_person,
    shows_figures,
    unit_for,
)
from connector.report.format import MINUS, Spoken, count, iso_day, money, p_value, spoken
from connector.report.lift import Estimate, LiftRow, LookRow, OpenEstimate
from connector.report.words import GATES, Phrase, phrase

NOTES = frozenset({"files"})
"""Gates that tell of the data and test nothing."""

LOOKS_LISTED = 12
"""The latest looks that are listed as numbers; the drawing has all."""


# ---------------------------------------------------------------------- over time
@dataclass(frozen=True, slots=True)
class LookLine:
    """One look: its day, the people of both groups, and the difference."""

    day: str
    treated: str
    held: str
    difference: Spoken


@dataclass(frozen=True, slots=True)
class Trail:
    """The difference over time.

    Attributes:
        chart: The drawing; empty of a single look.
        note: What the band and the marks mean.
        looks: The latest, newest first.
    """

    chart: Markup
    note: str
    looks: tuple[LookLine, ...]


def trail(lift: LiftRow, data: ReportData, *, name: str, uid: str) -> Trail | None:
    """The looks of a result; None where none may be shown."""
    if not lift.series or not shows_figures(lift, data.rules):
        return None
    looks = lift.series
    lines = tuple(_look(look, lift, data) for look in reversed(looks[-LOOKS_LISTED:]))
    chart = Markup()
    if len(looks) > 1:
        chart = effect_charts.series_chart(
            looks,
            decided=lift.difference if lift.stage != "running" else None,
            ends_at=_end(lift),
            scale=unit_for(lift, data.currency).scale,
            margin=data.rules.flat_margin * abs(lift.holdout.mean or 0.0),
            unit=unit_for(lift, data.currency).per_person,
            timezone=data.timezone,
            title=f"{name}: difference per person over time",
            description=(
                f"{len(looks)} looks from {lines[-1].day} to {lines[0].day}."
                f" At the last one {lines[0].difference}."
            ),
            uid=uid,
        )
    return Trail(chart, _trail_note(lift), lines)


def _look(look: LookRow, lift: LiftRow, data: ReportData) -> LookLine:
    level = lift.difference.confidence if lift.difference is not None else data.rules.confidence
    value = Estimate(look.estimate, look.low, look.high, level)
    return LookLine(
        iso_day(look.at, data.timezone),
        count(look.n_treatment),
        count(look.n_holdout),
        per_person(lift, value, data.currency),
    )


def _end(lift: LiftRow) -> datetime | None:
    if lift.outlook is None or lift.outlook.registered_end is None:
        return None
    return datetime.combine(lift.outlook.registered_end, time(), UTC)


def _trail_note(lift: LiftRow) -> str:
    said = "The band allows for looking again and again: it holds at every look at once."
    said += " The grey strip around zero is what counts as no difference."
    if lift.stage == "final":
        said += " The bar at the end is the interval that decides, on the registered day."
    elif lift.stage == "fixed":
        said += " The bar at the end is the interval of one single look, which decides."
    return said


# ---------------------------------------------------------------------- the account
@dataclass(frozen=True, slots=True)
class AccountLine:
    """One line of the account.

    Attributes:
        name: What it is.
        figure: With its interval, or in words.
        plain: An amount that is known without error; empty otherwise.
    """

    name: str
    figure: OpenFigure | None
    plain: str = ""


@dataclass(frozen=True, slots=True)
class AccountTable:
    """What was earned and spent, and what must be said of it."""

    lines: tuple[AccountLine, ...]
    notes: tuple[str, ...]


def account(lift: LiftRow, data: ReportData) -> AccountTable | None:
    """The account of a campaign; None where it has none, or its figures may not be shown."""
    found = lift.money
    if found is None or not shows_figures(lift, data.rules):
        return None
    currency = data.currency
    lines = []
    for name, total, unit in (
        ("Incremental revenue", found.revenue, currency),
        ("Incremental margin, after the cost", found.margin, currency),
        ("Incremental orders", found.orders, "orders"),
    ):
        if total is not None:
            lines.append(AccountLine(name, OpenFigure(spoken(total, unit=unit))))
    if found.cost is not None:
        known = "estimated from what people did" if found.cost_is_estimated else "known"
        lines.insert(0, AccountLine("Cost", None, f"{money(found.cost, currency)} ({known})"))
    ratios: tuple[tuple[str, OpenEstimate | None], ...] = (
        (f"Extra revenue for each {currency} spent (iROAS)", found.roas),
        (f"Extra margin, after the cost, for each {currency} spent", found.margin_on_cost),
    )
    lines += [AccountLine(name, open_figure(one, "")) for name, one in ratios if one]
    if found.cost_per_order is not None:
        price = open_figure(found.cost_per_order, currency, is_price=True)
        lines.append(AccountLine("Cost of each extra order", price))
    if not lines:
        return None
    notes = tuple(note for note in (found.cost_note, found.margin_note) if note)
    return AccountTable(tuple(lines), notes)


# ---------------------------------------------------------------------- by other roads, and checks
@dataclass(frozen=True, slots=True)
class RoadLine:
    """The same comparison by another road; no figure where none can be computed."""

    label: str
    difference: Spoken | None
    note: str


def roads(lift: LiftRow, data: ReportData) -> tuple[RoadLine, ...]:
    """The sensitivities of a result; none where its figures may not be shown."""
    if not shows_figures(lift, data.rules):
        return ()
    return tuple(
        RoadLine(
            one.label,
            per_person(lift, one.difference, data.currency) if one.difference else None,
            one.note,
        )
        for one in lift.sensitivities
    )


@dataclass(frozen=True, slots=True)
class CheckLine:
    """One check of the experiment: what was looked at, what was found, whether it alarms.

    A note is no check: it says something of the data that nobody tested.
    """

    name: str
    message: str
    alarm: bool
    is_note: bool = False


@dataclass(frozen=True, slots=True)
class Health:
    """The state of the experiment itself.

    Attributes:
        checks: In the order in which people pass.
        outlook: End date and power left, as title and text.
        n_alarms: Checks because of which nothing is to be believed.
        n_checks: All but the notes.
    """

    checks: tuple[CheckLine, ...]
    outlook: tuple[Phrase, ...]

    @property
    def n_alarms(self) -> int:
        """How many."""
        return sum(check.alarm for check in self.checks)

    @property
    def n_checks(self) -> int:
        """How many."""
        return sum(not check.is_note for check in self.checks)


def health(lift: LiftRow, data: ReportData) -> Health | None:
    """Checks and prospects of a result; None where the analysis tells neither."""
    checks = tuple(
        CheckLine(
            phrase(GATES, one.gate).title,
            minus_signs(one.message),
            one.alarm,
            is_note=one.gate in NOTES and not one.alarm,
        )
        for one in lift.health
    )
    ahead = []
    if lift.outlook is not None:
        end, note = lift.outlook.registered_end, lift.outlook.end_note
        if end is not None:
            over = "reached" if lift.stage == "final" else "not reached yet"
            words = f"{end.day}\u00a0{end:%B}\u00a0{end.year}, {over}."
            ahead.append(Phrase("Registered end", f"{words} {note}".strip()))
        elif note:
            ahead.append(Phrase("Registered end", note))
        if lift.outlook.power_note:
            ahead.append(Phrase("Power left", lift.outlook.power_note))
    if not checks and not ahead:
        return None
    return Health(checks, tuple(ahead))


def methods(lift: LiftRow) -> tuple[str, ...]:
    """How the numbers came about."""
    said = [lift.method_note] if lift.method_note else []
    if lift.p_value is not None and lift.p_adjusted is not None:
        corrected = f"corrected for all that is looked at together {p_value(lift.p_adjusted)}"
        said.append(f"By itself {p_value(lift.p_value)}; {corrected} (Benjamini and Hochberg).")
    if lift.is_surrogate:
        said.append(
            "The outcome is a prediction: a change of what people are expected to bring, not of"
            " what they brought. It can point the way and decides nothing about money."
        )
    return tuple(minus_signs(one) for one in said)


def minus_signs(text: str) -> str:
    """A sentence of the analysis with true minus signs before its numbers."""
    return text.replace(" -", f" {MINUS}")
