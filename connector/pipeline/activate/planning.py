"""From segment members to a plan.

Reads vendors and changes nothing there; :mod:`connector.pipeline.activate.applying` does. Takes the
clock's reading as an argument.
"""

from __future__ import annotations

import dataclasses
import uuid
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from connector import holdouts
from connector.audiences import desired, eligibility, rationing, reach, sends
from connector.audiences.specs import load_specs
from connector.domain import Stage
from connector.errors import PlanError
from connector.pipeline.activate import notes
from connector.pipeline.activate.activation import Activation, Progress, silent
from connector.pipeline.activate.inspection import Inspection, inspect_audiences, look_up
from connector.pipeline.activate.known import load_state
from connector.pipeline.activate.reconciliation import reconcile
from connector.plan import diff, document, summary
from connector.plan.document import Guard, Header, Plan
from connector.plan.remarks import Abandoned, Note, Unreadable
from connector.plan.seal import seal
from connector.state.database import State, utc_text
from connector.state.journal import Journal

if TYPE_CHECKING:
    import duckdb


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
    progress: Progress = silent,
) -> Plan:
    """Decide every change of this run, without changing anything at a vendor.

    Args:
        con: The workspace, holding ``profiles``, ``permissions``, ``exclusions``, ``scored``,
            ``segment_members`` and ``segment_progress``.
        state: The state database.
        activation: The configuration's part.
        as_of: The instant that the scores are of.
        now: The clock's reading.
        folder: Plans are written to a folder of their own below this one.
        extra_guards: Guards that the first act has tripped already.
        header_extra: More fields of the header (quality, migration, model versions, table counts).
        progress: Told what goes on.

    Returns:
        The plan. A destination that cannot be read is left out of it but for explicit withdrawals,
        and named in its header.
    """
    journal = Journal(state)
    digest = holdouts.check_salt(state.get("salt_digest"), activation.salt)
    load_specs(con, activation.destination_specs, activation.campaigns, activation.priority_lists)
    load_state(con, state)
    reach.build_reach(con, doubted_before=activation.doubted_before)
    inspection = _inspect(con, state, activation, now=now, progress=progress)
    reach.apply_records(con)
    _check_offers(con, activation)
    eligibility.build_candidates(con)
    holdouts.draw_arms(
        con,
        salt=activation.salt,
        draws=activation.draws,
        global_draw=activation.global_draw,
        as_of=as_of,
    )
    _postpone_arms(con, inspection.unreadable)
    build_changes(con, activation, inspection.unreadable)
    if rationing.ration(con, activation.rations, activation.campaigns):
        build_changes(con, activation, inspection.unreadable)
    sends.build_would_send(
        con,
        activation.campaigns,
        global_holdout=activation.global_draw.campaign if activation.global_draw else None,
        unreadable=inspection.unreadable,
    )
    _build_advances(con, activation, as_of=as_of)

    capabilities = {name: d.capabilities for name, d in activation.destinations.items()}
    audiences = _audience_plans(con, inspection)
    records = summary.records_plans(con)
    campaigns = summary.campaign_plans(
        con,
        prices={c.name: c.price for c in activation.campaigns},
        budgets={c.name: c.budget_per_run for c in activation.campaigns},
        shared={
            name: (one.name, one.per_run)
            for one in activation.rations
            if one.name
            for name in one.campaigns
        },
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
            if name not in inspection.unreadable
        },
        unreadable=tuple(
            Unreadable.of(name, error) for name, error in sorted(inspection.unreadable.items())
        ),
        abandoned=tuple(_abandoned(con)),
        notes=tuple(
            Note(one.subject, one.message)
            for one in (
                *activation.remarks,
                *notes.changed_shares(journal, activation.draws, activation.global_draw),
                *notes.asked_again(con, now=now),
            )
        ),
        **(header_extra or {}),
    )
    plan = document.write_plan(con, folder / plan_id, header)
    state.put("salt_digest", digest)
    journal.record_plan(
        plan_id,
        created_at=now,
        as_of=as_of,
        config_digest=activation.config_digest,
        seal=seal(plan),
    )
    return plan


def build_changes(
    con: duckdb.DuckDBPyConnection, activation: Activation, unreadable: Collection[str]
) -> None:
    """From candidates and their arms to what is sent: makes ``changes`` and what it rests on.

    Args:
        con: The workspace with candidates and arms.
        activation: What is taken of the configuration.
        unreadable: Destinations that could not be read; nothing is planned for them.
    """
    desired.build_want_memberships(con)
    desired.build_want_records(
        con,
        activation.destination_specs,
        activation.campaigns,
        global_holdout=activation.global_draw.campaign if activation.global_draw else None,
    )
    diff.build_changes(con)
    _leave_out(con, unreadable)


def _inspect(
    con: duckdb.DuckDBPyConnection,
    state: State,
    activation: Activation,
    *,
    now: datetime,
    progress: Progress,
) -> Inspection:
    """Read the vendors, and bring the workspace up to date with what was learned."""
    inspection = Inspection()
    look_up(con, state, activation, inspection, now=now, progress=progress)
    inspect_audiences(con, state, activation, inspection, now=now)
    _reload(con, state, inspection)
    reconcile(con, state, activation, inspection, now=now, progress=progress)
    _reload(con, state, inspection)
    return inspection


