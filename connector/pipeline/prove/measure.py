"""The third act: from assignments and orders to every campaign's lift."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from connector.config import Config
from connector.domain import Arm
from connector.lift.analysis import CampaignSpec, IntendedShares, MeasurementSpec, analyse
from connector.lift.result import CampaignLift
from connector.pipeline import specs

if TYPE_CHECKING:
    from connector.state.database import State
    from connector.warehouse.duckdb import DuckDBWarehouse


def measure(
    config: Config, state: State, warehouse: DuckDBWarehouse, *, as_of: datetime
) -> list[CampaignLift]:
    """Every campaign's lift, and the global holdout's.

    Args:
        config: Names campaigns and metrics.
        state: Holds assignments and the shares that they were drawn with.
        warehouse: Holds ``clean_orders`` of the first act.
        as_of: Only what happened before it counts.
    """
    load_assignments(state, warehouse)
    shares = _shares(state)
    names = [*config.campaigns]
    if config.holdouts.global_ is not None:
        names.append(config.holdouts.global_.name)
    metrics = {name: specs.metric_spec(name, metric) for name, metric in config.metrics.items()}
    campaigns = []
    for name in names:
        if name not in shares:
            continue
        campaign = config.campaigns.get(name)
        goal = campaign.goal if campaign else next(iter(metrics))
        strategy = config.strategies.get((campaign.strategy if campaign else None) or "")
        # A cost for each redemption depends on what people do, so it is not fixed at assignment.
        fixed = (
            float(strategy.cost_per_contact)
            if strategy and strategy.cost_per_contact and not strategy.cost_per_redemption
            else None
        )
        campaigns.append(
            CampaignSpec(
                campaign=name,
                metrics=(metrics[goal], *(m for key, m in metrics.items() if key != goal)),
                shares=shares[name],
                cost_per_person=fixed,
            )
        )
    if not campaigns:
        return []
    measurement = config.measurement
    return analyse(
        warehouse,
        campaigns,
        as_of=as_of,
        measurement=MeasurementSpec(
            confidence=measurement.confidence,
            flat_margin=measurement.flat_margin,
            currency=config.project.currency,
        ),
    )


def load_assignments(state: State, warehouse: DuckDBWarehouse) -> None:
    """Make ``assignments`` of the arm log; merged people have one profile and the earliest arm."""
    rows = state.arrow(
        {
            "log": "SELECT a.campaign, a.epoch,"
            " coalesce(m.into_profile_id, a.profile_id) AS profile_id, a.arm,"
            " a.first_eligible_at, a.config_version, a.profile_id AS logged_as FROM assignments a"
            " LEFT JOIN profile_merges m ON m.from_profile_id = a.profile_id"
        }
    )["log"]
    warehouse.load("assignment_log", rows)
    warehouse.connection.execute(
        """
        CREATE OR REPLACE TABLE assignments AS
        SELECT CAST(campaign AS TEXT) AS campaign, CAST(epoch AS INTEGER) AS epoch,
            CAST(config_version AS TEXT) AS config_version, CAST(profile_id AS TEXT) AS profile_id,
            CAST(arm AS TEXT) AS arm,
            CAST(replace(CAST(first_eligible_at AS TEXT), 'Z',
                '') AS TIMESTAMP) AS first_eligible_at
        FROM (
            SELECT *, row_number() OVER (PARTITION BY campaign, epoch, profile_id
                                         ORDER BY first_eligible_at, logged_as) AS place
            FROM assignment_log
        ) WHERE place = 1
        """
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
