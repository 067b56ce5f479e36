"""The report's rows about time: segments from day to day, and who moved from group to group.

**A day, not a run.** A report is often made minutes after a sync, as of an instant of its own;
against that very run nobody has moved. So what happened on one day of the project's time zone is
one step: its joins and leaves are added up, and it is compared with the last run of an earlier day.

**Migration** compares everybody with where a published run put them, people who stayed included,
over a period that is long enough for people to move: the newest run at least :data:`PERIOD` old,
else the oldest there is.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from zoneinfo import ZoneInfo

import pyarrow.parquet as pq

from connector.pipeline.scoring.grid import RFM
from connector.pipeline.show.movement import NAMES, flows
from connector.pipeline.specs import LABELS
from connector.pipeline.understand.act import Understanding
from connector.report import migration as rows
from connector.report.models import SegmentTrend, TrendPoint
from connector.state.database import parse_utc
from connector.warehouse.render import quote

if TYPE_CHECKING:
    from connector.pipeline.project import Project

TREND = 26
"""Days with runs that a segment's trend shows."""

PERIOD = timedelta(days=28)
"""How far back migration looks, where there are runs so old."""

MOST_RUNS = 400
"""Runs that are looked through for one old enough."""


class Published(NamedTuple):
    """A run that published what it found.

    Attributes:
        as_of: The instant of its data, aware.
        folder: Where its files are.
    """

    as_of: datetime
    folder: Path


def published(project: Project, runs: Sequence[Mapping[str, Any]]) -> list[Published]:
    """Runs that were applied and have a folder, in the order given."""
    return [
        Published(parse_utc(run["as_of"]), folder)
        for run in runs
        if run["status"] != "held" and run["as_of"]
        and (folder := project.state.folder / "runs" / run["run_id"]).exists()
    ]  # fmt: skip


def before(project: Project, runs: Sequence[Mapping[str, Any]], as_of: datetime) -> dict[str, Any]:
    """What the newest run of an earlier day published; empty when there was none.

    Args:
        project: Whose runs they are.
        runs: Newest first.
        as_of: The report's instant.
    """
    zone = project.config.project.zone
    today = as_of.astimezone(zone).date()
    for run in published(project, runs):
        path = run.folder / "summary.json"
        if run.as_of.astimezone(zone).date() < today and path.exists():
            document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            return document.get("understanding") or {}
    return {}


# ---------------------------------------------------------------------- trends
def trends(
    project: Project, found: Understanding, runs: Sequence[Mapping[str, Any]]
) -> tuple[SegmentTrend, ...]:
    """Every segment over the days on which a run published it, oldest first, and now.

    Args:
        project: Whose runs have published their segments.
        found: Today.
        runs: Newest first.
    """
    zone = project.config.project.zone
    days: dict[str, dict[date, TrendPoint]] = {}
    known = published(project, runs)
    for run in reversed(known):
        path = run.folder / "segments.json"
        if run.as_of <= found.as_of and path.exists():
            document = json.loads(path.read_text(encoding="utf-8"))
            for row in document["segments"]:
                _add(days, row, run.as_of, zone)
    if all(run.as_of <= found.as_of for run in known):
        # What the state knows is of the last applied run; of a report about an earlier instant
        # it would tell the opposite of what happened.
        for flow in flows(project.config, found.warehouse):
            _add(days, flow.to_json(), found.as_of, zone)
    return tuple(
        SegmentTrend(name, tuple(days[name].values())[-TREND:])
        for name in project.config.segments
        if len(days.get(name, ())) > 1
    )


def _add(
    days: dict[str, dict[date, TrendPoint]], row: Mapping[str, Any], as_of: datetime, zone: ZoneInfo
) -> None:
    """Take what a segment did at one instant to what it did on that day."""
    mine = days.setdefault(str(row["segment"]), {})
    day = as_of.astimezone(zone).date()
    earlier = mine.get(day)
    mine[day] = TrendPoint(
        as_of,
        int(row["people"]),
        int(row["joins"]) + (earlier.joins if earlier else 0),
        int(row["leaves"]) + (earlier.leaves if earlier else 0),
    )


# ---------------------------------------------------------------------- migration
def migrations(project: Project, found: Understanding) -> tuple[rows.MigrationSummary, ...]:
    """Who moved since an earlier run: of the RFM groups, then of every cluster model.

    Empty before a second day with a run.
    """
    past = _to_compare(project, found)
    if past is None:
        return ()
    _load_merges(project, found)
    refitted = _refitted(past, found)
    made = []
    order = [RFM, *(n for n, one in project.config.models.named() if one.type == "cluster")]
    for name in order:
        summary = _migration(found, past, name, is_refitted=name in refitted)
        if summary is not None and summary.flows:
            made.append(summary)
    return tuple(made)


def _to_compare(project: Project, found: Understanding) -> Published | None:
    """The newest run that is a whole period old, else the oldest of an earlier day."""
    zone = project.config.project.zone
    today = found.as_of.astimezone(zone).date()
    known = [
        run
        for run in published(project, project.journal.runs(limit=MOST_RUNS))
        if run.as_of.astimezone(zone).date() < today and (run.folder / "scores.parquet").exists()
    ]
    old_enough = [one for one in known if today - one.as_of.astimezone(zone).date() >= PERIOD]
    return old_enough[0] if old_enough else known[-1] if known else None


