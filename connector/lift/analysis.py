"""Every campaign's lift: from assignments and orders to one frozen result per comparison.

What is compared: the treatment arm with the no-contact arm, and apart from it with the
business-as-usual arm, each within one epoch. The global holdout is a campaign of its own here (its
treatment arm is everybody addressed), so that its people never distort the split of a campaign that
they were never offered to.

Epochs are never pooled: a new epoch draws anew, and what the first one did to people carries over
into the second.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from connector.domain import Arm
from connector.errors import ConfigError, InsufficientDataError, LedgerError, ModelError
from connector.lift.health import Intake, SampleRatio, sample_ratio
from connector.lift.intervals import (
    Interval,
    agresti_caffo_interval,
    hall_interval,
    incremental_roas,
    incremental_total,
    log_ratio_interval,
)
from connector.lift.metrics import (
    ORDERS,
    MetricKind,
    MetricSpec,
    by_window,
    people_sql,
    repeated_people_sql,
    units_relation,
    units_sql,
)
from connector.lift.moments import ArmMoments, Cell, read_moments
from connector.lift.power import expected_buyers, expected_rarer
from connector.lift.result import ArmSummary, CampaignLift
from connector.lift.verdict import Evidence, Judgement, Unit, judge

if TYPE_CHECKING:
    from connector.ports import Warehouse

HOLDOUT_ARMS = (Arm.NO_CONTACT, Arm.BUSINESS_AS_USUAL)
"""What the treatment arm is compared with, each by itself."""


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
class CampaignSpec:
    """What is to be measured of one campaign, or of the global holdout.

    Attributes:
        campaign: Its name in the assignments.
        metrics: What is measured; the first is the goal.
        shares: Intended shares of every epoch and configuration version so far.
        cost_per_person: Money spent on each treated person, where it is fixed at assignment; None
            where it is unknown or depends on what people do (then there is no return on spend).
    """

    campaign: str
    metrics: tuple[MetricSpec, ...]
    shares: tuple[IntendedShares, ...]
    cost_per_person: float | None = None


@dataclass(frozen=True, slots=True)
class MeasurementSpec:
    """How everything is measured.

    Attributes:
        confidence: Of every interval, between 0 and 1.
        flat_margin: Largest difference that still counts as none, as a share of the holdout's mean.
        currency: For sentences.
    """

    confidence: float = 0.95
    flat_margin: float = 0.01
    currency: str = "EUR"


def analyse(
    warehouse: Warehouse,
    specs: Sequence[CampaignSpec],
    *,
    as_of: datetime,
    measurement: MeasurementSpec,
) -> list[CampaignLift]:
    """Measure every campaign, epoch, metric and comparison.

    Relations read: ``assignments(campaign, epoch, config_version, profile_id, arm,
    first_eligible_at TIMESTAMP)``, one row per campaign, epoch and profile, merged profiles already
    mapped; ``clean_orders(profile_id, ordered_at, is_return, net_revenue, ...)``. Relations made:
    one ``lift_units_<n>d`` for each window length.

    Args:
        warehouse: Holds the relations.
        specs: The campaigns, and the global holdout as one of them.
        as_of: Aware; only what happened before it is seen.
        measurement: Confidence, margin and currency.

    Returns:
        In the order of the specs, then by epoch, metric and comparison. A campaign of one arm alone
        gives nothing.

    Raises:
        ConfigError: Two campaigns or two metrics share a name, or a metric names an unknown column.
        LedgerError: Somebody is assigned twice, or no shares are known for an assignment.
        ModelError: ``as_of`` has no time zone.
    """
    if as_of.tzinfo is None:
        raise ModelError("`as_of` needs a time zone.", hint="Pass an aware datetime.")
    names = [spec.campaign for spec in specs]
    if len(set(names)) != len(names):
        raise ConfigError("Two campaigns to be measured have the same name.")
    windows = by_window(metric for spec in specs for metric in spec.metrics)
    if not windows:
        return []
    order_columns = warehouse.columns(ORDERS)
    if int(warehouse.rows(repeated_people_sql(names))[0][0]):
        raise LedgerError(
            "Some profiles are assigned more than once in one campaign and epoch.",
            hint="Keep the earliest assignment of merged profiles.",
        )
    people = _read_people(warehouse, list(windows), as_of=as_of, campaigns=names)
    moments: dict[Cell, ArmMoments] = {}
    for days, metrics in windows.items():
        relation = units_relation(days)
        warehouse.create_table_as(
            relation, units_sql(metrics, order_columns=order_columns, as_of=as_of, campaigns=names)
        )
        moments |= read_moments(warehouse, relation, [metric.name for metric in metrics])
    return [
        lift
        for spec in specs
        for epoch in sorted(
            {version.epoch for version in spec.shares} | people.epochs(spec.campaign)
        )
        for lift in _epoch_lifts(spec, epoch, people, moments, as_of, measurement)
    ]


@dataclass(frozen=True, slots=True)
class _Assigned:
    """People of one campaign, epoch, version and arm: all, and those with closed windows."""

    n: int
    closed: Mapping[int, int]


@dataclass(frozen=True, slots=True)
class _People:
    """Everybody assigned, counted."""

    counts: Mapping[tuple[str, int], Mapping[tuple[str, Arm], _Assigned]]

    def epochs(self, campaign: str) -> set[int]:
        """Epochs in which anybody was assigned."""
        return {epoch for name, epoch in self.counts if name == campaign}

    def split(self, spec: CampaignSpec, epoch: int) -> SampleRatio | None:
        """The test of an epoch's split; None while nobody is assigned.

        Raises:
            LedgerError: People were assigned by a version whose shares are not known.
        """
        cells = self.counts.get((spec.campaign, epoch), {})
        shares = {v.config_version: v.shares for v in spec.shares if v.epoch == epoch}
        versions = sorted({version for version, _ in cells})
        unknown = [version for version in versions if version not in shares]
        if unknown:
            raise LedgerError(
                f"Campaign {spec.campaign!r}, epoch {epoch}: no intended shares are known for "
                f"the people assigned under configuration version {unknown[0]!r}."
            )
        if not cells:
            return None
        return sample_ratio(
            [
                Intake(shares[version], {arm: c.n for (v, arm), c in cells.items() if v == version})
                for version in versions
            ]
        )

    def sizes(self, campaign: str, epoch: int, arm: Arm, days: int) -> tuple[int, int]:
        """People of an arm whose windows have closed, and those whose windows are open."""
        cells = self.counts.get((campaign, epoch), {})
        mine = [c for (_, found), c in cells.items() if found is arm]
        closed = sum(c.closed[days] for c in mine)
        return closed, sum(c.n for c in mine) - closed


def _read_people(
    warehouse: Warehouse, windows: Sequence[int], *, as_of: datetime, campaigns: Sequence[str]
) -> _People:
    counts: dict[tuple[str, int], dict[tuple[str, Arm], _Assigned]] = defaultdict(dict)
    for campaign, epoch, version, arm, n, *closed in warehouse.rows(
        people_sql(windows, as_of=as_of, campaigns=campaigns)
    ):
        if arm not in set(Arm):
            raise LedgerError(
                f"Campaign {campaign!r}: the assignments hold an unknown arm, {arm!r}."
            )
        counts[str(campaign), int(epoch)][str(version), Arm(arm)] = _Assigned(
            int(n), {days: int(k) for days, k in zip(windows, closed, strict=True)}
        )
    return _People(counts)


def _epoch_lifts(
    spec: CampaignSpec,
    epoch: int,
    people: _People,
    moments: Mapping[Cell, ArmMoments],
    as_of: datetime,
    measurement: MeasurementSpec,
) -> list[CampaignLift]:
    """All metrics and comparisons of one campaign and epoch."""
    split = people.split(spec, epoch)
    intended = {
        arm
        for version in spec.shares
        if version.epoch == epoch
        for arm, share in version.shares.items()
        if share > 0
    }
    found = set(split.observed) if split is not None else set()
    return [
        _compare(spec, epoch, metric, arm, people, moments, split, as_of, measurement)
        for metric in spec.metrics
        for arm in HOLDOUT_ARMS
        if arm in intended | found
    ]


def _compare(
    spec: CampaignSpec,
    epoch: int,
    metric: MetricSpec,
    holdout_arm: Arm,
    people: _People,
    moments: Mapping[Cell, ArmMoments],
    split: SampleRatio | None,
    as_of: datetime,
    measurement: MeasurementSpec,
) -> CampaignLift:
    """One comparison."""

    def moments_of(arm: Arm) -> ArmMoments | None:
        return moments.get(Cell(spec.campaign, epoch, arm.value, metric.name))

    treated, held = moments_of(Arm.TREATMENT), moments_of(holdout_arm)
    n_closed_t, n_open_t = people.sizes(spec.campaign, epoch, Arm.TREATMENT, metric.window_days)
    n_closed_c, n_open_c = people.sizes(spec.campaign, epoch, holdout_arm, metric.window_days)
    n_known = (treated.n if treated else 0) + (held.n if held else 0)
    n_unknown = n_closed_t + n_closed_c - n_known

    distrust = ""
    if split is not None and split.alarm:
        distrust = split.message
    elif n_unknown:
        distrust = (
            f"{n_unknown:,} people have orders without a value for {metric.expression!r}, "
            "so what they brought is not known."
        )
    difference = relative = total = roas = cost = buyers = None
    obstacle = ""
    if treated is not None and held is not None:
        is_share = metric.kind is MetricKind.SHARE
        buyers = expected_rarer(treated, held) if is_share else expected_buyers(treated, held)
        absolute = agresti_caffo_interval if is_share else hall_interval
        try:
            difference = absolute(treated, held, confidence=measurement.confidence)
        except InsufficientDataError as problem:
            obstacle = problem.message
        else:
            total = incremental_total(difference, treated.n)
            relative = _relative(treated, held, measurement.confidence)
            if metric.kind is MetricKind.SUM and spec.cost_per_person:
                roas = incremental_roas(total, spec.cost_per_person * treated.n)
        if spec.cost_per_person is not None:
            cost = spec.cost_per_person * treated.n

    judgement: Judgement = judge(
        Evidence(difference, buyers, held.mean if held else None, distrust, obstacle),
        flat_margin=measurement.flat_margin,
        unit=_unit(metric.kind, measurement.currency),
    )
    return CampaignLift(
        campaign=spec.campaign,
        epoch=epoch,
        metric=metric.name,
        kind=metric.kind,
        window_days=metric.window_days,
        is_goal=metric == spec.metrics[0],
        as_of=as_of,
        treatment=_summary(Arm.TREATMENT, treated, n_open_t),
        holdout=_summary(holdout_arm, held, n_open_c),
        difference=difference,
        relative=relative,
        incremental=total,
        cost=cost,
        incremental_roas=roas,
        expected_buyers=buyers,
        srm_p=split.p_value if split is not None else None,
        verdict=judgement.verdict,
        reason=judgement.reason,
    )


def _relative(treated: ArmMoments, held: ArmMoments, confidence: float) -> Interval | None:
    """The percentage, where there is one."""
    try:
        return log_ratio_interval(treated, held, confidence=confidence)
    except InsufficientDataError:
        return None


def _summary(arm: Arm, found: ArmMoments | None, n_open: int) -> ArmSummary:
    if found is None:
        return ArmSummary(arm, 0, n_open, 0, None, 0.0)
    return ArmSummary(arm, found.n, n_open, found.n_nonzero, found.mean, found.total)


def _unit(kind: MetricKind, currency: str) -> Unit:
    if kind is MetricKind.SUM:
        return Unit(f"{currency} per person")
    if kind is MetricKind.COUNT:
        return Unit("orders per person", digits=3)
    return Unit("percentage points", scale=100.0)
