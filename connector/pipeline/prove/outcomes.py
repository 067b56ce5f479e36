"""What the lift engine reads beside orders: the log of arms, classes, scores and withdrawals.

Classes are those of the moment of assignment. They are taken from what the assigning run published
and never from today's scores: what a campaign has changed must not sort the people it is judged
by. A run whose artifacts are gone leaves its people without a class, which is said.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from connector.config import Config
from connector.lift.bands import quantile_bands
from connector.lift.inputs import CLASSES, SCORES, WITHDRAWALS
from connector.lift.metrics import ASSIGNMENTS, MetricKind, MetricSpec
from connector.lift.sensitivity import MERGED
from connector.pipeline import specs
from connector.profiles.spec import PersonKey
from connector.state.database import parse_utc
from connector.warehouse.render import quote

if TYPE_CHECKING:
    from connector.ports import Warehouse
    from connector.state.database import State

PERCENTILE = ".percentile"
"""How the name of a score ends that classes people by fifths."""

FIFTH = 20
"""Percentiles in a fifth."""

PUBLISHED, LOG = "lift_published", "assignment_log"


def load_assignments(state: State, warehouse: Warehouse) -> None:
    """Make ``assignments`` of the arm log; merged people have one profile and the earliest arm.

    And ``lift_merged``: whose log holds more than one arm of one campaign and epoch.
    """
    rows = state.arrow(
        {
            "log": "SELECT a.campaign, a.epoch,"
            " coalesce(m.into_profile_id, a.profile_id) AS profile_id, a.arm,"
            " a.first_eligible_at, a.config_version, a.run_id, a.profile_id AS logged_as,"
            " coalesce(a.offer, '') AS offer"
            " FROM assignments a LEFT JOIN profile_merges m ON m.from_profile_id = a.profile_id"
        }
    )["log"]
    text = pa.string()
    times = [parse_utc(at).replace(tzinfo=None) for at in rows["first_eligible_at"].to_pylist()]
    columns = {name: rows[name].cast(text) for name in rows.column_names if name != "epoch"}
    columns["epoch"] = rows["epoch"].cast(pa.int32())
    columns["first_eligible_at"] = pa.array(times, pa.timestamp("us"))
    warehouse.load(LOG, pa.table(columns))
    kept = ("campaign", "epoch", "config_version", "profile_id", "arm", "first_eligible_at")
    names = ", ".join(f"x.{name} AS {name}" for name in (*kept, "run_id", "logged_as", "offer"))
    warehouse.create_table_as(
        ASSIGNMENTS,
        f"SELECT {names} FROM (SELECT a.*, row_number() OVER (PARTITION BY a.campaign, a.epoch,"
        " a.profile_id ORDER BY a.first_eligible_at, a.logged_as) AS place"
        f" FROM {LOG} AS a) AS x WHERE x.place = 1",
    )
    warehouse.create_table_as(
        MERGED,
        f"SELECT a.campaign AS campaign, a.epoch AS epoch, a.profile_id AS profile_id FROM {LOG}"
        " AS a GROUP BY a.campaign, a.epoch, a.profile_id HAVING count(DISTINCT a.arm) > 1",
    )


def load_classes(config: Config, state: State, warehouse: Warehouse) -> tuple[tuple[str, ...], str]:
    """Make ``lift_classes``: what people were, by what the run that assigned them published.

    Returns:
        The dimensions, and what must be said where classes are missing.
    """
    wanted = config.measurement.segments_by
    runs = [
        str(run)
        for (run,) in warehouse.rows(f"SELECT DISTINCT run_id FROM {ASSIGNMENTS} ORDER BY run_id")
    ]
    files = {run: path for run in runs if (path := _scores_file(state, run)).exists()}
    if not files:
        missing = "No run's published scores are there, so people cannot be classed as they were."
        return (), missing if runs else ""
    labels = list(specs.label_columns(config).values())
    there = set().union(*(pq.read_schema(path).names for path in files.values()))
    if wanted is None:
        fifths = sorted(name for name in there if name.endswith(PERCENTILE))
        dimensions = [name for name in (*labels, *fifths) if name in there]
    else:
        dimensions = [name for name in wanted if name in there]
    if not dimensions:
        return (), "No run has published the columns that people are to be classed by."
    parts = [_published(warehouse, run, path, dimensions) for run, path in files.items()]
    warehouse.load(PUBLISHED, _banded(pa.concat_tables(parts, promote_options="permissive")))
    picked = ", ".join(f"p.{quote(name)} AS {quote(name)}" for name in dimensions)
    warehouse.create_table_as(
        CLASSES,
        "SELECT a.campaign AS campaign, a.epoch AS epoch, a.profile_id AS profile_id,"
        f" {picked} FROM {ASSIGNMENTS} AS a JOIN {PUBLISHED} AS p ON p.run_id = a.run_id"
        " AND p.profile_id = a.logged_as",
    )
    lost = len(runs) - len(files)
    note = f"{lost} of {len(runs)} runs that assigned people are no longer there." if lost else ""
    return tuple(dimensions), note


def load_scores(
    metrics: Sequence[MetricSpec], state: State, warehouse: Warehouse, *, as_of: datetime
) -> bool:
    """Make ``lift_scores``: published scores at the instants that changes are measured between.

    For each beginning and end of a window that is the newest run at or before it.

    Returns:
        Whether any was published.
    """
    deltas = [metric for metric in metrics if metric.kind is MetricKind.DELTA]
    if not deltas:
        return False
    began = [
        at.replace(tzinfo=as_of.tzinfo)
        for (at,) in warehouse.rows(f"SELECT DISTINCT first_eligible_at FROM {ASSIGNMENTS}")
    ]
    lengths = {metric.window_days for metric in deltas}
    instants = {*began, *(at + timedelta(days=days) for at in began for days in lengths)}
    taken: dict[str, datetime] = {}
    runs = [(run, at) for run, at in _runs(state) if at <= as_of]
    for instant in instants:
        before = [(at, run) for run, at in runs if at <= instant]
        if before and instant <= as_of:
            at, run = max(before)
            taken[run] = at
    people = _assigned(warehouse)
    merged = _merges(state)
    parts = [
        part
        for run, at in sorted(taken.items())
        for score in sorted({metric.expression for metric in deltas})
        if (part := _score(_scores_file(state, run), score, at, people, merged)) is not None
    ]
    if not parts:
        return False
    warehouse.load(SCORES, pa.concat_tables(parts))
    return True


def load_withdrawals(metrics: Sequence[MetricSpec], config: Config, warehouse: Warehouse) -> bool:
    """Make ``lift_withdrawals``: who took back consent to e-mail, and when.

    Returns:
        Whether the file maps consents, and a metric asks.
    """
    asked = any({"unsubscribed", "unsubscribes"} & metric.person_columns for metric in metrics)
    if not asked or not warehouse.columns("consent_judged"):
        return False
    if specs.consent_spec(config).key is PersonKey.EMAIL:
        owner = "JOIN profile_emails AS o ON o.email = j.person"
    else:
        owner = "JOIN profile_customers AS o ON o.customer_id = j.person"
    warehouse.create_table_as(
        WITHDRAWALS,
        "SELECT DISTINCT o.profile_id AS profile_id, j.at AS at FROM consent_judged AS j"
        f" {owner} WHERE j.status = 'withdrawn' AND j.reason IS NULL AND j.at IS NOT NULL"
        " AND coalesce(j.channel, 'email') = 'email'",
    )
    return True


def _scores_file(state: State, run: str) -> Path:
    return state.folder / "runs" / run / "scores.parquet"


def _runs(state: State) -> list[tuple[str, datetime]]:
    """Runs that published their scores, with their instants."""
    rows = state.arrow({"r": "SELECT run_id, as_of FROM runs WHERE as_of IS NOT NULL"})["r"]
    return [
        (row["run_id"], parse_utc(row["as_of"]))
        for row in rows.to_pylist()
        if _scores_file(state, row["run_id"]).exists()
    ]


def _published(warehouse: Warehouse, run: str, path: Path, dimensions: Sequence[str]) -> pa.Table:
    """The classes of the people whom a run assigned."""
    names = set(pq.read_schema(path).names)
    mine = [who for who, by in _logged(warehouse) if by == run]
    table = pq.read_table(path, columns=["profile_id", *(d for d in dimensions if d in names)])
    table = table.filter(pc.is_in(table["profile_id"], value_set=pa.array(mine, pa.string())))
    columns: dict[str, Any] = {
        "run_id": pa.array([run] * len(table), pa.string()),
        "profile_id": table["profile_id"].cast(pa.string()),
    }
    for name in dimensions:
        if name not in names:
            columns[name] = pa.nulls(len(table))
        elif name.endswith(PERCENTILE):
            columns[name] = pa.array([_fifth(x) for x in table[name].to_pylist()], pa.string())
        elif _is_amount(table[name].type):
            columns[name] = table[name].cast(pa.float64())
        else:
            columns[name] = table[name].cast(pa.string())
    return pa.table(columns)


def _is_amount(kind: pa.DataType) -> bool:
    """Whether a column holds numbers, of which nearly everybody has another."""
    return bool(
        pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)
    )


def _banded(people: pa.Table) -> pa.Table:
    """Numbers replaced by the quarter of everybody assigned that they lie in."""
    for i, name in enumerate(people.column_names):
        if _is_amount(people[name].type):
            bands = quantile_bands(people[name].to_pylist())
            people = people.set_column(i, name, pa.array(bands, pa.string()))
    return people


def _logged(warehouse: Warehouse) -> list[tuple[str, str]]:
    """Profile as it was logged, and the run that did."""
    rows = warehouse.rows(f"SELECT DISTINCT logged_as, run_id FROM {ASSIGNMENTS}")
    return [(str(who), str(run)) for who, run in rows]


def _fifth(percentile: float | None) -> str | None:
    """The band that a percentile lies in."""
    if percentile is None:
        return None
    low = min(int(percentile) // FIFTH, 100 // FIFTH - 1) * FIFTH
    return f"{low} to {low + FIFTH} %"


def _assigned(warehouse: Warehouse) -> pa.Array:
    rows = warehouse.rows(
        f"SELECT profile_id FROM {ASSIGNMENTS} UNION SELECT logged_as FROM {ASSIGNMENTS}"
    )
    return pa.array([str(who) for (who,) in rows], pa.string())


def _merges(state: State) -> Mapping[str, str]:
    rows = state.arrow({"m": "SELECT from_profile_id, into_profile_id FROM profile_merges"})["m"]
    return {row["from_profile_id"]: row["into_profile_id"] for row in rows.to_pylist()}


def _score(
    path: Path, score: str, at: datetime, people: pa.Array, merged: Mapping[str, str]
) -> pa.Table | None:
    """One score of one run, of the people assigned; None where it was not published."""
    if score not in pq.read_schema(path).names:
        return None
    table = pq.read_table(path, columns=["profile_id", score])
    table = table.filter(pc.is_in(table["profile_id"].cast(pa.string()), value_set=people))
    values: dict[str, float] = {}
    for who, value in zip(table["profile_id"].to_pylist(), table[score].to_pylist(), strict=True):
        if value is not None:
            # Of two profiles that are one by now, the one that went on counts.
            owner = merged.get(who, who)
            if owner == who or owner not in values:
                values[owner] = float(value)
    n = len(values)
    return pa.table(
        {
            "profile_id": pa.array(list(values), pa.string()),
            "score": pa.array([score] * n, pa.string()),
            "at": pa.array([at.replace(tzinfo=None)] * n, pa.timestamp("us")),
            "value": pa.array(list(values.values()), pa.float64()),
        }
    )
