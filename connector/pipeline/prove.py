"""The third act: from assignments and orders to lift, and everything that the report shows.

What was sent and refused comes from the last run's published artifacts; segments, orders and lift
are computed from the sources as of now, so that a report on Monday knows of Sunday's orders.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from connector.config import Config
from connector.domain import Arm
from connector.lift.analysis import CampaignSpec, IntendedShares, MeasurementSpec, analyse
from connector.lift.result import CampaignLift
from connector.pipeline import publish, specs
from connector.report import data as report
from connector.state.database import parse_utc

if TYPE_CHECKING:
    from connector.pipeline.project import Project
    from connector.state.database import State
    from connector.warehouse.duckdb import DuckDBWarehouse

HISTORY = 10
"""Runs that the report lists."""


def measure(
    config: Config, state: State, warehouse: DuckDBWarehouse, *, as_of: datetime
) -> list[CampaignLift]:
    """Every campaign's lift, and the global holdout's.

    Args:
        config: Names campaigns and metrics.
        state: Holds assignments and the shares that they were drawn with.
        warehouse: Holds ``clean_orders`` of the first act.
        as_of: Only what happened before it counts.
    """
    load_assignments(state, warehouse)
    shares = _shares(state)
    names = [*config.campaigns]
    if config.holdouts.global_ is not None:
        names.append(config.holdouts.global_.name)
    metrics = {name: specs.metric_spec(name, metric) for name, metric in config.metrics.items()}
    campaigns = []
    for name in names:
        if name not in shares:
            continue
        campaign = config.campaigns.get(name)
        goal = campaign.goal if campaign else next(iter(metrics))
        strategy = config.strategies.get((campaign.strategy if campaign else None) or "")
        # A cost for each redemption depends on what people do, so it is not fixed at assignment.
        fixed = (
            float(strategy.cost_per_contact)
            if strategy and strategy.cost_per_contact and not strategy.cost_per_redemption
            else None
        )
        campaigns.append(
            CampaignSpec(
                campaign=name,
                metrics=(metrics[goal], *(m for key, m in metrics.items() if key != goal)),
                shares=shares[name],
                cost_per_person=fixed,
            )
        )
    if not campaigns:
        return []
    measurement = config.measurement
    return analyse(
        warehouse,
        campaigns,
        as_of=as_of,
        measurement=MeasurementSpec(
            confidence=measurement.confidence,
            flat_margin=measurement.flat_margin,
            currency=config.project.currency,
        ),
    )


def load_assignments(state: State, warehouse: DuckDBWarehouse) -> None:
    """Make ``assignments`` of the arm log; merged people have one profile and the earliest arm."""
    rows = state.arrow(
        {
            "log": "SELECT a.campaign, a.epoch,"
            " coalesce(m.into_profile_id, a.profile_id) AS profile_id, a.arm,"
            " a.first_eligible_at, a.config_version, a.profile_id AS logged_as FROM assignments a"
            " LEFT JOIN profile_merges m ON m.from_profile_id = a.profile_id"
        }
    )["log"]
    warehouse.load("assignment_log", rows)
    warehouse.connection.execute(
        """
        CREATE OR REPLACE TABLE assignments AS
        SELECT CAST(campaign AS TEXT) AS campaign, CAST(epoch AS INTEGER) AS epoch,
            CAST(config_version AS TEXT) AS config_version, CAST(profile_id AS TEXT) AS profile_id,
            CAST(arm AS TEXT) AS arm,
            CAST(replace(CAST(first_eligible_at AS TEXT), 'Z',
                '') AS TIMESTAMP) AS first_eligible_at
        FROM (
            SELECT *, row_number() OVER (PARTITION BY campaign, epoch, profile_id
                                         ORDER BY first_eligible_at, logged_as) AS place
            FROM assignment_log
        ) WHERE place = 1
        """
    )


def _shares(state: State) -> dict[str, tuple[IntendedShares, ...]]:
    rows = state.arrow(
        {
            "s": "SELECT campaign, epoch, config_version, arm, share FROM arm_shares"
            " ORDER BY 1, 2, 3, 4"
        }
    )["s"].to_pylist()
    found: dict[tuple[str, int, str], dict[Arm, float]] = {}
    for row in rows:
        key = (row["campaign"], int(row["epoch"]), row["config_version"])
        found.setdefault(key, {})[Arm(row["arm"])] = float(row["share"])
    shares: dict[str, list[IntendedShares]] = {}
    for (campaign, epoch, version), arms in found.items():
        shares.setdefault(campaign, []).append(IntendedShares(epoch, version, arms))
    return {campaign: tuple(one) for campaign, one in shares.items()}


# ---------------------------------------------------------------------- report
def gather_report(project: Project, *, as_of: datetime | None = None) -> report.ReportData:
    """Everything that the report shows, as of now."""
    config, state = project.config, project.state
    with project.workspace() as warehouse:
        found = project.understand(warehouse, as_of=as_of)
        lifts = measure(config, state, warehouse, as_of=found.as_of)
        now = publish.describe(found)
        windows = _windows(config, warehouse)
    runs = project.journal.runs(limit=50)
    last = next((run for run in runs if run["status"] in {"succeeded", "partial", "held"}), None)
    summary = project.summary(last["run_id"]) if last else None
    previous = _before(project, runs, found.as_of)
    plan = (summary or {}).get("plan") or {}
    rows = tuple(report.LiftRow.from_json(lift.to_json()) for lift in lifts)
    held = config.holdouts.global_
    global_name = held.name if held else ""
    return report.ReportData(
        project=config.project.name,
        currency=config.project.currency,
        timezone=config.project.timezone,
        as_of=found.as_of,
        generated_at=project.now,
        run=_run(last) if last else None,
        n_profiles=now["n_profiles"],
        revenue_365d=now["revenue_365d"],
        segments=_segments(config, now, previous),
        rfm=_rfm(now, previous),
        campaigns=_campaigns(config, plan, windows),
        deliveries=_deliveries(summary),
        issues=_issues(project, last),
        guards=_guards(plan, summary),
        quality=_quality(now),
        lifts=tuple(row for row in rows if row.campaign != global_name),
        global_holdout=(
            report.GlobalHoldout(
                name=held.name,
                share=held.share,
                n_held=_held(state, held.name),
                lifts=tuple(row for row in rows if row.campaign == global_name),
            )
            if held
            else None
        ),
        rules=report.Rules(
            confidence=config.measurement.confidence, flat_margin=config.measurement.flat_margin
        ),
        history=tuple(_run(run) for run in runs[:HISTORY]),
    )


def _before(project: Project, runs: list[dict[str, Any]], as_of: datetime) -> dict[str, Any]:
    """What the newest run of an earlier instant published; empty when there was none."""
    for run in runs:
        if run["as_of"] and parse_utc(run["as_of"]) < as_of and run["status"] != "held":
            summary = project.summary(run["run_id"])
            if summary is not None:
                return summary.get("understanding") or {}
    return {}


def write_report(project: Project, data: report.ReportData, out: Path | None = None) -> Path:
    """Write the page, and its JSON beside it; returns the page's path.

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
    return path


