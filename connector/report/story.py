"""What the results say, in sentences for somebody who reads nothing else.

The rules: no figure without its interval, no figure at all where the verdict says that there is
nothing to be said, and "we do not know yet" in so many words. Campaigns are never added up here:
the global holdout measures them together, and without one nobody knows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from connector.numbers import MINUS, NBSP, short_of
from connector.report import approving
from connector.report.data import ReportData
from connector.report.figures import per_person, shows_figures, unit_for
from connector.report.format import Spoken, count, day, local_day, moment, several, spoken
from connector.report.lift import Estimate, LiftRow
from connector.report.words import AGAINST, label, metric_label, title

ALL_CAMPAIGNS = "All campaigns together"

_HOLDOUT_ORDER = ("no_contact", "business_as_usual")


@dataclass(frozen=True, slots=True)
class Line:
    """One sentence of the summary.

    Attributes:
        verdict: Its code; empty where it is no verdict.
        text: The sentence.
        whole: Whether it speaks of all campaigns together.
    """

    verdict: str
    text: str
    whole: bool = False


@dataclass(frozen=True, slots=True)
class Topic:
    """What one sentence and one card are about.

    Attributes:
        who: The subject of the sentence.
        against: What it is compared with, after "more than".
        judged: The result that it is judged on.
        lifts: Everything measured of it, that one among them.
        whole: Whether it speaks of all campaigns together.
    """

    who: str
    against: str
    judged: LiftRow
    lifts: tuple[LiftRow, ...]
    whole: bool = False


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


def topics(data: ReportData) -> tuple[Topic, ...]:
    """All campaigns together by themselves, then what was measured, the largest first.

    Of an experiment run elsewhere: its pairs of groups, those against the control first.
    """
    if data.is_experiment:
        return _pairs(data)
    found = []
    if data.global_holdout is not None and data.global_holdout.lifts:
        lifts = data.global_holdout.lifts
        judged = primary(lifts) or lifts[0]
        found.append(Topic(ALL_CAMPAIGNS, _against(judged), judged, lifts, whole=True))
    names = [campaign.name for campaign in data.campaigns]
    names += [lift.campaign for lift in data.lifts]
    made = []
    for name in dict.fromkeys(names):
        lifts = tuple(lift for lift in data.lifts if lift.campaign == name)
        if lifts:
            judged = primary(lifts) or lifts[0]
            made.append(Topic(title(name), _against(judged), judged, lifts))
    return (*found, *sorted(made, key=lambda topic: _rank(topic.judged, data)))


def _pairs(data: ReportData) -> tuple[Topic, ...]:
    """One topic for each pair of groups."""
    found: dict[tuple[str, str, str], list[LiftRow]] = {}
    for lift in data.lifts:
        found.setdefault((lift.campaign, lift.treatment.arm, lift.holdout.arm), []).append(lift)
    treated = {lift.treatment.arm for lift in data.lifts}
    made = []
    for lifts in found.values():
        judged = primary(lifts) or lifts[0]
        made.append(Topic(title(judged.treatment.arm), _against(judged), judged, tuple(lifts)))
    return tuple(
        sorted(made, key=lambda t: (t.judged.holdout.arm in treated, _rank(t.judged, data)))
    )


def _against(lift: LiftRow) -> str:
    return AGAINST.get(lift.holdout.arm, label(lift.holdout.arm))


def _rank(lift: LiftRow, data: ReportData) -> tuple[bool, bool, float]:
    """Sorts what may be read before what may not, money before anything else, the largest first."""
    told = shows_figures(lift, data.rules)
    value = lift.incremental or lift.difference
    size = abs(value.estimate) if told and value is not None else 0.0
    return (not told, not _is_amount(lift), -size)


def _is_amount(lift: LiftRow) -> bool:
    """Whether its total is money."""
    return lift.is_money if lift.unit else lift.kind == "sum"


def headline(data: ReportData) -> Line:
    """The one sentence that the report begins with."""
    about = [topic for topic in topics(data) if topic.judged.is_goal]
    decided = [topic for topic in about if topic.judged.verdict in ("win", "loss")]
    if decided:
        # All campaigns together come first, then the largest amount, then anything else.
        return _line(decided[0], data)
    if data.is_experiment:
        return _undecided(about, data)
    if not data.campaigns and not data.lifts:
        people = several(data.n_profiles, "person is", "people are")
        return Line("", f"{people} known here; no campaign is set up yet.")
    if data.run is None:
        return Line("", f"Nothing has been sent yet: {_first_step(data)}.")
    if data.run.status == "held":
        return Line("", "The last run was held by a guard, and nothing new was sent.")
    results = [topic.judged for topic in about if topic.judged.is_goal]
    if any(lift.verdict == "do_not_trust" for lift in results):
        return Line("do_not_trust", "At least one campaign's groups are broken: look there first.")
    if any(lift.treatment.n for lift in results):
        if all(lift.verdict == "flat" for lift in results):
            return Line("flat", "No campaign made a difference worth speaking of.")
        return Line("not_enough_data", "Too few buyers so far to say what the campaigns earned.")
    return Line("", f"The campaigns are running.{_first_results(data)}")


def _undecided(about: Sequence[Topic], data: ReportData) -> Line:
    """The headline of an experiment without a win or a loss."""
    verdicts = {topic.judged.verdict for topic in about}
    if "do_not_trust" in verdicts:
        return Line("do_not_trust", "The experiment's groups are broken: no figure is to be used.")
    if len(about) == 1:
        return _line(about[0], data)
    if verdicts == {"flat"}:
        return Line("flat", "No group of the experiment did better or worse than another.")
    return Line("not_enough_data", "The experiment has not decided: more people would tell.")


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
    said = [_line(topic, data) for topic in topics(data) if topic.judged.is_goal]
    measured = {lift.campaign for lift in data.lifts if lift.is_goal}
    for campaign in data.campaigns:
        if campaign.name not in measured and (measured or campaign.first_result_at is not None):
            when = ""
            if campaign.first_result_at is not None:
                day = local_day(campaign.first_result_at, data.timezone)
                when = f" The first results come on {day}."
            said.append(Line("", f"{title(campaign.name)}: nothing is measured yet.{when}"))
    return tuple(said)


def _line(topic: Topic, data: ReportData) -> Line:
    line = lift_line(topic.judged, data, who=topic.who)
    return Line(line.verdict, line.text, topic.whole)


def lift_line(lift: LiftRow, data: ReportData, *, who: str) -> Line:
    """One result in one sentence.

    Args:
        lift: The result.
        data: The report that it is in.
        who: The subject of the sentence.
    """
    if lift.verdict == "do_not_trust":
        return Line(lift.verdict, f"{who}: do not use the figures. {_broken(lift)}")
    if lift.difference is None or not shows_figures(lift, data.rules):
        return Line(lift.verdict, f"{who}: {_too_early(lift, data)}")
    if data.is_experiment or lift.incremental is None:
        said = _each(lift, lift.difference, data, who)
    else:
        said = _together(lift, lift.incremental, data, who)
    return Line(lift.verdict, f"{said}{_still(lift)}")


def _broken(lift: LiftRow) -> str:
    """What is wrong with a test, in a few words."""
    alarms = {one.gate for one in lift.health if one.alarm}
    if alarms == {"pre_period"}:
        return "The groups were not alike before it began."
    if alarms == {"contamination"}:
        return "Too many people had what the other group was to get."
    return "The test itself is broken."


def _still(lift: LiftRow) -> str:
    """That it is not over, where it is not."""
    if lift.stage != "running":
        return ""
    if lift.outlook is None or lift.outlook.registered_end is None:
        return " It is still running."
    return f" It runs until {day(lift.outlook.registered_end)}; that day decides."


def _together(lift: LiftRow, total: Estimate, data: ReportData, who: str) -> str:
    """What it brought in all."""
    unit = unit_for(lift, data.currency).total
    amount = Said.of(spoken(total, unit=unit), lift.verdict)
    named = f" ({metric_label(lift)})"
    if _is_amount(lift):
        is_revenue = "revenue" in lift.metric
        verb = "is expected to bring" if lift.is_surrogate else "earned"
        gain, thing = f"{verb} {amount.size}{NBSP}{unit}", "" if is_revenue else named
    elif lift.kind == "share":
        gain, thing = f"won {amount.size}", named
        more = "people" if lift.verdict in ("win", "loss") else ""
        return _sentence(lift, who, gain, f"{{}} {more}", "fewer", amount, thing)
    else:
        gain, thing = f"brought {amount.size}", "" if unit == "orders" else named
        return _sentence(lift, who, gain, f"{{}} {unit}".rstrip(), "fewer", amount, thing)
    return _sentence(lift, who, gain, "{}", "less", amount, thing)


def _each(lift: LiftRow, value: Estimate, data: ReportData, who: str) -> str:
    """What it brought for each person."""
    unit = unit_for(lift, data.currency)
    points = unit.per_person == "percentage points"
    each = "" if lift.kind == "ratio" or points else " per person"
    amount = Said.of(per_person(lift, value, data.currency), lift.verdict, each)
    name = f"{NBSP}{unit.per_person}" if unit.per_person else ""
    thing = "" if "revenue" in lift.metric and lift.kind == "sum" else f" ({metric_label(lift)})"
    return _sentence(
        lift, who, f"brought {amount.size}{name}", f"{{}}{each}", "less", amount, thing
    )


@dataclass(frozen=True, slots=True)
class Said:
    """An amount as a sentence says it.

    Attributes:
        size: Of the estimate, without its sign.
        signed: With its sign and unit.
        between: The interval: of a gain or a loss its sizes, the smaller first; else with signs.
    """

    size: str
    signed: str
    between: str

    @classmethod
    def of(cls, figure: Spoken, verdict: str, each: str = "") -> Said:
        """The words for a figure; a win or a loss needs no signs."""
        low, high = figure.low, figure.high
        if verdict == "win":
            low, high = low.lstrip("+"), high.lstrip("+")
        if verdict == "loss":  # both bounds are negative: the smaller loss first
            low, high = figure.high.lstrip(MINUS), figure.low.lstrip(MINUS)
        unit = f"{NBSP}{figure.unit}" if figure.unit else ""
        between = f"between {low} and {high} ({figure.level})"
        return cls(figure.size, f"{figure.estimate}{unit}{each}", between)


def _sentence(
    lift: LiftRow, who: str, gain: str, more: str, fewer: str, amount: Said, thing: str
) -> str:
    """The sentence of a verdict.

    Args:
        lift: The result.
        who: The subject.
        gain: Verb and amount of a win or loss.
        more: What follows it, with a place for "more" or its opposite.
        fewer: The opposite of "more".
        amount: The amount.
        thing: What was measured, in brackets; may be empty.
    """
    against = _against(lift)
    if lift.verdict in ("win", "loss"):
        way = more.format("more" if lift.verdict == "win" else fewer).strip()
        return f"{who} {gain} {way} than {against}{thing}, {amount.between}."
    figure = f"{amount.signed} against {against}{thing}, {amount.between}"
    if lift.verdict == "flat":
        return f"{who} made no difference worth speaking of: {figure}."
    if lift.verdict == "directional_only":
        value = lift.difference.estimate if lift.difference is not None else 0.0
        way = "up" if value > 0 else "down" if value < 0 else "neither way"
        why = (
            "An average over those who act is no verdict."
            if lift.kind == "ratio"
            else "Too few buyers for a verdict."
        )
        return f"{who} points {way}, no more than that: {figure}. {why}"
    return f"{who} may have brought more or less: {figure}. More people would tell."


def _too_early(lift: LiftRow, data: ReportData) -> str:
    if (not lift.treatment.n or not lift.holdout.n) and not lift.window_days:
        return "one of the two groups has nobody."
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


def _first_results(data: ReportData) -> str:
    days = [c.first_result_at for c in data.campaigns if c.first_result_at is not None]
    return f" The first results come on {local_day(min(days), data.timezone)}." if days else ""
