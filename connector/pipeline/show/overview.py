"""What ``liftline status`` tells: what waits, the last run, the lists, what is blocked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from connector.domain import Level
from connector.pipeline.activate.waiting import unfinished_runs, waiting_plan
from connector.state.database import parse_utc

if TYPE_CHECKING:
    from connector.pipeline.project import Project


def _age_days(project: Project, runs: Sequence[Mapping[str, Any]]) -> int | None:
    """How many whole days ago the last run's data were of; None before the first run."""
    if not runs or not runs[0]["as_of"]:
        return None
    return (project.now - parse_utc(runs[0]["as_of"])) // timedelta(days=1)


def _freshness(told: Mapping[str, Any]) -> list[dict[str, str]]:
    """What the last run found wrong with how new its tables were."""
    return [
        {"level": one["level"], "subject": one["subject"], "message": one["message"]}
        for one in (told.get("understanding") or {}).get("findings", ())
        if one["subject"].endswith(".freshness") and one["level"] != Level.OK.value
    ]


def overview(project: Project) -> dict[str, Any]:
    """The state of a project as plain values, without personal data."""
    state, zone = project.state, project.config.project.zone
    today = project.config.project.instant(project.now).astimezone(zone).date()
    runs = project.journal.runs(limit=10)
    # A held or killed run publishes nothing; what the one before it did still stands.
    told = next((found for run in runs if (found := project.summary(run["run_id"]))), {})
    tables = state.arrow(
        {
            "lists": "SELECT a.destination AS destination, a.name AS name, a.campaign AS campaign,"
            " a.arm AS arm,"
            " a.status AS status, sum(CASE WHEN m.presence = 'yes' THEN 1 ELSE 0 END) AS people,"
            " sum(CASE WHEN m.presence = 'maybe' THEN 1 ELSE 0 END) AS unconfirmed,"
            " sum(CASE WHEN m.blocked_fingerprint IS NOT NULL THEN 1 ELSE 0 END) AS blocked"
            " FROM audiences a LEFT JOIN memberships m ON m.destination = a.destination"
            " AND m.audience_id = a.audience_id GROUP BY 1, 2, 3, 4, 5 ORDER BY 1, 3, 4 DESC",
            "records": "SELECT destination,"
            " sum(CASE WHEN presence = 'yes' THEN 1 ELSE 0 END) AS people,"
            " sum(CASE WHEN presence = 'maybe' THEN 1 ELSE 0 END) AS unconfirmed,"
            " sum(CASE WHEN blocked_fingerprint IS NOT NULL THEN 1 ELSE 0 END) AS blocked,"
            # Without having been looked up nobody is unknown: some destinations know no records.
            " sum(CASE WHEN record_id IS NULL AND checked_at IS NOT NULL THEN 1 ELSE 0 END)"
            " AS unknown_there"
            " FROM records GROUP BY 1 ORDER BY 1",
            "arms": "SELECT campaign, epoch, arm, count(*) AS people FROM assignments"
            " GROUP BY 1, 2, 3 ORDER BY 1, 2, 3 DESC",
        }
    )
    waiting = waiting_plan(project)
    held_there = {
        row["destination"]
        for name in ("lists", "records")
        for row in tables[name].to_pylist()
        if row["people"] or row["unconfirmed"]
    }
    abandoned = sorted(held_there - project.config.destinations.keys())
    return {
        "project": project.config.project.name,
        "now": project.now.isoformat(),
        "waiting_plan": waiting[0].to_json() if waiting else None,
        "global_holdout": held.name if (held := project.config.holdouts.global_on(today)) else None,
        "global_holdouts": [held.name for held in project.config.holdouts.global_],
        "abandoned": abandoned,
        "unfinished_runs": unfinished_runs(project),
        "last_run": runs[0] if runs else None,
        "data_age_days": _age_days(project, runs),
        "freshness": _freshness(told),
        "models": list((told.get("plan") or {}).get("models", ())),
        "currency": project.config.project.currency,
        **{name: table.to_pylist() for name, table in tables.items()},
    }
