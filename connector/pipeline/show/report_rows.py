"""The report's rows, from a run's published artifacts, the state and the configuration."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from connector.config import Config
from connector.domain import Arm
from connector.report import data, people, sent
from connector.state.database import parse_utc

if TYPE_CHECKING:
    from connector.pipeline.activate.waiting import Waiting
    from connector.pipeline.project import Project
    from connector.report.models import SegmentTrend
    from connector.state.database import State
    from connector.warehouse.duckdb import DuckDBWarehouse


def held(state: State, name: str) -> int:
    """People whom the global holdout keeps back."""
    rows = state.arrow({"a": "SELECT campaign, arm, count(*) AS n FROM assignments GROUP BY 1, 2"})[
        "a"
    ]
    return sum(
        row["n"]
        for row in rows.to_pylist()
        if row["campaign"] == name and row["arm"] == Arm.NO_CONTACT
    )


def windows(config: Config, warehouse: DuckDBWarehouse) -> dict[str, tuple[datetime, datetime]]:
    """Campaign -> when the first and the last assigned person's goal window closes."""
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


def run(run: Mapping[str, Any]) -> data.Run:
    """One run of the history."""
    counts: dict[str, int] = {}
    for destination in run["summary"].get("destinations", ()):
        for one in destination["outcomes"]:
            counts[one["outcome"]] = counts.get(one["outcome"], 0) + one["people"]
    return data.Run(
        run_id=run["run_id"],
        status=run["status"],
        started_at=parse_utc(run["started_at"]),
        finished_at=parse_utc(run["finished_at"]) if run["finished_at"] else None,
        as_of=parse_utc(run["as_of"]) if run["as_of"] else None,
        n_delivered=counts.get("delivered", 0),
        n_refused=sum(counts.get(name, 0) for name in ("rejected", "suppressed", "missing")),
    )


def segments(
    config: Config,
    now: Mapping[str, Any],
    previous: Mapping[str, Any],
    trends: Sequence[SegmentTrend] = (),
) -> tuple[people.SegmentRow, ...]:
    """Every segment of the configuration, and how it changed since the run before.

    Args:
        config: Names the segments, and the campaigns that address them.
        now: Sizes and money now.
        previous: The same at the last run of an earlier day; empty without one.
        trends: Who joined and left, day by day.
    """
    last = {one.segment: one.points[-1] for one in trends}
    found = {row["name"]: row for row in now["segments"]}
    before = {row["name"]: row["people"] for row in previous.get("segments", ())}
    rows = []
    for name, one in config.segments.items():
        row = found.get(name, {"people": 0, "revenue_365d": 0.0})
        campaigns = {k: c for k, c in config.campaigns.items() if c.segment == name}
        rows.append(
            people.SegmentRow(
                name=name,
                people=row["people"],
                share=row["people"] / max(now["n_profiles"], 1),
                revenue_365d=row["revenue_365d"],
                previous_people=before.get(name) if previous else None,
                campaigns=tuple(campaigns),
                destinations=tuple(dict.fromkeys(to for c in campaigns.values() for to in c.to)),
                joins=last[name].joins if previous and name in last else None,
                leaves=last[name].leaves if previous and name in last else None,
                rule=one.where or " or ".join(one.references),
            )
        )
    return tuple(rows)


