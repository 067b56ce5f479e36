"""What the second act needs of the configuration, as plain values."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from connector import holdouts
from connector.audiences.rationing import Ration
from connector.audiences.specs import CampaignSpec, DestinationSpec, PriorityList
from connector.domain import Arm, Field, Finding
from connector.plan import summary
from connector.ports import Destination

Progress = Callable[[str, int, int | None], None]
"""Called with what is going on, how many are done, and how many there are (None when unknown)."""


def silent(_what: str, _done: int, _total: int | None) -> None:
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
        doubted_before: The consent source is broken, so that withdrawals of an earlier time wait
            for the guard on it: an older no comes to light when a newer yes vanishes. None: it is
            whole.
        reconcile_every: Destination name -> how old the last reading of its lists may be; zero
            reads them in every run. Lists of a destination without an entry are never read again.
        rations: Budgets that go to those who rank first.
        remarks: What a person should know of how the campaigns came about.
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
    doubted_before: datetime | None = None
    reconcile_every: Mapping[str, timedelta] = field(default_factory=dict)
    rations: Sequence[Ration] = ()
    remarks: Sequence[Finding] = ()

    @property
    def draws(self) -> list[holdouts.Draw]:
        """What is drawn for each active campaign."""
        return [
            holdouts.Draw(c.name, c.epoch, c.shares, {n: o.share for n, o in c.offers.items()})
            for c in self.campaigns
            if c.active
        ]

    @property
    def global_draw(self) -> holdouts.Draw | None:
        """What is drawn for the global holdout."""
        if self.global_holdout is None:
            return None
        name, share = self.global_holdout
        return holdouts.Draw(name, 1, {Arm.TREATMENT: 1.0 - share, Arm.NO_CONTACT: share})
