"""What each campaign will be able to show, reckoned from the shop's own past before it starts.

The last closed window is played again: who would have been eligible when it began, and what did
they do in it, without the campaign? Their outcomes give the base rate and the spread; the people
who are eligible now, split by the campaign's shares, give the sizes of the groups.

Why the people of *then* and not the people of now with their own last window: a segment chosen by
what somebody has just done answers its own question. "Nobody of those who have not ordered for 90
days ordered in the last 30" is true by definition and would give every win-back campaign a base
rate of nothing; for a segment of recent buyers it would be far too high. Only where history is too
short for that (a young shop, consents imported last week) are the people of now taken, and the
sentence says so.

The vendor is not asked whom it knows: the reckoning must work before there are credentials. People
whom a destination does not know make the groups smaller than it says.
"""

from __future__ import annotations

import dataclasses
import enum
import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from connector.audiences import eligibility, reach
from connector.audiences.specs import CampaignSpec, DestinationSpec, load_specs
from connector.config import Config
from connector.config.holdouts import GlobalHoldout
from connector.domain import Arm
from connector.errors import InsufficientDataError, LiftlineError
from connector.lift.analysis import HOLDOUT_ARMS
from connector.lift.metrics import ASSIGNMENTS, ORDERS, MetricKind, MetricSpec
from connector.lift.moments import ArmMoments, Cell
from connector.lift.power import (
    Sensitivity,
    detectable_lift,
    final_test,
    planned_buyers,
    required_people,
)
from connector.lift.scan import read_moments
from connector.lift.sequential import Design
from connector.lift.units import units_sql
from connector.lift.verdict import DIRECTIONAL_FROM, VERDICT_FROM
from connector.pipeline import specs
from connector.pipeline.prove.measure import DESIGNS

if TYPE_CHECKING:
    from connector.pipeline.understand.act import Understanding
    from connector.warehouse.duckdb import DuckDBWarehouse

FEW_PEOPLE = 100
"""Fewer people of then than this do not tell a rate; then the people of now are asked, if they are
more."""

SOME = 1_000
"""A number of people to ask a design's alpha for, where it is the same for all."""

UNITS, PAST = "detectable_units", "detectable_past"


class Basis(enum.StrEnum):
    """Whose outcomes the reckoning rests on."""

    ELIGIBLE_THEN = "eligible_then"
    """People who would have been eligible when the last closed window began."""
    ELIGIBLE_NOW = "eligible_now"
    """People who are eligible now, with what they did before: history is too short for better."""