def _load_merges(project: Project, found: Understanding) -> None:
    """Make ``merged``: whoever an id of then has become, by the state and by this run."""
    con = found.warehouse.connection
    told = "SELECT from_profile_id, into_profile_id FROM profile_merges"
    con.register("told_merges", project.state.arrow({"m": told})["m"])
    con.execute(
        "CREATE OR REPLACE TEMP TABLE merged AS SELECT from_profile_id, min(into_profile_id) AS"
        " into_profile_id FROM (SELECT CAST(from_profile_id AS TEXT) AS from_profile_id,"
        f" CAST(into_profile_id AS TEXT) AS into_profile_id FROM told_merges UNION ALL {told})"
        " GROUP BY 1"
    )
    con.unregister("told_merges")


def _refitted(past: Published, found: Understanding) -> set[str]:
    """Models that were fitted anew between the run and now: that moves people too."""
    path = past.folder / "models.json"
    if not path.exists():
        return set()
    then = {
        one["name"]: one["card"]["as_of"]
        for one in json.loads(path.read_text(encoding="utf-8"))
        if one.get("card")
    }
    now = {name: card.as_of for name, card in found.scores.cards.items()}
    now[RFM] = found.rfm_model.card.as_of
    return {
        name
        for name, at in now.items()
        if name in then and datetime.fromisoformat(then[name]) != at
    }


def _migration(
    found: Understanding, past: Published, model: str, *, is_refitted: bool
) -> rows.MigrationSummary | None:
    """One model's flows; None where the run or today knows nothing of it."""
    kind = "rfm" if model == RFM else "cluster"
    label = f"{model}.{LABELS.get(kind, 'group')}"
    name = f"{model}.{NAMES[kind]}" if kind in NAMES else label
    con, path = found.warehouse.connection, past.folder / "scores.parquet"
    if not {label, name} <= set(pq.read_schema(path).names) or label not in found.columns:
        return None
    # The workspace opens no files, so the scores are handed to it.
    columns = list(dict.fromkeys(("profile_id", label, name)))
    con.register("scores_then", pq.read_table(path, columns=columns))
    con.execute(
        "CREATE OR REPLACE TEMP TABLE migrated AS WITH b AS ("
        " SELECT coalesce(m.into_profile_id, p.profile_id) AS profile_id,"
        f" min(p.{quote(label)}) AS label, min(p.{quote(name)}) AS name"
        " FROM scores_then AS p"
        " LEFT JOIN merged AS m ON m.from_profile_id = p.profile_id GROUP BY 1)"
        " SELECT b.profile_id IS NOT NULL AS was_known, b.label AS was, b.name AS was_name,"
        f" s.profile_id IS NOT NULL AS is_known, s.{quote(label)} AS now,"
        f" s.{quote(name)} AS now_name"
        " FROM b FULL JOIN scored AS s ON s.profile_id = b.profile_id"
    )
    con.unregister("scores_then")
    counted = con.execute(
        "SELECT CASE WHEN was IS NOT NULL THEN was WHEN was_known THEN $none ELSE $absent END,"
        " CASE WHEN now IS NOT NULL THEN now WHEN is_known THEN $none ELSE $absent END,"
        # Who is described neither then nor now has not moved anywhere.
        " count(*) FROM migrated WHERE coalesce(was, now) IS NOT NULL GROUP BY 1, 2 ORDER BY 1, 2",
        {"none": rows.NOT_DESCRIBED, "absent": rows.NOT_KNOWN},
    ).fetchall()
    called: dict[str, str] = {}
    for one in ("was", "now"):
        # Today's name of a persona stands, where it is still there.
        called |= con.execute(
            f"SELECT {one}, min({one}_name) FROM migrated WHERE {one} IS NOT NULL GROUP BY 1"
        ).fetchall()
    return rows.MigrationSummary(
        model=model,
        kind=kind,
        since=past.as_of,
        until=found.as_of,
        places=tuple(_places(found, model, called)),
        flows=tuple(rows.FlowRow(str(a), str(b), int(n)) for a, b, n in counted),
        is_refitted=is_refitted,
    )


def _places(found: Understanding, model: str, called: Mapping[str, str]) -> Iterator[rows.PlaceRow]:
    """Groups in the model's order, then those of earlier fits, then nowhere."""
    if model == RFM:
        grid = found.rfm_model
        known = [group.name for group in grid.groups] + [grid.lapsed, grid.no_orders]
    else:
        fitted: Any = found.scores.models.get(model)
        known = list(fitted.ids) if fitted is not None else []
    for key in dict.fromkeys([*known, *sorted(called)]):
        if key in called:
            yield rows.PlaceRow(key, called[key])
    yield rows.PlaceRow(rows.NOT_DESCRIBED, "not described")
    yield rows.PlaceRow(rows.NOT_KNOWN, "not known")
