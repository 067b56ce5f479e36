"""What a campaign could show by how many people it has and how many it holds out.

The numbers to choose a holdout by, before anything is sent: the smallest effect that would show for
several shares of people held out, now and after some weeks of newcomers, and how many people it
takes for the effect that is wanted. Variation and newcomers are those of
:mod:`connector.pipeline.prove.detectable`; alpha is the one that the verdict uses.
"""

from __future__ import annotations

import contextlib
import dataclasses
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from connector.config import Config
from connector.domain import Arm
from connector.errors import ConfigError
from connector.lift.metrics import MetricKind
from connector.lift.power import Sensitivity, detectable_lift, planned_buyers, required_people
from connector.numbers import percent
from connector.pipeline import specs
from connector.pipeline.prove import detectable
from connector.pipeline.prove.detectable import Prospect
from connector.pipeline.prove.prospects import consequence
from connector.pipeline.understand.act import Understanding, understand
from connector.pipeline.understand.opening import open_workspace
from connector.plan.document import Guard

if TYPE_CHECKING:
    from connector.pipeline.project import Project

HOLDOUT_SHARES = (0.01, 0.05, 0.10, 0.20, 0.50)
"""Shares of people held out that are tried beside the campaign's own."""

INTAKE_WEEKS = (4, 13, 26, 52)
"""Weeks of newcomers that are waited for."""


@dataclass(frozen=True, slots=True)
class Crowd:
    """So many people who could be addressed.

    Attributes:
        n_eligible: How many.
        weeks: After so many weeks of newcomers, 0 for now; None: assumed.
    """

    n_eligible: int
    weeks: int | None


@dataclass(frozen=True, slots=True)
class Trial:
    """One share of people held out of one crowd.

    Attributes:
        n_treatment: People who would get the campaign.
        n_holdout: People held out.
        lift: Smallest relative effect that would show (0.08 = 8 %); None where a group is empty.
        buyers: Buyers to be expected in the smaller group.
    """

    n_treatment: int
    n_holdout: int
    lift: float | None
    buyers: float


@dataclass(frozen=True, slots=True)
class Choice:
    """One share of people held out.

    Attributes:
        holdout_share: Of everybody whom the campaign could address, 0 to 1.
        is_own: Whether it is the share that the file says.
        trials: One for each crowd.
        n_required: People that had to be eligible in all for the wanted effect; None where it can
            not be told.
        weeks: Weeks of newcomers until then; None when that never happens.
    """

    holdout_share: float
    is_own: bool
    trials: tuple[Trial, ...]
    n_required: int | None
    weeks: float | None


@dataclass(frozen=True, slots=True)
class PowerPlan:
    """One comparison of one campaign.

    Attributes:
        prospect: It as the file stands.
        crowds: What the trials of each choice are of.
        choices: By share; none where nothing can be reckoned.
        alpha: Two-sided, the one that the campaign's verdict spends.
        started: Whether people have arms in this epoch already.
    """

    prospect: Prospect
    crowds: tuple[Crowd, ...]
    choices: tuple[Choice, ...]
    alpha: float
    started: bool

    def to_json(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            **self.prospect.to_json(),
            "started": self.started,
            "alpha": self.alpha,
            "crowds": [dataclasses.asdict(crowd) for crowd in self.crowds],
            "choices": [dataclasses.asdict(choice) for choice in self.choices],
        }


def earlier_acts(
    project: Project, config: Config, found: Understanding
) -> Callable[[datetime], AbstractContextManager[Understanding]]:
    """Gives the first act as of an earlier instant, in a workspace of its own."""

    @contextlib.contextmanager
    def earlier(instant: datetime) -> Iterator[Understanding]:
        spill = project.state.folder / "spill"
        with open_workspace(config, spill=spill) as workspace:
            yield understand(
                config,
                project.state,
                workspace,
                as_of=instant.astimezone(UTC),
                looking_back=found,
            )

    return earlier


def prospects_of(project: Project, found: Understanding) -> list[Prospect]:
    """What every comparison of every campaign that runs or will run could show."""
    config = project.config
    detectable.load_candidates(
        found,
        config,
        detectable.plain_destinations(config),
        detectable.coming_campaigns(config, as_of=found.as_of),
    )
    return detectable.foresee(config, found, earlier_acts(project, config, found))


