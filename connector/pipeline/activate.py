"""The second act: from segment members to a plan, and from a plan to delivered campaigns.

Planning reads vendors (who exists, which lists are there) and writes only what it learned of them;
everything that changes a vendor happens in :func:`apply_plan`. Both take the clock's reading as an
argument.
"""

from __future__ import annotations

import contextlib
import dataclasses
import uuid
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from connector import holdouts
from connector.audiences import desired, eligibility, reach
from connector.audiences.specs import CampaignSpec, DestinationSpec, PriorityList, load_specs
from connector.domain import Arm, Audience, Field, FieldType, Outcome, Stage
from connector.errors import DestinationError, PlanError, StalePlanError
from connector.plan import diff, document, summary
from connector.plan.document import Guard, Header, Plan
from connector.ports import DefinesFields, Destination, FindsRecords, ReadsMembers
from connector.push import DestinationPush, DestinationReport
from connector.state import schema
from connector.state.database import State, utc_text
from connector.state.journal import Journal
from connector.state.ledger import Ledger

if TYPE_CHECKING:
    import duckdb

Progress = Callable[[str, int, int | None], None]
"""Called with what is going on, how many are done, and how many there are (None when unknown)."""


def _silent(_what: str, _done: int, _total: int | None) -> None:
    """Report nothing."""


@dataclass(frozen=True, slots=True)
class Activation:
    """Everything that planning and applying need of the configuration, as plain values.

    Attributes:
        project: The project's name.
        currency: ISO code.
        config_digest: Digest of the configuration; a plan of another one is refused.
        destinations: Name -> adapter.
        destination_specs: The same destinations as the planner sees them.
        campaigns: Every campaign.
        priority_lists: Every priority list.
        limits: The guards.
        salt: Of the arms; secret.
        global_holdout: Its name and share, or None.
        fields: Destination name -> properties that must exist there.
        labels: Model name -> column of ``scored`` whose previous and current value are kept.
        costs: Campaign -> cost of one contact; ``budgets`` likewise for a run.
        max_age: How old a plan may be when it is applied.
    """

    project: str
    currency: str
    config_digest: str
    destinations: Mapping[str, Destination]
    destination_specs: Sequence[DestinationSpec]
    campaigns: Sequence[CampaignSpec]
    priority_lists: Sequence[PriorityList]
    limits: summary.GuardLimits
    salt: str = field(repr=False)
    global_holdout: tuple[str, float] | None = None
    fields: Mapping[str, Sequence[Field]] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    max_age: timedelta = timedelta(hours=24)

    @property
    def draws(self) -> list[holdouts.Draw]:
        """What is drawn for each active campaign."""
        return [holdouts.Draw(c.name, c.epoch, c.shares) for c in self.campaigns if c.active]

    @property
    def global_draw(self) -> holdouts.Draw | None:
        """What is drawn for the global holdout."""
        if self.global_holdout is None:
            return None
        name, share = self.global_holdout
        return holdouts.Draw(name, 1, {Arm.TREATMENT: 1.0 - share, Arm.NO_CONTACT: share})


