"""The report as one HTML file that needs nothing else: no network, no script, no font, no image.

A content policy in the page forbids every request, so that "offline" is enforced by the browser and
not by good intentions. Everything that comes from the data is escaped by the template engine;
drawings escape what they are given in their turn.

The page is a list of sections; a further one is one entry and one template.
"""

from __future__ import annotations

import os
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from connector.report import (
    cards,
    charts,
    crowd_charts,
    grid,
    model_charts,
    model_words,
    sankey,
    story,
    value_charts,
    words,
)
from connector.report import format as shown
from connector.report.data import ReportData
from connector.report.models import LEAST_DOT
from connector.report.people import SMALL_CELL
from connector.report.sent import DeliveryRow

TEMPLATES = "templates"


@dataclass(frozen=True, slots=True)
class Section:
    """One section of the page.

    Attributes:
        uid: Its anchor.
        title: Its heading.
        short: Its name in the list of contents.
        template: File below the templates' folder.
        needs: Attribute of the data without which there is no such section; empty: always there.
    """

    uid: str
    title: str
    short: str
    template: str
    needs: str = ""


SECTIONS = (
    Section("results", "Did it work?", "Results", "sections/results.html"),
    Section("offers", "Which offer works for whom", "Offers", "sections/offers.html", "offers"),
    Section("segments", "Segments", "Segments", "sections/segments.html"),
    Section("rfm", "Recency, frequency, money", "RFM grid", "sections/rfm.html"),
    Section("migration", "Who moved", "Migration", "sections/migration.html", "migrations"),
    Section("personas", "Personas", "Personas", "sections/personas.html", "personas"),
    Section("value", "Lifetime value", "Lifetime value", "sections/value.html", "lifetime"),
    Section("demand", "Orders to expect", "Demand", "sections/demand.html", "demand"),
    Section("affinity", "Affinity", "Affinity", "sections/affinity.html", "affinity"),
    Section("pairs", "Bought together", "Bought together", "sections/pairs.html", "pairs"),
    Section("models", "Models", "Models", "sections/models.html", "models"),
    Section(
        "sent", "What was sent, what was refused, and why", "Sent and refused", "sections/sent.html"
    ),
    Section("quality", "How good the data is", "Data quality", "sections/quality.html"),
    Section("runs", "Runs", "Runs", "sections/runs.html"),
    Section("reading", "How to read this", "How to read this", "sections/reading.html"),
)
"""The page from top to bottom."""

_DELIVERY_COLUMNS = (
    ("Properties written", ("update",), "record"),
    ("Records made", ("add",), "record"),
    ("Joined lists", ("add",), "membership"),
    ("Left lists", ("remove",), "membership"),
)
_TROUBLE = ("rejected", "suppressed", "missing", "deferred", "skipped")


def render_html(data: ReportData, *, only: Sequence[str] = ()) -> str:
    """The whole page as text.

    Args:
        data: What to show.
        only: Anchors of the sections to show; empty: all that there is anything for.

    Returns:
        A complete HTML document, UTF-8 when written.
    """
    folder = _environment()
    style = folder.get_template("report.css").render()
    return folder.get_template("report.html").render(
        data=data,
        style=Markup(style),  # noqa: S704 - a file of this package without anything from the data
        sections=[
            one
            for one in SECTIONS
            if (one.uid in only or not only) and (not one.needs or getattr(data, one.needs))
        ],
        is_experiment=data.is_experiment,
        headline=story.headline(data),
        lines=story.lines(data),
        waiting=story.waiting_line(data),
        cards=cards.cards(data),
        grid=grid.grid(data.rfm, data.currency) if data.rfm is not None else None,
        blocked=_blocked_reasons(data),
        delivery_columns=[name for name, _, _ in _DELIVERY_COLUMNS],
        trouble_columns=[*_TROUBLE, "unsent"],
        deliveries=[_delivery(row) for row in data.deliveries],
        n_trouble=_n_trouble(data),
        groups=(groups := _groups(data)),
        n_compared=sum(groups.values()),
        n_metrics=len({lift.metric for lift in data.lifts}),
    )