def underpowered(project: Project, found: Understanding) -> list[Guard]:
    """Guards for campaigns that would start now and could not show what they should.

    Costs several first acts, so only where ``holdouts.power.on_underpowered`` is ``hold`` and a
    campaign has not started. Once somebody let it start, it has its arms and is not asked again.
    """
    config = project.config
    if config.holdouts.power.on_underpowered != "hold":
        return []
    begun = {(name, epoch) for name, epoch, _ in project.journal.drawn_arms()}
    starting = {
        spec.name
        for spec in specs.campaign_specs(config, as_of=found.as_of)
        if spec.active and (spec.name, spec.epoch) not in begun
    }
    if not starting:
        return []
    return [
        Guard(
            "underpowered",
            p.subject,
            f"{consequence(p)} You want to see {percent(config.detect)}; `liftline holdout power`"
            " shows what it takes.",
        )
        for p in prospects_of(project, found)
        if p.campaign in starting and not p.is_enough(config.detect)
    ]


def plan_power(
    project: Project,
    *,
    campaign: str | None = None,
    shares: Sequence[float] = HOLDOUT_SHARES,
    weeks: Sequence[int] = INTAKE_WEEKS,
    people: Sequence[int] = (),
    as_of: datetime | None = None,
) -> list[PowerPlan]:
    """Try holdouts of several sizes for every comparison.

    Args:
        project: The project; its sources are read, no vendor is asked.
        campaign: One campaign's name; None for all.
        shares: Shares of people held out to try, beside the file's own.
        weeks: Weeks of newcomers to wait for, beside none.
        people: Numbers of eligible people to assume, beside those.
        as_of: Overrides the file's instant.

    Raises:
        ConfigError: No campaign of that name runs or will run.
    """
    config = project.config
    with project.workspace() as workspace:
        found = project.understand(workspace, as_of=as_of)
        prospects = prospects_of(project, found)
    coming = {spec.name for spec in detectable.coming_campaigns(config, as_of=found.as_of)}
    if campaign is not None and campaign not in coming:
        raise ConfigError(
            f"no campaign {campaign} runs or will run.",
            hint=f"Those that do: {', '.join(sorted(coming)) or 'none'}.",
        )
    begun = {(name, epoch) for name, epoch, _ in project.journal.drawn_arms()}
    return [
        _plan(config, one, shares, weeks, people, begun)
        for one in prospects
        if campaign in (None, one.campaign)
    ]


def _plan(
    config: Config,
    p: Prospect,
    shares: Sequence[float],
    weeks: Sequence[int],
    people: Sequence[int],
    begun: set[tuple[str, int]],
) -> PowerPlan:
    one, test = config.campaigns[p.campaign], detectable.verdict_test(config, p.campaign)
    own = one.arms[p.arm]
    others = sum(share for arm, share in one.arms.items() if arm not in (Arm.TREATMENT, p.arm))
    crowds = (
        Crowd(p.n_eligible, 0),
        *(Crowd(round(p.n_eligible + n * p.n_weekly), n) for n in weeks if p.n_weekly > 0),
        *(Crowd(n, None) for n in people),
    )
    variation = p.variation
    tried = sorted({own, *(share for share in shares if share + others < 1)})
    return PowerPlan(
        prospect=p,
        crowds=crowds,
        choices=()
        if variation is None
        else tuple(
            _choice(p, share, others, variation, crowds, test, config.detect, is_own=share == own)
            for share in tried
        ),
        alpha=test.alpha,
        started=(p.campaign, one.epoch) in begun,
    )


def _choice(
    p: Prospect,
    share: float,
    others: float,
    variation: float,
    crowds: Sequence[Crowd],
    test: Sensitivity,
    wanted: float,
    *,
    is_own: bool,
) -> Choice:
    """One share of people held out; those of other holdout arms stay as many."""
    trials = []
    for crowd in crowds:
        addressed = crowd.n_eligible * p.addressed
        treated, held = round(addressed * (1 - share - others)), round(addressed * share)
        buyers = planned_buyers(p.rate, treated, held)
        if p.metric.kind is MetricKind.SHARE:
            buyers = min(buyers, min(treated, held) - buyers)
        lift = detectable_lift(variation, treated, held, test=test) if treated and held else None
        trials.append(Trial(treated, held, lift, buyers))
    required = None
    if wanted > 0:
        both = 1 - others
        pair = required_people(variation, wanted, share / both, test=test)
        required = math.ceil(pair / both / p.addressed)
    asked = dataclasses.replace(p, n_required=required)
    return Choice(share, is_own, tuple(trials), required, asked.weeks)