# ---------------------------------------------------------------------- plan
def make_plan(
    con: duckdb.DuckDBPyConnection,
    state: State,
    activation: Activation,
    *,
    as_of: datetime,
    now: datetime,
    folder: Path,
    extra_guards: Sequence[Guard] = (),
    header_extra: Mapping[str, Any] | None = None,
    progress: Progress = _silent,
) -> Plan:
    """Decide every change of this run, without changing anything at a vendor.

    Args:
        con: The workspace, holding ``profiles``, ``permissions``, ``exclusions``, ``scored`` and
            ``segment_members``.
        state: The state database.
        activation: The configuration's part.
        as_of: The instant that the scores are of.
        now: The clock's reading.
        folder: Plans are written to a folder of their own below this one.
        extra_guards: Guards that the first act has tripped already.
        header_extra: More fields of the header (quality, migration, model versions, table counts).
        progress: Told what goes on.

    Raises:
        DestinationError: A vendor cannot be read, so that the plan would be half-known.
    """
    journal = Journal(state)
    digest = holdouts.check_salt(state.get("salt_digest"), activation.salt)
    load_specs(con, activation.destination_specs, activation.campaigns, activation.priority_lists)
    load_state(con, state)
    reach.build_reach(con)
    has_learned = _look_up(con, state, activation, now=now, progress=progress)
    statuses, has_moved = _inspect_audiences(con, state, activation, now=now)
    stale = {*(_LEARNED if has_learned else ()), *(_INSPECTED if has_moved else ())}
    if stale:
        load_state(con, state, stale)
    reach.apply_records(con)
    eligibility.build_candidates(con)
    holdouts.draw_arms(
        con,
        salt=activation.salt,
        draws=activation.draws,
        global_draw=activation.global_draw,
        as_of=as_of,
    )
    desired.build_want_memberships(con)
    desired.build_want_records(
        con,
        activation.destination_specs,
        activation.campaigns,
        global_holdout=activation.global_draw.campaign if activation.global_draw else None,
    )
    diff.build_changes(con)
    _build_advances(con, activation, as_of=as_of)

    capabilities = {name: d.capabilities for name, d in activation.destinations.items()}
    audiences = summary.audience_plans(con, statuses)
    records = summary.records_plans(con)
    campaigns = summary.campaign_plans(
        con,
        costs={c.name: c.cost_per_contact for c in activation.campaigns},
        budgets={c.name: c.budget_per_run for c in activation.campaigns},
    )
    guards = summary.tripped_guards(
        con,
        activation.limits,
        audiences=audiences,
        records=records,
        campaigns=campaigns,
        capabilities=capabilities,
        currency=activation.currency,
    )
    plan_id = f"plan-{now:%Y%m%d-%H%M%S}-{uuid.uuid4().hex[:6]}"
    count = con.execute("SELECT count(*) FROM changes").fetchone()
    header = Header(
        plan_id=plan_id,
        project=activation.project,
        created_at=now,
        as_of=as_of,
        config_digest=activation.config_digest,
        currency=activation.currency,
        audiences=tuple(audiences),
        records=tuple(records),
        campaigns=tuple(campaigns),
        efforts=tuple(summary.efforts(con, capabilities)),
        guards=(*extra_guards, *guards),
        segments=dict(
            con.execute(
                "SELECT segment, count(*) FROM segment_members GROUP BY 1 ORDER BY 1"
            ).fetchall()
        ),
        n_changes=int(count[0]) if count else 0,
        fields={
            name: [dataclasses.asdict(one) for one in fields]
            for name, fields in activation.fields.items()
        },
        **(header_extra or {}),
    )
    plan = document.write_plan(con, folder / plan_id, header)
    state.put("salt_digest", digest)
    journal.record_plan(
        plan_id, created_at=now, as_of=as_of, config_digest=activation.config_digest
    )
    return plan


def load_state(
    con: duckdb.DuckDBPyConnection, state: State, relations: Collection[str] | None = None
) -> None:
    """Copy what planning reads of the state into ``st_*`` tables of the workspace.

    Args:
        con: The workspace.
        state: The state database.
        relations: Which of them; None for all.
    """
    chosen = {name: _STATE_TABLES[name] for name in relations or _STATE_TABLES}
    queries = {
        name: f"SELECT {', '.join(_read(table, c) for c in columns)} FROM {table}"
        for name, (table, columns) in chosen.items()
    }
    for name, rows in state.stream(queries):
        table, columns = chosen[name]
        casts = ", ".join(_cast(table, c) for c in columns)
        con.register("incoming", rows)
        con.execute(f"CREATE OR REPLACE TEMP TABLE {name} AS SELECT {casts} FROM incoming")
        con.unregister("incoming")
    if "st_raw_assignments" in chosen:
        _resolve_assignments(con)