def _held(state: State, name: str) -> int:
    rows = state.arrow({"a": "SELECT campaign, arm, count(*) AS n FROM assignments GROUP BY 1, 2"})[
        "a"
    ]
    return sum(
        row["n"]
        for row in rows.to_pylist()
        if row["campaign"] == name and row["arm"] == Arm.NO_CONTACT
    )


def _windows(config: Config, warehouse: DuckDBWarehouse) -> dict[str, tuple[datetime, datetime]]:
    """Campaign -> when the first and the last assigned person's goal window closes."""
    from datetime import UTC

    closes = {}
    for campaign, first, last in warehouse.connection.execute(
        "SELECT campaign, min(first_eligible_at), max(first_eligible_at) FROM assignments GROUP"
        " BY 1"
    ).fetchall():
        one = config.campaigns.get(campaign)
        if one is not None:
            window: timedelta = config.metrics[one.goal].window
            closes[campaign] = (
                first.replace(tzinfo=UTC) + window,
                last.replace(tzinfo=UTC) + window,
            )
    return closes


def _run(run: Mapping[str, Any]) -> report.Run:
    counts: dict[str, int] = {}
    for destination in run["summary"].get("destinations", ()):
        for one in destination["outcomes"]:
            counts[one["outcome"]] = counts.get(one["outcome"], 0) + one["people"]
    return report.Run(
        run_id=run["run_id"],
        status=run["status"],
        started_at=parse_utc(run["started_at"]),
        finished_at=parse_utc(run["finished_at"]) if run["finished_at"] else None,
        as_of=parse_utc(run["as_of"]) if run["as_of"] else None,
        n_delivered=counts.get("delivered", 0),
        n_refused=sum(counts.get(name, 0) for name in ("rejected", "suppressed", "missing")),
    )


def _segments(
    config: Config, now: Mapping[str, Any], previous: Mapping[str, Any]
) -> tuple[report.SegmentRow, ...]:
    found = {row["name"]: row for row in now["segments"]}
    before = {row["name"]: row["people"] for row in previous.get("segments", ())}
    rows = []
    for name, one in config.segments.items():
        row = found.get(name, {"people": 0, "revenue_365d": 0.0})
        rows.append(
            report.SegmentRow(
                name=name,
                people=row["people"],
                share=row["people"] / max(now["n_profiles"], 1),
                revenue_365d=row["revenue_365d"],
                previous_people=before.get(name) if previous else None,
                campaigns=tuple(k for k, c in config.campaigns.items() if c.segment == name),
                rule=one.where or " or ".join(one.references),
            )
        )
    return tuple(rows)