def write_html(data: ReportData, path: Path, *, only: Sequence[str] = ()) -> Path:
    """Write the page; a reader of the file never sees half of it.

    Args:
        data: What to show.
        path: The file; folders are made, an older report is replaced.
        only: As for :func:`render_html`.

    Returns:
        The path.
    """
    text = render_html(data, only=only)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        Path(name).chmod(0o644)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    return path


@dataclass(frozen=True, slots=True)
class DeliveryLine:
    """One destination's counts in the order of the columns."""

    destination: str
    delivered: tuple[int, ...]
    trouble: tuple[int, ...]
    error: str | None


def _delivery(row: DeliveryRow) -> DeliveryLine:
    done = Counter[tuple[str, str]]()
    trouble = Counter[str]()
    for outcome in row.outcomes:
        if outcome.outcome == "delivered":
            done[outcome.kind, outcome.action] += outcome.people
        else:
            trouble[outcome.outcome] += outcome.people
    return DeliveryLine(
        row.destination,
        tuple(sum(done[kind, a] for a in actions) for _, actions, kind in _DELIVERY_COLUMNS),
        (*(trouble[name] for name in _TROUBLE), row.unsent),
        row.error,
    )


def _n_trouble(data: ReportData) -> int:
    """Changes that did not get through, whatever the cause."""
    refused = sum(
        outcome.people
        for row in data.deliveries
        for outcome in row.outcomes
        if outcome.outcome != "delivered"
    )
    return refused + sum(row.unsent for row in data.deliveries)


def _groups(data: ReportData) -> dict[str, int]:
    """Every group that is compared, and its people; of the metric that most are counted in."""
    found: dict[str, int] = {}
    for lift in data.lifts:
        for arm in (lift.treatment, lift.holdout):
            found[arm.arm] = max(found.get(arm.arm, 0), arm.n + arm.n_open)
    return found


def _blocked_reasons(data: ReportData) -> list[tuple[str, int]]:
    """Every reason that occurs with its people over all campaigns, the largest first."""
    totals = Counter[str]()
    for campaign in data.campaigns:
        totals.update(campaign.blocked)
    return [(reason, n) for reason, n in totals.most_common() if n]


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("connector.report", TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(
        bar=charts.bar,
        icon=charts.verdict_icon,
        stacked_bar=charts.stacked_bar,
        split_of=grid.split_of,
        share_text=grid.share_text,
        gain_chart=model_charts.gain_chart,
        calibration_chart=model_charts.calibration_chart,
        profit_chart=model_charts.profit_chart,
        persona_map=model_charts.persona_map,
        persona_side=model_charts.persona_side,
        persona_class=model_charts.persona_class,
        dendrogram=crowd_charts.dendrogram,
        lift_range=crowd_charts.lift_range,
        trend_chart=model_charts.trend_chart,
        value_histogram=value_charts.value_histogram,
        concentration_chart=value_charts.concentration_chart,
        sankey_chart=sankey.sankey_chart,
        NARROW=sankey.NARROW,
        place_name=sankey.place_name,
        caption=words.title,
        phrase=words.phrase,
        arm_name=words.arm_name,
        words=words,
        model_words=model_words,
        LEAST_DOT=LEAST_DOT,
        shown=shown,
        SMALL_CELL=SMALL_CELL,
    )
    environment.filters.update(
        count=shown.count,
        signed=shown.signed,
        gain=shown.gain,
        percent=shown.percent,
        money=shown.money,
        day=shown.day,
        moment=shown.moment,
        label=words.label,
        caption=words.title,
        lower_first=words.lower_first,
        left_out=words.left_out,
        table=words.table_label,
    )
    return environment
