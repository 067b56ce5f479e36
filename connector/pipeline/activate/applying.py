"""From a plan to delivered campaigns.

Everything that changes a vendor happens here. Takes the clock's reading as an argument.
"""

from __future__ import annotations

import contextlib
import dataclasses
import uuid
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from connector import holdouts
from connector.domain import Audience, Field, FieldType, Outcome, Stage
from connector.errors import DestinationError, PlanError, StalePlanError
from connector.pipeline.activate.activation import Activation, Progress, silent
from connector.pipeline.activate.inspection import adopt
from connector.plan import document
from connector.plan.document import Guard, Header, Plan
from connector.plan.seal import seal
from connector.ports import DefinesFields, Destination
from connector.push import DestinationPush, DestinationReport
from connector.state.database import State
from connector.state.experiments import ExperimentLog
from connector.state.journal import Journal
from connector.state.ledger import Ledger


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
        return self._count(Outcome.REJECTED, Outcome.SUPPRESSED)

    @property
    def n_deferred(self) -> int:
        """Changes that stay unknown or were refused for now; the next run sends them again."""
        return self._count(Outcome.DEFERRED)

    @property
    def n_left(self) -> int:
        """Changes that the next plan decides anew: overtaken, or of a person who is not there."""
        return self._count(Outcome.MISSING) + sum(d.n_overtaken for d in self.destinations)

    def _count(self, *outcomes: Outcome) -> int:
        return sum(d.count(outcome) for d in self.destinations for outcome in outcomes)

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
    progress: Progress = silent,
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
        StalePlanError: The plan is too old, a newer one was applied, or arms or the configuration
            have moved.
        PlanError: The plan was applied before, is of another state folder, or its files are not
            those that were written.
    """
    journal = Journal(state)
    header = plan.header
    _check_plan(journal, header, activation)
    plan.check_age(now, activation.max_age)
    _check_seal(journal, plan)
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
        # Every assignment, and of every arm who would be sent something, is on record before the
        # first push, and kept whatever happens next.
        journal.log_shares(_shares(activation, header), config_version=header.config_digest)
        journal.log_offer_shares(
            _offer_shares(activation, header), config_version=header.config_digest
        )
        journal.log_arms(
            plan.side_table("new_arms"),
            run_id=run_id,
            config_version=header.config_digest,
            planned_at=header.created_at,
        )
        ExperimentLog(state).log_decisions(
            plan.side_table("would_send"), run_id=run_id, at=header.created_at
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
    reports = _with_unreadable(
        (*(push.report for push in pushes.values()), *_flush_idle(state, activation, pushes)),
        header,
    )
    report = ApplyReport(run_id, header.plan_id, _status(reports, held), reports, tuple(held))
    journal.store_issues(run_id, _issues(pushes), now=now)
    if not held:
        journal.advance(plan.side_table("labels"), plan.side_table("segment_state"))
        journal.mark_models_applied(header.model_versions, now=now)
        journal.store_table_counts(header.table_counts, run_id=run_id, now=now)
    journal.set_plan_status(header.plan_id, "held" if held else "applied")
    journal.finish_run(run_id, status=report.status, summary=report.to_json(), now=now)
    return report


def _with_unreadable(
    reports: Iterable[DestinationReport], header: Header
) -> tuple[DestinationReport, ...]:
    """The reports, with what kept a destination out of the plan."""
    told = {report.destination: report for report in reports}
    for one in header.unreadable:
        report = told.setdefault(one.destination, DestinationReport(one.destination))
        report.error = report.error or one.as_error()
    return tuple(told.values())


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


def _offer_shares(activation: Activation, header: Header) -> list[tuple[str, int, str, float]]:
    """The same for the offers of the treatment arm."""
    planned = {campaign.campaign for campaign in header.campaigns}
    return [
        (c.name, c.epoch, offer, one.share)
        for c in activation.campaigns
        if c.name in planned
        for offer, one in c.offers.items()
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


def _check_seal(journal: Journal, plan: Plan) -> None:
    """Refuse a plan that was edited; one that an older version made has no seal."""
    kept = journal.plan_seal(plan.header.plan_id)
    if kept is not None and seal(plan) != kept:
        raise PlanError(
            f"the plan in {plan.folder} is not the {plan.header.plan_id} that was made here: its"
            " plan.json or one of its tables has been edited or damaged.",
            hint="Make it again with `liftline plan`; guards are let pass with --approve.",
        )


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
    newer = journal.applied_since(header.created_at)
    if newer is not None:
        # It would bring back who left meanwhile. What it withdrew while it was held is done.
        raise StalePlanError(
            f"the plan {header.plan_id} is superseded: {newer} was made later and has been"
            " applied.",
            hint="Make a new one with `liftline plan`.",
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
    known = Ledger(state, adapter.name).audiences()
    if stage is Stage.JOIN:
        for audience in plan.header.audiences:
            if (
                audience.destination == adapter.name
                and audience.joins
                and audience.name not in known
            ):
                made = adapter.ensure_audience(audience.name)
                adopt(state, adapter, made, audience.campaign, audience.arm, now)
                known[audience.name] = made
    return known


def _status(reports: Sequence[DestinationReport], held: Sequence[Guard]) -> str:
    if held:
        return "held"
    unsettled = (Outcome.REJECTED, Outcome.SUPPRESSED, Outcome.DEFERRED)
    if any(r.problem is not None or any(map(r.count, unsettled)) or r.n_overtaken for r in reports):
        return "partial"
    return "succeeded"
