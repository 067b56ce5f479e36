"""The figures of one result as text: the unit it is spoken in, and when nothing may be shown."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol

from connector.report.format import NBSP, Spoken, spoken, spoken_per_person
from connector.report.lift import Estimate, LiftRow, OpenEstimate, Rules
from connector.report.words import Unit, unit_of

JUDGED = ("win", "loss", "flat", "directional_only")
"""Verdicts whose figures may be read."""

PER_PERSON, PREDICTED = " per person", ", predicted"


class Judged(Protocol):
    """A comparison with its verdict: of everybody, or within a class of people."""

    @property
    def difference(self) -> Estimate | None:
        """Per person."""

    @property
    def expected_buyers(self) -> float | None:
        """In the smaller arm."""

    @property
    def verdict(self) -> str:
        """The word's code."""


def shows_figures(lift: Judged, rules: Rules) -> bool:
    """Whether a result's figures may be shown.

    Not when the verdict distrusts them, nor below the number of buyers under which nothing is said.
    """
    if lift.difference is None or lift.expected_buyers is None:
        return False
    if lift.verdict in JUDGED:
        return True
    return lift.verdict == "not_enough_data" and lift.expected_buyers >= rules.directional_from


def unit_for(lift: LiftRow, currency: str) -> Unit:
    """The units of a result: those that the analysis named, or those of its kind.

    ``per person`` is left off, since a column or a sentence says it; ``per order`` stays.
    """
    if not lift.unit:
        return unit_of(lift.kind, currency)
    per = lift.unit.removesuffix(PREDICTED).removesuffix(PER_PERSON)
    per = "" if per == PER_PERSON.strip() else per
    total = currency if lift.is_money else "people" if lift.kind == "share" else per
    return Unit(per, total, lift.scale, lift.digits)


def mean_text(lift: LiftRow, value: float | None, currency: str) -> str:
    """One arm's outcome per person (of a ratio: for each of what it divides by)."""
    if value is None:
        return "–"
    unit = unit_for(lift, currency)
    if unit.per_person == "percentage points":
        return f"{unit.scale * value:,.2f}{NBSP}%"
    said = f"{unit.scale * value:,.{unit.digits}f}".replace("-", "\u2212")
    is_amount = lift.kind != "count" and unit.per_person
    return f"{said}{NBSP}{unit.per_person}" if is_amount else said


@dataclass(frozen=True, slots=True)
class Figures:
    """The figures of one result; there are none where nothing may be said.

    Attributes:
        difference: Treated minus held out, per person.
        total: In all; None of a ratio, whose parts are not the same people's.
        relative: The same as a percentage; None where a percentage means nothing.
        roas: Incremental revenue for each unit of cost; None without a fixed cost.
    """

    difference: Spoken
    total: Spoken | None
    relative: Spoken | None
    roas: Spoken | None


def figures(lift: LiftRow, rules: Rules, currency: str) -> Figures | None:
    """The figures of a result, or None where its verdict lets none be shown."""
    if not shows_figures(lift, rules) or lift.difference is None:
        return None
    unit = unit_for(lift, currency)
    total, relative, roas = lift.incremental, lift.relative, lift.incremental_roas
    return Figures(
        difference=per_person(lift, lift.difference, currency),
        total=spoken(total, unit=unit.total) if total else None,
        relative=spoken(relative, unit="%", scale=100.0) if relative else None,
        roas=spoken(roas, unit="") if roas else None,
    )


def per_person(lift: LiftRow, value: Estimate, currency: str) -> Spoken:
    """A difference of a result's metric as text."""
    unit = unit_for(lift, currency)
    return spoken_per_person(value, unit=unit.per_person, scale=unit.scale, digits=unit.digits)


@dataclass(frozen=True, slots=True)
class OpenFigure:
    """An estimate whose interval may be open: as a figure, or in words.

    Attributes:
        closed: With both bounds; None where one is missing.
        words: What is known instead; empty where ``closed`` says it all.
    """

    closed: Spoken | None
    words: str = ""


def open_figure(value: OpenEstimate, unit: str, *, is_price: bool = False) -> OpenFigure:
    """An amount whose interval need not end.

    Args:
        value: The amount.
        unit: Its unit; may be empty.
        is_price: Whether it has no sign, unlike a gain.
    """
    low, high = value.low, value.high
    if value.estimate is not None and low is not None and high is not None:
        figure = spoken(Estimate(value.estimate, low, high, value.confidence), unit=unit)
        return OpenFigure(unsigned(figure) if is_price else figure)
    name = f"{NBSP}{unit}" if unit else ""
    known = low if low is not None else high
    if known is None:
        return OpenFigure(None, f"Not to be told. {value.note}".strip())
    side = "At least" if low is not None else "At most"
    level = f"{100 * value.confidence:.4g}{NBSP}% interval"
    amount = f"{known:,.2f}".replace("-", "\u2212")
    return OpenFigure(None, f"{side} {amount}{name} ({level}). {value.note}".strip())


def unsigned(figure: Spoken) -> Spoken:
    """A price: nobody says that something costs +0.65."""
    low, high = figure.low.lstrip("+"), figure.high.lstrip("+")
    return replace(figure, estimate=figure.estimate.lstrip("+"), low=low, high=high)