def _read(table: str, column: str) -> str:
    """A column for SQLite, never NULL.

    ADBC guesses a column's type from its first rows, where a rare text is still NULL; an empty text
    is not.
    """
    nullable = schema.metadata.tables[table].c[column].nullable
    return f"coalesce({column}, '') AS {column}" if nullable else column


def _cast(table: str, column: str) -> str:
    """The column as it is in the state; the type matters where a table is still empty."""
    spec = schema.metadata.tables[table].c[column]
    if isinstance(spec.type, sa.Integer):
        return f"CAST({column} AS BIGINT) AS {column}"
    text = f"CAST({column} AS TEXT)"
    return f"nullif({text}, '') AS {column}" if spec.nullable else f"{text} AS {column}"


def _resolve_assignments(con: duckdb.DuckDBPyConnection) -> None:
    """Everybody's arm, under the present profile id; of several the earliest.

    Only the merged can have several, and they are few: the others are not grouped.
    """
    con.execute(
        """
        CREATE OR REPLACE TEMP TABLE st_assignments AS
        WITH merged AS (
            SELECT from_profile_id AS profile_id, into_profile_id AS now_id FROM st_merges
            UNION
            SELECT into_profile_id, into_profile_id FROM st_merges
            WHERE into_profile_id NOT IN (SELECT from_profile_id FROM st_merges)
        )
        SELECT a.campaign, a.epoch, m.now_id AS profile_id,
            arg_min(a.arm, (a.first_eligible_at, a.profile_id)) AS arm,
            arg_min(a.bucket, (a.first_eligible_at, a.profile_id)) AS bucket,
            min(a.first_eligible_at) AS first_eligible_at
        FROM st_raw_assignments a JOIN merged m ON m.profile_id = a.profile_id
        GROUP BY 1, 2, 3
        UNION ALL
        SELECT a.campaign, a.epoch, a.profile_id, a.arm, a.bucket, a.first_eligible_at
        FROM st_raw_assignments a ANTI JOIN merged m ON m.profile_id = a.profile_id
        """
    )


_STATE_TABLES: dict[str, tuple[str, tuple[str, ...]]] = {
    "st_records": (
        "records",
        ("destination", "match_key", "profile_id", "match_value", "record_id", "presence",
         "fingerprint", "fields", "blocked_fingerprint", "blocked_code", "checked_at", "version"),
    ),
    "st_memberships": (
        "memberships",
        ("destination", "audience_id", "match_key", "profile_id", "presence", "claims",
         "blocked_fingerprint", "blocked_code", "version"),
    ),
    "st_audiences": (
        "audiences", ("destination", "name", "audience_id", "campaign", "arm", "status")
    ),
    "st_foreign": ("foreign_members", ("destination", "audience_id", "member")),
    "st_merges": ("profile_merges", ("from_profile_id", "into_profile_id")),
    "st_labels": ("labels", ("model", "profile_id", "label")),
    "st_segment_state": ("segment_state", ("segment", "profile_id", "is_member")),
    "st_raw_assignments": (
        "assignments", ("campaign", "epoch", "profile_id", "arm", "bucket", "first_eligible_at")
    ),
}  # fmt: skip
"""Relation of the workspace -> state table and the columns that planning reads."""

_LEARNED = ("st_records", "st_memberships")
"""Relations that a look-up at a vendor moves."""
_INSPECTED = ("st_memberships", "st_audiences", "st_foreign")
"""Relations that a look at a vendor's lists moves."""


def _look_up(
    con: duckdb.DuckDBPyConnection,
    state: State,
    activation: Activation,
    *,
    now: datetime,
    progress: Progress,
) -> bool:
    """Ask the vendors about people whose record is unknown; returns whether any were."""
    totals = reach.build_look_ups(con, now=now)
    done = dict.fromkeys(totals, 0)
    for name, people in reach.look_ups(con):
        adapter = activation.destinations[name]
        if isinstance(adapter, FindsRecords):
            found = reach.look_up(people, adapter.find)
            Ledger(state, name).learn_records(found, at=utc_text(now))
        done[name] += len(people)
        progress(f"looking people up at {name}", done[name], totals[name])
    return bool(totals)


