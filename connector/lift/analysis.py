"""Every campaign's lift: from assignments and orders to one frozen result per comparison.

What is compared: the treatment arm with the no-contact arm, and apart from it with the
business-as-usual arm, each within one epoch. The global holdout is a campaign of its own here (its
treatment arm is everybody addressed), so that its people never distort the split of a campaign that
they were never offered to.

Epochs are never pooled: a new epoch draws anew, and what the first one did to people carries over
into the second.

Here the warehouse is read; :mod:`connector.lift.compare` makes numbers and verdicts of what was
read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING

from connector.domain import Arm
from connector.errors import ConfigError, LedgerError, ModelError
from connector.lift import account as accounting
from connector.lift import people, sensitivity
from connector.lift.campaign import CampaignSpec
from connector.lift.compare import compare
from connector.lift.conclude import conclude
from connector.lift.health import Gate, SampleRatio
from connector.lift.inputs import ORDERS_ONLY, Inputs, companion_names, has_idle, units_relation
from connector.lift.looks import Plan
from connector.lift.metrics import ORDERS, MetricKind, MetricSpec, by_window
from connector.lift.moments import Cell
from connector.lift.outcome import outcome_of
from connector.lift.people import CampaignPeople, Counted, IntendedShares
from connector.lift.question import Draft, Other, Question, Side
from connector.lift.result import ArmSummary, CampaignLift, HealthFinding
from connector.lift.rules import MeasurementSpec
from connector.lift.scan import Measured, scan
from connector.lift.units import units_sql
from connector.lift.windows import repeated_people_sql

if TYPE_CHECKING:
    from connector.lift.joint import JointMoments
    from connector.ports import Warehouse

__all__ = [
    "ArmSummary",
    "CampaignLift",
    "CampaignSpec",
    "Counted",
    "IntendedShares",
    "MeasurementSpec",
    "analyse",
]

HOLDOUT_ARMS = (Arm.NO_CONTACT, Arm.BUSINESS_AS_USUAL)
"""What the treatment arm is compared with, each by itself."""

COMPARISONS = {
    Arm.NO_CONTACT: "the campaign against no contact",
    Arm.BUSINESS_AS_USUAL: "segmented against non-segmented",
}
"""What each comparison says, in words."""


def analyse(
    warehouse: Warehouse,
    specs: Sequence[CampaignSpec],
    *,
    as_of: datetime,
    measurement: MeasurementSpec,
    inputs: Inputs = ORDERS_ONLY,
    seen: Mapping[tuple[str, int], Counted] = MappingProxyType({}),
    segments_note: str = "",
) -> list[CampaignLift]:
    """Measure every campaign, epoch, metric and comparison.

    Relations read: ``assignments(campaign, epoch, config_version, profile_id, arm,
    first_eligible_at TIMESTAMP)``, one row per campaign, epoch and profile, merged profiles already
    mapped; ``clean_orders(profile_id, ordered_at, is_return, net_revenue, ...)``; and what
    ``inputs`` tells of. Relations made: one ``lift_units_<n>d`` for each window length.

    Args:
        warehouse: Holds the relations.
        specs: The campaigns, and the global holdout as one of them.
        as_of: Aware; only what happened before it is seen.
        measurement: How.
        inputs: What there is beside assignments and orders; costs, closing instants and the
            covariate's length are filled in from the specs.
        seen: (campaign, epoch) -> what was counted of it outside the warehouse.
        segments_note: Why nobody is classed; for the results.

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
    inputs = replace(
        inputs,
        costs={spec.campaign: spec.costs for spec in specs},
        covariate_days=measurement.covariate_days,
        closes={spec.campaign: spec.ends_at for spec in specs if spec.ends_at is not None},
        goal_days={spec.campaign: spec.metrics[0].window_days for spec in specs if spec.metrics},
    )
    accounts = {
        spec.campaign: accounting.account_of(spec.metrics, inputs, spec.costs)
        for spec in specs
        if spec.metrics
    }
    windows = by_window(
        metric
        for spec in specs
        if spec.metrics
        for metric in (*spec.metrics, *accounts[spec.campaign].metrics)
    )
    if not windows:
        return []
    if int(warehouse.rows(repeated_people_sql(names))[0][0]):
        raise LedgerError(
            "Some profiles are assigned more than once in one campaign and epoch.",
            hint="Keep the earliest assignment of merged profiles.",
        )
    everybody = people.read_people(
        warehouse, list(windows), as_of=as_of, campaigns=names, inputs=inputs, seen=seen
    )
    study = _Study(warehouse, as_of, measurement, inputs, everybody, accounts, segments_note)
    study.read(windows, names)
    return conclude(
        [
            draft
            for spec in specs
            for epoch in sorted(
                {version.epoch for version in spec.shares} | everybody.epochs(spec.campaign)
            )
            for draft in study.epoch(spec, epoch)
        ],
        measurement,
    )


