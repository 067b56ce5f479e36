"""Who was assigned: sizes of the arms, and whether the split is what was drawn."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import TYPE_CHECKING

from connector.domain import Arm
from connector.errors import InsufficientDataError, LedgerError
from connector.lift.health import (
    Contamination,
    Gate,
    Intake,
    SampleRatio,
    gate_ratios,
    sample_ratio,
)
from connector.lift.inputs import ORDERS_ONLY, Inputs
from connector.lift.metrics import ASSIGNMENTS
from connector.lift.result import HealthFinding
from connector.lift.windows import people_sql
from connector.numbers import percent
from connector.warehouse.render import literal

if TYPE_CHECKING:
    from connector.ports import Warehouse


WEEK_DAYS = 7
"""Days whose intake tells how many more will come."""

ENDLESS_DAYS = 90
"""Days of intake that a programme without an end is planned with: a quarter."""


@dataclass(frozen=True, slots=True)
class IntendedShares:
    """The shares that one version of the configuration drew with.

    Attributes:
        epoch: Randomisation epoch.
        config_version: As the assignments name it.
        shares: Arm -> share, adding up to 1.
    """

    epoch: int
    config_version: str
    shares: Mapping[Arm, float]


@dataclass(frozen=True, slots=True)
class Assigned:
    """People of one campaign, epoch, version and arm: all, and those with closed windows."""

    n: int
    closed: Mapping[int, int]


@dataclass(frozen=True, slots=True)
class Counted:
    """What was counted of one epoch of one campaign outside the warehouse.

    Attributes:
        gates: Gate -> people who passed it, one intake for each configuration version.
        contamination: Holdout arm -> people of the treatment and of it who had what another arm
            was to have; arms at which nobody looked are left out.
    """

    gates: Mapping[Gate, Sequence[Intake]] = field(default_factory=dict)
    contamination: Mapping[Arm, Contamination] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class FirstDays:
    """How people came into one epoch at first; the log is append-only, so this never moves.

    Attributes:
        began_at: When the first were assigned.
        counts: Days -> arm -> people assigned within so many days.
    """

    began_at: datetime
    counts: Mapping[int, Mapping[Arm, int]]

    def planned(self, arms: Sequence[Arm], window_days: int, ends_at: datetime | None) -> int:
        """People to be expected in some arms by the end: the plan, frozen before any result.

        The first day brings in everybody who is waiting; what the days after it bring, up to a week
        and to the first closed window, goes on until the last window that closes by the end.

        Args:
            arms: The arms that are compared.
            window_days: Length of the window.
            ends_at: The registered end; None: :data:`ENDLESS_DAYS` of intake are planned.
        """
        first, week = 1, min(WEEK_DAYS, window_days)
        intake_days = float(ENDLESS_DAYS)
        if ends_at is not None:
            intake_days = (ends_at - self.began_at) / timedelta(days=1) - window_days
        at_once, early = (
            sum(self.counts[days].get(arm, 0) for arm in arms) for days in (first, week)
        )
        daily = (early - at_once) / (week - first) if week > first else 0.0
        return max(1, round(at_once + daily * max(intake_days - first, 0.0)))


@dataclass(frozen=True, slots=True)
class CampaignPeople:
    """Everybody assigned, counted.

    Attributes:
        counts: (campaign, epoch) -> (version, arm) -> people.
        intake: (campaign, epoch) -> how people came in at first.
        seen: (campaign, epoch) -> what was counted of the experiment outside the warehouse.
    """

    counts: Mapping[tuple[str, int], Mapping[tuple[str, Arm], Assigned]]
    intake: Mapping[tuple[str, int], FirstDays] = field(default_factory=dict)
    seen: Mapping[tuple[str, int], Counted] = field(default_factory=dict)

    def epochs(self, campaign: str) -> set[int]:
        """Epochs in which anybody was assigned."""
        return {epoch for name, epoch in self.counts if name == campaign}

    def split(
        self, campaign: str, epoch: int, shares: Sequence[IntendedShares]
    ) -> SampleRatio | None:
        """The test of an epoch's split; None while nobody is assigned.

        Raises:
            LedgerError: People were assigned by a version whose shares are not known.
        """
        cells = self.counts.get((campaign, epoch), {})
        known = {v.config_version: v.shares for v in shares if v.epoch == epoch}
        versions = sorted({version for version, _ in cells})
        unknown = [version for version in versions if version not in known]
        if unknown:
            raise LedgerError(
                f"Campaign {campaign!r}, epoch {epoch}: no intended shares are known for "
                f"the people assigned under configuration version {unknown[0]!r}."
            )
        return _ratio(known, {key: one.n for key, one in cells.items()})

    def gates(self, campaign: str, epoch: int, *, srm_below: float) -> list[HealthFinding]:
        """The split at the gates behind the assignment, where people are counted there."""
        counted = self.seen.get((campaign, epoch))
        if counted is None:
            return []
        behind: dict[Gate, Sequence[Intake]] = {
            gate: intakes for gate, intakes in counted.gates.items() if gate is not Gate.ASSIGNED
        }
        return [finding(gate, ratio, srm_below) for gate, ratio in gate_ratios(behind).items()]

    def joined(
        self,
        campaign: str,
        epoch: int,
        shares: Sequence[IntendedShares],
        days: int,
        known_outcomes: Mapping[Arm, int],
        *,
        srm_below: float,
    ) -> HealthFinding | None:
        """The split of those whose outcome is known; None while there is nobody.

        Args:
            campaign: Its name.
            epoch: Randomisation epoch.
            shares: Intended shares of every version.
            days: Length of the window.
            known_outcomes: Arm -> people whose outcome is known.
            srm_below: p-value below which it alarms.
        """
        intended = {v.config_version: v.shares for v in shares if v.epoch == epoch}
        closed: dict[str, int] = defaultdict(int)
        for (version, _), one in self.counts.get((campaign, epoch), {}).items():
            closed[version] += one.closed[days]
        n = sum(closed.values())
        if not n or not sum(known_outcomes.values()):
            return None
        pooled = {
            arm: sum(closed[v] * intended[v].get(arm, 0.0) for v in closed) / n for arm in Arm
        }
        total = sum(pooled.values())
        ratio = sample_ratio([Intake({a: s / total for a, s in pooled.items()}, known_outcomes)])
        return finding(Gate.JOINED, ratio, srm_below)

    def contamination(
        self, campaign: str, epoch: int, arm: Arm, *, warn_above: float
    ) -> HealthFinding | None:
        """People in two arms, and people held out who were reached; None where nobody looked.

        It hides part of an effect and never makes one, so that it warns long before nothing is
        believed any more.

        Args:
            campaign: Its name.
            epoch: Randomisation epoch.
            arm: What the treatment is compared with.
            warn_above: Share from which it is said first.
        """
        counted = self.seen.get((campaign, epoch))
        mixed = None if counted is None else counted.contamination.get(arm)
        if mixed is None:
            return None
        limit = f"More than {percent(warn_above)}: " if mixed.share > warn_above else ""
        return HealthFinding("contamination", None, mixed.alarm, limit + mixed.message)

    def sizes(self, campaign: str, epoch: int, arm: Arm, days: int) -> tuple[int, int]:
        """People of an arm whose windows have closed, and those whose windows are open."""
        cells = self.counts.get((campaign, epoch), {})
        mine = [c for (_, found), c in cells.items() if found is arm]
        closed = sum(c.closed[days] for c in mine)
        return closed, sum(c.n for c in mine) - closed


def finding(gate: Gate, ratio: SampleRatio, srm_below: float) -> HealthFinding:
    """One gate's test as a line of the result."""
    broken = ratio.p_value is not None and ratio.p_value < srm_below
    alarm = broken or bool(ratio.empty_arms) or (ratio.alarm and ratio.p_value == 0.0)
    words = {
        Gate.ASSIGNED: "Assigned",
        Gate.ELIGIBLE: "Eligible",
        Gate.WOULD_SEND: "Would have been sent",
        Gate.JOINED: "Joined to outcomes",
    }[gate]
    return HealthFinding(gate.value, ratio.p_value, alarm, f"{words}: {ratio.message}")