def _inspect_audiences(
    con: duckdb.DuckDBPyConnection, state: State, activation: Activation, *, now: datetime
) -> tuple[dict[tuple[str, str], str], bool]:
    """Find out which lists are there: known ones may be deleted, new names may exist already.

    Returns:
        (Destination, list name) -> what became of it, and whether the state has moved.
    """
    statuses: dict[tuple[str, str], str] = {}
    has_moved = False
    known: dict[tuple[str, str], tuple[str, str]] = {}
    for destination, name, audience_id, status, campaign, arm in con.execute(
        "SELECT destination, name, audience_id, status, campaign, arm FROM st_audiences"
    ).fetchall():
        known[destination, name] = (audience_id, status)
        adapter = activation.destinations.get(destination)
        if adapter is None:
            continue
        found = adapter.find_audience(name, audience_id)
        if found is None and status == "present":
            Ledger(state, destination).lose_audience(audience_id)
            known[destination, name] = (audience_id, "deleted")
            has_moved = True
        elif found is not None and status != "present":
            # Restored, or it was the vendor that erred: its members are ours as before.
            back = Audience(name, audience_id)
            _adopt(state, adapter, back, campaign, arm, now)
            known[destination, name] = (audience_id, "present")
            has_moved = True
    for destination, name, campaign, arm in con.execute(
        "SELECT a.destination, a.name, a.campaign, a.arm FROM cfg_audiences a JOIN cfg_campaigns"
        " c USING (campaign)"
        " WHERE c.active ORDER BY ALL"
    ).fetchall():
        status = known.get((destination, name), (None, "new"))[1]
        if status != "new":
            statuses[destination, name] = "kept" if status == "present" else "deleted"
            continue
        found = activation.destinations[destination].find_audience(name, None)
        if found is not None:
            _adopt(state, activation.destinations[destination], found, campaign, arm, now)
            has_moved = True
        statuses[destination, name] = "new" if found is None else "adopted"
    return statuses, has_moved


def _adopt(
    state: State, adapter: Destination, found: Audience, campaign: str, arm: str, now: datetime
) -> None:
    foreign = list(adapter.members(found)) if isinstance(adapter, ReadsMembers) else []
    Ledger(state, adapter.name).adopt_audience(
        name=found.name,
        audience_id=found.audience_id,
        campaign=campaign,
        arm=arm,
        foreign=foreign,
        at=utc_text(now),
    )


def _build_advances(
    con: duckdb.DuckDBPyConnection, activation: Activation, *, as_of: datetime
) -> None:
    """What apply will write to the state: new arms, changed labels, changed segment states."""
    con.execute(
        "CREATE OR REPLACE TEMP TABLE new_arms AS SELECT campaign, epoch, profile_id, arm,"
        " bucket, first_eligible_at"
        " FROM arms WHERE is_new ORDER BY campaign, epoch, profile_id"
    )
    at = utc_text(as_of)
    con.execute(
        "CREATE OR REPLACE TEMP TABLE new_labels(model TEXT, profile_id TEXT, label TEXT,"
        " previous_label TEXT, since TEXT)"
    )
    for model, column in activation.labels.items():
        quoted = '"' + column.replace('"', '""') + '"'
        con.execute(
            f"""
            INSERT INTO new_labels
            SELECT $model, s.profile_id, s.{quoted}, l.label, $at
            FROM scored s LEFT JOIN st_labels l ON l.model = $model AND l.profile_id = s.profile_id
            WHERE s.{quoted} IS NOT NULL AND s.{quoted} IS DISTINCT FROM l.label
            """,
            {"model": model, "at": at},
        )
    con.execute(
        """
        CREATE OR REPLACE TEMP TABLE new_segment_state AS
        SELECT coalesce(m.segment, t.segment) AS segment, coalesce(m.profile_id,
            t.profile_id) AS profile_id,
            CAST(m.profile_id IS NOT NULL AS INTEGER) AS is_member, CAST($at AS TEXT) AS since,
                1 AS streak,
            CAST($at AS TEXT) AS last_as_of
        FROM (SELECT DISTINCT segment, profile_id FROM segment_members) m
        FULL JOIN st_segment_state t ON t.segment = m.segment AND t.profile_id = m.profile_id
        WHERE CAST(m.profile_id IS NOT NULL AS INTEGER) IS DISTINCT FROM t.is_member
        """,
        {"at": at},
    )


