"""What happened: runs, plans, approvals, arms, labels, models, table counts and row issues."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.dialects.sqlite import insert as upsert

from connector.domain import Outcome
from connector.errors import StalePlanError
from connector.state import schema
from connector.state.database import State, parse_utc, utc_text

if TYPE_CHECKING:
    import pyarrow as pa


SOURCE_GUARD = "source"
"""Name of the guards that tell of a broken source."""

RUNS_COMPARED = 7
"""Applied runs whose row counts a source is compared with: a week of nightly runs."""


class Journal:
    """Reads and writes of everything in the state that is not a ledger."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._engine = state.engine

    # ------------------------------------------------------------------ runs
    def take_up(self, now: datetime) -> list[str]:
        """Mark runs that were killed; call it under the lock, where no other run can be alive.

        Returns:
            The ids of the runs that had not finished.
        """
        with self._engine.begin() as connection:
            runs = schema.runs
            dead = list(
                connection.scalars(sa.select(runs.c.run_id).where(runs.c.status == "running"))
            )
            if dead:
                connection.execute(
                    sa.update(runs)
                    .where(runs.c.run_id.in_(dead))
                    .values(status="interrupted", finished_at=utc_text(now))
                )
        return dead

    def start_run(
        self, run_id: str, *, plan_id: str, as_of: datetime, config_digest: str, now: datetime
    ) -> None:
        """Write down that a run begins."""
        self._state.insert(
            schema.runs,
            [
                {
                    "run_id": run_id,
                    "status": "running",
                    "plan_id": plan_id,
                    "as_of": utc_text(as_of),
                    "started_at": utc_text(now),
                    "config_digest": config_digest,
                }
            ],
        )

    def finish_run(
        self, run_id: str, *, status: str, summary: Mapping[str, Any], now: datetime
    ) -> None:
        """Write down how a run ended: ``succeeded``, ``partial``, ``held`` or ``failed``."""
        with self._engine.begin() as connection:
            connection.execute(
                sa.update(schema.runs)
                .where(schema.runs.c.run_id == run_id)
                .values(
                    status=status,
                    finished_at=utc_text(now),
                    summary=json.dumps(summary, ensure_ascii=False, default=str),
                )
            )

    def runs(self, limit: int = 20) -> list[dict[str, Any]]:
        """The latest runs, newest first, their summaries parsed."""
        with self._engine.connect() as connection:
            rows = connection.execute(
                sa.select(schema.runs)
                .order_by(schema.runs.c.started_at.desc(), schema.runs.c.run_id.desc())
                .limit(limit)
            ).mappings()
            return [dict(row) | {"summary": json.loads(row["summary"])} for row in rows]

    def withdrawn_by(self) -> datetime | None:
        """The instant whose withdrawals have all been carried out; None before the first run.

        That of the newest applied run that took everybody off who was to leave. Where there is none
        that of the oldest applied run: before it there was nobody to take off.
        """
        runs = schema.runs
        applied = None
        with self._engine.connect() as connection:
            for row in connection.execute(
                sa.select(runs.c.as_of, runs.c.summary)
                .where(runs.c.status.in_(("succeeded", "partial")))
                .order_by(runs.c.started_at.desc(), runs.c.run_id.desc())
            ):
                applied = parse_utc(row.as_of)
                if _took_off_all(json.loads(row.summary)):
                    break
        return applied

    # ------------------------------------------------------------------ plans
    def record_plan(
        self,
        plan_id: str,
        *,
        created_at: datetime,
        as_of: datetime,
        config_digest: str,
        seal: str | None = None,
    ) -> None:
        """Write down that a plan was made, and the digest of its files."""
        self._state.insert(
            schema.plans,
            [
                {
                    "plan_id": plan_id,
                    "created_at": utc_text(created_at),
                    "as_of": utc_text(as_of),
                    "config_digest": config_digest,
                    "status": "planned",
                    "seal": seal,
                }
            ],
        )

    def plan_seal(self, plan_id: str) -> str | None:
        """The digest of a plan's files; None where none was kept."""
        with self._engine.connect() as connection:
            return connection.scalar(
                sa.select(schema.plans.c.seal).where(schema.plans.c.plan_id == plan_id)
            )

    def plan_status(self, plan_id: str) -> str | None:
        """``planned``, ``applied`` or ``held``; None for a plan of another state folder."""
        with self._engine.connect() as connection:
            return connection.scalar(
                sa.select(schema.plans.c.status).where(schema.plans.c.plan_id == plan_id)
            )

    def applied_since(self, created_at: datetime) -> str | None:
        """A plan that was made later and has been applied, if there is one."""
        plans = schema.plans
        with self._engine.connect() as connection:
            return connection.scalar(
                sa.select(plans.c.plan_id)
                .where(plans.c.created_at > utc_text(created_at), plans.c.status == "applied")
                .limit(1)
            )

    def set_plan_status(self, plan_id: str, status: str) -> None:
        """Write down what became of a plan."""
        with self._engine.begin() as connection:
            connection.execute(
                sa.update(schema.plans)
                .where(schema.plans.c.plan_id == plan_id)
                .values(status=status)
            )

    def approve(self, plan_id: str, guards: Iterable[str], *, approver: str, now: datetime) -> None:
        """Write down who let which guards pass."""
        self._state.insert(
            schema.approvals,
            [
                {
                    "plan_id": plan_id,
                    "guards": ",".join(sorted(set(guards))),
                    "approver": approver,
                    "at": utc_text(now),
                }
            ],
        )

    # ------------------------------------------------------------------ arms
    def log_arms(
        self,
        new_arms: pa.Table,
        *,
        run_id: str,
        config_version: str,
        planned_at: datetime | None = None,
    ) -> int:
        """Append assignments; whoever has an arm keeps it.

        Args:
            new_arms: Columns campaign, epoch, profile_id, arm, bucket, first_eligible_at, offer.
            run_id: The run that assigns.
            config_version: Digest of the configuration that the shares are from.
            planned_at: When the arms were drawn; people merged since then have no arm of their own.

        Returns:
            How many were new.

        Raises:
            StalePlanError: The log holds another arm for one of them: another plan was applied in
                between.
        """
        table = schema.assignments
        merged = set() if planned_at is None else self._merged_since(planned_at)
        with self._engine.begin() as connection:
            before = connection.scalar(sa.select(sa.func.count()).select_from(table)) or 0
            for batch in new_arms.to_batches(max_chunksize=20_000):
                rows = batch.to_pylist()
                if merged and not merged.isdisjoint(row["profile_id"] for row in rows):
                    raise StalePlanError(
                        "two people of the plan have turned out to be one since it was made, and"
                        " keep the earlier arm of the two.",
                        hint="Make the plan again.",
                    )
                connection.execute(
                    upsert(table).on_conflict_do_nothing(),
                    [row | {"config_version": config_version, "run_id": run_id} for row in rows],
                )
                logged = {
                    (row.campaign, row.epoch, row.profile_id): (row.arm, row.offer)
                    for row in connection.execute(
                        sa.select(table).where(
                            table.c.profile_id.in_([row["profile_id"] for row in rows])
                        )
                    )
                }
                for row in rows:
                    key = (row["campaign"], row["epoch"], row["profile_id"])
                    planned = (row["arm"], row.get("offer"))
                    if logged[key] != planned:
                        there, here = (" ".join(filter(None, x)) for x in (logged[key], planned))
                        raise StalePlanError(
                            f"profile {row['profile_id']} has arm {there} of campaign"
                            f" {row['campaign']} by now;"
                            f" the plan says {here}.",
                            hint="Another plan was applied since. Make this one again.",
                        )
            after = connection.scalar(sa.select(sa.func.count()).select_from(table)) or 0
        return after - before

    def _merged_since(self, moment: datetime) -> set[str]:
        """Profiles that merged after an instant, on either side."""
        table = schema.profile_merges
        with self._engine.connect() as connection:
            rows = connection.execute(
                sa.select(table.c.from_profile_id, table.c.into_profile_id).where(
                    table.c.at > utc_text(moment)
                )
            )
            return {profile for row in rows for profile in row}

    def log_shares(
        self, shares: Iterable[tuple[str, int, str, float]], *, config_version: str
    ) -> None:
        """Remember what a configuration version drew with: (campaign, epoch, arm, share)."""
        rows = [
            {"campaign": c, "epoch": e, "arm": a, "share": s, "config_version": config_version}
            for c, e, a, s in shares
        ]
        if rows:
            with self._engine.begin() as connection:
                connection.execute(upsert(schema.arm_shares).on_conflict_do_nothing(), rows)

    def log_offer_shares(
        self, shares: Iterable[tuple[str, int, str, float]], *, config_version: str
    ) -> None:
        """The same for offers: (campaign, epoch, offer, share of the treatment arm)."""
        rows = [
            {"campaign": c, "epoch": e, "offer": o, "share": s, "config_version": config_version}
            for c, e, o, s in shares
        ]
        if rows:
            with self._engine.begin() as connection:
                connection.execute(upsert(schema.offer_shares).on_conflict_do_nothing(), rows)

    def last_shares(self) -> dict[tuple[str, int], dict[str, float]]:
        """(campaign, epoch) -> share of each arm, as people were last drawn with."""
        table, runs = schema.arm_shares, schema.runs
        last_used = (
            sa.select(runs.c.config_digest, sa.func.max(runs.c.started_at).label("at"))
            .where(runs.c.status != "held")
            .group_by(runs.c.config_digest)
            .subquery()
        )
        found: dict[tuple[str, int], dict[str, float]] = {}
        newest: dict[tuple[str, int], str] = {}
        with self._engine.connect() as connection:
            for row in connection.execute(
                sa.select(table, last_used.c.at)
                .join(last_used, last_used.c.config_digest == table.c.config_version)
                .order_by(last_used.c.at.desc())
            ):
                key = (row.campaign, row.epoch)
                if newest.setdefault(key, row.config_version) == row.config_version:
                    found.setdefault(key, {})[row.arm] = row.share
        return found

    def drawn_arms(self) -> set[tuple[str, int, str]]:
        """(campaign, epoch, arm) of every arm that ever had a share."""
        table = schema.arm_shares
        with self._engine.connect() as connection:
            rows = connection.execute(
                sa.select(table.c.campaign, table.c.epoch, table.c.arm)
                .where(table.c.share > 0)
                .distinct()
            )
            return {(row.campaign, row.epoch, row.arm) for row in rows}

    # ------------------------------------------------------------------ identity
    def learn_people(
        self,
        new_keys: Iterable[Mapping[str, str]],
        merges: Iterable[Mapping[str, str]],
        splits: Iterable[Mapping[str, str]] = (),
        *,
        now: datetime,
    ) -> None:
        """Store new profile ids, merges and splits.

        A chain of merges points at its last survivor. A former profile that has split off again is
        nobody else's any more, so its arms are its own again.
        """
        keys = [dict(row) for row in new_keys]
        joined = [dict(row) for row in merges]
        parted = [dict(row) for row in splits]
        with self._engine.begin() as connection:
            if keys:
                # An address may have gone over to another person; a stale owner would be merged
                # with whoever next uses it.
                statement = upsert(schema.profile_keys)
                connection.execute(
                    statement.on_conflict_do_update(
                        index_elements=["kind", "key_digest"],
                        set_={"profile_id": statement.excluded.profile_id},
                    ),
                    keys,
                )
            table = schema.profile_merges
            for row in joined:
                connection.execute(
                    sa.update(table)
                    .where(table.c.into_profile_id == row["from_profile_id"])
                    .values(into_profile_id=row["into_profile_id"])
                )
                connection.execute(
                    upsert(table).on_conflict_do_update(
                        index_elements=["from_profile_id"],
                        set_={"into_profile_id": row["into_profile_id"]},
                    ),
                    row | {"at": utc_text(now)},
                )
                connection.execute(
                    sa.update(schema.profile_keys)
                    .where(schema.profile_keys.c.profile_id == row["from_profile_id"])
                    .values(profile_id=row["into_profile_id"])
                )
            for row in parted:
                connection.execute(
                    sa.delete(table).where(table.c.from_profile_id == row["into_profile_id"])
                )
                connection.execute(
                    upsert(schema.profile_splits).on_conflict_do_nothing(),
                    row | {"at": utc_text(now)},
                )

    # ------------------------------------------------------------------ labels and segments
    def advance(self, labels: pa.Table, segment_state: pa.Table) -> None:
        """Move people's model labels and segment states on to this run's.

        Only changed rows are given.
        """
        with self._engine.begin() as connection:
            for table, rows in ((schema.labels, labels), (schema.segment_state, segment_state)):
                keys = [column.name for column in table.primary_key]
                statement = upsert(table)
                update = statement.on_conflict_do_update(
                    index_elements=keys,
                    set_={
                        c.name: statement.excluded[c.name]
                        for c in table.columns
                        if c.name not in keys
                    },
                )
                for batch in rows.to_batches(max_chunksize=20_000):
                    connection.execute(update, batch.to_pylist())

    # ------------------------------------------------------------------ models
    def store_model(self, name: str, document: str, *, as_of: datetime, now: datetime) -> int:
        """Keep a newly fitted model; returns its version."""
        table = schema.models
        with self._engine.begin() as connection:
            latest = connection.scalar(
                sa.select(sa.func.max(table.c.version)).where(table.c.name == name)
            )
            version = int(latest or 0) + 1
            connection.execute(
                sa.insert(table).values(
                    name=name,
                    version=version,
                    fitted_at=utc_text(now),
                    as_of=utc_text(as_of),
                    document=document,
                )
            )
        return version

    def model(self, name: str, *, applied: bool = False) -> tuple[int, str, str] | None:
        """The newest model of that name (or the newest that a run has used).

        Version, document, when it was fitted.
        """
        table = schema.models
        query = (
            sa.select(table).where(table.c.name == name).order_by(table.c.version.desc()).limit(1)
        )
        if applied:
            query = query.where(table.c.applied_at.is_not(None))
        with self._engine.connect() as connection:
            row = connection.execute(query).first()
        return None if row is None else (row.version, row.document, row.fitted_at)

    def mark_models_applied(self, versions: Mapping[str, int], *, now: datetime) -> None:
        """Remember that a run has used these model versions."""
        with self._engine.begin() as connection:
            for name, version in versions.items():
                connection.execute(
                    sa.update(schema.models)
                    .where(schema.models.c.name == name, schema.models.c.version == version)
                    .values(applied_at=utc_text(now))
                )

    # ------------------------------------------------------------------ tables
    def table_counts(self) -> dict[str, int]:
        """Rows that each source table should have: the most of the last applied runs.

        Of several runs, so that a table cannot shrink unnoticed by losing a little in each. A
        person who approved a run in spite of its sources has accepted what they had then.
        """
        table, approvals, plans = schema.table_counts, schema.approvals, schema.plans
        with self._engine.connect() as connection:
            accepted = connection.scalar(
                sa.select(sa.func.max(approvals.c.at))
                .join(plans, plans.c.plan_id == approvals.c.plan_id)
                .where(
                    plans.c.status == "applied",
                    ("," + approvals.c.guards + ",").contains(f",{SOURCE_GUARD},"),
                )
            )
            recent = (
                sa.select(
                    table.c.table_name,
                    table.c.n_rows,
                    sa.func.row_number()
                    .over(partition_by=table.c.table_name, order_by=table.c.at.desc())
                    .label("place"),
                )
                .where(table.c.at >= (accepted or ""))
                .subquery()
            )
            return {
                row.table_name: row.n_rows
                for row in connection.execute(
                    sa.select(recent.c.table_name, sa.func.max(recent.c.n_rows).label("n_rows"))
                    .where(recent.c.place <= RUNS_COMPARED)
                    .group_by(recent.c.table_name)
                )
            }

    def store_table_counts(self, counts: Mapping[str, int], *, run_id: str, now: datetime) -> None:
        """Remember how many rows each source table had."""
        self._state.insert(
            schema.table_counts,
            [
                {"table_name": name, "run_id": run_id, "n_rows": n, "at": utc_text(now)}
                for name, n in counts.items()
            ],
        )

    # ------------------------------------------------------------------ row issues
    def store_issues(
        self, run_id: str, issues: Sequence[Mapping[str, Any]], *, now: datetime
    ) -> None:
        """Keep every change that did not get through."""
        at = utc_text(now)
        for start in range(0, len(issues), 5_000):
            self._state.insert(
                schema.row_issues,
                [
                    dict(issue) | {"run_id": run_id, "at": at}
                    for issue in issues[start : start + 5_000]
                ],
            )

    def issues(self, run_id: str) -> list[dict[str, Any]]:
        """The row issues of one run.

        Grouped by cause, most frequent first, each with up to three profiles.
        """
        table = schema.row_issues
        with self._engine.connect() as connection:
            groups = connection.execute(
                sa.select(
                    table.c.destination,
                    table.c.kind,
                    table.c.action,
                    table.c.outcome,
                    table.c.code,
                    sa.func.min(table.c.message).label("message"),
                    sa.func.count().label("n"),
                    sa.func.min(table.c.profile_id).label("example"),
                )
                .where(table.c.run_id == run_id)
                .group_by(
                    table.c.destination, table.c.kind, table.c.action, table.c.outcome, table.c.code
                )
                .order_by(sa.func.count().desc())
            ).mappings()
            return [dict(row) for row in groups]


def _took_off_all(summary: Mapping[str, Any]) -> bool:
    """Whether a run's summary tells of no removal that is still open."""
    return not any(
        one["error"]
        or any(
            told["action"] in {"remove", "clear"}
            and told["outcome"] in {Outcome.DEFERRED, Outcome.REJECTED, Outcome.SUPPRESSED}
            for told in one["outcomes"]
        )
        for one in summary.get("destinations", ())
    )
