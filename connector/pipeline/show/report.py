"""Everything that the report shows, gathered and written.

What was sent and refused comes from the last run's published artifacts; segments, orders and lift
are computed from the sources as of now, so that a report on Monday knows of Sunday's orders.
"""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from connector.pipeline.activate.waiting import waiting_plan
from connector.pipeline.prove.measure import measure
from connector.pipeline.prove.offering import offer_lifts
from connector.pipeline.show import (
    publish,
    report_crowds,
    report_demand,
    report_models,
    report_offers,
    report_rows,
    report_time,
    report_value,
)
from connector.pipeline.show.lift_files import write_documents
from connector.report.data import ReportData
from connector.report.lift import GlobalHoldout, LiftRow, Rules

if TYPE_CHECKING:
    from connector.pipeline.project import Project

HISTORY = 10
"""Runs that the report lists."""


def gather_report(project: Project, *, as_of: datetime | None = None) -> ReportData:
    """Everything that the report shows, as of now."""
    config, state = project.config, project.state
    with project.workspace() as warehouse:
        found = project.understand(warehouse, as_of=as_of)
        lifts = measure(config, state, warehouse, as_of=found.as_of)
        tried = offer_lifts(config, state, warehouse, as_of=found.as_of)
        now = publish.describe(found)
        windows = report_rows.windows(config, warehouse)
        runs = project.journal.runs(limit=50)
        told: dict[str, Any] = {
            "models": report_models.models(project, found),
            "personas": report_crowds.personas(found),
            "affinity": report_crowds.affinity(found),
            "pairs": report_crowds.pairs(found),
            "lifetime": report_value.lifetime(found),
            "demand": report_demand.demand(found),
            "offers": report_offers.offers(tried),
            "trends": (trends := report_time.trends(project, found, runs)),
            "migrations": report_time.migrations(project, found),
        }
    last = next((run for run in runs if run["status"] in {"succeeded", "partial", "held"}), None)
    summary = project.summary(last["run_id"]) if last else None
    previous = report_time.before(project, runs, found.as_of)
    waiting = waiting_plan(project)
    # Before the first run there is only the plan that waits to tell of.
    header = waiting[1] if waiting is not None and last is None else None
    plan = header.to_json() if header else (summary or {}).get("plan") or {}
    rows = tuple(LiftRow.from_json(lift.to_json()) for lift in lifts)
    held = config.holdouts.global_shown(found.as_of.astimezone(config.project.zone).date())
    holding = {one.name for one in config.holdouts.global_}
    return ReportData(
        project=config.project.name,
        currency=config.project.currency,
        timezone=config.project.timezone,
        as_of=found.as_of,
        generated_at=project.now,
        run=report_rows.run(last) if last else None,
        n_profiles=now["n_profiles"],
        revenue_365d=now["revenue_365d"],
        segments=report_rows.segments(config, now, previous, trends),
        rfm=report_rows.rfm(now, previous),
        campaigns=report_rows.campaigns(config, plan, windows),
        deliveries=report_rows.deliveries(summary),
        issues=report_rows.issues(project, last),
        remarks=report_rows.remarks(plan, summary),
        # What holds the plan that waits is told with it, not once more of the run that tried it.
        guards=report_rows.guards(state, plan, summary)
        if last and not (waiting and waiting[0].plan_id == last["plan_id"])
        else (),
        quality=report_rows.quality(now),
        lifts=tuple(row for row in rows if row.campaign not in holding),
        global_holdout=(
            GlobalHoldout(
                name=held.name,
                share=held.share,
                n_held=report_rows.held(state, held.name),
                lifts=tuple(row for row in rows if row.campaign == held.name),
            )
            if held
            else None
        ),
        rules=Rules(
            confidence=config.measurement.confidence, flat_margin=config.measurement.flat_margin
        ),
        waiting=report_rows.waiting_row(waiting[0]) if waiting else None,
        history=tuple(report_rows.run(run) for run in runs[:HISTORY]),
        **told,
    )


def write_report(project: Project, data: ReportData, out: Path | None = None) -> Path:
    """Write the page, its JSON, and the lift for other tools; returns the page's path.

    Args:
        project: Says where the page goes.
        data: What it shows.
        out: Overrides ``report.out``.
    """
    from connector.report.html import write_html

    path = out or Path(project.config.resolve(project.config.report.out))
    write_html(data, path)
    path.with_suffix(".json").write_text(
        json.dumps(data.to_json(), ensure_ascii=False, indent=1), encoding="utf-8"
    )
    lifts = (*data.lifts, *(data.global_holdout.lifts if data.global_holdout else ()))
    write_documents([row.to_json() for row in lifts], path)
    return path