class _Study:
    """What was read, and the comparisons that are made of it."""

    def __init__(
        self,
        warehouse: Warehouse,
        as_of: datetime,
        rules: MeasurementSpec,
        inputs: Inputs,
        everybody: CampaignPeople,
        accounts: Mapping[str, accounting.Account],
        segments_note: str,
    ) -> None:
        self.warehouse, self.as_of, self.rules = warehouse, as_of, rules
        self.inputs, self.people, self.accounts = inputs, everybody, accounts
        self.segments_note = segments_note
        self.measured: dict[Cell, Measured] = {}
        self.recounts: list[tuple[str, Arm | None, sensitivity.Recount]] = []

    def read(self, windows: Mapping[int, Sequence[MetricSpec]], campaigns: Sequence[str]) -> None:
        """Scan every window length once."""
        order_columns = self.warehouse.columns(ORDERS)
        for days, wanted in windows.items():
            metrics = [m for m in wanted if m.kind is not MetricKind.DELTA or self._has_scores]
            if not metrics:
                continue
            relation = units_relation(days)
            self.warehouse.create_table_as(
                relation,
                units_sql(
                    metrics,
                    order_columns=order_columns,
                    as_of=self.as_of,
                    campaigns=campaigns,
                    inputs=self.inputs,
                ),
            )
            self.measured |= scan(
                self.warehouse,
                relation,
                [metric.name for metric in metrics],
                companions=companion_names(metrics, self.inputs.covariate_days),
                idles=[metric.name for metric in metrics if has_idle(metric)],
                dimensions=self.inputs.dimensions,
            )
            self._recount(relation, metrics)

    @property
    def _has_scores(self) -> bool:
        return self.inputs.has_scores

    def _recount(self, relation: str, metrics: Sequence[MetricSpec]) -> None:
        """Count people otherwise, for the sensitivities that moments do not suffice for."""
        asked = [m for m in metrics if not m.name.startswith(accounting.HIDDEN)]
        capped = sensitivity.winsorised(self.warehouse, relation, asked, self.rules.currency)
        self.recounts.append((sensitivity.WINSORISED, None, capped))
        without = sensitivity.not_merged(self.warehouse, relation, asked)
        self.recounts.append((sensitivity.NOT_MERGED, None, without))
        if self.rules.equal_size and asked:
            for arm in HOLDOUT_ARMS:
                sizes = {
                    (cell.campaign, cell.epoch): found.total.n
                    for cell, found in self.measured.items()
                    if cell.arm == arm.value and cell.metric == asked[0].name
                }
                same = sensitivity.equal_size(self.warehouse, relation, asked, sizes)
                self.recounts.append((sensitivity.EQUAL_SIZE, arm, same))

    def epoch(self, spec: CampaignSpec, epoch: int) -> list[Draft]:
        """All metrics and comparisons of one campaign and epoch."""
        rules = self.rules
        split = self.people.split(spec.campaign, epoch, spec.shares)
        intended = {
            arm
            for version in spec.shares
            if version.epoch == epoch
            for arm, share in version.shares.items()
            if share > 0
        }
        found = set(split.observed) if split is not None else set()
        arms = [arm for arm in HOLDOUT_ARMS if arm in intended | found]
        health = []
        if split is not None:
            health.append(people.finding(Gate.ASSIGNED, split, rules.srm_below))
        health += self.people.gates(spec.campaign, epoch, srm_below=rules.srm_below)
        return [
            self._compare(spec, epoch, metric, arm, arms, split, health)
            for metric in spec.metrics
            for arm in arms
        ]

    def _compare(
        self,
        spec: CampaignSpec,
        epoch: int,
        metric: MetricSpec,
        arm: Arm,
        arms: Sequence[Arm],
        split: SampleRatio | None,
        health: Sequence[HealthFinding],
    ) -> Draft:
        """One comparison."""
        treatment, holdout = (
            Side(
                one,
                self.measured.get(Cell(spec.campaign, epoch, one.value, metric.name)),
                *reversed(self.people.sizes(spec.campaign, epoch, one, metric.window_days)),
            )
            for one in (Arm.TREATMENT, arm)
        )
        findings = list(health)
        joined = self._joined(spec, epoch, metric, arms)
        told = next((one for one in findings if one.gate == Gate.JOINED), None)
        if joined is not None and (told is None or (joined.alarm and not told.alarm)):
            # Everybody may be in the shop's data, and a score be known of one arm only.
            findings = [*(one for one in findings if one is not told), joined]
        mixed = self.people.contamination(
            spec.campaign, epoch, arm, warn_above=self.rules.contaminated_above
        )
        if mixed is not None:
            findings.append(mixed)
        intake, ends_at = self.people.intake.get((spec.campaign, epoch)), self._ends(spec, metric)
        both = (Arm.TREATMENT, arm)
        planned = 1 if intake is None else intake.planned(both, metric.window_days, ends_at)
        asked = Question(
            campaign=spec.campaign,
            epoch=epoch,
            outcome=outcome_of(metric, self.rules.currency),
            is_goal=metric == spec.metrics[0],
            as_of=self.as_of,
            comparison=COMPARISONS[arm],
            plan=Plan(planned, ends_at, spec.end_note),
            health=tuple(findings),
            srm_p=None if split is None else split.p_value,
            distrust=_distrust(findings, metric, treatment, holdout),
            refusal=self._refusal(spec, metric, arm),
            cost=_fixed_cost(spec, treatment),
            is_corrected=not spec.is_whole,
            segments_note=self.segments_note,
        )
        account = None
        if asked.is_goal:
            account = partial(
                accounting.account,
                self.accounts[spec.campaign],
                partial(self._pair, spec.campaign, epoch, arm),
                spec.costs,
                self.rules.methods,
                has_costs=spec.has_costs,
                margin_note=accounting.margin_note(self.inputs),
            )
        return compare(
            asked,
            treatment,
            holdout,
            self.rules,
            others=self._others(spec.campaign, epoch, arm, metric),
            account=account,
        )

    def _ends(self, spec: CampaignSpec, metric: MetricSpec) -> datetime | None:
        """The registered end, as much later as the metric's window is longer than the goal's."""
        return self.inputs.closing(metric.window_days).get(spec.campaign)

    def _pair(
        self, campaign: str, epoch: int, arm: Arm, metric: MetricSpec
    ) -> tuple[JointMoments | None, JointMoments | None]:
        """Both arms' moments of a metric."""
        t, c = (
            self.measured.get(Cell(campaign, epoch, one.value, metric.name))
            for one in (Arm.TREATMENT, arm)
        )
        return None if t is None else t.total, None if c is None else c.total

    def _joined(
        self, spec: CampaignSpec, epoch: int, metric: MetricSpec, arms: Sequence[Arm]
    ) -> HealthFinding | None:
        """The split of those whose outcome is known."""
        counts = {}
        for arm in (Arm.TREATMENT, *arms):
            found = self.measured.get(Cell(spec.campaign, epoch, arm.value, metric.name))
            if found is not None:
                counts[arm] = found.total.n
        return self.people.joined(
            spec.campaign,
            epoch,
            spec.shares,
            metric.window_days,
            counts,
            srm_below=self.rules.srm_below,
        )

    def _refusal(self, spec: CampaignSpec, metric: MetricSpec, arm: Arm) -> str:
        """Why a comparison means nothing."""
        if metric.kind is MetricKind.DELTA and not self._has_scores:
            return f"No run has published {metric.expression} yet, so its change is not known."
        if metric.needs_contact and arm is Arm.NO_CONTACT:
            return (
                "Who is sent nothing cannot click or unsubscribe, so this is compared with "
                "business-as-usual only: give the campaign such an arm."
            )
        takes_offer = "offer_cost" in metric.campaign_costs and bool(spec.costs.redemption)
        if takes_offer and not spec.redemption_is_known:
            return (
                f"Each use of the offer costs {spec.costs.redemption:g}, and nothing in the "
                "data says who used it: map `discount` in tables.orders.columns."
            )
        return ""

    def _others(self, campaign: str, epoch: int, arm: Arm, metric: MetricSpec) -> list[Other]:
        """The two arms counted otherwise, where that was done."""
        made = []
        for name, only, found in self.recounts:
            if only not in (None, arm):
                continue
            t, c = (
                found.moments.get(Cell(campaign, epoch, one.value, metric.name))
                for one in (Arm.TREATMENT, arm)
            )
            if t is not None or c is not None:
                note = found.notes.get((campaign, epoch, metric.name), "")
                made.append(Other(name, sensitivity.LABELS[name], t, c, note))
        return made


def _distrust(
    findings: Sequence[HealthFinding], metric: MetricSpec, treatment: Side, holdout: Side
) -> str:
    """Why nothing of a comparison is to be believed; empty when all is well."""
    for finding in findings:
        if finding.alarm:
            return finding.message
    n_unknown = sum(
        side.n_closed - (0 if side.measured is None else side.measured.total.n)
        for side in (treatment, holdout)
    )
    if n_unknown and metric.kind is not MetricKind.DELTA:
        return (
            f"{n_unknown:,} people have orders without a value for {metric.expression!r}, "
            "so what they brought is not known."
        )
    return ""


def _fixed_cost(spec: CampaignSpec, treatment: Side) -> float | None:
    """What was spent on the treated people counted, where that was known at assignment."""
    if spec.cost_per_person is None or spec.cost_per_redemption:
        return None
    n = 0 if treatment.measured is None else treatment.measured.total.n
    return spec.cost_per_person * n
