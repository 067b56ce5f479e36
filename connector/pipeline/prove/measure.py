"""The third act: from assignments and orders to every campaign's lift."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

from connector.config import Config
from connector.domain import Arm
from connector.lift.analysis import HOLDOUT_ARMS, CampaignSpec, MeasurementSpec, analyse
from connector.lift.estimate import MeanMethod, ShareMethod
from connector.lift.inputs import Inputs
from connector.lift.metrics import EVENTS, ITEMS, MetricSpec
from connector.lift.people import Counted, IntendedShares
from connector.lift.result import CampaignLift
from connector.lift.sequential import Design
from connector.lift.verdict import Thresholds
from connector.pipeline import specs
from connector.pipeline.prove import gates, outcomes
from connector.pipeline.prove.outcomes import load_assignments
from connector.pipeline.prove.registered import Registered, registered_end, registered_goal
from connector.profiles.spec import MarginFrom

if TYPE_CHECKING:
    from connector.pipeline.understand.opening import Workspace
    from connector.ports import Warehouse
    from connector.state.database import State

__all__ = ["load_assignments", "measure"]

DESIGNS = {
    "sequential_hybrid": Design.HYBRID,
    "obrien_fleming": Design.OBRIEN_FLEMING,
    "confidence_sequence": Design.SEQUENCE,
    "fixed": Design.FIXED,
}


def measure(
    config: Config, state: State, workspace: Workspace, *, as_of: datetime
) -> list[CampaignLift]:
    """Every campaign's lift, and the global holdout's.

    It is computed where the first act was, so that events and order lines stay where they are.

    Args:
        config: Names campaigns and metrics.
        state: Holds assignments and the shares that they were drawn with; ends are registered in
            it.
        workspace: After the first act.
        as_of: Only what happened before it counts.
    """
    warehouse = workspace.engine
    load_assignments(state, warehouse)
    shares = _shares(state)
    metrics = {name: specs.metric_spec(name, one) for name, one in config.measured.items()}
    campaigns = [
        _campaign(config, state, name, metrics, shares[name])
        for name in config.campaigns
        if name in shares
    ]
    every = tuple(metrics.values())
    campaigns += [
        CampaignSpec(held.name, every, shares[held.name], is_whole=True)
        for held in config.holdouts.global_
        if held.name in shares
    ]
    if not campaigns:
        return []
    measured = list({m.name: m for spec in campaigns for m in spec.metrics}.values())
    dimensions, note = outcomes.load_classes(config, state, warehouse)
    return analyse(
        warehouse,
        campaigns,
        as_of=as_of,
        measurement=measurement_spec(config),
        inputs=replace(
            mapped(config, warehouse),
            has_withdrawals=outcomes.load_withdrawals(measured, config, warehouse),
            has_scores=outcomes.load_scores(measured, state, warehouse, as_of=as_of),
            dimensions=dimensions,
        ),
        seen=_seen(config, state, workspace, shares, as_of),
        segments_note=note,
    )


def _seen(
    config: Config,
    state: State,
    workspace: Workspace,
    shares: Mapping[str, tuple[IntendedShares, ...]],
    as_of: datetime,
) -> dict[tuple[str, int], Counted]:
    """What is counted at the gates, and whom the experiments lost."""
    counts = gates.read_gates(state, workspace, as_of=as_of)
    mixed = gates.contamination(config, state, workspace, as_of=as_of)
    found = {}
    for (name, epoch), passed in counts.items():
        known = {v.config_version: v.shares for v in shares.get(name, ()) if v.epoch == epoch}
        lost = mixed.get((name, epoch))
        found[name, epoch] = Counted(
            passed.intakes(known),
            {}
            if lost is None
            else {arm: lost.compared(Arm.TREATMENT, arm) for arm in HOLDOUT_ARMS},
        )
    return found


def measurement_spec(config: Config) -> MeasurementSpec:
    """How everything is measured."""
    rules = config.measurement
    estimator = rules.estimator
    return MeasurementSpec(
        confidence=rules.ci,
        flat_margin=rules.flat_margin,
        currency=config.project.currency,
        mean=MeanMethod(estimator.mean),
        share=ShareMethod(estimator.share),
        covariate_days=0 if estimator.cuped is None else estimator.cuped.days,
        design=DESIGNS[estimator.peeking],
        thresholds=Thresholds(
            rules.min_expected_buyers.verdict, rules.min_expected_buyers.directional
        ),
        corrects=rules.correct_for.many_campaigns != "none",
        srm_below=rules.health.srm_p_below,
        pre_period_below=rules.health.pre_period_bias_p_below,
        contaminated_above=rules.health.contaminated_share_above,
        power=config.power,
        wanted=config.detect,
        equal_size=rules.equal_size,
    )


def _campaign(
    config: Config,
    state: State,
    name: str,
    metrics: dict[str, MetricSpec],
    shares: tuple[IntendedShares, ...],
) -> CampaignSpec:
    """What is to be measured of one campaign."""
    campaign = config.campaigns[name]
    strategy = config.strategies.get(campaign.strategy or "")
    contact = None if strategy is None else strategy.cost_per_contact
    redemption = None if strategy is None else strategy.cost_per_redemption
    end: Registered = registered_end(config, state, name)
    goal, goal_note = registered_goal(config, state, name)
    rest = (metric for key, metric in metrics.items() if key != goal)
    return CampaignSpec(
        campaign=name,
        metrics=(metrics[goal], *rest),
        shares=shares,
        cost_per_person=None if contact is None else float(contact),
        cost_per_redemption=float(redemption) if redemption else None,
        redemption_is_known="discount" in config.tables.orders.columns,
        ends_at=end.at,
        end_note=" ".join(filter(None, (end.note, goal_note))),
    )


def mapped(config: Config, warehouse: Warehouse) -> Inputs:
    """The tables that the file maps beside orders, as metrics may read them."""
    tables = config.tables
    margin = specs.margin_of(config)
    return Inputs(
        items=warehouse.columns(ITEMS) if tables.order_items is not None else {},
        events=warehouse.columns(EVENTS) if tables.events is not None else {},
        has_withdrawals=config.consent is not None,
        margin_is_known=margin is not None,
        margin_note=(
            "net revenue less the cost of the goods"
            if margin is MarginFrom.ITEMS
            else "what the shop tells of each order"
        ),
    )


def _shares(state: State) -> dict[str, tuple[IntendedShares, ...]]:
    rows = state.arrow(
        {
            "s": "SELECT campaign, epoch, config_version, arm, share FROM arm_shares"
            " ORDER BY 1, 2, 3, 4"
        }
    )["s"].to_pylist()
    found: dict[tuple[str, int, str], dict[Arm, float]] = {}
    for row in rows:
        key = (row["campaign"], int(row["epoch"]), row["config_version"])
        found.setdefault(key, {})[Arm(row["arm"])] = float(row["share"])
    shares: dict[str, list[IntendedShares]] = {}
    for (campaign, epoch, version), arms in found.items():
        shares.setdefault(campaign, []).append(IntendedShares(epoch, version, arms))
    return {campaign: tuple(one) for campaign, one in shares.items()}