def _ratio(
    shares: Mapping[str, Mapping[Arm, float]], counts: Mapping[tuple[str, Arm], int]
) -> SampleRatio | None:
    versions = sorted({version for version, _ in counts})
    try:
        return sample_ratio(
            [
                Intake(shares[version], {a: n for (v, a), n in counts.items() if v == version})
                for version in versions
            ]
        )
    except InsufficientDataError:
        return None


def read_people(
    warehouse: Warehouse,
    windows: Sequence[int],
    *,
    as_of: datetime,
    campaigns: Sequence[str],
    inputs: Inputs = ORDERS_ONLY,
    seen: Mapping[tuple[str, int], Counted] = MappingProxyType({}),
) -> CampaignPeople:
    """Count everybody.

    Args:
        warehouse: Holds the assignments.
        windows: Window lengths in days.
        as_of: Aware; the instant of the analysis.
        campaigns: Which campaigns to read.
        inputs: Tells when accounts are closed.
        seen: (campaign, epoch) -> what was counted outside the warehouse.

    Raises:
        LedgerError: The assignments hold an arm that is none.
    """
    counts: dict[tuple[str, int], dict[tuple[str, Arm], Assigned]] = defaultdict(dict)
    for campaign, epoch, version, arm, n, *closed in warehouse.rows(
        people_sql(windows, as_of=as_of, campaigns=campaigns, inputs=inputs)
    ):
        if arm not in set(Arm):
            raise LedgerError(
                f"Campaign {campaign!r}: the assignments hold an unknown arm, {arm!r}."
            )
        counts[str(campaign), int(epoch)][str(version), Arm(arm)] = Assigned(
            int(n), {days: int(k) for days, k in zip(windows, closed, strict=True)}
        )
    intake = _read_intake(warehouse, windows, campaigns, as_of)
    return CampaignPeople(counts, intake, seen)