def _rfm(now: Mapping[str, Any], previous: Mapping[str, Any]) -> report.RfmSummary:
    model = now["rfm"]["model"]
    before = {row["name"]: row["people"] for row in previous.get("rfm", {}).get("groups", ())}
    sizes = {row["name"]: row for row in now["rfm"]["groups"]}
    outside = {model["lapsed"], model["no_orders"]}
    order = dict.fromkeys([*(group["name"] for group in model["groups"]), *sizes])
    return report.RfmSummary(
        name=model["name"],
        window_days=model["card"]["window_days"],
        fitted_at=datetime.fromisoformat(model["card"]["as_of"]),
        recency=report.RfmAxis.of("recency", model["recency"]),
        frequency=report.RfmAxis.of("frequency", model["frequency"]),
        monetary=report.RfmAxis.of("monetary", model["monetary"]),
        cells=tuple(report.RfmCell(**cell) for cell in now["rfm"]["cells"]),
        groups=tuple(
            report.RfmGroup(
                name=name,
                people=sizes.get(name, {}).get("people", 0),
                revenue=sizes.get(name, {}).get("revenue", 0.0),
                previous_people=before.get(name) if before else None,
            )
            for name in order
            if name not in outside
        ),
        n_lapsed=sizes.get(model["lapsed"], {}).get("people", 0),
        n_prospects=sizes.get(model["no_orders"], {}).get("people", 0),
    )


def _campaigns(
    config: Config,
    plan: Mapping[str, Any],
    windows: Mapping[str, tuple[datetime, datetime]],
) -> tuple[report.CampaignRow, ...]:
    planned = {row["campaign"]: row for row in plan.get("campaigns", ())}
    lists: dict[str, list[report.AudienceRow]] = {}
    for row in plan.get("audiences", ()):
        lists.setdefault(row["campaign"], []).append(
            report.AudienceRow(
                destination=row["destination"],
                name=row["name"],
                arm=row["arm"],
                people=row["after"],
                joins=row["joins"],
                leaves=row["leaves"],
                held=row["held"],
                foreign=row["foreign"],
                status=row["status"],
            )
        )
    rows = []
    for name, one in config.campaigns.items():
        row = planned.get(name, {})
        strategy = config.strategies.get(one.strategy or "")
        first, last = windows.get(name, (None, None))
        rows.append(
            report.CampaignRow(
                name=name,
                segment=one.segment,
                destinations=tuple(one.to),
                in_segment=row.get("in_segment", 0),
                eligible=row.get("eligible", 0),
                blocked=row.get("blocked", {}),
                arms=row.get("arms", {}),
                new_arms=row.get("new_arms", {}),
                shares={arm.value: share for arm, share in one.arms.items()},
                cost=row.get("cost", 0.0),
                budget=row.get("budget"),
                audiences=tuple(lists.get(name, ())),
                strategy=one.strategy or "",
                offer=(strategy.offer or "") if strategy else "",
                goal=one.goal,
                starts_on=one.start,
                first_result_at=first,
                all_results_at=last,
            )
        )
    return tuple(rows)


def _deliveries(summary: Mapping[str, Any] | None) -> tuple[report.DeliveryRow, ...]:
    if summary is None:
        return ()
    return tuple(
        report.DeliveryRow(
            destination=one["destination"],
            outcomes=tuple(report.OutcomeCount(**count) for count in one["outcomes"]),
            unsent=one["unsent"],
            error=one["error"],
        )
        for one in summary["apply"]["destinations"]
    )


def _issues(project: Project, last: Mapping[str, Any] | None) -> tuple[report.IssueRow, ...]:
    if last is None:
        return ()
    merged: dict[tuple[str, str, str, str], int] = {}
    for row in project.journal.issues(last["run_id"]):
        key = (row["destination"], row["outcome"], row["code"], row["message"])
        merged[key] = merged.get(key, 0) + row["n"]
    return tuple(report.IssueRow(*key, people=n) for key, n in merged.items())


def _guards(
    plan: Mapping[str, Any], summary: Mapping[str, Any] | None
) -> tuple[report.GuardRow, ...]:
    held = {(g["name"], g["subject"]) for g in (summary or {}).get("apply", {}).get("guards", ())}
    return tuple(
        report.GuardRow(
            name=guard["name"],
            subject=guard["subject"],
            message=guard["message"],
            approved=(guard["name"], guard["subject"]) not in held,
        )
        for guard in plan.get("guards", ())
    )


EMPTIED = frozenset(
    {
        *("invalid_email", "email_never_merged", "email_of_too_many_customers", "email_shared"),
        "unknown_status",
    }
)
"""Quality measures of rows that were kept without one of their values."""


def _quality(now: Mapping[str, Any]) -> report.QualitySummary:
    tables: dict[str, dict[str, int]] = {}
    for line in now["quality"]:
        if line["n"]:
            tables.setdefault(line["table"], {})[line["measure"]] = line["n"]
    rows = []
    for name, measures in tables.items():
        n_source = measures.pop("source_rows", measures.pop("rows", 0))
        kept = measures.pop("kept", 0)
        if not n_source:
            continue
        left_out = {
            k: n for k, n in measures.items() if k not in EMPTIED and not k.startswith("standing_")
        }
        rows.append(
            report.TableRow(
                table=name,
                n_source=n_source,
                n_kept=kept,
                left_out=left_out,
                emptied={k: n for k, n in measures.items() if k in EMPTIED},
            )
        )
    return report.QualitySummary(
        findings=tuple(report.FindingRow(**finding) for finding in now["findings"]),
        tables=tuple(rows),
    )