# ---------------------------------------------------------------------- apply
@dataclass(frozen=True, slots=True)
class ApplyReport:
    """What a run did.

    Attributes:
        status: ``succeeded``, ``partial`` (rejections, changes that stay unknown, or a destination
            given up) or ``held`` (a guard stopped it after the explicit withdrawals).
        guards: The guards that held it.
    """

    run_id: str
    plan_id: str
    status: str
    destinations: tuple[DestinationReport, ...]
    guards: tuple[Guard, ...] = ()

    @property
    def errors(self) -> list[DestinationError]:
        """Why destinations were given up, or left batches unanswered."""
        return [d.problem for d in self.destinations if d.problem is not None]

    @property
    def n_blocked(self) -> int:
        """Changes that a vendor rejected or suppressed."""
        return sum(
            d.count(outcome)
            for d in self.destinations
            for outcome in (Outcome.REJECTED, Outcome.SUPPRESSED)
        )

    def to_json(self) -> dict[str, Any]:
        """Plain values for JSON, without personal data."""
        return {
            "run_id": self.run_id,
            "plan_id": self.plan_id,
            "status": self.status,
            "guards": [dataclasses.asdict(guard) for guard in self.guards],
            "destinations": [
                {
                    "destination": d.destination,
                    "outcomes": [
                        {"kind": kind, "action": action, "outcome": outcome, "people": n}
                        for (kind, action, outcome), n in sorted(d.outcomes.items())
                    ],
                    "unsent": d.n_unsent,
                    "error": None if d.problem is None else str(d.problem),
                }
                for d in self.destinations
            ],
        }


def apply_plan(
    state: State,
    activation: Activation,
    plan: Plan,
    *,
    now: datetime,
    no_longer_permitted: Mapping[str, Collection[str]] | None = None,
    approved: Collection[str] = (),
    approver: str = "",
    progress: Progress = _silent,
) -> ApplyReport:
    """Carry a plan out: explicit withdrawals first, then (unless a guard holds) everything else.

    Args:
        state: The state database, under its lock.
        activation: The configuration's part.
        plan: The plan.
        now: The clock's reading.
        no_longer_permitted: Destination -> profile ids that lost consent or were excluded since the
            plan.
        approved: Names of guards that a person lets pass; ``all`` for every one.
        approver: Who; written down with the approval.
        progress: Told what goes on.

    Raises:
        StalePlanError: The plan is too old, or arms or the configuration have moved.
        PlanError: The plan was applied before, or is of another state folder.
    """
    journal = Journal(state)
    header = plan.header
    _check_plan(journal, header, activation)
    plan.check_age(now, activation.max_age)
    run_id = f"run-{now:%Y%m%d-%H%M%S}-{uuid.uuid4().hex[:6]}"
    held = [g for g in header.guards if "all" not in approved and g.name not in approved]
    if approved and header.guards:
        journal.approve(
            header.plan_id,
            {g.name for g in header.guards} - {g.name for g in held},
            approver=approver,
            now=now,
        )
    journal.start_run(
        run_id,
        plan_id=header.plan_id,
        as_of=header.as_of,
        config_digest=header.config_digest,
        now=now,
    )
    pushes = _pushes(state, activation, plan.totals(), no_longer_permitted or {}, progress)
    try:
        return _carry_out(state, activation, plan, pushes, held, run_id=run_id, now=now)
    except Exception as error:
        # Whatever stops a run, it must not look as if it were still going on.
        with contextlib.suppress(sa.exc.SQLAlchemyError):
            journal.store_issues(run_id, _issues(pushes), now=now)
            journal.finish_run(
                run_id, status="failed", summary={"error": type(error).__name__}, now=now
            )
        raise