def _read_intake(
    warehouse: Warehouse, windows: Sequence[int], campaigns: Sequence[str], as_of: datetime
) -> dict[tuple[str, int], FirstDays]:
    """How people came into every campaign and epoch at first."""
    lengths = sorted({1, *(min(WEEK_DAYS, days) for days in windows)})
    names = ", ".join(literal(name) for name in sorted(set(campaigns)))
    within = "".join(
        ", sum(CASE WHEN a.first_eligible_at < add_days(f.began_at, "
        f"{days}) THEN 1 ELSE 0 END) AS n{days}"
        for days in lengths
    )
    rows = warehouse.rows(
        f"SELECT a.campaign, a.epoch, f.began_at, a.arm{within} FROM {ASSIGNMENTS} AS a JOIN"
        " (SELECT campaign, epoch, min(first_eligible_at) AS began_at"
        f" FROM {ASSIGNMENTS} GROUP BY campaign, epoch) AS f ON f.campaign = a.campaign"
        f" AND f.epoch = a.epoch WHERE a.campaign IN ({names})"
        f" AND a.first_eligible_at <= {literal(as_of)}"
        " GROUP BY a.campaign, a.epoch, f.began_at, a.arm"
    )
    found: dict[tuple[str, int], FirstDays] = {}
    for campaign, epoch, began_at, arm, *numbers in rows:
        key = (str(campaign), int(epoch))
        counts: dict[int, dict[Arm, int]] = {days: {} for days in lengths}
        if key in found:
            counts = {days: dict(arms) for days, arms in found[key].counts.items()}
        for days, n in zip(lengths, numbers, strict=True):
            counts[days][Arm(arm)] = int(n)
        found[key] = FirstDays(began_at.replace(tzinfo=UTC), counts)
    return found
