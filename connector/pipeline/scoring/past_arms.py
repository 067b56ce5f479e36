"""Who was in which arm of a campaign, for models that learn from experiments.

The log is read as analysis reads it: merged people have one profile, and of several assignments the
earliest counts.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from connector.domain import Arm
from connector.pipeline.located import text_table
from connector.warehouse.render import literal

if TYPE_CHECKING:
    from connector.state.database import State

NUMBERS = {"epoch": pa.int64(), "share": pa.float64()}


@dataclass(frozen=True, slots=True)
class PastArms:
    """The log of one campaign.

    Attributes:
        people: ``campaign, epoch, config_version, profile_id, arm, first_eligible_at, offer`` (UTC;
            the offer is empty where there is none): one row for each epoch and person.
        shares: Epoch and configuration version -> the shares that it drew with.
        offers: The same -> the shares of the treatment arm that each offer had.
    """

    people: pa.Table
    shares: Mapping[tuple[int, str], Mapping[Arm, float]]
    offers: Mapping[tuple[int, str], Mapping[str, float]] = field(default_factory=dict)

    def chance(self, epoch: int, version: str, control: Arm, offer: str | None = None) -> float:
        """Chance of treatment, given that it was treatment or control.

        Args:
            epoch: Randomisation epoch.
            version: Of the configuration that drew.
            control: The other arm.
            offer: Treatment with this offer; None: with any.

        Returns:
            0 to 1; not a number where neither had a share.
        """
        drawn = self.shares.get((epoch, version), {})
        treated, held = drawn.get(Arm.TREATMENT, 0.0), drawn.get(control, 0.0)
        if offer is not None:
            treated *= self.offers.get((epoch, version), {}).get(offer, 0.0)
        return treated / (treated + held) if treated + held > 0 else math.nan


def nobody(_campaign: str) -> PastArms:
    """The log of a campaign that has not run."""
    texts = ("campaign", "config_version", "profile_id", "arm", "offer")
    kinds = dict.fromkeys(texts, pa.string())
    schema = pa.schema({**kinds, "epoch": pa.int64(), "first_eligible_at": pa.timestamp("us")})
    return PastArms(schema.empty_table(), {})


def read_past_arms(state: State, campaign: str) -> PastArms:
    """Everybody who was ever assigned in a campaign.

    Args:
        state: Holds the log.
        campaign: Its name.
    """
    named = f"campaign = {literal(campaign)}"
    now_id = "coalesce(m.into_profile_id, a.profile_id)"
    found = state.arrow(
        {
            "people": "SELECT campaign, CAST(epoch AS TEXT) AS epoch, config_version, profile_id,"
            " arm, first_eligible_at, offer FROM (SELECT a.campaign, a.epoch, a.config_version,"
            f" a.arm, a.first_eligible_at, coalesce(a.offer, '') AS offer, {now_id} AS profile_id,"
            " row_number() OVER"
            f" (PARTITION BY a.epoch, {now_id} ORDER BY a.first_eligible_at, a.profile_id) AS place"
            " FROM assignments a LEFT JOIN profile_merges m ON m.from_profile_id = a.profile_id"
            f" WHERE a.{named}) AS one WHERE place = 1",
            "shares": "SELECT CAST(epoch AS TEXT) AS epoch, config_version, arm,"
            f" CAST(share AS TEXT) AS share FROM arm_shares WHERE {named}",
            "offers": "SELECT CAST(epoch AS TEXT) AS epoch, config_version, offer,"
            f" CAST(share AS TEXT) AS share FROM offer_shares WHERE {named}",
        }
    )
    people, drawn, offered = (
        _typed(text_table(found[name])) for name in ("people", "shares", "offers")
    )
    shares: dict[tuple[int, str], dict[Arm, float]] = {}
    for row in drawn.to_pylist():
        version = (row["epoch"], row["config_version"])
        shares.setdefault(version, {})[Arm(row["arm"])] = row["share"]
    offers: dict[tuple[int, str], dict[str, float]] = {}
    for row in offered.to_pylist():
        offers.setdefault((row["epoch"], row["config_version"]), {})[row["offer"]] = row["share"]
    # The state's texts end in Z, which an instant without a zone does not.
    at = people.column_names.index("first_eligible_at")
    instants = pc.cast(pc.utf8_rtrim(people["first_eligible_at"], "Z"), pa.timestamp("us"))
    return PastArms(people.set_column(at, "first_eligible_at", instants), shares, offers)


def _typed(rows: pa.Table) -> pa.Table:
    for name, kind in NUMBERS.items():
        if name in rows.column_names:
            at = rows.column_names.index(name)
            rows = rows.set_column(at, name, pc.cast(rows[name], kind))
    return rows