@dataclass(frozen=True, slots=True)
class Prospect:
    """What one comparison of one campaign will be able to show.

    Attributes:
        campaign: Its name.
        metric: The goal.
        arm: The arm that the treatment is compared with.
        n_eligible: People who could be addressed now.
        n_treatment: Of them, people who would get the campaign.
        n_holdout: Of them, people in ``arm``.
        n_kept_back: Of them, people whom the global holdout keeps back.
        basis: Whose past outcomes were looked at.
        n_past: How many people those are.
        mean: Their goal per person.
        rate: Share of them that bought (or did it), 0 to 1.
        lift: Smallest relative effect that will be found (0.08 = 8 %); None when nothing can be
            said.
        even_lift: The same, if half of the people were held out.
        buyers: Buyers to be expected in the smaller group; what the verdict's thresholds are on.
        n_required: People that had to be eligible in all to find ``holdouts.power.detect``.
        n_weekly: People who newly become eligible in a week.
        directional_from: Buyers expected from which a direction is told.
        verdict_from: Buyers expected from which there is a verdict.
        n_least: People that either group must have, whatever it could show.
        variation: Coefficient of variation of the goal; None when nothing can be said.
        addressed: Share of the eligible whom the global holdout leaves, 0 to 1.
        obstacle: Why there is no ``lift``, as a sentence.
    """

    campaign: str
    metric: MetricSpec
    arm: Arm
    n_eligible: int
    n_treatment: int
    n_holdout: int
    n_kept_back: int
    basis: Basis
    n_past: int
    mean: float
    rate: float
    lift: float | None
    even_lift: float | None
    buyers: float
    n_required: int | None
    n_weekly: float
    directional_from: float = DIRECTIONAL_FROM
    verdict_from: float = VERDICT_FROM
    n_least: int = 0
    variation: float | None = None
    addressed: float = 1.0
    obstacle: str = ""

    @property
    def subject(self) -> str:
        """Where the comparison stands in the file."""
        return f"campaigns.{self.campaign}.arms.{self.arm}"

    def is_enough(self, wanted: float) -> bool:
        """Whether the effect that somebody wants to see would show, and get a verdict."""
        return (
            self.lift is not None
            and self.lift <= wanted
            and self.buyers >= self.verdict_from
            and not self.impossible
            and self.is_large
        )

    @property
    def is_large(self) -> bool:
        """Whether both groups have as many people as the configuration wants."""
        return min(self.n_treatment, self.n_holdout) >= self.n_least

    def to_json(self) -> dict[str, Any]:
        """Plain values for JSON."""
        own = {
            field.name: getattr(self, field.name)
            for field in dataclasses.fields(self)
            if field.name != "metric"
        }
        return {"subject": self.subject, **own, "metric": self.metric.name, "weeks": self.weeks}

    @property
    def weeks(self) -> float | None:
        """Weeks until enough people have become eligible; None when that never happens."""
        if self.n_required is None:
            return None
        missing = self.n_required - self.n_eligible
        if missing <= 0:
            return 0.0
        return missing / self.n_weekly if self.n_weekly > 0 else None

    @property
    def impossible(self) -> bool:
        """Whether no effect is large enough: a share cannot rise above everybody."""
        return (
            self.lift is not None
            and self.metric.kind is MetricKind.SHARE
            and self.mean * (1 + self.lift) > 1
        )


def load_candidates(
    found: Understanding,
    config: Config,
    destinations: Sequence[DestinationSpec],
    campaigns: Sequence[CampaignSpec],
) -> None:
    """Make ``reach`` and ``candidates``, as a plan would, but without asking any vendor.

    Args:
        found: The first act.
        config: Holds the priority lists.
        destinations: From :func:`plain_destinations`.
        campaigns: From :func:`coming_campaigns`.
    """
    con = found.warehouse.connection
    load_specs(con, destinations, campaigns, specs.priority_lists(config))
    reach.build_reach(con)
    eligibility.build_candidates(con)


def plain_destinations(config: Config) -> list[DestinationSpec]:
    """Destinations by the consent that they need, without their adapters."""
    return [
        DestinationSpec(
            name=name,
            purpose=None if one.requires is None else one.requires.purpose,
            channel=None if one.requires is None else one.requires.channel,
            match_on=one.match_on,
        )
        for name, one in config.destinations.items()
    ]


def coming_campaigns(config: Config, *, as_of: datetime) -> list[CampaignSpec]:
    """Campaigns that run or will run, all of them taken as running."""
    today = as_of.astimezone(config.project.zone).date()
    return [
        dataclasses.replace(spec, active=True)
        for spec in specs.campaign_specs(config, as_of=as_of)
        if (end := config.campaigns[spec.name].end) is None or end >= today
    ]


