"""Campaigns that try several offers: what each has brought, for whom, and which to give elsewhere.

People are sorted by the segments that they were in when they were assigned, as the assigning run
published them: what an offer has done to people must not decide whom it is judged on.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from connector.config import Config
from connector.domain import Arm
from connector.lift.inputs import Inputs, companion_names
from connector.lift.joint import JointMoments
from connector.lift.metrics import ASSIGNMENTS, ORDERS, MetricSpec
from connector.lift.offers import EVERYBODY, OfferLift, Trial, compare_offers, split_alarm
from connector.lift.outcome import outcome_of
from connector.lift.people import read_people
from connector.lift.scan import scan
from connector.lift.units import units_sql
from connector.pipeline import specs
from connector.pipeline.prove.measure import mapped, measurement_spec
from connector.pipeline.prove.outcomes import load_assignments, load_withdrawals
from connector.pipeline.prove.registered import registered_end
from connector.pipeline.scoring.past_arms import PastArms, read_past_arms
from connector.warehouse.render import literal, quote

if TYPE_CHECKING:
    from connector.pipeline.understand.opening import Workspace
    from connector.ports import Warehouse
    from connector.state.database import State

SEGMENT = "segment"
"""Dimension of the classes."""

OUTCOMES, MEMBERS, UNITS = "offer_outcomes", "offer_members", "offer_units"
"""Relations made: outcomes of people, their segments, and both together by offer."""


@dataclass(frozen=True, slots=True)
class Proof:
    """What a campaign gives that asks for the best offer of another.

    Attributes:
        offer: The one that has proved best for its segment; None: none has.
        reason: One sentence.
    """

    offer: str | None
    reason: str

    def told(self, config: Config, campaign: str) -> str:
        """What is given, and why, in a sentence or two."""
        strategy = config.strategies[config.campaigns[campaign].strategy or ""]
        given = self.offer or strategy.otherwise
        why = f"Gives {given}: {self.reason}"
        return why if self.offer else f"{why} No offer of {strategy.best_offer_of} has proved best."


def offer_lifts(
    config: Config,
    state: State,
    workspace: Workspace,
    *,
    as_of: datetime,
    only: Collection[str] | None = None,
) -> tuple[OfferLift, ...]:
    """Every campaign with offers, in its newest epoch.

    Args:
        config: Names campaigns, offers and metrics.
        state: Holds the log of arms and what was published; ends are registered in it.
        workspace: After the first act.
        as_of: Only what happened before it counts.
        only: Names of campaigns; None for all.
    """
    warehouse = workspace.engine
    names = [
        name
        for name, one in config.campaigns.items()
        if one.offers and (only is None or name in only)
    ]
    if not names:
        return ()
    load_assignments(state, warehouse)
    return tuple(
        lift
        for name in names
        if (lift := _lift(config, state, warehouse, name, as_of=as_of)) is not None
    )


def proofs(
    config: Config, state: State, workspace: Workspace, *, as_of: datetime
) -> dict[str, Proof]:
    """Campaign -> what it gives, for those whose strategy is the best offer of another.

    Where both address one segment everybody counts; else those who were in the campaign's segment
    when the other assigned them.
    """
    asked = {
        name: strategy.best_offer_of
        for name, one in config.campaigns.items()
        if (strategy := config.strategies.get(one.strategy or "")) is not None
        and strategy.best_offer_of is not None
    }
    if not asked:
        return {}
    lifts = {
        one.campaign: one
        for one in offer_lifts(config, state, workspace, as_of=as_of, only=set(asked.values()))
    }
    return {name: _proof(config, name, tried, lifts.get(tried)) for name, tried in asked.items()}


def _proof(config: Config, name: str, tried: str, lift: OfferLift | None) -> Proof:
    segment = config.campaigns[name].segment
    place = EVERYBODY if segment == config.campaigns[tried].segment else (SEGMENT, segment)
    if lift is None:
        return Proof(None, f"Nobody has been given an offer of {tried} yet.")
    found = next((b for b in lift.best if (b.dimension, b.name) == place), None)
    if found is None:
        return Proof(None, f"Nobody in {segment} has been given an offer of {tried}.")
    # An offer that has gone from the file cannot be given, whatever it has proved.
    offer = found.offer if found.offer in config.campaigns[tried].offers else None
    return Proof(offer, found.reason)


def _lift(
    config: Config, state: State, warehouse: Warehouse, name: str, *, as_of: datetime
) -> OfferLift | None:
    """One campaign; None while nobody was given an offer."""
    campaign = config.campaigns[name]
    ((epoch,),) = warehouse.rows(
        f"SELECT max(a.epoch) AS epoch FROM {ASSIGNMENTS} AS a WHERE a.offer <> ''"
        f" AND a.campaign = {literal(name)}"
    )
    if epoch is None:
        return None
    metric = specs.metric_spec(campaign.goal, config.measured[campaign.goal])
    end = registered_end(config, state, name)
    rules = measurement_spec(config)
    inputs = replace(
        mapped(config, warehouse),
        has_withdrawals=load_withdrawals([metric], config, warehouse),
        covariate_days=rules.covariate_days,
        closes={} if end.at is None else {name: end.at},
        goal_days={name: metric.window_days},
    )
    segments = _members(config, state, warehouse, name)
    groups = _groups(warehouse, name, int(epoch), metric, segments, inputs, as_of)
    past = read_past_arms(state, name)
    there = set(past.people["arm"].to_pylist())
    control = next((arm for arm in (Arm.NO_CONTACT, Arm.BUSINESS_AS_USUAL) if arm in there), None)
    everybody = read_people(
        warehouse, [metric.window_days], as_of=as_of, campaigns=[name], inputs=inputs
    )
    arms = [Arm.TREATMENT, *([control] if control is not None else [])]
    intake = everybody.intake.get((name, int(epoch)))
    trial = Trial(
        campaign=name,
        epoch=int(epoch),
        outcome=outcome_of(metric, config.project.currency),
        offers=tuple(sorted(campaign.offers)),
        control="" if control is None else control.value,
        planned=1 if intake is None else intake.planned(arms, metric.window_days, end.at),
        ends_at=end.at,
        distrust=_distrust(past, int(epoch), control, below=rules.srm_below),
    )
    return compare_offers(trial, groups, rules, as_of=as_of)


def _members(config: Config, state: State, warehouse: Warehouse, name: str) -> tuple[str, ...]:
    """Make :data:`MEMBERS`: who was in which segment when the campaign assigned them.

    Returns:
        The segments, each a column that holds ``in`` or nothing; empty where no run that assigned
        people has its artifacts any more.
    """
    parts = []
    others = [one for one in config.segments if one != config.campaigns[name].segment]
    for (run,) in warehouse.rows(
        f"SELECT DISTINCT a.run_id AS run_id FROM {ASSIGNMENTS} AS a"
        f" WHERE a.campaign = {literal(name)} ORDER BY 1"
    ):
        path = state.folder / "runs" / str(run) / "memberships.parquet"
        if path.exists() and others:
            rows = pq.read_table(path, columns=["profile_id", "segment"])
            rows = rows.filter(pc.is_in(rows["segment"], value_set=pa.array(others, pa.string())))
            text = {c: rows[c].cast(pa.string()) for c in rows.column_names}
            parts.append(pa.table({**text, "run_id": pa.array([str(run)] * len(rows))}))
    if not parts:
        return ()
    whole = pa.concat_tables(parts)
    there = sorted(set(whole["segment"].to_pylist()))
    if not there:
        return ()
    warehouse.load("offer_published", whole)
    picks = ", ".join(
        f"max(CASE WHEN p.segment = {literal(one)} THEN 'in' ELSE '' END) AS {quote(one)}"
        for one in there
    )
    warehouse.create_table_as(
        MEMBERS,
        f"SELECT p.run_id AS run_id, p.profile_id AS profile_id, {picks}"
        " FROM offer_published AS p GROUP BY p.run_id, p.profile_id",
    )
    return tuple(there)


def _groups(
    warehouse: Warehouse,
    name: str,
    epoch: int,
    metric: MetricSpec,
    segments: tuple[str, ...],
    inputs: Inputs,
    as_of: datetime,
) -> dict[tuple[str, str], dict[str, JointMoments]]:
    """(dimension, class) -> offer or arm -> what its people did."""
    warehouse.create_table_as(
        OUTCOMES,
        units_sql(
            [metric],
            order_columns=warehouse.columns(ORDERS),
            as_of=as_of,
            campaigns=[name],
            inputs=inputs,
        ),
    )
    kept = ", ".join(
        f"u.{quote(c)} AS {quote(c)}" for c in warehouse.columns(OUTCOMES) if c != "arm"
    )
    classes = "".join(f", coalesce(m.{quote(one)}, '') AS {quote(one)}" for one in segments)
    joined = (
        f" LEFT JOIN {MEMBERS} AS m ON m.run_id = a.run_id AND m.profile_id = a.logged_as"
        if segments
        else ""
    )
    warehouse.create_table_as(
        UNITS,
        f"SELECT {kept}, CASE WHEN a.offer = '' THEN u.arm ELSE a.offer END AS arm{classes}"
        f" FROM {OUTCOMES} AS u JOIN {ASSIGNMENTS} AS a ON a.campaign = u.campaign"
        f" AND a.epoch = u.epoch AND a.profile_id = u.profile_id{joined}"
        f" WHERE u.epoch = {epoch}",
    )
    measured = scan(
        warehouse,
        UNITS,
        [metric.name],
        companions=companion_names([metric], inputs.covariate_days),
        dimensions=segments,
    )
    groups: dict[tuple[str, str], dict[str, JointMoments]] = {EVERYBODY: {}}
    for cell, found in measured.items():
        groups[EVERYBODY][cell.arm] = found.total
        for (segment, value), moments in found.classes.items():
            if value:
                groups.setdefault((SEGMENT, segment), {})[cell.arm] = moments
    return groups


def _distrust(past: PastArms, epoch: int, control: Arm | None, *, below: float) -> str:
    """Why the split is not what was drawn; empty when it is."""
    observed: dict[str, int] = {}
    versions: dict[str, int] = {}
    for row in past.people.to_pylist():
        if row["epoch"] == epoch:
            label = row["offer"] or row["arm"]
            observed[label] = observed.get(label, 0) + 1
            versions[row["config_version"]] = versions.get(row["config_version"], 0) + 1
    expected: dict[str, float] = {}
    for version, n in versions.items():
        arms: Mapping[Arm, float] = past.shares.get((epoch, version), {})
        for offer, share in past.offers.get((epoch, version), {}).items():
            wanted = n * share * arms.get(Arm.TREATMENT, 0.0)
            expected[offer] = expected.get(offer, 0.0) + wanted
        if control is not None:
            held = n * arms.get(control, 0.0)
            expected[control.value] = expected.get(control.value, 0.0) + held
    return split_alarm(observed, expected, below=below)
