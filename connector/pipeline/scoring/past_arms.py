"""Who was in which arm of a campaign, for models that learn from experiments.

The log is read as analysis reads it: merged people have one profile, and of several assignments the
earliest counts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
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
        people: ``campaign, epoch, config_version, profile_id, arm, first_eligible_at`` (UTC): one
            row for each epoch and person.
        shares: Epoch and configuration version -> the shares that it drew with.
    """

    people: pa.Table
    shares: Mapping[tuple[int, str], Mapping[Arm, float]]


def nobody(_campaign: str) -> PastArms:
    """The log of a campaign that has not run."""
    kinds = dict.fromkeys(("campaign", "config_version", "profile_id", "arm"), pa.string())
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
            " arm, first_eligible_at FROM (SELECT a.campaign, a.epoch, a.config_version, a.arm,"
            f" a.first_eligible_at, {now_id} AS profile_id, row_number() OVER"
            f" (PARTITION BY a.epoch, {now_id} ORDER BY a.first_eligible_at, a.profile_id) AS place"
            " FROM assignments a LEFT JOIN profile_merges m ON m.from_profile_id = a.profile_id"
            f" WHERE a.{named}) AS one WHERE place = 1",
            "shares": "SELECT CAST(epoch AS TEXT) AS epoch, config_version, arm,"
            f" CAST(share AS TEXT) AS share FROM arm_shares WHERE {named}",
        }
    )
    people, drawn = (_typed(text_table(found[name])) for name in ("people", "shares"))
    shares: dict[tuple[int, str], dict[Arm, float]] = {}
    for row in drawn.to_pylist():
        version = (row["epoch"], row["config_version"])
        shares.setdefault(version, {})[Arm(row["arm"])] = row["share"]
    # The state's texts end in Z, which an instant without a zone does not.
    at = people.column_names.index("first_eligible_at")
    instants = pc.cast(pc.utf8_rtrim(people["first_eligible_at"], "Z"), pa.timestamp("us"))
    return PastArms(people.set_column(at, "first_eligible_at", instants), shares)


def _typed(rows: pa.Table) -> pa.Table:
    for name, kind in NUMBERS.items():
        if name in rows.column_names:
            at = rows.column_names.index(name)
            rows = rows.set_column(at, name, pc.cast(rows[name], kind))
    return rows