def rfm(now: Mapping[str, Any], previous: Mapping[str, Any]) -> people.RfmSummary:
    """The RFM model's grid, and its groups' sizes at the run before."""
    model = now["rfm"]["model"]
    before = {row["name"]: row["people"] for row in previous.get("rfm", {}).get("groups", ())}
    sizes = {row["name"]: row for row in now["rfm"]["groups"]}
    outside = {model["lapsed"], model["no_orders"]}
    order = dict.fromkeys([*(group["name"] for group in model["groups"]), *sizes])
    return people.RfmSummary(
        name=model["name"],
        window_days=model["card"]["window_days"],
        fitted_at=datetime.fromisoformat(model["card"]["as_of"]),
        recency=people.RfmAxis.of("recency", model["recency"]),
        frequency=people.RfmAxis.of("frequency", model["frequency"]),
        monetary=people.RfmAxis.of("monetary", model["monetary"]),
        cells=tuple(people.RfmCell(**cell) for cell in now["rfm"]["cells"]),
        money=tuple(people.RfmMoney(**one) for one in now["rfm"]["money"]),
        groups=tuple(
            people.RfmGroup(
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


def campaigns(
    config: Config,
    plan: Mapping[str, Any],
    windows: Mapping[str, tuple[datetime, datetime]],
) -> tuple[sent.CampaignRow, ...]:
    """Every campaign of the configuration with its numbers in a plan.

    Args:
        config: Names campaigns, strategies and metrics.
        plan: A plan's header as JSON; empty without one.
        windows: From :func:`windows`.
    """
    planned = {row["campaign"]: row for row in plan.get("campaigns", ())}
    lists: dict[str, list[sent.AudienceRow]] = {}
    for row in plan.get("audiences", ()):
        lists.setdefault(row["campaign"], []).append(
            sent.AudienceRow(
                destination=row["destination"],
                name=row["name"],
                arm=row["arm"],
                people=row["after"],
                joins=row["joins"],
                leaves=row["leaves"],
                held=row["held"],
                foreign=row["foreign"],
                status=row["status"],
                taken_off=row.get("taken_off", 0),
            )
        )
    rows = []
    for name, one in config.campaigns.items():
        row = planned.get(name, {})
        strategy = config.strategies.get(one.strategy or "")
        first, last = windows.get(name, (None, None))
        rows.append(
            sent.CampaignRow(
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
                strategy=one.strategy or ", ".join(one.offers),
                offer=(strategy.offer or "") if strategy else "",
                goal=one.goal,
                starts_on=one.start,
                first_result_at=first,
                all_results_at=last,
                cost_per_contact=_amount(strategy.cost_per_contact if strategy else None),
                cost_per_redemption=_amount(strategy.cost_per_redemption if strategy else None),
            )
        )
    return tuple(rows)


def _amount(value: Decimal | None) -> float | None:
    return None if value is None else float(value)


def deliveries(summary: Mapping[str, Any] | None) -> tuple[sent.DeliveryRow, ...]:
    """What became of each destination's changes."""
    if summary is None:
        return ()
    return tuple(
        sent.DeliveryRow(
            destination=one["destination"],
            outcomes=tuple(sent.OutcomeCount(**count) for count in one["outcomes"]),
            unsent=one["unsent"],
            error=one["error"],
        )
        for one in summary["apply"]["destinations"]
    )


def remarks(
    plan: Mapping[str, Any], summary: Mapping[str, Any] | None
) -> tuple[sent.RemarkRow, ...]:
    """Destinations that could not be read while planning, and those no longer configured."""
    told = {one.destination for one in deliveries(summary) if one.error}
    unread = "It could not be read, so nothing but explicit withdrawals was planned for it."
    return (
        *(
            sent.RemarkRow(one["destination"], f"{unread} {one['message']}", one["hint"])
            for one in plan.get("unreadable", ())
            if one["destination"] not in told
        ),
        *(
            sent.RemarkRow(one["destination"], one["message"], one["hint"])
            for one in plan.get("abandoned", ())
        ),
    )


def issues(project: Project, last: Mapping[str, Any] | None) -> tuple[sent.IssueRow, ...]:
    """What did not get through, grouped by cause."""
    if last is None:
        return ()
    merged: dict[tuple[str, str, str, str], int] = {}
    for row in project.journal.issues(last["run_id"]):
        key = (row["destination"], row["outcome"], row["code"], row["message"])
        merged[key] = merged.get(key, 0) + row["n"]
    return tuple(sent.IssueRow(*key, people=n) for key, n in merged.items())


def guards(
    state: State, plan: Mapping[str, Any], summary: Mapping[str, Any] | None
) -> tuple[sent.GuardRow, ...]:
    """The guards of the last run's plan: those that held it, and those that a person let pass."""
    holding = {
        (guard["name"], guard["subject"])
        for guard in (summary or {}).get("apply", {}).get("guards", ())
    }
    passed = {
        name: parse_utc(row["at"])
        for row in state.arrow({"a": "SELECT plan_id, guards, at FROM approvals ORDER BY at"})[
            "a"
        ].to_pylist()
        if row["plan_id"] == plan.get("plan_id")
        for name in row["guards"].split(",")
    }
    return tuple(
        sent.GuardRow(
            name=guard["name"],
            subject=guard["subject"],
            message=guard["message"],
            approved=(is_passed := (guard["name"], guard["subject"]) not in holding),
            approved_at=passed.get(guard["name"]) if is_passed else None,
        )
        for guard in plan.get("guards", ())
    )


def waiting_row(plan: Waiting) -> sent.WaitingPlan:
    """The plan that waits."""
    return sent.WaitingPlan(
        plan_id=plan.plan_id,
        created_at=plan.created_at,
        n_changes=plan.n_changes,
        guards=tuple(sent.GuardRow(g.name, g.subject, g.message) for g in plan.guards),
        obstacle=plan.obstacle,
    )


EMPTIED = frozenset(
    {
        *("invalid_email", "email_never_merged", "email_of_too_many_customers", "email_shared"),
        *("invalid_phone", "phone_never_merged", "phone_of_too_many_customers", "phone_shared"),
        *("email_over_limit", "phone_over_limit", "anonymous_id_over_limit"),
        *("anonymous_id_never_merged", "anonymous_id_of_too_many_customers"),
        "anonymous_id_shared",
        "unknown_status",
    }
)
"""Quality measures of rows that were kept without one of their values."""


def quality(now: Mapping[str, Any]) -> data.QualitySummary:
    """What became of every row of every table, and what was checked."""
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
            data.TableRow(
                table=name,
                n_source=n_source,
                n_kept=kept,
                left_out=left_out,
                emptied={k: n for k, n in measures.items() if k in EMPTIED},
            )
        )
    return data.QualitySummary(
        findings=tuple(data.FindingRow(**finding) for finding in now["findings"]),
        tables=tuple(rows),
    )