def foresee(
    config: Config,
    found: Understanding,
    earlier: Callable[[datetime], AbstractContextManager[Understanding]],
) -> list[Prospect]:
    """Reckon every comparison of every campaign that runs or will run.

    Costs one first act for each length of the goals' windows.

    Args:
        config: The configuration.
        found: The first act, after :func:`load_candidates`.
        earlier: Gives the first act as of an earlier instant, in a workspace of its own.

    Returns:
        One for each campaign and holdout arm, in the order of the file.
    """
    campaigns = coming_campaigns(config, as_of=found.as_of)
    goals = {c.name: _goal(config, c.name) for c in campaigns}
    sizes = dict(
        found.warehouse.connection.execute(
            "SELECT campaign, count(*) FROM candidates WHERE blocked IS NULL GROUP BY 1"
        ).fetchall()
    )
    moments: dict[str, tuple[Basis, ArmMoments | None, float]] = {}
    for days in sorted({metric.window_days for metric in goals.values()}):
        names = [name for name, metric in goals.items() if metric.window_days == days]
        _load_past(config, found, earlier, found.as_of - timedelta(days=days))
        weekly = _newcomers(found.warehouse, days)
        then = _outcomes(found, goals, names, PAST, days)
        now = _outcomes(found, goals, names, "candidates", days)
        for name in names:
            past = then.get(name)
            if past is None or past.n < min(FEW_PEOPLE, sizes.get(name, 0)):
                moments[name] = (Basis.ELIGIBLE_NOW, now.get(name), weekly.get(name, 0.0))
            else:
                moments[name] = (Basis.ELIGIBLE_THEN, past, weekly.get(name, 0.0))
    held = config.holdouts.global_on(found.as_of.astimezone(config.project.zone).date())
    return [
        _prospect(config, held, campaign, goals[campaign.name], arm, sizes, *moments[campaign.name])
        for campaign in campaigns
        for arm in HOLDOUT_ARMS
        if campaign.shares.get(arm, 0.0) > 0
    ]


def verdict_test(config: Config, campaign: str) -> Sensitivity:
    """The power that is wanted, at the alpha that the campaign's verdict spends.

    On the registered end the hybrid spends half of the whole. A campaign without an end is judged
    by the confidence sequence for good, whose alpha at the planned number of people is the same
    for every number of people. O'Brien-Fleming's last look spends nearly the whole.

    Args:
        config: The configuration.
        campaign: Name of one of its campaigns.
    """
    one, rules = config.campaigns[campaign], config.measurement
    design = DESIGNS[rules.estimator.peeking]
    if one.end is None and one.decide_on is None and design is not Design.FIXED:
        design = Design.SEQUENCE
    found = final_test(design, planned=SOME, confidence=rules.ci, power=config.power)
    return Sensitivity(alpha=round(found.alpha, 12), power=found.power)


def _goal(config: Config, campaign: str) -> MetricSpec:
    name = config.campaigns[campaign].goal
    return specs.metric_spec(name, config.metrics[name])


def _load_past(
    config: Config,
    found: Understanding,
    earlier: Callable[[datetime], AbstractContextManager[Understanding]],
    instant: datetime,
) -> None:
    """Make ``detectable_past(campaign, profile_id)``: who would have been eligible at an instant.

    People are carried over by their customer id: a profile may have got another id since, when a
    newer account of the same person joined it.
    """
    warehouse = found.warehouse
    try:
        with earlier(instant) as before:
            load_candidates(
                before,
                config,
                plain_destinations(config),
                coming_campaigns(config, as_of=found.as_of),
            )
            people = (
                before.warehouse.connection.sql(
                    "SELECT k.campaign, p.customer_id FROM candidates k JOIN profiles p"
                    " USING (profile_id) WHERE k.blocked IS NULL"
                )
                .to_arrow_reader(100_000)
                .read_all()
            )
    except LiftlineError:
        # There was no shop yet, or nobody to fit a model on: then nobody is known of that time.
        people = None
    con = warehouse.connection
    con.execute(f"CREATE OR REPLACE TEMP TABLE {PAST}(campaign TEXT, profile_id TEXT)")
    if people is not None:
        con.register("people_then", people)
        con.execute(
            f"INSERT INTO {PAST} SELECT DISTINCT t.campaign, c.profile_id FROM people_then t"
            " JOIN profile_customers c USING (customer_id)"
        )
        con.unregister("people_then")


def _newcomers(warehouse: DuckDBWarehouse, days: int) -> Mapping[str, float]:
    """Campaign -> people a week who are eligible now and were not so many days ago."""
    rows = warehouse.connection.execute(
        f"SELECT k.campaign, count(*) FROM candidates k ANTI JOIN {PAST} p"
        " USING (campaign, profile_id) WHERE k.blocked IS NULL GROUP BY 1"
    ).fetchall()
    return {name: n * 7 / days for name, n in rows}


