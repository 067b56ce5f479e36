"""What waits: plans that nobody has applied, and runs that did not come to their end.

Every plan says everything that there is to do, so only the newest one waits; those made before it,
and not applied either, are named as replaced. What was made before the plan that was last applied
is history.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from connector.errors import PlanError
from connector.numbers import several
from connector.plan.document import Guard, Header, read_plan
from connector.report import approving
from connector.state.database import parse_utc

if TYPE_CHECKING:
    from connector.pipeline.project import Project

UNFINISHED = frozenset({"running", "interrupted", "failed", "partial"})
"""Ends of a run after which something is left to do."""

_RUNS = 50


@dataclass(frozen=True, slots=True)
class Waiting:
    """A plan that was made and not applied.

    Attributes:
        plan_id: Its name.
        status: ``planned``, or ``held`` when a run was tried and its guards stopped it.
        created_at: When it was made, aware.
        as_of: The instant that its scores are of.
        expires_at: From when on it is too old to be applied.
        n_changes: What it would change.
        guards: What holds it until a person has looked.
        replaced: How many older plans wait no longer because of it.
        obstacle: Why it cannot be applied any more, as a sentence; empty where it can.
    """

    plan_id: str
    status: str
    created_at: datetime
    as_of: datetime
    expires_at: datetime
    n_changes: int
    guards: tuple[Guard, ...]
    replaced: int
    obstacle: str

    @property
    def command(self) -> str:
        """What to type to carry it out, or to have one that can be."""
        if self.obstacle:
            return "liftline plan"
        return approving.command({guard.name for guard in self.guards})

    @property
    def advice(self) -> str:
        """What to do before that; empty where there is nothing to say."""
        return "" if self.obstacle else approving.advice({guard.name for guard in self.guards})

    def to_json(self) -> dict[str, Any]:
        """Plain values for JSON."""
        document = dataclasses.asdict(self) | {"command": self.command, "advice": self.advice}
        for name in ("created_at", "as_of", "expires_at"):
            document[name] = document[name].isoformat()
        return document


def waiting_plan(project: Project) -> tuple[Waiting, Header | None] | None:
    """The newest plan and its header, where it waits; None where nothing does.

    The header is missing where the plan's files are.
    """
    plans = project.state.arrow({"p": "SELECT plan_id, status, created_at, as_of FROM plans"})["p"]
    rows = sorted(plans.to_pylist(), key=lambda row: (row["created_at"], row["plan_id"]))
    after_last_applied = len(rows) - next(
        (i for i, row in enumerate(reversed(rows)) if row["status"] == "applied"), len(rows)
    )
    left = rows[after_last_applied:]
    if not left:
        return None
    newest = left[-1]
    header, obstacle = None, ""
    try:
        header = read_plan(project.state.folder / "plans" / newest["plan_id"]).header
    except PlanError as problem:
        obstacle = f"It cannot be read: {problem.message}"
    if header is not None and header.is_empty and not header.guards:
        return None
    created_at, max_age = parse_utc(newest["created_at"]), project.config.guards.plan_max_age
    if header is not None and header.config_digest != project.config.digest:
        obstacle = "The configuration has changed since it was made."
    elif project.now - created_at > max_age:
        obstacle = f"It is too old: the limit is {age(max_age)}."
    waiting = Waiting(
        plan_id=newest["plan_id"],
        status=newest["status"],
        created_at=created_at,
        as_of=parse_utc(newest["as_of"]),
        expires_at=created_at + max_age,
        n_changes=header.n_changes if header else 0,
        guards=header.guards if header else (),
        replaced=len(left) - 1,
        obstacle=obstacle,
    )
    return waiting, header


def unfinished_runs(project: Project) -> list[dict[str, Any]]:
    """Runs after which something is left to do, newest first, back to the last that succeeded."""
    found = []
    for run in project.journal.runs(limit=_RUNS):
        if run["status"] == "succeeded":
            break
        if run["status"] in UNFINISHED:
            found.append({k: run[k] for k in ("run_id", "status", "plan_id", "started_at")})
    return found


def age(stretch: timedelta) -> str:
    """A stretch of time in its largest sensible unit, such as ``3 hours``."""
    minutes = int(stretch.total_seconds() // 60)
    if minutes < 1:
        return "less than a minute"
    if minutes < 120:
        return several(minutes, "minute")
    if minutes < 60 * 72:
        return several(minutes // 60, "hour")
    return several(minutes // (60 * 24), "day")
