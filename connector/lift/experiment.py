"""An experiment that was run elsewhere, judged by the same rules as a campaign of our own.

Somebody else drew the arms and somebody else sent the messages; what is left is a table of people
with an arm and their outcomes. Moments, intervals, corrections and verdicts are those of
:mod:`connector.lift.compare`. Every arm is compared with the control, and every two others with
each other; all of them are corrected together.

What cannot be known of such an experiment is not claimed: there is no registered end, so one look
is assumed, and the split is tested only where the intended shares are told.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import combinations
from typing import TYPE_CHECKING

from connector.lift.compare import MeasurementSpec, Question, Side, compare, conclude
from connector.lift.health import ALARM_BELOW, Gate, split_p
from connector.lift.metrics import MetricKind
from connector.lift.moments import Cell
from connector.lift.outcome import Outcome
from connector.lift.result import CampaignLift, HealthFinding
from connector.lift.scan import Measured, scan
from connector.numbers import several

if TYPE_CHECKING:
    from connector.ports import Warehouse

EPOCH = 1


@dataclass(frozen=True, slots=True)
class Experiment:
    """What is known of it.

    Attributes:
        name: Its name, for the results.
        control: The arm that the others are compared with.
        arms: Arm -> people assigned; the control among them.
        outcomes: What was measured; the first one decides.
        adjusted: Names of the means that have a covariate.
        dimensions: Columns that people are classed by, known before the assignment.
        shares: Arm -> intended share, adding up to 1; empty: not told.
        notes: Sentences about the people that every result should carry.
    """

    name: str
    control: str
    arms: Mapping[str, int]
    outcomes: tuple[Outcome, ...]
    adjusted: frozenset[str] = frozenset()
    dimensions: tuple[str, ...] = ()
    shares: Mapping[str, float] = field(default_factory=dict)
    notes: tuple[HealthFinding, ...] = ()


def analyse_experiment(
    warehouse: Warehouse,
    experiment: Experiment,
    *,
    relation: str,
    as_of: datetime,
    rules: MeasurementSpec,
) -> list[CampaignLift]:
    """Every outcome and comparison; against the control first.

    Args:
        warehouse: Holds the relation.
        experiment: What is known of it.
        relation: One row a person: ``campaign`` (the experiment's name), ``epoch`` (1), ``arm``,
            ``look`` (one TIMESTAMP for everybody: nobody knows when windows closed), the outcomes,
            the companion of each ratio (its denominator) and of each adjusted mean (its
            covariate), and the dimensions.
        as_of: Instant of the analysis, aware.
        rules: How.
    """
    means = [o for o in experiment.outcomes if o.name in experiment.adjusted]
    ratios = [o for o in experiment.outcomes if o.kind is MetricKind.RATIO]
    measured = scan(
        warehouse,
        relation,
        [outcome.name for outcome in experiment.outcomes],
        companions=[outcome.name for outcome in (*means, *ratios)],
        dimensions=experiment.dimensions,
    )
    split = _split(experiment)
    drafts = []
    for outcome in experiment.outcomes:
        adjusts = rules.covariate_days if outcome.name in experiment.adjusted else 0
        for treatment, control in _pairs(experiment):
            treated, held = (
                _side(experiment, outcome, arm, measured) for arm in (treatment, control)
            )
            alarm = "" if split is None or not split.alarm else split.message
            asked = Question(
                campaign=experiment.name,
                epoch=EPOCH,
                outcome=replace(outcome, has_covariate=adjusts > 0),
                is_goal=outcome == experiment.outcomes[0],
                as_of=as_of,
                comparison=f"{treatment} against {control}",
                health=(*((split,) if split is not None else ()), *experiment.notes),
                srm_p=None if split is None else split.p_value,
                distrust=alarm or _unknown(outcome, treated, held),
            )
            drafts.append(compare(asked, treated, held, replace(rules, covariate_days=adjusts)))
    # Of a single look there is no course over time to draw.
    return [replace(lift, series=()) for lift in conclude(drafts, rules)]


def _pairs(experiment: Experiment) -> list[tuple[str, str]]:
    """(treated, compared with): everybody with the control, then each two others."""
    others = [arm for arm in experiment.arms if arm != experiment.control]
    return [*((arm, experiment.control) for arm in others), *combinations(others, 2)]


def _side(
    experiment: Experiment, outcome: Outcome, arm: str, measured: Mapping[Cell, Measured]
) -> Side:
    found = measured.get(Cell(experiment.name, EPOCH, arm, outcome.name))
    return Side(arm, found, n_closed=experiment.arms[arm])


def _unknown(outcome: Outcome, *sides: Side) -> str:
    """What is said where outcomes are not known; empty where all are."""
    known = sum(0 if side.measured is None else side.measured.total.n for side in sides)
    n = sum(side.n_closed for side in sides) - known
    if not n:
        return ""
    who = several(n, "person has", "people have")
    return f"{who} no value of {outcome.name}, so what they did is not known."


def _split(experiment: Experiment) -> HealthFinding | None:
    """The test of the arms' sizes; None where the intended ones are not told."""
    if not experiment.shares:
        return None
    n = sum(experiment.arms.values())
    arms: Sequence[str] = list(dict.fromkeys([*experiment.arms, *experiment.shares]))
    observed = [experiment.arms.get(arm, 0) for arm in arms]
    expected = [n * experiment.shares.get(arm, 0.0) for arm in arms]
    p_value = split_p(observed, expected)
    sizes = ", ".join(
        f"{arm} {found:,} (intended {due:,.0f})"
        for arm, found, due in zip(arms, observed, expected, strict=True)
    )
    if p_value is None:
        message = f"Too few people to test the split: {sizes}."
    elif p_value < ALARM_BELOW:
        message = f"The groups do not have the intended sizes (p = {p_value:.2g}): {sizes}."
    else:
        message = f"The groups have the intended sizes (p = {p_value:.2g}): {sizes}."
    alarm = p_value is not None and p_value < ALARM_BELOW
    return HealthFinding(Gate.ASSIGNED.value, p_value, alarm, message)