def _outcomes(
    found: Understanding,
    goals: Mapping[str, MetricSpec],
    campaigns: Sequence[str],
    relation: str,
    days: int,
) -> dict[str, ArmMoments]:
    """Campaign -> moments of its goal over the last window, of the people of a relation.

    The window's outcome is the lift engine's own: everybody is treated as assigned when it began.
    """
    warehouse = found.warehouse
    eligible = "WHERE blocked IS NULL" if relation == "candidates" else ""
    began = (found.as_of - timedelta(days=days)).replace(tzinfo=None)
    warehouse.connection.execute(
        f"CREATE OR REPLACE TABLE {ASSIGNMENTS} AS SELECT campaign, 1 AS epoch, profile_id,"
        f" '{Arm.TREATMENT}' AS arm, CAST(? AS TIMESTAMP) AS first_eligible_at"
        f" FROM {relation} {eligible}",
        [began],
    )
    result = {}
    for metric in dict.fromkeys(goals[name] for name in campaigns):
        mine = [name for name in campaigns if goals[name] == metric]
        sql = units_sql(
            [metric],
            order_columns=warehouse.columns(ORDERS),
            as_of=found.as_of,
            campaigns=mine,
        )
        warehouse.create_table_as(UNITS, sql)
        read = read_moments(warehouse, UNITS, [metric.name])
        for name in mine:
            cell = read.get(Cell(name, 1, Arm.TREATMENT.value, metric.name))
            if cell is not None:
                result[name] = cell
    return result


def _prospect(
    config: Config,
    held: GlobalHoldout | None,
    campaign: CampaignSpec,
    metric: MetricSpec,
    arm: Arm,
    sizes: Mapping[str, int],
    basis: Basis,
    past: ArmMoments | None,
    n_weekly: float,
) -> Prospect:
    n_eligible = sizes.get(campaign.name, 0)
    addressed = 1.0 if held is None or campaign.exempt_from_global else 1.0 - held.share
    n_treatment, n_holdout = (
        round(n_eligible * addressed * campaign.shares[one]) for one in (Arm.TREATMENT, arm)
    )
    rate = past.nonzero_share if past else 0.0
    buyers = planned_buyers(rate, n_treatment, n_holdout)
    if metric.kind is MetricKind.SHARE:
        buyers = min(buyers, min(n_treatment, n_holdout) - buyers)
    variation, lift, even_lift, n_required, obstacle = None, None, None, None, ""
    if past is None or not n_eligible:
        obstacle = "Nobody can be addressed yet, so nothing can be reckoned."
    else:
        try:
            variation = past.coefficient_of_variation
            test = verdict_test(config, campaign.name)
            if config.detect > 0:
                both = campaign.shares[Arm.TREATMENT] + campaign.shares[arm]
                pair = required_people(
                    variation,
                    config.detect,
                    campaign.shares[arm] / both,
                    test=test,
                )
                n_required = math.ceil(pair / both / addressed)
            lift = detectable_lift(variation, n_treatment, n_holdout, test=test)
            half = max((n_treatment + n_holdout) // 2, 1)
            even_lift = detectable_lift(variation, half, half, test=test)
        except InsufficientDataError:
            obstacle = (
                "One of the two groups would be empty."
                if not min(n_treatment, n_holdout)
                else f"In {metric.window_days} days none of {past.n:,} such people did what the"
                " goal counts, or all did the same."
            )
    return Prospect(
        campaign=campaign.name,
        metric=metric,
        arm=arm,
        n_eligible=n_eligible,
        n_treatment=n_treatment,
        n_holdout=n_holdout,
        n_kept_back=round(n_eligible * (1.0 - addressed)),
        basis=basis,
        n_past=past.n if past else 0,
        mean=past.mean if past else 0.0,
        rate=rate,
        lift=lift,
        even_lift=even_lift,
        buyers=buyers,
        n_required=n_required,
        n_weekly=n_weekly,
        directional_from=config.measurement.min_expected_buyers.verdict,
        verdict_from=config.measurement.min_expected_buyers.directional,
        n_least=config.holdouts.power.min_people_per_arm,
        variation=variation,
        addressed=addressed,
        obstacle=obstacle,
    )