def _carry_out(
    state: State,
    activation: Activation,
    plan: Plan,
    pushes: Mapping[str, DestinationPush],
    held: Sequence[Guard],
    *,
    run_id: str,
    now: datetime,
) -> ApplyReport:
    journal = Journal(state)
    header = plan.header
    if not held:
        # Every assignment is on record before the first push, and kept whatever happens next.
        journal.log_shares(_shares(activation, header), config_version=header.config_digest)
        journal.log_arms(
            plan.side_table("new_arms"),
            run_id=run_id,
            config_version=header.config_digest,
            planned_at=header.created_at,
        )
    totals = plan.totals()
    was_held = journal.plan_status(header.plan_id) == "held"
    _run_stage(state, pushes, plan, totals, Stage.WITHDRAW, now=now, is_repeated=was_held)
    if not held:
        for push in pushes.values():
            _prepare(push, header)
        _release(plan, state)
        for stage in (Stage.LEAVE, Stage.RECORDS, Stage.JOIN):
            _run_stage(state, pushes, plan, totals, stage, now=now)
    for push in pushes.values():
        push.flush()
    reports = (*(push.report for push in pushes.values()), *_flush_idle(state, activation, pushes))
    report = ApplyReport(run_id, header.plan_id, _status(reports, held), reports, tuple(held))
    journal.store_issues(run_id, _issues(pushes), now=now)
    if not held and journal.applied_since(header.created_at) is None:
        # A plan that waited while a newer one was applied takes no label or count back.
        journal.advance(plan.side_table("labels"), plan.side_table("segment_state"))
        journal.mark_models_applied(header.model_versions, now=now)
        journal.store_table_counts(header.table_counts, run_id=run_id, now=now)
    journal.set_plan_status(header.plan_id, "held" if held else "applied")
    journal.finish_run(run_id, status=report.status, summary=report.to_json(), now=now)
    return report


def _issues(pushes: Mapping[str, DestinationPush]) -> list[dict[str, Any]]:
    return [dataclasses.asdict(issue) for p in pushes.values() for issue in p.report.issues]


def _shares(activation: Activation, header: Header) -> list[tuple[str, int, str, float]]:
    """The shares that the plan drew with: of the campaigns that ran at its instant, not at ours."""
    planned = {campaign.campaign for campaign in header.campaigns}
    draws = [
        holdouts.Draw(c.name, c.epoch, c.shares) for c in activation.campaigns if c.name in planned
    ]
    if activation.global_draw is not None:
        draws.append(activation.global_draw)
    return [
        (draw.campaign, draw.epoch, arm.value, share)
        for draw in draws
        for arm, share in draw.shares.items()
    ]


def _flush_idle(
    state: State, activation: Activation, pushes: Mapping[str, DestinationPush]
) -> list[DestinationReport]:
    """Destinations without changes may hold what a killed run had delivered; returns failures."""
    reports = []
    for name, adapter in activation.destinations.items():
        if name not in pushes:
            push = DestinationPush(adapter, state)
            push.flush()
            if push.report.error is not None:
                reports.append(push.report)
    return reports


def _check_plan(journal: Journal, header: Header, activation: Activation) -> None:
    status = journal.plan_status(header.plan_id)
    if status is None:
        raise PlanError(
            f"the plan {header.plan_id} was not made from this state folder.",
            hint="Apply it where it was made, or make it again.",
        )
    if status == "applied":
        raise PlanError(
            f"the plan {header.plan_id} was applied before.",
            hint="Make a new one with `liftline plan`.",
        )
    if header.config_digest != activation.config_digest:
        raise StalePlanError(
            f"the configuration has changed since the plan {header.plan_id} was made.",
            hint="Make the plan again, so that what you approve is what is sent.",
        )


