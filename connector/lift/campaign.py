"""What is to be measured of one campaign, or of the global holdout."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from connector.lift.inputs import Costs
from connector.lift.metrics import MetricSpec
from connector.lift.people import IntendedShares


@dataclass(frozen=True, slots=True)
class CampaignSpec:
    """What is to be measured of one campaign, or of the global holdout.

    Attributes:
        campaign: Its name in the assignments.
        metrics: What is measured; the first is the goal.
        shares: Intended shares of every epoch and configuration version so far.
        cost_per_person: Money spent on each treated person; None where it is not known.
        cost_per_redemption: Money spent on each order of a treated person that used the offer; None
            where that costs nothing.
        redemption_is_known: Whether orders tell which used the offer.
        ends_at: The registered instant of the last look; None: it runs on.
        end_note: What must be said of the end.
        is_whole: Whether it is the global holdout, which is no campaign among others.
    """

    campaign: str
    metrics: tuple[MetricSpec, ...]
    shares: tuple[IntendedShares, ...]
    cost_per_person: float | None = None
    cost_per_redemption: float | None = None
    redemption_is_known: bool = True
    ends_at: datetime | None = None
    end_note: str = ""
    is_whole: bool = False

    @property
    def costs(self) -> Costs:
        """What people cost, for the statement."""
        return Costs(
            self.cost_per_person or 0.0, self.cost_per_redemption or 0.0, self.redemption_is_known
        )

    @property
    def has_costs(self) -> bool:
        """Whether any cost is known."""
        return self.cost_per_person is not None or bool(self.cost_per_redemption)
