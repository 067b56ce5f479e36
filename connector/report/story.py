"""What the results say, in sentences for somebody who reads nothing else.

The rules: no figure without its interval, no figure at all where the verdict says that there is
nothing to be said, and "we do not know yet" in so many words. Campaigns are never added up here:
the global holdout measures them together, and without one nobody knows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from connector.numbers import NBSP, short_of
from connector.report import approving
from connector.report.data import ReportData
from connector.report.format import count, local_day, moment, several, spoken
from connector.report.lift import Estimate, LiftRow, Rules
from connector.report.words import AGAINST, label, metric_label, title, unit_of

JUDGED = ("win", "loss", "flat", "directional_only")
"""Verdicts whose figures may be read."""

ALL_CAMPAIGNS = "All campaigns together"

_HOLDOUT_ORDER = ("no_contact", "business_as_usual")


@dataclass(frozen=True, slots=True)
class Line:
    """One sentence of the summary.

    Attributes:
        verdict: Its code; empty where it is no verdict.
        text: The sentence.
    """

    verdict: str
    text: str


def shows_figures(lift: LiftRow, rules: Rules) -> bool:
    """Whether a result's figures may be shown.

    Not when the verdict distrusts them, nor below the number of buyers under which nothing is said.
    """
    if lift.difference is None or lift.expected_buyers is None:
        return False
    if lift.verdict in JUDGED:
        return True
    return lift.verdict == "not_enough_data" and lift.expected_buyers >= rules.directional_from


def primary(lifts: Sequence[LiftRow]) -> LiftRow | None:
    """The result that a campaign is judged on.

    The latest epoch's goal against nobody contacted; against the usual programme where nobody goes
    uncontacted.
    """
    goals = [lift for lift in lifts if lift.is_goal]
    if not goals:
        return None
    latest = max(lift.epoch for lift in goals)
    return min(
        (lift for lift in goals if lift.epoch == latest),
        key=lambda lift: (
            _HOLDOUT_ORDER.index(lift.holdout.arm) if lift.holdout.arm in _HOLDOUT_ORDER else 9
        ),
    )


def headline(data: ReportData) -> Line:
    """The one sentence that the report begins with."""
    candidates = [line for line in _lift_lines(data) if line[0].verdict in ("win", "loss")]
    if candidates:
        # All campaigns together come first, then the largest amount, then anything else.
        return max(candidates, key=lambda pair: _weight(pair[1], data))[0]
    if not data.campaigns and not data.lifts:
        people = several(data.n_profiles, "person is", "people are")
        return Line("", f"{people} known here; no campaign is set up yet.")
    if data.run is None:
        return Line("", f"Nothing has been sent yet: {_first_step(data)}.")
    if data.run.status == "held":
        return Line("", "The last run was held by a guard, and nothing new was sent.")
    results = [lift for _, lift in _lift_lines(data)]
    if any(lift.verdict == "do_not_trust" for lift in results):
        return Line("do_not_trust", "At least one campaign's groups are broken: look there first.")
    if any(lift.treatment.n for lift in results):
        if all(lift.verdict == "flat" for lift in results):
            return Line("flat", "No campaign made a difference worth speaking of.")
        return Line("not_enough_data", "Too few buyers so far to say what the campaigns earned.")
    return Line("", f"The campaigns are running.{_first_results(data)}")


def _first_step(data: ReportData) -> str:
    """What stands before the first run."""
    if data.waiting is None:
        return "no plan waits; `liftline plan` makes one"
    day = local_day(data.waiting.created_at, data.timezone)
    if data.waiting.obstacle:
        return f"the plan of {day} can no longer be applied; `liftline plan` makes a new one"
    return f"the plan of {day} waits for somebody to look at it"


def waiting_line(data: ReportData) -> str:
    """The plan that waits, in a sentence; empty where none does."""
    plan = data.waiting
    if plan is None:
        return ""
    at = moment(plan.created_at, data.timezone)
    made = f"A plan of {at} ({several(plan.n_changes, 'change')})"
    if plan.obstacle:
        return f"{made} was never applied. {plan.obstacle} `liftline plan` makes a new one."
    names = {guard.name for guard in plan.guards}
    if words := approving.advice(names):
        return f"{made} is held. {words}"
    if names:
        return f"{made} is held until somebody looks and runs `{approving.command(names)}`."
    return f"{made} waits: `liftline apply` carries it out."


def lines(data: ReportData) -> tuple[Line, ...]:
    """A sentence for all campaigns together, where known, and one for each campaign.

    There is none at all while nothing is measured and nobody knows when it will be.
    """
    said = [line for line, _ in _lift_lines(data)]
    measured = {lift.campaign for lift in data.lifts if lift.is_goal}
    for campaign in data.campaigns:
        if campaign.name not in measured and (measured or campaign.first_result_at is not None):
            when = ""
            if campaign.first_result_at is not None:
                day = local_day(campaign.first_result_at, data.timezone)
                when = f" The first results come on {day}."
            said.append(Line("", f"{title(campaign.name)}: nothing is measured yet.{when}"))
    return tuple(said)


def lift_line(lift: LiftRow, data: ReportData, *, who: str) -> Line:
    """One result in one sentence.

    Args:
        lift: The result.
        data: The report that it is in.
        who: The subject of the sentence.
    """
    if lift.verdict == "do_not_trust":
        return Line(lift.verdict, f"{who}: do not use the figures. The test itself is broken.")
    if not shows_figures(lift, data.rules) or lift.incremental is None:
        return Line(lift.verdict, f"{who}: {_too_early(lift, data)}")
    return Line(lift.verdict, _figures_sentence(lift, lift.incremental, data.currency, who))


def _figures_sentence(lift: LiftRow, total: Estimate, currency: str, who: str) -> str:
    unit = unit_of(lift.kind, currency)
    said = spoken(total, unit=unit.total)
    against = AGAINST.get(lift.holdout.arm, label(lift.holdout.arm))
    low, high = said.low.lstrip("+"), said.high.lstrip("+")
    between = f"between {said.low} and {said.high} ({said.level})"
    if lift.verdict in ("win", "loss"):
        more = "more" if lift.verdict == "win" else "less"
        if lift.verdict == "loss":  # both bounds are negative: the smaller loss first
            low, high = said.high.lstrip("\u2212"), said.low.lstrip("\u2212")
        between = f"between {low} and {high} ({said.level})"
        if lift.kind == "sum":
            return f"{who} earned {said.size}{NBSP}{unit.total} {more} than {against}, {between}."
        if lift.kind == "count":
            return f"{who} brought {said.size} {more} orders than {against}, {between}."
        more = "more" if lift.verdict == "win" else "fewer"
        goal = metric_label(lift)
        return f"{who} won {said.size} {more} people than {against} ({goal}), {between}."
    figure = f"{said.estimate}{NBSP}{unit.total} against {against}, {between}"
    if lift.verdict == "flat":
        return f"{who} made no difference worth speaking of: {figure}."
    if lift.verdict == "directional_only":
        way = "up" if total.estimate > 0 else "down" if total.estimate < 0 else "neither way"
        return f"{who} points {way}, no more than that: {figure}. Too few buyers for a verdict."
    return f"{who} may have brought more or less: {figure}. More people would tell."


def _too_early(lift: LiftRow, data: ReportData) -> str:
    if not lift.treatment.n or not lift.holdout.n:
        campaign = next((c for c in data.campaigns if c.name == lift.campaign), None)
        if campaign is not None and campaign.first_result_at is not None:
            day = local_day(campaign.first_result_at, data.timezone)
            return f"nobody's {lift.window_days} days are over yet; first results on {day}."
        return f"nobody's {lift.window_days} days are over yet."
    if lift.expected_buyers is None or lift.difference is None:
        return "too few buyers so far to say."
    least = count(data.rules.directional_from)
    return (
        f"too few buyers so far to say: about {short_of(lift.expected_buyers)} in the smaller"
        f" group, and nothing is said below {least}."
    )


def _lift_lines(data: ReportData) -> list[tuple[Line, LiftRow]]:
    found: list[tuple[Line, LiftRow]] = []
    if data.global_holdout is not None:
        together = primary(data.global_holdout.lifts)
        if together is not None:
            found.append((lift_line(together, data, who=ALL_CAMPAIGNS), together))
    names = [campaign.name for campaign in data.campaigns]
    names += [lift.campaign for lift in data.lifts]
    for name in dict.fromkeys(names):
        judged = primary([lift for lift in data.lifts if lift.campaign == name])
        if judged is not None:
            found.append((lift_line(judged, data, who=title(name)), judged))
    return found


def _weight(lift: LiftRow, data: ReportData) -> tuple[bool, bool, float]:
    together = data.global_holdout is not None and lift in data.global_holdout.lifts
    size = abs(lift.incremental.estimate) if lift.incremental is not None else 0.0
    return (together, lift.kind == "sum", size)


def _first_results(data: ReportData) -> str:
    days = [c.first_result_at for c in data.campaigns if c.first_result_at is not None]
    return f" The first results come on {local_day(min(days), data.timezone)}." if days else ""