def _pushes(
    state: State,
    activation: Activation,
    totals: Mapping[tuple[str, int], int],
    barred: Mapping[str, Collection[str]],
    progress: Progress,
) -> dict[str, DestinationPush]:
    changes: dict[str, int] = {}
    for (name, _stage), n in sorted(totals.items()):
        changes[name] = changes.get(name, 0) + n
    return {
        name: DestinationPush(
            activation.destinations[name],
            state,
            no_longer_permitted=barred.get(name, ()),
            progress=_counter(progress, f"sending to {name}", total),
        )
        for name, total in changes.items()
    }


def _counter(progress: Progress, what: str, total: int) -> Callable[[int], None]:
    done = 0

    def count(n: int) -> None:
        nonlocal done
        done += n
        progress(what, done, total)

    return count


def _prepare(push: DestinationPush, header: Header) -> None:
    """Create missing properties, before anything is written to them."""
    adapter = push.destination
    fields = [
        Field(one["name"], one["label"], FieldType(one["type"]), one["description"])
        for one in header.fields.get(adapter.name, ())
    ]
    if fields and isinstance(adapter, DefinesFields) and push.report.error is None:
        with push.guarded():
            adapter.ensure_fields(fields)


def _release(plan: Plan, state: State) -> None:
    """Forget memberships that are certain under another address of the same record."""
    released: dict[str, dict[str, list[str]]] = {}
    for row in plan.side_table("released").to_pylist():
        released.setdefault(row["destination"], {}).setdefault(row["audience_id"], []).append(
            row["match_key"]
        )
    for destination, memberships in released.items():
        for audience_id, keys in memberships.items():
            Ledger(state, destination).release(audience_id, keys)


def _run_stage(
    state: State,
    pushes: Mapping[str, DestinationPush],
    plan: Plan,
    totals: Mapping[tuple[str, int], int],
    stage: Stage,
    *,
    now: datetime,
    is_repeated: bool = False,
) -> None:
    for name, push in pushes.items():
        if not totals.get((name, stage)):
            continue
        adapter = push.destination
        audiences: dict[str, Audience] = {}
        if push.report.error is None:
            with push.guarded():
                audiences = _audiences(state, adapter, plan, stage, now=now)
        able = adapter.capabilities
        batches = document.batches(
            plan,
            destination=name,
            stage=stage,
            sizes={"record": able.max_records, "membership": able.max_members},
        )
        push.run(batches, stage=stage, audiences=audiences, is_repeated=is_repeated)


def _audiences(
    state: State, adapter: Destination, plan: Plan, stage: Stage, *, now: datetime
) -> dict[str, Audience]:
    """The lists that this stage touches, made at the vendor where they are missing."""
    ledger = Ledger(state, adapter.name)
    known = ledger.audiences()
    if stage is Stage.JOIN:
        for audience in plan.header.audiences:
            if (
                audience.destination == adapter.name
                and audience.joins
                and audience.name not in known
            ):
                made = adapter.ensure_audience(audience.name)
                if not made.created:
                    _adopt(state, adapter, made, audience.campaign, audience.arm, now)
                else:
                    ledger.adopt_audience(
                        name=made.name,
                        audience_id=made.audience_id,
                        campaign=audience.campaign,
                        arm=audience.arm,
                        foreign=(),
                        at=utc_text(now),
                    )
                known[audience.name] = made
    return known


def _status(reports: Sequence[DestinationReport], held: Sequence[Guard]) -> str:
    if held:
        return "held"
    unsettled = (Outcome.REJECTED, Outcome.SUPPRESSED, Outcome.DEFERRED)
    if any(r.problem is not None or any(map(r.count, unsettled)) or r.overtaken for r in reports):
        return "partial"
    return "succeeded"