def _reload(con: duckdb.DuckDBPyConnection, state: State, inspection: Inspection) -> None:
    if inspection.stale:
        load_state(con, state, inspection.stale)
        inspection.stale.clear()


def _audience_plans(
    con: duckdb.DuckDBPyConnection, inspection: Inspection
) -> list[document.AudiencePlan]:
    """Every list, with what its reading told."""
    return [
        dataclasses.replace(
            one,
            taken_off=inspection.taken_off.get((one.destination, one.name), 0),
            status="unreadable" if one.destination in inspection.unreadable else one.status,
        )
        for one in summary.audience_plans(con, inspection.statuses)
    ]


def _check_offers(con: duckdb.DuckDBPyConnection, activation: Activation) -> None:
    """Refuse offers that the log contradicts: nobody's offer may change, or be forgotten.

    Raises:
        PlanError: People of a campaign and epoch were treated without an offer, or were given one
            that the file names no more.
    """
    for campaign, epoch, offer, n in con.execute(
        """
        SELECT c.campaign, c.epoch, s.offer, count(*) FROM st_assignments s
        JOIN cfg_campaigns c ON c.campaign = s.campaign AND c.epoch = s.epoch AND c.active
        WHERE s.arm = 'treatment' GROUP BY ALL ORDER BY ALL
        """
    ).fetchall():
        spec = next(one for one in activation.campaigns if one.name == campaign)
        if offer is None and spec.offers:
            raise PlanError(
                f"campaigns.{campaign}.offers: {n:,} people of epoch {epoch} are treated without an"
                " offer, and what somebody has been given is for good.",
                hint=f"Raise campaigns.{campaign}.epoch: with it everybody is drawn anew.",
            )
        if offer is not None and offer not in spec.offers:
            raise PlanError(
                f"campaigns.{campaign}.offers: {n:,} people of epoch {epoch} were given {offer!r},"
                " which the file does not name any more.",
                hint=f"Keep it with 0%, or raise campaigns.{campaign}.epoch to draw anew.",
            )


def _postpone_arms(con: duckdb.DuckDBPyConnection, unreadable: Collection[str]) -> None:
    """Draw nobody for a campaign that reaches none of its destinations in this run.

    The clock of whoever is drawn starts; here nothing would be sent to them, and of people whom the
    vendor may know or not it is not even certain that they are eligible.
    """
    if unreadable:
        con.execute(
            """
            DELETE FROM arms WHERE is_new AND campaign IN (
                SELECT campaign FROM cfg_targets GROUP BY campaign
                HAVING bool_and(list_contains($unreadable, destination))
            )
            """,
            {"unreadable": list(unreadable)},
        )


def _leave_out(con: duckdb.DuckDBPyConnection, unreadable: Collection[str]) -> None:
    """Leave destinations as they are, but for explicit withdrawals: these need no reading.

    Here and not before the difference: what is wanted there still says which of a person's
    addresses must stay.
    """
    if unreadable:
        named = {"unreadable": list(unreadable)}
        of_these = "list_contains($unreadable, destination)"
        con.execute(f"DELETE FROM changes WHERE {of_these} AND stage <> {Stage.WITHDRAW:d}", named)
        con.execute(f"DELETE FROM released WHERE {of_these}", named)
        con.execute(f"DELETE FROM held WHERE {of_these}", named)


def _abandoned(con: duckdb.DuckDBPyConnection) -> Iterator[Abandoned]:
    """Destinations that the configuration names no more, and whom the ledger holds there."""
    for destination, people, names in con.execute(
        """
        WITH there AS (
            SELECT m.destination, m.match_key, a.name
            FROM st_memberships m
            LEFT JOIN st_audiences a ON a.destination = m.destination
                AND a.audience_id = m.audience_id
            WHERE m.presence <> 'no'
            UNION ALL
            SELECT destination, match_key, NULL FROM st_records WHERE presence <> 'no'
        )
        SELECT t.destination, count(DISTINCT t.match_key),
            coalesce(list_sort(list(DISTINCT t.name) FILTER (t.name IS NOT NULL)), [])
        FROM there t ANTI JOIN cfg_destinations d ON d.destination = t.destination
        GROUP BY t.destination ORDER BY t.destination
        """
    ).fetchall():
        where = f", on {', '.join(names)}" if names else ""
        yield Abandoned(
            destination=destination,
            people=people,
            lists=tuple(names),
            message=f"the configuration does not name it any more, but the ledger holds {people:,}"
            f" people there{where}. Nothing is sent to them, withdrawals included.",
            hint=f"Put destinations.{destination} back, without properties and in no campaign's"
            " `to`, and sync: everybody is taken off. Then remove it.",
        )


def _build_advances(
    con: duckdb.DuckDBPyConnection, activation: Activation, *, as_of: datetime
) -> None:
    """What apply will write to the state: new arms, changed labels, changed segment states."""
    con.execute(
        "CREATE OR REPLACE TEMP TABLE new_arms AS SELECT campaign, epoch, profile_id, arm,"
        " bucket, first_eligible_at, offer"
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
        SELECT segment, profile_id, is_member, strftime(since, '%Y-%m-%dT%H:%M:%S.%fZ') AS since,
            streak, strftime(last_as_of, '%Y-%m-%dT%H:%M:%S.%fZ') AS last_as_of
        FROM segment_progress
        """
    )
